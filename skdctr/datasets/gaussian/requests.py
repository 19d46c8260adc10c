"""Toys with a known density: their samples drawn, and what is asked of them checked."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray

__all__ = ["check_bounds", "check_number", "check_sizes", "gaussian_detector", "make_bunch"]


def make_bunch(
    events: Callable[[np.random.Generator, FloatArray], FloatArray],
    detector: Callable[[np.random.Generator, FloatArray], FloatArray],
    *,
    sizes: tuple[int, int, int],
    theta_nominal: dict[str, float],
    theta_true: dict[str, float],
    bounds: dict[str, tuple[float, float]],
    feature_names: list[str],
    as_frame: bool,
    random_state: int | np.random.RandomState | None,
    **known: Any,
) -> Bunch:
    """Draw generator events, simulation and data.

    Parameters
    ----------
    events : callable
        Draws generator-level events, (n, f), at θ of shape (n, p).
    detector : callable
        Smears generator-level events to the reconstructed feature, (n, 1).
    sizes : tuple of int
        Generator events per class, simulated events, data events.
    theta_nominal, theta_true : dict of str to float
        Parameters of the simulation and of the data.
    bounds : dict of str to tuple
        Range of the varied parameters.
    feature_names : list of str of length f
        Columns of generator-level events.
    as_frame : bool
        Whether samples are DataFrames.
    random_state : int, RandomState instance or None
        Seed.
    **known
        What else the bunch holds.
    """
    if not isinstance(as_frame, bool):
        raise TypeError(f"as_frame must be a bool, got {as_frame!r}; pass True or False.")
    n_gen, n_sim, n_data = sizes
    names = list(theta_nominal)
    nominal = np.array([theta_nominal[name] for name in names])
    true = np.array([theta_true[name] for name in names])
    limits = np.array([bounds[name] for name in names])

    entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    streams = np.random.SeedSequence(entropy.tolist()).spawn(3)
    rng_gen, rng_sim, rng_data = (np.random.default_rng(stream) for stream in streams)

    varied = rng_gen.uniform(limits[:, 0], limits[:, 1], size=(n_gen, len(names)))
    theta = np.concatenate([np.tile(nominal, (n_gen, 1)), varied])
    gen = events(rng_gen, theta)
    sim_gen = events(rng_sim, np.tile(nominal, (n_sim, 1)))
    sim_reco = detector(rng_sim, sim_gen)
    data_gen = events(rng_data, np.tile(true, (n_data, 1)))
    data = detector(rng_data, data_gen)

    def table(values: FloatArray, columns: list[str]) -> FloatArray | pd.DataFrame:
        return pd.DataFrame(values, columns=columns) if as_frame else values

    return Bunch(
        gen=table(gen, feature_names),
        theta=table(theta, names),
        sim_gen=table(sim_gen, feature_names),
        sim_reco=table(sim_reco, ["x"]),
        data=table(data, ["x"]),
        data_gen=table(data_gen, feature_names),
        theta_names=names,
        theta_nominal=nominal,
        theta_true=true,
        bounds=bounds,
        **known,
    )


def gaussian_detector(
    epsilon: float,
) -> Callable[[np.random.Generator, FloatArray], FloatArray]:
    """Make a detector that adds a Gaussian error of width epsilon."""

    def detector(rng: np.random.Generator, x: FloatArray) -> FloatArray:
        return x + epsilon * rng.standard_normal(x.shape)

    return detector


def check_number(
    name: str, value: Any, *, low: float | None = None, above: float | None = None
) -> float:
    """Check a finite real number, of at least `low` or more than `above`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}; pass a float.")
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}; pass a finite number.")
    if low is not None and number < low:
        raise ValueError(f"{name} must be at least {low:g}, got {number:g}; pass a larger value.")
    if above is not None and number <= above:
        raise ValueError(f"{name} must be above {above:g}, got {number:g}; pass a larger value.")
    return number


def check_sizes(n_events: Any, **sizes: Any) -> tuple[int, int, int]:
    """Check the sizes of the samples; None stands for `n_events`."""
    checked = []
    for name, size in {"n_events": n_events, **sizes}.items():
        value = n_events if size is None else size
        checked.append(check_count(name, value, advice="pass a number of events"))
    _, n_gen, n_sim, n_data = checked
    return n_gen, n_sim, n_data


def check_bounds(
    bounds: Any, names: Sequence[str], above: Mapping[str, float] | None = None
) -> dict[str, tuple[float, float]]:
    """Check the range of every parameter, each above a limit where there is one."""
    example = "{" + ", ".join(f'"{name}": (low, high)' for name in names) + "}"
    if not isinstance(bounds, Mapping):
        if len(names) > 1:
            raise TypeError(
                f"bounds must be a mapping by parameter name, got {bounds!r}; pass {example}."
            )
        bounds = {names[0]: bounds}
    if set(bounds) != set(names):
        raise ValueError(
            f"bounds has the parameters {sorted(map(str, bounds))}, expected {list(names)}; "
            f"pass {example}."
        )
    checked = {}
    for name in names:
        limits = bounds[name]
        if not isinstance(limits, Sequence | np.ndarray) or len(limits) != 2:
            raise TypeError(
                f"bounds of {name} must be a pair of numbers, got {limits!r}; pass (low, high)."
            )
        low, high = (check_number(f"bounds of {name}", limit) for limit in limits)
        if not low < high:
            raise ValueError(
                f"bounds of {name} must increase, got ({low:g}, {high:g}); pass (low, high)."
            )
        if above is not None and name in above:
            check_number(f"bounds of {name}", low, above=above[name])
        checked[name] = (low, high)
    return checked
