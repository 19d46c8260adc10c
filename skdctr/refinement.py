"""Refit of a separable network's couplings, with a prior that the events themselves set.

Gradient descent leaves a network near its optimum, at a distance that shows as a bias of the
weights. With B(x) and A(θ) held fixed the likelihood is log-concave in the couplings C, so that
Newton's method solves it to the end.

A few combinations of B(x) carry what θ changes, and polynomials of high degree in θ matter less
than those of low degree, but how much less differs. So C has a matrix-normal prior: any covariance
between rows, and a variance for each degree in each parameter. The evidence sets both. Couplings
that the events do not need are thereby kept small together; none is switched off by itself, which
would leave a bias for each. The posterior covariance says how well the weights are known.

The likelihood is that of the choice: for each event, which of several values of θ made it? Many
values in place of one halve the error of the weights. It also judges trained networks, with far
less noise than the two classes' cross-entropy.

Where the functions of x are the right ones already, priors that look at each by itself do better.
Of the two results the one is taken that Akaike's criterion expects to predict better.

References
----------
H. Akaike, IEEE Trans. Autom. Control 19, 716 (1974), for the criterion.
D. McFadden, in Frontiers in Econometrics (1974), 105, for the choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._choices import CHUNK_GROUPS, GROUP, ChoiceSample, Groups, choice_losses
from ._coupling_priors import evidence_prior, posterior, rowwise_prior, scales
from ._prediction import event_functions
from .networks import SeparableNetwork

__all__ = ["ChoiceSample", "Refit", "choice_losses", "refit_couplings"]

_NEWTON_STEPS = 12
# Penalties tried one after another, in units of each coupling's curvature.
_RIDGES = (1e-5, 1e-3, 1e-2)
# The curvature is that of a part of the events: so many for each coupling, to climb and to judge.
_CLIMB_EVENTS, _CURVATURE_EVENTS = 100, 400
# Log-likelihood units, for the result and for what the prior is set from; the statistical error
# moves the log-likelihood by 1/2.
_TOLERANCE, _ROUGH_TOLERANCE = 0.05, 1.0
_ROUNDING = 0.01
# Curvatures summed in single precision may be so much short of positive.
_SINGLE = 1e-5
# The first fit is one of so many events.
_ROUGH_EVENTS = 300_000
# Polynomials of this degree leave nothing to learned functions of θ, which are nearly the same.
_ENOUGH_DEGREES = 6


@dataclass(frozen=True)
class Refit:
    """Most probable couplings, and how well the events know them.

    Attributes
    ----------
    coupling : Tensor of shape (b, a)
        In place of the network's.
    covariance : Tensor of shape (b·a, b·a)
        Posterior covariance of the flattened couplings.
    """

    coupling: Tensor
    covariance: Tensor


class _Likelihood:
    """The weighted log-likelihood of the choices as a function of the flattened couplings.

    Parameters
    ----------
    groups : Groups
        The choices.
    events : Tensor of shape (g, m, b)
        B(x) of each event.
    pool : Tensor of shape (n, a)
        A(θ) − A(θ₀) of the varied values of θ.
    scale : float
        Information of an event for a unit of weight.
    """

    def __init__(self, groups: Groups, events: Tensor, pool: Tensor, scale: float) -> None:
        self.groups, self.events, self.pool, self.scale = groups, events, pool, scale
        self.shape = (events.shape[-1], pool.shape[-1])

    @classmethod
    @torch.no_grad()
    def of_network(cls, network: SeparableNetwork, sample: ChoiceSample, seed: int) -> _Likelihood:
        """Draw the choices, and evaluate the functions of x and θ, which stay as they are."""
        groups = Groups.draw(sample, seed)
        size = GROUP * CHUNK_GROUPS
        pool = [network.parameter_functions(chunk) for chunk in sample.varied_theta.split(size)]
        weight = torch.cat([sample.varied_weight, sample.reference_weight]).double()
        return cls(
            groups,
            event_functions(network, groups.x)[groups.rows],
            torch.cat(pool),
            # Weighted events carry less information than their number; evidence must know.
            float(weight.sum() / (weight * weight).sum()),
        )

    def rotated(self, rotation: Tensor) -> _Likelihood:
        """Return the same for functions B(x)·rotation."""
        return _Likelihood(self.groups, self.events @ rotation.float(), self.pool, self.scale)

    def part(self, n_events: int) -> _Likelihood:
        """Return the likelihood of the first groups, raised to that of all."""
        n_groups = math.ceil(n_events / GROUP)
        if n_groups >= len(self.groups.rows):
            return self
        weight = self.groups.weight.double()
        scale = self.scale * float(weight.sum() / weight[:n_groups].sum())
        groups = self.groups.first(n_groups)
        return _Likelihood(groups, self.events[:n_groups], self.pool, scale)

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
        coupling = beta.float().reshape(self.shape)
        gradient = torch.zeros_like(coupling, dtype=torch.float64)
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
        """Return minus the Hessian."""
        coupling = beta.float().reshape(self.shape)
        n_x, n_theta = self.shape
        table = beta.new_zeros(n_x, n_theta, n_x, n_theta)
        for rows in self.groups.chunks():
            own, shared, p_own, p_shared, _ = self._probabilities(rows, coupling)
            events = self.events[rows]
            weight = self.groups.weight[rows] * self.scale
            mean = p_own[..., None] * own + p_shared @ shared
            for first in range(n_x):
                for second in range(first, n_x):
                    share = events[..., first] * events[..., second] * weight
                    block = _moments(own, share * p_own) - _moments(mean, share)
                    # The events of a group share these values of θ.
                    block += _moments(shared, (share[:, None] @ p_shared).squeeze(1))
                    table[first, :, second] += block
        for first in range(n_x):
            for second in range(first):
                table[first, :, second] = table[second, :, first]
        return table.reshape(len(beta), len(beta))


def _moments(values: Tensor, weight: Tensor) -> Tensor:
    """Sum products of each two of the last index, weighted."""
    flat = values.flatten(0, 1)
    return (flat.T @ (flat * weight.reshape(-1, 1))).double()


def _newton(
    likelihood: _Likelihood, beta: Tensor, penalty: Tensor | float, *, tolerance: float
) -> Tensor | None:
    """Maximise the penalised likelihood; None where it is not concave or does not rise.

    Parameters
    ----------
    likelihood : _Likelihood
        Of k couplings.
    beta : Tensor of shape (k,)
        First couplings.
    penalty : Tensor of shape (k,) or float
        Precision of each coupling's prior, or one for all in units of the curvature.
    tolerance : float
        Rise of the log-likelihood that is not worth another step.

    Returns
    -------
    Tensor of shape (k,), or None
        Most probable couplings.
    """
    value, gradient = likelihood(beta)
    sample = likelihood.part(_CLIMB_EVENTS * len(beta))
    curvature = sample.curvature(beta)
    precision = penalty if isinstance(penalty, Tensor) else penalty * scales(curvature)
    before = math.inf
    for _ in range(_NEWTON_STEPS):
        steady = precision + _SINGLE * scales(curvature)
        factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag(steady))
        if failed:
            return None
        slope = gradient - precision * beta
        step = torch.cholesky_solve(slope[:, None], factor).squeeze(1)
        expected = float(slope @ step)
        objective = value - 0.5 * float((precision * beta * beta).sum())
        for _halving in range(6):
            trial = beta + step
            value, gradient = likelihood(trial)
            if value - 0.5 * float((precision * trial * trial).sum()) >= objective - _ROUNDING:
                break
            step = step / 2
        else:
            return None
        beta = trial
        if expected < tolerance:
            break
        # An old curvature serves while the steps become short.
        if expected > before / 10:
            sample = likelihood.part(_CURVATURE_EVENTS * len(beta))
        if expected > min(len(beta), before / 10):
            curvature = sample.curvature(beta)
        before = expected
    return beta


def _positive_part(curvature: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(curvature)
    return curvature if float(values[0]) >= 0 else (vectors * values.clamp_min(0.0)) @ vectors.T


def refit_couplings(
    network: SeparableNetwork, sample: ChoiceSample, *, seed: int = 0
) -> Refit | None:
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
    Refit or None
        None where the likelihood is not concave (too few events, or too many negative weights)
        or Newton's method does not raise it.
    """
    raw, coupling, degrees = _likelihood(network, sample, seed)
    # The rough optimum of a part of the events is near enough for the quadratic model of all.
    rough, start = raw.part(_ROUGH_EVENTS), coupling.flatten()
    # Signed events may leave directions without curvature, that a larger ridge takes care of.
    for share in _RIDGES:
        beta = _newton(rough, start, share, tolerance=_ROUGH_TOLERANCE)
        if beta is not None:
            break
    else:
        return None
    model = _quadratic_model(raw, beta)
    fits = [
        fit
        for fit in (_joint(raw, degrees, *model), _rowwise(raw, degrees, *model))
        if fit is not None
    ]
    if not fits:
        return None
    best = max(fits, key=lambda fit: raw(fit.beta)[0] - fit.n_effective)
    refitted = torch.zeros_like(network.coupling)
    refitted[:, : raw.shape[1]] = best.beta.reshape(raw.shape)
    return Refit(refitted, best.covariance.float())


