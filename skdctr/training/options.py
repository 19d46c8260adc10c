"""How a network is trained: the options, the optimizer and the course of its learning rate."""

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
    """How a network is trained; the names are skorch's.

    Attributes
    ----------
    max_epochs : int
        Passes over the events.
    batch_size : int
        Events in a batch.
    lr : float
        Largest learning rate.
    optimizer : type or str
        A torch optimizer class, or the name of one in `torch.optim`.
    optimizer_params : mapping
        Further arguments of the optimizer.
    lr_schedule : {"one_cycle", "constant"}
        "one_cycle" rises over the first quarter and decays to nearly nothing; the momentum, unless
        given, goes the other way.
    patience : int or None
        Epochs without a better validation loss after which training stops; None never stops.
        The best weights are restored either way.
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
        """Epochs without a better loss that training bears; more than there are if it waits."""
        return self.max_epochs + 1 if self.patience is None else self.patience


def optimizer_arguments(options: TrainingOptions) -> dict[str, Any]:
    """Return what a skorch net takes of the optimizer."""
    optimizer, params = _optimizer_class(options), dict(options.optimizer_params)
    if optimizer in (torch.optim.Adam, torch.optim.AdamW):
        # One kernel for all parameters: small networks spend half their time in the update else.
        params.setdefault("fused", True)
    prefixed = {f"optimizer__{key}": value for key, value in params.items()}
    return {"optimizer": optimizer, "lr": options.lr, **prefixed}


def _optimizer_class(options: TrainingOptions) -> Any:
    optimizer = options.optimizer
    return getattr(torch.optim, optimizer) if isinstance(optimizer, str) else optimizer


def schedule(options: TrainingOptions, steps_of_epoch: int) -> list[Callback]:
    """Return the callback that moves the learning rate, if there is one."""
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
    """Say whether a one-cycle schedule moves the momentum too: where the user gave none."""
    names = {"momentum", "betas"}
    return bool(names & inspect.signature(optimizer).parameters.keys()) and not names & given.keys()
