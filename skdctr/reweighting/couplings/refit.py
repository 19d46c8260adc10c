"""Refit of a separable network's couplings, with a prior that the events themselves set.

Gradient descent leaves a network near its optimum, at a distance that shows as a bias of the
weights. With B(x) and A(θ) held fixed the likelihood is log-concave in the couplings C, so that
Newton's method solves it to the end.

A few combinations of B(x) carry what θ changes, and polynomials of high degree in θ matter less
than those of low degree, but how much less differs. So C has a matrix-normal prior: any covariance
between rows, and a variance for each degree in each parameter. The evidence sets both, and they are
widened. Couplings that the events do not need are thereby kept small together; none is switched off
by itself, which would leave a bias for each. The posterior covariance says how well the weights are
known.

The likelihood is that of the choice: for each event, which of several values of θ made it? Many
values in place of one halve the error of the weights. It also judges trained networks, with far
less noise than the two classes' cross-entropy.

Where the functions of x are the right ones already, priors that look at each by itself do better.
Of the two results the one is taken that Akaike's criterion expects to predict better. Whether the
learned functions of x are of use is not to be learned from the events that they were trained on.

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

from skdctr.networks import SeparableNetwork
from skdctr.reweighting.couplings.choices import ChoiceSample
from skdctr.reweighting.couplings.likelihood import ChoiceLikelihood
from skdctr.reweighting.couplings.priors import (
    evidence_prior,
    inverse,
    posterior,
    rowwise_prior,
    scales,
)

__all__ = ["GaussianPrior", "Refit", "refit_again", "refit_couplings"]

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
# What is learned of θ is expressed by polynomials at so many values.
_EXPRESSED_ROWS = 20_000


@dataclass(frozen=True)
class Refit:
    """Most probable couplings, and how well the events know them.

    Attributes
    ----------
    coupling : Tensor of shape (b, a)
        In place of the network's.
    columns : Tensor of int of shape (k,)
        Those that were fitted, in the first rows; all else is zero.
    covariance : Tensor of shape (n·k, n·k)
        Posterior covariance of what was fitted, n first rows and these columns, flattened.
    n_functions : int
        n, the functions of x that take part.
    prior : GaussianPrior
        Of what was fitted.
    """

    coupling: Tensor
    columns: Tensor
    covariance: Tensor
    n_functions: int
    prior: GaussianPrior


@dataclass(frozen=True)
class GaussianPrior:
    """A prior of k = b·a couplings, diagonal in a basis of the functions of x.

    Attributes
    ----------
    precision : Tensor of shape (k,)
        Of each coupling.
    rotation : Tensor of shape (b, b), or None
        The basis, orthonormal, which came from the events as well; None is the network's own.
    """

    precision: Tensor
    rotation: Tensor | None = None


@dataclass(frozen=True)
class _Point:
    """Flattened couplings, with the log-likelihood and its gradient there.

    `needs_all` says that a part of the events has not their curvature.
    """

    beta: Tensor
    value: float
    gradient: Tensor
    needs_all: bool = False


def _newton(
    likelihood: ChoiceLikelihood, beta: Tensor, penalty: Tensor | float, *, tolerance: float
) -> _Point | None:
    """Maximise the penalised likelihood.

    Parameters
    ----------
    likelihood : ChoiceLikelihood
        Of k couplings.
    beta : Tensor of shape (k,)
        First couplings.
    penalty : Tensor of shape (k,) or float
        Precision of each coupling's prior, or one for all in units of the curvature.
    tolerance : float
        Rise of the log-likelihood that is not worth another step.

    Returns
    -------
    _Point or None
        The most probable couplings; None where the likelihood is not concave, does not rise or is
        not finite.
    """
    value, gradient = likelihood(beta)
    sample = likelihood.part(_CLIMB_EVENTS * len(beta))
    curvature = sample.curvature(beta)
    precision = penalty if isinstance(penalty, Tensor) else penalty * scales(curvature)
    before, needs_all = math.inf, False
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
            if sample is likelihood:
                return None
            # What few events have may have no curvature in a part of them.
            sample, before, needs_all = likelihood, math.inf, True
            curvature, (value, gradient) = sample.curvature(beta), likelihood(beta)
            continue
        beta = trial
        if expected < tolerance:
            break
        # An old curvature serves while the steps become short.
        if expected > before / 10 and sample is not likelihood:
            sample = likelihood.part(_CURVATURE_EVENTS * len(beta))
        if expected > min(len(beta), before / 10):
            curvature = sample.curvature(beta)
        before = expected
    if not torch.isfinite(beta).all():
        return None
    return _Point(beta, value, gradient, needs_all)


def _positive_part(curvature: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(curvature)
    return curvature if float(values[0]) >= 0 else (vectors * values.clamp_min(0.0)) @ vectors.T


def refit_couplings(
    network: SeparableNetwork, sample: ChoiceSample, *, seed: int = 0
) -> list[Refit]:
    """Return the most probable couplings of a trained network, and those without learned b(x).

    Learned functions of x have seen the events: where the monomials suffice, what they have of
    noise counts as evidence for them. Other events have to choose. The couplings that they would
    take are spent on more polynomials of θ.

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
    list of Refit
        Without such for which the likelihood is not concave (too few events, or too many negative
        weights) or Newton's method does not raise it. Of a network without monomials there is one.
    """
    likelihood = ChoiceLikelihood(network, sample, seed)
    degrees = _degrees(network)
    choices = [(len(network.coupling), len(network.parameter_terms))]
    if network.feature_terms and network.rank:
        choices.append((1 + len(network.feature_terms), len(network.polynomials)))
    refits = []
    for n, n_polynomials in choices:
        columns, start = _columns(network, sample.varied_theta, n_polynomials)
        fit = _fit(likelihood.of(n, columns), start[:n], degrees[:, columns])
        if fit is not None:
            refits.append(_refit(network, n, columns, fit))
    return refits


def refit_again(
    network: SeparableNetwork, refit: Refit, sample: ChoiceSample, *, seed: int = 0
) -> Refit | None:
    """Return the most probable couplings of more events, with the prior that some of them set.

    Parameters
    ----------
    network : SeparableNetwork
        It is left as it is.
    refit : Refit
        Of some of the events.
    sample : ChoiceSample
        Events of both classes.
    seed : int
        Seed of the values of θ that compete.

    Returns
    -------
    Refit or None
        None where Newton's method does not raise the likelihood.
    """
    n, columns, prior = refit.n_functions, refit.columns, refit.prior
    start = refit.coupling[:n, columns].double()
    if prior.rotation is not None:
        start = prior.rotation.T @ start
    likelihood = ChoiceLikelihood(network, sample, seed).of(n, columns)
    solved = _solve(likelihood, start.flatten(), prior)
    return None if solved is None else _refit(network, n, columns, solved[0])


def _refit(network: SeparableNetwork, n: int, columns: Tensor, fit: _Fit) -> Refit:
    """Put what was fitted in its place among all couplings."""
    coupling = torch.zeros_like(network.coupling)
    coupling[:n, columns] = fit.beta.reshape(n, -1).float()
    return Refit(coupling, columns, fit.covariance.float(), n, fit.prior)


def _fit(raw: ChoiceLikelihood, coupling: Tensor, degrees: Tensor) -> _Fit | None:
    """Fit couplings by each prior, from those that training has found, and choose."""
    # The rough optimum of a part of the events is near enough for the quadratic model of all.
    rough, start = raw.part(_ROUGH_EVENTS), coupling.flatten()
    # Signed events may leave directions without curvature, that a larger ridge takes care of.
    for share in _RIDGES:
        found = _newton(rough, start, share, tolerance=_ROUGH_TOLERANCE)
        if found is not None:
            break
    else:
        return None
    model = _quadratic_model(raw, _Point(found.beta, *raw(found.beta), found.needs_all))
    if not float(model.curvature.diagonal().max()) > 0:
        # Signed events without nominal ones have nothing to be compared with.
        return None
    every = (_joint(raw, degrees, model), _rowwise(raw, degrees, model))
    fits = [fit for fit in every if fit is not None]
    return max(fits, key=lambda fit: fit.criterion, default=None)


@dataclass(frozen=True)
class _Fit:
    """Couplings, their posterior covariance, and Akaike's criterion (the higher the better)."""

    beta: Tensor
    covariance: Tensor
    criterion: float
    prior: GaussianPrior


