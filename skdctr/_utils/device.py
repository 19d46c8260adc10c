"""The one place that resolves devices and owns torch's random state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skdctr._utils.optional import require

__all__ = ["accelerator", "process_device", "resolve_device", "spawn_seeds", "torch_seed"]


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` into CUDA where there is one, and anything else into a torch device.

    ``"accelerate"`` is the device that ``accelerate launch`` gave to this process.

    Raises
    ------
    ValueError
        If the device is not one that torch knows or this machine has.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "accelerate":
        return process_device()
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a device of torch: use 'auto', 'cpu', 'cuda' or 'cuda:0'."
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} was asked for, but torch sees no CUDA device: use 'auto' or 'cpu'."
        )
    return resolved


@contextmanager
def torch_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators inside the block and restore them after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)  # noqa: TID251 - inside a fork of the generator's state
        yield


def spawn_seeds(random_state: object, n_seeds: int) -> list[int]:
    """Draw independent seeds from what scikit-learn accepts as ``random_state``."""
    generator: np.random.RandomState = check_random_state(random_state)
    return [int(seed) for seed in generator.randint(0, 2**31 - 1, size=n_seeds)]


def accelerator() -> Any:
    """Return the `Accelerator` of this process, as ``accelerate launch`` configured it.

    Raises
    ------
    ImportError
        If accelerate is not installed.
    """
    return require("accelerate").Accelerator()


def process_device() -> torch.device:
    """Return the device of this process."""
    device: torch.device = accelerator().device
    # Several processes number the CPU, whose name is read back without a number only.
    return torch.device("cpu") if device.type == "cpu" else device
