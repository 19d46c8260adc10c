"""A region of events in words: the features that set it apart, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.kinds import Events, event_columns
from skdctr.events.packed import PackedEvents

__all__ = ["region_in_words"]

# Share of the region's events outside of the interval of a feature, on either side.
_OUTSIDE = 0.05
# Features that are named, at most.
_MOST_FEATURES = 2
# A feature is named where its interval leaves at most this share of the other events.
_TELLING = 0.5
# Share of the other events in the region from which on one feature is enough to tell it by.
_ENOUGH = 0.01


def region_in_words(inside: Events, others: Events, names: Sequence[str]) -> str:
    """Describe where events lie in which others are rare.

    Parameters
    ----------
    inside : ndarray of shape (n, f) or PackedEvents
        Events of the region, at least one.
    others : ndarray of shape (m, f) or PackedEvents
        Other events, few of which lie there.
    names : sequence of str of length f
        Names of the features. Sets of particles are described by the number of these.

    Returns
    -------
    str
        Such as "x in [1.02, 1.3]", with two features where one does not set the region apart;
        empty where none does.
    """
    columns, other_columns = _comparable(inside), _comparable(others)
    labels = ["number of particles"] if isinstance(inside, PackedEvents) else list(names)
    remaining = np.ones(len(others), dtype=bool)
    words: list[str] = []
    for _ in range(_MOST_FEATURES):
        found: tuple[int, str, NDArray[np.bool_]] | None = None
        for label, column, other in zip(labels, columns, other_columns, strict=True):
            known = column[np.isfinite(column)]
            if not known.size:
                continue
            low, high = np.quantile(known, [_OUTSIDE, 1 - _OUTSIDE])
            left = remaining & (other >= low) & (other <= high)
            if found is None or left.sum() < found[0]:
                found = int(left.sum()), f"{label} in [{low:.4g}, {high:.4g}]", left
        if found is None or found[0] > _TELLING * remaining.sum():
            break
        words.append(found[1])
        remaining = found[2]
        if remaining.sum() <= _ENOUGH * len(others):
            break
    return " and ".join(words)


def _comparable(X: Events) -> list[FloatArray]:
    """List the values of each event by which regions can be told apart."""
    if isinstance(X, PackedEvents):
        return [X.counts.astype(np.float64)]
    return event_columns(X)
