"""Training of several networks of one shape at once, each on batches of its own.

On a GPU one step of many small networks costs little more than that of one, as the time goes into
starting operations rather than into arithmetic. Losses are summed over the networks, so that each
has the gradient that it would have alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from skorch.history import History
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional
from torch.utils.data import Dataset

from skdctr._utils.torch_state import default_torch
from skdctr.networks import MLP, SeparableNetwork
from skdctr.training.batches import BatchLoader, EventDataset
from skdctr.training.callbacks import ProgressBar
from skdctr.training.event_net import ClassifierNet, EventNet
from skdctr.training.losses import WeightedCrossEntropy
from skdctr.training.optimizer import optimizer_arguments, schedule
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import events_at_once
from skdctr.training.train import check_finite, run, what_is_shown

__all__ = ["StackedModule", "train_together", "trains_together"]


class StackedDataset(Dataset[Any]):
    """Data sets of equal length, one for each network.

    Parameters
    ----------
    members : sequence of EventDataset
        The data sets.

    Raises
    ------
    ValueError
        If their lengths differ.
    """

    def __init__(self, members: Sequence[EventDataset]) -> None:
        lengths = {len(each) for each in members}
        if len(lengths) != 1:
            raise ValueError(f"data sets of {sorted(lengths)} events; expected equal numbers.")
        self.members = list(members)

    def __len__(self) -> int:
        return len(self.members[0])


class StackedLoader:
    """Loader that puts the batches of all networks side by side.

    Parameters
    ----------
    dataset : StackedDataset
        The events.
    batch_size : int
        Number of events in the batch of each network.
    shuffle : bool
        Whether to draw a new order at every pass, as in `BatchLoader`.
    seeds : sequence of int
        A seed for each network.
    """

    def __init__(
        self,
        dataset: StackedDataset,
        batch_size: int,
        shuffle: bool = False,
        seeds: Sequence[int] = (),
    ) -> None:
        seeds = seeds or [0] * len(dataset.members)
        self.loaders = [
            BatchLoader(member, batch_size, shuffle, seed)
            for member, seed in zip(dataset.members, seeds, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Tensor]]:
        for batches in zip(*self.loaders, strict=True):
            inputs = {
                name: torch.stack([given[name] for given, _ in batches]) for name in batches[0][0]
            }
            yield inputs, torch.stack([target for _, target in batches])


class StackedModule(nn.Module):
    """Networks of one shape as a single one, which maps m batches of b events to (m, b).

    Parameters
    ----------
    members : sequence of nn.Module
        The networks. Training starts from their parameters, and `unstack` puts its result there.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        # A ModuleList would add their parameters, while the stacked copies are what is trained.
        self._members = list(members)
        state, self._buffers_of_all = stack_module_state(self._members)
        self._names = list(state)
        self.values = nn.ParameterList(state[name].detach() for name in self._names)

    def forward(self, **inputs: Tensor) -> Tensor:
        """Evaluate every network on its own events."""

        def one(parameters: Any, buffers: Any, given: Any) -> Any:
            return functional_call(self._members[0], (parameters, buffers), (), given)

        parameters = dict(zip(self._names, self.values, strict=True))
        outputs: Tensor = vmap(one)(parameters, self._buffers_of_all, inputs)
        return outputs

    @torch.no_grad()
    def unstack(self) -> None:
        """Give every network its own parameters."""
        for k, member in enumerate(self._members):
            own = dict(member.named_parameters())
            for name, values in zip(self._names, self.values, strict=True):
                own[name].copy_(values[k])


