"""Forty cases with their exact log-ratio: weights, fits and errors are right, or a warning tells.

A toy draws generator sample, simulation and data of a case, trains one `DCTRReweighter`, and fits
with each objective by its weights. All have their defaults. Finished toys are lines of the file of
`--path`, from which an interrupted campaign goes on; they are of one state of the package's code.

Usage: python benchmarks/accuracy/cases.py --path FILE [--subset] [--cases NAME ...]
           [--events N] [--toys T] [--objectives NAME ...]
       python benchmarks/accuracy/cases.py --report FILE
       python benchmarks/accuracy/cases.py --compare OLD NEW
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _case import Case
from _case_report import compare, read_toys, report
from _cases import CASES, SUBSET
from _fisher import least_errors
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

import skdctr
from skdctr import DCTRReweighter, SRGNFitter
from skdctr._utils.record_file import claimed

OBJECTIVES = ("auc", "optimal_observable")
# Nominal events that weights are judged with, of which those in the core count.
_JUDGED = 40_000
_LONGEST_TEXT = 200


def code_of_package() -> str:
    """Compute a fingerprint of the package's code without comments and docstrings."""
    root = Path(skdctr.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                node.body = node.body[ast.get_docstring(node) is not None :]
        digest.update(f"{path.relative_to(root).as_posix()}{ast.dump(tree)}".encode())
    return digest.hexdigest()[:12]


def recorded(action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a part of a toy; add its processor time, its warnings by class, and its error."""
    start = time.process_time()
    failure, found = "", {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = action()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"[:_LONGEST_TEXT]
    texts = {str(warning.message)[:_LONGEST_TEXT] for warning in caught}
    return {
        **found,
        "seconds": round(time.process_time() - start, 2),
        "warnings": Counter(warning.category.__name__ for warning in caught),
        "texts": sorted(texts),
        "failure": failure,
    }


def learn(case: Case, sample: Bunch, seed: list[int]) -> tuple[DCTRReweighter, dict[str, Any]]:
    """Train the reweighter, and judge its weights at nominal events in the core."""
    reweighter = DCTRReweighter(device="cpu", random_state=seed[-1])

    def action() -> dict[str, Any]:
        weight = {} if sample.gen_weight is None else {"sample_weight": sample.gen_weight}
        reweighter.fit(sample.gen, sample.theta, **weight)
        return {}

    found = recorded(action)
    if not found["failure"]:
        x, theta = case.judge(_JUDGED, [*seed, 1])
        with warnings.catch_warnings():
            # Events beyond those of the training are told of where weights are used, in the fits.
            warnings.simplefilter("ignore")
            off = reweighter.predict_log_weights(x, theta) - case.log_ratio(x, theta)
        off = off[~np.isnan(off)]
        found["rms_log_w"] = float(np.sqrt(np.mean(off[np.isfinite(off)] ** 2)))
    return reweighter, found


def fit(
    case: Case, sample: Bunch, reweighter: DCTRReweighter, objective: str, seed: int
) -> dict[str, Any]:
    """Fit with the weights of the reweighter."""

    def action() -> dict[str, Any]:
        fitter = SRGNFitter(
            FrozenEstimator(reweighter), objective=objective, device="cpu", random_state=seed
        )
        result = fitter.fit(
            sample.sim_gen,
            sample.sim_reco,
            sample.data,
            gen=sample.gen,
            theta=sample.theta,
            gen_weight=sample.gen_weight,
            sample_weight=sample.sample_weight,
        ).result_
        off = result.theta - np.asarray(case.truth)
        return {
            "theta": result.theta.tolist(),
            "errors": result.errors.tolist(),
            "pulls": (off / result.errors).tolist(),
            "valid": bool(result.valid),
            "p_value": float(result.p_value),
        }

    return recorded(action)


def run_toy(
    case: Case, toy: int, n_events: int, objectives: list[str], bound: list[float] | None
) -> dict[str, Any]:
    """Draw a toy, train, fit, and return its line."""
    seed = [toy, zlib.crc32(case.name.encode())]
    sample = case.sample(n_events, seed)
    checksum = zlib.crc32(np.ascontiguousarray(sample.gen).tobytes())
    checksum = zlib.crc32(np.ascontiguousarray(sample.data).tobytes(), checksum)
    row: dict[str, Any] = {
        "case": case.name,
        "toy": toy,
        "events": n_events,
        "sample": f"{checksum:08x}",
        "truth": case.truth,
        "bound": bound,
    }
    reweighter, row["learning"] = learn(case, sample, seed)
    row["fits"] = {}
    if not case.two_samples and not row["learning"]["failure"]:
        for objective in objectives:
            row["fits"][objective] = fit(case, sample, reweighter, objective, seed[-1])
    return row


def summary(row: dict[str, Any]) -> str:
    """Put a toy on one line of the terminal."""
    learned = row["learning"]
    parts = [f"{row['case']} {row['toy']}: rms {learned.get('rms_log_w', np.nan):.3f}"]
    parts += [
        f"{objective} pulls {np.round(found.get('pulls', [np.nan]), 2).tolist()}"
        for objective, found in row["fits"].items()
    ]
    seconds = sum(found["seconds"] for found in (learned, *row["fits"].values()))
    return ", ".join([*parts, f"{seconds:.0f} s", learned["failure"]]).rstrip(", ")


def cut_torn_line(path: Path) -> None:
    """Drop what a kill has left of a last line, so that the next one begins where it began."""
    text = path.read_bytes()
    if not text.endswith(b"\n"):
        path.write_bytes(text[: text.rfind(b"\n") + 1])


def run(given: argparse.Namespace) -> None:
    """Run the toys that the file lacks: the first one of all cases, then the second, and so on."""
    code, n_events = code_of_package(), int(given.events)
    names = given.cases or (SUBSET if given.subset else list(CASES))
    done = set()
    cut_torn_line(given.path)
    for row in read_toys(given.path):
        if row["code"] != code:
            raise SystemExit(
                f"{given.path} holds toys of other code of skdctr ({row['code']}, this is {code}): "
                "choose another path."
            )
        done.add((row["case"], row["toy"], row["events"]))
    bounds = {name: least_errors(CASES[name], n_events) for name in names}
    for toy in range(given.toys):
        for name in names:
            if (name, toy, n_events) in done:
                continue
            bound = bounds[name]
            row = run_toy(
                CASES[name],
                toy,
                n_events,
                given.objectives,
                None if bound is None else bound.tolist(),
            )
            if code_of_package() != code:
                raise SystemExit("The code of skdctr has changed: this toy is not kept.")
            with given.path.open("a") as file:
                file.write(json.dumps({"code": code, **row}) + "\n")
            print(summary(row), flush=True)


def main() -> None:
    """Run the toys, or show what they say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--path", type=Path, help="file that finished toys are kept in")
    what.add_argument("--report", type=Path, metavar="FILE", help="print the tables of a file")
    what.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"))
    parser.add_argument("--subset", action="store_true", help="12 of the cases")
    parser.add_argument("--cases", nargs="+", choices=CASES, metavar="NAME")
    parser.add_argument("--events", type=float, default=2e4, help="of each sample")
    parser.add_argument("--toys", type=int, default=None, help="default 5, of the subset 1")
    parser.add_argument(
        "--objectives", nargs="+", choices=[*OBJECTIVES, "loss"], default=list(OBJECTIVES)
    )
    given = parser.parse_args()
    given.toys = given.toys or (1 if given.subset else 5)
    if given.report:
        print(report(read_toys(given.report)))
    elif given.compare:
        print(compare(*(read_toys(path) for path in given.compare)))
    else:
        # The process is the benchmark's own.
        torch.set_num_threads(1)  # noqa: TID251
        with claimed(given.path):
            run(given)


if __name__ == "__main__":
    main()
