"""What callers ask of checked events of either kind: rows of features, or sets of particles.

Rows are arrays of shape (n, f). Sets are `PackedEvents` and, on a device, `PackedTensors`. Whoever
asks here need not know which of them it has; what only one kind can answer has a default for the
other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks
from skdctr.events.packed import PackedEvents
from skdctr.events.tensors import EventTensors, PackedTensors

__all__ = [
    "Events",
    "concatenate_events",
    "count_features",
    "count_type_codes",
    "event_columns",
    "event_parts",
    "feature_table",
    "holds_sets",
]

Events = FloatArray | PackedEvents


def holds_sets(X: Events | EventTensors) -> bool:
    """Say whether checked events are sets of particles; `is_sets` says it of a user's events."""
    return isinstance(X, (PackedEvents, PackedTensors))


@overload
def feature_table(X: FloatArray | PackedEvents) -> NDArray[Any]: ...


@overload
def feature_table(X: EventTensors) -> Tensor: ...


def feature_table(X: Events | EventTensors) -> NDArray[Any] | Tensor:
    """Return all features of a sample as one table.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, f), PackedEvents or PackedTensors
        Checked events.

    Returns
    -------
    ndarray or Tensor of shape (n, f) or (m, f)
        Rows of features are returned as they are. Sets give one row for each of their m particles,
        without its type. Nothing is copied.
    """
    return X.features if isinstance(X, (PackedEvents, PackedTensors)) else X


def count_features(X: Events | EventTensors) -> int:
    """Count the features of an event, or of a particle without its type."""
    return int(feature_table(X).shape[1])


def count_type_codes(x: EventTensors) -> int:
    """Count the codes of particle types; rows of features, and particles without types, have 0."""
    return int(getattr(x, "n_types", 0))


def event_columns(X: Events) -> list[FloatArray]:
    """List what can be compared event by event.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.

    Returns
    -------
    list of ndarray of shape (n,)
        Rows of features have their columns. Sets have no such values, so that the list is empty.
    """
    return [] if isinstance(X, PackedEvents) else list(X.T)


def event_parts(X: Events) -> Iterator[tuple[slice, Events]]:
    """Go through a sample in parts of bounded size.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.

    Yields
    ------
    rows : slice
        Which events the part has.
    part : ndarray or PackedEvents
        These events. Rows come as in `row_chunks`; sets, which are in memory anyway, all at once.
    """
    if isinstance(X, PackedEvents):
        yield slice(0, len(X)), X
    else:
        yield from row_chunks(X)


def concatenate_events(samples: Sequence[Events]) -> Events:
    """Join samples of the same features, all of one kind.

    Parameters
    ----------
    samples : sequence of ndarray of shape (n_i, f), or of PackedEvents
        At least one sample.

    Returns
    -------
    ndarray of shape (n, f) or PackedEvents
        The events of all samples, in order.

    Raises
    ------
    ValueError
        If the samples differ in their features.
    """
    join: Any = PackedEvents.concatenate if holds_sets(samples[0]) else np.concatenate
    joined: Events = join(samples)
    return joined
