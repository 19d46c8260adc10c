"""The scale of features that networks learn best on, and codes of particle types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, overload

import numpy as np
import torch
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import extremes, row_chunks
from skdctr.events.kinds import Events
from skdctr.events.packed import PackedEvents
from skdctr.events.tensors import PackedTensors

__all__ = ["CodedEvents", "Scaling"]

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
class Scaling:
    """Affine map of each feature to the scale that networks learn best on.

    Attributes
    ----------
    shift, scale : ndarray of shape (k,)
        Features become ``(X - shift) / scale``, by the same numbers for all particles.
    types : ndarray of shape (t,), or None
        Particle types that have a code each, in ascending order; all others share one more.
    """

    shift: FloatArray
    scale: FloatArray
    types: NDArray[np.int32] | None = None

    @classmethod
    def standard(cls, X: Events, weight: FloatArray) -> Self:
        """Choose the map to mean 0 and standard deviation 1, in absolute weights.

        Parameters
        ----------
        X : ndarray of shape (n, f) or PackedEvents
            Checked events.
        weight : ndarray of shape (n,)
            Event weights, which may be negative.
        """
        absolute = np.abs(weight)
        if isinstance(X, PackedEvents):
            types = None if X.types is None else _frequent_types(X.types)
            return cls(*X.mean_and_scale(absolute), types)
        total = absolute.sum()
        mean = sum(absolute[rows] @ part for rows, part in row_chunks(X)) / total
        squares = (absolute[rows] @ (part - mean) ** 2 for rows, part in row_chunks(X))
        deviation = np.sqrt(sum(squares) / total)
        # Rounding leaves a constant column a deviation that would blow up any other value.
        low, high = extremes(X)
        varies = (high > low) & (deviation > 0)
        return cls(mean, np.where(varies, deviation, 1.0))

    @overload
    def __call__(self, X: FloatArray) -> FloatArray: ...

    @overload
    def __call__(self, X: PackedEvents) -> CodedEvents: ...

    @overload
    def __call__(self, X: Events) -> Events: ...

    def __call__(self, X: Events) -> Events:
        """Apply the map in double precision, as a mass has more digits than a float32 keeps."""
        if isinstance(X, PackedEvents):
            return self._coded(X)
        return (X - self.shift) / self.scale

    def _coded(self, X: PackedEvents) -> CodedEvents:
        """Scale the features of particles, and turn their types into codes."""
        features = np.empty(X.features.shape, dtype=np.float32)
        for rows, part in row_chunks(X.features):
            features[rows] = (part - self.shift) / self.scale
        codes, n_types = None, 0
        if self.types is not None and X.types is not None:
            n_types = len(self.types) + 1
            place = np.searchsorted(self.types, X.types)
            known = np.append(self.types, 0)[place] == X.types
            codes = np.where(known & (place < len(self.types)), place, n_types - 1)
            codes = codes.astype(np.int32)
        return CodedEvents(features, X.offsets, X.feature_names, codes, X.type_name, n_types)


def _frequent_types(types: NDArray[np.int32]) -> NDArray[np.int32]:
    """Find the types of so many particles that each can learn an embedding of its own."""
    values, counts = np.unique(types, return_counts=True)
    known: NDArray[np.int32] = values[
        counts >= min(_LEAST_OF_TYPE, _LEAST_SHARE_OF_TYPE * len(types))
    ]
    return known
