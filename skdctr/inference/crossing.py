"""The distance from its minimum at which a χ² crosses a level, in one direction or all around."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from skdctr._utils.arguments import as_real_array, check_number, shorten
from skdctr._utils.typing import FloatArray

__all__ = ["check_level", "check_levels", "chi2_quantiles", "closed_lines", "crossing_distance"]

_DOUBLINGS = 60
# Neighbours get a point between them where gap and bend exceed those on a circle by this factor.
_ROUGH = 1.5
# An angle is not divided below this share of the angle between the first rays.
_NARROW = 0.05


def check_level(level: Any) -> float:
    """Check one confidence level.

    Raises
    ------
    TypeError, ValueError
        If it is no probability between 0 and 1.
    """
    number = check_number("level", level)
    if not 0 < number < 1:
        raise ValueError(f"level={number:g}: expected probabilities between 0 and 1.")
    return number


def check_levels(name: str, levels: Any) -> list[float]:
    """Check one confidence level or several.

    Raises
    ------
    TypeError, ValueError
        If one is no probability between 0 and 1, or there is none.
    """
    array = np.atleast_1d(as_real_array(levels, name, expected="probabilities")).astype(np.float64)
    if array.ndim > 1 or not len(array) or not ((array > 0) & (array < 1)).all():
        raise ValueError(f"{name}={shorten(levels)}: expected probabilities between 0 and 1.")
    checked: list[float] = array.tolist()
    return checked


def chi2_quantiles(level: float | Sequence[float], n_parameters: int) -> FloatArray:
    """Compute by how much χ² rises to the border of a confidence region.

    Parameters
    ----------
    level : float or sequence of float
        Confidence levels.
    n_parameters : int
        Number of parameters that the region is of, which is that of degrees of freedom.

    Returns
    -------
    ndarray of shape (n_levels,)
        The quantiles of the χ² distribution.

    Raises
    ------
    ValueError
        If a level is not a probability between 0 and 1.
    """
    quantiles: FloatArray = stats.chi2.ppf(check_levels("level", level), n_parameters)
    return quantiles


def crossing_distance(
    rise: Callable[[float], float],
    quantile: float,
    guess: float,
    limit: float,
    *,
    precision: float = 1e-4,
) -> tuple[float, bool]:
    """Find the distance at which χ² has risen by a quantile, in few evaluations.

    The search works on the square root of the rise. For a parabola that is a straight line, whose
    crossing the first guess or the first secant hits.

    Parameters
    ----------
    rise : callable
        ``rise(t)`` returns χ² at the distance t from the minimum, minus χ² at the minimum.
    quantile : float
        The rise that is looked for.
    guess : float
        The distance at which a parabola would have this rise.
    limit : float
        The largest distance to look at; it may be infinite.
    precision : float, default=1e-4
        Precision of the distance, relative to the guess.

    Returns
    -------
    t : float
        The distance; `limit` where χ² does not rise so far.
    crossed : bool
        Whether χ² rises so far within the limit.
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
        # The next step goes a little beyond where the secant through the minimum leads.
        secant = 1.1 * high * goal / max(off(high) + goal, 1e-3 * goal)
        low, high = high, min(max(secant, 1.1 * high), 2 * high, limit)
    return limit, False


def closed_lines(
    reach: Callable[[float, FloatArray], FloatArray], guesses: FloatArray, n_rays: int
) -> tuple[list[FloatArray], bool]:
    """Draw closed lines around the origin, with more rays where they are far out or bent.

    Parameters
    ----------
    reach : callable
        ``reach(angle, guesses)`` returns the distance of every line in the direction of the angle
        [rad], of shape (n_lines,); the guesses of this shape tell it where to start.
    guesses : ndarray of shape (n_lines,)
        Guesses for the first direction.
    n_rays : int
        Number of rays to begin with; at most as many are added.

    Returns
    -------
    lines : list of ndarray of shape (n + 1, 2)
        The points of each line in turn; the last point is the first.
    jumps : bool
        Whether a line jumps between neighbouring rays, because a part of it lies behind another.
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
        # However many rays there are, a jump stays, and would take all of them.
        jump = (after - angles < _NARROW * 2 * np.pi / n_rays) & (rough > _ROUGH)
        rough[jump] = 0.0
        worst = int(rough.argmax())
        if rough[worst] < _ROUGH or len(found) >= 2 * n_rays:
            return list(points), bool(jump.any())
        between = float(angles[worst] + after[worst]) / 2
        found[between] = reach(between, (distance[worst] + distance[worst + 1]) / 2)


def _roughness(lines: FloatArray, radii: FloatArray) -> FloatArray:
    """Measure how long and how bent the steps of closed lines are.

    Parameters
    ----------
    lines : ndarray of shape (n_lines, n + 1, 2)
        Points of the lines; the last of each is the first.
    radii : ndarray of shape (n_lines,)
        The typical size of each line.

    Returns
    -------
    ndarray of shape (n,)
        The roughness of each step, that of the worst line. On circles of these radii it is the
        angle between neighbours [rad].
    """
    step = np.diff(lines, axis=1)
    length = np.hypot(step[..., 0], step[..., 1]) / radii[:, None]
    direction = np.arctan2(step[..., 1], step[..., 0])
    bend = np.abs((np.roll(direction, -1, axis=1) - direction + np.pi) % (2 * np.pi) - np.pi)
    bend = np.maximum(bend, np.roll(bend, 1, axis=1))
    regular = 2 * np.pi / step.shape[1]
    rough: FloatArray = (length * (1 + bend / regular) / 2).max(axis=0)
    return rough