class StackedCrossEntropy(nn.Module):
    """Weighted binary cross-entropy of every network; see `WeightedCrossEntropy`.

    Parameters
    ----------
    prior_logits : Tensor of shape (m,)
        Logarithm of the ratio of the classes' total weights, for each network.
    """

    def __init__(self, prior_logits: Tensor) -> None:
        super().__init__()
        self.prior_logits: Tensor
        self.register_buffer("prior_logits", prior_logits[:, None])

    def forward(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average the loss over the batch of each network: (m, b) to (m,)."""
        loss = functional.binary_cross_entropy_with_logits(
            logit + self.prior_logits, target, weight=weight, reduction="none"
        )
        return loss.mean(dim=1)


class StackedNet(EventNet):
    """The skorch net of a `StackedModule`.

    Its history has the losses of each network as ``train_losses`` and ``valid_losses``, beside
    their means.
    """

    loss_name = "_losses"

    def get_loss(
        self, y_pred: Tensor, y_true: Tensor, X: Any = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Sum the criterion over the networks."""
        losses: Tensor = self.criterion_(y_pred, y_true, X["weight"])
        self._losses = losses.detach()
        return losses.sum()

    def events_in(self, batch: Any) -> int:
        """Count the events of each network in a batch."""
        n_events: int = batch[1].shape[1]
        return n_events

    def loss_of(self, step: Any) -> Tensor:
        """Return the mean loss of each network."""
        return self._losses

    def record_losses(self, prefix: str, total: Tensor | float, rows: int) -> None:
        """Write the losses of all networks, and their mean, into the history."""
        losses = (torch.as_tensor(total) / rows).tolist()
        self.history.record(prefix + "_losses", losses)
        self.record_score(prefix + "_loss", sum(losses) / len(losses))


class BestOfMembers(Callback):
    """Early stopping of each network by itself, which restores the parameters of its best epoch.

    Parameters
    ----------
    patience : int
        Number of epochs without a better validation loss after which a network has ended. Training
        stops when all have.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget the losses of an earlier training."""
        self.best_: list[float] = []
        self.misses_: list[int] = []
        self.n_epochs_: list[int] = []
        self._kept = [value.detach().clone() for value in net.module_.values]

    @torch.no_grad()
    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Compare the epoch with the best one of each network."""
        losses = net.history[-1, "valid_losses"]
        if not self.best_:
            m = len(losses)
            self.best_, self.misses_, self.n_epochs_ = [float("inf")] * m, [0] * m, [0] * m
        better = []
        for k, loss in enumerate(losses):
            if self.misses_[k] >= self.patience:
                continue
            self.n_epochs_[k] += 1
            if loss < self.best_[k]:
                self.best_[k], self.misses_[k] = loss, 0
                better.append(k)
            else:
                self.misses_[k] += 1
        if better:
            rows = torch.tensor(better, device=self._kept[0].device)
            for kept, value in zip(self._kept, net.module_.values, strict=True):
                kept[rows] = value[rows]
        if all(misses >= self.patience for misses in self.misses_):
            raise KeyboardInterrupt

    @torch.no_grad()
    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the best parameters of each network that had a finite loss."""
        rows = [k for k, loss in enumerate(self.best_) if math.isfinite(loss)]
        for kept, value in zip(self._kept, net.module_.values, strict=True):
            value[rows] = kept[rows]
        del self._kept


# Optimizers that update every number by itself, so that stacking changes nothing.
_ELEMENTWISE = tuple(
    getattr(torch.optim, name)
    for name in ("Adam", "AdamW", "SGD", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad")
)
# Networks whose forward pass can be vectorised over their parameters.
_STACKABLE = (SeparableNetwork, MLP)


def trains_together(module: nn.Module, options: TrainingOptions, device: torch.device) -> bool:
    """Say whether several networks like this one train at once.

    It depends on their settings and on the device alone. A processor trains them one by one, as
    otherwise rounding would depend on their number, and thus the members of an ensemble on its
    size and on the number of threads.
    """
    return (
        type(module) in _STACKABLE
        and optimizer_arguments(options)["optimizer"] in _ELEMENTWISE
        and not options.callbacks
        and not options.accelerate
        and device.type != "cpu"
    )


@default_torch()
def train_together(
    modules: Sequence[nn.Module],
    data: Sequence[EventDataset],
    options: TrainingOptions,
    *,
    valid: Sequence[EventDataset] | None,
    prior_logits: Sequence[float],
    device: torch.device,
    seeds: Sequence[int],
) -> list[EventNet]:
    """Train networks of one shape at once.

    Parameters
    ----------
    modules : sequence of nn.Module
        Initialised networks; they are trained in place.
    data, valid : sequence of EventDataset
        For each network events to train on, and events to judge the epochs by. Each sequence has
        data sets of one length.
    options : TrainingOptions
        Options of all trainings.
    prior_logits : sequence of float
        Argument of `WeightedCrossEntropy` for each network.
    device : torch.device
        Where the data sets live.
    seeds : sequence of int
        For each network the seed of the order of its events.

    Returns
    -------
    list of EventNet
        The nets as if each had been trained by itself, but for rounding.

    Raises
    ------
    ValueError
        If the lengths of data sets differ, or parameters are no longer finite.
    """
    stacked = StackedModule(modules)
    batch_size = min(options.batch_size, len(data[0]))
    callbacks: list[Any] = []
    best = None if valid is None else BestOfMembers(options.longest_wait)
    if best is not None:
        callbacks.append(("keep_best", best))
    callbacks += schedule(options, math.ceil(len(data[0]) / batch_size))
    bar = ProgressBar(options.description)
    callbacks += what_is_shown(options, bar)
    common = {"max_epochs": options.max_epochs, "batch_size": batch_size, "device": device}
    logits = torch.tensor(prior_logits, device=device)
    net = StackedNet(
        stacked,
        criterion=StackedCrossEntropy(logits),
        iterator_train=StackedLoader,
        iterator_train__shuffle=True,
        iterator_train__seeds=list(seeds),
        iterator_valid=StackedLoader,
        iterator_valid__batch_size=max(1, events_at_once(data[0].x) // len(modules)),
        train_split=None if valid is None else predefined_split(StackedDataset(valid)),
        callbacks=callbacks,
        verbose=int(options.verbose > 0),
        **common,
        **optimizer_arguments(options),
    )
    net.reads_batches_ = device.type == "cpu"
    run(net, StackedDataset(data), bar)
    stacked.unstack()
    nets = []
    for k, module in enumerate(modules):
        check_finite(module, options)
        own = ClassifierNet(
            module,
            criterion=WeightedCrossEntropy(prior_logits[k]),
            train_split=None,
            verbose=int(options.verbose > 0),
            **common,
            **optimizer_arguments(options),
        ).initialize()
        own.n_features_in_ = data[k].shape[1]
        own.history = _own_history(net.history, k, None if best is None else best.n_epochs_[k])
        own.module_.eval()
        nets.append(own)
    return nets


def _own_history(shared: History, k: int, n_epochs: int | None) -> History:
    """Return the losses of network k alone, up to the epoch that it ended with."""
    history = History()
    for row in list(shared)[:n_epochs]:
        history.append(_own_row(row, k) | {"batches": [_own_row(b, k) for b in row["batches"]]})
    for name in ("train_loss", "valid_loss"):
        lowest = math.inf
        for row in history:
            if name in row:
                row[name + "_best"] = row[name] < lowest
                lowest = row[name] if row[name + "_best"] else lowest
    return history


def _own_row(shared: Mapping[str, Any], k: int) -> dict[str, Any]:
    """Return what an epoch or a batch has recorded, of losses those of network k alone."""
    lists = {name: values[k] for name, values in shared.items() if name.endswith("_losses")}
    own = {name: value for name, value in shared.items() if name not in lists}
    return own | {name.removesuffix("es"): value for name, value in lists.items()}
