"""Scales that networks learn best on, and the support of the training events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, overload

import numpy as np
import torch
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user

from ._chunks import row_chunks
from ._set_tensors import PackedTensors
from ._sets import PackedEvents
from ._validation import Events
from .exceptions import ExtrapolationWarning

__all__ = ["CodedEvents", "FeatureRange", "ParameterScaling", "Scaling", "SetRange", "support_of"]

# Largest over smallest value from which on a positive parameter counts as a scale.
_SCALE_RATIO = 3.0
# A particle type is learned by itself where there are as many particles of it, or such a share.
_LEAST_OF_TYPE = 100
_LEAST_SHARE_OF_TYPE = 1e-3


@dataclass(frozen=True, eq=False)
class CodedEvents(PackedEvents):
    """Packed events whose particle types are codes from 0 to ``n_types - 1``."""

    n_types: int = 0

    def to_torch(self, device: str | torch.device = "cpu") -> PackedTensors:
        """Copy to a device."""
        return replace(super().to_torch(device), n_types=self.n_types)


@dataclass(frozen=True)
class Scaling:
    """Affine map of each feature to the scale that networks learn best on.

    Attributes
    ----------
    shift, scale : ndarray of shape (k,)
        Features become ``(X - shift) / scale``, those of all particles alike.
    types : ndarray of shape (t,), or None
        Particle types that get a code each, in order; all others share one more.
    """

    shift: FloatArray
    scale: FloatArray
    types: NDArray[np.int32] | None = None

    @classmethod
    def standard(cls, X: Events, weight: FloatArray) -> Self:
        """Map to mean 0 and standard deviation 1, in absolute weights."""
        absolute = np.abs(weight)
        if isinstance(X, PackedEvents):
            return cls(*X.mean_and_scale(absolute), None if X.types is None else _frequent(X.types))
        total = absolute.sum()
        mean = sum(absolute[rows] @ part for rows, part in row_chunks(X)) / total
        squares = (absolute[rows] @ (part - mean) ** 2 for rows, part in row_chunks(X))
        deviation = np.sqrt(sum(squares) / total)
        # Of a constant column rounding leaves a deviation that would blow up any other value.
        low, high = _extremes(X)
        varies = (high > low) & (deviation > 0)
        return cls(mean, np.where(varies, deviation, 1.0))

    @overload
    def __call__(self, X: FloatArray) -> FloatArray: ...

    @overload
    def __call__(self, X: PackedEvents) -> CodedEvents: ...

    @overload
    def __call__(self, X: Events) -> Events: ...

    def __call__(self, X: Events) -> Events:
        """Apply the map, in double precision: a mass has more digits than a float32."""
        if isinstance(X, PackedEvents):
            return self._packed(X)
        return (X - self.shift) / self.scale

    def _packed(self, X: PackedEvents) -> CodedEvents:
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


def _extremes(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the smallest and the largest value of each column."""
    ends = [(part.min(axis=0), part.max(axis=0)) for _, part in row_chunks(X)]
    low, high = (np.stack(each).astype(np.float64) for each in zip(*ends, strict=True))
    return low.min(axis=0), high.max(axis=0)


def _frequent(types: NDArray[np.int32]) -> NDArray[np.int32]:
    """Find the types that there are enough particles of to learn their own embedding."""
    values, counts = np.unique(types, return_counts=True)
    known: NDArray[np.int32] = values[
        counts >= min(_LEAST_OF_TYPE, _LEAST_SHARE_OF_TYPE * len(types))
    ]
    return known


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
        The affine part.
    """

    logarithmic: NDArray[np.bool_]
    inner: Scaling

    @classmethod
    def of_range(cls, low: FloatArray, high: FloatArray) -> Self:
        """Choose the map for the range [low, high] of each parameter."""
        logarithmic = (low > 0) & (high > _SCALE_RATIO * low)
        low, high = (cls._logarithm(edge, logarithmic) for edge in (low, high))
        half = (high - low) / 2
        return cls(logarithmic, Scaling((high + low) / 2, np.where(half > 0, half, 1.0)))

    @staticmethod
    def _logarithm(theta: FloatArray, logarithmic: NDArray[np.bool_]) -> FloatArray:
        return np.where(logarithmic, np.log(np.where(logarithmic, theta, 1.0)), theta)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Map θ of shape (p,) or (n, p)."""
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


@dataclass(frozen=True)
class FeatureRange:
    """Support of the training events, feature by feature.

    Attributes
    ----------
    low, high : ndarray of shape (f,)
        Smallest and largest value seen.
    n_events : int
        Events seen.
    """

    low: FloatArray
    high: FloatArray
    n_events: int

    def beyond_chance(self, X: FloatArray) -> list[tuple[int, int]]:
        """Find columns with rows outside farther, or in greater number, than chance would put them.

        Of fresh events of the same distribution some fall just beyond the extremes seen.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Other events.

        Returns
        -------
        list of (int, int)
            Column, and how many rows lie outside.
        """
        expected = 2 * len(X) / (self.n_events + 1)
        # Of a constant feature the rounding must not count.
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
        """Warn of rows outside of the range that are more, or farther out, than by chance."""
        for k, n_outside in self.beyond_chance(X):
            warn_user(
                f"{n_outside} of {len(X)} {rows} have {names[k]} outside the range "
                f"[{self.low[k]:g}, {self.high[k]:g}] of the training events: their weights "
                "are extrapolated. Train on events that cover them, or check the units.",
                ExtrapolationWarning,
            )


@dataclass(frozen=True)
class SetRange:
    """Support of training events that are sets.

    Attributes
    ----------
    particles : FeatureRange
        Of the features of the particles.
    counts : FeatureRange
        Of the number of particles of an event.
    types : ndarray of shape (t,), or None
        Particle types seen.
    """

    particles: FeatureRange
    counts: FeatureRange
    types: NDArray[np.int32] | None

    @property
    def n_events(self) -> int:
        """Events seen."""
        return self.counts.n_events

    def warn_if_outside(self, X: PackedEvents, names: Sequence[str]) -> None:
        """Warn of particles, and of numbers of particles, that are outside of the support."""
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
            )


def support_of(X: Events) -> FeatureRange | SetRange:
    """Note the support of training events."""
    if not isinstance(X, PackedEvents):
        return FeatureRange(*_extremes(X), len(X))
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
