"""Bias, spread, pulls and coverage of `SRGNFitter(objective="optimal_observable")` over full toys.

Every toy has a generator sample, a simulation and data of its own. Beside the spread stands the
data-only Cramér-Rao bound: the error of data of this size if all else were known exactly.

Usage: python benchmarks/accuracy/precision.py TASK [--events N] [--gen-ratio R] [--toys T]
           [--jobs J] [--path FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _cramer_rao import least_errors
from sklearn.utils import Bunch

from skdctr import SRGNFitter
from skdctr.coverage import CoverageResult, run_toys
from skdctr.datasets import make_dependent_detector, make_gaussian, make_gaussian_2d

RESOLUTION = 0.5


def generate(
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    detect: Callable[[np.ndarray, np.random.Generator], np.ndarray],
    names: list[str],
    nominal: list[float],
    low: list[float],
    high: list[float],
    truth: np.ndarray,
    seed: int,
    n: int,
    n_gen: int,
    points: np.ndarray | None = None,
) -> Bunch:
    """Make the samples of a toy: ``draw(θ, rng)`` gives an event for each row of θ.

    θ of the generator sample is uniform, or one of `points`; half of its events are nominal.
    """
    rng = np.random.default_rng(seed)
    varied = rng.uniform(low, high, (n_gen, len(names)))
    if points is not None:
        varied = points[rng.integers(len(points), size=n_gen)]
    theta = np.concatenate([np.tile(nominal, (n_gen, 1)), varied])
    sim_gen = draw(np.tile(nominal, (n, 1)), rng)
    data = detect(draw(np.tile(truth, (n, 1)), rng), rng)
    return Bunch(
        gen=draw(theta, rng),
        theta=pd.DataFrame(theta, columns=names),
        sim_gen=sim_gen,
        sim_reco=detect(sim_gen, rng),
        data=data[~np.isnan(data).all(axis=1)],
        theta_true=np.asarray(truth, dtype=float),
    )


def smear(x: np.ndarray, rng: np.random.Generator, width: float = RESOLUTION) -> np.ndarray:
    """Add Gaussian resolution to every feature."""
    return x + rng.normal(0, width, x.shape)


def lose(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smear, and lose events with an acceptance that rises with x_G."""
    seen = smear(x, rng)
    seen[rng.random(len(x)) > 1 / (1 + np.exp(-(x[:, 0] + 0.5)))] = np.nan
    return seen


