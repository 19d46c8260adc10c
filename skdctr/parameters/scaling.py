"""The scale of the parameters that networks learn best on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.scaling import Scaling

__all__ = ["ParameterScaling"]

# A positive parameter is a scale if its largest value is more than so many times its smallest.
_SCALE_RATIO = 3.0


@dataclass(frozen=True)
class ParameterScaling:
    """Map of each parameter's range to [-1, 1].

    A parameter that stays positive over a wide range is a scale, such as a width or a lifetime:
    densities change with its logarithm, which is mapped instead.

    Attributes
    ----------
    logarithmic : ndarray of bool of shape (p,)
        Parameters whose logarithm is mapped.
    inner : Scaling
        Affine map of the parameters, or of their logarithms.
    """

    logarithmic: NDArray[np.bool_]
    inner: Scaling

    @classmethod
    def of_range(cls, low: FloatArray, high: FloatArray) -> Self:
        """Choose the map for the range [low, high] of each parameter, both of shape (p,)."""
        logarithmic = (low > 0) & (high > _SCALE_RATIO * low)
        low, high = (cls._logarithm(edge, logarithmic) for edge in (low, high))
        half = (high - low) / 2
        return cls(logarithmic, Scaling((high + low) / 2, np.where(half > 0, half, 1.0)))

    @staticmethod
    def _logarithm(theta: FloatArray, logarithmic: NDArray[np.bool_]) -> FloatArray:
        """Take the logarithm of those parameters that it is wanted of."""
        return np.where(logarithmic, np.log(np.where(logarithmic, theta, 1.0)), theta)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Map θ of shape (p,) or (n, p).

        Raises
        ------
        ValueError
            If a parameter whose logarithm is mapped is not positive.
        """
        if (theta[..., self.logarithmic] <= 0).any():
            raise ValueError(
                f"theta={theta.tolist()}: a parameter that was positive throughout training cannot "
                "be zero or negative. Check its sign and units."
            )
        return self.inner(self._logarithm(theta, self.logarithmic))

    def derivative(self, theta: FloatArray) -> FloatArray:
        """Compute the derivative of the map at θ, of the shape of θ."""
        slope: FloatArray = (
            np.where(self.logarithmic, 1 / np.where(self.logarithmic, theta, 1.0), 1.0)
            / self.inner.scale
        )
        return slope
