"""The support of the training events, outside of which weights are extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.numbers import format_apart
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.chunks import extremes, row_chunks
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
        Smallest and largest value of each feature among the training events.
    n_events : int
        Number of training events.
    """

    low: FloatArray
    high: FloatArray
    n_events: int

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
        slack = 1e-9 * np.maximum(np.abs(self.low), np.abs(self.high))
        counts, farthest = np.zeros(len(slack), dtype=np.int64), np.full(len(slack), -np.inf)
        for _, part in row_chunks(X):
            beyond = np.maximum(self.low - part, part - self.high)
            counts += (beyond > slack).sum(axis=0)
            farthest = np.maximum(farthest, beyond.max(axis=0))
        too_many, too_far = counts > 10 + 10 * expected, farthest > self.high - self.low
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
            warn_user(
                f"{n_outside} of {len(X)} {rows} have {names[k]} outside the range "
                f"[{low}, {high}] of the training events: their weights "
                "are extrapolated. Train on events that cover them, or check the units.",
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


@singledispatch
def support_of(X: Events) -> FeatureRange | SetRange:
    """Find the support of training events.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    """
    return FeatureRange(*extremes(feature_table(X)), len(X))


@support_of.register(PackedEvents)
def _support_of_sets(X: PackedEvents) -> SetRange:
    if X.n_particles:
        low = X.features.min(axis=0).astype(np.float64)
        high = X.features.max(axis=0).astype(np.float64)
    else:
        low = high = np.zeros(X.n_features)
    counts = X.counts.astype(np.float64)[:, None]
    return SetRange(
        FeatureRange(low, high, X.n_particles),
        FeatureRange(counts.min(axis=0), counts.max(axis=0), len(X)),
        None if X.types is None else np.unique(X.types),
    )
