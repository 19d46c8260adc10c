"""Other solutions of equations for θ within its range, beside the one that was found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import chi2, qmc

from skdctr._utils.typing import FloatArray
from skdctr.parameters.space import ParameterSpace

__all__ = ["APART", "design_points", "other_solutions"]

# Values of θ that are looked at for each parameter, and how many of them are started from.
_LOOKED_AT, _STARTS = 8, 2
# χ² there, as a share of what the slope at the solution promises, below which another may be near.
_BELOW_PARABOLA = 0.3
# p-value of the equations from which on θ solves them, and χ² between two different solutions.
_SOLVED_FROM, APART = 1e-4, 25.0


def design_points(space: ParameterSpace) -> list[FloatArray]:
    """List values of θ, (p,) each, that fill the range evenly; none where it is infinite."""
    if not space.is_bounded:
        return []
    # The first point of the sequence is the corner.
    points = qmc.Halton(len(space), scramble=False).random(_LOOKED_AT * len(space) + 1)[1:]
    return list(space.low + (space.high - space.low) * points)


def other_solutions(
    theta: FloatArray,
    space: ParameterSpace,
    *,
    pulls: Callable[[FloatArray], FloatArray],
    slope: FloatArray,
    solve: Callable[[FloatArray], FloatArray],
    is_supported: Callable[[FloatArray], bool],
) -> list[FloatArray]:
    """Look for solutions within the bounds that are not the one at hand.

    χ² of equations with one solution rises about like the parabola that their slope at it
    promises. Where it lies far below that at some θ, another solution is searched for from there.

    Parameters
    ----------
    theta : ndarray of shape (p,)
        The solution at hand.
    space : ParameterSpace
        The range that is searched.
    pulls : callable
        ``pulls(theta)`` returns the k equations in units of their errors, (k,), whose sum of
        squares is χ².
    slope : ndarray of shape (k, p)
        Derivative of `pulls` at the solution at hand.
    solve : callable
        ``solve(start)`` returns the solution, (p,), that is reached from a θ.
    is_supported : callable
        Whether the simulation has events left at a θ.

    Returns
    -------
    list of ndarray of shape (p,)
        Other solutions; empty where none was found or a bound is infinite.
    """

    def chi_square(point: FloatArray) -> float:
        return float(np.sum(pulls(point) ** 2))

    def apart(point: FloatArray, other: FloatArray) -> float:
        return float(np.sum((slope @ (point - other)) ** 2))

    if not space.is_bounded:
        return []
    least = chi_square(theta)
    solved = max(least, float(chi2.isf(_SOLVED_FROM, len(slope))))
    # The mirror image is the second solution of weights that are even in θ − θ₀.
    points = [space.clip(2 * space.nominal - theta), *design_points(space)]
    shares = {
        k: chi_square(point) / max(least + apart(point, theta), APART)
        for k, point in enumerate(points)
        if is_supported(point)
    }
    promising = sorted((k for k in shares if shares[k] < _BELOW_PARABOLA), key=shares.__getitem__)
    found: list[FloatArray] = []
    for k in promising[:_STARTS]:
        root = solve(points[k])
        new = all(apart(root, known) > APART for known in (theta, *found))
        if new and is_supported(root) and chi_square(root) <= solved:
            found.append(root)
    return found
