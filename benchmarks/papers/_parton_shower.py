"""The parton shower of jets: Table III of the SRGN paper, Table I and II of the DCTR paper.

A row fits one parameter or three, to one observable or to the full phase space Ω: all particles
of a jet, in Deep Sets. It has four samples of Pythia 8: nominal and varied jets that the weights
are learned from, the simulation that they are for, and data at the target. All methods of a row
share the weights. The papers' errors are spreads over initial networks on one set of samples;
ours are what a fit quotes, and its spread over seeds of the networks. ``--samples`` repeats a row
on other jets, so that the statistical error shows.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _tables import row as line
from _tables import table_head, verdict
from sklearn.frozen import FrozenEstimator
from tqdm import tqdm

from skdctr import DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.datasets import PARAMETERS, make_parton_shower_tuning
from skdctr.exceptions import ConvergenceWarning, SkdctrWarning
from skdctr.preprocessing import PackedEvents, ParticleMoments, ParticlePreprocessor

# Of a sample of the papers.
PAPER_JETS = 9e5
OMEGA = "Ω"
ALL = tuple(PARAMETERS)
LARGEST_PULL = 2.0

Measured = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One fit of the papers.

    Attributes
    ----------
    observable : str
        Column of the samples, or `OMEGA`.
    target : dict of str to float
        Values in the data, of all parameters that vary.
    srgn, dctr : tuple of (value, error)
        What the papers found, a pair for each parameter; empty where they say nothing.
    """

    observable: str
    target: dict[str, float]
    srgn: tuple[Measured, ...] = ()
    dctr: tuple[Measured, ...] = ()

    @property
    def names(self) -> list[str]:
        """Parameters that vary."""
        return list(self.target)

    @property
    def wanted(self) -> list[float]:
        """Largest error at `PAPER_JETS` jets: half the papers'; inf where they give none."""
        papers = self.srgn or self.dctr
        return [error / 2 for _, error in papers] or [np.inf] * len(self.target)


def _one(name: str, observable: str, **papers: tuple[Measured, ...]) -> Row:
    return Row(observable, {name: PARAMETERS[name].target}, **papers)


# Of strange hadrons Pythia leaves only kaons undecayed.
ROWS: dict[str, Row] = {
    "alphaS-multiplicity": _one("alphaS", "multiplicity", srgn=((0.1601, 0.0014),)),
    "aLund-multiplicity": _one("aLund", "multiplicity"),
    "probStoUD-kaons": _one("probStoUD", "n_kaons", srgn=((0.2779, 0.0045),)),
    "alphaS-omega": _one("alphaS", OMEGA, srgn=((0.1596, 0.0010),), dctr=((0.1601, 0.0018),)),
    "aLund-omega": _one("aLund", OMEGA, srgn=((0.7884, 0.0277),), dctr=((0.7980, 0.0257),)),
    "probStoUD-omega": _one("probStoUD", OMEGA, srgn=((0.2726, 0.0070),), dctr=((0.2754, 0.0065),)),
    "three-omega": Row(
        OMEGA,
        dict(zip(ALL, (0.12, 0.60, 0.12), strict=True)),
        dctr=((0.1195, 0.0022), (0.6276, 0.0373), (0.1203, 0.0071)),
    ),
    "blinded-omega": Row(
        OMEGA,
        dict(zip(ALL, (0.17, 0.75, 0.14), strict=True)),
        dctr=((0.1707, 0.0022), (0.7425, 0.0453), (0.1422, 0.0065)),
    ),
}


class Samples(NamedTuple):
    """The four samples of a row; nominal and varied generator jets in one."""

    gen: Any
    theta: Any
    sim: Any
    data: Any


