"""The known name that an unknown one may have been meant for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Write the end of a message about an unknown name.

    Parameters
    ----------
    name : object
        What the user gave.
    known : iterable of str
        The names that there are.

    Returns
    -------
    str
        The question whether the nearest name was meant; where none is near, a list of all.
    """
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {known}."
