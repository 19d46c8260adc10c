"""What comes into the metrics: vectors of finite numbers, and weights that can be normalised."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdctr._utils.typing import FloatArray

__all__ = ["check_positive_sum", "check_vector", "check_weight"]


def check_vector(name: str, value: ArrayLike, *, keep_float32: bool = False) -> NDArray[Any]:
    """Return one finite number per entry, in double precision unless single may stay."""
    array = np.asarray(value)
    if array.dtype.kind == "O":
        with contextlib.suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got dtype {array.dtype}; convert it to float."
        )
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, got shape {array.shape}; pass a single column, "
            "for instance with .ravel()."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty, expected at least one entry; check the selection.")
    if not (keep_float32 and array.dtype == np.float32):
        array = array.astype(np.float64, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(
            f"{name} must be finite, got {array.size - int(finite.sum())} entries that are not, "
            f"the first {array[first]} at index {first}; remove or mend them."
        )
    return array


def check_weight(
    name: str, weight: ArrayLike | None, name_events: str, events: NDArray[Any]
) -> FloatArray:
    """Return the weight of each of the events; ones where none are given."""
    if weight is None:
        return np.ones(len(events))
    values = check_vector(name, weight)
    if len(values) != len(events):
        raise ValueError(
            f"{name} has {len(values)} entries and {name_events} has {len(events)}, expected as "
            "many; pass one weight per event, in the same order."
        )
    return values


def check_positive_sum(name: str, weight: FloatArray) -> None:
    """Refuse weights that cannot be normalised."""
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not (total > 0 and np.isfinite(total)):
        raise ValueError(
            f"{name} sums to {total:g}, expected a positive finite sum; single weights may be "
            "negative, but a sample needs a positive total to be normalised."
        )