def draw_gaussian(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw x of mean θ and width 1."""
    return rng.normal(theta[:, :1], 1.0)


def draw_correlated(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw five features: the mean of the first, the width of the second, a correlation."""
    z = rng.normal(size=(len(theta), 5))
    mean, width, correlation = theta.T
    z[:, 0] += mean
    z[:, 1] *= width
    z[:, 3] = correlation * z[:, 2] + np.sqrt(1 - correlation**2) * z[:, 3]
    return z


def draw_lifetime(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw decay times of mean τ."""
    return rng.exponential(theta[:, :1])


def draw_angular(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw c in [−1, 1] from 1 + a c + b c², by rejection."""
    c = np.empty(len(theta))
    left = np.arange(len(theta))
    while len(left):
        a, b = theta[left].T
        trial = rng.uniform(-1, 1, len(left))
        # |a| + |b| stays below 1.
        taken = 2 * rng.random(len(left)) < 1 + a * trial + b * trial**2
        c[left[taken]] = trial[taken]
        left = left[~taken]
    return c[:, None]


def generic(truth: np.ndarray, random_state: int, *, n: int, n_gen: int, **kind: Any) -> Bunch:
    """Make a toy of one of the `GENERIC` tasks."""
    return generate(truth=truth, seed=random_state, n=n, n_gen=n_gen, **kind)


def analytic(
    truth: np.ndarray, random_state: int, *, n: int, n_gen: int, make: Any, names: list[str]
) -> Bunch:
    """Make a toy of a packaged data set."""
    keys = dict(zip(names, truth, strict=True))
    bunch = make(n, n_gen=n_gen, random_state=random_state, **keys)
    theta = np.asarray(bunch.theta, dtype=float).reshape(len(bunch.gen), -1)
    bunch.theta = pd.DataFrame(theta, columns=names)
    return bunch


ONE = {"names": ["mu"], "nominal": [0.0], "low": [-2.0], "high": [2.0]}
GENERIC: dict[str, dict[str, Any]] = {
    "discrete": {
        **ONE,
        "draw": draw_gaussian,
        "detect": smear,
        "points": np.array([[-1.5], [-0.75], [0.75], [1.25], [2.0]]),
    },
    "lossy": {**ONE, "draw": draw_gaussian, "detect": lose},
    "correlated": {
        "names": ["mean", "width", "correlation"],
        "nominal": [0.0, 1.0, 0.0],
        "low": [-1.0, 0.7, -0.6],
        "high": [1.0, 1.3, 0.6],
        "draw": draw_correlated,
        "detect": partial(smear, width=0.3),
    },
    "lifetime": {
        "names": ["tau"],
        "nominal": [1.0],
        "low": [0.5],
        "high": [1.8],
        "draw": draw_lifetime,
        "detect": partial(smear, width=0.2),
    },
    "angular": {
        "names": ["a", "b"],
        "nominal": [0.0, 0.0],
        "low": [-0.5, -0.4],
        "high": [0.5, 0.4],
        "draw": draw_angular,
        "detect": partial(smear, width=0.1),
    },
}
ANALYTIC: dict[str, tuple[Any, list[str], list[float]]] = {
    "gaussian": (make_gaussian, ["mu"], [1.0]),
    "gaussian_2d": (make_gaussian_2d, ["mu", "sigma"], [-1.0, 0.75]),
    "detector": (make_dependent_detector, ["mu"], [1.5]),
}
# Truth of the generic tasks that have a fixed one; the others draw it from the inner two thirds.
FIXED = {"discrete": [1.0], "lossy": [1.0]}


def inner(rng: np.random.Generator, low: list[float], high: list[float]) -> np.ndarray:
    """Draw a truth from the inner two thirds of the range."""
    low, high = np.array(low), np.array(high)
    return low + (high - low) * rng.uniform(1 / 6, 5 / 6, len(low))


def fit(sample: Bunch, random_state: int) -> SRGNFitter:
    """Fit with defaults."""
    fitter = SRGNFitter(objective="optimal_observable", device="cpu", random_state=random_state)
    return fitter.fit(
        sample.sim_gen, sample.sim_reco, sample.data, gen=sample.gen, theta=sample.theta
    )


def beside_the_bound(task: str, result: CoverageResult, n_events: int) -> list[str]:
    """Compare errors with what data of this size would give if all else were known."""
    frame = result.frame[result.frame["failure"] == ""]
    truths = frame[[f"{name}_true" for name in result.names]].to_numpy()
    bounds = [least_errors(task, truth, n_events) for truth in truths]
    lines = []
    for k, name in enumerate(result.names):
        known = np.array([np.nan if bound is None else bound[k] for bound in bounds])
        ratio = frame[f"{name}_error"].to_numpy() / known
        if np.isfinite(ratio).any():
            lines.append(
                f"{name}: data-only Cramér-Rao bound {np.nanmean(known):.3g} (mean over toys), "
                f"quoted error {np.nanmean(ratio):.2f} times the bound ({np.nanmin(ratio):.2f} to "
                f"{np.nanmax(ratio):.2f})"
            )
    return lines


def main() -> None:
    """Run the toys of one task and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=[*ANALYTIC, *GENERIC])
    parser.add_argument("--events", type=float, default=1e5, help="of simulation and of data")
    parser.add_argument("--gen-ratio", type=float, default=1.0, help="generator over data events")
    parser.add_argument("--toys", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--path", type=Path, help="file that finished toys are kept in")
    given = parser.parse_args()
    sizes = {"n": int(given.events), "n_gen": int(given.events * given.gen_ratio)}
    theta: Any
    if given.task in ANALYTIC:
        make, names, truth = ANALYTIC[given.task]
        simulate = partial(analytic, make=make, names=names, **sizes)
        theta = truth
    else:
        kind = GENERIC[given.task]
        simulate = partial(generic, **kind, **sizes)
        theta = FIXED.get(given.task, partial(inner, low=kind["low"], high=kind["high"]))
    result = run_toys(
        simulate,
        fit,
        n_toys=given.toys,
        theta=theta,
        n_jobs=given.jobs,
        random_state=given.seed,
        path=given.path,
        verbose=1,
    )
    print(f"{given.task}: {sizes['n']} events, {sizes['n_gen']} varied generator events")
    print(result)
    for line in beside_the_bound(given.task, result, sizes["n"]):
        print(line)
    print(f"slowest toy {result.frame['seconds'].max():.0f} s")


if __name__ == "__main__":
    main()
