"""Warnings that point to the user's own line, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType

__all__ = ["warn_once", "warn_user"]

_PACKAGE = __name__.partition(".")[0]


@dataclass
class _Held:
    """A warning that waits for the end of a block, and how often it arose.

    Attributes
    ----------
    message : str
        The text where it was worst.
    category : type of Warning
        Its class.
    badness : float
        How bad it was there.
    count : int
        How often it arose.
    """

    message: str
    category: type[Warning]
    badness: float
    count: int = 1


_HeldByKind = dict[tuple[type[Warning], Hashable], _Held]
# The warnings that the outermost block holds back; None outside of all blocks.
_HELD: ContextVar[_HeldByKind | None] = ContextVar("_HELD", default=None)


class warn_once(ContextDecorator):  # noqa: N801 - a block or a decorator, as those of contextlib
    """Hold back warnings that have a kind, and issue one of each kind at the end.

    A fit evaluates weights at many θ, often through a function of the user's own that calls a
    reweighter, and each of these calls has the same to say. Blocks may be nested: warnings come at
    the end of the outermost one, also where it ends by an exception.
    """

    _token: Token[_HeldByKind | None] | None = None

    def _recreate_cm(self) -> warn_once:
        # A decorated function may call itself, or run in several threads.
        return warn_once()

    def __enter__(self) -> None:
        if _HELD.get() is None:
            self._token = _HELD.set({})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is None:
            return
        held = _HELD.get() or {}
        _HELD.reset(self._token)
        self._token = None
        for each in held.values():
            message = each.message
            if each.count > 1 and each.badness > 0:
                message += f" This came up {each.count} times, here at its worst."
            warn_user(message, each.category)


def warn_user(
    message: str,
    category: type[Warning],
    *,
    kind: Hashable = None,
    badness: float = 0.0,
) -> None:
    """Issue a warning that names the line of the first caller outside the package.

    Parameters
    ----------
    message : str
        The text.
    category : type of Warning
        The class by which users can filter it.
    kind : hashable, optional
        What warnings that say the same have in common: within a block of `warn_once` only the
        worst of a kind is issued, with their number. One without a kind is issued at once.
    badness : float, default=0.0
        How bad it is, among those of the kind.
    """
    held = _HELD.get()
    if held is not None and kind is not None:
        # What is ignored where it arises, by a function of the user's, stays so.
        if not _is_ignored(message, category):
            known = held.setdefault((category, kind), _Held(message, category, badness, count=0))
            known.count += 1
            if badness > known.badness:
                known.message, known.badness = message, badness
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ignored(message: str, category: type[Warning]) -> bool:
    """Say whether the filters in force drop a warning, whatever line it points to."""
    for action, text, kind, module, line in warnings.filters:
        applies = issubclass(category, kind) and (text is None or text.match(message))
        if applies and module is None and not line:
            return action == "ignore"
    return False


def _is_ours(module: str) -> bool:
    """Say whether a module belongs to this package, or stands between two of its functions."""
    return module in (_PACKAGE, "contextlib") or module.startswith(f"{_PACKAGE}.")
