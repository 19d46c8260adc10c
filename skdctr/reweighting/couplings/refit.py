"""Refit of a separable network's couplings, with a prior that the events themselves set.

Gradient descent leaves a network near its optimum, at a distance that shows as a bias of the
weights. With B(x) and A(θ) held fixed the likelihood is log-concave in the couplings C, so that
Newton's method finds its maximum.

A few combinations of B(x) carry what θ changes. Polynomials of high degree in θ matter less than
those of low degree, but how much less differs from case to case. So C has a matrix-normal prior,
with any covariance between rows and a variance for each degree in each parameter. The evidence sets
both, and they are widened. Thereby couplings that the events do not need are kept small together;
none is switched off by itself, which would leave a bias for each. The posterior covariance says how
well the weights are known.

The likelihood is that of a choice: which of several values of θ made each event? Many values in
place of one halve the error of the weights. The likelihood also judges trained networks, with far
less noise than the cross-entropy of two classes.

Where the functions of x are the right ones already, priors that look at each by itself do better.
Of the two results that one is taken which Akaike's criterion expects to predict better. Whether the
learned functions of x are of use cannot be learned from the events that they were trained on.

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
from skdctr.reweighting.couplings.choice_likelihood import ChoiceLikelihood
from skdctr.reweighting.couplings.priors import (
    evidence_prior,
    inverse,
    posterior,
    rowwise_prior,
    scales,
)
from skdctr.reweighting.couplings.theta_choices import ChoiceSample

__all__ = ["GaussianPrior", "Refit", "refit_again", "refit_couplings"]

# Largest number of Newton steps, and of times that one is halved until the likelihood rises.
_NEWTON_STEPS, _HALVINGS = 12, 6
# Precisions of the prior of the first fit, in units of each coupling's curvature. They are tried
# one after the other until the fit succeeds.
_RIDGES = (1e-5, 1e-3, 1e-2)
# The curvature is that of a part of the events, as it costs most of the time. So many events for
# each coupling are enough to climb, and so many to know the errors.
_CLIMB_EVENTS, _CURVATURE_EVENTS = 100, 400
# Rises of the log-likelihood that are not worth another step, in the result and in the fits that
# set the prior. The statistical error moves the log-likelihood by 1/2.
_TOLERANCE, _ROUGH_TOLERANCE = 0.05, 1.0
# Fall of the log-likelihood that counts as rounding.
_ROUNDING = 0.01
# Curvatures that are summed in single precision may be short of positive by such a share.
_SINGLE = 1e-5
# Number of events in the first fit, where there are more.
_ROUGH_EVENTS = 300_000
# Polynomials of this degree describe the learned functions of θ, which are then left out.
_ENOUGH_DEGREES = 6
# Number of values of θ at which polynomials are fitted to the learned functions of θ.
_EXPRESSED_ROWS = 20_000


@dataclass(frozen=True)
class Refit:
    """Most probable couplings, and how well the events know them.

    Attributes
    ----------
    coupling : Tensor of shape (b, a)
        Couplings that take the place of the network's.
    columns : Tensor of int of shape (k,)
        Columns whose first rows were fitted; all other couplings are zero.
    covariance : Tensor of shape (n·k, n·k)
        Posterior covariance of the fitted couplings: of the n first rows in these columns,
        flattened.
    n_functions : int
        Number n of functions of x that take part, which are the first ones.
    prior : GaussianPrior
        Prior of the fitted couplings.
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
        Precision of each coupling.
    rotation : Tensor of shape (b, b), or None
        The basis, which is orthonormal and came from the events as well; None is the network's own.
    """

    precision: Tensor
    rotation: Tensor | None = None


@dataclass(frozen=True)
class _Point:
    """Flattened couplings, with the log-likelihood and its gradient there.

    Attributes
    ----------
    beta : Tensor of shape (k,)
        Couplings β.
    value : float
        Log-likelihood.
    gradient : Tensor of shape (k,)
        Its gradient.
    needs_all : bool
        Whether all events are needed for the curvature, as a part of them lacks some of it.
    """

    beta: Tensor
    value: float
    gradient: Tensor
    needs_all: bool = False


def _newton(
    likelihood: ChoiceLikelihood,
    beta: Tensor,
    precision: Tensor | None = None,
    *,
    ridge: float = 0.0,
    tolerance: float,
) -> _Point | None:
    """Maximise the likelihood times a prior.

    Parameters
    ----------
    likelihood : ChoiceLikelihood
        Likelihood of k couplings.
    beta : Tensor of shape (k,)
        Couplings to start from.
    precision : Tensor of shape (k,), optional
        Precision of each coupling's prior.
    ridge : float
        Precision in units of each coupling's curvature, where `precision` is not given.
    tolerance : float
        Rise of the log-likelihood that is not worth another step.

    Returns
    -------
    _Point or None
        The most probable couplings. None where the likelihood is not concave, does not rise or is
        not finite.
    """
    value, gradient = likelihood(beta)
    sample = likelihood.part(_CLIMB_EVENTS * len(beta))
    curvature = sample.curvature(beta)
    if precision is None:
        precision = ridge * scales(curvature)
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
        for _halving in range(_HALVINGS):
            trial = beta + step
            value, gradient = likelihood(trial)
            if value - 0.5 * float((precision * trial * trial).sum()) >= objective - _ROUNDING:
                break
            step = step / 2
        else:
            if sample is likelihood:
                return None
            # What only few events have may be without curvature in a part of them.
            sample, before, needs_all = likelihood, math.inf, True
            curvature, (value, gradient) = sample.curvature(beta), likelihood(beta)
            continue
        beta = trial
        if expected < tolerance:
            break
        # An old curvature will do as long as every step is much shorter than the one before.
        if expected > before / 10 and sample is not likelihood:
            sample = likelihood.part(_CURVATURE_EVENTS * len(beta))
        if expected > min(len(beta), before / 10):
            curvature = sample.curvature(beta)
        before = expected
    if not torch.isfinite(beta).all():
        return None
    return _Point(beta, value, gradient, needs_all)


def _positive_part(curvature: Tensor) -> Tensor:
    """Return a symmetric matrix without the part that belongs to negative eigenvalues."""
    values, vectors = torch.linalg.eigh(curvature)
    return curvature if float(values[0]) >= 0 else (vectors * values.clamp_min(0.0)) @ vectors.T


def refit_couplings(
    network: SeparableNetwork, sample: ChoiceSample, *, seed: int = 0, learned: bool = True
) -> list[Refit]:
    """Find the most probable couplings of a trained network, with and without learned b(x).

    The learned functions of x have seen the events: where the monomials suffice, the noise that
    they have learned counts as evidence for them. Other events have to choose. Without them, the
    couplings that they would take are spent on more polynomials of θ.

    Parameters
    ----------
    network : SeparableNetwork
        Trained network; it is left as it is.
    sample : ChoiceSample
        Events of both classes.
    seed : int
        Seed of the drawing of the values of θ that compete.
    learned : bool, default=True
        Whether learned functions of x may take part, where there are monomials.

    Returns
    -------
    list of Refit
        Two refits, or one for a network without monomials or learned functions of x. A refit is
        missing where its likelihood is not concave, as with too few events or too many negative
        weights, or where Newton's method does not raise it.
    """
    likelihood = ChoiceLikelihood(network, sample, seed)
    degrees = _degrees(network)
    sizes = [(len(network.coupling), len(network.parameter_terms))]
    if network.feature_terms and network.rank:
        sizes.append((1 + len(network.feature_terms), len(network.polynomials)))
        sizes = sizes if learned else sizes[1:]
    refits = []
    for n, n_polynomials in sizes:
        columns, start = _columns(network, sample.varied_theta, n_polynomials)
        fit = _fit(likelihood.restricted(n, columns), start[:n], degrees[:, columns])
        if fit is not None:
            refits.append(_whole_refit(network, n, columns, fit))
    return refits


def refit_again(
    network: SeparableNetwork, refit: Refit, sample: ChoiceSample, *, seed: int = 0
) -> Refit | None:
    """Find the most probable couplings of more events, with the prior that some of them set.

    Parameters
    ----------
    network : SeparableNetwork
        Trained network; it is left as it is.
    refit : Refit
        Refit to some of the events.
    sample : ChoiceSample
        Events of both classes.
    seed : int
        Seed of the drawing of the values of θ that compete.

    Returns
    -------
    Refit or None
        The refit; None where Newton's method does not raise the likelihood.
    """
    n, columns, prior = refit.n_functions, refit.columns, refit.prior
    start = refit.coupling[:n, columns].double()
    if prior.rotation is not None:
        start = prior.rotation.T @ start
    likelihood = ChoiceLikelihood(network, sample, seed).restricted(n, columns)
    solved = _solve(likelihood, start.flatten(), prior)
    return None if solved is None else _whole_refit(network, n, columns, solved[0])


def _whole_refit(network: SeparableNetwork, n: int, columns: Tensor, fit: _Fit) -> Refit:
    """Put the fitted couplings in their places among all couplings of the network."""
    coupling = torch.zeros_like(network.coupling)
    coupling[:n, columns] = fit.beta.reshape(n, -1).float()
    return Refit(coupling, columns, fit.covariance.float(), n, fit.prior)


def _fit(raw: ChoiceLikelihood, coupling: Tensor, degrees: Tensor) -> _Fit | None:
    """Fit couplings with each prior, and return the fit that Akaike's criterion prefers.

    Parameters
    ----------
    raw : ChoiceLikelihood
        Likelihood of b·a couplings, in the network's own basis.
    coupling : Tensor of shape (b, a)
        Couplings that training has found.
    degrees : Tensor of int of shape (p, a)
        Degree of each function of θ in each parameter.
    """
    # The rough optimum of a part of the events is near enough for a quadratic model of all.
    rough, start = raw.part(_ROUGH_EVENTS), coupling.flatten()
    # Signed events may leave directions without curvature, for which a larger ridge is needed.
    for ridge in _RIDGES:
        found = _newton(rough, start, ridge=ridge, tolerance=_ROUGH_TOLERANCE)
        if found is not None:
            break
    else:
        return None
    model = _quadratic_model(raw, _Point(found.beta, *raw(found.beta), found.needs_all))
    if not float(model.curvature.diagonal().max()) > 0:
        # Signed events without nominal ones have nothing to be compared with.
        return None
    tried = (_joint_fit(raw, degrees, model), _rowwise_fit(raw, degrees, model))
    fits = [fit for fit in tried if fit is not None]
    return max(fits, key=lambda fit: fit.criterion, default=None)


@dataclass(frozen=True)
class _Fit:
    """Most probable couplings with a prior.

    Attributes
    ----------
    beta : Tensor of shape (k,)
        Couplings, in the network's own basis.
    covariance : Tensor of shape (k, k)
        Their posterior covariance.
    criterion : float
        Akaike's criterion in units of the log-likelihood, of which more is better.
    prior : GaussianPrior
        The prior.
    """

    beta: Tensor
    covariance: Tensor
    criterion: float
    prior: GaussianPrior


def _solve(
    raw: ChoiceLikelihood, start: Tensor, prior: GaussianPrior, *, tolerance: float = _TOLERANCE
) -> tuple[_Fit, _Model] | None:
    """Fit couplings with a given prior.

    Parameters
    ----------
    raw : ChoiceLikelihood
        Likelihood of k couplings, in the network's own basis.
    start : Tensor of shape (k,)
        Couplings to start from, in the prior's basis.
    prior : GaussianPrior
        The prior.
    tolerance : float
        Rise of the log-likelihood that is not worth another step.

    Returns
    -------
    fit : _Fit
        The fit.
    model : _Model
        The likelihood about it, in the prior's basis.

    None is returned in place of both where the likelihood has no maximum.
    """
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
    # The number of couplings that the events determine is what the criterion charges.
    n_effective = float((model.curvature * covariance).sum())
    if rotation is not None:
        identity = torch.eye(raw.shape[1], dtype=beta.dtype, device=beta.device)
        back = torch.kron(rotation, identity)
        beta, covariance = back @ beta, back @ covariance @ back.T
    return _Fit(beta, covariance, model.value - n_effective, prior), model


def _joint_fit(raw: ChoiceLikelihood, degrees: Tensor, model: _Model) -> _Fit | None:
    """Fit couplings with the matrix-normal prior, which is set twice: roughly, and from its fit."""
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


def _rowwise_fit(raw: ChoiceLikelihood, degrees: Tensor, model: _Model) -> _Fit | None:
    """Fit couplings with a prior of its own for each function of x."""
    precision, start = rowwise_prior(model.curvature, model.projection, raw.shape[0], degrees)
    solved = _solve(raw, start, GaussianPrior(precision))
    return None if solved is None else solved[0]


def _columns(network: SeparableNetwork, theta: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Choose the functions of θ that take part in a refit, and couplings to start from.

    Learned functions take part if the polynomials do not reach the degree `_ENOUGH_DEGREES`.
    Otherwise the polynomials take over their couplings.

    Parameters
    ----------
    network : SeparableNetwork
        Trained network.
    theta : Tensor of shape (m, p)
        Values of θ at which polynomials are fitted to learned functions.
    n : int
        The first so many polynomials take part.

    Returns
    -------
    columns : Tensor of int of shape (k,)
        The functions of θ that take part.
    start : Tensor of shape (b, k)
        Their couplings.
    """
    coupling = network.coupling.double()
    number = torch.arange(coupling.shape[1], device=coupling.device)
    learned = number >= len(network.polynomials)
    used = number < n
    if max(map(len, network.polynomials[:n]), default=0) < _ENOUGH_DEGREES:
        used |= learned
        return number[used], coupling[:, used]
    # They are taken evenly through the events, whose θ may be in order.
    some = theta[:: max(1, len(theta) // _EXPRESSED_ROWS)]
    with torch.no_grad():
        functions = network.parameter_functions(some).double()
    moments = functions.T @ functions
    ridge = torch.diag(1e-9 * scales(moments)[used])
    expressed = torch.linalg.solve(moments[used][:, used] + ridge, moments[used][:, learned])
    return number[used], coupling[:, used] + coupling[:, learned] @ expressed.T


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
    """Quadratic model of the log-likelihood, ``-βᵀ curvature β / 2 + projectionᵀ β``.

    Attributes
    ----------
    value : float
        Log-likelihood at the couplings about which it was made.
    curvature, projection : Tensor of shape (k, k) and (k,)
        The two parts of the model, up to a constant.
    """

    value: float
    curvature: Tensor
    projection: Tensor


def _quadratic_model(likelihood: ChoiceLikelihood, point: _Point) -> _Model:
    """Expand the log-likelihood about a point, without directions of negative curvature."""
    n_events = math.inf if point.needs_all else _CURVATURE_EVENTS * len(point.beta)
    sample = likelihood.part(n_events)
    curvature = _positive_part(sample.curvature(point.beta))
    return _Model(point.value, curvature, curvature @ point.beta + point.gradient)