@dataclass
class Fit:
    """One fit, and what it says of itself.

    Attributes
    ----------
    row, method, jets, sample, seed, epochs
        Which fit it is: no two in a file agree in all of these.
    values, errors : list of float
        A number for each parameter.
    sources : dict of str to list of float
        Errors by source.
    """

    row: str
    method: str
    jets: int
    sample: int
    seed: int
    epochs: int | None = None
    values: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    sources: dict[str, list[float]] = field(default_factory=dict)
    auc: float = float("nan")
    auc_error: float = float("nan")
    seconds: float = float("nan")
    seconds_of_weights: float = float("nan")
    messages: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from all others."""
        return self.row, self.method, self.jets, self.sample, self.seed, self.epochs


def by_observable(reweighter: Any, of: Samples, seed: int) -> Any:
    """Fit by the optimal observable, which the generator jets correct."""
    fitter = SRGNFitter(
        FrozenEstimator(reweighter), objective="optimal_observable", random_state=seed
    )
    return fitter.fit(of.sim, data=of.data, gen=of.gen, theta=of.theta).result_


def by_auc(reweighter: Any, of: Samples, seed: int) -> Any:
    """Fit by the AUC, with the surrogate of it."""
    return SRGNFitter(reweighter, random_state=seed).fit(of.sim, data=of.data).result_


def by_gradient(reweighter: Any, of: Samples, seed: int) -> Any:
    """Fit as the DCTR paper does."""
    return DCTRFitter(reweighter, random_state=seed).fit(of.sim, data=of.data).result_


METHODS: dict[str, Callable[[Any, Samples, int], Any]] = {
    "optimal_observable": by_observable,
    "dctr": by_gradient,
    "auc": by_auc,
}


def load(row: Row, arguments: argparse.Namespace, sample: int) -> Samples:
    """Generate the jets of a row, or read them from the cache."""
    full = row.observable == OMEGA
    bunch = make_parton_shower_tuning(
        arguments.jets,
        vary=row.names,
        target=row.target,
        constituents=full,
        n_jobs=arguments.n_jobs,
        random_state=sample,
        verbose=1,
    )
    names = ("gen", "sim_gen", "data")
    if full:
        gen, sim, data = (prepare(bunch[f"{name}_constituents"]) for name in names)
    else:
        gen, sim, data = (bunch[name][[row.observable]] for name in names)
    return Samples(gen, bunch.theta, sim, data)


def prepare(constituents: Any) -> PackedEvents:
    """Pack jets as the papers do, aligned, and with moments."""
    packed = PackedEvents.from_events(constituents)
    prepared: PackedEvents = ParticleMoments().fit_transform(
        ParticlePreprocessor(align=True).fit_transform(packed)
    )
    return prepared


def train(of: Samples, seed: int, epochs: int | None) -> Any:
    """Learn the weights, all else with defaults."""
    return DCTRReweighter(max_epochs=epochs or "auto", random_state=seed).fit(of.gen, of.theta)


def planned(arguments: argparse.Namespace, row: str, method: str, sample: int, seed: int) -> Fit:
    """Name a fit, without its numbers."""
    return Fit(row, method, arguments.jets, sample, seed, arguments.epochs)


def new_fits(
    arguments: argparse.Namespace, finished: Mapping[tuple[Any, ...], Fit]
) -> Iterator[Fit]:
    """Do every fit that is not finished, and tell of it."""
    for name in arguments.rows:
        for sample in arguments.samples:
            of = None
            for seed in range(arguments.seed, arguments.seed + arguments.seeds):
                fits = [planned(arguments, name, way, sample, seed) for way in arguments.methods]
                left = [fit for fit in fits if fit.key not in finished]
                if not left:
                    continue
                of = of or load(ROWS[name], arguments, sample)
                start = time.perf_counter()
                reweighter = train(of, seed, arguments.epochs)
                seconds = time.perf_counter() - start
                for fit in left:
                    fit.seconds_of_weights = seconds
                    complete(fit, reweighter, of)
                    yield fit


def complete(fit: Fit, reweighter: Any, of: Samples) -> None:
    """Fit, and write the numbers down."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        # They are in the result's messages.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SkdctrWarning)
        result = METHODS[fit.method](reweighter, of, fit.seed)
    fit.seconds = time.perf_counter() - start
    fit.values, fit.errors = result.theta.tolist(), result.errors.tolist()
    fit.sources = {name: np.sqrt(np.diag(part)).tolist() for name, part in result.sources.items()}
    fit.auc, fit.auc_error = result.auc, result.auc_error
    fit.messages = list(result.messages)
    told = ", ".join(
        f"{value:.5f} ± {error:.5f}" for value, error in zip(fit.values, fit.errors, strict=True)
    )
    notes = "".join(f"\n    ! {message}" for message in fit.messages)
    tqdm.write(
        f"{fit.row}, {fit.method}, sample {fit.sample}, seed {fit.seed}: {told}, "
        f"{fit.seconds_of_weights:.0f} + {fit.seconds:.0f} s{notes}"
    )


def read(path: Path | None) -> dict[tuple[Any, ...], Fit]:
    """Read finished fits from a file; a last line that a kill tore is cut off.

    Raises
    ------
    ValueError
        If another line is not a fit.
    """
    if path is None or not path.exists():
        return {}
    whole, _, torn = path.read_text().rpartition("\n")
    if torn:
        path.write_text(f"{whole}\n" if whole else "")
    known = {entry.name for entry in fields(Fit)}
    finished = {}
    for number, text in enumerate(whole.splitlines(), start=1):
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or set(content) != known:
                raise ValueError("it has other entries than a fit")
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number} is no fit of a parton shower ({error}); name another file."
            ) from error
        fit = Fit(**content)
        finished[fit.key] = fit
    return finished


