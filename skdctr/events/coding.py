"""Events as networks see them: coded features of rows or of particles, and codes of their types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.chunks import row_chunks
from skdctr.events.coder import Coder
from skdctr.events.kinds import Events, concatenate_events, feature_table
from skdctr.events.packed import PackedEvents
from skdctr.events.tensors import PackedTensors
from skdctr.exceptions import FeatureWarning

__all__ = ["CodedEvents", "EventCoder"]

# A particle type has a code of its own if so many particles, or such a share of all, are of it.
_LEAST_OF_TYPE = 100
_LEAST_SHARE_OF_TYPE = 1e-3


@dataclass(frozen=True, eq=False)
class CodedEvents(PackedEvents):
    """Packed events whose particle types are codes from 0 to ``n_types - 1``."""

    n_types: int = 0

    def to_torch(self, device: str | torch.device = "cpu") -> PackedTensors:
        """Copy to a device, as in `PackedEvents.to_torch`; the tensors know `n_types`."""
        return replace(super().to_torch(device), n_types=self.n_types)


@dataclass(frozen=True)
class EventCoder:
    """Map of events to what networks learn well on.

    Attributes
    ----------
    features : Coder
        Map of the features of an event, or of those of every particle.
    types : ndarray of shape (t,), or None
        Particle types that have a code each, in ascending order; all others share one more.
    """

    features: Coder
    types: NDArray[np.int32] | None = None

    @classmethod
    def fit(
        cls,
        X: Events,
        weight: FloatArray,
        names: Sequence[str] | None = None,
        *,
        other: tuple[Events, FloatArray] | None = None,
    ) -> Self:
        """Find out what the features of a sample are.

        Parameters
        ----------
        X : ndarray of shape (n, f) or PackedEvents
            Checked events; rows are NaN where a value is missing.
        weight : ndarray of shape (n,)
            Event weights, which count by their absolute values.
        names : sequence of str of length f, optional
            Names of the features; sets know theirs.
        other : tuple of events and ndarray of shape (k,), optional
            A second sample and its event weights, which may have values with a flag that the first
            one lacks. The first one alone decides on the scale.
        """
        both, of_both = X, weight
        if other is not None:
            second, other_weight = other
            both = concatenate_events([X, second])
            of_both = np.concatenate([weight, other_weight * (weight.sum() / other_weight.sum())])
        n_scale = len(feature_table(X))
        if not isinstance(both, PackedEvents):
            return cls(Coder.fit(both, of_both, names, n_scale=n_scale))
        of_particles = np.repeat(of_both, both.counts)
        features: NDArray[Any] = both.features
        coder = Coder.fit(features, of_particles, both.feature_names, n_scale=n_scale)
        return cls(coder, None if both.types is None else _frequent_types(both.types))

    def warn(self) -> None:
        """Tell the user what features look like, where they are no numbers.

        Warns
        -----
        FeatureWarning
            For each feature that looks like an angle, or like codes of particle types.
        """
        for text in self.features.advice:
            warn_user(text, FeatureWarning)

    @overload
    def __call__(self, X: FloatArray) -> FloatArray: ...

    @overload
    def __call__(self, X: PackedEvents) -> CodedEvents: ...

    @overload
    def __call__(self, X: Events) -> Events: ...

    def __call__(self, X: Events) -> Events:
        """Code events in double precision, as a mass has more digits than a float32 keeps."""
        if not isinstance(X, PackedEvents):
            return self.features(X)
        features = np.empty((X.n_particles, self.features.n_out), dtype=np.float32)
        for rows, part in row_chunks(X.features):
            features[rows] = self.features(part)
        codes, n_types = None, 0
        if self.types is not None and X.types is not None:
            n_types = len(self.types) + 1
            place = np.searchsorted(self.types, X.types)
            known = np.append(self.types, 0)[place] == X.types
            codes = np.where(known & (place < len(self.types)), place, n_types - 1)
            codes = codes.astype(np.int32)
        names = None if X.feature_names is None else self.features.rename(X.feature_names)
        return CodedEvents(features, X.offsets, names, codes, X.type_name, n_types)


def _frequent_types(types: NDArray[np.int32]) -> NDArray[np.int32]:
    """Find the types of so many particles that each can learn an embedding of its own."""
    values, counts = np.unique(types, return_counts=True)
    known: NDArray[np.int32] = values[
        counts >= min(_LEAST_OF_TYPE, _LEAST_SHARE_OF_TYPE * len(types))
    ]
    return known
