"""The likelihood of choices as a function of the couplings of a separable network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from skdctr.events.tensors import EventTensors
from skdctr.networks import SeparableNetwork
from skdctr.reweighting.couplings.theta_choices import GROUP, ChoiceSample, Groups
from skdctr.training.prediction import predict_logits

__all__ = ["ChoiceLikelihood"]

# Tables of functions of more bytes than this, and of more than what they are functions of, are not
# kept but computed again.
_HELD_BYTES = 1 << 26
# Groups whose products of functions are computed at once, on a processor (as many as its cache
# holds) and on a GPU.
_PAIRED_GROUPS = {False: 16, True: 256}


class _FunctionTable:
    """Functions of rows, kept where they take little memory and otherwise computed when needed.

    Parameters
    ----------
    compute : callable
        Maps n rows to functions, (n, k).
    given : Tensor or PackedTensors of length n
        The rows that they are functions of.
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


@dataclass(frozen=True)
class _Choices:
    """Groups of events, and how probable each competing value of θ is for them.

    Attributes
    ----------
    events : Tensor of shape (g, m, b)
        B(x) of the events.
    weight : Tensor of shape (g, m)
        Weights of the events.
    own : Tensor of shape (g, m, a)
        A of each event's own θ.
    shared : Tensor of shape (g, k, a)
        A of the θ that the events of a group share.
    p_own, p_shared : Tensor of shape (g, m) and (g, m, k)
        Probabilities of these values of θ.
    shared_mean : Tensor of shape (g, m, a)
        Sum of A of the shared θ, times their probabilities.
    log_chosen : Tensor of shape (g, m)
        Log-probability of the θ that made the event.
    """

    events: Tensor
    weight: Tensor
    own: Tensor
    shared: Tensor
    p_own: Tensor
    p_shared: Tensor
    shared_mean: Tensor
    log_chosen: Tensor

    @property
    def weighted_events(self) -> Tensor:
        """B(x) times the weights of the events, (g, m, b)."""
        return self.events * self.weight[..., None]

    @property
    def mean(self) -> Tensor:
        """Expectation of A over the competing values of θ, (g, m, a)."""
        return self.p_own[..., None] * self.own + self.shared_mean

    def split(self, n_groups: int) -> Iterator[_Choices]:
        """Cut into parts of so many groups, the last one smaller."""
        columns = (values.split(n_groups) for values in vars(self).values())
        for part in zip(*columns, strict=True):
            yield _Choices(*part)


