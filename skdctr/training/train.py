"""Training of a network on weighted events, by skorch with batches from tensors on the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import nn
from tqdm import tqdm

from skdctr._utils.device import accelerator, torch_seed
from skdctr._utils.torch_state import default_torch
from skdctr.training.accelerated import AcceleratedNet
from skdctr.training.batches import BatchLoader, EventDataset
from skdctr.training.event_net import EventNet, Interrupted
from skdctr.training.losses import WeightedCrossEntropy
from skdctr.training.optimizer import optimizer_arguments, schedule
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import events_at_once

__all__ = ["train"]


class ProgressBar(Callback):
    """A progress bar over the epochs that shows the training and the validation loss."""

    def __init__(self, description: str) -> None:
        self.description = description

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc=self.description, unit="epoch")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Move the bar on."""
        row = net.history[-1]
        losses = {key: f"{row[key]:.5f}" for key in ("train_loss", "valid_loss") if key in row}
        self.bar_.set_postfix(losses, refresh=False)
        self.bar_.update()

    def close(self) -> None:
        """Close the bar and drop it: it holds the terminal, which cannot be pickled."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_


@default_torch()
def train(
    module: nn.Module,
    data: EventDataset,
    options: TrainingOptions,
    *,
    valid: EventDataset | None = None,
    prior_logit: float = 0.0,
    criterion: nn.Module | None = None,
    device: torch.device,
    seed: int = 0,
) -> EventNet:
    """Train a network and return the fitted skorch net, best weights restored.

    Parameters
    ----------
    module : nn.Module
        Initialised network; it is trained in place.
    data, valid : EventDataset
        Events to train on, and events to judge the epochs by.
    options : TrainingOptions
        Options of the training.
    prior_logit : float
        Argument of `WeightedCrossEntropy`, which is the loss by default.
    criterion : nn.Module, optional
        Another loss of output, target and weight.
    device : torch.device
        Where the data sets live.
    seed : int
        Seed of the order of events and of all else that is random in training.

    Returns
    -------
    EventNet
        The net, whose module has the weights of the epoch with the best validation loss.

    Raises
    ------
    ValueError
        If the network's parameters are no longer finite.
    """
    batch_size = min(options.batch_size, len(data))
    callbacks: list[Any] = []
    if valid is not None:
        wait = options.longest_wait
        callbacks.append(
            EarlyStopping("valid_loss", wait, threshold=0.0, sink=noop, load_best=True)
        )
    callbacks += schedule(options, math.ceil(len(data) / batch_size))
    bar = ProgressBar(options.description)
    if options.verbose:
        callbacks.append(bar)
    make: Callable[..., EventNet] = partial(EventNet, device=device)
    if options.accelerate:
        make = partial(AcceleratedNet, accelerator=accelerator())
    net = make(
        module,
        criterion=WeightedCrossEntropy(prior_logit) if criterion is None else criterion,
        max_epochs=options.max_epochs,
        batch_size=batch_size,
        iterator_train=BatchLoader,
        iterator_train__shuffle=True,
        iterator_train__seed=seed,
        iterator_valid=BatchLoader,
        iterator_valid__batch_size=events_at_once(data.x),
        train_split=None if valid is None else predefined_split(valid),
        callbacks=[*callbacks, *options.callbacks],
        verbose=0,
        **optimizer_arguments(options),
    )
    with torch_seed(seed, device):
        run(net, data, bar)
    net.release()
    check_finite(module, options)
    # The split holds the validation events, which a fitted estimator must not carry along.
    net.set_params(train_split=None)
    net.module_.eval()
    return net


def run(net: EventNet, data: Any, bar: ProgressBar) -> None:
    """Fit a net and close its bar whatever happens; a Ctrl-C of the user is raised as such."""
    try:
        net.fit(data, None)
    except Interrupted:
        raise KeyboardInterrupt from None
    finally:
        bar.close()


def check_finite(module: nn.Module, options: TrainingOptions) -> None:
    """Raise ValueError if training drove the parameters of a network to infinity."""
    if not all(bool(parameter.isfinite().all()) for parameter in module.parameters()):
        raise ValueError(
            f"training diverged: the network's parameters are not finite. Lower lr={options.lr:g}, "
            "or look for extreme features or weights."
        )