@dataclass(frozen=True)
class Summary:
    """One parameter of a row by one method: fits of several samples and seeds.

    Attributes
    ----------
    mean, quoted : float
        Mean of the values, and of the errors that the fits quote.
    of_seeds, of_samples : float
        Spread over seeds on the same jets, and over samples; NaN where there is one.
    pull : float
        Distance of the mean from the target in its errors, which seeds do not average away.
    scaled : float
        Quoted error and spread of seeds together, at `PAPER_JETS` jets.
    """

    mean: float
    quoted: float
    of_seeds: float
    of_samples: float
    pull: float
    scaled: float

    @classmethod
    def of(cls, values: Any, errors: Any, target: float, jets: int) -> Summary:
        """Summarise values and errors of shape (samples, seeds)."""
        values, errors = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
        n_samples, n_seeds = values.shape
        nan = float("nan")
        of_seeds = float(np.sqrt(values.var(axis=1, ddof=1).mean())) if n_seeds > 1 else nan
        of_samples = float(values.mean(axis=1).std(ddof=1)) if n_samples > 1 else nan
        mean, quoted = float(values.mean()), float(errors.mean())
        training = 0.0 if n_seeds == 1 else of_seeds
        error = np.hypot(quoted, training / np.sqrt(n_seeds)) / np.sqrt(n_samples)
        scaled = float(np.hypot(quoted, training) * np.sqrt(jets / PAPER_JETS))
        return cls(mean, quoted, of_seeds, of_samples, float((mean - target) / error), scaled)


def table(arguments: argparse.Namespace, fits: Mapping[tuple[Any, ...], Fit]) -> list[str]:
    """Print target, the papers' values and ours."""
    head = "row, parameter, target, SRGN paper, DCTR paper, method, mean, pull, quoted error, "
    head += "spread of seeds, spread of samples, AUC at the fit, error at 9·10⁵ jets, wanted"
    lines, verdicts, notes = table_head(head), [], []
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    for name in arguments.rows:
        row = ROWS[name]
        for method in arguments.methods:
            of = [
                [fits[planned(arguments, name, method, sample, seed).key] for seed in seeds]
                for sample in arguments.samples
            ]
            first = of[0][0]  # whose AUC and messages stand for all
            auc = f"{first.auc:.4f} ± {first.auc_error:.4f}" if np.isfinite(first.auc) else ""
            for k, (parameter, target) in enumerate(row.target.items()):
                values, errors = (
                    [[getattr(fit, kind)[k] for fit in sample] for sample in of]
                    for kind in ("values", "errors")
                )
                found = Summary.of(values, errors, target, arguments.jets)
                wanted = row.wanted[k]
                lines.append(
                    line(
                        name,
                        parameter,
                        f"{target:.4f}",
                        *(published(paper, k) for paper in (row.srgn, row.dctr)),
                        method,
                        f"{found.mean:.5f}",
                        f"{found.pull:+.1f}",
                        *(
                            f"{number:.5f}" if np.isfinite(number) else ""
                            for number in (found.quoted, found.of_seeds, found.of_samples)
                        ),
                        auc,
                        f"{found.scaled:.5f}",
                        f"{wanted:.4f}" if np.isfinite(wanted) else "",
                    )
                )
                title = f"{name}, {parameter}, {method}"
                verdicts.append(verdict(f"{title}: |pull|", abs(found.pull), 0.0, LARGEST_PULL))
                if np.isfinite(wanted):
                    scaled = f"{title}: error at 9·10⁵ jets"
                    verdicts.append(verdict(scaled, found.scaled, 0.0, wanted))
            notes += [f"{name}, {method}: {note}" for note in first.messages]
    return [*lines, "", *verdicts, "", *dict.fromkeys(notes)]


def published(paper: Sequence[Measured], k: int) -> str:
    """Format what a paper found; nothing where it has no such fit."""
    return f"{paper[k][0]:.4f} ± {paper[k][1]:.4f}" if paper else ""


def add_command(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add ``parton_shower`` to the commands."""
    command = commands.add_parser(
        "parton_shower", parents=[common], help="Table III, and Table I and II of the DCTR paper"
    )
    command.add_argument("--jets", type=int, default=200_000, help="of each sample")
    command.add_argument("--samples", type=int, nargs="+", default=[0], help="seeds of the jets")
    command.add_argument("--seeds", type=int, default=1, help="of networks, on the same jets")
    command.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    ways = list(METHODS)
    command.add_argument("--methods", nargs="+", choices=ways, default=ways[:2])
    command.add_argument("--epochs", type=int, help="of the weights; default: theirs")
    command.add_argument("--path", type=Path, help="file that finished fits are kept in")
    command.add_argument("--n-jobs", type=int, help="processes that generate jets")


def run(arguments: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """Fit what is left to fit; return what to print, and all numbers."""
    finished = read(arguments.path)
    for fit in new_fits(arguments, finished):
        finished[fit.key] = fit
        if arguments.path is not None:
            with arguments.path.open("a") as file:
                file.write(json.dumps(asdict(fit), ensure_ascii=False) + "\n")
    lines = table(arguments, finished)
    title = f"{arguments.jets} jets a sample, {arguments.seeds} seeds, samples {arguments.samples}."
    return [title, "", *lines], {"lines": lines, "fits": [asdict(f) for f in finished.values()]}
