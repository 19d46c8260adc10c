"""Checks of what comes into the metrics: finite vectors, and weights that can be normalised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdctr._utils.arguments import as_real_array
from skdctr._utils.typing import FloatArray

__all__ = ["check_positive_sum", "check_vector", "check_weight"]


def check_vector(name: str, value: ArrayLike, *, keep_float32: bool = False) -> NDArray[Any]:
    """Check a vector of finite numbers.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : array-like of shape (n,)
        What the user gave.
    keep_float32 : bool, default=False
        Whether single precision may stay.

    Returns
    -------
    ndarray of shape (n,)
        The numbers, in double precision unless single precision may stay.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If it is empty, not one-dimensional or not finite.
    """
    array = as_real_array(value, name, expected="one number per event, (n,)")
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
    """Check the weights of events, or make ones where there are none.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    weight : array-like of shape (n,) or None
        What the user gave; None stands for ones.
    name_events : str
        What the message calls the events.
    events : ndarray of shape (n,)
        The events that the weights are for.

    Returns
    -------
    ndarray of shape (n,)
        One weight for each event.

    Raises
    ------
    TypeError
        If the weights are not real numbers.
    ValueError
        If they are not finite, or not as many as the events.
    """
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
    """Refuse weights that cannot be normalised.

    Raises
    ------
    ValueError
        If their sum is not positive or not finite.
    """
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not (total > 0 and np.isfinite(total)):
        raise ValueError(
            f"{name} sums to {total:g}, expected a positive finite sum; single weights may be "
            "negative, but a sample needs a positive total to be normalised."
        )
