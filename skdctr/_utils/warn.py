"""Warnings that point to the user's own line, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_user"]

_PACKAGE = __name__.partition(".")[0]


def warn_user(message: str, category: type[Warning]) -> None:
    """Issue a warning that names the line of the first caller outside the package.

    Parameters
    ----------
    message : str
        The text.
    category : type of Warning
        The class by which users can filter it.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    """Say whether a module belongs to this package."""
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
