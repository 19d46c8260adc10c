"""The scale of the parameters that networks learn best on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr.events.scaling import Scaling

__all__ = ["SCALES", "ParameterScaling", "read_theta_scale", "spans_a_scale"]

# Scales that a user can ask for.
SCALES = ("auto", "linear", "log")
# A positive parameter may be a scale if its largest value is more than so many times its smallest.
_SCALE_RATIO = 3.0


def read_theta_scale(
    setting: str | Mapping[str, str], names: Sequence[str], low: FloatArray
) -> list[str]:
    """Read the scale that a user wants for each parameter.

    Parameters
    ----------
    setting : str or mapping of str to str
        One of `SCALES` for all parameters, or by name, "auto" for those left out.
    names : sequence of str of length p
        Names of the parameters.
    low : ndarray of shape (p,)
        Smallest value that each parameter may have.

    Returns
    -------
    list of str of length p

    Raises
    ------
    ValueError
        If a name or a scale is unknown, or the logarithm of a parameter that is not positive is
        wanted.
    """
    if not isinstance(setting, Mapping):
        setting = dict.fromkeys(names, setting)
    for name, scale in setting.items():
        if name not in names:
            raise ValueError(
                f"theta_scale names an unknown parameter {name!r}; {did_you_mean(name, names)}"
            )
        if scale not in SCALES:
            raise ValueError(f"theta_scale[{name!r}]={scale!r}; expected one of {list(SCALES)}.")
        least = float(low[names.index(name)])
        if scale == "log" and not least > 0:
            raise ValueError(
                f"theta_scale: {name} is to be mapped by its logarithm, but its range begins at "
                f"{least!r}. Take 'linear', or give events and theta_bounds above zero."
            )
    return [setting.get(name, "auto") for name in names]


def spans_a_scale(low: FloatArray, high: FloatArray) -> NDArray[np.bool_]:
    """Say which parameters, (p,), stay positive over so wide a range that they may be scales."""
    wide: NDArray[np.bool_] = (low > 0) & (high > _SCALE_RATIO * low)
    return wide


@dataclass(frozen=True)
class ParameterScaling:
    """Map of each parameter's range to [-1, 1].

    A parameter that stays positive over a wide range may be a scale, such as a width or a lifetime:
    densities change with its logarithm, which is mapped instead.

    Attributes
    ----------
    names : tuple of str of length p
        Names of the parameters.
    logarithmic : ndarray of bool of shape (p,)
        Parameters whose logarithm is mapped.
    inner : Scaling
        Affine map of the parameters, or of their logarithms.
    """

    names: tuple[str, ...]
    logarithmic: NDArray[np.bool_]
    inner: Scaling

    @classmethod
    def of_range(
        cls,
        names: Sequence[str],
        low: FloatArray,
        high: FloatArray,
        logarithmic: NDArray[np.bool_],
    ) -> Self:
        """Make the map for the range [low, high] of each parameter, all of shape (p,)."""
        low, high = (cls._logarithm(edge, logarithmic) for edge in (low, high))
        half = (high - low) / 2
        inner = Scaling((high + low) / 2, np.where(half > 0, half, 1.0))
        return cls(tuple(names), logarithmic, inner)

    @staticmethod
    def _logarithm(theta: FloatArray, logarithmic: NDArray[np.bool_]) -> FloatArray:
        """Take the logarithm of those parameters that it is wanted of."""
        return np.where(logarithmic, np.log(np.where(logarithmic, theta, 1.0)), theta)

    @property
    def scales(self) -> dict[str, str]:
        """Name the scale of each parameter, "log" or "linear"."""
        return {
            name: "log" if mapped else "linear"
            for name, mapped in zip(self.names, self.logarithmic, strict=True)
        }

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Map θ of shape (p,) or (n, p).

        Raises
        ------
        ValueError
            If a parameter whose logarithm is mapped is not positive.
        """
        unfit = self.logarithmic & (np.atleast_2d(theta) <= 0).any(axis=0)
        if unfit.any():
            wrong = [name for name, is_wrong in zip(self.names, unfit, strict=True) if is_wrong]
            raise ValueError(
                f"theta: {wrong} cannot be zero or negative, as they were positive throughout "
                "training and their logarithms were learned. Check their sign and units, narrow "
                "the bounds, or fit the reweighter with theta_scale='linear'."
            )
        return self.inner(self._logarithm(theta, self.logarithmic))

    def derivative(self, theta: FloatArray) -> FloatArray:
        """Compute the derivative of the map at θ, of the shape of θ."""
        slope: FloatArray = (
            np.where(self.logarithmic, 1 / np.where(self.logarithmic, theta, 1.0), 1.0)
            / self.inner.scale
        )
        return slope
