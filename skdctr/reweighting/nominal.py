"""Which θ of a generator sample is the nominal one: given, or the most frequent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.exceptions import NominalWarning
from skdctr.parameters.space import ParameterSpace

__all__ = [
    "LEAST_SHARE",
    "Frequencies",
    "find_nominal",
    "given_nominal",
    "most_frequent",
    "repeated_near",
    "same_theta",
]

# Least share of the rows that a value makes up; with fewer it would be no class of its own.
LEAST_SHARE = 0.05
# Difference of two numbers of rows, in units of its error, that still is chance.
_CHANCE = 4.0
# The most frequent row is taken for nominal without a word where it is so many times as frequent as
# the next one, or as the only other one.
_CLEAR, _CLEAR_OF_TWO = 2, 10
# Number of counters; with more than 1/LEAST_SHARE of them no value of that share can get lost.
_COUNTERS = 64
# Rows that are counted at once.
_ROWS = 1 << 17


def find_nominal(theta: FloatArray, names: list[str], given: Any) -> tuple[FloatArray, int]:
    """Find θ₀ of a generator sample, and count the distinct rows of θ up to three.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        The parameters that each event was generated with.
    names : list of str of length p
        Names of the parameters.
    given : scalar, array-like of shape (p,), dict or None
        The user's θ₀. None takes 0 of the labels 0 and 1, the most frequent row, of two values
        that are as frequent but for chance the smaller one, or the median where no row makes up
        `LEAST_SHARE`.

    Returns
    -------
    nominal : ndarray of shape (p,)
        θ₀.
    n_distinct : int
        Number of distinct rows: 2, or 3 for three or more.

    Raises
    ------
    ValueError
        If there is one distinct row only, or a parameter does not vary.

    Warns
    -----
    NominalWarning
        If θ₀ is a guess.
    """
    frequencies = most_frequent(theta)
    n_distinct = frequencies.n_distinct
    if n_distinct < 2:
        raise ValueError(
            f"y has one class only, {dict(zip(names, theta[0].tolist(), strict=True))}: "
            "a reweighter needs nominal events and events at one other θ at least."
        )
    constant = [name for k, name in enumerate(names) if np.ptp(theta[:, k]) == 0]
    if constant:
        raise ValueError(f"y does not vary in {constant}: drop what stays the same.")
    point = given_nominal(theta, names, given)
    if point is not None:
        return repeated_near(theta, point), n_distinct
    if n_distinct == 2 and _are_labels(theta):
        return np.zeros(1), n_distinct
    nominal = np.median(theta, axis=0) if frequencies.row is None else frequencies.row
    if frequencies.second is not None and frequencies.has_two_alike:
        nominal = min(nominal, frequencies.second, key=tuple)
    _warn_if_guessed(frequencies, nominal, names, len(theta))
    return nominal.astype(np.float64), n_distinct


def given_nominal(theta: FloatArray, names: list[str], given: Any) -> FloatArray | None:
    """Read the user's θ₀, (p,), in any form of one θ; None where there is none.

    Parameters are those of `find_nominal`.
    """
    if given is None:
        return None
    space = ParameterSpace(tuple(names), theta[0], theta[0], theta[0])
    return space.point(given, name="theta_nominal")


def _warn_if_guessed(
    frequencies: Frequencies, nominal: FloatArray, names: list[str], n_events: int
) -> None:
    """Warn where the events do not tell which θ is the nominal one."""
    named = dict(zip(names, nominal.tolist(), strict=True))
    # Which of two values is the target is anybody's guess; of many, one stands out as nominal.
    clear = _CLEAR_OF_TWO if frequencies.n_distinct == 2 else _CLEAR
    if frequencies.row is None:
        reason = "no row of θ makes up 5% of the events, and it is their median"
    elif frequencies.second is not None and clear * frequencies.second_count > frequencies.count:
        other = dict(zip(names, frequencies.second.tolist(), strict=True))
        reason = (
            f"{frequencies.count} of {n_events} events have it, {frequencies.second_count} have "
            f"{other}"
        )
    else:
        return
    warn_user(
        f"θ₀ = {named} is a guess: {reason}. Weights are for nominal events, such as the "
        "simulation of a fit: give the θ of these as theta_nominal.",
        NominalWarning,
    )


def _are_labels(theta: FloatArray) -> bool:
    """Say whether two distinct θ are the labels 0 and 1, of which everybody calls 0 nominal."""
    return theta.shape[1] == 1 and bool(((theta == 0) | (theta == 1)).all())


def same_theta(theta: FloatArray, other: FloatArray) -> NDArray[np.bool_]:
    """Say which rows of θ are equal to within the digits that float32 keeps.

    Parameters
    ----------
    theta, other : ndarray of shapes (..., p) that broadcast
        Rows to be compared.

    Returns
    -------
    ndarray of bool of shape (...)
    """
    equal: NDArray[np.bool_] = np.all(np.isclose(theta, other, rtol=1e-6, atol=0), axis=-1)
    return equal


@dataclass(frozen=True)
class Frequencies:
    """The two most frequent rows of θ.

    Attributes
    ----------
    row : ndarray of shape (p,), or None
        The most frequent row; the smallest of several that are as frequent. None where no row
        occurs at least twice and makes up 5% of all.
    count : int
        How often the row occurs; 0 where there is none.
    second : ndarray of shape (p,), or None
        The next most frequent row, or None as above.
    second_count : int
        How often the second row occurs; 0 where there is none.
    n_distinct : int
        Number of distinct rows: 1, 2, or 3 for three or more.
    """

    row: FloatArray | None
    count: int
    second: FloatArray | None
    second_count: int
    n_distinct: int

    @property
    def has_two_alike(self) -> bool:
        """Whether there are two values, whose numbers differ by no more than chance.

        A fold of a sample that has both in equal numbers is such a case.
        """
        by_chance = _CHANCE * math.sqrt(self.count + self.second_count)
        return self.n_distinct == 2 and self.count - self.second_count <= by_chance


def most_frequent(theta: FloatArray) -> Frequencies:
    """Find the two most frequent rows, and how many distinct ones there are.

    The rows are counted a part at a time, in memory that does not grow with their number.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        Parameters of each event.

    Returns
    -------
    Frequencies

    References
    ----------
    J. Misra and D. Gries, Sci. Comput. Program. 2, 143 (1982): frequent items in bounded memory.
    """
    p = theta.shape[1]
    counted, numbers = np.empty((0, p)), np.empty(0, dtype=np.int64)
    distinct = counted
    for part in _parts(theta):
        rows, counts = _count(part)
        distinct = _count(np.concatenate([distinct, rows[:3]]))[0][:3]
        counted, numbers = _count(
            np.concatenate([counted, rows]), np.concatenate([numbers, counts])
        )
        if len(theta) > _ROWS and len(counted) > _COUNTERS:
            least = np.partition(numbers, -_COUNTERS - 1)[-_COUNTERS - 1]
            counted, numbers = counted[numbers > least], (numbers - least)[numbers > least]
    if len(theta) > _ROWS:
        numbers = np.array([(theta == row).all(axis=1).sum() for row in counted])
    # Rows are in ascending order, and the sort keeps it among those as frequent.
    first = np.argsort(-numbers, kind="stable")[:2]
    frequent = [k for k in first if numbers[k] >= max(2, LEAST_SHARE * len(theta))]
    pairs = [(counted[k], int(numbers[k])) for k in frequent] + [(None, 0)] * (2 - len(frequent))
    (row, count), (second, second_count) = pairs
    return Frequencies(row, count, second, second_count, len(distinct))


def repeated_near(theta: FloatArray, point: FloatArray) -> FloatArray:
    """Find the repeated row that equals a point but for rounding.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        Parameters of each event.
    point : ndarray of shape (p,)
        The row that is looked for, as it was before rounding.

    Returns
    -------
    ndarray of shape (p,)
        The row, if it occurs twice or more; otherwise the point itself.
    """
    near = [_count(part[same_theta(part, point)]) for part in _parts(theta)]
    rows, counts = _count(*(np.concatenate(each) for each in zip(*near, strict=True)))
    return rows[counts > 1][0] if (counts > 1).any() else point


def _count(
    rows: FloatArray, numbers: NDArray[np.int64] | None = None
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Count the distinct rows.

    Parameters
    ----------
    rows : ndarray of shape (n, p)
        Rows.
    numbers : ndarray of int of shape (n,), optional
        How often each row counts; once by default.

    Returns
    -------
    distinct : ndarray of shape (m, p)
        Distinct rows in ascending order.
    counts : ndarray of int of shape (m,)
        Sum of the numbers of each.
    """
    order = np.lexsort(rows.T[::-1])
    rows = rows[order]
    numbers = np.ones(len(rows), dtype=np.int64) if numbers is None else numbers[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    first = np.flatnonzero(new)
    return rows[first], np.add.reduceat(numbers, first) if len(first) else numbers


def _parts(theta: FloatArray) -> Iterator[FloatArray]:
    """Go through rows of θ a part at a time, in double precision."""
    for start in range(0, len(theta), _ROWS):
        yield theta[start : start + _ROWS].astype(np.float64)
