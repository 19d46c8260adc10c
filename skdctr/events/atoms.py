"""Atoms: values of a continuous feature that many events share, such as -999 for "not measured"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.core import core_edges, effective_count

__all__ = ["are_integers", "equals", "find_atoms", "first_of_each"]

# An atom has so many events, and such a share of them, in number or in weight.
_LEAST_EVENTS = 20
_LEAST_SHARE = 1e-3
# It stands out if it has so many times the events of its neighbours, which are so many distinct
# values on either side. A few of these may be atoms themselves, as error codes lie side by side.
_STANDS_OUT = 20
_NEIGHBOURS = 8
_ATOMS_AMONG_NEIGHBOURS = 2
# Fewer distinct values are a feature of steps, where one value may well have most of the events.
_LEAST_VALUES = 50
# Atoms that lie apart on one side of all other values.
_MOST_APART = 8
# Fewer values than these say little of how far the next ones may be: an atom is then at least so
# many times their range away.
_FEW_VALUES = 10
_RANGES_AWAY = 10
# An atom that lies apart has so many times the events that the least frequent tenth of the other
# values have: in a sample of copies all have as many.
_REPEATED = 3
# A value in single precision differs so much from the one in double precision.
_ROUNDING = 1e-7
# From here on all floats are integers.
_INTEGERS_BELOW = 1e15


def equals(x: FloatArray, value: float) -> NDArray[np.bool_]:
    """Compare with a value that may have been rounded to single precision; NaN equals NaN."""
    if np.isnan(value):
        return np.isnan(x)
    # Halves, as the difference of ±1e308 is beyond the range of numbers.
    equal: NDArray[np.bool_] = np.abs(x / 2 - value / 2) <= _ROUNDING / 2 * abs(value)
    return equal


def are_integers(values: FloatArray) -> bool:
    """Say whether all values are integers, but for those too large to tell."""
    small = values[np.abs(values) < _INTEGERS_BELOW]
    return bool(len(small)) and bool((small == np.round(small)).all())


def first_of_each(x: FloatArray) -> NDArray[np.intp]:
    """Find where each distinct value of sorted ones begins."""
    changes = x[1:] != x[:-1]
    return np.flatnonzero(np.concatenate([[True], changes])[: len(x)])


def find_atoms(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Find values that repeat, and lie apart from the others or have far more events than these.

    Integers may be numbers of something, so that they are atoms only if they lie apart. A feature
    of two values has no atoms: it is a flag already.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Finite values in ascending order.
    weight : ndarray of shape (n,)
        Their weights, all positive.

    Returns
    -------
    ndarray of shape (a,)
        The atoms in ascending order.
    """
    first = first_of_each(x)
    if len(first) < 3:
        return np.empty(0)
    values, counts = x[first], np.diff(np.append(first, len(x)))
    sums = np.add.reduceat(weight, first)
    frequent = (counts >= _LEAST_SHARE * len(x)) | (sums >= _LEAST_SHARE * sums.sum())
    repeated = frequent & (counts >= _LEAST_EVENTS)
    if not repeated.any():
        return np.empty(0)
    atoms = np.zeros(len(values), dtype=bool)
    if len(values) >= _LEAST_VALUES and not are_integers(values):
        atoms = repeated & (counts >= _STANDS_OUT * _of_neighbours(counts))
    rest, n = np.flatnonzero(~atoms), effective_count(weight)
    for side in (rest, rest[::-1]):
        apart = side[: _count_apart(values[side], counts[side], sums[side], repeated[side], n)]
        atoms[apart[repeated[apart]]] = True
    return values[atoms]


def _of_neighbours(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Find how many events a neighbour of each value has, but for the most frequent neighbours."""
    padded = np.pad(counts, _NEIGHBOURS)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    # The value itself is in the window, and more frequent than all that it stands out from.
    place = 2 * _NEIGHBOURS - _ATOMS_AMONG_NEIGHBOURS - 1
    typical: NDArray[np.intp] = np.partition(windows, place, axis=1)[:, place]
    return np.maximum(typical, 1)


def _count_apart(
    values: FloatArray,
    counts: NDArray[np.intp],
    sums: FloatArray,
    repeated: NDArray[np.bool_],
    n_effective: float,
) -> int:
    """Count the values at one end that lie apart from all others.

    Parameters
    ----------
    values, counts, sums, repeated : ndarray of shape (v,)
        Distinct values, from this end to the other, their events, the sum of their weights, and
        which of them may be atoms.
    n_effective : float
        Effective number of all events.
    """
    rare = ~repeated
    for k in range(min(_MOST_APART, len(values) - 2), 0, -1):
        # Single events that are far off, too, hide no atom.
        few = counts[:k][rare[:k]].sum() < min(_LEAST_EVENTS, _LEAST_SHARE * counts.sum())
        if not repeated[k - 1] or not few:
            continue
        rest = values[k:]
        if len(rest) >= _FEW_VALUES:
            least = np.quantile(counts[k:], 0.1)
            if (counts[:k][repeated[:k]] < _REPEATED * least).any():
                continue
        elif _half_gap(values[k - 1], rest[0]) < _RANGES_AWAY * _half_gap(rest[0], rest[-1]):
            continue
        order = np.argsort(rest)
        low, high = core_edges(rest[order], sums[k:][order], n_effective)
        middle = low / 2 + high / 2
        near = _half_gap(values[k - 1], rest[0]) < _half_gap(values[k - 1], middle) / 2
        if not near and not low <= values[k - 1] <= high:
            return k
    return 0


def _half_gap(a: float, b: float) -> float:
    """Half the distance, as that of ±1e308 is beyond the range of numbers."""
    return abs(a / 2 - b / 2)
