"""The top quark mass through Delphes: Fig. 10, 11 and Table IV of the SRGN paper, and beyond.

``table`` fits the data of 175 GeV at both levels, with four observables and with one, by a scan of
the AUC, by its surrogate and by the optimal observable. ``acceptance`` compares ways to treat
events that pass at one level only. ``pulls`` fits disjoint parts of the data and bootstraps.
``blinded`` fits the data whose mass is not told, by what the others have settled.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from _tables import row, table_head, verdict
from _top_mass_figures import ScanFigure, draw_closure
from _top_mass_samples import INPUTS, LEVELS, Samples, features, samples, subtract_fakes
from sklearn.frozen import FrozenEstimator
from tqdm import tqdm

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.datasets import fetch_top_mass
from skdctr.exceptions import ConvergenceWarning, SkdctrWarning

PAPER = {
    ("four", "generator"): (175.07, 0.19),
    ("four", "reco"): (174.96, 0.31),
    ("m_b1munu", "generator"): (175.13, 0.42),
    ("m_b1munu", "reco"): (175.06, 0.54),
}
OPTIMAL: dict[str, Any] = {"objective": "optimal_observable"}
SCAN: dict[str, Any] = {"search": "scan", "n_points": 15}
# About the target, as far as (AUC − 1/2)² is a parabola.
SCAN_HALF = {"generator": 2.0, "reco": 5.0}
METHODS: dict[str, dict[str, Any]] = {
    "AUC scan": SCAN,
    "AUC surrogate": {},
    "optimal observable": OPTIMAL,
}
EVENTS = 1e6
LARGEST_ERROR = 0.10
PULL_WIDTHS = (0.8, 1.2)


@dataclass
class Fit:
    """One fit, and what it says of itself."""

    title: str
    value: float
    error: float
    sources: dict[str, float]
    n_events: dict[str, int]
    auc: float
    auc_error: float
    evaluations: int
    seconds: float
    messages: list[str] = field(default_factory=list)

    @property
    def scaled(self) -> float:
        """Error at 10⁶ events of data, and so many times more of all others."""
        return self.error * float(np.sqrt(self.n_events["data"] / EVENTS))

    def scaled_by_source(self, n_gen: int) -> float:
        """Error at 10⁶ events of each kind."""
        sizes = {"data": self.n_events["data"], "generator": n_gen}
        sim = self.n_events["simulated"] - self.n_events.get("lost by the reconstruction", 0)
        return float(
            np.sqrt(
                sum(
                    error**2 * sizes.get(source, sim) / EVENTS
                    for source, error in self.sources.items()
                )
            )
        )


def train(bunch: Any, names: list[str], seed: int) -> DCTRReweighter:
    """Learn the weights, with defaults."""
    return DCTRReweighter(random_state=seed).fit(features(bunch.gen, names), bunch.theta)


def fit(
    title: str,
    of: Samples,
    names: list[str],
    reweighter: Any,
    seed: int,
    *,
    correct: bool = True,
    **options: Any,
) -> tuple[Fit, SRGNFitter]:
    """Fit once, and tell of it on stderr."""
    start = time.perf_counter()
    if (
        options.get("objective") == "optimal_observable"
        and correct
        and hasattr(reweighter, "nets_")
    ):
        # As it is, though the generator sample is given.
        reweighter = FrozenEstimator(reweighter)
    further: dict[str, Any] = {"sample_weight": of.sample_weight, "data_weight": of.data_weight}
    if options.get("objective") == "optimal_observable" and correct:
        further |= {"gen": features(of.gen, names), "theta": of.theta}
    with warnings.catch_warnings():
        # They are in the result's messages.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SkdctrWarning)
        fitter = SRGNFitter(reweighter, random_state=seed, **options).fit(
            features(of.sim_gen, names),
            features(of.sim_reco, names),
            features(of.data, names),
            **further,
        )
    result = fitter.result_
    done = Fit(
        title,
        float(result.theta[0]),
        float(result.errors[0]),
        {name: float(np.sqrt(part[0, 0])) for name, part in result.sources.items()},
        dict(result.n_events),
        result.auc,
        result.auc_error,
        result.n_evaluations,
        time.perf_counter() - start,
        list(result.messages),
    )
    notes = "".join(f"\n    ! {message}" for message in done.messages)
    tqdm.write(
        f"{title}: {done.value:.3f} ± {done.error:.3f}, AUC {done.auc:.4f} ± {done.auc_error:.4f}, "
        f"{done.evaluations} evaluations, {done.seconds:.0f} s{notes}"
    )
    return done, fitter


def by_source(done: Fit) -> str:
    """List the errors of the sources."""
    return ", ".join(f"{name} {error:.3f}" for name, error in done.sources.items())


def table(arguments: argparse.Namespace, bunch: Any) -> tuple[list[str], list[Fit]]:
    """Fit as in Table IV: the known fakes left out, as in samples of pairs."""
    fits: dict[tuple[str, str, str], list[Fit]] = {}
    figure, target = ScanFigure(arguments.figures), float(bunch.theta_true[0])
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        for inputs, names in INPUTS.items():
            reweighter = train(bunch, names, seed)
            for level in LEVELS:
                of = samples(bunch, level, fakes="known")
                for method, options in METHODS.items():
                    if options is SCAN and seed > arguments.seed:
                        continue
                    title = f"{inputs}, {level}, {method}, seed {seed}"
                    if options is SCAN:
                        half = SCAN_HALF[level]
                        bounds = {"mt": (target - half, target + half)}
                        options = {**options, "bounds": bounds}
                    done, fitter = fit(title, of, names, reweighter, seed, **options)
                    fits.setdefault((inputs, level, method), []).append(done)
                    if seed == arguments.seed:
                        figure.add(inputs, level, method, fitter)
            if arguments.figures and seed == arguments.seed and inputs == "four":
                draw_closure(arguments.figures, bunch, reweighter)
    figure.save()
    head = "input, level, method, paper, mean ± spread of seeds, quoted error, by source, "
    head += "AUC at the fit, error at 10⁶ of data, of each kind"
    lines, verdicts = table_head(head), []
    errors: dict[tuple[str, ...], float] = {}
    for key, done in fits.items():
        values, first = np.array([one.value for one in done]), done[0]
        error = errors[key] = float(np.mean([one.error for one in done]))
        spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
        paper = PAPER[key[:2]]
        lines.append(
            row(
                *key,
                f"{paper[0]} ± {paper[1]}",
                f"{values.mean():.3f}{spread}",
                f"{error:.3f}",
                by_source(first),
                f"{first.auc:.4f} ± {first.auc_error:.4f}",
                f"{np.mean([one.scaled for one in done]):.3f}",
                f"{first.scaled_by_source(len(bunch.gen)):.3f}",
            )
        )
        # Each seed quotes the statistical error, which all of them share.
        training = float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        pull = float(values.mean() - target) / float(np.hypot(error, training))
        verdicts.append(verdict(f"{', '.join(key)}: |pull|", abs(pull), 0.0, 2.0))
    for method in METHODS:
        pairs = [(("four", level), ("m_b1munu", level)) for level in LEVELS]
        pairs += [((inputs, LEVELS[0]), (inputs, LEVELS[1])) for inputs in INPUTS]
        for a, b in pairs:
            ratio = errors[*a, method] / errors[*b, method]
            verdicts.append(verdict(f"{method}: error of {a} over {b}", ratio, 0.0, 1.0))
    best = fits["four", "reco", "optimal observable"]
    scaled = float(np.mean([one.scaled for one in best]))
    verdicts.append(verdict("four, reco: error at 10⁶ events", scaled, 0.0, LARGEST_ERROR))
    return [*lines, "", *verdicts], [one for done in fits.values() for one in done]


def acceptance(arguments: argparse.Namespace, bunch: Any) -> tuple[list[str], list[Fit]]:
    """Treat events that pass at one level only in several ways."""
    names = INPUTS["four"]
    reweighter = train(bunch, names, arguments.seed)
    lost = bunch.sim_reco.isna().all(axis=1)
    known = samples(bunch, fakes="known")
    paired = replace(known, sim_gen=bunch.sim_gen[~lost], sim_reco=bunch.sim_reco[~lost])
    ways = {
        "pairs only": (paired, False),
        "pairs only, generator sample given": (paired, True),
        "lost events as NaN": (known, True),
        "lost events as NaN, fakes subtracted": (samples(bunch), True),
        "lost events as NaN, fakes left in": (samples(bunch, fakes="ignored"), True),
    }
    fits = [
        fit(way, of, names, reweighter, arguments.seed, correct=correct, **OPTIMAL)[0]
        for way, (of, correct) in ways.items()
    ]
    lines = table_head("treatment, value, by source, AUC at the fit")
    for done in fits:
        value = f"{done.value:.3f} ± {done.error:.3f}"
        lines.append(
            row(done.title, value, by_source(done), f"{done.auc:.4f} ± {done.auc_error:.4f}")
        )
    lines += ["", *(f"{done.title}: {note}" for done in fits for note in done.messages)]
    pairs, _, whole, subtracted, _ = fits
    smaller = min(pairs.error, whole.error)
    for name, other in (("pairs only", pairs), ("fakes subtracted", subtracted)):
        off = abs(whole.value - other.value)
        lines.append(verdict(f"lost events as NaN against {name}, GeV", off, 0.0, smaller))
    return lines, fits


def pulls(arguments: argparse.Namespace, bunch: Any) -> tuple[list[str], list[Fit]]:
    """Fit disjoint parts of the data, then bootstraps of data and simulation."""
    names, rng = INPUTS["four"], np.random.default_rng(arguments.seed)
    reweighter = train(bunch, names, arguments.seed)
    whole = samples(bunch)
    best, _ = fit("all data", whole, names, reweighter, arguments.seed, **OPTIMAL)
    part_of = rng.permutation(np.arange(len(bunch.data)) % arguments.parts)
    parts, boots = [], []
    for k in range(arguments.parts):
        data, weight = subtract_fakes(bunch.data[part_of == k], bunch)
        of = replace(whole, data=data, data_weight=weight)
        title = f"part {k + 1} of {arguments.parts}"
        parts.append(fit(title, of, names, reweighter, arguments.seed + k, **OPTIMAL)[0])
    for k in range(arguments.bootstraps):
        # Weights and not copies, which would be on both sides of a cross-fit.
        of = replace(
            whole,
            sample_weight=rng.poisson(1.0, len(whole.sim_gen)).astype(float),
            data_weight=whole.data_weight * rng.poisson(1.0, len(whole.data)),
        )
        seed = arguments.seed + k
        boots.append(fit(f"bootstrap {k + 1}", of, names, reweighter, seed, **OPTIMAL)[0])
    lines = table_head("samples, truth, mean, spread, quoted error, pull mean, pull width")
    verdicts = []
    # Of weights that fluctuate a fit takes the variance in once more: the toys' own errors are too
    # large by √2, and what they scatter about is fixed but for data and simulation.
    resampled = float(np.hypot(best.sources["data"], best.sources["simulation"]))
    for name, truth, fits, quoted in (
        ("parts of the data", float(bunch.theta_true[0]), parts, [one.error for one in parts]),
        ("bootstraps of data and simulation", best.value, boots, [resampled] * len(boots)),
    ):
        if len(fits) < 2:
            continue
        values = np.array([one.value for one in fits])
        pull = (values - truth) / quoted
        error = np.mean(quoted)
        width = float(np.sqrt(np.mean(pull**2)))
        lines.append(
            row(
                f"{len(fits)} {name}",
                f"{truth:.3f}",
                f"{values.mean():.3f}",
                f"{values.std(ddof=1):.3f}",
                f"{error:.3f}",
                f"{pull.mean():+.2f} ± {1 / np.sqrt(len(fits)):.2f}",
                f"{width:.2f} ± {width / np.sqrt(2 * len(fits)):.2f}",
            )
        )
        verdicts.append(verdict(f"pull width, {name}", width, *PULL_WIDTHS))
    return [*lines, "", *verdicts], [best, *parts, *boots]


def blinded(arguments: argparse.Namespace, bunch: Any) -> tuple[list[str], list[Fit]]:
    """Fit data of a mass that is not told: one result, and the checks of it decided beforehand."""
    bunch = fetch_top_mass(arguments.data_home, level="either", data="blinded")
    names = INPUTS["four"]
    runs = {**OPTIMAL, "n_runs": arguments.seeds}
    ways: dict[str, tuple[Samples, list[str], dict[str, Any]]] = {
        "result: four, reco, optimal observable": (samples(bunch), names, runs),
        "check: the known fakes left out": (samples(bunch, fakes="known"), names, OPTIMAL),
        "check: AUC surrogate": (samples(bunch), names, {}),
        "check: m_b1munu only": (samples(bunch), INPUTS["m_b1munu"], OPTIMAL),
        "check: generator level": (samples(bunch, "generator"), names, OPTIMAL),
    }
    trained = {len(inputs): train(bunch, inputs, arguments.seed) for inputs in INPUTS.values()}
    fits = []
    for title, (of, inputs, options) in ways.items():
        # Every run of an ensemble learns weights of its own.
        reweighter = DCTRReweighter() if "n_runs" in options else trained[len(inputs)]
        fits.append(fit(title, of, inputs, reweighter, arguments.seed, **options)[0])
    lines = table_head("fit, mass, by source, AUC at the fit")
    for done in fits:
        value = f"{done.value:.3f} ± {done.error:.3f}"
        lines.append(
            row(done.title, value, by_source(done), f"{done.auc:.4f} ± {done.auc_error:.4f}")
        )
    lines += ["", *(f"{done.title}: {note}" for done in fits for note in done.messages)]
    return lines, fits


def add_command(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add ``top_mass`` to the commands."""
    command = commands.add_parser("top_mass", parents=[common], help="Table IV")
    command.add_argument(
        "tasks",
        nargs="*",
        default=["table"],
        metavar="TASK",
        help="table, acceptance, pulls or blinded",
    )
    command.add_argument("--data-home", type=Path, help="directory of the files, see the README")
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--parts", type=int, default=20, help="of the data")
    command.add_argument("--bootstraps", type=int, default=20, help="of data and simulation")
    command.add_argument("--figures", type=Path, help="draw Fig. 10 and 11 into this directory")


def run(arguments: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """Do the tasks; return what to print, and all numbers."""
    tasks = {"table": table, "acceptance": acceptance, "pulls": pulls, "blinded": blinded}
    unknown = [task for task in arguments.tasks if task not in tasks]
    if unknown:
        raise SystemExit(f"unknown tasks {unknown}; known are {list(tasks)}")
    bunch = fetch_top_mass(arguments.data_home, level="either")
    lines: list[str] = []
    content: dict[str, Any] = {}
    for task in arguments.tasks:
        found, fits = tasks[task](arguments, bunch)
        lines += [f"\n{task}\n", *found]
        content[task] = {"lines": found, "fits": [asdict(done) for done in fits]}
    return lines, content
