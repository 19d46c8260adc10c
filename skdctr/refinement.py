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

import torch
from torch import Tensor

from ._choices import CHUNK_GROUPS, GROUP, ChoiceSample, Groups, choice_losses
from ._prediction import event_functions
from .networks import SeparableNetwork

__all__ = ["ChoiceSample", "choice_losses", "refit_couplings"]

_NEWTON_STEPS = 12
_RELEVANCE_STEPS = 300
# Penalties tried one after another, in units of each coupling's curvature.
_RIDGES = (1e-5, 1e-3, 1e-2)
# The curvature is that of a part of the events: so many for each coupling.
_CURVATURE_EVENTS = 250
# Log-likelihood units; the statistical error moves the log-likelihood by 1/2.
_TOLERANCE = 1e-2


class _Likelihood:
    """The weighted log-likelihood of the choices as a function of the flattened couplings."""

    @torch.no_grad()
    def __init__(self, network: SeparableNetwork, sample: ChoiceSample, seed: int) -> None:
        self.shape = network.coupling.shape
        self.groups = groups = Groups.draw(sample, seed)
        size = GROUP * CHUNK_GROUPS
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
        part = math.ceil(_CURVATURE_EVENTS * len(beta) / GROUP)
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
