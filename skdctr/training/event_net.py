"""The skorch net that all trainings use, on batches of weighted events that lie on the device."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from skdctr._utils.interrupts import noted_ctrl_c

__all__ = ["EventNet", "Interrupted"]


class Interrupted(BaseException):
    """A Ctrl-C of the user.

    skorch takes a KeyboardInterrupt for a callback's wish to stop, and carries on; it does not know
    this one.
    """


class EventNet(NeuralNet):
    """A skorch net on `EventDataset`, whose epochs record losses without a stop at every batch."""

    _stopped_by_callback = False

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, and note where one of them ends the training."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            self._stopped_by_callback = True
            raise

    def fit_loop(self, *args: Any, **kwargs: Any) -> EventNet:
        """Run the epochs; a Ctrl-C ends the fit, which skorch would carry on from in silence."""
        self._stopped_by_callback = False
        with noted_ctrl_c() as ctrl_c:
            try:
                super().fit_loop(*args, **kwargs)
            except KeyboardInterrupt as interrupt:
                if self._stopped_by_callback and not ctrl_c.pressed:
                    raise
                raise Interrupted from interrupt
        return self

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Call the network on inputs as they are: they lie on the device, and may be sets."""
        output: Tensor = self.module_(**x, **fit_params)
        return output

    def get_loss(self, y_pred: Tensor, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Apply the weighted criterion."""
        target, weight = y_true
        loss: Tensor = self.criterion_(y_pred, target, weight)
        return loss

    def release(self) -> None:
        """Let go of what only training needs, where a subclass has something like that."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return []

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one pass; the sum of losses stays on the device until the pass ends."""
        if iterator is None:
            return
        total: Tensor | float = 0.0
        rows = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            size = self.events_in(batch)
            total = total + self.loss_of(step).detach() * size
            rows += size
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.record_losses(prefix, total, rows)

    def events_in(self, batch: Any) -> int:
        """Count the events of a batch."""
        return len(batch[1][0])

    def loss_of(self, step: Any) -> Tensor:
        """Return the mean loss of a batch, which is averaged over the batches."""
        loss: Tensor = step["loss"]
        return loss

    def record_losses(self, prefix: str, total: Tensor | float, rows: int) -> None:
        """Write the mean loss over all events into the history."""
        self.history.record(prefix + "_loss", float(total) / rows)
