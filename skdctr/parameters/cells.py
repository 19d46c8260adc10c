"""Cells of a sample of θ, and its distinct values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray

__all__ = ["distinct_theta", "theta_cells"]

IndexArray = NDArray[np.intp]

# Rows of θ, for each value looked for, that show whether there are more.
_ENOUGH_ROWS = 20


def theta_cells(theta: FloatArray, weight: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Divide a sample into cells of about equal numbers, each in turn halved along its widest side.

    Weights may be negative; a cell whose sum is counts as empty.

    Returns
    -------
    means : ndarray of shape (m, p)
        Mean of each cell; m is n at the most. Where there are no more than n distinct θ, these.
    totals : ndarray of shape (m,)
        Sum of weights of each cell.
    """
    few = distinct_theta(theta, n)
    if few is not None:
        distinct, owner = few
    else:
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
    totals: FloatArray = np.bincount(owner, weights=weight).clip(min=0.0)
    if few is not None:
        return distinct, totals
    size = np.abs(weight)
    sizes = np.bincount(owner, weights=size)
    means = [np.bincount(owner, weights=size * column) / sizes for column in theta.T]
    return np.stack(means, axis=1), totals


def distinct_theta(theta: FloatArray, n: int) -> tuple[FloatArray, IndexArray] | None:
    """Return the distinct rows of θ, and which of them each row is; None if there are more than n.

    To sort all rows takes seconds of millions; a part of them often has more than n already.
    """
    part = theta[:: max(1, len(theta) // (_ENOUGH_ROWS * n))]
    if len(np.unique(part, axis=0)) > n:
        return None
    distinct, inverse = np.unique(theta, axis=0, return_inverse=True)
    return (distinct, inverse.reshape(-1)) if len(distinct) <= n else None
