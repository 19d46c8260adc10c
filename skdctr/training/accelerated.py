"""Training of one network on several GPUs, by skorch's support of accelerate."""

from __future__ import annotations

from typing import Any

import torch
from skorch.hf import AccelerateMixin

from skdctr._utils.device import process_device
from skdctr.training.event_net import ClassifierNet

__all__ = ["AcceleratedNet"]

# What a net has only while processes share its training.
_SHARED = (
    "accelerator",
    "unwrap_after_train",
    "callbacks__print_log__sink",
    "_wrapped_with_accelerator",
)


class AcceleratedNet(AccelerateMixin, ClassifierNet):
    """A net whose batches are shared by several processes.

    Every process holds all events and draws the same batches, of which it takes its part. The mean
    of the processes' gradients is that of the whole batch, so that the network becomes the one that
    a single process trains.
    """

    accelerator: Any
    optimizer_: Any
    _criteria: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The net must stay wrapped until callbacks have restored the best weights, which they do
        # after the net's own end of training.
        super().__init__(*args, unwrap_after_train=False, **kwargs)

    def _initialize_accelerator(self) -> AcceleratedNet:
        # Torch distributes no module without parameters, and a loss has none, so that it is hidden.
        criteria, self._criteria = self._criteria, []
        try:
            super()._initialize_accelerator()
        finally:
            self._criteria = criteria
        return self

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take a step on this process's part of a batch."""
        return super().train_step(self._own_part(batch), **fit_params)

    def _own_part(self, batch: Any) -> Any:
        """Cut this process's part of a batch; batches too small to be shared stay whole."""
        inputs, target = batch
        n, index = self.accelerator.num_processes, self.accelerator.process_index
        if n == 1 or len(target) < n:
            return batch
        rows = slice(len(target) * index // n, len(target) * (index + 1) // n)
        # Parts may differ by an event and their losses are means, so that weights even them out.
        share = (rows.stop - rows.start) * n / len(target)
        part = {name: value[rows] for name, value in inputs.items()}
        part["weight"] = part["weight"] * share
        return part, target[rows]

    def record_losses(self, prefix: str, total: torch.Tensor | float, rows: int) -> None:
        """Write the mean loss over the processes into the history, so that all stop together."""
        loss = torch.tensor(float(total) / rows, device=self.accelerator.device)
        super().record_losses(prefix, self.accelerator.reduce(loss, "mean"), 1)

    def release(self) -> ClassifierNet:
        """Return a net of one process, which predicts and can be pickled."""
        self._unwrap_accelerator()
        self.optimizer_ = self.optimizer_.optimizer
        for _, callback in self.callbacks_:
            if hasattr(callback, "lr_scheduler_"):
                callback.lr_scheduler_.optimizer = self.optimizer_
        plain = ClassifierNet.__new__(ClassifierNet)
        plain.__dict__ |= {name: value for name, value in vars(self).items() if name not in _SHARED}
        plain.device = process_device()
        plain.writes_files_ = self.accelerator.is_main_process
        return plain
