"""Numbers in messages, and the check of whole numbers that users give."""

from __future__ import annotations

import numbers
from typing import Any

__all__ = ["check_count", "format_apart"]

# Digits that numbers are shown with at the least, and those that tell all numbers apart.
_LEAST_DIGITS, _MOST_DIGITS = 6, 17


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


def format_apart(*values: float) -> list[str]:
    """Write numbers with as many digits as are needed to tell them apart.

    Parameters
    ----------
    *values : float
        Numbers that stand in one message.

    Returns
    -------
    list of str
        One for each, with six digits where these will do.
    """
    floats = [float(value) for value in values]
    for digits in range(_LEAST_DIGITS, _MOST_DIGITS):
        texts = [f"{value:.{digits}g}" for value in floats]
        if len(set(texts)) == len(set(floats)):
            return texts
    return [f"{value:.{_MOST_DIGITS}g}" for value in floats]
