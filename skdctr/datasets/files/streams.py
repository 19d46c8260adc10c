"""The readers of tables larger than memory: a part at a time, or mapped from a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from skdctr._utils.arguments import as_path, named
from skdctr._utils.atomic import refuse_link, replacing
from skdctr._utils.numbers import check_count
from skdctr._utils.warn import warn_user
from skdctr.datasets.files.readers import Columns, PathLike, Paths, survey

__all__ = ["events_to_npy", "iterate_events"]

_CHUNK_SIZE = 1_000_000
# Above it float32 leaves out integers.
_EXACT: Final = 2**24


def iterate_events(
    path: Paths,
    columns: Columns = None,
    *,
    tree: str | None = None,
    chunk_size: int = _CHUNK_SIZE,
) -> Iterator[pd.DataFrame]:
    """Read a table of events a part at a time, from files larger than memory.

    Parameters
    ----------
    path : str or path, sequence of these, or mapping of these to str
        Files, patterns, directories and addresses, as for `read_events`, read one after the
        other. Files without events add none.
    columns : sequence of str, mapping of str to str, or None, default=None
        As for `read_events`. None reads all of the first file that has events, which the others
        must have too.
    tree : str, default=None
        Name of the tree in ROOT files that do not name one.
    chunk_size : int, default=1000000
        The largest number of events in a part.

    Yields
    ------
    DataFrame of shape (n, n_columns)
        The next events. The index counts them through all files. A column has one type in all
        parts, which holds what any of the files has in it.

    Raises
    ------
    ImportError, FileNotFoundError, ValueError
        As by `read_events`, and for all files before the first part; ValueError also if
        `chunk_size` is below 1.
    TypeError
        If `chunk_size` is no integer, or `path` or `columns` is of another kind.

    Warns
    -----
    UnitWarning
        As by `read_events`, by the first part of each file, and once for a column.
    UserWarning
        As by `read_events`, before the first part.

    See Also
    --------
    events_to_npy : The same into a file that training can read.

    Examples
    --------
    >>> for part in iterate_events("nominal.root", ["pt", "eta"]):  # doctest: +SKIP
    ...     weights = reweighter.predict_weights(part, theta=0.13)
    """
    chunk_size = check_count("chunk_size", chunk_size, advice="pass a number of events")
    return survey(path, columns, tree).parts(chunk_size)


def events_to_npy(
    path: Paths,
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
    path : str or path, sequence of these, or mapping of these to str
        As for `iterate_events`.
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
    OSError
        If the file cannot be written, of which nothing is left then, or `output` is a link.

    Warns
    -----
    UnitWarning, UserWarning
        As by `iterate_events`; UserWarning also if float32 cannot hold the numbers of a column:
        integers above 2²⁴, such as numbers of events, or values above 3.4e38.

    Examples
    --------
    >>> table = events_to_npy("gen.root", "gen.npy", ["pt", "eta", "alpha_s"])  # doctest: +SKIP
    >>> DCTRReweighter().fit(table[:, :2], table[:, 2])  # doctest: +SKIP
    """
    target = as_path("output", output)
    if target.suffix != ".npy":
        raise ValueError(f"output ends in {target.suffix!r}, expected '.npy': {target}.")
    refuse_link(target)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"output is to be in {target.parent}, which is no folder: make it.")
    with named("dtype", "float32 or float64"):
        kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r}; expected float32 or float64.")
    chunk_size = check_count("chunk_size", chunk_size, advice="pass a number of events")
    tables = survey(path, columns, tree)
    warned = set[Any]()
    shape = (tables.n_events, len(tables.wanted))
    # A full disk ends the process that writes to a mapped file; this one gets an error.
    with replacing(target) as draft, draft.open("wb") as stream:
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for part in tables.parts(chunk_size):
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(part.to_numpy(dtype=kind))
            warned |= _warn_of_rounding(part, rows, warned)
            stream.write(rows.data)
    mapped: np.memmap[Any, Any] = np.load(target, mmap_mode="r")
    return mapped


def _warn_of_rounding(part: pd.DataFrame, rows: Any, known: Collection[Any]) -> set[Any]:
    """Warn of columns that the precision of the copy does not do, but for those in `known`."""
    if rows.dtype != np.float32:
        return set()
    found = set()
    for k, name in enumerate(part.columns):
        values = part.iloc[:, k].to_numpy()
        if name in known or values.dtype.kind == "b" or values.dtype.itemsize < 4:
            continue
        if values.dtype.kind in "iu":
            lost = max(abs(int(values.max())), abs(int(values.min()))) > _EXACT
            what = f"integers above {_EXACT}"
        else:
            lost = bool((np.isinf(rows[:, k]) & np.isfinite(values)).any())
            what = "numbers above 3.4e38"
        if lost:
            found.add(name)
            warn_user(
                f"{name!r} holds {what}, which float32 does not: pass dtype=numpy.float64, or "
                "leave the column out.",
                UserWarning,
            )
    return found
