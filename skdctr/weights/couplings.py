"""The couplings of a separable network, as far as the generator events determine them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skdctr._utils.torch_state import default_torch
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
        Values that the functions B whose couplings were fitted have for the bound events.
    columns : Tensor of int of shape (a,)
        Numbers of the functions A whose couplings were fitted.
    covariance : ndarray of shape (b·a, b·a)
        Posterior covariance of the flattened couplings.
    """

    module: SeparableNetwork
    parameters: ParameterScaling
    event_functions: Tensor
    columns: Tensor
    covariance: FloatArray

    @default_torch()
    @torch.no_grad()
    def parameter_functions(self, theta: FloatArray) -> FloatArray:
        """Evaluate the coupled functions A, (m, a), at unscaled θ of shape (m, p)."""
        device = self.event_functions.device
        values = self.module.parameter_functions(to_tensor(self.parameters(theta), device))
        functions: FloatArray = values[:, self.columns].cpu().numpy().astype(np.float64)
        return functions
