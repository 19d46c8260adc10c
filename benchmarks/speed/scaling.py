"""Time and peak memory of training and prediction against the number of events and of features.

Events are float32 in a file mapped into memory: half at θ₀ = 0, half at θ from -1 to 1, which
shifts the first of the features, all Gaussian. Every figure is that of a process of its own, after
a small fit that loads all there is to load:

- epochs: two epochs of both default networks, without the refit of the couplings;
- fit: `DCTRReweighter().fit` with defaults;
- predict: `predict_weights` at one θ, from file to file.

Time is that of the processor, which other work on the machine hardly changes. Memory is the rise
of the process's peak, pages of mapped files included, over the bytes of the input. Each may be
measured by itself, and `--large` predicts one large file only:

    python benchmarks/speed/scaling.py --json scaling.json --plot docs/images/scaling.png
    python benchmarks/speed/scaling.py --large 1e8 --folder /somewhere/with/space
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skdctr import DCTRReweighter

# What folders of benchmarks share is one folder up.
sys.path.append(str(Path(__file__).parents[1]))
from _memory import peak

EVENTS = (10_000, 100_000, 1_000_000, 10_000_000)
FEATURES = (1, 3, 10, 30, 100)
FEATURES_OF_EVENTS, EVENTS_OF_FEATURES = 4, 100_000
TASKS = ("epochs", "fit", "predict")
TARGET = 3.0
_ROWS = 1 << 18
# Events of the small fit, from either side of the middle.
_WARM = 3000


def make_events(folder: Path, n: int, n_features: int) -> None:
    """Write features and θ of n events, a part at a time."""
    events, theta = (
        np.lib.format.open_memmap(folder / name, "w+", np.float32, shape)
        for name, shape in (("x.npy", (n, n_features)), ("theta.npy", (n,)))
    )
    for start in range(0, n, _ROWS):
        rng = np.random.default_rng(start)
        rows = np.arange(start, min(start + _ROWS, n))
        theta[rows] = np.where(rows < n // 2, 0.0, rng.uniform(-1, 1, len(rows)))
        part = rng.standard_normal((len(rows), n_features), dtype=np.float32)
        part[:, 0] += theta[rows]
        events[rows[0] : rows[-1] + 1] = part


def measure(task: str, folder: Path) -> dict[str, float]:
    """Do one task in this process."""
    events, theta = (np.load(folder / name, mmap_mode="r") for name in ("x.npy", "theta.npy"))
    n = len(events)
    settings = {"max_epochs": 2, "refit": False} if task == "epochs" else {}
    middle = slice(max(0, n // 2 - _WARM), n // 2 + _WARM)
    few = {"random_state": 1, "max_epochs": 2}
    reweighter = DCTRReweighter(**{**few, **settings}).fit(events[middle], theta[middle])
    reweighter.predict_weights(events[middle], 0.5)
    input_bytes = events.nbytes
    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    if task == "predict":
        out = np.lib.format.open_memmap(folder / "weights.npy", "w+", np.float64, (n,))
        reweighter.predict_weights(events, 0.5, out=out)
    else:
        input_bytes += theta.nbytes
        DCTRReweighter(random_state=1, **settings).fit(events, theta)
    return {
        "seconds": time.process_time() - cpu,
        "wall": time.perf_counter() - start,
        "peak": peak() - before,
        "input": input_bytes,
    }


def in_own_process(task: str, folder: Path) -> dict[str, float]:
    """Do one task in a process of its own."""
    found = subprocess.run(
        [sys.executable, __file__, "--measure", task, "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(found.stdout)
    return result


def sweep(
    cases: list[tuple[int, int]], tasks: list[str], folder: str | None
) -> list[dict[str, Any]]:
    """Measure tasks on samples of so many events and features."""
    rows = []
    for n, n_features in cases:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            make_events(Path(name), n, n_features)
            for task in tasks:
                row = {"task": task, "n": n, "f": n_features, **in_own_process(task, Path(name))}
                rows.append(row)
                show(row)
    return rows


def show(row: dict[str, Any]) -> None:
    """Print one measurement."""
    ratio = row["peak"] / row["input"]
    verdict = ""
    if row["task"] == "epochs" and row["n"] >= 1_000_000:
        verdict = "met" if ratio <= TARGET else "MISSED"
    print(
        f"{row['task']:<8} {row['n']:>10} {row['f']:>4} {row['seconds']:9.2f} s "
        f"{row['n'] / row['seconds']:>11.0f}/s {row['peak'] / 2**20:8.0f} MiB {ratio:7.2f}  "
        f"{verdict}",
        flush=True,
    )


def predict_large(n: int, folder: str | None) -> None:
    """Predict a large file, and compare with reading it."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        make_events(Path(name), n, FEATURES_OF_EVENTS)
        row = in_own_process("predict", Path(name))
        show({"task": "predict", "n": n, "f": FEATURES_OF_EVENTS, **row})
        events = np.load(Path(name) / "x.npy", mmap_mode="r")
        start = time.perf_counter()
        for first in range(0, n, _ROWS):
            events[first : first + _ROWS].sum()
        seconds = time.perf_counter() - start
    print(
        f"{row['input'] / 2**30:.2f} GiB in {row['seconds']:.1f} s of the processor, "
        f"{row['wall']:.1f} s in all: {row['input'] / row['wall'] / 2**20:.0f} MiB/s; reading it "
        f"alone takes {seconds:.1f} s"
    )


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw time and memory, each with a line of proportionality."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    by_events = [row for row in rows if row["f"] == FEATURES_OF_EVENTS]
    by_features = [row for row in rows if row["f"] != FEATURES_OF_EVENTS]
    labels = {"epochs": "two epochs", "fit": "fit, defaults", "predict": "prediction"}
    markers = dict(zip(TASKS, "so^", strict=True))
    for axis, chosen, key in ((axes[0], by_events, "n"), (axes[1], by_features, "f")):
        for task, label in labels.items():
            points = sorted((r[key], r["seconds"]) for r in chosen if r["task"] == task)
            if not points:
                continue
            x, y = map(np.array, zip(*points, strict=True))
            (line,) = axis.loglog(x, y, marker=markers[task], label=label)
            axis.loglog(x, y[-1] * x / x[-1], ls=":", lw=1, color=line.get_color())
        axis.set_ylabel("processor time [s]")
    axes[0].set(xlabel="events", title=f"{FEATURES_OF_EVENTS} features")
    axes[1].set(xlabel="features", title=f"{EVENTS_OF_FEATURES:,} events".replace(",", "\u202f"))
    axes[0].plot([], [], "k:", lw=1, label="proportional")
    axes[0].legend()
    for task in labels:
        points = sorted((r["n"], r["peak"] / 2**20) for r in by_events if r["task"] == task)
        if points:
            x, y = map(np.array, zip(*points, strict=True))
            # A logarithm has no zero.
            axes[2].loglog(x, np.maximum(y, 1.0), marker=markers[task])
    sizes = sorted({(r["n"], r["input"] / 2**20) for r in by_events if r["task"] != "predict"})
    if sizes:
        x, size = map(np.array, zip(*sizes, strict=True))
        axes[2].loglog(x, TARGET * size, "k--", lw=1, label="3 times the input")
    axes[2].set(xlabel="events", ylabel="peak memory [MiB]", title="memory", ylim=(0.7, None))
    axes[2].legend(loc="upper left")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=float, nargs="*", default=EVENTS, metavar="N")
    parser.add_argument("--features", type=int, nargs="*", default=FEATURES, metavar="F")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--folder", help="where files of events are written")
    parser.add_argument("--large", type=float, metavar="N", help="predict so many events only")
    parser.add_argument("--json", type=Path, help="keep the results, and add to those in it")
    parser.add_argument("--plot", type=Path, help="draw what --json has")
    parser.add_argument("--measure", choices=TASKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, Path(args.folder))))
        return
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("task         events feat.        time        rate      peak  over input")
    if args.large:
        predict_large(int(args.large), args.folder)
        return
    cases = [(int(n), FEATURES_OF_EVENTS) for n in args.events]
    cases += [(EVENTS_OF_FEATURES, f) for f in args.features]
    rows = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    rows += sweep(cases, args.tasks, args.folder)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
