"""The check of whole numbers that users give: an error calls them by the name of their argument."""

from __future__ import annotations

import numbers
from typing import Any

__all__ = ["check_count"]


def check_count(
    name: str, value: Any, *, least: int = 1, advice: str = "pass a whole number"
) -> int:
    """Check a number of things, such as events, folds or bins.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : object
        What the user gave.
    least : int, default=1
        The smallest number that makes sense.
    advice : str, default="pass a whole number"
        What the user can do about a value that is no whole number.

    Returns
    -------
    int
        The number.

    Raises
    ------
    TypeError
        If the value is no integer; True and False are none here.
    ValueError
        If the number is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {value!r}; {advice}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}; pass a larger number.")
    return int(value)
