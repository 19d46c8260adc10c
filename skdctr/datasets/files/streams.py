"""The readers of tables larger than memory: a part at a time, or mapped from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdctr._utils.atomic import replacing
from skdctr._utils.numbers import check_count
from skdctr.datasets.files.readers import Columns, PathLike, open_table, rename_columns
from skdctr.datasets.files.units import warn_about_columns
from skdctr.events.chunks import release

__all__ = ["events_to_npy", "iterate_events"]

_CHUNK_SIZE = 1_000_000


def iterate_events(
    path: PathLike | Sequence[PathLike],
    columns: Columns = None,
    *,
    tree: str | None = None,
    chunk_size: int = _CHUNK_SIZE,
) -> Iterator[pd.DataFrame]:
    """Read a table of events a part at a time, from files larger than memory.

    Parameters
    ----------
    path : str or path, or sequence of these
        Files that end in ``.parquet`` or ``.root``, read one after the other.
    columns : sequence of str, mapping of str to str, or None, default=None
        As for `read_events`. None reads all of the first file, which the others must have too.
    tree : str, default=None
        Name of the tree in ROOT files.
    chunk_size : int, default=1000000
        The largest number of events in a part.

    Yields
    ------
    DataFrame of shape (n, n_columns)
        The next events. The index counts them through all files.

    Raises
    ------
    ImportError, FileNotFoundError, ValueError
        As by `read_events`, and for all files before the first part; ValueError also if
        `chunk_size` is below 1.
    TypeError
        If `chunk_size` is no integer.

    Warns
    -----
    UnitWarning
        As by `read_events`, by the first part.

    See Also
    --------
    events_to_npy : The same into a file that training can read.

    Examples
    --------
    >>> for part in iterate_events("nominal.root", ["pt", "eta"]):  # doctest: +SKIP
    ...     weights = reweighter.predict_weights(part, theta=0.13)
    """
    chunk_size = check_count("chunk_size", chunk_size, advice="pass a number of events")
    files, wanted, _ = _survey(path, columns, tree)
    return _parts(files, wanted, columns, tree, chunk_size)


def events_to_npy(
    path: PathLike | Sequence[PathLike],
    output: PathLike,
    columns: Columns = None,
    *,
    tree: str | None = None,
    dtype: Any = np.float32,
    chunk_size: int = _CHUNK_SIZE,
) -> np.memmap[Any, Any]:
    """Copy a table of events to a ``.npy`` file, and map that into memory.

    Estimators take the result, and its columns, in place of an array. It may be larger than
    memory.

    Parameters
    ----------
    path : str or path, or sequence of these
        Files that end in ``.parquet`` or ``.root``.
    output : str or path
        File to write, ending in ``.npy``. One of this name is replaced once all is written.
    columns : sequence of str, mapping of str to str, or None, default=None
        As for `iterate_events`.
    tree : str, default=None
        Name of the tree in ROOT files.
    dtype : {float32, float64}, default=float32
        Precision. Networks see no more than the seven digits of float32.
    chunk_size : int, default=1000000
        Number of events that are copied at a time.

    Returns
    -------
    memmap of shape (n_events, n_columns)
        The events, read-only and with the columns in the order of `columns`;
        ``numpy.load(output, mmap_mode="r")`` maps the same file again.

    Raises
    ------
    ImportError, FileNotFoundError, TypeError, ValueError
        As by `iterate_events`; ValueError also if `output` or `dtype` is not as described.

    Examples
    --------
    >>> table = events_to_npy("gen.root", "gen.npy", ["pt", "eta", "alpha_s"])  # doctest: +SKIP
    >>> DCTRReweighter().fit(table[:, :2], table[:, 2])  # doctest: +SKIP
    """
    target = Path(output).expanduser()
    if target.suffix != ".npy":
        raise ValueError(f"output ends in {target.suffix!r}, expected '.npy': {target}.")
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r}; expected float32 or float64.")
    parts = iterate_events(path, columns, tree=tree, chunk_size=chunk_size)
    _, wanted, n_events = _survey(path, columns, tree)
    with replacing(target) as draft:
        table = np.lib.format.open_memmap(draft, "w+", kind, (n_events, len(wanted)))
        start = 0
        for part in parts:
            rows = table[start : start + len(part)]
            rows[:] = part.to_numpy(dtype=kind)
            release(rows)
            start += len(part)
        table.flush()
        # Where files that are mapped cannot be moved, these must go first.
        del table, rows
    mapped: np.memmap[Any, Any] = np.load(target, mmap_mode="r")
    return mapped


def _parts(
    files: list[Path], wanted: list[str], columns: Columns, tree: str | None, chunk_size: int
) -> Iterator[pd.DataFrame]:
    """Give the parts of checked files, one after the other."""
    start = 0
    for file in files:
        _, table, _ = open_table(file, wanted, tree)
        for frame in table.parts(wanted, chunk_size):
            part = rename_columns(frame, columns)
            part.index = pd.RangeIndex(start, start + len(part))
            if not start:
                warn_about_columns(part, file.name)
            start += len(part)
            yield part


def _survey(
    path: PathLike | Sequence[PathLike], columns: Columns, tree: str | None
) -> tuple[list[Path], list[str], int]:
    """Check all files before the first is read.

    Returns
    -------
    files : list of Path
        The files.
    wanted : list of str
        The columns to read, by their names in the files.
    n_events : int
        Number of events in all files together.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not paths:
        raise ValueError("path is an empty sequence; expected at least one file.")
    files, n_events = [], 0
    for each in paths:
        file, table, wanted = open_table(each, columns, tree)
        columns = wanted if columns is None else columns
        files.append(file)
        n_events += table.n_events
    return files, wanted, n_events
