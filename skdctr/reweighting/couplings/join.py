"""Separable networks that have the functions of x of another network beside their own."""

from __future__ import annotations

import copy

import torch
from scipy.linalg import qr
from torch import Tensor, nn

from skdctr.networks.separable import SeparableNetwork

__all__ = ["join_networks"]

# Numbers of values of θ to choose from, of events to judge them by, and of values that are chosen.
_CANDIDATES, _EVENTS, _MOST_CHOSEN = 64, 4_000, 8
# A log-ratio is added if more than this is left of it, relative to the largest one, once the others
# are subtracted as well as they can describe it.
_LEAST_REMAINDER = 1e-3


class _LogRatiosAt(nn.Module):
    """Functions of x that are the log-ratios of a network at fixed θ.

    Parameters
    ----------
    network : nn.Module
        Maps n events and θ (n, p) to logits, (n,).
    theta : Tensor of shape (k, p)
        Values of θ.
    theta_nominal : Tensor of shape (1, p)
        Nominal θ₀, where the ratio is 1.
    """

    def __init__(self, network: nn.Module, theta: Tensor, theta_nominal: Tensor) -> None:
        super().__init__()
        self.network = network
        self.theta: Tensor
        self.register_buffer("theta", torch.cat([theta_nominal, theta]))
        self.inverse_scale: Tensor
        self.register_buffer("inverse_scale", theta.new_ones(len(theta)))

    def forward(self, x: Tensor) -> Tensor:
        """Map n events to their log-ratios, scaled to a spread of 1: (n, f) to (n, k)."""
        n, k = len(x), len(self.theta)
        logits = self.network(x.repeat_interleave(k, dim=0), self.theta.repeat(n, 1)).view(n, k)
        return (logits[:, 1:] - logits[:, :1]) * self.inverse_scale


class _JoinedOutputs(nn.Module):
    """Module that has the outputs of two modules side by side."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        """Map n events to all functions, (n, k)."""
        return torch.cat([self.first(x), self.second(x)], dim=1)


@torch.no_grad()
def join_networks(
    separable: SeparableNetwork, other: nn.Module, x: Tensor, theta: Tensor
) -> SeparableNetwork:
    """Add the log-ratios that another network has at a few θ to the functions of x.

    The log-ratios at these few θ describe those at all others best, so that a refit of the
    couplings finds what either network has learned. Before it the added functions have no coupling.

    Parameters
    ----------
    separable : SeparableNetwork
        Trained network; it is left as it is.
    other : nn.Module
        Network trained on the same inputs, which need not be separable.
    x : Tensor of shape (n, f)
        Events.
    theta : Tensor of shape (m, p)
        Values of θ to choose from, which cover the range of interest.

    Returns
    -------
    SeparableNetwork
        A new network.

    References
    ----------
    The choice is that of the pivots of a QR decomposition with column pivoting; P. Businger and
    G. Golub, Numer. Math. 7, 269 (1965).
    """
    x = x[:: max(1, len(x) // _EVENTS)]
    theta = theta[:: max(1, len(theta) // _CANDIDATES)]
    nominal = separable.theta_nominal
    logits = _LogRatiosAt(other, theta, nominal)(x)
    _, triangle, order = qr(logits.double().cpu().numpy(), mode="economic", pivoting=True)
    remainder = abs(triangle.diagonal())
    n_needed = int((remainder > _LEAST_REMAINDER * remainder[0]).sum())
    n = max(1, min(_MOST_CHOSEN, n_needed))
    chosen = torch.as_tensor(order[:n].copy(), device=theta.device)
    added = _LogRatiosAt(copy.deepcopy(other), theta[chosen], nominal)
    added.inverse_scale.copy_(1 / logits[:, chosen].std(dim=0).clamp_min(1e-6))
    joined = copy.deepcopy(separable)
    joined.b = _JoinedOutputs(joined.b, added)
    joined.coupling = torch.nn.functional.pad(separable.coupling, (0, 0, 0, n))
    joined.coupled_columns = joined.coupling_covariance = None
    return joined
