"""The plan of blocks of events, which follows from a seed, and their run in several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from skdctr._utils.arguments import check_flag
from skdctr._utils.numbers import check_count
from skdctr._utils.parallel import check_n_jobs
from skdctr.datasets.generator import pythia
from skdctr.datasets.generator.parameters import PARAMETERS

__all__ = ["plan_blocks", "run_blocks"]


def plan_blocks(
    ranges: Mapping[str, tuple[float, float]],
    total: int,
    per_theta: int,
    entropy: list[int],
    *,
    pythia_names: Mapping[str, str] | None = None,
) -> tuple[NDArray[np.float64], list[pythia.Block]]:
    """Draw the parameters and the seeds of all events.

    Parameters
    ----------
    ranges : mapping of str to tuple
        Range (low, high) of each of the p parameters, with low = high for a fixed one.
    total : int
        Number of events.
    per_theta : int
        Number of events in a row at the same parameters.
    entropy : list of int
        Seed, to which the ranges are added.
    pythia_names : mapping of str to str, default=None
        Pythia's name of every parameter. None stands for those of `PARAMETERS`.

    Returns
    -------
    theta : ndarray of shape (k, p)
        Parameters of the first `per_theta` events, of the next ones, and so on.
    blocks : list of Block
        The blocks to generate, in the order of the events.
    """
    if pythia_names is None:
        pythia_names = {name: known.pythia_name for name, known in PARAMETERS.items()}
    n_theta = -(-total // per_theta)
    limits = np.array(list(ranges.values()), dtype="<f8")
    low, high = limits.T
    theta, blocks = np.empty((n_theta, len(ranges))), []
    # Without the parameters in the seed, two samples of one seed and different parameters would be
    # correlated event by event, where users expect independent ones.
    entropy = [*entropy, *limits.ravel().view("<u4").tolist()]
    for i, seed in enumerate(np.random.SeedSequence(entropy).spawn(n_theta)):
        rng = np.random.default_rng(seed)
        theta[i] = low + (high - low) * rng.random(len(ranges))
        settings = tuple(
            (pythia_names[name], float(value)) for name, value in zip(ranges, theta[i], strict=True)
        )
        left = min(per_theta, total - i * per_theta)
        while left:
            n = min(left, pythia.MAX_BATCH)
            pythia_seed = int(rng.integers(1, pythia.MAX_SEED, endpoint=True))
            blocks.append(pythia.Block(n, settings, pythia_seed))
            left -= n
    return theta, blocks


def check_run(n_jobs: Any, verbose: Any, **flags: Any) -> None:
    """Check how events are to be generated.

    Parameters
    ----------
    n_jobs, verbose
        As `run_blocks` takes them.
    **flags : object
        Arguments that have to be True or False.

    Raises
    ------
    TypeError, ValueError
        If one is something else.
    """
    check_n_jobs(n_jobs)
    check_count("verbose", verbose, least=0)
    for name, value in flags.items():
        check_flag(name, value)


def run_blocks(
    blocks: list[pythia.Block],
    generate: Callable[[list[pythia.Block]], pythia.Columns],
    *,
    n_jobs: int | None,
    verbose: int,
) -> pythia.Columns:
    """Generate blocks in several processes.

    Parameters
    ----------
    blocks : list of Block
        The blocks to generate.
    generate : callable
        Generates a list of blocks, each event of which depends on nothing but its block. It
        travels to other processes, so it must be picklable.
    n_jobs : int or None
        Number of processes, as in joblib.
    verbose : int
        Whether to show a progress bar.

    Returns
    -------
    dict of str to ndarray
        What one call of `generate` for all blocks returns, whatever the number of processes.
    """
    total = sum(block.n_events for block in blocks)
    # A task is long enough to hide the 0.05 s that a new Pythia takes, and short enough to keep
    # every process busy.
    size = min(max(total // (4 * joblib.effective_n_jobs(n_jobs)), 500), 4 * pythia.MAX_BATCH)
    tasks: list[list[pythia.Block]] = []
    room = 0
    for block in blocks:
        if room <= 0:
            tasks.append([])
            room = size
        tasks[-1].append(block)
        room -= block.n_events
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    parts: list[pythia.Columns] = []
    with tqdm(total=total, desc="Pythia 8", unit="event", disable=not verbose) as progress:
        results = parallel(joblib.delayed(generate)(task) for task in tasks)
        for task, part in zip(tasks, results, strict=True):
            parts.append(part)
            progress.update(sum(block.n_events for block in task))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
