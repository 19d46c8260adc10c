"""How far from its minimum a χ² crosses a level, in one direction and all around."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from skdctr._utils.typing import FloatArray

__all__ = ["crossing", "quantiles_of", "star"]

_DOUBLINGS = 60
# Gap and bend between neighbours, in units of those on a circle, which call for a point between.
_ROUGH = 1.5
# Share of the angle between the first rays that is not divided any more.
_NARROW = 0.05


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
) -> tuple[list[FloatArray], bool]:
    """Draw closed lines around the origin, with more rays where they are far out or bent.

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
    lines : list of ndarray of shape (n + 1, 2)
        Points of each line in turn; the last is the first.
    jumps : bool
        Whether a line jumps between rays next to each other: some of it lies behind itself.
    """
    found: dict[float, FloatArray] = {}
    near = guesses
    for angle in np.linspace(0, 2 * np.pi, n_rays, endpoint=False).tolist():
        found[angle] = near = reach(angle, near)
    while True:
        angles = np.sort(list(found))
        closed = np.append(angles, angles[0])
        distance = np.stack([found[angle] for angle in closed])
        points = distance.T[..., None] * np.stack([np.cos(closed), np.sin(closed)], axis=1)
        rough = _roughness(points, guesses) * n_rays / (2 * np.pi)
        after = np.append(angles[1:], angles[0] + 2 * np.pi)
        # A jump stays however many rays there are, and would take all of them.
        jump = (after - angles < _NARROW * 2 * np.pi / n_rays) & (rough > _ROUGH)
        rough[jump] = 0.0
        worst = int(rough.argmax())
        if rough[worst] < _ROUGH or len(found) >= 2 * n_rays:
            return list(points), bool(jump.any())
        between = float(angles[worst] + after[worst]) / 2
        found[between] = reach(between, (distance[worst] + distance[worst + 1]) / 2)


def _roughness(lines: FloatArray, radii: FloatArray) -> FloatArray:
    """Judge the steps of closed lines, (n_lines, n + 1, 2), by length and the bends at their ends.

    Returns
    -------
    ndarray of shape (n,)
        Of the worst line; the angle between neighbours for circles of these radii.
    """
    step = np.diff(lines, axis=1)
    length = np.hypot(step[..., 0], step[..., 1]) / radii[:, None]
    direction = np.arctan2(step[..., 1], step[..., 0])
    bend = np.abs((np.roll(direction, -1, axis=1) - direction + np.pi) % (2 * np.pi) - np.pi)
    bend = np.maximum(bend, np.roll(bend, 1, axis=1))
    regular = 2 * np.pi / step.shape[1]
    rough: FloatArray = (length * (1 + bend / regular) / 2).max(axis=0)
    return rough
