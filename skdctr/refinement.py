"""Maximum-likelihood refit of a separable network's couplings, with needless terms switched off.

Gradient descent leaves a network near its optimum, at a distance that shows as a bias of the
weights, and every coupling that the truth does not need fits noise. With B(x) and A(θ) held fixed
the likelihood is log-concave in the couplings C, so that Newton's method solves it to the end, and
the evidence for each coupling (automatic relevance determination) tells which ones to keep.

The likelihood is that of the choice: for each event, which of several values of θ made it? Many
values in place of one halve the error of the weights. It also judges trained networks, with far
less noise than the two classes' cross-entropy.

References
----------
D. J. C. MacKay, Neural Computation 4, 415 (1992).
M. E. Tipping, J. Mach. Learn. Res. 1, 211 (2001).
D. McFadden, in Frontiers in Econometrics (1974), 105.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._batches import signs
from ._prediction import event_functions, predict_logits
from ._set_tensors import EventTensors, join_events
from .networks import SeparableNetwork

__all__ = ["ChoiceSample", "choice_losses", "refit_couplings"]

# Events that share their competing values of θ, and the number of these. Each value serves once
# where both classes are of one size: as often as an event stands for it, so that the
# distribution of θ adds no noise.
_GROUP = 32
_SHARED = 16
_SIGNED_REPEATS = 4
_CHUNK_GROUPS = 512
_NEWTON_STEPS = 12
_RELEVANCE_STEPS = 300
# Penalties tried one after another, in units of each coupling's curvature.
_RIDGES = (1e-5, 1e-3, 1e-2)
# The curvature is that of a part of the events: so many for each coupling.
_CURVATURE_EVENTS = 250
# Log-likelihood units; the statistical error moves the log-likelihood by 1/2.
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class ChoiceSample:
    """Events, and the θ that made them.

    Attributes
    ----------
    varied : Tensor of shape (n1, f) or PackedTensors
        The varied events, with `varied_theta` of shape (n1, p) and `varied_weight`.
    reference : Tensor of shape (n0, f) or PackedTensors
        The nominal events, with `reference_weight`. May be empty: then the varied
        values of θ compete with each other alone.
    prior_logit : float
        Logarithm of the ratio of total weights, varied over nominal; infinite without the latter.
    """

    varied: EventTensors
    varied_theta: Tensor
    varied_weight: Tensor
    reference: EventTensors
    reference_weight: Tensor
    prior_logit: float


@dataclass(frozen=True)
class _Groups:
    """Events in groups of m, each with its own value of θ and k that its group shares.

    Attributes
    ----------
    x : Tensor or PackedTensors
        The events, varied ones first.
    rows : Tensor of shape (g, m)
        Which of them.
    weight : Tensor of shape (g, m)
        Zero where the last group is padded.
    varied : Tensor of bool of shape (g, m)
        Whether the event's own θ made it; otherwise θ₀ did.
    own, shared : Tensor of shape (g, m) and (g, k)
        Rows of the varied values of θ.
    prior : float
        Log-odds of one value of θ against θ₀.
    """

    x: EventTensors
    rows: Tensor
    weight: Tensor
    varied: Tensor
    own: Tensor
    shared: Tensor
    prior: float

    @classmethod
    def draw(cls, sample: ChoiceSample, seed: int) -> _Groups:
        """Mix the classes, and draw the values of θ by weight."""
        device = sample.varied.device
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        n1, n0 = len(sample.varied), len(sample.reference)
        sign = signs(sample.varied_weight)
        k = _SHARED
        reference_weight = sample.reference_weight
        events = torch.arange(n1 + n0, device=device)
        if sign is not None:
            # The product of many signs has too large a variance: one value of θ competes at a
            # time, and nominal events stand in several times.
            k, n0 = 0, n0 * _SIGNED_REPEATS
            events = torch.cat([events, events[n1:].repeat(_SIGNED_REPEATS - 1)])
            reference_weight = reference_weight.repeat(_SIGNED_REPEATS) / _SIGNED_REPEATS
        order = torch.randperm(n1 + n0, generator=generator, device=device)
        own = torch.cat(
            [
                torch.arange(n1, device=device),
                _resample(sample.varied_weight, n0, generator),
            ]
        )
        weight = torch.cat([sample.varied_weight, reference_weight])
        if sign is not None:
            weight[n1:] *= sign[own[n1:]]
        n_groups = math.ceil((n1 + n0) / _GROUP)
        padding = n_groups * _GROUP - len(order)

        def group(values: Tensor) -> Tensor:
            padded = torch.cat([values[order], values.new_zeros(padding, *values.shape[1:])])
            return padded.unflatten(0, (n_groups, _GROUP))

        return cls(
            x=join_events([sample.varied, sample.reference]),
            rows=group(events),
            weight=group(weight),
            # The padding counts as varied, which has a probability with and without θ₀.
            varied=~group(torch.arange(n1 + n0, device=device) >= n1),
            own=group(own),
            shared=_resample(sample.varied_weight, n_groups * k, generator).unflatten(
                0, (n_groups, k)
            ),
            prior=sample.prior_logit - math.log(1 + k),
        )

    def chunks(self, n_groups: int | None = None) -> Iterator[slice]:
        """Go through the first groups in pieces that stay in the processor's cache."""
        stop = len(self.rows) if n_groups is None else min(n_groups, len(self.rows))
        for start in range(0, stop, _CHUNK_GROUPS):
            yield slice(start, min(start + _CHUNK_GROUPS, stop))

    def log_probabilities(self, own: Tensor, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare the log-ratios of the values of θ.

        Parameters
        ----------
        own, shared : Tensor of shape (g, m) and (g, m, k)
            log w at each event's own θ and at those that its group shares.

        Returns
        -------
        own, shared : Tensor
            Log-probability of each value of θ.
        nominal : Tensor of shape (g, m)
            That of θ₀.
        """
        every = torch.cat([own[..., None], shared], dim=2)
        if math.isinf(self.prior):
            total = every.logsumexp(dim=2)
            nominal = torch.full_like(own, -torch.inf)
        else:
            every = every + self.prior
            total = torch.nn.functional.pad(every, (1, 0)).logsumexp(dim=2)
            nominal = -total
        every = every - total[..., None]
        return every[..., 0], every[..., 1:], nominal


def _resample(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw n rows by the size of their weight, each as often as expected or once more or less."""
    if n == 0:
        return torch.zeros(0, dtype=torch.long, device=weight.device)
    cumulative = weight.abs().double().cumsum(0)
    offset = torch.rand(1, generator=generator, device=weight.device, dtype=torch.float64)
    place = (torch.arange(n, device=weight.device, dtype=torch.float64) + offset) / n
    rows = torch.searchsorted(cumulative, place * cumulative[-1]).clamp_max(len(weight) - 1)
    return rows[torch.randperm(n, generator=generator, device=weight.device)]


@torch.no_grad()
def choice_losses(
    log_ratio: Callable[[Any, Tensor], Tensor], sample: ChoiceSample, *, seed: int = 0
) -> Tensor:
    """Compute minus the log-probability of the θ that made each event, among others.

    Parameters
    ----------
    log_ratio : callable
        Maps n events and θ (n, p) to log w, (n,). Without nominal events any function of x alone
        may be added.
    sample : ChoiceSample
        Events to judge by.
    seed : int
        Seed of the values of θ.

    Returns
    -------
    Tensor of shape (n,)
        In double precision, times the weights; events in the order of the drawing.
    """
    groups = _Groups.draw(sample, seed)
    theta = sample.varied_theta
    seen: EventTensors = groups.x
    if getattr(log_ratio, "has_event_functions", False):
        # Once for all values of θ.
        network: Any = log_ratio
        seen, log_ratio = event_functions(network, seen), network.from_functions
    losses = []
    for rows in groups.chunks():
        shape = groups.rows[rows].shape
        x = seen[groups.rows[rows].flatten()]
        own = predict_logits(log_ratio, x, theta[groups.own[rows].flatten()]).reshape(shape)
        shared = groups.shared[rows]
        columns = [
            predict_logits(
                log_ratio, x, theta[shared[:, k]].repeat_interleave(shape[1], dim=0)
            ).reshape(shape)
            for k in range(shared.shape[1])
        ]
        others = torch.stack(columns, dim=2) if columns else own[..., None][..., :0]
        at_own, _, at_nominal = groups.log_probabilities(own, others)
        chosen = torch.where(groups.varied[rows], at_own, at_nominal)
        weight = groups.weight[rows]
        losses.append((-chosen * weight)[weight != 0].double())
    return torch.cat(losses)


class _Likelihood:
    """The weighted log-likelihood of the choices as a function of the flattened couplings."""

    @torch.no_grad()
    def __init__(self, network: SeparableNetwork, sample: ChoiceSample, seed: int) -> None:
        self.shape = network.coupling.shape
        self.groups = groups = _Groups.draw(sample, seed)
        size = _GROUP * _CHUNK_GROUPS
        self.pool = torch.cat(
            [network.parameter_functions(chunk) for chunk in sample.varied_theta.split(size)]
        )
        self.events = event_functions(network, groups.x)[groups.rows]
        weight = torch.cat([sample.varied_weight, sample.reference_weight]).double()
        # Weighted events carry less information than their number; evidence must know.
        self.scale = float(weight.sum() / (weight * weight).sum())

    def _probabilities(self, rows: slice, coupling: Tensor) -> tuple[Tensor, ...]:
        groups = self.groups
        functions = self.events[rows] @ coupling
        own, shared = self.pool[groups.own[rows]], self.pool[groups.shared[rows]]
        log_own, log_shared, log_nominal = groups.log_probabilities(
            (functions * own).sum(dim=2), functions @ shared.transpose(1, 2)
        )
        chosen = torch.where(groups.varied[rows], log_own, log_nominal)
        return own, shared, log_own.exp(), log_shared.exp(), chosen

    @torch.no_grad()
    def __call__(self, beta: Tensor) -> tuple[float, Tensor]:
        """Return the log-likelihood and its gradient."""
        value = 0.0
        gradient = torch.zeros(self.shape, dtype=torch.float64, device=beta.device)
        coupling = beta.float().reshape(self.shape)
        for rows in self.groups.chunks():
            own, shared, p_own, p_shared, chosen = self._probabilities(rows, coupling)
            weight = self.groups.weight[rows] * self.scale
            value += float((weight * chosen).double().sum())
            excess = self.groups.varied[rows].float() - p_own
            residual = excess[..., None] * own - p_shared @ shared
            weighted = self.events[rows] * weight[..., None]
            gradient += (weighted.flatten(0, 1).T @ residual.flatten(0, 1)).double()
        return value, gradient.flatten()

    @torch.no_grad()
    def curvature(self, beta: Tensor) -> Tensor:
        """Return minus the Hessian, from a part of the events where they are many."""
        (n_x, n_theta), n_groups = self.shape, len(self.groups.rows)
        part = math.ceil(_CURVATURE_EVENTS * len(beta) / _GROUP)
        total = torch.zeros(n_x * n_x, n_theta * n_theta, dtype=torch.float64, device=beta.device)
        coupling = beta.float().reshape(self.shape)
        for rows in self.groups.chunks(part):
            own, shared, p_own, p_shared, _ = self._probabilities(rows, coupling)
            mean = p_own[..., None] * own + p_shared @ shared
            square = p_shared @ _outer(shared) + p_own[..., None] * _outer(own)
            weight = (self.groups.weight[rows] * self.scale)[..., None]
            functions = _outer(self.events[rows]) * weight
            total += (functions.flatten(0, 1).T @ (square - _outer(mean)).flatten(0, 1)).double()
        if part < n_groups:
            weights = self.groups.weight.double()
            total *= float(weights.sum() / weights[:part].sum())
        return (
            total.reshape(n_x, n_x, n_theta, n_theta)
            .permute(0, 2, 1, 3)
            .reshape(len(beta), len(beta))
        )


def _outer(values: Tensor) -> Tensor:
    return (values[..., :, None] * values[..., None, :]).flatten(-2)


def _newton(
    likelihood: _Likelihood, beta: Tensor, penalty: Tensor | None = None, *, ridge: float = 0.0
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Maximise the penalised likelihood; None where it is not concave or does not rise."""
    value, gradient = likelihood(beta)
    curvature = likelihood.curvature(beta)
    if penalty is None:
        penalty = ridge * _scales(curvature)
    for _ in range(_NEWTON_STEPS):
        factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag(penalty))
        if failed:
            return None
        slope = gradient - penalty * beta
        step = torch.cholesky_solve(slope[:, None], factor).squeeze(1)
        expected = float(slope @ step)
        objective = value - 0.5 * float((penalty * beta * beta).sum())
        for _halving in range(6):
            trial = beta + step
            trial_value, trial_gradient = likelihood(trial)
            risen = trial_value - 0.5 * float((penalty * trial * trial).sum())
            if risen >= objective - _TOLERANCE:
                break
            step = step / 2
        else:
            return None
        beta, value, gradient = trial, trial_value, trial_gradient
        if expected < _TOLERANCE:
            break
        curvature = likelihood.curvature(beta)
    return beta, curvature, penalty


def _scales(curvature: Tensor) -> Tensor:
    """Return the curvature along each coupling; of what does not vary only rounding is left."""
    diagonal = curvature.diagonal()
    return diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)


def _positive_part(curvature: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(curvature)
    return curvature if float(values[0]) >= 0 else (vectors * values.clamp_min(0.0)) @ vectors.T


def _relevance(curvature: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
    """Find the precision of each coupling's prior that maximises the evidence.

    MacKay's fixed point on the quadratic model of the log-likelihood,
    ``-βᵀ curvature β / 2 + projectionᵀ β``; returns the precisions and the most probable β.
    """
    unit = _scales(curvature).sqrt()
    scaled = curvature / unit[:, None] / unit[None, :]
    target = projection / unit
    precision = torch.full_like(unit, 1e-2)
    most_probable = torch.zeros_like(unit)
    for _ in range(_RELEVANCE_STEPS):
        covariance = torch.linalg.inv(scaled + torch.diag(precision))
        most_probable = covariance @ target
        determined = (1 - precision * covariance.diagonal()).clamp_min(0.0)
        precision = (determined / most_probable.square().clamp_min(1e-30)).clamp(1e-8, 1e10)
    return precision * unit * unit, most_probable / unit


def refit_couplings(
    network: SeparableNetwork, sample: ChoiceSample, *, seed: int = 0
) -> Tensor | None:
    """Return the most probable couplings of a trained network, or None where there are none.

    Parameters
    ----------
    network : SeparableNetwork
        Trained network; it is left as it is.
    sample : ChoiceSample
        Events of both classes.
    seed : int
        Seed of the values of θ that compete.

    Returns
    -------
    Tensor of the shape of `network.coupling`, or None
        None where the likelihood is not concave (too few events, or too many negative weights)
        or Newton's method does not raise it.
    """
    likelihood = _Likelihood(network, sample, seed)
    start = network.coupling.detach().double().flatten()
    # Signed events may leave directions without curvature, that a larger ridge takes care of.
    for share in _RIDGES:
        solved = _newton(likelihood, start, ridge=share)
        if solved is not None:
            break
    else:
        return None
    beta, curvature, ridge = solved
    curvature = _positive_part(curvature)
    precision, beta = _relevance(curvature, curvature @ beta + ridge * beta)
    solved = _newton(likelihood, beta, precision)
    if solved is None:
        return None
    refitted = solved[0]
    if not torch.isfinite(refitted).all():
        return None
    return refitted.float().reshape(network.coupling.shape)
