"""Campaigns of cheap toys that are killed, or meet on one file; the tests start this as a script.

python _toy_job.py PATH N_KILLS N_RACES

A fork of a process that has everything imported costs milliseconds, in place of seconds. What
happened is printed as JSON.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from skdctr.coverage import read_toys, run_toys

TOYS_PER_KILL = 8
REFUSED = 3


def simulate(theta, random_state):
    return np.random.default_rng(random_state).normal(theta[0], 1.0, size=20)


def fit(sample, random_state):
    with Path("diary").open("a") as diary:
        diary.write(f"{random_state}\n")
    return SimpleNamespace(theta=[sample.mean()], covariance=[[0.05]], names=["mu"])


def campaign(path, n_toys):
    return run_toys(simulate, fit, n_toys=n_toys, theta=0.5, random_state=1, path=path)


def forked(path, n_toys):
    """Start the campaign in a process of its own."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            campaign(path, n_toys)
            code = 0
        except RuntimeError as error:
            code = REFUSED if "Another call" in str(error) else 1
        finally:
            os._exit(code)
    return process


def size(path):
    return Path(path).stat().st_size if Path(path).exists() else 0


def rows(path):
    """Read the toys of a file by their numbers, without the time that they took."""
    if not Path(path).exists() or not Path(path).read_bytes().count(b"\n") > 1:
        return {}
    frame = read_toys(path).frame.drop(columns="seconds")
    return {toy: row.tolist() for toy, row in frame.iterrows()}


def killed(path, n_kills):
    """Kill the campaign at random, and note whether a toy was lost, changed or made again."""
    rng = np.random.default_rng(1)
    known, said = {}, {"lost": 0, "kept": []}
    n_toys = TOYS_PER_KILL * n_kills
    for kill in range(n_kills):
        before = size(path)
        process = forked(path, n_toys)
        # Some die before the first toy, the others up to some six toys later.
        while kill % 4 and size(path) < before + rng.integers(1, 1500):
            time.sleep(0.0005)
        time.sleep(rng.uniform(0.0, 0.005))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        found = rows(path)
        said["lost"] += not known.items() <= found.items()
        known = found
        said["kept"].append(len(found))
    said["end"] = os.waitstatus_to_exitcode(os.waitpid(forked(path, n_toys), 0)[1])
    # A kill costs the toy that it hits, whose fit may have begun.
    made = Path("diary").read_text().split()
    said["again"] = len(made) - len(set(made))
    return said


def raced(path, n_races):
    """Start two campaigns on one file at once, many times; each may add toys only alone."""
    codes = []
    for k in range(n_races):
        pair = [forked(path, 5 * (k + 1)) for _ in range(2)]
        codes += [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in pair]
    return codes


if __name__ == "__main__":
    path, n_kills, n_races = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    said = killed(path, n_kills)
    said["codes"] = raced(f"{path}.race", n_races)
    frame = campaign(None, TOYS_PER_KILL * n_kills).frame.drop(columns="seconds")
    result = {
        **said,
        "same": rows(path) == {toy: row.tolist() for toy, row in frame.iterrows()},
        "lines": Path(path).read_bytes().count(b"\n"),
        "lines of the race": Path(f"{path}.race").read_bytes().count(b"\n"),
    }
    print(json.dumps(result))  # noqa: T201 - for who started it
