"""What a feature is, by a sample of its values: a number, an angle or a category."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.events.atoms import are_integers, equals, find_atoms, first_of_each
from skdctr.events.columns import Column, Flag, short_text
from skdctr.events.core import core_edges

__all__ = ["ColumnPlan"]

# A category has a flag if so many events, or such a share of all, are of it; of few events a share
# that is larger, up to a number. More categories than these share one, the rarest ones.
_LEAST_OF_CATEGORY, _LEAST_SHARE, _SHARE_OF_FEW, _MOST_OF_FEW = 100, 1e-3, 0.02, 10
_MOST_CATEGORIES: Final = 64

_PDG_SUFFIX = re.compile(r"pdg_?id$|(^|[^a-z])pid$", re.IGNORECASE)
_PDG_CAMEL = re.compile(r"[a-z0-9](PID|Pid)$")
_ID_SUFFIX = re.compile(r"(^|[^a-z])id$", re.IGNORECASE)
# Absolute codes of the particles that generators write most often; 0 stands for none.
_PDG_CODES: Final = [
    *(0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 35, 36, 37),
    *(111, 113, 130, 211, 213, 221, 223, 310, 311, 313, 321, 323, 331, 333),
    *(411, 413, 421, 423, 431, 443, 511, 521, 531, 541, 553),
    *(2101, 2103, 2112, 2203, 2212, 2224, 3112, 3122, 3212, 3222, 3312, 3322, 3334, 4122, 5122),
]
_LEAST_PDG_SHARE: Final = 0.99

# An angle is taken for one if so many events fill its whole range, with such a density at both
# ends, relative to the mean one, within such a share of the range.
_ANGLE_EVENTS, _ANGLE_DENSITY, _ANGLE_END = 500, 0.2, 0.01


@dataclass(frozen=True)
class ColumnPlan:
    """What a column is, by a sample of its values."""

    kind: Literal["number", "angle", "category"]
    values: tuple[float, ...] = ()
    low: float = -np.inf
    high: float = np.inf
    period: float = 2 * np.pi
    advice: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        x: FloatArray,
        weight: FloatArray,
        name: str,
        *,
        period: float | None,
        categorical: bool | None,
        atoms: FloatArray | None,
    ) -> Self:
        """Find out what a feature is.

        Parameters
        ----------
        x : ndarray of shape (n,)
            A sample of its values, which may be NaN.
        weight : ndarray of shape (n,)
            Their weights, all positive.
        name : str
            Name of the feature.
        period : float, or None
            That of an angle.
        categorical : bool, or None
            Whether it is a category; None leaves this to its name and values.
        atoms : ndarray of shape (a,), or None
            Values that have a flag; None looks for them.
        """
        finite = ~np.isnan(x)
        order = np.argsort(x[finite])
        x, weight = x[finite][order], weight[finite][order]
        if categorical is None:
            categorical = period is None and _is_named_pdg(x, weight, name)
        if categorical:
            return cls("category", _frequent_categories(x, name), np.inf, -np.inf)
        advice = () if period is not None else _pdg_advice(x, weight, name)
        values = find_atoms(x, weight) if atoms is None else atoms
        for value in values:
            others = ~equals(x, value)
            x, weight = x[others], weight[others]
        if period is not None:
            return cls("angle", tuple(values.tolist()), np.inf, -np.inf, period)
        # Where there is nothing, there is a core around 0.
        low, high = core_edges(x, weight) if len(x) else (0.0, 0.0)
        advice += _angle_advice(x, weight, name)
        return cls("number", tuple(values.tolist()), low, high, advice=advice)

    def column(self, x: FloatArray, weight: FloatArray, values: Sequence[float]) -> Column:
        """Make the column, whose flags are for these values."""
        total = max(weight.sum(), np.finfo(float).tiny)
        flags, special = [], np.zeros(len(x), dtype=bool)
        for value in values:
            is_so = equals(x, value)
            flags.append(Flag(value, float(weight[is_so].sum() / total)))
            special |= is_so
        if self.kind == "category" and not special.all():
            flags.append(Flag(None, float(weight[~special].sum() / total)))
        moments: list[float] = []
        if self.kind == "angle":
            phase, weight = x[~special] * (2 * np.pi / self.period), weight[~special]
            moments += _mean_and_deviation(np.sin(phase), weight)
            moments += _mean_and_deviation(np.cos(phase), weight)
        chosen = (moments[0], moments[1], moments[2], moments[3]) if moments else Column.moments
        return Column(self.kind, tuple(flags), self.period, chosen)


def _mean_and_deviation(x: FloatArray, weight: FloatArray) -> list[float]:
    """Compute both in weights; those of a constant, or of nothing, are its value and 1."""
    if not len(x):
        return [0.0, 1.0]
    mean = np.average(x, weights=weight)
    deviation = np.sqrt(np.average((x - mean) ** 2, weights=weight))
    return [float(mean), float(deviation) if np.ptp(x) > 0 and deviation > 0 else 1.0]


def _distinct(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """List distinct values of sorted ones, and the share of the weight of each."""
    first = first_of_each(x)
    shares = np.add.reduceat(weight, first) / weight.sum() if len(x) else np.empty(0)
    return x[first], shares


def _frequent_categories(x: FloatArray, name: str) -> tuple[float, ...]:
    """Find the categories of so many events that each can have a flag of its own."""
    values, counts = np.unique(x, return_counts=True)
    few = min(_SHARE_OF_FEW * len(x), _MOST_OF_FEW)
    least = min(_LEAST_OF_CATEGORY, max(_LEAST_SHARE * len(x), few))
    frequent = np.flatnonzero(counts >= least)
    if len(x) and not len(frequent):
        raise ValueError(
            f"{name} is to be categorical, but none of its {len(values)} values has {least:g} of "
            f"the {len(x)} events: leave it a number."
        )
    most = np.argsort(-counts[frequent], kind="stable")[:_MOST_CATEGORIES]
    return tuple(values[np.sort(frequent[most])].tolist())


def _is_named_pdg(x: FloatArray, weight: FloatArray, name: str) -> bool:
    """Say whether a feature is a particle type by its name, and of integers."""
    if not are_integers(x):
        return False
    if _PDG_SUFFIX.search(name) or _PDG_CAMEL.search(name):
        return True
    return bool(_ID_SUFFIX.search(name)) and _looks_like_pdg(x, weight)


def _looks_like_pdg(x: FloatArray, weight: FloatArray) -> bool:
    """Say whether integers are PDG codes by their values, with signs or large ones among them."""
    values, shares = _distinct(x, weight)
    known = np.isin(np.abs(values), _PDG_CODES)
    telling = known & (shares >= _LEAST_SHARE) & ((values <= -11) | (values > 100))
    return bool(len(values) > 2 and telling.any() and shares[known].sum() >= _LEAST_PDG_SHARE)


def _pdg_advice(x: FloatArray, weight: FloatArray, name: str) -> tuple[str, ...]:
    if not (are_integers(x) and _looks_like_pdg(x, weight)):
        return ()
    shown = ", ".join(short_text(value) for value in _distinct(x, weight)[0][:5])
    text = (
        f"{name} looks like PDG codes ({shown}, …), which are no numbers: name it so that it ends "
        "in pdgId, or give a column of zeros and ones for each type, as FeatureCoder does with "
        f"categorical=[{name!r}]."
    )
    return (text,)


def _angle_advice(x: FloatArray, weight: FloatArray, name: str) -> tuple[str, ...]:
    if len(x) < _ANGLE_EVENTS or are_integers(x):
        return ()
    share = _ANGLE_END * 2 * np.pi
    for low, span in ((-np.pi, "(-π, π]"), (0.0, "[0, 2π)")):
        # The π of single precision is larger than that of double precision.
        if x[0] < low - 1e-5 or x[-1] > low + 2 * np.pi + 1e-5:
            continue
        ends = [weight[x < low + share].sum(), weight[x > low + 2 * np.pi - share].sum()]
        if min(ends) >= _ANGLE_DENSITY * _ANGLE_END * weight.sum():
            text = (
                f"{name} fills {span} up to both ends, as an angle does, whose ends are one point: "
                "if it is one, give its sine and cosine, as FeatureCoder does with "
                f"periodic=[{name!r}]."
            )
            return (text,)
    return ()
