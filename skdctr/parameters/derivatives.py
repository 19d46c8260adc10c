"""Numerical derivatives by θ, and the steps that they are taken with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skdctr._utils.typing import FloatArray

__all__ = ["central_differences", "positive_steps"]

# Largest step of a positive parameter, relative to its value: its range may span decades.
_LARGEST_SHARE = 0.01


def central_differences(
    function: Callable[[FloatArray], FloatArray], theta: FloatArray, step: FloatArray
) -> FloatArray:
    """Differentiate a function of θ.

    Parameters
    ----------
    function : callable
        Maps θ to an array of shape (...).
    theta : ndarray of shape (p,) or (n, p)
        Where the derivatives are wanted.
    step : ndarray of shape (p,)
        Half the distance between the two values of each parameter.

    Returns
    -------
    ndarray of shape (..., p)
        The derivative by each parameter.
    """
    columns = []
    for k, size in enumerate(step):
        shift = np.zeros(len(step))
        shift[k] = size
        columns.append((function(theta + shift) - function(theta - shift)) / (2 * size))
    return np.stack(columns, axis=-1)


def positive_steps(theta: FloatArray, step: FloatArray, low: FloatArray) -> FloatArray:
    """Shorten the steps of parameters that are scales, as their positive lower bound shows.

    Parameters
    ----------
    theta : ndarray of shape (p,) or (n, p)
        Where the steps start from.
    step : ndarray of shape (p,)
        Steps.
    low : ndarray of shape (p,)
        Lower bounds.

    Returns
    -------
    ndarray of the shape of `theta`
        Steps of scales are at most 1% of their value.
    """
    return np.where(low > 0, np.minimum(step, _LARGEST_SHARE * np.abs(theta)), step)
