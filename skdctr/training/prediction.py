"""Networks evaluated on whole samples, in parts that suit the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from skdctr.events.chunks import row_chunks
from skdctr.events.packed import PackedEvents
from skdctr.events.tensors import EventTensors, PackedTensors, event_chunks

__all__ = ["event_functions", "events_at_once", "predict_logits", "scaled_tensor", "to_tensor"]

# Rows predicted at once: on a processor a hidden layer has to stay in cache, which is worth a
# factor 1.6 to 2.4 between 4096 and 16384 rows of 128 nodes; elsewhere few large batches win.
# Of sets it is the particles that count.
_PREDICTION_ROWS = {"cpu": 1 << 12}
_PREDICTION_ROWS_ELSEWHERE = 1 << 18


def _prediction_rows(device: torch.device) -> int:
    return _PREDICTION_ROWS.get(device.type, _PREDICTION_ROWS_ELSEWHERE)


def events_at_once(x: EventTensors) -> int:
    """Say how many events of a kind to predict at once."""
    rows = _prediction_rows(x.device)
    if isinstance(x, PackedTensors):
        return max(1, rows * len(x) // max(len(x.features), len(x)))
    return rows


@torch.no_grad()
def predict_logits(
    module: Callable[..., Tensor],
    x: EventTensors,
    theta: Tensor | None = None,
    *,
    batch_size: int | None = None,
) -> Tensor:
    """Evaluate a network batch by batch, as large batches fall out of the processor's cache.

    Parameters
    ----------
    module : nn.Module
        The network.
    x : Tensor of shape (n, f) or PackedTensors
        Events on the network's device.
    theta : Tensor of shape (n, p) or (1, p), optional
        One θ per event, or one for all.
    batch_size : int, optional
        Events at a time, of sets particles; left out, what suits the device.

    Returns
    -------
    Tensor of shape (n,), or (n, k) for a network of k outputs
    """
    if batch_size is None:
        batch_size = _prediction_rows(x.device)
    outputs: Tensor | None = None
    for rows, events in event_chunks(x, batch_size):
        if theta is None:
            part = module(events)
        else:
            given = theta if len(theta) == 1 else theta[rows]
            part = module(events, given.expand(len(events), -1))
        if outputs is None:
            outputs = part.new_empty(len(x), *part.shape[1:])
        outputs[rows] = part
    return torch.empty(0, device=x.device) if outputs is None else outputs


def event_functions(module: Any, x: EventTensors) -> Tensor:
    """Evaluate what a network computes of the events alone, for any θ, to (n, k)."""
    return predict_logits(module.event_functions, x)


@overload
def to_tensor(array: np.ndarray[Any, Any], device: torch.device) -> Tensor: ...


@overload
def to_tensor(array: PackedEvents, device: torch.device) -> PackedTensors: ...


def to_tensor(
    array: np.ndarray[Any, Any] | PackedEvents, device: torch.device
) -> Tensor | PackedTensors:
    """Copy events, or any numbers, to float32 tensors on the device."""
    if isinstance(array, PackedEvents):
        return array.to_torch(device)
    return torch.tensor(np.asarray(array, dtype=np.float32), device=device)


def scaled_tensor(
    scaling: Callable[[Any], Any], array: np.ndarray[Any, Any] | PackedEvents, device: torch.device
) -> Any:
    """Scale in double precision and copy to the device, rows a part at a time.

    Parameters
    ----------
    scaling : callable
        Map of rows, or of sets of particles.
    array : ndarray of shape (n, ...) or PackedEvents
        What is scaled.
    device : torch.device
        Where it goes.

    Returns
    -------
    Tensor of the shape of `array`, float32, or PackedTensors
    """
    if isinstance(array, PackedEvents):
        return to_tensor(scaling(array), device)
    scaled = torch.empty(array.shape, device=device)
    for rows, part in row_chunks(array):
        scaled[rows] = to_tensor(scaling(part), device)
    return scaled
