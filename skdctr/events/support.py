"""The support of the training events, outside of which weights are extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.numbers import format_apart
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.atoms import equals
from skdctr.events.chunks import row_chunks
from skdctr.events.coder import Coder
from skdctr.events.coding import EventCoder
from skdctr.events.kinds import Events, feature_table
from skdctr.events.packed import PackedEvents
from skdctr.exceptions import ExtrapolationWarning

__all__ = ["FeatureRange", "SetRange", "support_of"]

# Extreme values of a side that tell how fast its tail falls: its index to 14%. Of few events, at
# most that share.
_N_EXTREME, _EXTREME_SHARE = 50, 0.1
# Chance that one of as many other events lies farther out than a tail may reach.
_REACH_CHANCE = 1e-3


@dataclass(frozen=True)
class FeatureRange:
    """Support of the training events, feature by feature.

    Attributes
    ----------
    low, high : ndarray of shape (f,)
        Smallest and largest value of each feature among the training events, but for a few that
        lie far from all others, and for values that have a flag of their own. NaN where all
        values have one.
    n_events : int
        Number of training events.
    flagged : tuple of ndarray
        Values of each feature that have a flag; categories are flagged but for the rarest.
    tail_length, tail_index : ndarray of shape (2, f), optional
        Distance from the middle of a feature to `low` and to `high`, and 1/α of both tails: r
        times as far from the middle lies a share r^−α of the events.
    n_farther : ndarray of shape (2, f), optional
        Number of training events that lie far from all others, beyond `low` and `high`.
    """

    low: FloatArray
    high: FloatArray
    n_events: int
    flagged: tuple[FloatArray, ...] = ()
    tail_length: FloatArray | float = 0.0
    tail_index: FloatArray | float = 0.0
    n_farther: FloatArray | float = 0.0

    @classmethod
    def of(cls, X: FloatArray, coder: Coder) -> Self:
        """Find the support of training events.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Checked events, or particles.
        coder : Coder
            What their features are.
        """
        flagged = tuple(column.values for column in coder.columns)
        core = np.array([coder.low, coder.high])
        core_low, core_high = np.where(coder.has_tail, [[-np.inf], [np.inf]], core)
        n_extreme = int(min(_N_EXTREME, _EXTREME_SHARE * len(X)))
        # The smallest values, negated, and the largest ones.
        extremes = np.full((2, n_extreme + 1, len(flagged)), -np.inf)
        n_farther = np.zeros((2, len(flagged)))
        for _, part in row_chunks(X):
            is_number = ~(_flagged(part, flagged) | np.isnan(part))
            farther = np.array([part < core_low, part > core_high]) & is_number
            n_farther += farther.sum(axis=1)
            ordinary = is_number & ~farther.any(axis=0)
            for side, values in enumerate((-part, part)):
                values = np.r_[extremes[side], np.where(ordinary, values, -np.inf)]
                extremes[side] = np.partition(values, -n_extreme - 1, axis=0)[-n_extreme - 1 :]
        extremes.sort(axis=1)
        extremes[:, :, np.isinf(extremes[1, -1])] = np.nan
        distances = extremes + np.array([coder.shift, -coder.shift])[:, None]
        return cls(
            -extremes[0, -1],
            extremes[1, -1],
            len(X),
            flagged,
            distances[:, -1],
            _tail_index(distances, n_farther),
            n_farther,
        )

    def beyond_chance(self, X: FloatArray) -> list[tuple[int, int]]:
        """Find the columns with rows so far outside, or so many, that it is not by chance.

        Some fresh events of the same distribution fall just beyond the extremes of the training
        events: of n rows, 2 n / (n_events + 1) are expected to, and as large a share as that of
        the training events that lie farther. A column is found if more than ten times as many and
        ten lie outside, or one does by more than the width of the range and than a tail that
        falls as that of the training events reaches.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Other events.

        Returns
        -------
        list of (int, int)
            Number of each such column, and how many of its rows lie outside.
        """
        share = len(X) / (self.n_events + 1)
        expected = share * (2 + np.sum(np.broadcast_to(self.n_farther, (2, self.low.size)), axis=0))
        # The rounding of a constant feature must not count.
        slack = np.nan_to_num(1e-9 * np.maximum(np.abs(self.low), np.abs(self.high)))
        odds = max(1.0, share) * (1 + self.n_farther) / _REACH_CHANCE
        with np.errstate(over="ignore"):
            tail = self.tail_length * (odds**self.tail_index - 1)
        reach = np.maximum(self.high - self.low, tail)
        reach = np.broadcast_to(reach, (2, len(slack)))
        counts, too_far = np.zeros(len(slack), dtype=np.int64), np.zeros(len(slack), dtype=bool)
        for _, part in row_chunks(X):
            below, above = self.low - part, part - self.high
            counted = ~(_flagged(part, self.flagged) | np.isnan(part))
            # Of a feature whose values all have a flag, any other value is too far.
            counts += (counted & ~(np.maximum(below, above) <= slack)).sum(axis=0)
            too_far |= (counted & ~((below <= reach[0]) & (above <= reach[1]))).any(axis=0)
        too_many = counts > 10 + 10 * expected
        found = np.flatnonzero(too_many | ((counts > 0) & too_far))
        return [(int(k), int(counts[k])) for k in found]

    def warn_if_outside(self, X: FloatArray, names: Sequence[str], *, rows: str = "events") -> None:
        """Warn of each feature that is outside of the range by more than chance.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Other events.
        names : sequence of str of length f
            Names of the features.
        rows : str, default="events"
            What the rows are, for the message.
        """
        for k, n_outside in self.beyond_chance(X):
            low, high = format_apart(self.low[k], self.high[k])
            where = f"{names[k]} outside the range [{low}, {high}] of the training events"
            if np.isnan(self.low[k]):
                where = f"a value of {names[k]} that no training event has"
            warn_user(
                f"{n_outside} of {len(X)} {rows} have {where}: their weights are extrapolated. "
                "Train on events that cover them, or check the units.",
                ExtrapolationWarning,
                kind=("support", names[k], rows),
                badness=n_outside,
            )


@dataclass(frozen=True)
class SetRange:
    """Support of training events that are sets of particles.

    Attributes
    ----------
    particles : FeatureRange
        Range of the features of the particles.
    counts : FeatureRange
        Range of the number of particles of an event.
    types : ndarray of shape (t,), or None
        Particle types among the training events.
    """

    particles: FeatureRange
    counts: FeatureRange
    types: NDArray[np.int32] | None

    @property
    def n_events(self) -> int:
        """Number of training events."""
        return self.counts.n_events

    def warn_if_outside(self, X: PackedEvents, names: Sequence[str]) -> None:
        """Warn of particles, and of numbers of particles, that are outside of the support.

        Parameters
        ----------
        X : PackedEvents
            Other events.
        names : sequence of str of length f
            Names of the features of a particle.
        """
        features = X.features.astype(np.float64)
        self.particles.warn_if_outside(features, names, rows="particles")
        self.counts.warn_if_outside(X.counts[:, None].astype(np.float64), ["a number of particles"])
        if self.types is None or X.types is None:
            return
        unknown = ~np.isin(X.types, self.types)
        if unknown.any():
            shown = np.unique(X.types[unknown])[:5].tolist()
            warn_user(
                f"{unknown.sum()} of {len(unknown)} particles have a type that no particle of the "
                f"training events has, such as {shown}: the weights of their events are "
                "extrapolated.",
                ExtrapolationWarning,
                kind="types",
                badness=int(unknown.sum()),
            )


def support_of(X: Events, coder: EventCoder) -> FeatureRange | SetRange:
    """Find the support of training events.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    coder : EventCoder
        What their features are.
    """
    features = FeatureRange.of(feature_table(X), coder.features)
    if not isinstance(X, PackedEvents):
        return features
    counts = X.counts.astype(np.float64)[:, None]
    return SetRange(
        features,
        FeatureRange.of(counts, Coder.fit(counts, atoms=())),
        None if X.types is None else np.unique(X.types),
    )


def _flagged(part: FloatArray, flagged: Sequence[FloatArray]) -> NDArray[np.bool_]:
    """Say which values, (n, f), have a flag; a category that has none is told by its number."""
    found = np.zeros(part.shape, dtype=bool)
    for k, values in enumerate(flagged):
        for value in values:
            found[:, k] |= equals(part[:, k], value)
    return found


def _tail_index(extremes: FloatArray, n_farther: FloatArray) -> FloatArray:
    """Estimate 1/α of tails (Hill's estimate, where the farthest values are censored).

    Parameters
    ----------
    extremes : ndarray of shape (2, k + 1, f)
        Extreme distances from the middle, in ascending order; minus infinity for none.
    n_farther : ndarray of shape (2, f)
        Number of values farther still that are only counted.

    Returns
    -------
    ndarray of shape (2, f)
        Zero where fewer than k values are on that side of the middle.

    References
    ----------
    B. M. Hill, Ann. Statist. 3, 1163 (1975).
    """
    first = extremes[:, :1]
    ratios = np.divide(extremes, first, out=np.ones_like(extremes), where=first > 0)
    logs = np.log(ratios)
    return (logs.sum(axis=1) + n_farther * logs[:, -1]) / max(1, extremes.shape[1] - 1)