class ChoiceLikelihood:
    """The weighted log-likelihood of the choices as a function of the flattened couplings.

    Parameters
    ----------
    network : SeparableNetwork
        Trained network, whose functions of x and θ stay as they are.
    sample : ChoiceSample
        The events.
    seed : int
        Seed of the drawing of the values of θ that compete.

    Attributes
    ----------
    scale : float
        Information that an event carries for a unit of its weight.
    shape : tuple of int
        Numbers of functions of x and of θ, (b, a).
    """

    @torch.no_grad()
    def __init__(self, network: SeparableNetwork, sample: ChoiceSample, seed: int) -> None:
        self._groups = Groups.draw(sample, seed)
        self._network, self._theta = network, sample.varied_theta
        self._events = _FunctionTable(network.event_functions, self._groups.x)
        self._pool = _FunctionTable(network.parameter_functions, self._theta)
        # Weighted events carry less information than their number, which the evidence must know.
        weights = (sample.varied_weight, sample.reference_weight)
        total = sum(float(weight.sum(dtype=torch.float64)) for weight in weights)
        squares = sum(float(weight.square().sum(dtype=torch.float64)) for weight in weights)
        self.scale = total / (squares * sample.inflation)
        self._rotation: Tensor | None = None
        self.shape = (self._events.width, self._pool.width)

    def rotated(self, rotation: Tensor) -> ChoiceLikelihood:
        """Return the likelihood of the couplings in another basis of the functions of x.

        Parameters
        ----------
        rotation : Tensor of shape (b, b)
            The functions B(x)·rotation take the place of B(x).
        """
        other = copy.copy(self)
        other._rotation = rotation
        return other

    @torch.no_grad()
    def restricted(self, n_functions: int, columns: Tensor) -> ChoiceLikelihood:
        """Return the likelihood of the couplings of some functions alone.

        Parameters
        ----------
        n_functions : int
            The first so many functions of x are coupled.
        columns : Tensor of int of shape (k,)
            Which functions of θ are coupled.
        """
        other, network = copy.copy(self), self._network
        learned = int(columns.max()) >= len(network.polynomials)
        other._pool = _FunctionTable(
            lambda theta: network.parameter_functions(theta, learned=learned)[:, columns],
            self._theta,
        )
        other.shape = (n_functions, len(columns))
        return other

    def part(self, n_events: float) -> ChoiceLikelihood:
        """Return the likelihood of a part of the events, raised to that of all.

        Parameters
        ----------
        n_events : float
            Least number of events in the part, which is made of the first groups.
        """
        if n_events > GROUP * (len(self._groups.rows) - 1):
            return self
        n_groups = math.ceil(n_events / GROUP)
        other = copy.copy(self)
        other._groups = self._groups.first(n_groups)
        other.scale *= self._groups.total_weight / other._groups.total_weight
        return other

    def _choices(self, rows: slice, coupling: Tensor) -> _Choices:
        """Compare the competing values of θ, for some groups of events."""
        groups = self._groups
        events = self._events(groups.rows[rows])[..., : self.shape[0]]
        own, shared = self._pool(groups.own[rows]), self._pool(groups.shared[rows])
        functions = events @ coupling
        log_own, log_shared, log_nominal = groups.log_probabilities(
            (functions * own).sum(dim=2), functions @ shared.transpose(1, 2)
        )
        p_shared = log_shared.exp()
        return _Choices(
            events=events,
            weight=groups.weights(rows) * self.scale,
            own=own,
            shared=shared,
            p_own=log_own.exp(),
            p_shared=p_shared,
            shared_mean=p_shared @ shared,
            log_chosen=torch.where(groups.varied[rows], log_own, log_nominal),
        )

    def _coupling(self, beta: Tensor) -> Tensor:
        """Return flattened couplings as a table for the network's own functions of x."""
        table = beta.reshape(self.shape)
        return (table if self._rotation is None else self._rotation @ table).float()

    @torch.no_grad()
    def __call__(self, beta: Tensor) -> tuple[float, Tensor]:
        """Compute the log-likelihood and its gradient at couplings β, both for β of shape (k,)."""
        value = 0.0
        coupling = self._coupling(beta)
        gradient = torch.zeros_like(coupling, dtype=torch.float64)
        for rows in self._groups.chunks():
            choices = self._choices(rows, coupling)
            value += float((choices.weight * choices.log_chosen).double().sum())
            excess = self._groups.varied[rows].float() - choices.p_own
            residual = excess[..., None] * choices.own - choices.shared_mean
            weighted = choices.weighted_events
            gradient += (weighted.flatten(0, 1).T @ residual.flatten(0, 1)).double()
        if self._rotation is not None:
            gradient = self._rotation.T @ gradient
        return value, gradient.flatten()

    @torch.no_grad()
    def curvature(self, beta: Tensor) -> Tensor:
        """Compute minus the Hessian of the log-likelihood, (k, k), at couplings β, (k,)."""
        coupling = self._coupling(beta)
        n_x, n_theta = self.shape
        # The Hessian is symmetric in the functions of x, and in those of θ.
        i, j = torch.triu_indices(n_x, n_x, device=beta.device)
        k, m = torch.triu_indices(n_theta, n_theta, device=beta.device)
        pairs = beta.new_zeros(len(i), len(k))
        for rows in self._groups.chunks():
            for choices in self._choices(rows, coupling).split(_PAIRED_GROUPS[beta.is_cuda]):
                pairs += _paired_sum(choices).double()
        blocks = beta.new_zeros(len(i), n_theta, n_theta)
        blocks[:, k, m] = blocks[:, m, k] = pairs
        table = beta.new_zeros(n_x, n_theta, n_x, n_theta)
        table[i, :, j] = table[j, :, i] = blocks
        if self._rotation is not None:
            turn = self._rotation
            table = torch.einsum("ik,iajb,jl->kalb", turn, table, turn)
        return table.reshape(len(beta), len(beta))


def _products(first: Tensor, second: Tensor) -> Tensor:
    """Multiply each row of one with the same row, and those behind it, of another.

    Parameters
    ----------
    first, second : Tensor of shape (k, n)
        The rows.

    Returns
    -------
    Tensor of shape (k (k + 1)/2, n)
    """
    return torch.cat([row * second[number:] for number, row in enumerate(first)])


def _paired_sum(choices: _Choices) -> Tensor:
    """Sum over events the products of pairs of B(x) with the covariance of pairs of A(θ).

    Parameters
    ----------
    choices : _Choices
        The events, with b functions of x and a functions of θ.

    Returns
    -------
    Tensor of shape (b (b + 1)/2, a (a + 1)/2)
    """
    # Events come last, so that every product runs along contiguous memory.
    events, weighted, own, mean, shared = (
        part.flatten(0, 1).T.contiguous()
        for part in (
            choices.events,
            choices.weighted_events,
            choices.own,
            choices.mean,
            choices.shared,
        )
    )
    covariance = _products(own * choices.p_own.flatten(), own) - _products(mean, mean)
    n_groups, n_own, n_shared = choices.p_shared.shape
    if n_shared:
        # The events of a group share these values of θ.
        squares = _products(shared, shared).unflatten(1, (n_groups, n_shared))
        expected = squares.transpose(0, 1) @ choices.p_shared.transpose(1, 2)
        covariance.unflatten(1, (n_groups, n_own)).add_(expected.transpose(0, 1))
    return _products(weighted, events) @ covariance.T
