"""Cells of a sample of θ, and the distinct values that it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray

__all__ = ["cell_owners", "distinct_theta", "theta_cells"]

IndexArray = NDArray[np.intp]

# Rows of θ that are looked at for each value that is sought; they nearly always show whether there
# are more values.
_ENOUGH_ROWS = 20


def theta_cells(theta: FloatArray, weight: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Divide a sample of θ into cells of about equal numbers.

    All rows are one cell at first. Then each cell is halved along its widest side, as long as there
    are no more than n. If the sample has no more than n distinct θ, each is a cell by itself.

    Parameters
    ----------
    theta : ndarray of shape (r, p)
        The sample.
    weight : ndarray of shape (r,)
        Weights, which may be negative.
    n : int
        Largest number of cells.

    Returns
    -------
    means : ndarray of shape (m, p)
        Mean θ of each cell, in absolute weights.
    totals : ndarray of shape (m,)
        Sum of weights of each cell; 0 where it would be negative.
    """
    few = distinct_theta(theta, n)
    owner = _halved(theta, n) if few is None else few[1]
    totals: FloatArray = np.bincount(owner, weights=weight).clip(min=0.0)
    if few is not None:
        return few[0], totals
    size = np.abs(weight)
    sizes = np.bincount(owner, weights=size)
    means = [np.bincount(owner, weights=size * column) / sizes for column in theta.T]
    return np.stack(means, axis=1), totals


def cell_owners(theta: FloatArray, n: int) -> IndexArray:
    """Tell which cell of `theta_cells` each row of θ is in.

    Parameters
    ----------
    theta : ndarray of shape (r, p)
        The sample.
    n : int
        Largest number of cells.

    Returns
    -------
    ndarray of int of shape (r,)
        Numbers of the cells from 0 on.
    """
    few = distinct_theta(theta, n)
    return _halved(theta, n) if few is None else few[1]


def _halved(theta: FloatArray, n: int) -> IndexArray:
    """Halve cells along their widest side, and return which cell each row is in."""
    scale = theta.std(axis=0) + np.finfo(float).tiny
    cells = [np.arange(len(theta))]
    while 2 * len(cells) <= n:
        halves = []
        for cell in cells:
            side = int(np.argmax(np.ptp(theta[cell], axis=0) / scale))
            middle = len(cell) // 2
            order = np.argpartition(theta[cell, side], middle)
            halves += [cell[order[:middle]], cell[order[middle:]]]
        cells = halves
    owner = np.empty(len(theta), dtype=np.intp)
    for k, cell in enumerate(cells):
        owner[cell] = k
    return owner


def distinct_theta(theta: FloatArray, n: int) -> tuple[FloatArray, IndexArray] | None:
    """Find the distinct rows of θ.

    Parameters
    ----------
    theta : ndarray of shape (r, p)
        The sample.
    n : int
        Largest number of distinct rows that is of interest.

    Returns
    -------
    distinct : ndarray of shape (m, p)
        The distinct rows, in ascending order.
    owner : ndarray of int of shape (r,)
        Which of them each row is.

    None is returned in place of both if there are more than n.
    """
    # To sort millions of rows takes seconds, and a part of them often has more than n already.
    part = theta[:: max(1, len(theta) // (_ENOUGH_ROWS * n))]
    if len(np.unique(part, axis=0)) > n:
        return None
    distinct, inverse = np.unique(theta, axis=0, return_inverse=True)
    return (distinct, inverse.reshape(-1)) if len(distinct) <= n else None
