"""The options of a training, its optimizer and the course of its learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from skorch.callbacks import Callback, LRScheduler

__all__ = ["TrainingOptions", "optimizer_arguments", "schedule"]


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training, under skorch's names.

    Attributes
    ----------
    max_epochs : int
        Number of passes over the events.
    batch_size : int
        Number of events in a batch.
    lr : float
        Largest learning rate.
    optimizer : type or str
        A torch optimizer class, or the name of one in `torch.optim`.
    optimizer_params : mapping
        Further arguments of the optimizer.
    lr_schedule : {"one_cycle", "constant"}
        "one_cycle" lets the learning rate rise over the first quarter of all steps and decay to
        nearly nothing; the momentum goes the other way, unless the user gave one.
    patience : int or None
        Number of epochs without a better validation loss after which training stops. With None it
        never stops early. The best weights are restored either way.
    callbacks : sequence
        Further skorch callbacks.
    verbose : int
        1 shows a progress bar.
    description : str
        Text of the bar.
    accelerate : bool
        Whether the processes that ``accelerate launch`` started share every batch.
    """

    max_epochs: int = 10
    batch_size: int = 2000
    lr: float = 0.01
    optimizer: Any = "Adam"
    optimizer_params: Mapping[str, Any] = field(default_factory=dict)
    lr_schedule: str = "one_cycle"
    patience: int | None = None
    callbacks: Sequence[Any] = ()
    verbose: int = 0
    description: str = "training"
    accelerate: bool = False

    @property
    def longest_wait(self) -> int:
        """Largest number of epochs without a better loss; beyond `max_epochs` if it never stops."""
        return self.max_epochs + 1 if self.patience is None else self.patience


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


def schedule(options: TrainingOptions, steps_of_epoch: int) -> list[Callback]:
    """Make the callback that moves the learning rate.

    Parameters
    ----------
    options : TrainingOptions
        Options of the training.
    steps_of_epoch : int
        Number of batches in an epoch.

    Returns
    -------
    list of Callback
        The callback; the list is empty where the learning rate is constant.
    """
    steps = options.max_epochs * steps_of_epoch
    if options.lr_schedule != "one_cycle" or steps <= 1:
        return []
    optimizer = _optimizer_class(options)
    return [
        LRScheduler(
            torch.optim.lr_scheduler.OneCycleLR,
            step_every="batch",
            event_name=None,
            max_lr=options.lr,
            total_steps=steps,
            # The rise must not end on the first step: torch divides by its length.
            pct_start=max(0.25, 1.5 / steps),
            cycle_momentum=_cycles_momentum(optimizer, options.optimizer_params),
        )
    ]


def _cycles_momentum(optimizer: Any, given: Mapping[str, Any]) -> bool:
    """Say whether a one-cycle schedule moves the momentum too, as it does where none is given."""
    names = {"momentum", "betas"}
    return bool(names & inspect.signature(optimizer).parameters.keys()) and not names & given.keys()
