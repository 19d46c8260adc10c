"""What estimators share: training knobs, their checks, and fits that change all or nothing."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from skdctr._parameters import NetworkParametersMixin
from skdctr._utils.spelling import did_you_mean
from skdctr.networks import ACTIVATIONS
from skdctr.training import TrainingOptions

__all__ = ["NETWORK_CONSTRAINTS", "NetworkEstimator"]

NETWORK_CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "optimizer": [str, type],
    "lr_schedule": [StrOptions({"one_cycle", "constant"})],
    "callbacks": ["array-like", None],
    "module": [type, None],
    "device": [str, torch.device],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class NetworkEstimator(NetworkParametersMixin):
    """Base of estimators that train networks, with training knobs under skorch's names."""

    hidden_layer_sizes: Any
    activation: str
    max_epochs: Any
    batch_size: int
    lr: float
    optimizer: Any
    lr_schedule: str
    callbacks: Any
    device: Any
    verbose: int

    def _training_options(self, max_epochs: int, **further: Any) -> TrainingOptions:
        if isinstance(self.optimizer, str) and not hasattr(torch.optim, self.optimizer):
            known = [name for name in dir(torch.optim) if name[0].isupper()]
            raise ValueError(
                f"optimizer={self.optimizer!r} is not in torch.optim; "
                + did_you_mean(self.optimizer, known)
            )
        return TrainingOptions(
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            optimizer=self.optimizer,
            optimizer_params=self._prefixed("optimizer__"),
            lr_schedule=self.lr_schedule,
            callbacks=() if self.callbacks is None else tuple(self.callbacks),
            verbose=int(self.verbose),
            accelerate=self.device == "accelerate",
            **further,
        )

    def _hidden_layer_sizes(self, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        if sizes is None:
            sizes = (50, 50) if default is None else default
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(int(size) for size in sizes)
        if not all(size > 0 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r}: every layer needs at least one "
                "node."
            )
        return sizes
