"""The options of a training, its optimizer and the course of its learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TrainingOptions"]


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
