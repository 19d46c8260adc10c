"""Events that are sets of particles, packed: all particles one after the other, no padding."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from skdctr._utils.arguments import as_real_array, check_finite, holds_all, named, shorten
from skdctr._utils.device import resolve_device
from skdctr._utils.numbers import check_count
from skdctr._utils.optional import is_awkward
from skdctr._utils.printable import printable
from skdctr.events.chunks import row_chunks
from skdctr.events.frames import is_flat_awkward
from skdctr.events.tensors import PackedTensors
from skdctr.events.unpack import flatten_events, is_awkward_rows

__all__ = ["PackedEvents", "PackedTensors", "is_sets"]


def is_sets(X: Any) -> bool:
    """Say whether events are sets of particles rather than rows of features.

    Parameters
    ----------
    X : object
        Events as a user gives them.

    Returns
    -------
    bool
        True for `PackedEvents`, awkward arrays, lists of them and three-dimensional arrays.
    """
    if isinstance(X, PackedEvents):
        return True
    if is_awkward(X) or is_awkward_rows(X):
        return not is_flat_awkward(X)
    return len(getattr(X, "shape", ())) == 3


@dataclass(frozen=True, eq=False)
class PackedEvents:
    """Events that are sets of particles, without padding.

    scikit-learn splits it as it splits arrays: ``len``, ``shape`` and rows by slice, indices or
    mask are those of the events. Make one with `from_events`, which checks what comes in; the
    constructor checks nothing.

    Attributes
    ----------
    features : ndarray of shape (m, f)
        Features of the particles of all n events, one event after the other.
    offsets : ndarray of shape (n + 1,), int64
        Event i has the particles ``offsets[i]`` to ``offsets[i + 1]``.
    feature_names : tuple of str, or None
        Names of the features, where the events came with some.
    types : ndarray of shape (m,), int32, or None
        Particle types, e.g. PDG codes.
    type_name : str or None
        Name of the feature that held the particle types, where it had one.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.preprocessing import PackedEvents
    >>> jets = np.full((3, 2, 1), np.nan)  # three events, room for two particles
    >>> jets[0, :2, 0], jets[2, 0, 0] = [1.0, 2.0], 3.0
    >>> packed = PackedEvents.from_events(jets)
    >>> packed.counts.tolist(), packed[[2, 0]].features.ravel().tolist()
    ([2, 0, 1], [3.0, 1.0, 2.0])
    """

    features: NDArray[np.floating[Any]]
    offsets: NDArray[np.int64]
    feature_names: tuple[str, ...] | None = None
    types: NDArray[np.int32] | None = None
    type_name: str | None = None

    @classmethod
    def from_events(
        cls,
        X: Any,
        *,
        particle_type: str | int | None = "auto",
        dtype: DTypeLike = np.float32,
        name: str = "X",
    ) -> PackedEvents:
        """Check events and pack them.

        Parameters
        ----------
        X : awkward array, ndarray of shape (n, particles, f) or PackedEvents
            Events. An awkward array holds n lists of records of numbers, a record of lists, or n
            lists of lists of f numbers; in an ndarray a particle whose features are all NaN is
            padding, one of zeros is not. An event may have no particles. A list of single events,
            as scikit-learn makes of rows of an awkward array, is accepted but slow. What is packed
            already is returned as it is.
        particle_type : str, int or None, default="auto"
            Which feature is the particle type: the field's name, or the column's position. It has
            to hold integers. None: there is none. "auto": an integer field by the name of
            ``pid``, ``pdgid``, ``pdgId`` or ``pdg_id``.
        dtype : dtype, default=float32
            Type of the numbers that the features are stored as.
        name : str, default="X"
            What the caller calls the events, for messages.

        Returns
        -------
        PackedEvents
            The events in the order given.

        Raises
        ------
        TypeError, ValueError
            If the events have none of these forms, a feature of a real particle is NaN or
            infinite, or a particle type is no integer. The message names event and feature.
        """
        if isinstance(X, PackedEvents):
            return X
        with named("dtype", "float32 or float64"):
            if np.dtype(dtype).kind != "f":
                raise ValueError(f"{np.dtype(dtype)} holds no features.")
        return cls(*flatten_events(X, particle_type=particle_type, dtype=dtype, name=name))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of particles of each event, of shape (n,)."""
        return np.diff(self.offsets)

    @property
    def n_particles(self) -> int:
        """Number of particles of all events."""
        return int(self.offsets[-1] - self.offsets[0])

    @property
    def n_features(self) -> int:
        """Number of features of a particle, its type not counted."""
        return int(self.features.shape[1])

    @property
    def shape(self) -> tuple[int]:
        """Number of events, in the form in which scikit-learn asks for it."""
        return (len(self),)

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take, in bytes."""
        types = 0 if self.types is None else self.types.nbytes
        return self.features.nbytes + self.offsets.nbytes + types

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        types = "" if self.types is None else f" and {self.type_name or 'a type'}"
        features = self.feature_names or f"{self.n_features} features"
        return printable(
            f"PackedEvents({len(self)} events, {self.n_particles} particles of {features}{types})"
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        raise TypeError(
            "events that are sets of particles are no array: use their attributes features and "
            "offsets, or to_padded()."
        )

    def __getitem__(self, rows: Any) -> PackedEvents:
        """Take events by slice, indices or mask; an integer gives that one event, packed."""
        # scikit-learn takes events by X[rows, ...].
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is Ellipsis:
            rows = rows[0]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._adjacent(start, max(start, stop))
            rows = np.arange(start, stop, step)
        index = self._event_numbers(rows)
        starts, counts = self.offsets[index], self.counts[index]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        particles = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        types = None if self.types is None else self.types[particles]
        return self._with_particles(self.features[particles], offsets, types)

    def _event_numbers(self, rows: Any) -> NDArray[np.int64]:
        """Turn an integer, indices or a mask into numbers of events from 0 to n - 1."""
        if isinstance(rows, (int, np.integer)) and not isinstance(rows, bool):
            rows = [operator.index(rows)]
        index = np.asarray(rows)
        n = len(self)
        if index.dtype == bool:
            if index.shape != (n,):
                raise IndexError(f"a mask of shape {index.shape} for {n} events; expected ({n},).")
            return np.flatnonzero(index)
        if index.size == 0:
            return np.empty(0, dtype=np.int64)
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise IndexError(
                f"events are taken by a slice, by integers of shape (k,) or by a mask of shape "
                f"({n},), not by {index.dtype} of shape {index.shape}."
            )
        if index.min() < -n or index.max() >= n:
            raise IndexError(f"event {index.min()} to {index.max()} asked for, of {n} events.")
        return np.where(index < 0, index + n, index).astype(np.int64)

    def _adjacent(self, start: int, stop: int) -> PackedEvents:
        """Take events that follow each other, as views of the same particles."""
        offsets = self.offsets[start : stop + 1]
        inside = slice(offsets[0], offsets[-1])
        types = None if self.types is None else self.types[inside]
        return self._with_particles(self.features[inside], offsets - offsets[0], types)

    def _with_particles(self, features: Any, offsets: Any, types: Any) -> PackedEvents:
        """Make events of other particles, whose features have the same names."""
        return PackedEvents(features, offsets, self.feature_names, types, self.type_name)

    def check_like(self, known: PackedEvents, *, name: str, known_name: str) -> None:
        """Refuse events whose features are not those of others.

        Parameters
        ----------
        known : PackedEvents
            The others. Any part of their events will do, even one without events.
        name, known_name : str
            What the caller calls these events and the others, for messages.

        Raises
        ------
        ValueError
            If the number of features differs, or their names where both have some, or if only one
            of the two has particle types.
        """
        if not isinstance(known, PackedEvents):
            raise TypeError(f"known is of type {type(known).__name__}, expected PackedEvents.")
        if self.n_features != known.n_features:
            raise ValueError(
                f"{name} has {self.n_features} features of a particle, {known_name} has "
                f"{known.n_features}: give the same features, in the same order."
            )
        names, expected = self.feature_names, known.feature_names
        if names is not None and expected is not None and names != expected:
            raise ValueError(
                f"The features of {name} are {names}, those of {known_name} are {expected}: "
                "reorder or rename them."
            )
        if (self.types is None) != (known.types is None):
            typed, untyped = (name, known_name) if known.types is None else (known_name, name)
            raise ValueError(
                f"{typed} has particle types, {untyped} has none: give them to both, e.g. with "
                "PackedEvents.from_events(..., particle_type=...)."
            )

    def with_features(self, features: NDArray[Any]) -> PackedEvents:
        """Give the same particles other values of the features, as a transformer does.

        Parameters
        ----------
        features : ndarray of shape (m, f)
            New features of all particles, of which there are as many as before.
        """
        values = as_real_array(features, "features", expected="numbers of shape (m, f)")
        if values.ndim != 2 or len(values) != len(self.features):
            raise ValueError(
                f"features has shape {values.shape}, expected ({len(self.features)}, f): one row "
                "for each particle."
            )
        return self._with_particles(values, self.offsets, self.types)

    @staticmethod
    def concatenate(events: Sequence[PackedEvents]) -> PackedEvents:
        """Join samples of the same features.

        Parameters
        ----------
        events : sequence of PackedEvents
            At least one sample.

        Returns
        -------
        PackedEvents
            The events of all samples, in order.

        Raises
        ------
        ValueError
            If there is no sample, the samples differ in their features, or only some of them have
            particle types.
        """
        if not holds_all(events, PackedEvents):
            raise TypeError(f"events={shorten(events)}; expected a sequence of PackedEvents.")
        if not events:
            raise ValueError("events is empty; expected at least one sample to concatenate.")
        first = events[0]
        for i, other in enumerate(events):
            form = (other.n_features, other.feature_names, other.types is None)
            if form != (first.n_features, first.feature_names, first.types is None):
                raise ValueError(
                    f"sample {i} is {other!r}, sample 0 is {first!r}; give the same features, in "
                    "the same order, to all of them."
                )
        counts = np.concatenate([other.counts for other in events])
        types = [other.types for other in events if other.types is not None]
        return first._with_particles(
            np.concatenate([other.features for other in events]),
            np.concatenate([[0], np.cumsum(counts)]),
            np.concatenate(types) if types else None,
        )

    def mean_and_scale(
        self, sample_weight: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute mean and standard deviation of each feature over all particles.

        Parameters
        ----------
        sample_weight : ndarray of shape (n,), optional
            Weights of the events, which count for each of their particles. None may be negative.

        Returns
        -------
        mean, scale : ndarray of shape (f,)
            The scale is 1 for a feature that is constant, and for events without any particle.
        """
        if sample_weight is not None:
            sample_weight = check_finite(
                "sample_weight", sample_weight, (len(self),), expected="one weight for each event"
            )
            if (sample_weight < 0).any():
                raise ValueError(
                    "sample_weight has a negative weight; expected none below zero, such as the "
                    "absolute values."
                )
        weight = None if sample_weight is None else np.repeat(sample_weight, self.counts)
        total = self.n_particles if weight is None else weight.sum()
        if not total > 0:
            return np.zeros(self.n_features), np.ones(self.n_features)
        mean = _particle_sum(self.features, weight, lambda values: values) / total
        variance = _particle_sum(self.features, weight, lambda values: (values - mean) ** 2) / total
        scale = np.sqrt(variance)
        # A spread below this is what rounding leaves of a constant.
        constant = scale <= 10 * np.finfo(self.features.dtype).eps * np.abs(mean)
        return mean, np.where(constant, 1.0, scale)

    def to_padded(self, n_particles: int | None = None) -> NDArray[np.floating[Any]]:
        """Make an array of shape (n, particles, f) in which missing particles are NaN.

        Parameters
        ----------
        n_particles : int, optional
            Room for particles in each event. By default it is what the largest event needs.

        Returns
        -------
        ndarray of shape (n, n_particles, f)
            The features. Particle types, where there are some, are one feature more, the last.

        Raises
        ------
        ValueError
            If an event has more than `n_particles`.
        """
        counts = self.counts
        largest = int(counts.max(initial=0))
        room = largest if n_particles is None else check_count("n_particles", n_particles)
        if room < largest:
            raise ValueError(
                f"n_particles is {room}, but event {int(counts.argmax())} has {largest} "
                "particles; give more room."
            )
        columns = self.features
        if self.types is not None:
            columns = np.column_stack([columns, self.types.astype(columns.dtype)])
        padded = np.full((len(self), room, columns.shape[1]), np.nan, dtype=columns.dtype)
        padded[np.arange(room) < counts[:, None]] = columns
        return padded

    def to_torch(self, device: str | torch.device = "cpu") -> PackedTensors:
        """Copy to a device.

        Parameters
        ----------
        device : str or torch.device, default="cpu"
            Where the tensors are to live.

        Returns
        -------
        PackedTensors
            The tensors are copies, so that changes of them leave the events alone.
        """
        device = resolve_device(device)
        return PackedTensors(
            torch.tensor(self.features, device=device),
            torch.tensor(self.offsets, device=device),
            None if self.types is None else torch.tensor(self.types, device=device),
        )


def _particle_sum(
    features: NDArray[Any],
    weight: NDArray[np.float64] | None,
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Sum a function of the features, times weights, over particles, a part of them at a time."""
    total = np.zeros((1, features.shape[1]))
    for rows, part in row_chunks(features):
        values = function(part.astype(np.float64))
        if weight is not None:
            values = values * weight[rows, None]
        # The sum goes row after row, so that the number of parts changes no digit.
        total = np.concatenate([total, values]).sum(axis=0, keepdims=True)
    return total[0]
