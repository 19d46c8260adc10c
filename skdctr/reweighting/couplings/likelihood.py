"""The likelihood of choices as a function of the couplings of a separable network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from skdctr.events.tensors import EventTensors
from skdctr.networks import SeparableNetwork
from skdctr.reweighting.couplings.choices import GROUP, ChoiceSample, Groups
from skdctr.training.prediction import predict_logits

__all__ = ["ChoiceLikelihood"]

# Functions that take more than this, and more than what they are functions of, are not kept.
_HELD_BYTES = 1 << 26
# Groups whose products of functions are at work at once: what a cache holds, and on a GPU.
_PAIRED_GROUPS = {False: 16, True: 256}


class _Functions:
    """Functions of rows: kept where they are few, otherwise computed whenever asked for.

    Parameters
    ----------
    compute : callable
        Maps n rows to functions, (n, k).
    given : Tensor or PackedTensors of length n
        What they are functions of.
    """

    def __init__(self, compute: Callable[[Any], Tensor], given: EventTensors) -> None:
        self._compute, self._given = compute, given
        self.width = compute(given[:1]).shape[1]
        n_bytes = 4 * self.width * len(given)
        self._keeps = n_bytes <= max(_HELD_BYTES, given.nbytes)

    @cached_property
    def _kept(self) -> Tensor:
        return predict_logits(self._compute, self._given)

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the functions of rows of any shape, (..., k)."""
        if self._keeps:
            return self._kept.index_select(0, rows.flatten()).unflatten(0, rows.shape)
        if rows.numel() == 0:
            return torch.zeros(*rows.shape, self.width, device=rows.device)
        return predict_logits(self._compute, self._given[rows.flatten()]).unflatten(0, rows.shape)


class ChoiceLikelihood:
    """The weighted log-likelihood of the choices as a function of the flattened couplings.

    Parameters
    ----------
    network : SeparableNetwork
        Its functions of x and θ stay as they are.
    sample : ChoiceSample
        The events.
    seed : int
        Of the values of θ that compete.

    Attributes
    ----------
    scale : float
        Information of an event for a unit of weight.
    shape : tuple of int
        Numbers of functions of x and of θ.
    """

    @torch.no_grad()
    def __init__(self, network: SeparableNetwork, sample: ChoiceSample, seed: int) -> None:
        self._groups = Groups.draw(sample, seed)
        self._network, self._theta = network, sample.varied_theta
        self._events = _Functions(network.event_functions, self._groups.x)
        self._pool = _Functions(network.parameter_functions, self._theta)
        # Weighted events carry less information than their number; evidence must know.
        weights = (sample.varied_weight, sample.reference_weight)
        total = sum(float(weight.sum(dtype=torch.float64)) for weight in weights)
        of_squares = sum(float(weight.square().sum(dtype=torch.float64)) for weight in weights)
        self.scale = total / of_squares
        self._rotation: Tensor | None = None
        self.shape = (self._events.width, self._pool.width)

    def rotated(self, rotation: Tensor) -> ChoiceLikelihood:
        """Return the same for functions B(x)·rotation, of those that the network has."""
        other = copy.copy(self)
        other._rotation = rotation
        return other

    @torch.no_grad()
    def of(self, n: int, columns: Tensor) -> ChoiceLikelihood:
        """Return the same for the first n functions of x and some of those of θ."""
        other, network = copy.copy(self), self._network
        learned = int(columns.max()) >= len(network.polynomials)
        other._pool = _Functions(
            lambda theta: network.parameter_functions(theta, learned=learned)[:, columns],
            self._theta,
        )
        other.shape = (n, len(columns))
        return other

    def part(self, n_events: float) -> ChoiceLikelihood:
        """Return the likelihood of the first groups, raised to that of all."""
        if n_events > GROUP * (len(self._groups.rows) - 1):
            return self
        n_groups = math.ceil(n_events / GROUP)
        other = copy.copy(self)
        other._groups = self._groups.first(n_groups)
        other.scale *= self._groups.total_weight / other._groups.total_weight
        return other

    def _probabilities(self, rows: slice, coupling: Tensor) -> tuple[Tensor, ...]:
        groups = self._groups
        events = self._events(groups.rows[rows])[..., : self.shape[0]]
        own, shared = self._pool(groups.own[rows]), self._pool(groups.shared[rows])
        functions = events @ coupling
        log_own, log_shared, log_nominal = groups.log_probabilities(
            (functions * own).sum(dim=2), functions @ shared.transpose(1, 2)
        )
        chosen = torch.where(groups.varied[rows], log_own, log_nominal)
        return events, own, shared, log_own.exp(), log_shared.exp(), chosen

    def _coupling(self, beta: Tensor) -> Tensor:
        table = beta.reshape(self.shape)
        return (table if self._rotation is None else self._rotation @ table).float()

    @torch.no_grad()
    def __call__(self, beta: Tensor) -> tuple[float, Tensor]:
        """Return the log-likelihood and its gradient."""
        value = 0.0
        coupling = self._coupling(beta)
        gradient = torch.zeros_like(coupling, dtype=torch.float64)
        for rows in self._groups.chunks():
            events, own, shared, p_own, p_shared, chosen = self._probabilities(rows, coupling)
            weight = self._groups.weights(rows) * self.scale
            value += float((weight * chosen).double().sum())
            excess = self._groups.varied[rows].float() - p_own
            residual = excess[..., None] * own - p_shared @ shared
            weighted = events * weight[..., None]
            gradient += (weighted.flatten(0, 1).T @ residual.flatten(0, 1)).double()
        if self._rotation is not None:
            gradient = self._rotation.T @ gradient
        return value, gradient.flatten()

    @torch.no_grad()
    def curvature(self, beta: Tensor) -> Tensor:
        """Return minus the Hessian."""
        coupling = self._coupling(beta)
        n_x, n_theta = self.shape
        # It is symmetric in the functions of x, and in those of θ.
        i, j = torch.triu_indices(n_x, n_x, device=beta.device)
        k, m = torch.triu_indices(n_theta, n_theta, device=beta.device)
        pairs = beta.new_zeros(len(i), len(k))
        at_once = _PAIRED_GROUPS[beta.is_cuda]
        for rows in self._groups.chunks():
            events, own, shared, p_own, p_shared, _ = self._probabilities(rows, coupling)
            weight = self._groups.weights(rows) * self.scale
            mean = p_own[..., None] * own + p_shared @ shared
            parts = (events * weight[..., None], events, own, mean, shared, p_own, p_shared)
            for some in zip(*(part.split(at_once) for part in parts), strict=True):
                pairs += _paired_sum(*some).double()
        of_theta = beta.new_zeros(len(i), n_theta, n_theta)
        of_theta[:, k, m] = of_theta[:, m, k] = pairs
        table = beta.new_zeros(n_x, n_theta, n_x, n_theta)
        table[i, :, j] = table[j, :, i] = of_theta
        if self._rotation is not None:
            turn = self._rotation
            table = torch.einsum("ik,iajb,jl->kalb", turn, table, turn)
        return table.reshape(len(beta), len(beta))