def _solve(
    raw: ChoiceLikelihood, start: Tensor, prior: GaussianPrior, *, tolerance: float = _TOLERANCE
) -> tuple[_Fit, _Model] | None:
    """Fit with a given prior, from couplings in its basis; the model stays in that basis."""
    rotation = prior.rotation
    likelihood = raw if rotation is None else raw.rotated(rotation)
    found = _newton(likelihood, start, prior.precision, tolerance=tolerance)
    if found is None:
        return None
    beta, model = found.beta, _quadratic_model(likelihood, found)
    if rotation is None:
        covariance = inverse(model.curvature + torch.diag(prior.precision))
    else:
        covariance = posterior(model.curvature, prior.precision, beta.reshape(raw.shape))
    # The couplings that the events determine.
    n_effective = float((model.curvature * covariance).sum())
    if rotation is not None:
        of_theta = torch.eye(raw.shape[1], dtype=beta.dtype, device=beta.device)
        back = torch.kron(rotation, of_theta)
        beta, covariance = back @ beta, back @ covariance @ back.T
    return _Fit(beta, covariance, model.value - n_effective, prior), model


def _joint(raw: ChoiceLikelihood, degrees: Tensor, model: _Model) -> _Fit | None:
    """Fit with the matrix-normal prior."""
    n_x = raw.shape[0]
    rotation = torch.eye(n_x, dtype=torch.float64, device=model.curvature.device)
    for tolerance in (_ROUGH_TOLERANCE, _TOLERANCE):
        turn, precision, start = evidence_prior(model.curvature, model.projection, n_x, degrees)
        rotation = rotation @ turn
        prior = GaussianPrior(precision, rotation)
        solved = _solve(raw, start, prior, tolerance=tolerance)
        if solved is None:
            return None
        fit, model = solved
    return fit


