"""Event weights of one sample, bound to it once and evaluated at any θ."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks
from skdctr.events.scaling import Scaling
from skdctr.events.tensors import event_chunks
from skdctr.events.validation import Events
from skdctr.networks import SeparableNetwork
from skdctr.parameters.scaling import ParameterScaling
from skdctr.training.prediction import event_functions, predict_logits, scaled_tensor, to_tensor

__all__ = ["Couplings", "EventWeights", "NetworkWeights", "RatioNetwork", "exponentiate"]

_CHUNK_ROWS = 1 << 15


class EventWeights(Protocol):
    """Log-weights of a fixed sample of n events as a function of the p parameters θ."""

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w, (n,), at one θ of shape (p,) or at one per event, (n, p)."""

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ log w, (n, p)."""

    def subset(self, rows: NDArray[np.intp]) -> EventWeights:
        """Return the same of some of the events."""


def exponentiate(log_weights: FloatArray) -> None:
    """Turn log-weights into weights, in place, or say how many are not finite."""
    n_bad, largest = 0, -np.inf
    for _, part in row_chunks(log_weights):
        largest = np.fmax(largest, np.fmax.reduce(part))
        with np.errstate(over="ignore"):
            np.exp(part, out=part)
        n_bad += int((~np.isfinite(part)).sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} of {len(log_weights)} weights are not finite (largest log-weight "
            f"{largest:g}): θ is too far from the nominal parameters for these "
            "events. Take θ closer to nominal, or work with predict_log_weights."
        )


@dataclass(frozen=True)
class RatioNetwork:
    """A trained network and how its output becomes a density ratio.

    Attributes
    ----------
    module : nn.Module
        Maps scaled x (n, f) and θ (n, p) to a logit.
    theta_nominal : Tensor of shape (1, p), or None
        Where given, the logit there is subtracted: the network was trained against a mixture.
    """

    module: nn.Module
    theta_nominal: Tensor | None

    @property
    def separates(self) -> bool:
        """Whether functions of the events alone serve any θ."""
        return bool(getattr(self.module, "has_event_functions", False))

    def from_functions(self, functions: Tensor, theta: Tensor) -> Tensor:
        """Compute log w of functions of events (n, k) at scaled θ, differentiable in θ."""
        module: Any = self.module
        logit: Tensor = module.from_functions(functions, theta)
        if self.theta_nominal is not None and not isinstance(module, SeparableNetwork):
            nominal = self.theta_nominal.expand(len(functions), -1)
            logit = logit - module.from_functions(functions, nominal)
        return logit

    def log_ratio(self, x: Any, theta: Tensor) -> Tensor:
        """Compute log w of scaled events at scaled θ, differentiable in θ."""
        if self.separates:
            module: Any = self.module
            return self.from_functions(module.event_functions(x), theta)
        logit: Tensor = self.module(x, theta)
        if self.theta_nominal is not None:
            logit = logit - self.module(x, self.theta_nominal.expand(len(x), -1))
        return logit


@dataclass(frozen=True)
class Couplings:
    """The couplings C of a separable network, log w = B(x) C A(θ), and how well they are known.

    Attributes
    ----------
    module : SeparableNetwork
        Refitted.
    parameters : ParameterScaling
        Of θ.
    event_functions : Tensor of shape (n, b)
        Those B(x) whose couplings were fitted, of the events that the weights are bound to.
    columns : Tensor of int of shape (a,)
        Those A(θ) whose couplings were fitted.
    covariance : ndarray of shape (b·a, b·a)
        Posterior covariance of the flattened couplings.
    """

    module: SeparableNetwork
    parameters: ParameterScaling
    event_functions: Tensor
    columns: Tensor
    covariance: FloatArray

    @torch.no_grad()
    def parameter_functions(self, theta: FloatArray) -> FloatArray:
        """Evaluate the A(θ): (m, p) to (m, a)."""
        device = self.event_functions.device
        values = self.module.parameter_functions(to_tensor(self.parameters(theta), device))
        functions: FloatArray = values[:, self.columns].cpu().numpy().astype(np.float64)
        return functions


class NetworkWeights:
    """`EventWeights` of an ensemble of networks: the mean of their log-weights.

    What depends on the events alone is computed once: B(x) of separable networks, the sums over
    particles of Deep Sets, and the reference logit of all but the former. With `n_folds` above 1
    as many networks each come from the events that one part of a cross-fit leaves, part by part.
    """

    def __init__(
        self,
        networks: Sequence[RatioNetwork],
        X: Events,
        *,
        features: Scaling,
        parameters: ParameterScaling,
        device: torch.device,
        n_folds: int = 1,
    ) -> None:
        self.networks, self.parameters, self.device = networks, parameters, device
        self.n_folds = n_folds
        x = scaled_tensor(features, X, device)
        self.n_events = len(x)
        # What each network's θ-dependent part sees of the events: x itself only where it must.
        self.inputs: list[Any] = [
            event_functions(network.module, x) if network.separates else x for network in networks
        ]
        self.reference = [
            None
            if network.theta_nominal is None or isinstance(network.module, SeparableNetwork)
            else self._evaluate(network, seen, network.theta_nominal)
            for network, seen in zip(networks, self.inputs, strict=True)
        ]

    @staticmethod
    def _evaluate(network: RatioNetwork, seen: Any, theta: Tensor) -> Tensor:
        """Compute the logit of a network."""
        module: Any = network.module
        return predict_logits(module.from_functions if network.separates else module, seen, theta)

    def subset(self, rows: NDArray[np.intp]) -> NetworkWeights:
        """Return the same of some of the events."""
        part = copy.copy(self)
        index = torch.as_tensor(rows, device=self.device)
        part.n_events = len(index)
        part.inputs = [seen[index] for seen in self.inputs]
        part.reference = [None if known is None else known[index] for known in self.reference]
        return part

    def by_fold(self) -> list[NetworkWeights]:
        """Return the weights of the networks of each part of the cross-fit by themselves."""
        return self._divided(len(self.networks) // self.n_folds)

    def by_member(self) -> list[NetworkWeights]:
        """Return the weights of each network by itself."""
        return self._divided(1)

    def _divided(self, size: int) -> list[NetworkWeights]:
        parts = []
        for first in range(0, len(self.networks), size):
            part, taken = copy.copy(self), slice(first, first + size)
            part.networks, part.n_folds = self.networks[taken], 1
            part.inputs, part.reference = self.inputs[taken], self.reference[taken]
            parts.append(part)
        return parts

    def couplings(self) -> list[Couplings]:
        """Return what is known of each network's couplings; empty where one's are not known."""
        known = []
        for network, seen in zip(self.networks, self.inputs, strict=True):
            module = network.module
            if not isinstance(module, SeparableNetwork):
                return []
            covariance, columns = module.coupling_covariance, module.coupled_columns
            if covariance is None or columns is None:
                return []
            fitted = seen[:, : len(covariance) // len(columns)]
            of_fitted = covariance.cpu().numpy().astype(np.float64)
            known.append(Couplings(module, self.parameters, fitted, columns, of_fitted))
        return known

    def _scaled(self, theta: FloatArray) -> Tensor:
        return to_tensor(self.parameters(np.atleast_2d(theta)), self.device)

    @torch.no_grad()
    def member_log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w of every member, (n_members, n)."""
        given = self._scaled(theta)
        rows = []
        for network, seen, reference in zip(
            self.networks, self.inputs, self.reference, strict=True
        ):
            if isinstance(network.module, SeparableNetwork):
                coefficients = network.module.event_coefficients(given)
                row = (
                    seen @ coefficients[0] if len(given) == 1 else (seen * coefficients).sum(dim=1)
                )
            else:
                row = self._evaluate(network, seen, given)
                row = row if reference is None else row - reference
            rows.append(row.cpu().numpy().astype(np.float64))
        return np.stack(rows)

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return the mean log w of the members, (n,)."""
        mean: FloatArray = self.member_log_weights(theta).mean(axis=0)
        return mean

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ of the mean log w, (n, p)."""
        given = self._scaled(theta)
        total = np.zeros((self.n_events, given.shape[1]))
        for network, seen in zip(self.networks, self.inputs, strict=True):
            if isinstance(network.module, SeparableNetwork) and len(given) == 1:
                slope = torch.autograd.functional.jacobian(network.module.event_coefficients, given)
                total += (seen @ slope[0, :, 0]).cpu().numpy()
            else:
                total += self._autograd(network, seen, given)
        return total / len(self.networks) * self.parameters.derivative(theta)

    def _autograd(self, network: RatioNetwork, seen: Any, given: Tensor) -> FloatArray:
        log_ratio: Any = network.from_functions if network.separates else network.log_ratio
        parts = []
        for rows, x in event_chunks(seen, _CHUNK_ROWS):
            theta = given if len(given) == 1 else given[rows]
            theta = theta.expand(len(x), -1).clone().requires_grad_()
            (slope,) = torch.autograd.grad(log_ratio(x, theta).sum(), theta)
            parts.append(slope.cpu().numpy().astype(np.float64))
        return np.concatenate(parts)
