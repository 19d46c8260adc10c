"""How far from its minimum a χ² crosses a level, in one direction and all around."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from ._validation import FloatArray

__all__ = ["crossing", "quantiles_of", "star"]

_DOUBLINGS = 60
# Gap between neighbours, in units of that on a circle, which calls for a point between them.
_GAP = 1.5


def quantiles_of(level: float | Sequence[float], n_parameters: int) -> FloatArray:
    """Check confidence levels and return by how much χ² rises, (n_levels,).

    Raises
    ------
    ValueError
        If a level is no probability.
    """
    levels = np.atleast_1d(np.asarray(level, dtype=np.float64))
    if levels.ndim > 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"level={level!r}: expected probabilities between 0 and 1.")
    quantiles: FloatArray = stats.chi2.ppf(levels, n_parameters)
    return quantiles


def crossing(
    rise: Callable[[float], float],
    quantile: float,
    guess: float,
    limit: float,
    *,
    precision: float = 1e-4,
) -> tuple[float, bool]:
    """Find the distance at which χ² has risen by a quantile, in few evaluations.

    The search is in the square root of the rise: a straight line for a parabola, whose crossing
    the first guess or the first secant hits.

    Parameters
    ----------
    rise : callable
        ``rise(t)``, χ² at distance t minus that at the minimum, where t = 0.
    quantile : float
        Level to be crossed.
    guess : float
        Distance where a parabola would cross it.
    limit : float
        Largest distance; may be infinite.
    precision : float, default=1e-4
        Of the distance, relative to the guess.

    Returns
    -------
    t : float
        Distance; `limit` where the level is not reached.
    crossed : bool
        Whether it is.
    """
    goal = math.sqrt(quantile)
    seen = {0.0: -goal}

    def off(t: float) -> float:
        if t not in seen:
            seen[t] = math.sqrt(max(rise(t), 0.0)) - goal
        return seen[t]

    low, high = 0.0, min(guess, limit)
    if high <= 0:
        return limit, False
    for _ in range(_DOUBLINGS):
        if abs(off(high)) < precision * goal / 10:
            return high, True
        if off(high) > 0:
            root: float = brentq(off, low, high, xtol=precision * guess)
            return root, True
        if high >= limit:
            break
        # A little beyond where the secant through the minimum leads.
        secant = 1.1 * high * goal / max(off(high) + goal, 1e-3 * goal)
        low, high = high, min(max(secant, 1.1 * high), 2 * high, limit)
    return limit, False


def star(
    reach: Callable[[float, FloatArray], FloatArray], guesses: FloatArray, n_rays: int
) -> list[FloatArray]:
    """Draw closed lines around the origin, with more rays where they are far out.

    Parameters
    ----------
    reach : callable
        ``reach(angle, guesses)``, the distance of every line in that direction, (n_lines,).
    guesses : ndarray of shape (n_lines,)
        Distances to start from.
    n_rays : int
        Rays to begin with; at most so many are added.

    Returns
    -------
    list of ndarray of shape (n + 1, 2)
        Points of each line in turn; the last is the first.
    """
    found: dict[float, FloatArray] = {}
    near = guesses
    for angle in np.linspace(0, 2 * np.pi, n_rays, endpoint=False).tolist():
        found[angle] = near = reach(angle, near)
    longest = _GAP * 2 * np.pi / n_rays * guesses
    while True:
        angles = np.sort(list(found))
        closed = np.append(angles, angles[0])
        distance = np.stack([found[angle] for angle in closed])
        x, y = np.cos(closed)[:, None] * distance, np.sin(closed)[:, None] * distance
        gaps = (np.hypot(np.diff(x, axis=0), np.diff(y, axis=0)) / longest).max(axis=1)
        worst = int(gaps.argmax())
        if gaps[worst] < 1 or len(found) >= 2 * n_rays:
            return list(np.stack([x, y], axis=-1).transpose(1, 0, 2))
        after = closed[worst + 1] + 2 * np.pi * (worst + 1 == len(angles))
        between = float(angles[worst] + after) / 2
        found[between] = reach(between, (distance[worst] + distance[worst + 1]) / 2)
