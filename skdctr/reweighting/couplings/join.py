"""A separable network that has the functions of x of another network beside its own."""

from __future__ import annotations

import copy

import torch
from scipy.linalg import qr
from torch import Tensor, nn

from skdctr.networks.separable import SeparableNetwork

__all__ = ["join_networks"]

# Values of θ to choose from, events to judge them by, and values chosen at the most.
_CANDIDATES, _EVENTS, _MOST = 64, 4_000, 8
# What others leave of a log-ratio, relative to the largest one, from which on it is one more.
_LEFT = 1e-3


class _LogRatiosAt(nn.Module):
    """Log-ratios of a network at fixed θ, as functions of x.

    Parameters
    ----------
    network : nn.Module
        Maps n events and θ (n, p) to logits, (n,).
    theta : Tensor of shape (k, p)
        Where.
    theta_nominal : Tensor of shape (1, p)
        Where the ratio is 1.
    """

    def __init__(self, network: nn.Module, theta: Tensor, theta_nominal: Tensor) -> None:
        super().__init__()
        self.network = network
        self.theta: Tensor
        self.register_buffer("theta", torch.cat([theta_nominal, theta]))
        self.inverse_scale: Tensor
        self.register_buffer("inverse_scale", theta.new_ones(len(theta)))

    def forward(self, x: Tensor) -> Tensor:
        """Map n events to (n, k)."""
        n, k = len(x), len(self.theta)
        logits = self.network(x.repeat_interleave(k, dim=0), self.theta.repeat(n, 1)).view(n, k)
        return (logits[:, 1:] - logits[:, :1]) * self.inverse_scale


class _Both(nn.Module):
    """The outputs of two modules side by side."""

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

    The few are those from which the log-ratios at all others follow best, so that a refit of the
    couplings finds what either network has learned. Until then the others are not coupled.

    Parameters
    ----------
    separable : SeparableNetwork
        Trained.
    other : nn.Module
        Trained on the same inputs; not separable.
    x : Tensor of shape (n, f)
        Events.
    theta : Tensor of shape (m, p)
        Parameters, as far as they reach.

    Returns
    -------
    SeparableNetwork
        A new one.
    """
    x = x[:: max(1, len(x) // _EVENTS)]
    theta = theta[:: max(1, len(theta) // _CANDIDATES)]
    nominal = separable.theta_nominal
    logits = _LogRatiosAt(other, theta, nominal)(x)
    _, triangle, order = qr(logits.double().cpu().numpy(), mode="economic", pivoting=True)
    left = abs(triangle.diagonal())
    n = max(1, min(_MOST, int((left > _LEFT * left[0]).sum())))
    chosen = torch.as_tensor(order[:n].copy(), device=theta.device)
    added = _LogRatiosAt(copy.deepcopy(other), theta[chosen], nominal)
    added.inverse_scale.copy_(1 / logits[:, chosen].std(dim=0).clamp_min(1e-6))
    joined = copy.deepcopy(separable)
    joined.b = _Both(joined.b, added)
    joined.coupling = torch.nn.functional.pad(separable.coupling, (0, 0, 0, n))
    joined.coupled_columns = joined.coupling_covariance = None
    return joined
