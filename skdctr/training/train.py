"""Training of a network on weighted events, by skorch with batches from tensors on the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from skorch.callbacks import EarlyStopping, GradientNormClipping, PrintLog
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import nn

from skdctr._utils.device import accelerator, torch_seed
from skdctr._utils.torch_state import default_torch
from skdctr.training.accelerated import AcceleratedNet
from skdctr.training.batches import BatchLoader, EventDataset
from skdctr.training.callbacks import ProgressBar, holds
from skdctr.training.checkpoints import file_names, publish
from skdctr.training.event_net import ClassifierNet, EventNet, Interrupted
from skdctr.training.losses import WeightedCrossEntropy
from skdctr.training.optimizer import optimizer_arguments, schedule
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import events_at_once

__all__ = ["train"]


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
        best = EarlyStopping("valid_loss", wait, threshold=0.0, sink=noop, load_best=True)
        callbacks.append(("keep_best", best))
    callbacks += schedule(options, math.ceil(len(data) / batch_size))
    bar = ProgressBar(options.description)
    callbacks += what_is_shown(options, bar)
    if options.largest_gradient is not None:
        callbacks.append(("limit_gradients", GradientNormClipping(options.largest_gradient)))
    kind = ClassifierNet if criterion is None else EventNet
    make: Callable[..., EventNet] = partial(kind, device=device)
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
        verbose=int(options.verbose > 0),
        **{f"callbacks__{name}": value for name, value in options.callback_params.items()},
        **optimizer_arguments(options),
    )
    net.n_features_in_ = data.shape[1]
    net.file_prefix_ = options.file_prefix
    net.reads_batches_ = device.type == "cpu" or bool(options.callbacks)
    with torch_seed(seed, device):
        run(net, data, bar)
    net = net.release()
    check_finite(module, options)
    # The split holds the validation events, which a fitted estimator must not carry along.
    net.set_params(train_split=None)
    net.module_.eval()
    if options.publishes:
        publish(net)
    return net


def what_is_shown(options: TrainingOptions, bar: ProgressBar) -> list[tuple[str, Any]]:
    """Choose the callback that shows the progress of a training, by the user's `verbose`."""
    if options.verbose > 1:
        has_table = holds(options.callbacks, PrintLog)
        ignored = ["train_losses", "valid_losses"]
        return [] if has_table else [("print_log", PrintLog(keys_ignored=ignored))]
    return [("progress", bar)] if options.verbose else []


def run(net: EventNet, data: Any, bar: ProgressBar) -> None:
    """Fit a net and close its bar whatever happens; a Ctrl-C of the user is raised as such."""
    net.initialize()
    try:
        with file_names(net.callbacks_, net.file_prefix_):
            net.partial_fit(data, None)
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
