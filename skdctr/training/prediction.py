"""Evaluation of networks on whole samples, in parts that suit the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from skdctr.events.chunks import row_chunks
from skdctr.events.kinds import feature_table
from skdctr.events.packed import PackedEvents
from skdctr.events.tensors import EventTensors, PackedTensors, event_chunks

__all__ = ["event_functions", "events_at_once", "predict_logits", "scaled_tensor", "to_tensor"]

# Rows of features, or particles, predicted at once. On a processor a hidden layer has to stay in
# cache: with 128 nodes, 4096 rows at a time are 1.6 to 2.4 times as fast as 16384. On other devices
# few large batches are the fastest.
_PREDICTION_ROWS = {"cpu": 1 << 12}
_PREDICTION_ROWS_ELSEWHERE = 1 << 18


def _prediction_rows(device: torch.device) -> int:
    """Return the number of rows, or of particles, to predict at once on a device."""
    return _PREDICTION_ROWS.get(device.type, _PREDICTION_ROWS_ELSEWHERE)


def events_at_once(x: EventTensors) -> int:
    """Find how many events like these to predict at once; those of a set count by its particles."""
    rows = _prediction_rows(x.device)
    return max(1, rows * len(x) // max(len(feature_table(x)), len(x), 1))


@torch.no_grad()
def predict_logits(
    module: Callable[..., Tensor],
    x: EventTensors,
    theta: Tensor | None = None,
    *,
    batch_size: int | None = None,
) -> Tensor:
    """Evaluate a network batch by batch, so that a batch stays in the processor's cache.

    Parameters
    ----------
    module : nn.Module
        The network.
    x : Tensor of shape (n, f) or PackedTensors
        Events on the network's device.
    theta : Tensor of shape (n, p) or (1, p), optional
        One θ for each event, or one for all.
    batch_size : int, optional
        Number of events, or of particles of sets, at a time. By default it suits the device.

    Returns
    -------
    Tensor of shape (n,), or (n, k) for a network of k outputs
        The outputs, without their gradient.
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
    """Evaluate a network's functions of the events, which serve any θ: n events to (n, k)."""
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
    """Map events, or other numbers, and copy them to a device, rows a part at a time.

    Parameters
    ----------
    scaling : callable
        Map of rows, or of sets of particles, in double precision.
    array : ndarray of shape (n, ...) or PackedEvents
        The numbers to be scaled.
    device : torch.device
        Where the tensors are to live.

    Returns
    -------
    Tensor of shape (n, ...), or PackedTensors
        The mapped numbers in float32, of which a row may have more than one of `array`.
    """
    if isinstance(array, PackedEvents):
        return to_tensor(scaling(array), device)
    scaled = torch.empty(0, *scaling(array[:0]).shape[1:], device=device)
    for rows, part in row_chunks(array):
        values = to_tensor(scaling(part), device)
        if rows.start == 0:
            scaled = values.new_empty(len(array), *values.shape[1:])
        scaled[rows] = values
    return scaled
