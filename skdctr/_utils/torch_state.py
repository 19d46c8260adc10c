"""Torch's global settings as they are by default, whatever the user's program has set.

Networks of this package are in single precision and choose their device themselves. A program that
computes in double precision, or calls them under `torch.inference_mode`, must get the same numbers.
"""

from __future__ import annotations

import threading
from contextlib import ContextDecorator, ExitStack
from types import TracebackType
from typing import Any

import torch

__all__ = ["default_torch"]


class _DefaultDtype:
    """Torch's default dtype, which all threads share: single precision while a block is open."""

    def __init__(self) -> None:
        self.lock, self.n_open, self.users = threading.Lock(), 0, torch.float32

    def __enter__(self) -> None:
        with self.lock:
            if self.n_open == 0:
                self.users = torch.get_default_dtype()
                _set_default_dtype(torch.float32)
            self.n_open += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.n_open -= 1
            if self.n_open == 0:
                _set_default_dtype(self.users)


_SINGLE = _DefaultDtype()


def _set_default_dtype(dtype: torch.dtype) -> None:
    if torch.get_default_dtype() != dtype:
        torch.set_default_dtype(dtype)  # noqa: TID251 - the user's own comes back


class default_torch(ContextDecorator):  # noqa: N801 - a block or a decorator, as those of contextlib
    """A block, or function, that sees torch's settings as they are by default.

    These are single precision, the processor as default device, gradients, and neither inference
    mode nor autocast. The user's own come back with the end of the block. User functions that
    compute weights are called outside of such blocks.
    """

    def _recreate_cm(self) -> default_torch:
        # A decorated function may call itself, or run in several threads.
        return default_torch()

    def __enter__(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(_SINGLE)
            for block in _differing():
                stack.enter_context(block)
            self._stack = stack.pop_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def _differing() -> list[Any]:
    """Make a block for each setting of this thread that is not the default, as each costs time."""
    blocks: list[Any] = []
    if torch.is_inference_mode_enabled():
        blocks.append(torch.inference_mode(False))
    if not torch.is_grad_enabled():
        blocks.append(torch.enable_grad())
    with_autocast = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]
    blocks += [torch.autocast(device, enabled=False) for device in with_autocast]
    if torch.get_default_device().type != "cpu":
        blocks.append(torch.device("cpu"))
    return blocks
