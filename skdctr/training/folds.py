"""Events dealt to the parts of a cross-fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["make_folds"]


def make_folds(n_events: int, n_folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Deal events to folds at random, in equal numbers."""
    folds: NDArray[np.intp] = rng.permutation(np.arange(n_events) % n_folds)
    return folds
