"""The parts of a cross-fit, which events are dealt to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["make_folds"]


def make_folds(n_events: int, n_folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal events to folds at random.

    Parameters
    ----------
    n_events, n_folds : int
        Number of events and of folds.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of int of shape (n_events,)
        The fold of each event, from 0 to ``n_folds - 1``. Sizes of folds differ by one at the most.
    """
    folds: NDArray[np.intp] = rng.permutation(np.arange(n_events) % n_folds)
    return folds
