"""Affine maps of columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import extremes, row_chunks

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling:
    """Affine map of each column; `EventCoder` is the one for features, which may be anything.

    Attributes
    ----------
    shift, scale : ndarray of shape (k,)
        Columns become ``(X - shift) / scale``.
    """

    shift: FloatArray
    scale: FloatArray

    @classmethod
    def standard(cls, X: FloatArray, weight: FloatArray) -> Self:
        """Choose the map to mean 0 and standard deviation 1, in absolute weights.

        Parameters
        ----------
        X : ndarray of shape (n, k)
            Finite numbers.
        weight : ndarray of shape (n,)
            Weights, which may be negative.
        """
        absolute = np.abs(weight)
        total = absolute.sum()
        mean = sum(absolute[rows] @ part for rows, part in row_chunks(X)) / total
        squares = (absolute[rows] @ (part - mean) ** 2 for rows, part in row_chunks(X))
        deviation = np.sqrt(sum(squares) / total)
        # Rounding leaves a constant column a deviation that would blow up any other value.
        low, high = extremes(X)
        varies = (high > low) & (deviation > 0)
        return cls(mean, np.where(varies, deviation, 1.0))

    def __call__(self, X: FloatArray) -> FloatArray:
        """Apply the map in double precision."""
        return (X - self.shift) / self.scale
