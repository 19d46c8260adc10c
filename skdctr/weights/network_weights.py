"""Event weights that an ensemble of networks has learned."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdctr._utils.torch_state import default_torch
from skdctr._utils.typing import FloatArray
from skdctr.parameters.scaling import ParameterScaling
from skdctr.training.prediction import to_tensor
from skdctr.weights.bound_network import BoundNetwork
from skdctr.weights.couplings import Couplings
from skdctr.weights.event_weights import EventWeights

__all__ = ["NetworkWeights"]

# Events that the scale of θ is measured with, about.
_SCALE_EVENTS = 10_000


class NetworkWeights(EventWeights):
    """The mean of the log-weights of an ensemble of networks.

    Parameters
    ----------
    networks : sequence of BoundNetwork
        Networks that are all bound to the same events. With `n_folds` above 1 those of the first
        part of a cross-fit come first, then as many of the second, and so on; the networks of a
        part have learned from the events of all other parts.
    parameters : ParameterScaling
        The scale of θ.
    device : torch.device
        The device of the networks.
    n_folds : int
        Parts of the cross-fit.
    """

    def __init__(
        self,
        networks: Sequence[BoundNetwork],
        parameters: ParameterScaling,
        device: torch.device,
        n_folds: int = 1,
    ) -> None:
        self.networks, self.parameters, self.device = list(networks), parameters, device
        self.n_folds = n_folds

    def _with(self, networks: Sequence[BoundNetwork]) -> Self:
        other = copy.copy(self)
        other.networks = list(networks)
        return other

    @default_torch()
    def subset(self, rows: NDArray[np.intp]) -> Self:
        """Return the weights of some of the events."""
        index = torch.as_tensor(rows, device=self.device)
        return self._with([network.subset(index) for network in self.networks])

    def scale(self, theta: FloatArray) -> FloatArray:
        """Return the change of each parameter that changes log w by about 1, (p,)."""
        stride = max(1, len(self.networks[0]) // _SCALE_EVENTS)
        part = self.subset(np.arange(0, len(self.networks[0]), stride))
        return EventWeights.scale(part, theta)

    def by_fold(self) -> list[Self]:
        """Return the weights of the networks of each part of the cross-fit by themselves."""
        return self._divided(len(self.networks) // self.n_folds)

    def by_member(self) -> list[Self]:
        """Return the weights of each network by itself."""
        return self._divided(1)

    def _divided(self, size: int) -> list[Self]:
        parts = []
        for first in range(0, len(self.networks), size):
            part = self._with(self.networks[first : first + size])
            part.n_folds = 1
            parts.append(part)
        return parts

    @default_torch()
    def couplings(self) -> list[Couplings]:
        """Return each network's couplings with their covariance; empty where one's is unknown."""
        by_network = [network.couplings(self.parameters) for network in self.networks]
        known = [couplings for couplings in by_network if couplings is not None]
        return known if len(known) == len(by_network) else []

    def _scaled(self, theta: FloatArray) -> Tensor:
        return to_tensor(self.parameters(np.atleast_2d(theta)), self.device)

    @default_torch()
    def member_log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w of every member, (n_members, n)."""
        scaled_theta = self._scaled(theta)
        rows = [network.log_weights(scaled_theta) for network in self.networks]
        return np.stack([row.cpu().numpy().astype(np.float64) for row in rows])

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return the mean log w of the members, (n,)."""
        mean: FloatArray = self.member_log_weights(theta).mean(axis=0)
        return mean

    @default_torch()
    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ of the mean log w, (n, p)."""
        scaled_theta = self._scaled(theta)
        total = np.zeros((len(self.networks[0]), scaled_theta.shape[1]))
        for network in self.networks:
            total += network.gradient(scaled_theta)
        return total / len(self.networks) * self.parameters.derivative(theta)
