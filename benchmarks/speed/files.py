"""Ten of 1500 branches of a ROOT file, beside plain uproot.

The file has 1000 flags and 500 numbers of each event, like a NanoAOD. Every reader opens it anew
and takes its turn in each repetition; figures are medians.

Usage: python benchmarks/speed/files.py [--events N] [--repeat R]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import uproot

from skdctr.datasets import events_to_npy, iterate_events, read_events

COLUMNS = [f"value_{50 * k}" for k in range(10)]
TARGET = 1.2


def write(path: Path, n_events: int) -> None:
    """Write the file."""
    rng = np.random.default_rng(0)
    table = {f"flag_{k}": rng.random(n_events) < 0.1 for k in range(1000)}
    table |= {f"value_{k}": rng.normal(size=n_events).astype(np.float32) for k in range(500)}
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: values.dtype for name, values in table.items()})
        file["Events"].extend(table)


def plain(path: Path) -> pd.DataFrame:
    """Read the branches by uproot alone."""
    with uproot.open(path) as file:
        return pd.DataFrame(file["Events"].arrays(COLUMNS, library="np"))


def main() -> None:
    """Time all readers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, output = Path(folder) / "nano.root", Path(folder) / "events.npy"
        write(path, arguments.events)
        readers: dict[str, Callable[[], Any]] = {
            "plain uproot": lambda: plain(path),
            "read_events": lambda: read_events(path, COLUMNS, tree="Events"),
            "iterate_events": lambda: list(iterate_events(path, COLUMNS, tree="Events")),
            "events_to_npy": lambda: events_to_npy(path, output, COLUMNS, tree="Events"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(arguments.repeat):
            for name, reader in readers.items():
                start = time.perf_counter()
                reader()
                seconds[name].append(time.perf_counter() - start)
    print(f"| reader | seconds | ratio | wanted {TARGET} |\n|---|---|---|---|")
    for name, times in seconds.items():
        ratio = median(times) / median(seconds["plain uproot"])
        met = "**met**" if ratio <= TARGET else "missed"
        print(f"| {name} | {median(times):.2f} | {ratio:.2f} | {met} |")


if __name__ == "__main__":
    main()
