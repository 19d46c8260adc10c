"""Devices, and torch's random state, which nothing else in the package may set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skdctr._utils.arguments import shorten
from skdctr._utils.optional import require
from skdctr._utils.process_lock import ProcessLock

__all__ = [
    "accelerator",
    "checked_random_state",
    "process_device",
    "resolve_device",
    "spawn_seeds",
    "torch_seed",
]


# Torch's global generators belong to the process.
_GENERATORS = ProcessLock()


def resolve_device(device: str | torch.device) -> torch.device:
    """Find the device that a name stands for.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` stands for CUDA where there is one and for the CPU elsewhere, ``"accelerate"``
        for the device that ``accelerate launch`` gave to this process; all other names are
        torch's.

    Returns
    -------
    torch.device
        A device that this machine has.

    Raises
    ------
    ValueError
        If torch does not know the device, or sees no CUDA device where one is asked for.
    ImportError
        If accelerate is asked for and not installed.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(device, str) and device == "accelerate":
        return process_device()
    try:
        if not isinstance(device, (str, torch.device)):
            raise TypeError("a device is named by a string")
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={shorten(device)} is not a device of torch: use 'auto', 'cpu', 'cuda' "
            "or 'cuda:0'."
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} was asked for, but torch sees no CUDA device: use 'auto' or 'cpu'."
        )
    return resolved


@contextmanager
def torch_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators inside the block and restore them after it.

    Other threads wait until the block ends: they would draw from the same generators.
    """
    devices = [device] if device.type == "cuda" else []
    with _GENERATORS, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)  # noqa: TID251 - inside a fork of the generator's state
        yield


def spawn_seeds(random_state: object, n_seeds: int) -> list[int]:
    """Draw independent seeds.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        What scikit-learn accepts as a seed. A RandomState instance moves on.
    n_seeds : int
        Number of seeds.

    Returns
    -------
    list of int
        Seeds from 0 to 2³¹ − 2.
    """
    generator = checked_random_state(random_state)
    return [int(seed) for seed in generator.randint(0, 2**31 - 1, size=n_seeds)]


def checked_random_state(random_state: object) -> np.random.RandomState:
    """Return the generator that a user's seed stands for.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        What scikit-learn accepts as a seed.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or an int below 0 or above 2³² − 1.
    """
    try:
        generator: np.random.RandomState = check_random_state(random_state)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"random_state={shorten(random_state)} cannot be used to seed; pass an int from 0 to "
            "4294967295, a numpy RandomState, or None."
        ) from error
    return generator


def accelerator() -> Any:
    """Return the `Accelerator` of this process, as ``accelerate launch`` configured it.

    Raises
    ------
    ImportError
        If accelerate is not installed.
    """
    return require("accelerate").Accelerator()


def process_device() -> torch.device:
    """Return the device that ``accelerate launch`` gave to this process.

    Raises
    ------
    ImportError
        If accelerate is not installed.
    """
    device: torch.device = accelerator().device
    # Accelerate numbers the CPU where there are several processes. Torch saves such a name, but
    # reads back only one without a number.
    return torch.device("cpu") if device.type == "cpu" else device
