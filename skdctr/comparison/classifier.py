"""The classifiers that compare data with simulation: how they are built and trained."""

from __future__ import annotations

import math
from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np

from skdctr._utils.device import resolve_device
from skdctr.comparison.objective import ClassifierObjective
from skdctr.events.tensors import EventTensors, PackedTensors
from skdctr.fitting.samples import Samples
from skdctr.networks.build import check_takes, event_network
from skdctr.training.options import TrainingOptions
from skdctr.training.settings import NetworkEstimator
from skdctr.weights.event_weights import EventWeights

__all__ = ["ClassifierEstimator"]

# Steps of gradient descent of a classifier with max_epochs="auto", and its epochs.
_AUTO_STEPS = 400
_AUTO_EPOCHS = (1, 30)


class ClassifierEstimator(NetworkEstimator):
    """Base of estimators that train classifiers of data against reweighted simulation."""

    module: Any
    n_folds: int
    device: Any

    def _make_objective(
        self,
        samples: Samples,
        weights: EventWeights,
        names: list[str],
        seed: int,
        n_placements: int | None = None,
    ) -> ClassifierObjective:
        if self.device == "accelerate":
            raise ValueError(
                "device='accelerate' shares the training of one large network, that of a "
                "DCTRReweighter; a fit trains many small ones: pass device='auto'."
            )
        layers = {
            "hidden_layer_sizes": self._hidden_layer_sizes(),
            "activation": self.activation,
        }
        return ClassifierObjective(
            weights,
            samples.sim,
            samples.data,
            names=names,
            sim_weight=samples.sim_weight,
            data_weight=samples.data_weight,
            build=lambda x: self._build_classifier(x, layers),
            options=self._classifier_options,
            max_rows=_AUTO_STEPS * self.batch_size if self.max_epochs == "auto" else None,
            n_folds=self.n_folds,
            seed=seed,
            device=resolve_device(self.device),
            n_placements=n_placements,
        )

    def _build_classifier(self, x: EventTensors, layers: dict[str, Any]) -> Any:
        further = self._prefixed("module__")
        if self.module is None:
            return event_network(x, **layers, **further)
        check_takes(self.module, x)
        if not isinstance(x, PackedTensors):
            return self.module(n_features=x.shape[1], **further)
        if "n_types" in signature(self.module).parameters:
            further = {"n_types": x.n_types, **further}
        made = self.module(n_features=x.n_features, **further)
        if hasattr(made, "standardise"):
            made.to(x.device).standardise(x)
        return made

    def _classifier_options(self, n_events: int) -> TrainingOptions:
        steps = math.ceil(n_events / self.batch_size)
        auto = np.clip(math.ceil(_AUTO_STEPS / steps), *_AUTO_EPOCHS)
        options = self._training_options(
            int(auto if self.max_epochs == "auto" else self.max_epochs)
        )
        # The bar of the search covers all trainings; one for each would flood the screen.
        return replace(options, verbose=0)
