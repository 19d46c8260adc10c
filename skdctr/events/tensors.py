"""Packed events as tensors on a device, and how samples of either kind are cut and joined there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from skdctr._utils.arguments import holds_all, shorten
from skdctr._utils.numbers import check_count
from skdctr.events.chunks import particle_chunks

__all__ = ["EventTensors", "PackedTensors", "event_chunks", "join_events", "set_chunks"]


@dataclass(frozen=True, eq=False)
class PackedTensors:
    """Packed events on a device.

    Attributes
    ----------
    features : Tensor of shape (m, f)
        Features of the particles of all n events.
    offsets : Tensor of shape (n + 1,), int64
        Event i has the particles ``offsets[i]`` to ``offsets[i + 1]``.
    types : Tensor of shape (m,), int32, or None
        Particle types, as codes from 0 to ``n_types - 1`` where networks take them.
    n_types : int, default=0
        Number of these codes, the last of which stands for all types that are unknown.
    """

    features: Tensor
    offsets: Tensor
    types: Tensor | None = None
    n_types: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Tensor:
        """Number of particles of each event, of shape (n,)."""
        return self.offsets.diff()

    @property
    def segments(self) -> Tensor:
        """Which event each particle belongs to, of shape (m,)."""
        rows = torch.arange(len(self), device=self.offsets.device)
        return rows.repeat_interleave(self.counts, output_size=len(self.features))

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.features.device

    @property
    def n_features(self) -> int:
        """Number of features of a particle, its type not counted."""
        return self.features.shape[1]

    @property
    def nbytes(self) -> int:
        """Size of the features in memory."""
        return self.features.nbytes

    def __getitem__(self, rows: slice | Tensor | NDArray[Any]) -> PackedTensors:
        """Take events by a slice of step 1, by indices that are not negative, or by a mask."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                raise IndexError(f"the step is {step}; expected 1.")
            first, last = self.offsets[[start, max(start, stop)]].tolist()
            return self._slice(start, max(start, stop), first, last)
        rows = torch.as_tensor(rows, device=self.device)
        counts = self.counts[rows]
        offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        shift = (self.offsets[:-1][rows] - offsets[:-1]).repeat_interleave(counts)
        particles = torch.arange(len(shift), device=shift.device) + shift
        types = None if self.types is None else self.types.index_select(0, particles)
        features = self.features.index_select(0, particles)
        return PackedTensors(features, offsets, types, self.n_types)

    def _slice(self, start: int, stop: int, first: int, last: int) -> PackedTensors:
        """Take the events from start to stop, whose particles are those from first to last."""
        types = None if self.types is None else self.types[first:last]
        offsets = self.offsets[start : stop + 1] - first
        return PackedTensors(self.features[first:last], offsets, types, self.n_types)

    def index_select(self, dim: int, rows: Any) -> PackedTensors:
        """Take events by indices, as from a tensor along its first dimension."""
        if dim != 0:
            raise ValueError(f"dim is {dim}; expected 0: events are what is selected.")
        given: Any = rows
        if not isinstance(given, Tensor) or rows.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"rows={shorten(rows)}; expected a Tensor of int, the events' numbers.")
        try:
            return self[rows]
        except IndexError as error:
            raise ValueError(f"rows has a number beyond the {len(self)} events.") from error

    def split(self, size: int) -> Iterator[PackedTensors]:
        """Cut into parts of so many events, the last one smaller; the parts are views."""
        check_count("size", size)
        edges = [*range(0, len(self), size), len(self)]
        # They are read all at once: on a GPU each number that is asked for waits for the device.
        particles = self.offsets[edges].tolist()
        for k in range(len(edges) - 1):
            yield self._slice(edges[k], edges[k + 1], particles[k], particles[k + 1])

    def sum_particles(self, values: Any, segments: Tensor | None = None) -> Tensor:
        """Sum values of particles over each event.

        A processor adds them one after the other in the order of the particles, so that the bits
        of an event's sum do not depend on the other events.

        Parameters
        ----------
        values : Tensor of shape (m, k)
            Values of each particle.
        segments : Tensor of int of shape (m,), optional
            The events' `segments`, where the caller has them already.

        Returns
        -------
        Tensor of shape (n, k)
            Sums; those of events without particles are zero.
        """
        given: Any = values
        if not isinstance(given, Tensor) or values.ndim != 2 or values.is_complex():
            what = tuple(values.shape) if isinstance(given, Tensor) else type(given).__name__
            raise TypeError(f"values is {what}, expected a Tensor of shape (m, k): m particles.")
        if len(values) != len(self.features):
            raise ValueError(
                f"values has {len(values)} rows, expected {len(self.features)}: one per particle."
            )
        segments = self.segments if segments is None else segments
        return values.new_zeros(len(self), values.shape[1]).index_add(0, segments, values)

    @staticmethod
    def concatenate(parts: Sequence[PackedTensors]) -> PackedTensors:
        """Join events of the same features."""
        if not holds_all(parts, PackedTensors):
            raise TypeError(f"parts={shorten(parts)}; expected a sequence of PackedTensors.")
        if not parts:
            raise ValueError("parts is empty; expected at least one sample to concatenate.")
        counts = torch.cat([part.counts for part in parts])
        types = [part.types for part in parts if part.types is not None]
        return PackedTensors(
            torch.cat([part.features for part in parts]),
            torch.nn.functional.pad(counts.cumsum(0), (1, 0)),
            torch.cat(types) if types else None,
            parts[0].n_types,
        )


EventTensors = Tensor | PackedTensors


def join_events(parts: Sequence[EventTensors]) -> EventTensors:
    """Concatenate samples of the same features, which are all rows or all sets."""
    join: Any = PackedTensors.concatenate if isinstance(parts[0], PackedTensors) else torch.cat
    joined: EventTensors = join(parts)
    return joined


def event_chunks(x: EventTensors, n_rows: int) -> Iterator[tuple[slice, EventTensors]]:
    """Go through events in parts whose work is bounded.

    Parameters
    ----------
    x : Tensor of shape (n, f) or PackedTensors
        Events.
    n_rows : int
        Largest number of rows, or of particles, in a part. An event with more particles is a part
        by itself.

    Yields
    ------
    rows : slice
        Which events the part has.
    part : Tensor or PackedTensors
        These events.
    """
    if isinstance(x, PackedTensors):
        yield from set_chunks(x, n_rows)
        return
    for start in range(0, len(x), n_rows):
        rows = slice(start, min(start + n_rows, len(x)))
        yield rows, x[rows]


def set_chunks(x: PackedTensors, n_rows: int) -> Iterator[tuple[slice, PackedTensors]]:
    """Go through sets of particles in parts whose work is bounded; see `event_chunks`."""
    offsets = x.offsets.cpu().numpy()
    for rows in particle_chunks(offsets, n_rows):
        first, last = int(offsets[rows.start]), int(offsets[rows.stop])
        yield rows, x._slice(rows.start, rows.stop, first, last)
