"""Training of networks on weighted events: skorch around batches from tensors on the device."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from skdctr._accelerate import AcceleratedNet
from skdctr._batches import BatchLoader, EventDataset, signs
from skdctr._event_net import EventNet, Interrupted
from skdctr._prediction import event_functions, events_at_once, predict_logits, to_tensor
from skdctr._utils.device import accelerator, torch_seed

__all__ = [
    "BatchLoader",
    "EventDataset",
    "EventNet",
    "TrainingOptions",
    "WeightedSquaredError",
    "event_functions",
    "predict_logits",
    "signs",
    "to_tensor",
    "train",
]


class WeightedCrossEntropy(nn.Module):
    """Binary cross-entropy on logits, weighted by event.

    Parameters
    ----------
    prior_logit : float
        Logarithm of the ratio of the classes' total weights. It is added to the network's output,
        which then is the logarithm of the density ratio itself.
    """

    def __init__(self, prior_logit: float = 0.0) -> None:
        super().__init__()
        self.prior_logit = prior_logit

    def forward(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average the loss over a batch; the weights have mean 1 over the whole sample."""
        if self.prior_logit:
            logit = logit + self.prior_logit
        return functional.binary_cross_entropy_with_logits(logit, target, weight=weight)


class WeightedSquaredError(nn.Module):
    """Squared distance of vectors, weighted by event: its minimum is the conditional mean."""

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average over a batch and over the components; the weights have mean 1 overall."""
        return (weight[:, None] * (prediction - target).square()).mean()


class ProgressBar(Callback):
    """A bar over the epochs, with both losses."""

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
        How to train.
    prior_logit : float
        See `WeightedCrossEntropy`.
    criterion : nn.Module, optional
        Another loss of output, target and weight.
    device : torch.device
        Where the data sets live.
    seed : int
        Seed of the order of events and of all else that is random in training.

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
    # Loaders and optimizer state hold the events; a fitted estimator must not carry them along.
    net.set_params(train_split=None)
    net.module_.eval()
    return net


def run(net: EventNet, data: Any, bar: ProgressBar) -> None:
    """Fit a net, and close its bar whatever happens; Ctrl-C is the user's again."""
    try:
        net.fit(data, None)
    except Interrupted:
        raise KeyboardInterrupt from None
    finally:
        bar.close()


def check_finite(module: nn.Module, options: TrainingOptions) -> None:
    """Refuse a network that training drove to infinity."""
    if not all(bool(parameter.isfinite().all()) for parameter in module.parameters()):
        raise ValueError(
            f"training diverged: the network's parameters are not finite. Lower lr={options.lr:g}, "
            "or look for extreme features or weights."
        )