@dataclass(frozen=True)
class _Fit:
    """Couplings, their posterior covariance, and how many of them the events determine."""

    beta: Tensor
    covariance: Tensor
    n_effective: float


def _joint(raw: _Likelihood, degrees: Tensor, curvature: Tensor, projection: Tensor) -> _Fit | None:
    """Fit with the matrix-normal prior."""
    rotation = torch.eye(raw.shape[0], dtype=torch.float64, device=curvature.device)
    for tolerance in (_ROUGH_TOLERANCE, _TOLERANCE):
        prior = evidence_prior(curvature, projection, raw.shape[0], degrees)
        rotation = rotation @ prior.rotation
        likelihood = raw.rotated(rotation)
        found = _newton(likelihood, prior.most_probable, prior.precision, tolerance=tolerance)
        if found is None or not torch.isfinite(found).all():
            return None
        beta = found
        curvature, projection = _quadratic_model(likelihood, beta)
    covariance = posterior(curvature, prior.precision, beta.reshape(raw.shape))
    back = torch.kron(rotation, torch.eye(raw.shape[1], dtype=torch.float64, device=beta.device))
    n_effective = float((curvature * covariance).sum())
    return _Fit(back @ beta, back @ covariance @ back.T, n_effective)


def _rowwise(
    raw: _Likelihood, degrees: Tensor, curvature: Tensor, projection: Tensor
) -> _Fit | None:
    """Fit with a prior for each function of x."""
    precision, beta = rowwise_prior(curvature, projection, raw.shape[0], degrees)
    found = _newton(raw, beta, precision, tolerance=_TOLERANCE)
    if found is None or not torch.isfinite(found).all():
        return None
    curvature, _ = _quadratic_model(raw, found)
    covariance = torch.linalg.inv(curvature + torch.diag(precision))
    return _Fit(found, covariance, float((curvature * covariance).sum()))


