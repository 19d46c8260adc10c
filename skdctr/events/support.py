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
    """

    low: FloatArray
    high: FloatArray
    n_events: int
    flagged: tuple[FloatArray, ...] = ()

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
        low, high = np.full(len(flagged), np.inf), np.full(len(flagged), -np.inf)
        for _, part in row_chunks(X):
            ordinary = (part >= core_low) & (part <= core_high) & ~_flagged(part, flagged)
            low = np.minimum(low, np.where(ordinary, part, np.inf).min(axis=0))
            high = np.maximum(high, np.where(ordinary, part, -np.inf).max(axis=0))
        has_range = low <= high
        low, high = np.where(has_range, low, np.nan), np.where(has_range, high, np.nan)
        return cls(low, high, len(X), flagged)

    def beyond_chance(self, X: FloatArray) -> list[tuple[int, int]]:
        """Find the columns with rows so far outside, or so many, that it is not by chance.

        Some fresh events of the same distribution fall just beyond the extremes of the training
        events: of n rows, 2 n / (n_events + 1) are expected to. A column is found if more than
        ten times as many and ten lie outside, or one does by more than the width of the range.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Other events.

        Returns
        -------
        list of (int, int)
            Number of each such column, and how many of its rows lie outside.
        """
        expected = 2 * len(X) / (self.n_events + 1)
        # The rounding of a constant feature must not count.
        slack = np.nan_to_num(1e-9 * np.maximum(np.abs(self.low), np.abs(self.high)))
        counts, farthest = np.zeros(len(slack), dtype=np.int64), np.full(len(slack), -np.inf)
        for _, part in row_chunks(X):
            beyond = np.maximum(self.low - part, part - self.high)
            beyond[:, np.isnan(self.low)] = np.inf
            beyond[_flagged(part, self.flagged) | np.isnan(part)] = -np.inf
            counts += (beyond > slack).sum(axis=0)
            farthest = np.maximum(farthest, beyond.max(axis=0))
        too_many, too_far = counts > 10 + 10 * expected, ~(farthest <= self.high - self.low)
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
