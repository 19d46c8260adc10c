"""Numbers in messages, and the check of whole numbers that users give."""

from __future__ import annotations

import numbers
from typing import Any

from skdctr._utils.arguments import shorten

__all__ = ["check_count", "format_apart"]

# The largest number of things that an array can have an index for.
_MOST_THINGS = 2**63 - 1
# Digits that numbers are shown with at the least, and those that tell all numbers apart.
_LEAST_DIGITS, _MOST_DIGITS = 6, 17


def check_count(
    name: str,
    value: Any,
    *,
    least: int = 1,
    most: int = _MOST_THINGS,
    advice: str = "pass a whole number",
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
    most : int, default=2⁶³ − 1
        The largest number that makes sense; there cannot be more of anything in memory.
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
        If the number is too small or too large.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {shorten(value)}; {advice}.")
    value = int(value)
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}; pass a larger number.")
    if value > most:
        raise ValueError(f"{name} must be at most {most}, got {value}; pass a smaller number.")
    return value


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
