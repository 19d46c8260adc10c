"""The optimizer of a training, and the course of its learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler

from skdctr.training.callbacks import holds
from skdctr.training.options import TrainingOptions

__all__ = ["optimizer_arguments", "schedule"]


class BatchSchedule(LRScheduler):
    """A schedule by batches that tells the rate of each epoch's last batch in the history."""

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the rate of the last step."""
        net.history.record(self.event_name, net.history[-1, "batches", :, self.event_name][-1])


def optimizer_arguments(options: TrainingOptions) -> dict[str, Any]:
    """Collect the arguments of a skorch net that concern the optimizer."""
    optimizer, params = _optimizer_class(options), dict(options.optimizer_params)
    if optimizer in (torch.optim.Adam, torch.optim.AdamW):
        # Without one kernel for all parameters, small networks spend half their time in the update.
        params.setdefault("fused", True)
    prefixed = {f"optimizer__{key}": value for key, value in params.items()}
    return {"optimizer": optimizer, "lr": options.lr, **prefixed}


def _optimizer_class(options: TrainingOptions) -> Any:
    """Return the class of the optimizer, which may be given by its name in `torch.optim`."""
    optimizer = options.optimizer
    return getattr(torch.optim, optimizer) if isinstance(optimizer, str) else optimizer


def schedule(options: TrainingOptions, steps_of_epoch: int) -> list[tuple[str, LRScheduler]]:
    """Make the callback that moves the learning rate, unless the user has one.

    Parameters
    ----------
    options : TrainingOptions
        Options of the training.
    steps_of_epoch : int
        Number of batches in an epoch.

    Returns
    -------
    list of (str, LRScheduler)
        Name and callback; the list is empty where the learning rate is constant, and where a
        scheduler of the user moves it.
    """
    steps = options.max_epochs * steps_of_epoch
    if options.lr_schedule != "one_cycle" or steps <= 1:
        return []
    if holds(options.callbacks, LRScheduler):
        return []
    optimizer = _optimizer_class(options)
    one_cycle = BatchSchedule(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=options.lr,
        total_steps=steps,
        # The rise must not end on the first step: torch divides by its length.
        pct_start=max(0.25, 1.5 / steps),
        cycle_momentum=_cycles_momentum(optimizer, options.optimizer_params),
    )
    return [("lr_schedule", one_cycle)]


def _cycles_momentum(optimizer: Any, given: Mapping[str, Any]) -> bool:
    """Say whether a one-cycle schedule moves the momentum too, as it does where none is given."""
    names = {"momentum", "betas"}
    return bool(names & inspect.signature(optimizer).parameters.keys()) and not names & given.keys()
