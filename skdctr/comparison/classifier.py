"""How the classifiers that compare data with simulation are built and trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from skdctr._utils.device import resolve_device
from skdctr.events.kinds import count_features, count_type_codes, holds_sets
from skdctr.events.tensors import EventTensors
from skdctr.networks.build import (
    check_takes,
    constructor_arguments,
    event_network,
    standardise_sums,
)
from skdctr.training.options import TrainingOptions
from skdctr.training.settings import NetworkSettings

__all__ = ["Classifier", "reference_classifier"]

# Steps of gradient descent that a classifier with max_epochs="auto" aims at, and the least and the
# largest number of epochs that it takes.
_AUTO_STEPS, _AUTO_EPOCHS = 400, (1, 30)
# Batches that the reference classifier divides few events into, at least: one batch an epoch would
# leave it too few steps to learn from.
_LEAST_BATCHES = 10


@dataclass(frozen=True)
class Classifier:
    """A recipe for classifiers of data (1) against simulation (0).

    Attributes
    ----------
    build : callable
        ``build(x)`` makes a network for scaled events.
    options : callable
        ``options(n_events)`` makes the training options.
    n_folds : int
        Parts of the cross-fit: each event is judged by a classifier that has not seen it.
    device : torch.device
        Where classifiers train.
    max_rows : int or None
        Events of both classes that a classifier trains on at the most. None takes all.
    """

    build: Callable[[EventTensors], nn.Module]
    options: Callable[[int], TrainingOptions]
    n_folds: int
    device: torch.device
    max_rows: int | None = None

    @classmethod
    def of(cls, settings: NetworkSettings, n_folds: int) -> Classifier:
        """Make the recipe that an estimator's parameters describe.

        Parameters
        ----------
        settings : NetworkSettings
            Network and training.
        n_folds : int
            Parts of the cross-fit.

        Raises
        ------
        ValueError
            If the device is one that shares the training of a single network.
        """
        if settings.device == "accelerate":
            raise ValueError(
                "device='accelerate' shares the training of one large network, that of a "
                "DCTRReweighter; a fit trains many small ones: pass device='auto'."
            )

        def options(n_events: int) -> TrainingOptions:
            steps = math.ceil(n_events / settings.batch_size)
            auto = int(np.clip(math.ceil(_AUTO_STEPS / steps), *_AUTO_EPOCHS))
            # The bar of the search covers all trainings; one for each would flood the screen.
            return settings.options(auto, verbose=0)

        auto_rows = _AUTO_STEPS * settings.batch_size
        return cls(
            build=lambda x: _build(settings, x),
            options=options,
            n_folds=n_folds,
            device=resolve_device(settings.device),
            max_rows=auto_rows if settings.max_epochs == "auto" else None,
        )


def _build(settings: NetworkSettings, x: EventTensors) -> Any:
    """Build the network of a user's settings for scaled events."""
    further = dict(settings.module_params)
    module = settings.module
    if module is None:
        return event_network(x, **settings.layers(), **further)
    check_takes(module, x)
    offered = {"n_features": count_features(x)}
    if holds_sets(x):
        offered["n_types"] = count_type_codes(x)
    network = module(**constructor_arguments(module, offered, settings.explicit) | further)
    standardise_sums(network, x)
    return network


def reference_classifier(device: Any = "auto", n_folds: int = 2) -> Classifier:
    """Return the one fixed classifier that judges fits in `score`, and weights in closure tests.

    The classifiers that a user tunes must not be the judges: a weak one would find every fit good.

    Parameters
    ----------
    device : str or torch.device
        Where it trains.
    n_folds : int
        Parts of the cross-fit.

    Returns
    -------
    Classifier
    """

    def build(x: EventTensors) -> nn.Module:
        return event_network(x, hidden_layer_sizes=(64, 64), activation="silu")

    def options(n_events: int) -> TrainingOptions:
        batch_size = int(np.clip(n_events // _LEAST_BATCHES, 1, 2000))
        epochs = math.ceil(_AUTO_STEPS / math.ceil(n_events / batch_size))
        return TrainingOptions(
            max_epochs=min(epochs, _AUTO_EPOCHS[1]), batch_size=batch_size, lr=0.005
        )

    return Classifier(build, options, n_folds, resolve_device(device))
