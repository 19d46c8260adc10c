"""One network over several GPUs: skorch's support of accelerate, on batches that are shared out."""

from __future__ import annotations

from typing import Any

import torch
from skorch.hf import AccelerateMixin

from skdctr._utils.device import process_device
from skdctr.training.event_net import EventNet

__all__ = ["AcceleratedNet"]


class AcceleratedNet(AccelerateMixin, EventNet):
    """A net whose batches are shared by the processes; the weights are those of one process.

    Every process holds all events and draws the same batches, of which it takes its part: the mean
    of the gradients is that of the whole batch.
    """

    accelerator: Any
    optimizer_: Any
    _criteria: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Callbacks that restore the best weights come after the net's own end of training.
        super().__init__(*args, unwrap_after_train=False, **kwargs)

    def _initialize_accelerator(self) -> AcceleratedNet:
        # Torch distributes no module without parameters, and a loss has none.
        criteria, self._criteria = self._criteria, []
        try:
            super()._initialize_accelerator()
        finally:
            self._criteria = criteria
        return self

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take a step on the part of a batch that is this process's."""
        return super().train_step(self._part(batch), **fit_params)

    def _part(self, batch: Any) -> Any:
        inputs, (target, weight) = batch
        n, index = self.accelerator.num_processes, self.accelerator.process_index
        if n == 1 or len(target) < n:
            return batch
        rows = slice(len(target) * index // n, len(target) * (index + 1) // n)
        # Parts may differ by an event, and their losses are means.
        share = (rows.stop - rows.start) * n / len(target)
        part = {name: value[rows] for name, value in inputs.items()}
        return part, (target[rows], weight[rows] * share)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one pass; the losses are those of all processes, so that all stop together."""
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if iterator is not None:
            name = prefix + "_loss"
            loss = torch.tensor(self.history[-1][name], device=self.accelerator.device)
            self.history.record(name, float(self.accelerator.reduce(loss, "mean")))

    def release(self) -> None:
        """Become a net of one process, which can be pickled."""
        self._unwrap_accelerator()
        self.optimizer_ = self.optimizer_.optimizer
        for _, callback in self.callbacks_:
            if hasattr(callback, "lr_scheduler_"):
                callback.lr_scheduler_.optimizer = self.optimizer_
        self.callbacks__print_log__sink = print
        self.device, self.accelerator = process_device(), None
