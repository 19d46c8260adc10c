"""How one feature is coded: by a number, by sine and cosine, or by flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.atoms import equals

__all__ = ["Column", "Flag", "short_text"]

# A flag is scaled to unit variance, but one that few events have not to more than this inverse.
_LEAST_FLAG_SCALE: Final = 0.2


@dataclass(frozen=True)
class Flag:
    """One column of zeros and ones: whether an event has a value.

    Attributes
    ----------
    value : float, or None
        The value; NaN is that of a missing one. None: any that no other flag of the column has.
    share : float
        Share of the weight that has it.
    """

    value: float | None
    share: float

    def scaled(self, is_so: NDArray[np.bool_]) -> FloatArray:
        """Scale zeros and ones, (n,), to mean 0 and, for what is not rare, to unit variance."""
        deviation = np.sqrt(self.share * (1 - self.share))
        scaled: FloatArray = (is_so - self.share) / max(deviation, _LEAST_FLAG_SCALE)
        return scaled

    def label(self, name: str, sign: str) -> str:
        """Name the column: ``x == -99``, ``x missing``, ``x = 211`` or ``x = other``."""
        if self.value is None:
            return f"{name} {sign} other"
        return (
            f"{name} missing" if np.isnan(self.value) else f"{name} {sign} {short_text(self.value)}"
        )


@dataclass(frozen=True)
class Column:
    """How one feature is coded.

    Attributes
    ----------
    kind : {"number", "angle", "category"}
        A number has one column, an angle two, sine and cosine, a category only flags.
    flags : tuple of Flag
        Atoms, categories and what is missing.
    period : float
        That of an angle.
    moments : tuple of float
        Mean and standard deviation of sine, and of cosine.
    """

    kind: Literal["number", "angle", "category"] = "number"
    flags: tuple[Flag, ...] = ()
    period: float = 2 * np.pi
    moments: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)

    @property
    def is_plain(self) -> bool:
        """Whether it is a number and nothing else."""
        return self.kind == "number" and not self.flags

    @property
    def n_numbers(self) -> int:
        """How many columns come before the flags."""
        return {"number": 1, "angle": 2, "category": 0}[self.kind]

    @property
    def values(self) -> FloatArray:
        """Values that have a flag of their own."""
        return np.array([flag.value for flag in self.flags if flag.value is not None])

    def names(self, name: str) -> list[str]:
        """Name the columns that the feature of this name becomes."""
        numbers = {"number": [name], "angle": [f"sin {name}", f"cos {name}"], "category": []}
        sign = "=" if self.kind == "category" else "=="
        return numbers[self.kind] + [flag.label(name, sign) for flag in self.flags]

    def code(self, x: FloatArray, scaled: FloatArray, out: FloatArray) -> None:
        """Write the columns of some events.

        Parameters
        ----------
        x, scaled : ndarray of shape (n,)
            The feature, as it is and as a scaled number.
        out : ndarray of shape (n, k)
            Where the columns go.
        """
        is_so = {flag.value: equals(x, flag.value) for flag in self.flags if flag.value is not None}
        special = np.zeros(len(x), dtype=bool)
        for of_flag in is_so.values():
            special |= of_flag
        if self.kind == "number":
            out[:, 0] = np.where(special, 0.0, scaled)
        elif self.kind == "angle":
            mean_sin, of_sin, mean_cos, of_cos = self.moments
            phase = np.where(special, 0.0, x) * (2 * np.pi / self.period)
            out[:, 0] = np.where(special, 0.0, (np.sin(phase) - mean_sin) / of_sin)
            out[:, 1] = np.where(special, 0.0, (np.cos(phase) - mean_cos) / of_cos)
        for k, flag in enumerate(self.flags, self.n_numbers):
            out[:, k] = flag.scaled(~special if flag.value is None else is_so[flag.value])


def short_text(value: float) -> str:
    """Write a value as short as it can be, a large integer with all its digits."""
    if value == round(value) and abs(value) < 1e15:
        return str(int(value))
    single = np.float32(value) if abs(value) < 1e38 else value
    return str(single) if float(single) == value else repr(float(value))