def _products(first: Tensor, second: Tensor) -> Tensor:
    """Multiply rows with rows at or behind them, (k, n) to (k (k + 1)/2, n)."""
    return torch.cat([row * second[number:] for number, row in enumerate(first)])


def _paired_sum(
    weighted: Tensor,
    events: Tensor,
    own: Tensor,
    mean: Tensor,
    shared: Tensor,
    p_own: Tensor,
    p_shared: Tensor,
) -> Tensor:
    """Sum over events the products of pairs of B(x) with the covariance of pairs of A(θ).

    Parameters
    ----------
    weighted, events : Tensor of shape (g, m, b)
        B(x) of g groups, with the events' weights and without.
    own, mean : Tensor of shape (g, m, a)
        A of the events' own θ, and expected over those that compete.
    shared : Tensor of shape (g, k, a)
        A of those that a group shares.
    p_own, p_shared : Tensor of shape (g, m) and (g, m, k)
        Probabilities.

    Returns
    -------
    Tensor of shape (b (b + 1)/2, a (a + 1)/2)
    """
    # Events come last, so that every product runs along contiguous memory.
    x, xw, at_own, at_mean, at_shared = (
        part.flatten(0, 1).T.contiguous() for part in (events, weighted, own, mean, shared)
    )
    spread = _products(at_own * p_own.flatten(), at_own) - _products(at_mean, at_mean)
    n_groups, n_own, n_shared = p_shared.shape
    if n_shared:
        # The events of a group share these values of θ.
        of_shared = _products(at_shared, at_shared).unflatten(1, (n_groups, n_shared))
        expected = of_shared.transpose(0, 1) @ p_shared.transpose(1, 2)
        spread.unflatten(1, (n_groups, n_own)).add_(expected.transpose(0, 1))
    return _products(xw, x) @ spread.T
