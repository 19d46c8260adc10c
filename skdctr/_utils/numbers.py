"""Numbers that users give: checked, and refused by the name of their argument."""

from __future__ import annotations

import numbers
from typing import Any

__all__ = ["check_count"]


def check_count(name: str, value: Any) -> int:
    """Check a number of things: an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an int, got {value!r}; pass a whole number.")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}; pass a larger number.")
    return int(value)
