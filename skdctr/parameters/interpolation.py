"""A smooth function of few parameters at very many points, in time that grows as their number."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from skdctr._utils.typing import FloatArray

__all__ = ["smooth_values"]

# Degrees of the interpolant that are tried one after the other.
_DEGREES = (8, 16, 32, 64, 128, 256)
# An interpolant counts as exact if its last coefficients are so small, relative to the largest.
_TOLERANCE = 1e-13
# Points whose polynomials are computed at once.
_CHUNK_ROWS = 4096


def smooth_values(function: Callable[[FloatArray], float], points: FloatArray) -> FloatArray:
    """Evaluate a function that is costly and smooth.

    A Chebyshev interpolant takes the place of the function as soon as its coefficients have
    fallen to rounding, unless that takes as many evaluations as there are points.

    Parameters
    ----------
    function : callable
        Takes one point, (p,), and returns a number.
    points : ndarray of shape (n, p)
        Where its values are wanted.

    Returns
    -------
    ndarray of shape (n,)
        The values, exact to about 1e-12 of the largest one.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    varies = high > low
    p = int(varies.sum())
    centre, half = (low + high)[varies] / 2, (high - low)[varies] / 2
    for degree in _DEGREES if p else ():
        if 2 * (degree + 1) ** p > len(points):
            break
        nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
        grid = np.repeat(low[None], (degree + 1) ** p, axis=0)
        grid[:, varies] = centre + half * np.array(list(itertools.product(nodes, repeat=p)))
        values = np.array([function(point) for point in grid])
        coefficients = _chebyshev_coefficients(values.reshape((degree + 1,) * p), nodes)
        size = np.abs(coefficients)
        tail = max(size.take([-2, -1], axis=axis).max() for axis in range(p))
        if tail <= _TOLERANCE * size.max():
            return _series((points[:, varies] - centre) / half, coefficients)
    return np.array([function(point) for point in points])


def _chebyshev_coefficients(values: FloatArray, nodes: FloatArray) -> FloatArray:
    """Find the Chebyshev series through values on a grid of the nodes in each variable."""
    degree = len(nodes) - 1
    transform = chebvander(nodes, degree).T * (2 / (degree + 1))
    transform[0] /= 2
    for _ in range(values.ndim):
        # Each turn transforms the first axis and makes it the last.
        values = np.tensordot(values, transform, axes=(0, 1))
    return values


def _series(x: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Sum a Chebyshev series of p variables at points x, (n, p), within [-1, 1]."""
    degree = len(coefficients) - 1
    values = np.empty(len(x))
    for start in range(0, len(x), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        first, *others = (chebvander(column, degree) for column in x[rows].T)
        partial = np.tensordot(first, coefficients, axes=(1, 0))
        for other in others:
            partial = np.einsum("nk,nk...->n...", other, partial)
        values[rows] = partial
    return values
