"""One trained network and the events that it is bound to.

What depends on the events alone is computed once: B(x) of separable networks, the sums over
particles of Deep Sets, and the logit at θ₀ of networks that were trained against a mixture.
"""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from skdctr._utils.typing import FloatArray
from skdctr.events.tensors import EventTensors, event_chunks
from skdctr.networks import SeparableNetwork
from skdctr.parameters.scaling import ParameterScaling
from skdctr.training.prediction import event_functions, predict_logits
from skdctr.weights.couplings import Couplings

__all__ = ["BoundNetwork", "bind_network"]

# Events whose gradient is computed at once, as autograd keeps every layer of them in memory.
_CHUNK_ROWS = 1 << 15


class BoundNetwork:
    """A network of x and θ, bound to n events.

    Parameters
    ----------
    module : nn.Module
        Maps scaled x (n, f) and θ (n, p) to one logit per event.
    x : Tensor of shape (n, f) or PackedTensors
        Scaled events.
    theta_nominal : Tensor of shape (1, p), or None
        Scaled θ₀, where the network was trained against a mixture of all θ: its logit there is
        subtracted. None where the logit is log w itself.
    """

    def __init__(self, module: nn.Module, x: EventTensors, theta_nominal: Tensor | None) -> None:
        self.module: Any = module
        # What the θ-dependent part of the network takes of the events: functions of x that were
        # computed once where the network has some, and x itself otherwise.
        self.inputs: Any = self._inputs_of(x)
        self.reference: Tensor | None = None
        if theta_nominal is not None:
            self.reference = self._logits(theta_nominal)

    def _inputs_of(self, x: EventTensors) -> EventTensors:
        return x

    @property
    def _function(self) -> Any:
        """The function of the inputs and θ that gives the logit."""
        return self.module

    def _logits(self, theta: Tensor) -> Tensor:
        return predict_logits(self._function, self.inputs, theta)

    def __len__(self) -> int:
        return len(self.inputs)

    def subset(self, rows: Tensor) -> Self:
        """Return the network bound to some of the events."""
        part = copy.copy(self)
        part.inputs = self.inputs[rows]
        part.reference = None if self.reference is None else self.reference[rows]
        return part

    @torch.no_grad()
    def log_weights(self, theta: Tensor) -> Tensor:
        """Return log w, (n,), at scaled θ of shape (1, p) or (n, p)."""
        logits = self._logits(theta)
        return logits if self.reference is None else logits - self.reference

    def gradient(self, theta: Tensor) -> FloatArray:
        """Return the derivative of log w by scaled θ, (n, p)."""
        parts = []
        for rows, x in event_chunks(self.inputs, _CHUNK_ROWS):
            point = theta if len(theta) == 1 else theta[rows]
            point = point.expand(len(x), -1).clone().requires_grad_()
            (slope,) = torch.autograd.grad(self._function(x, point).sum(), point)
            parts.append(slope.cpu().numpy().astype(np.float64))
        return np.concatenate(parts)

    def couplings(self, parameters: ParameterScaling) -> Couplings | None:
        """Return the network's couplings with their covariance; None where none is known.

        Parameters
        ----------
        parameters : ParameterScaling
            The scale of θ.
        """
        return None


class _BoundFunctions(BoundNetwork):
    """A network that first computes functions of the events alone, which serve any θ."""

    def _inputs_of(self, x: EventTensors) -> EventTensors:
        return event_functions(self.module, x)

    @property
    def _function(self) -> Any:
        return self.module.from_functions


class _BoundSeparable(_BoundFunctions):
    """A network whose log w is linear in functions of the events, and exactly 0 at θ₀."""

    def __init__(self, module: nn.Module, x: EventTensors, theta_nominal: Tensor | None) -> None:
        super().__init__(module, x, None)

    @torch.no_grad()
    def log_weights(self, theta: Tensor) -> Tensor:
        """Return log w, (n,), at scaled θ of shape (1, p) or (n, p)."""
        coefficients = self.module.event_coefficients(theta)
        values: Tensor = (
            self.inputs @ coefficients[0]
            if len(theta) == 1
            else (self.inputs * coefficients).sum(dim=1)
        )
        return values

    def gradient(self, theta: Tensor) -> FloatArray:
        """Return the derivative of log w by scaled θ, (n, p)."""
        if len(theta) > 1:
            return super().gradient(theta)
        slope = torch.autograd.functional.jacobian(self.module.event_coefficients, theta)
        values: FloatArray = (self.inputs @ slope[0, :, 0]).cpu().numpy()
        return values

    def couplings(self, parameters: ParameterScaling) -> Couplings | None:
        """Return the couplings with their covariance; None before a refit."""
        covariance, columns = self.module.coupling_covariance, self.module.coupled_columns
        if covariance is None or columns is None:
            return None
        coupled_functions = self.inputs[:, : len(covariance) // len(columns)]
        coupling_covariance = covariance.cpu().numpy().astype(np.float64)
        return Couplings(self.module, parameters, coupled_functions, columns, coupling_covariance)


def bind_network(module: nn.Module, x: EventTensors, theta_nominal: Tensor | None) -> BoundNetwork:
    """Bind events to a trained network by the subclass of `BoundNetwork` that suits it.

    Parameters
    ----------
    module, x, theta_nominal
        As for `BoundNetwork`.

    Returns
    -------
    BoundNetwork
    """
    if isinstance(module, SeparableNetwork):
        return _BoundSeparable(module, x, theta_nominal)
    if getattr(module, "has_event_functions", False):
        return _BoundFunctions(module, x, theta_nominal)
    return BoundNetwork(module, x, theta_nominal)
