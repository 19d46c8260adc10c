"""Numerical derivatives by θ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skdctr._utils.typing import FloatArray

__all__ = ["central_differences", "positive_steps"]

# Of a parameter that has to stay positive, which may span decades.
_LARGEST_SHARE = 0.01


def central_differences(
    function: Callable[[FloatArray], FloatArray], theta: FloatArray, step: FloatArray
) -> FloatArray:
    """Differentiate a function of θ.

    Parameters
    ----------
    function : callable
        Of θ, with values of shape (...).
    theta : ndarray of shape (p,) or (n, p)
        Where.
    step : ndarray of shape (p,)
        Half the distance between the two values of each parameter.

    Returns
    -------
    ndarray of shape (..., p)
    """
    columns = []
    for k, size in enumerate(step):
        shift = np.zeros(len(step))
        shift[k] = size
        columns.append((function(theta + shift) - function(theta - shift)) / (2 * size))
    return np.stack(columns, axis=-1)


def positive_steps(theta: FloatArray, step: FloatArray, low: FloatArray) -> FloatArray:
    """Shorten the steps, (p,), of parameters whose lower bound is positive: scales."""
    return np.where(low > 0, np.minimum(step, _LARGEST_SHARE * np.abs(theta)), step)
