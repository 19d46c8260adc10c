"""The couplings of a separable network, as far as the generator events know them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skdctr._utils.typing import FloatArray
from skdctr.networks import SeparableNetwork
from skdctr.parameters.scaling import ParameterScaling
from skdctr.training.prediction import to_tensor

__all__ = ["Couplings"]


@dataclass(frozen=True)
class Couplings:
    """The couplings C of a separable network, log w = B(x) C A(θ), and how well they are known.

    Attributes
    ----------
    module : SeparableNetwork
        The network, refitted.
    parameters : ParameterScaling
        The scale of θ.
    event_functions : Tensor of shape (n, b)
        The B(x) whose couplings were fitted, of the events that the weights are bound to.
    columns : Tensor of int of shape (a,)
        The A(θ) whose couplings were fitted.
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
