"""Reconstructed events, of which the reconstruction may have lost some."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdctr.events.frames import as_table
from skdctr.events.kinds import Events
from skdctr.events.packed import is_sets
from skdctr.events.validation import check_sample

__all__ = ["check_reco"]


def check_reco(y: Any, *, name: str) -> tuple[Events, NDArray[np.bool_] | None]:
    """Check reconstructed features, in which an event that is all NaN was lost.

    Parameters
    ----------
    y : array-like of shape (n, m) or (n,), or n sets of particles
        Reconstructed features.
    name : str
        What the caller calls them, for messages.

    Returns
    -------
    events : ndarray of shape (n, m) or PackedEvents
        The features, with zeros where events were lost, and NaN where a feature is missing.
    passed : ndarray of bool of shape (n,), or None
        None where none was lost.

    Raises
    ------
    ValueError
        If all events are lost.
    """
    if is_sets(y):
        return check_sample(y, name=name), None
    y = as_table(y, name=name)
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        return check_sample(y, name=name), None
    if values.ndim not in (1, 2) or values.size == 0:
        return check_sample(y, name=name), None
    rows = values.reshape(len(values), -1)
    lost: NDArray[np.bool_] = np.asarray(np.isnan(rows).all(axis=1))
    if not lost.any():
        return check_sample(y, name=name), None
    if lost.all():
        raise ValueError(f"{name} is all NaN: no event passed the reconstruction.")
    return check_sample(np.where(lost[:, None], 0.0, rows), name=name), ~lost
