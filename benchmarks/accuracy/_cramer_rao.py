"""Cramér-Rao bounds of the tasks of `precision.py`: data alone, all else known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Step of derivatives, as a part of the range of a parameter, and points of a grid in x.
_STEP, _POINTS = 1e-3, 6001


def gaussian(
    mean: Callable[[FloatArray], FloatArray], covariance: Callable[[FloatArray], FloatArray]
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Information of an event that is Gaussian in several features.

    Returns
    -------
    callable
        Maps θ (p,) and the steps of derivatives (p,) to the information matrix (p, p).
    """

    def information(theta: FloatArray, steps: FloatArray) -> FloatArray:
        inverse = np.linalg.inv(covariance(theta))
        of_mean, of_covariance = (
            [(function(theta + h) - function(theta - h)) / (2 * h.sum()) for h in np.diag(steps)]
            for function in (mean, covariance)
        )
        pairs = list(zip(of_mean, of_covariance, strict=True))
        return np.array(
            [
                [a @ inverse @ b + np.trace(inverse @ c @ inverse @ d) / 2 for b, d in pairs]
                for a, c in pairs
            ]
        )

    return information


def smeared(
    density: Callable[[FloatArray, FloatArray], FloatArray],
    low: float,
    high: float,
    width: float,
    acceptance: Callable[[FloatArray], FloatArray] | None = None,
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Information of a generated event with one feature, seen with Gaussian resolution.

    Lost events are not in the data, and their number is not used.

    Parameters
    ----------
    density : callable
        Maps x (n,) and θ (p,) to the density at generator level, normalised or not.
    low, high : float
        Range that holds all of it.
    width : float
        Of the resolution, in units of x.
    acceptance : callable, optional
        Probability of an event at x to be seen.
    """
    x = np.linspace(low, high, _POINTS)
    y = np.linspace(low - 6 * width, high + 6 * width, _POINTS)
    seen = np.ones_like(x) if acceptance is None else acceptance(x)

    @cache
    def kernel() -> FloatArray:
        # Some hundred megabytes, for those tasks that need it.
        return np.asarray(np.exp(-0.5 * ((y[:, None] - x) / width) ** 2))

    def reco(theta: FloatArray) -> FloatArray:
        folded = kernel() @ (density(x, theta) * seen)
        return np.asarray(folded / np.trapezoid(folded, y))

    def information(theta: FloatArray, steps: FloatArray) -> FloatArray:
        nominal = reco(theta)
        slopes = [(reco(theta + h) - reco(theta - h)) / (2 * h.sum()) for h in np.diag(steps)]
        at_generator = density(x, theta)
        share = np.trapezoid(at_generator * seen, x) / np.trapezoid(at_generator, x)
        floor = np.maximum(nominal, 1e-300)
        return share * np.array([[np.trapezoid(a * b / floor, y) for b in slopes] for a in slopes])

    return information


def _normal(x: FloatArray, theta: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (x - theta[0]) ** 2))


def _exponential(x: FloatArray, theta: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-x / theta[0]))


def _polynomial(x: FloatArray, theta: FloatArray) -> FloatArray:
    return np.asarray(1 + theta[0] * x + theta[1] * x**2)


def _of_correlated(theta: FloatArray) -> FloatArray:
    matrix = np.eye(5)
    matrix[1, 1] = theta[1] ** 2
    matrix[2, 3] = matrix[3, 2] = theta[2]
    return matrix + 0.3**2 * np.eye(5)


_SHIFTED = gaussian(lambda theta: theta[:1], lambda _: np.array([[1 + 0.5**2]]))
INFORMATION: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "gaussian": _SHIFTED,
    "discrete": _SHIFTED,
    "gaussian_2d": gaussian(
        lambda theta: theta[:1], lambda theta: np.array([[theta[1] ** 2 + 0.5**2]])
    ),
    "lossy": smeared(_normal, -8.0, 10.0, 0.5, lambda x: 1 / (1 + np.exp(-(x + 0.5)))),
    "correlated": gaussian(lambda theta: np.append(theta[0], np.zeros(4)), _of_correlated),
    "lifetime": smeared(_exponential, 0.0, 40.0, 0.2),
    "angular": smeared(_polynomial, -1.0, 1.0, 0.1),
}


def least_errors(task: str, theta: FloatArray, n_events: int) -> FloatArray | None:
    """Return the least error of each parameter from so many events of data.

    Parameters
    ----------
    task : str
        Of `precision.py`.
    theta : ndarray of shape (p,)
        True values.
    n_events : int
        Number of generated events, lost ones included.

    Returns
    -------
    ndarray of shape (p,), or None where the bound is not known in closed form
    """
    if task not in INFORMATION:
        return None
    theta = np.asarray(theta, dtype=np.float64)
    information = INFORMATION[task](theta, np.full(len(theta), _STEP))
    return np.asarray(np.sqrt(np.diagonal(np.linalg.inv(information))) / math.sqrt(n_events))
