"""Conditional means E[t | x] by cross-fitted regression: no event is judged by its own fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skdctr._utils.device import resolve_device, torch_seed
from skdctr._utils.torch_state import default_torch
from skdctr._utils.typing import FloatArray
from skdctr.events.coding import EventCoder
from skdctr.events.kinds import Events
from skdctr.events.scaling import Scaling
from skdctr.networks.build import event_network
from skdctr.training.batches import EventDataset
from skdctr.training.losses import WeightedSquaredError
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import predict_logits, to_tensor
from skdctr.training.settings import NetworkSettings
from skdctr.training.train import train

__all__ = ["ConditionalMean", "RegressionOptions", "cross_fit"]

# Steps of gradient descent that max_epochs="auto" aims at, and the least and the largest number of
# epochs that it takes.
_AUTO_STEPS, _AUTO_EPOCHS = 300, (1, 30)
# Events that a regression takes at the most; `RegressionOptions.max_rows` says why.
_MAX_ROWS = 200_000


@dataclass(frozen=True)
class RegressionOptions:
    """How the networks of a regression are built and trained.

    Attributes
    ----------
    layers : dict
        `hidden_layer_sizes` and `activation` of the networks.
    training : callable
        ``training(n_events)`` makes the training options.
    max_rows : int
        Events that one network trains on at the most: beyond some 10⁵ the statistical error of
        a fit no longer depends on the regression.
    device : torch.device
        Where networks train.
    """

    layers: dict[str, Any]
    training: Callable[[int], TrainingOptions]
    max_rows: int
    device: torch.device

    @classmethod
    def of(cls, settings: NetworkSettings) -> RegressionOptions:
        """Make the options that an estimator's parameters describe."""
        size = max(1, settings.batch_size // 2)

        def training(n_events: int) -> TrainingOptions:
            steps = math.ceil(n_events / size)
            auto = int(np.clip(math.ceil(_AUTO_STEPS / steps), *_AUTO_EPOCHS))
            return settings.options(auto, batch_size=size, verbose=0)

        return cls(settings.layers(), training, _MAX_ROWS, resolve_device(settings.device))


@dataclass(frozen=True)
class ConditionalMean:
    """E[t | x] by one network for each fold, which has been trained on the other folds.

    Attributes
    ----------
    networks : list of nn.Module
        Networks that map coded features to standardised targets, by fold.
    features : EventCoder
        Code of the features.
    targets : Scaling
        Scale by which targets are standardised.
    device : torch.device
        The device of the networks.
    """

    networks: list[torch.nn.Module]
    features: EventCoder
    targets: Scaling
    device: torch.device

    @default_torch()
    def _predict(self, fold: int, X: Events) -> FloatArray:
        """Predict events by the network of one fold, (n, k)."""
        scaled = to_tensor(self.features(X), self.device)
        values = predict_logits(self.networks[fold], scaled).cpu().numpy().astype(np.float64)
        mean: FloatArray = values.reshape(len(X), -1) * self.targets.scale + self.targets.shift
        return mean

    def out_of_fold(self, X: Events, folds: NDArray[np.intp]) -> FloatArray:
        """Predict each event of the regression by the network that has not seen it, (n, k)."""
        values = np.empty((len(X), len(self.targets.shift)))
        for fold in range(len(self.networks)):
            rows = folds == fold
            values[rows] = self._predict(fold, X[rows])
        return values

    def __call__(self, X: Events) -> FloatArray:
        """Predict other events by the mean of the networks, (n, k)."""
        predictions = [self._predict(fold, X) for fold in range(len(self.networks))]
        mean: FloatArray = np.mean(predictions, axis=0)
        return mean


@default_torch()
def cross_fit(
    X: Events,
    target: FloatArray,
    weight: FloatArray,
    folds: NDArray[np.intp],
    options: RegressionOptions,
    *,
    seed: int,
    names: Sequence[str] | None = None,
) -> ConditionalMean:
    """Fit E[target | X] by weighted least squares, by one network for each fold.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Events.
    target : ndarray of shape (n, k)
        Values whose mean is wanted.
    weight : ndarray of shape (n,)
        Event weights, not negative.
    folds : ndarray of shape (n,)
        Fold of each event.
    options : RegressionOptions
        Networks and their training.
    seed : int
        Seed of the initial weights of networks, the order of events and the choice of rows.
    names : sequence of str, optional
        Names of the features.

    Returns
    -------
    ConditionalMean
    """
    features, targets = EventCoder.fit(X, weight, names), Scaling.standard(target, weight)
    rng = np.random.default_rng(seed)
    networks = []
    for fold in range(int(folds.max()) + 1):
        rows = np.flatnonzero(folds != fold)
        if len(rows) > options.max_rows:
            rows = rng.choice(rows, options.max_rows, replace=False)
        rows = rows[weight[rows] > 0]
        x = to_tensor(features(X[rows]), options.device)
        data = EventDataset(
            x,
            to_tensor(targets(target[rows]), options.device),
            to_tensor(weight[rows] / weight[rows].mean(), options.device),
        )
        with torch_seed(seed, options.device):
            module = event_network(x, n_outputs=target.shape[1], **options.layers)
        train(
            module.to(options.device),
            data,
            options.training(len(rows)),
            criterion=WeightedSquaredError(),
            device=options.device,
            seed=seed,
        )
        networks.append(module)
    return ConditionalMean(networks, features, targets, options.device)
