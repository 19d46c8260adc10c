"""Whether events are those that a reweighter was fitted on, in the same order."""

from __future__ import annotations

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks
from skdctr.events.kinds import Events, feature_table

__all__ = ["are_seen", "event_sums"]

_LARGEST = float(np.finfo(np.float32).max)

# Sums count as equal up to this difference, relative to the sum of absolute values: rounding, which
# depends on the order of summation, is smaller, and the fluctuation of other events is larger.
_ROUNDING = 1e-6


def event_sums(X: Events) -> FloatArray:
    """Sum the features of a sample in three ways, by which it is recognised.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Events, in the precision of float32 or a higher one.

    Returns
    -------
    ndarray of shape (3, f)
        Sums of the features, sums weighted by position in the sample, and sums of absolute values.
    """
    table = feature_table(X)
    sums = np.zeros((3, table.shape[1]))
    for rows, part in row_chunks(table):
        # What is missing counts as 0, and what single precision cannot hold as the largest number.
        single = np.nan_to_num(np.clip(part, -_LARGEST, _LARGEST)).astype(np.float32)
        values = single.astype(np.float64)
        position = np.arange(rows.start, rows.start + len(part)) / len(table)
        sums += [values.sum(axis=0), position @ values, np.abs(values).sum(axis=0)]
    return sums


def are_seen(X: Events, seen_sums: FloatArray) -> bool:
    """Say whether events are those of which the sums were kept.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Events.
    seen_sums : ndarray of shape (3, f)
        The `event_sums` of the events that were seen.

    Raises
    ------
    ValueError
        If they are the same events in another order.
    """
    (total, ordered, size), (seen_total, seen_ordered, _) = event_sums(X), seen_sums
    if (np.abs(total - seen_total) > _ROUNDING * size).any():
        return False
    if (np.abs(ordered - seen_ordered) > _ROUNDING * size).any():
        raise ValueError(
            "gen has the events that the reweighter was fitted on in another order: give gen and "
            "theta in the order of its fit, so that events correct a network that has not seen "
            "them."
        )
    return True
