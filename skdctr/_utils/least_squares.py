"""Least squares within bounds, from a start that may lie on one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares

from skdctr._utils.typing import FloatArray

__all__ = ["bounded_least_squares"]

# Distance from a bound, as a share of the range or in the unit of z where that is less, that a
# start keeps: the steps of scipy's method shrink with the distance to a bound, so that it never
# leaves one that it starts on.
_INSIDE = 0.01


def bounded_least_squares(
    residual: Callable[[FloatArray], FloatArray],
    jacobian: Callable[[FloatArray], FloatArray],
    *,
    bounds: tuple[FloatArray, FloatArray],
    slack: float,
    xtol: float,
    max_steps: int,
) -> FloatArray:
    """Minimise a sum of squares over z within bounds, from z = 0.

    Parameters
    ----------
    residual, jacobian : callable
        Map z, (p,), to the residuals, (k,), and to their derivative, (k, p).
    bounds : tuple of ndarray of shape (p,)
        Lower and upper bounds of z. Zero may lie on them or outside.
    slack : float
        What a bound may be exceeded by.
    xtol : float
        Relative change of z that ends the search.
    max_steps : int
        Steps at most.

    Returns
    -------
    ndarray of shape (p,)
        z at the minimum.

    Raises
    ------
    ValueError
        If a bound is NaN, as where z is in units of a scale that is not finite.
    """
    low, high = bounds
    if np.isnan([low, high]).any():
        raise ValueError(
            "theta has no finite scale: X (sim_gen), or theta of the generator sample, has values "
            "near the limits of float64. Give both in units in which they are near one."
        )
    start = np.clip(np.zeros_like(low), low, high)
    with np.errstate(invalid="ignore"):
        margin = _INSIDE * np.minimum(1.0, high - low)
    on_bound = (start - low < slack) | (high - start < slack)
    if on_bound.any():
        start = np.where(on_bound, np.clip(start, low + margin, high - margin), start)
    solution = least_squares(
        residual,
        start,
        jac=jacobian,
        bounds=(low - slack, high + slack),
        xtol=xtol,
        max_nfev=max_steps,
    )
    return np.asarray(solution.x)
