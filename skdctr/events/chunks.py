"""Arrays are gone through a part at a time, so that a mapped file need not fit in memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray

__all__ = ["extremes", "is_mapped", "particle_chunks", "release", "row_chunks"]

# Numbers in a part. They take 2 MB in double precision, which hides the cost of a step in Python.
_NUMBERS = 1 << 18
# A part has a multiple of the rows that a network is given at once, so that parts change no batch.
_LEAST_ROWS = 1 << 12


def row_chunks(X: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Go through the rows of an array in parts of bounded size.

    The memory that a part of a mapped file takes is given back once the next part is asked for.

    Parameters
    ----------
    X : ndarray of shape (n, ...) or (n,)
        An array, or an ``np.memmap``.

    Yields
    ------
    rows : slice
        Which rows the part has.
    part : ndarray
        A view of these rows.
    """
    width = max(1, X[:1].size)
    size = max(1, _NUMBERS // (width * _LEAST_ROWS)) * _LEAST_ROWS
    for start in range(0, len(X), size):
        rows = slice(start, min(start + size, len(X)))
        part = X[rows]
        yield rows, part
        release(part)


def particle_chunks(offsets: NDArray[np.int64], n_rows: int) -> Iterator[slice]:
    """Divide events that are sets of particles into parts whose work is bounded.

    Parameters
    ----------
    offsets : ndarray of shape (n + 1,)
        Event i has the particles ``offsets[i]`` to ``offsets[i + 1]``.
    n_rows : int
        Largest number of particles in a part. An event with more is a part by itself.

    Yields
    ------
    slice
        Which events the part has.
    """
    n, start = len(offsets) - 1, 0
    while start < n:
        most = int(np.searchsorted(offsets, offsets[start] + n_rows, side="right")) - 1
        # Events without particles take work too, so that their number is bounded as well.
        stop = min(max(most, start + 1), start + n_rows, n)
        yield slice(start, stop)
        start = stop


def is_mapped(X: Any) -> bool:
    """Say whether an array's numbers are those of a mapped file."""
    return any(isinstance(owner, np.memmap) for owner in _memory_owners(X))


def _memory_owners(X: Any) -> Iterator[NDArray[Any]]:
    """Go from an array to the arrays that it is a view of, itself first."""
    owner = X
    while isinstance(owner, np.ndarray):
        yield owner
        owner = owner.base


def release(part: NDArray[Any]) -> None:
    """Give back the memory of a part of a mapped file.

    What was written to the part is in the file, from where it is read again when it is needed.
    Other arrays, and systems without ``madvise``, are left alone.

    Parameters
    ----------
    part : ndarray
        A view of a mapped array.
    """
    mapping, advice = _shared_mapping(part), getattr(mmap, "MADV_DONTNEED", 0)
    if mapping is None or not advice or not part.size:
        return
    origin = np.frombuffer(mapping, np.uint8, 1).__array_interface__["data"][0]
    # Where columns are stored one after the other, each of them has a stretch of its own.
    by_rows = part.ndim == 1 or abs(part.strides[0]) >= abs(part.strides[-1])
    for stretch in [part] if by_rows else list(part.T):
        first = stretch.__array_interface__["data"][0] - origin
        steps = [(n - 1) * step for n, step in zip(stretch.shape, stretch.strides, strict=True)]
        low = first + sum(step for step in steps if step < 0)
        high = first + sum(step for step in steps if step > 0) + stretch.itemsize
        start = low // mmap.PAGESIZE * mmap.PAGESIZE
        mapping.madvise(advice, start, high - start)


def _shared_mapping(X: NDArray[Any]) -> mmap.mmap | None:
    """Find the mapping of a file whose pages may be dropped, as the file has all they hold."""
    maps = [owner for owner in _memory_owners(X) if isinstance(owner, np.memmap)]
    # Pages that are copied on write (mode "c") hold changes that are nowhere else.
    if not maps or not all(owner.mode in {"r", "r+", "w+"} for owner in maps):
        return None
    mapping: Any = maps[-1].base
    return mapping if isinstance(mapping, mmap.mmap) else None


def extremes(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the smallest and the largest value of each column.

    Parameters
    ----------
    X : ndarray of shape (n, f)
        An array with one row at least.

    Returns
    -------
    low, high : ndarray of shape (f,)
        The values in double precision.
    """
    ends = [(part.min(axis=0), part.max(axis=0)) for _, part in row_chunks(X)]
    low, high = (np.stack(each).astype(np.float64) for each in zip(*ends, strict=True))
    return low.min(axis=0), high.max(axis=0)
