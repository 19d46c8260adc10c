"""The optimal observable: θ from the score at reco level, with a doubly robust prediction of it.

No classifier is trained at any θ. The score s(x_S) of the reconstructed events is the locally
optimal observable; θ* is where the simulation predicts the mean that the data have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skdctr._utils.linear import pseudo_inverse
from skdctr._utils.typing import FloatArray
from skdctr.events.kinds import Events
from skdctr.metrics import effective_sample_size
from skdctr.observable.equation import LEAST_SHARE, EstimatingEquation
from skdctr.observable.generator import Correction
from skdctr.observable.problem import ObservableProblem
from skdctr.observable.regression import RegressionOptions, cross_fit
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources, sandwich
from skdctr.results.messages import Message
from skdctr.results.solution import Solution
from skdctr.training.folds import make_folds
from skdctr.weights.event_weights import EventWeights

__all__ = ["fit_observable", "reco_information"]

# Simulated events, and as many data, that the first references are found with, at most.
_COARSE_ROWS = 60_000
# Distance from the reference, in widths of the score of one event, within which the observable
# is as good as optimal: the information lost goes with its square.
_CLOSE = 0.1
# Distance, in the same units, within which a part of the events has done its work.
_FAR = 0.3
# Scale of a parameter, in its ranges, from which on the score at θ₀ counts as none.
_NO_SLOPE = 1e3
# References at most, of a part of the events and of all.
_MAX_REFERENCES = 8


def fit_observable(
    problem: ObservableProblem,
    options: RegressionOptions,
    *,
    corrections: Sequence[Correction],
    n_folds: int = 2,
    seed: int = 0,
    start: FloatArray | None = None,
) -> Solution:
    """Fit θ: first on a part of the events, until the reference is near θ*, then on all.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.
    options : RegressionOptions
        Networks of the regressions.
    corrections : sequence of Correction
        Corrections of the weights by the generator sample, of which the best one is taken.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of all that is random.
    start : ndarray of shape (p,), optional
        The first reference; None is θ₀.

    Returns
    -------
    Solution
        θ*, its covariance by source, the equation at the last reference, and the number of
        references.
    """
    rng = np.random.default_rng(seed)
    coarse = problem.some(_COARSE_ROWS, rng)
    theta = _first_reference(problem.space) if start is None else start
    references = [theta]
    for _ in range(_MAX_REFERENCES):
        equation = EstimatingEquation(
            coarse, theta, options, corrections=corrections, n_folds=n_folds, seed=seed
        )
        solved = equation.solve(theta)
        theta = _reachable(coarse, theta, solved)
        references.append(theta)
        if equation.distance(theta) < _FAR:
            break
    converged = False
    for _ in range(_MAX_REFERENCES - 1):
        equation = EstimatingEquation(
            problem, theta, options, corrections=corrections, n_folds=n_folds, seed=seed
        )
        theta = equation.solve(theta)
        converged = equation.distance(theta) < _CLOSE
        if converged:
            break
        references.append(theta)
    sources, messages = _errors(equation, theta)
    if not converged:
        messages.append(Message(f"θ still moved after {len(references)} references"))
    return Solution(theta, sources, converged, messages, equation, len(references))


def _first_reference(space: ParameterSpace) -> FloatArray:
    """Return θ₀, or where log w does not depend on a parameter there, a θ on its wider side.

    The score of weights that are even in θ − θ₀ vanishes at θ₀, and is no observable.
    """
    theta = space.clip(space.nominal)
    if space.scale is None or not space.is_bounded:
        return theta
    farther = np.where(space.high - theta >= theta - space.low, space.high, space.low)
    vanishes = space.scale > _NO_SLOPE * space.width
    return np.where(vanishes, (theta + farther) / 2, theta)


def _errors(equation: EstimatingEquation, theta: FloatArray) -> tuple[Sources, list[Message]]:
    """Propagate the errors of the equations to θ, by source, and find what they do not fix."""
    problem = equation.problem
    width = problem.space.width
    slope = equation.jacobian(theta) * width
    by_source = equation.covariance(theta)
    # In whitened equations the curvature is that of χ², which tells what is not identified.
    combine = slope.T @ pseudo_inverse(by_source.total(len(slope)))
    scatter = by_source.propagated(combine)
    curvature = combine @ slope
    if problem.constraints:
        scatter["constraints"] = np.diag((problem.knowledge()[1] * width) ** 2)
        curvature = curvature + scatter["constraints"]
    return sandwich(curvature, scatter, width, problem.space.names)


def _reachable(problem: ObservableProblem, start: FloatArray, end: FloatArray) -> FloatArray:
    """Go towards a point as far as the simulation has events left."""
    step = end - start
    for _ in range(10):
        by_part = [problem.sim_weights(part, start + step) for part in problem.parts]
        if all(effective_sample_size(each) >= LEAST_SHARE * len(each) for each in by_part):
            return np.asarray(start + step)
        step = step / 2
    return start


def reco_information(
    weights: EventWeights,
    sim: Events,
    sim_weight: FloatArray,
    theta: FloatArray,
    options: RegressionOptions,
    *,
    n_folds: int = 2,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> FloatArray:
    """Compute the Fisher information of one reconstructed event, as far as a regression finds it.

    It is the information that the mean of the cross-fitted score carries.

    Parameters
    ----------
    weights : EventWeights
        Log-weights of the reconstructed events.
    sim : ndarray of shape (n, m) or PackedEvents
        Their reconstructed features.
    sim_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    theta : ndarray of shape (p,)
        The θ at which the information is wanted.
    options : RegressionOptions
        Networks of the regression.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of folds and networks.
    names : sequence of str, optional
        Names of the reconstructed features.

    Returns
    -------
    ndarray of shape (p, p)
        Per unit of each parameter, squared.
    """
    weight = sim_weight * np.exp(weights.log_weights(theta))
    score = weights.gradient(theta)
    score = score - np.average(score, axis=0, weights=weight)
    folds = make_folds(len(score), n_folds, np.random.default_rng(seed))
    regression = cross_fit(sim, score, weight, folds, options, seed=seed, names=names)
    observable = regression.out_of_fold(sim, folds)
    observable = observable - np.average(observable, axis=0, weights=weight)
    slope = (observable * weight[:, None]).T @ score / weight.sum()
    scatter = (observable * weight[:, None]).T @ observable / weight.sum()
    information: FloatArray = slope.T @ pseudo_inverse(scatter) @ slope
    return information
