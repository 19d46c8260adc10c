"""Errors and contours by the optional package iminuit, a second opinion on our own profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from skdctr._utils.arguments import check_choice
from skdctr._utils.optional import require
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.exceptions import ConvergenceWarning

if TYPE_CHECKING:
    from iminuit import Minuit

__all__ = ["check_method", "minos_contour", "minos_interval"]

_METHODS = ("profile", "minuit")


def check_method(method: str) -> None:
    """Check the method by which an interval or a contour is found.

    Raises
    ------
    ValueError
        If it is neither "profile" nor "minuit".
    """
    check_choice("method", method, _METHODS)


def _minimised(
    cost: Callable[[FloatArray], float],
    names: list[str],
    theta: FloatArray,
    errors: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> Minuit:
    """Return a Minuit that has found the minimum anew: MINOS needs what it learns on the way."""
    minuit: Minuit = require("iminuit").Minuit(
        lambda point: cost(np.asarray(point)), theta, name=names
    )
    minuit.errordef = minuit.LEAST_SQUARES
    minuit.errors = errors
    minuit.limits = list(zip(low, high, strict=True))
    return minuit.migrad()


def minos_interval(
    cost: Callable[[FloatArray], float],
    names: list[str],
    theta: FloatArray,
    errors: FloatArray,
    low: FloatArray,
    high: FloatArray,
    name: str,
    level: float,
) -> tuple[list[float], list[bool]]:
    """Find both ends of an interval by MINOS.

    Parameters
    ----------
    cost : callable
        ``cost(theta)`` returns χ² for θ of shape (p,).
    names : list of str of length p
        Names of the parameters.
    theta, errors, low, high : ndarray of shape (p,)
        The minimum, the standard errors and the bounds.
    name : str
        The parameter of the interval.
    level : float
        Confidence level.

    Returns
    -------
    ends : list of float
        Lower and upper end; a bound where χ² does not rise so far within it.
    crossed : list of bool
        Whether each end is a crossing; False for one that is a bound.

    Raises
    ------
    ImportError
        If iminuit is not installed.

    Warns
    -----
    ConvergenceWarning
        If MINOS does not converge.
    """
    k = names.index(name)
    minuit = _minimised(cost, names, theta, errors, low, high)
    found = minuit.minos(name, cl=level).merrors[name]
    value = minuit.values[name]
    ends, crossed = [], []
    for change, valid, limited, bound in (
        (found.lower, found.lower_valid, found.at_lower_limit, low[k]),
        (found.upper, found.upper_valid, found.at_upper_limit, high[k]),
    ):
        if not valid and not limited:
            message = f"MINOS did not converge for {name}: its last value is given"
            warn_user(message, ConvergenceWarning)
        ends.append(float(bound if limited else value + change))
        crossed.append(not limited)
    return ends, crossed


def minos_contour(
    cost: Callable[[FloatArray], float],
    names: list[str],
    theta: FloatArray,
    errors: FloatArray,
    low: FloatArray,
    high: FloatArray,
    pair: tuple[str, str],
    level: float,
    n_points: int,
) -> FloatArray:
    """Find the border of a joint region of two parameters.

    Parameters
    ----------
    cost, names, theta, errors, low, high
        As in `minos_interval`.
    pair : tuple of two str
        The two parameters of the region.
    level : float
        Confidence level.
    n_points : int
        Number of points on the border.

    Returns
    -------
    ndarray of shape (n_points + 1, 2)
        The border as a closed line: the last point is the first.

    Raises
    ------
    ImportError
        If iminuit is not installed.
    """
    minuit = _minimised(cost, names, theta, errors, low, high)
    points = np.asarray(minuit.mncontour(*pair, cl=level, size=n_points), dtype=np.float64)
    if len(points) and not np.array_equal(points[0], points[-1]):
        points = np.vstack([points, points[:1]])
    return points
