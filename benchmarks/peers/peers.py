"""skdctr side by side with other packages: time, memory, and what their weights achieve.

Every method runs on one task at a time, in a process of its own, in the virtual environment of
its package. This script makes the environments, from the pinned versions in
`_environments.py`, and the events; it judges all weights in the same way.

Reweighting (`_tasks.py`), from fixed distributions whose density ratio is known:

- skdctr: `DCTRReweighter`;
- hep_ml: `GBReweighter`;
- omnifold: `MultiFold`, one iteration;
- sbi: `NRE_A`, with θ = 0 or 1;
- skorch: a plain classifier, weights p/(1 − p).

Fit of the Gaussian mean behind a detector, Table I of the SRGN paper:

- skdctr: `SRGNFitter` with the optimal observable, and with its default objective;
- SRGN protocol: the published one, in Keras (`_protocol.py`).

Finished results stay in the file of `--path`, from which an interrupted run goes on; the tables
show all that it has. The environments take 4 GB. PyPI's torch brings CUDA along on Linux; set
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu for the much smaller build.

Usage: python benchmarks/peers/peers.py --path peers.jsonl --events 1e5 1e6 --fit-events 1e6 --docs
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _environments import default_folder, run_method
from _judge import judge
from _report import write_report
from _tasks import FEATURES, exact_log_weights, write_discrete, write_fit

DISCRETE = ("unweighted", "exact", "skdctr", "hep_ml", "omnifold", "sbi", "skorch")
FITS = ("skdctr, optimal observable", "skdctr, AUC", "SRGN protocol")
TRUTH = 1.0

Run = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One method on one sample.

    Attributes
    ----------
    kind : {"discrete", "fit"}
    method : str
    events : int
        Of each kind.
    features, judged : int
        Features of an event, and held-out events of each distribution; 0 in a fit.
    seed, threads : int
    """

    kind: str
    method: str
    events: int
    features: int
    judged: int
    seed: int
    threads: int


def finished(records: list[dict[str, Any]], task: Task, limit: float) -> bool:
    """Whether the task is done, or was given at least as much time before."""
    key = asdict(task)
    same = [record for record in records if all(record[k] == v for k, v in key.items())]
    return any(
        record["status"] == "ok" or (record["status"] == "limit" and record["limit"] >= limit)
        for record in same
    )


def read_records(path: Path | None) -> list[dict[str, Any]]:
    """Read finished results; a last line that was cut off is left out."""
    if path is None or not path.exists():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def do_discrete(task: Task, folder: Path, run: Run) -> dict[str, Any]:
    """Reweight and judge."""
    if not (folder / "nominal.npy").exists():
        write_discrete(folder, task.events, task.judged, task.features, task.seed)
    nominal, target = (np.load(folder / f"judged_{name}.npy") for name in ("nominal", "target"))
    log_exact = exact_log_weights(nominal.astype(float))
    if task.method == "exact":
        result, weight = {"status": "ok"}, np.exp(log_exact)
    elif task.method == "unweighted":
        result, weight = {"status": "ok"}, np.ones(len(nominal))
    else:
        (folder / "weights.npy").unlink(missing_ok=True)
        result = run(task.method, folder, task.seed)
        if result["status"] != "ok":
            return result
        weight = np.load(folder / "weights.npy")
    try:
        return {**result, **judge(nominal, target, weight, log_exact)}
    except ValueError as error:
        return {**result, "status": "failed", "message": str(error)}


def do_fit(task: Task, folder: Path, run: Run) -> dict[str, Any]:
    """Fit μ."""
    if not (folder / "data.npy").exists():
        write_fit(folder, task.events, task.seed)
    result = run(task.method, folder, task.seed)
    return {**result, "error": result["theta"] - TRUTH} if result["status"] == "ok" else result


def work(tasks: list[Task], path: Path | None, limit: float, run: Run) -> list[dict[str, Any]]:
    """Do what is not done yet; tasks of the same events follow one another."""
    records = read_records(path)
    with tempfile.TemporaryDirectory() as root:
        for task in tasks:
            if finished(records, task, limit):
                continue
            name = f"{task.kind}, {task.events} events, {task.features} features, seed {task.seed}"
            folder = Path(root) / name
            if not folder.exists():
                for other in Path(root).iterdir():
                    shutil.rmtree(other)
                folder.mkdir()
            print(f"{name}: {task.method} …", file=sys.stderr, flush=True)
            do = do_discrete if task.kind == "discrete" else do_fit
            records.append({**asdict(task), "limit": limit, **do(task, folder, run)})
            keep(records[-1], path)
    return records


def keep(record: dict[str, Any], path: Path | None) -> None:
    """Append a result to the file, on a line of its own also where the last one was cut off."""
    if path is None:
        return
    cut_off = path.exists() and not path.read_text().endswith("\n")
    with path.open("a") as file:
        file.write("\n" * cut_off + json.dumps(record) + "\n")


def plan(given: argparse.Namespace) -> list[Task]:
    """List the tasks, small ones first."""
    tasks = [
        Task("discrete", method, int(n), features, int(given.judged), given.seed, given.threads)
        for n in sorted(given.events)
        for features in given.features
        for method in DISCRETE
    ]
    tasks += [
        Task("fit", method, int(n), 0, 0, given.seed + toy, given.threads)
        for n in sorted(given.fit_events)
        for toy in range(given.toys)
        for method in FITS
    ]
    return [task for task in tasks if not given.methods or task.method in given.methods]


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=float, nargs="*", default=[1e5], metavar="N")
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES, choices=FEATURES)
    parser.add_argument("--judged", type=float, default=4e5, help="held-out events of each kind")
    parser.add_argument("--fit-events", type=float, nargs="*", default=[1e5], metavar="N")
    parser.add_argument("--toys", type=int, default=1, help="of the fit")
    parser.add_argument("--methods", nargs="+", choices=[*DISCRETE, *FITS], help="only these")
    parser.add_argument("--limit", type=float, default=3600, help="seconds a method and task")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--path", type=Path, help="file that finished results are kept in")
    parser.add_argument("--environments", type=Path, default=default_folder(), metavar="DIR")
    parser.add_argument("--docs", action="store_true", help="renew tables and picture in docs/")
    given = parser.parse_args()
    run = partial(
        run_method,
        environments=given.environments.absolute(),
        threads=given.threads,
        limit=given.limit,
    )
    records = work(plan(given), given.path, given.limit, run)
    print(f"{platform.machine()}, Python {platform.python_version()}, {given.threads} threads\n")
    docs = Path(__file__).parents[2] / "docs" if given.docs else None
    print(write_report([r for r in records if r["threads"] == given.threads], docs))


if __name__ == "__main__":
    main()
