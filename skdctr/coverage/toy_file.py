"""The file of finished toys: which campaign it is of, and what it has already."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skdctr._utils.arguments import as_path
from skdctr._utils.device import spawn_seeds
from skdctr._utils.fingerprint import describe
from skdctr._utils.record_file import RecordFile
from skdctr._utils.typing import FloatArray
from skdctr.coverage.result import CoverageResult

__all__ = ["described", "finished_toys", "open_toys", "read_toys", "seed_of"]

Function = Callable[..., Any]


def read_toys(path: str | Path) -> CoverageResult:
    """Read the finished toys of a file, also while `run_toys` is adding to it.

    Parameters
    ----------
    path : str or Path
        File that `run_toys` was given.

    Returns
    -------
    CoverageResult
        The toys that were finished when the file was read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a file of toys, has none yet, or its first line is damaged.

    Warns
    -----
    UserWarning
        If lines of the file are damaged, which are left out, or it was written by an earlier
        version, whose files have no checksums.
    """
    path = as_path("path", path)
    file = RecordFile.read(path, "toy")
    if not file.rows:
        raise ValueError(f"{path} holds no toys yet.")
    return CoverageResult.from_rows(list(file.rows.values()), file.settings["seed"])


def seed_of(random_state: Any) -> int:
    """Return the seed that was given, or a fresh one.

    Raises
    ------
    ValueError
        If it is negative.
    """
    if random_state is None:
        # The file is JSON, of which every reader keeps 53 bits.
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(11))
    if isinstance(random_state, (int, np.integer)):
        if random_state < 0:
            raise ValueError(f"random_state={random_state}: a seed is not negative.")
        return int(random_state)
    (seed,) = spawn_seeds(random_state, 1)
    return seed


def described(**functions: Function) -> dict[str, tuple[Any, str]]:
    """Describe functions by their contents, and as files of format 1 have them, by their names.

    Raises
    ------
    TypeError
        If there is something in one of them whose contents cannot be compared.
    """
    return {name: (describe(one, name), _by_name(one)) for name, one in functions.items()}


def open_toys(
    path: str | Path,
    seed: int,
    functions: dict[str, tuple[Any, str]],
    *,
    free: Collection[str],
    retry_failed: bool,
) -> RecordFile:
    """Open the file for this campaign.

    Parameters
    ----------
    path : str or Path
        The file; it is made where there is none.
    seed : int
        The seed of the campaign.
    functions : dict of str to tuple
        What `described` has returned.
    free : collection of str
        "seed", if that of the file counts.
    retry_failed : bool
        Whether toys that failed will be made again.

    Raises
    ------
    ValueError
        If it is no file of toys, or has those of another campaign.
    """
    return RecordFile(
        path,
        "toy",
        {"seed": seed, **{name: content for name, (content, _) in functions.items()}},
        free=free,
        earlier={name: by_name for name, (_, by_name) in functions.items()},
        again=lambda row: retry_failed and bool(row["failure"]),
    )


def finished_toys(
    file: RecordFile, truths: list[FloatArray | None], *, retry_failed: bool
) -> dict[int, dict[str, Any]]:
    """Return the toys of the file that are asked for and need not be made, by their numbers.

    Raises
    ------
    ValueError
        If one of them has another truth than is asked for.
    """
    rows = {toy: row for toy, row in file.rows.items() if toy < len(truths)}
    for toy, row in rows.items():
        truth = truths[toy]
        if truth is not None and row["truth"] != truth.tolist():
            raise ValueError(
                f"{file.path} holds toy {toy} with theta={row['truth']}, not {truth.tolist()}: go "
                "on with the same theta, or choose another path."
            )
    return {toy: row for toy, row in rows.items() if not (retry_failed and row["failure"])}


def _by_name(function: Function) -> str:
    """Name a function with what `functools.partial` binds, as format 1 does."""
    if isinstance(function, partial):
        bound = [repr(value) for value in function.args]
        bound += [f"{key}={value!r}" for key, value in sorted(function.keywords.items())]
        # The address in a repr differs from one process to the next.
        bound = [text.partition(" at 0x")[0] for text in bound]
        return f"{_by_name(function.func)}({', '.join(bound)})"
    return str(getattr(function, "__qualname__", type(function).__qualname__))
