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
        Further skorch callbacks, as skorch takes them: instances, classes, or pairs with a name.
    callback_params : mapping
        Their parameters as ``name__parameter``, and callbacks that take their place as ``name``.
    largest_gradient : float or None
        Largest norm of a gradient, to which larger ones are cut.
    verbose : int
        1 shows a progress bar, 2 prints skorch's table.
    description : str
        Text of the bar.
    accelerate : bool
        Whether the processes that ``accelerate launch`` started share every batch.
    file_prefix : str
        What names of the files begin with that callbacks write.
    publishes : bool
        Whether callbacks give the network away at once. A caller that does more to it, or may
        reject it, calls `publish` when all is done.
    """

    max_epochs: int = 10
    batch_size: int = 2000
    lr: float = 0.01
    optimizer: Any = "Adam"
    optimizer_params: Mapping[str, Any] = field(default_factory=dict)
    lr_schedule: str = "one_cycle"
    patience: int | None = None
    callbacks: Sequence[Any] = ()
    callback_params: Mapping[str, Any] = field(default_factory=dict)
    largest_gradient: float | None = None
    verbose: int = 0
    description: str = "training"
    accelerate: bool = False
    file_prefix: str = ""
    publishes: bool = True

    @property
    def longest_wait(self) -> int:
        """Largest number of epochs without a better loss; beyond `max_epochs` if it never stops."""
        return self.max_epochs + 1 if self.patience is None else self.patience