def _likelihood(
    network: SeparableNetwork, sample: ChoiceSample, seed: int
) -> tuple[_Likelihood, Tensor, Tensor]:
    """Return the likelihood, couplings to start from, and degrees of the functions of θ.

    Where there are polynomials enough, what is learned of θ is expressed by them.
    """
    likelihood = _Likelihood.of_network(network, sample, seed)
    coupling = network.coupling.double()
    terms = network.parameter_terms
    n, highest = len(terms), max(map(len, terms), default=0)
    n_learned = coupling.shape[1] - n
    if highest >= _ENOUGH_DEGREES:
        pool = likelihood.pool[:_ROUGH_EVENTS].double()
        moments = pool.T @ pool
        ridge = torch.diag(1e-9 * scales(moments)[:n])
        expressed = torch.linalg.solve(moments[:n, :n] + ridge, moments[:n, n:])
        coupling = coupling[:, :n] + coupling[:, n:] @ expressed.T
        likelihood = _Likelihood(
            likelihood.groups, likelihood.events, likelihood.pool[:, :n], likelihood.scale
        )
        n_learned = 0
    n_parameters = network.theta_nominal.shape[1]
    degrees = torch.zeros(n_parameters + 1, n + n_learned, dtype=torch.long)
    for column, term in enumerate(terms):
        for parameter in term:
            degrees[parameter, column] += 1
    # Learned functions have a variance of their own, as if they were another parameter's.
    degrees[-1, n:] = 1
    return likelihood, coupling, degrees.to(coupling.device)


def _quadratic_model(likelihood: _Likelihood, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Return the curvature and projection of ``-βᵀ curvature β / 2 + projectionᵀ β``."""
    sample = likelihood.part(_CURVATURE_EVENTS * len(beta))
    curvature = _positive_part(sample.curvature(beta))
    return curvature, curvature @ beta + likelihood(beta)[1]
