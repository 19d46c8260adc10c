"""Whether events are those that a reweighter was fitted on, and in the same order."""

from __future__ import annotations

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks
from skdctr.events.packed import PackedEvents
from skdctr.events.validation import Events

__all__ = ["are_seen", "event_sums"]

# Relative, between sums in another order; those of other events differ by their fluctuation.
_SAME = 1e-6


def event_sums(X: Events) -> FloatArray:
    """Return sums of the features, weighted by position, and absolute, (3, f).

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Events, in any precision from that of float32 on.
    """
    rows = X.features if isinstance(X, PackedEvents) else X
    sums = np.zeros((3, rows.shape[1]))
    for where, part in row_chunks(rows):
        values = part.astype(np.float32).astype(np.float64)
        position = np.arange(where.start, where.start + len(part)) / len(rows)
        sums += [values.sum(axis=0), position @ values, np.abs(values).sum(axis=0)]
    return sums


def are_seen(X: Events, seen: FloatArray) -> bool:
    """Say whether events have the sums of those that were seen.

    Raises
    ------
    ValueError
        If they are the same in another order.
    """
    (total, ordered, size), (seen_total, seen_order, _) = event_sums(X), seen
    if (np.abs(total - seen_total) > _SAME * size).any():
        return False
    if (np.abs(ordered - seen_order) > _SAME * size).any():
        raise ValueError(
            "gen has the events that the reweighter was fitted on in another order: give gen and "
            "theta in the order of its fit, so that events correct a network that has not seen "
            "them."
        )
    return True
