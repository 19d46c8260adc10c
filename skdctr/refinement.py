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

References
----------
D. J. C. MacKay, Neural Computation 4, 415 (1992), for the evidence.
A. P. Dawid, Biometrika 68, 265 (1981), for matrix-normal priors.
D. McFadden, in Frontiers in Econometrics (1974), 105, for the choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._choices import CHUNK_GROUPS, GROUP, ChoiceSample, Groups, choice_losses
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
# The first fit is one of so many events.
_ROUGH_EVENTS = 300_000
_PRIOR_STEPS = 150
# Precision of a flat prior, in units of the curvature, and the least that the variance of
# polynomials is of that one degree lower: evidence alone switches degrees off too soon.
_FLAT, _LEAST_RATIO = 1e-6, 0.03
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
    precision = penalty if isinstance(penalty, Tensor) else penalty * _scales(curvature)
    before = math.inf
    for _ in range(_NEWTON_STEPS):
        factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag(precision))
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


def _scales(curvature: Tensor) -> Tensor:
    """Return the curvature along each coupling; of what does not vary only rounding is left."""
    diagonal = curvature.diagonal()
    return diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)


def _positive_part(curvature: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(curvature)
    return curvature if float(values[0]) >= 0 else (vectors * values.clamp_min(0.0)) @ vectors.T


@dataclass(frozen=True)
class _Prior:
    """A matrix-normal prior, in the basis of functions of x in which it is diagonal.

    Attributes
    ----------
    rotation : Tensor of shape (b, b)
        The basis.
    precision : Tensor of shape (b·a,)
        Of each coupling.
    most_probable : Tensor of shape (b·a,)
        Couplings, all in that basis.
    """

    rotation: Tensor
    precision: Tensor
    most_probable: Tensor


def _evidence_prior(curvature: Tensor, projection: Tensor, n_x: int, degrees: Tensor) -> _Prior:
    """Find the prior that maximises the evidence of the quadratic model of the log-likelihood.

    The model is ``-βᵀ curvature β / 2 + projectionᵀ β``. Directions among the functions of x come
    from the expectation-maximisation update of the rows' covariance, sizes from MacKay's fixed
    point, which is much faster. The constant, the first function of x, only normalises: it has
    a flat prior.

    Parameters
    ----------
    curvature, projection : Tensor of shape (k, k) and (k,)
        Of the model.
    n_x : int
        Number of functions of x.
    degrees : Tensor of int of shape (p, k / n_x)
        Degree of each function of θ in each parameter.
    """
    n_theta = degrees.shape[1]
    shape = (n_x, n_theta)
    tiny = 1e-12 / float(curvature.diagonal().max())
    flat = _FLAT * _scales(curvature)[:n_theta]
    rotation = torch.eye(n_x, dtype=curvature.dtype, device=curvature.device)
    of_x = curvature.new_full((n_x - 1,), 1e-2)
    factors = [curvature.new_ones(int(row.max()) + 1) for row in degrees]
    of_theta = curvature.new_ones(n_theta)
    for _ in range(_PRIOR_STEPS):
        precision = torch.cat([flat, 1 / (of_x[:, None] * of_theta).flatten()])
        covariance = torch.linalg.inv(curvature + torch.diag(precision))
        table = (covariance @ projection).reshape(shape)[1:]
        # E[C T⁻¹ Cᵀ], of which the eigenvectors are the next basis.
        blocks = covariance.reshape(*shape, *shape)[1:, :, 1:].diagonal(dim1=1, dim2=3)
        rows = (table / of_theta) @ table.T + blocks @ (1 / of_theta)
        turn = torch.linalg.eigh(rows)[1].flip(1)
        every = torch.block_diag(turn.new_ones(1, 1), turn)
        rotation = rotation @ every
        curvature = _turned(_turned(curvature, every, shape).T, every, shape)
        projection = _turned(projection[:, None], every, shape).squeeze(1)
        square = (turn.T @ table).square()
        spread = torch.einsum("ik,ijt,jk->kt", turn, blocks, turn)
        # In the new basis the old sizes are those of the old prior's diagonal.
        of_x = (turn.T * of_x @ turn).diagonal()
        determined = (1 - spread / (of_x[:, None] * of_theta)).clamp(1e-9, 1.0)
        of_x = ((square / of_theta).sum(dim=1) / determined.sum(dim=1)).clamp_min(tiny)
        scaled, known = (square / of_x[:, None]).sum(dim=0), determined.sum(dim=0)
        for k, (factor, degree) in enumerate(zip(factors, degrees, strict=True)):
            own = torch.zeros_like(factor).index_add_(0, degree, scaled * factor[degree] / of_theta)
            of_degree = torch.zeros_like(factor).index_add_(0, degree, known)
            lowest = int(degree.min())
            new = (own / of_degree.clamp_min(1e-9)).clamp_min(tiny)
            new = (new / new[lowest]).clamp(1e-12, 1e12)
            for higher in range(lowest + 1, len(new)):
                new[higher] = torch.maximum(new[higher], _LEAST_RATIO * new[higher - 1])
            of_theta = of_theta * (new / factor)[degree]
            factors[k] = new
    precision = torch.cat([flat, 1 / (of_x[:, None] * of_theta).flatten()])
    beta = torch.linalg.solve(curvature + torch.diag(precision), projection)
    return _Prior(rotation, precision, beta)


def _posterior(curvature: Tensor, precision: Tensor, table: Tensor) -> Tensor:
    """Return the posterior covariance of couplings, given as a table in the prior's basis.

    The basis came from the data, too. To turn it adds multiples of the rows that matter to other
    rows; against that the prior does not count.
    """
    # What the prior holds a hundred times better than the events is known exactly.
    precision = torch.minimum(precision, 1e4 * _scales(curvature))
    covariance = torch.linalg.inv(curvature + torch.diag(precision))
    determined = (1 - precision * covariance.diagonal()).reshape(table.shape).sum(dim=1)
    leading = table[1:][determined[1:] > 1.0]
    blocks = []
    for row, of_row in enumerate(precision.reshape(table.shape)):
        free = torch.eye(table.shape[1], dtype=table.dtype, device=table.device)
        if row > 0 and len(leading) > 0:
            directions = torch.linalg.qr((leading * of_row.sqrt()).T)[0]
            free = free - directions @ directions.T
        blocks.append(of_row.sqrt()[:, None] * free * of_row.sqrt())
    return torch.linalg.inv(curvature + torch.block_diag(*blocks))


def _turned(values: Tensor, turn: Tensor, shape: tuple[int, int]) -> Tensor:
    """Express the first index, a flattened coupling, in another basis of the functions of x."""
    return torch.einsum("ik,ijc->kjc", turn, values.reshape(*shape, -1)).flatten(0, 1)


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
    rotation = torch.eye(raw.shape[0], dtype=torch.float64, device=beta.device)
    likelihood = raw
    for tolerance in (_ROUGH_TOLERANCE, _TOLERANCE):
        prior = _evidence_prior(*_quadratic_model(likelihood, beta), raw.shape[0], degrees)
        rotation = rotation @ prior.rotation
        likelihood = raw.rotated(rotation)
        beta = _newton(likelihood, prior.most_probable, prior.precision, tolerance=tolerance)
        if beta is None or not torch.isfinite(beta).all():
            return None
    curvature, _ = _quadratic_model(likelihood, beta)
    covariance = _posterior(curvature, prior.precision, beta.reshape(raw.shape))
    back = torch.kron(rotation, torch.eye(raw.shape[1], dtype=torch.float64, device=beta.device))
    refitted = torch.zeros_like(network.coupling)
    refitted[:, : raw.shape[1]] = (back @ beta).reshape(raw.shape)
    return Refit(refitted, (back @ covariance @ back.T).float())


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
        ridge = torch.diag(1e-9 * _scales(moments)[:n])
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
