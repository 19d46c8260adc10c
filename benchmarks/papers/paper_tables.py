"""The numbers of the papers' tables beside ours.

``gaussian`` refits Table I (μ) and Table II (μ, σ) of the SRGN paper at both levels. Every toy
draws all samples afresh, learns the weights and fits with `SRGNFitter` as it comes, so that the
spread over toys is the full error of one measurement. The paper's errors are spreads over runs
on one set of samples, outliers removed.

``parton_shower`` refits Table III, and Table I and II of the DCTR paper, see ``_parton_shower.py``.

``top_mass`` refits Table IV, see ``_top_mass.py``.

Usage: python benchmarks/papers/paper_tables.py gaussian [--events N] [--toys K] [--table 1|2]
       python benchmarks/papers/paper_tables.py parton_shower [--jets N] [--rows ROW ...]
       python benchmarks/papers/paper_tables.py top_mass [table] [acceptance] [pulls] [blinded]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import _parton_shower
import _top_mass
import numpy as np
import torch
from _tables import verdict
from tqdm import tqdm

from skdctr import SRGNFitter, __version__
from skdctr.datasets import make_gaussian, make_gaussian_2d
from skdctr.exceptions import ConvergenceWarning, SkdctrWarning


@dataclass(frozen=True)
class Table:
    """One table of the SRGN paper and what ours has to reach.

    Attributes
    ----------
    make : callable
        Draws the samples of one toy.
    paper : dict
        (value, error) of each parameter by level.
    bias, spread : float
        Largest absolute bias and largest spread over toys, at simulation level.
    evaluations : int
        Most values of θ tried.
    """

    make: Callable[..., Any]
    paper: dict[str, dict[str, tuple[float, float]]]
    bias: float
    spread: float
    evaluations: int


TABLES = {
    1: Table(
        make_gaussian,
        {"generator": {"mu": (0.998, 0.013)}, "simulation": {"mu": (1.000, 0.017)}},
        bias=0.008,
        spread=0.010,
        evaluations=15,
    ),
    2: Table(
        make_gaussian_2d,
        {
            "generator": {"mu": (-0.994, 0.014), "sigma": (0.746, 0.013)},
            "simulation": {"mu": (-0.997, 0.017), "sigma": (0.747, 0.017)},
        },
        bias=0.012,
        spread=0.012,
        evaluations=40,
    ),
}
SECONDS = 180.0


@dataclass
class Fit:
    """One fit: the numbers of its result."""

    theta: list[float]
    error: list[float]
    auc: float
    auc_error: float
    evaluations: int
    seconds: float
    messages: list[str]


@dataclass
class Row:
    """One parameter over many fits, and the paper's numbers."""

    title: str
    parameter: str
    target: float
    paper: tuple[float, float] | None
    values: list[float]
    errors: list[float]
    evaluations: int
    seconds: float
    mean: float = field(init=False)
    bias: float = field(init=False)
    bias_error: float = field(init=False)
    spread: float = field(init=False)
    quoted: float = field(init=False)
    pull_width: float = field(init=False)

    def __post_init__(self) -> None:
        values, errors = np.array(self.values), np.array(self.errors)
        several = len(values) > 1
        self.mean = float(values.mean())
        self.bias = self.mean - self.target
        self.spread = float(values.std(ddof=1)) if several else float("nan")
        self.bias_error = self.spread / float(np.sqrt(len(values)))
        self.quoted = float(errors.mean())
        # Around the target: a common bias shows in it too.
        self.pull_width = float(np.sqrt(np.mean(((values - self.target) / errors) ** 2)))

    @classmethod
    def rows(
        cls,
        title: str,
        names: Iterable[str],
        targets: Iterable[float],
        paper: dict[str, tuple[float, float]],
        fits: list[Fit],
    ) -> list[Row]:
        """Make one row per parameter."""
        return [
            cls(
                title,
                name,
                float(target),
                paper.get(name),
                [fit.theta[k] for fit in fits],
                [fit.error[k] for fit in fits],
                max(fit.evaluations for fit in fits),
                max(fit.seconds for fit in fits),
            )
            for k, (name, target) in enumerate(zip(names, targets, strict=True))
        ]

    def line(self, digits: int) -> str:
        """Format as a row of the Markdown table."""
        number = f".{digits}f"
        paper = "" if self.paper is None else f"{self.paper[0]} ± {self.paper[1]}"
        cells = [
            self.title,
            self.parameter,
            f"{self.target:g}",
            paper,
            f"{self.mean:{number}} ± {self.spread:{number}}",
            f"{self.bias:+{number}} ± {self.bias_error:{number}}",
            f"{self.quoted:{number}}",
            f"{self.pull_width:.2f}",
            f"{self.evaluations}",
            f"{self.seconds:.0f}",
        ]
        return "| " + " | ".join(cells) + " |"


