"""Whether a KeyboardInterrupt is the user's Ctrl-C, or raised by code to stop something."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["CtrlC", "noted_ctrl_c"]


@dataclass
class CtrlC:
    """Whether the user has pressed Ctrl-C.

    Attributes
    ----------
    pressed : bool
        Whether it came since the block began.
    """

    pressed: bool = False


@contextmanager
def noted_ctrl_c() -> Iterator[CtrlC]:
    """Note a Ctrl-C within the block, and handle it as the program does anyway.

    Yields
    ------
    CtrlC
        Its `pressed` becomes True with the signal. It stays False in other threads than the main
        one, which get no signals, and where the program has no handler in Python.
    """
    noted = CtrlC()
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.pressed = True
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, handler)
