"""Values that are not finite among events and weights: where they are, and how to mend them."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks

__all__ = ["check_all_finite"]


def check_all_finite(X: FloatArray, *, name: str, allow_nan: bool = False) -> None:
    """Refuse NaN, unless it is allowed, and infinity, a part of the rows at a time.

    Parameters
    ----------
    X : ndarray of shape (n, f) or (n,)
        Features or weights.
    name : str
        What the caller calls them, for messages.
    allow_nan : bool
        Whether NaN stands for a missing value, and is accepted.

    Raises
    ------
    ValueError
        If a value is not finite; the message says where the first one is.
    """
    # Both have to be looked for in all rows where NaN is allowed, and infinity is told of first.
    for rows, part in row_chunks(X):
        if _is_finite(part):
            continue
        for is_bad, what in ((np.isnan, "NaN"), (np.isinf, "infinity")):
            if what == "NaN" and allow_nan:
                continue
            bad: Any = is_bad(part)
            if bad.any():
                first = np.argwhere(bad)[0]
                raise ValueError(_message(part, rows.start, first, name, what, int(bad.sum())))


def _is_finite(part: FloatArray) -> bool:
    """Say whether all values are finite, by their sum, which needs no mask in memory."""
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum of large finite values may overflow: then each value is looked at.
        return bool(np.isfinite(part.sum(dtype=np.float64)))


def _message(part: FloatArray, start: int, first: Any, name: str, what: str, count: int) -> str:
    column = f", feature {int(first[1])}" if part.ndim == 2 else ""
    where = f"event {start + int(first[0])}{column}"
    if what == "NaN":
        return (
            f"{name} contains NaN, first in {where} ({count} values in this part of the events); "
            "expected finite numbers: drop these events, or give them values."
        )
    return (
        f"{name} contains infinity or a value too large for {part.dtype}, first in {where} "
        f"({count} values in this part of the events); expected finite numbers: drop these events, "
        "or replace the values, which a division by zero or an overflow may have made."
    )