HEADER = (
    "| level | parameter | target | paper | mean ± spread | bias | quoted error | pull width "
    "| evaluations | seconds |\n|---|---|---|---|---|---|---|---|---|---|"
)


def fit(seed: int, sim_gen: Any, sim_reco: Any, **samples: Any) -> Fit:
    """Fit with defaults, weights learned on the way."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        # They are in the result's messages, printed below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SkdctrWarning)
        result = SRGNFitter(random_state=seed).fit(sim_gen, sim_reco, **samples).result_
    return Fit(
        result.theta.tolist(),
        result.errors.tolist(),
        result.auc,
        result.auc_error,
        result.n_evaluations,
        time.perf_counter() - start,
        list(result.messages),
    )


def report(title: str, done: Fit) -> None:
    """Tell of one fit on stderr."""
    values = ", ".join(
        f"{value:.5f} ± {error:.5f}" for value, error in zip(done.theta, done.error, strict=True)
    )
    notes = "".join(f"\n    ! {message}" for message in done.messages)
    tqdm.write(
        f"{title}: {values}, AUC {done.auc:.4f} ± {done.auc_error:.4f}, "
        f"{done.evaluations} evaluations, {done.seconds:.0f} s{notes}",
        file=sys.stderr,
    )


def gaussian(arguments: argparse.Namespace) -> tuple[list[Row], list[str], int]:
    """Fit fresh toys of the Gaussian examples."""
    rows: list[Row] = []
    verdicts: list[str] = []
    tables = [arguments.table] if arguments.table else sorted(TABLES)
    # torch loads its optimizers at first use.
    warm = make_gaussian(2000, random_state=0)
    fit(0, warm.sim_gen, None, data=warm.data_gen, gen=warm.gen, theta=warm.theta)
    total = len(tables) * len(arguments.levels) * arguments.toys
    with tqdm(total=total, unit="fit", leave=False) as bar:
        for number in tables:
            table = TABLES[number]
            fits: dict[str, list[Fit]] = {level: [] for level in arguments.levels}
            for toy in range(arguments.toys):
                seed = arguments.seed + toy
                bunch = table.make(arguments.events, random_state=seed)
                for level in arguments.levels:
                    reco, data = (
                        (bunch.sim_reco, bunch.data)
                        if level == "simulation"
                        else (None, bunch.data_gen)
                    )
                    done = fit(
                        seed, bunch.sim_gen, reco, data=data, gen=bunch.gen, theta=bunch.theta
                    )
                    report(f"Table {'I' * number}, {level}, toy {toy + 1}", done)
                    fits[level].append(done)
                    bar.update()
            for level in arguments.levels:
                made = Row.rows(
                    f"{'I' * number} {level}",
                    bunch.theta_names,
                    bunch.theta_true,
                    table.paper[level],
                    fits[level],
                )
                rows += made
                if level == "simulation":
                    for row in made:
                        name = f"Table {'I' * number}, {row.parameter}: "
                        verdicts += [
                            verdict(name + "|bias|", abs(row.bias), 0.0, table.bias),
                            verdict(name + "spread", row.spread, 0.0, table.spread),
                        ]
                    name = f"Table {'I' * number}: "
                    verdicts += [
                        verdict(name + "evaluations", made[0].evaluations, 0.0, table.evaluations),
                        verdict(name + "seconds of a toy", made[0].seconds, 0.0, SECONDS),
                    ]
    return rows, verdicts, 4


def write(path: Path | None, content: dict[str, Any]) -> None:
    """Write the numbers to a file, where one is named."""
    if path is not None:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", type=Path, help="write all numbers to this file too")
    common.add_argument("--seed", type=int, default=1, help="the first one")
    command = commands.add_parser("gaussian", parents=[common], help="Table I and II")
    command.add_argument("--events", type=int, default=1_000_000, help="of each kind")
    command.add_argument("--toys", type=int, default=5)
    command.add_argument("--table", type=int, choices=sorted(TABLES), help="default: both")
    levels = ("generator", "simulation")
    command.add_argument("--levels", nargs="+", choices=levels, default=levels)
    _parton_shower.add_command(commands, common)
    _top_mass.add_command(commands, common)
    arguments = parser.parse_args()
    versions = (
        f"skdctr {__version__}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"CPU ({torch.get_num_threads()} threads)."
    )
    others = {"parton_shower": _parton_shower.run, "top_mass": _top_mass.run}
    if arguments.command in others:
        lines, content = others[arguments.command](arguments)
        print(versions + "\n" + "\n".join(lines))
        write(arguments.json, content)
        return
    rows, verdicts, digits = gaussian(arguments)
    print(
        f"{arguments.events} events of each kind; {versions} "
        "Evaluations and seconds are the most of any fit.\n"
    )
    print(HEADER)
    for row in rows:
        print(row.line(digits))
    print("\n" + "\n".join(verdicts))
    write(arguments.json, {"rows": [asdict(row) for row in rows], "verdicts": verdicts})


if __name__ == "__main__":
    main()