def _rowwise(raw: ChoiceLikelihood, degrees: Tensor, model: _Model) -> _Fit | None:
    """Fit with a prior for each function of x."""
    precision, start = rowwise_prior(model.curvature, model.projection, raw.shape[0], degrees)
    solved = _solve(raw, start, GaussianPrior(precision))
    return None if solved is None else solved[0]


def _columns(network: SeparableNetwork, theta: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Choose functions of θ, the first n polynomials among them, and couplings to start from.

    What is learned of θ is one where there are not polynomials enough. Otherwise they express it.
    """
    coupling = network.coupling.double()
    every = torch.arange(coupling.shape[1], device=coupling.device)
    learned = every >= len(network.polynomials)
    used = every < n
    if max(map(len, network.polynomials[:n]), default=0) < _ENOUGH_DEGREES:
        used |= learned
        return every[used], coupling[:, used]
    # Evenly through the events, whose θ may be in order.
    some = theta[:: max(1, len(theta) // _EXPRESSED_ROWS)]
    with torch.no_grad():
        functions = network.parameter_functions(some).double()
    moments = functions.T @ functions
    ridge = torch.diag(1e-9 * scales(moments)[used])
    expressed = torch.linalg.solve(moments[used][:, used] + ridge, moments[used][:, learned])
    return every[used], coupling[:, used] + coupling[:, learned] @ expressed.T


def _degrees(network: SeparableNetwork) -> Tensor:
    """Return the degree of each function of θ in each parameter, (p + 1, a).

    Learned functions have a variance of their own, as if they were another parameter's.
    """
    terms = network.polynomials
    n_parameters = network.theta_nominal.shape[1]
    degrees = torch.zeros(n_parameters + 1, network.coupling.shape[1], dtype=torch.long)
    for column, term in enumerate(terms):
        for parameter in term:
            degrees[parameter, column] += 1
    degrees[-1, len(terms) :] = 1
    return degrees.to(network.coupling.device)


@dataclass(frozen=True)
class _Model:
    """The log-likelihood, `value` at β, as ``-βᵀ curvature β / 2 + projectionᵀ β``."""

    value: float
    curvature: Tensor
    projection: Tensor


def _quadratic_model(likelihood: ChoiceLikelihood, point: _Point) -> _Model:
    n_events = math.inf if point.needs_all else _CURVATURE_EVENTS * len(point.beta)
    sample = likelihood.part(n_events)
    curvature = _positive_part(sample.curvature(point.beta))
    return _Model(point.value, curvature, curvature @ point.beta + point.gradient)
