"""A separable network that has what its hidden units know beside its learned functions of x."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._separable import SeparableNetwork

__all__ = ["with_hidden_units"]

# Events that the principal components are taken from, and components at the most and at the least.
_EVENTS, _MOST, _FEWEST = 10_000, 64, 15
# Couplings at the most, as in `dictionary_terms`, and events for each. Of fewer events the hidden
# units have learned so much noise that weights get worse by them.
_BUDGET, _EVENTS_OF_A_COUPLING = 600, 400
# Of polynomials in θ, beside what is learned of θ: so many functions of x, coupled with high
# degrees, throw weights far off at the ends of the range.
_DEGREE = 3
# Relative to the largest one, spreads of components that are rounding.
_ROUNDING = 1e-4


class _WithHiddenUnits(nn.Module):
    """Outputs of fully connected layers, and projections of all their hidden units.

    Parameters
    ----------
    layers : nn.Sequential
        Linear layers with activations in between.
    shift : Tensor of shape (u,)
        Taken from the hidden units.
    projection : Tensor of shape (u, k)
    """

    def __init__(self, layers: nn.Sequential, shift: Tensor, projection: Tensor) -> None:
        super().__init__()
        self.layers = layers
        self.shift: Tensor
        self.register_buffer("shift", shift)
        self.projection: Tensor
        self.register_buffer("projection", projection)

    def forward(self, features: Tensor) -> Tensor:
        """Map n events to (n, outputs + projections)."""
        outputs, units = _evaluate(self.layers, features)
        return torch.cat([outputs, (units - self.shift) @ self.projection], dim=1)


def _evaluate(layers: nn.Sequential, features: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the outputs of fully connected layers, and all hidden units side by side."""
    hidden, value = [features[:, :0]], features
    for layer in layers:
        value = layer(value)
        if not isinstance(layer, nn.Linear):
            hidden.append(value)
    return value, torch.cat(hidden, dim=1)


@torch.no_grad()
def with_hidden_units(network: SeparableNetwork, x: Any, n_events: int) -> SeparableNetwork | None:
    """Add principal components of the hidden units to the learned functions of x.

    The last layer of b(x) leaves of some dozens of units the few combinations that matter most. A
    refit of the couplings, which is convex, can use the others too; until then they are not
    coupled. Polynomials of high degree in θ make room for them.

    Parameters
    ----------
    network : SeparableNetwork
        Trained; its couplings are not yet fitted again. It is left as it is.
    x : Tensor or PackedTensors
        The components are those of this sample.
    n_events : int
        Events that the couplings will be fitted to.

    Returns
    -------
    SeparableNetwork or None
        A new one; None where events or parameters leave no room, or without hidden layers.
    """
    if not isinstance(network.b, nn.Sequential) or len(network.b) < 2:
        return None
    n_learned = network.coupling.shape[1] - len(network.polynomials)
    budget = min(_BUDGET, n_events // _EVENTS_OF_A_COUPLING)
    terms = tuple(term for term in network.parameter_terms if len(term) <= _DEGREE)
    room = min(budget // (len(terms) + n_learned) - len(network.coupling), _MOST)
    if room < _FEWEST:
        return None
    # Evenly through the events, which may be in order.
    some = np.linspace(0, len(x) - 1, min(len(x), _EVENTS)).astype(np.int64)
    part = x[torch.as_tensor(some, device=network.coupling.device)]
    units = _evaluate(network.b, network.encode(part))[1]
    shift = units.mean(dim=0)
    _, singular, directions = torch.linalg.svd((units - shift).double(), full_matrices=False)
    n = min(room, int((singular > _ROUNDING * singular[0]).sum()))
    spread = singular[:n] / len(units) ** 0.5
    wider = copy.deepcopy(network)
    wider.b = _WithHiddenUnits(copy.deepcopy(network.b), shift, (directions[:n].T / spread).float())
    wider.parameter_terms, wider.further_parameter_terms = terms, ()
    kept = [network.polynomials.index(term) for term in terms]
    learned = range(len(network.polynomials), network.coupling.shape[1])
    coupling = network.coupling[:, [*kept, *learned]]
    wider.coupling = nn.functional.pad(coupling, (0, 0, 0, n))
    wider.coupled_columns = wider.coupling_covariance = None
    return wider
