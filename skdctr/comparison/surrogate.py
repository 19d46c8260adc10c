"""Search over θ with few trainings: every trained classifier is a statistic at all θ.

At fixed θ' a classifier g has an AUC against the simulation weighted to any other θ, with no
further training: the weighted mean of its placements. That AUC goes through 1/2, with a sign, at
the θ of the data, whichever the classifier, so that p classifiers that look in p directions give
p equations for p parameters, with no dead zone near the minimum, and with the statistical error of
θ from the placements of every event.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from skdctr._utils.least_squares import bounded_least_squares
from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation, Placements
from skdctr.comparison.search import distance, ignore, quadratic_minimum
from skdctr.metrics import effective_sample_size
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources, sandwich
from skdctr.results.messages import Message
from skdctr.results.solution import Solution
from skdctr.weights.error import mean_covariance

__all__ = ["NEAREST", "statistical_errors", "surrogate"]

# Distance of the design points from the estimate, in units of the width of the score: near enough
# for the classifier to be the locally best one, far enough for it to learn something.
_RADIUS = 0.4
# |AUC − 1/2| above which classifiers learn well; below it the approach has come close enough.
_CLOSE = 0.04
# Effective share of the simulation without which no classifier is trained at a θ.
_LEAST_SHARE = 0.01
# Step of numerical derivatives, in units of the width of the score. It is far above the resolution
# of log-weights in single precision.
_STEP = 1e-2
# Share of the covariance's mean diagonal that is added to the diagonal.
_REGULARISATION = 0.05
# Pull to the start, per width of the score: strong while few classifiers have looked at θ, and
# nearly none once the design has looked in all directions.
_PULL, _LITTLE_PULL = 1.0, 1e-3
# Classifiers per parameter that the errors of a search are read from.
NEAREST = 4


def surrogate(
    objective: ClassifierObjective,
    kind: str,
    space: ParameterSpace,
    *,
    max_evaluations: int,
    report: Callable[[Evaluation], Any] = ignore,
) -> Solution:
    """Fit θ from the classifiers trained at a few θ.

    First each classifier shows where data and simulation still differ, and θ moves to where all
    of them so far see no difference. Then a design of points on both sides of the estimate, along
    the axes of the information, gives the equations for the final θ, repeated until θ stays.

    For the loss, whose fixed classifiers do not see the minimum, the same points go into a
    quadratic form.

    Parameters
    ----------
    objective : ClassifierObjective
        What is evaluated.
    kind : {"auc", "loss"}
        What θ is read from.
    space : ParameterSpace
        The range that is searched, from its nominal θ on.
    max_evaluations : int
        Classifiers trained at the most.
    report : callable
        Told of every evaluation.
    """
    return _SurrogateSearch(objective, kind, space, max_evaluations, report).solve()


@dataclass(frozen=True, eq=False)
class _SurrogateSearch:
    """The two phases of the search; attributes are the arguments of `surrogate`."""

    objective: ClassifierObjective
    kind: str
    space: ParameterSpace
    max_evaluations: int
    report: Callable[[Evaluation], Any]

    def solve(self) -> Solution:
        """Approach θ*, then surround it by designs; for the loss, fit a quadratic form to them."""
        theta, approach = self._approach()
        theta, design, scale, converged = self._surround(theta)
        near = design or approach
        sources, messages = self._errors_at(near, theta)
        if not converged:
            text = (
                f"θ still moved after {len(self.objective.evaluations)} evaluations: raise "
                "max_evaluations"
            )
            messages.append(Message(text))
        found = Solution(theta, sources, converged, messages)
        return self._at_largest_loss(found, near, scale) if self.kind == "loss" else found

    def _approach(self) -> tuple[FloatArray, list[Evaluation]]:
        """Train one classifier at a time, and move θ to where none so far sees a difference.

        Returns
        -------
        theta : ndarray of shape (p,)
            A θ near θ*.
        evaluations : list of Evaluation
            The classifiers on the way.
        """
        p, space = len(self.space), self.space
        theta = space.clip(space.nominal)
        evaluations = [self._evaluate(theta)]
        scale = _lengths(self._axes(theta))
        while (
            len(self.objective.evaluations) < self.max_evaluations and len(evaluations) < 3 + 2 * p
        ):
            equations = _Equations(self.objective, evaluations, coarse=True)
            proposal = _solve(equations, theta, space, scale, stiffness=_PULL)
            previous, theta = theta, _reachable(self.objective, theta, proposal - theta, space)
            if len(evaluations) >= p and abs(evaluations[-1].auc - 0.5) < _CLOSE:
                break
            if np.allclose(previous, theta, rtol=0, atol=1e-6 * space.unit):
                break
            evaluations.append(self._evaluate(theta))
        return theta, evaluations

    def _surround(self, theta: FloatArray) -> tuple[FloatArray, list[Evaluation], FloatArray, bool]:
        """Train classifiers on both sides of θ and solve their equations, until θ stays.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            A θ near θ*.

        Returns
        -------
        theta : ndarray of shape (p,)
            Solution of the equations; as given where `max_evaluations` allows no design.
        design : list of Evaluation
            The classifiers of the last design; empty where there is none.
        scale : ndarray of shape (p,)
            Width of the score in each parameter.
        converged : bool
            Whether θ stayed.
        """
        space, converged = self.space, False
        design: list[Evaluation] = []
        while not converged:
            directions = self._axes(theta)
            scale = _lengths(directions)
            steps = _design(directions, crossed=self.kind == "loss")
            if len(self.objective.evaluations) + len(steps) > self.max_evaluations:
                break
            points = [_reachable(self.objective, theta, step, space) for step in steps]
            design = [self._evaluate(point) for point in points]
            rough = _Equations(self.objective, design, coarse=True)
            solution = _solve(rough, theta, space, scale, stiffness=_LITTLE_PULL)
            equations = _Equations(self.objective, design)
            solution = _solve(
                equations, solution, space, scale, stiffness=_LITTLE_PULL, max_steps=4
            )
            converged = bool((np.abs(solution - theta) < _RADIUS / 2 * scale).all())
            theta = solution
        return theta, design, scale, converged

    def _at_largest_loss(
        self, found: Solution, evaluations: list[Evaluation], scale: FloatArray
    ) -> Solution:
        """Move a solution to the maximum of the loss, where the evaluations about it show one."""
        parabola = quadratic_minimum(
            np.stack([evaluation.theta for evaluation in evaluations]),
            np.array([distance(evaluation, self.kind) for evaluation in evaluations]),
            scale,
        )
        if parabola is None or not self.space.contains(parabola[0]):
            text = "the loss has no maximum within reach: θ is that of the AUC"
            return replace(found, converged=False, messages=[*found.messages, Message(text)])
        theta, covariance = parabola
        return replace(found, theta=theta, sources=Sources(found.sources, search=covariance))

    def _evaluate(self, theta: FloatArray) -> Evaluation:
        """Train a classifier at θ, and report it."""
        evaluation = self.objective(theta)
        self.report(evaluation)
        return evaluation

    def _axes(self, theta: FloatArray) -> FloatArray:
        """Find the axes of the information at θ, as steps of one width of the score, (p, p)."""
        step = _derivative_step(theta, self.space)
        return _directions(_information(self.objective, theta, step), self.space.width)

    def _errors_at(
        self, evaluations: list[Evaluation], theta: FloatArray
    ) -> tuple[Sources, list[Message]]:
        """Propagate the errors of the classifiers' equations to their solution θ."""
        equations = _Equations(self.objective, evaluations)
        step = _derivative_step(theta, self.space)
        return _errors(equations, theta, step, self.space.width, self.objective.names)


def statistical_errors(
    objective: ClassifierObjective, theta: FloatArray, space: ParameterSpace
) -> tuple[Sources, list[Message]]:
    """Compute the errors of data, simulation and weights, from the classifiers trained near θ.

    This is for searches that read θ off the AUC or the loss itself. The objective must have kept
    the placements of `NEAREST` evaluations per parameter at least.

    Parameters
    ----------
    objective : ClassifierObjective
        The evaluations of the search.
    theta : ndarray of shape (p,)
        θ*.
    space : ParameterSpace
        The range that was searched.

    Returns
    -------
    sources : Sources
        Covariance by source.
    messages : list of Message
        The parameters that are not identified, in one message; empty where there are none.
    """
    p = len(theta)
    step = _derivative_step(theta, space)
    information = _information(objective, theta, step)

    def squared_distance(evaluation: Evaluation) -> float:
        difference = evaluation.theta - theta
        return float(difference @ information @ difference)

    # In the dead zone a classifier has learned noise; far away, another observable.
    kept = [e for e in objective.evaluations if e.has_placements]
    learned = [e for e in kept if e.has_learned]
    near = sorted(learned if len(learned) >= p else kept, key=squared_distance)[: NEAREST * p]
    return _errors(_Equations(objective, near), theta, step, space.width, objective.names)


class _Equations:
    """AUC_i(θ) − 1/2 of k trained classifiers, as functions of θ, with their covariance.

    Parameters
    ----------
    objective : ClassifierObjective
        Weights and samples.
    evaluations : list of Evaluation
        The classifiers, with their placements.
    coarse : bool, default=False
        Whether the `coarse_rows` of the simulation alone are used.
    """

    def __init__(
        self,
        objective: ClassifierObjective,
        evaluations: list[Evaluation],
        *,
        coarse: bool = False,
    ) -> None:
        self.objective, self.coarse = objective, coarse
        rows = objective.coarse_rows if coarse else slice(None)
        self.sim = _columns([e.sim_placement[rows] for e in evaluations])
        data = _columns([e.data_placement for e in evaluations])
        weight = objective.data_weight
        self.data_covariance = _covariance(data, weight)

    def residual(self, theta: FloatArray) -> FloatArray:
        """Return AUC − 1/2 of each classifier against the simulation at θ, (k,)."""
        weight = self.objective.sim_weights(theta, coarse=self.coarse)
        mean: FloatArray = weight @ self.sim / weight.sum() - 0.5
        return mean

    def sim_covariance(self, theta: FloatArray) -> FloatArray:
        """Return the covariance that the finite simulation gives the residuals, (k, k)."""
        return _covariance(self.sim, self.objective.sim_weights(theta, coarse=self.coarse))

    def weight_covariance(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return the covariance that learned weights give the residuals, by source, (k, k)."""
        objective = self.objective
        return mean_covariance(objective.weights, self.sim, objective.sim_weight, theta)

    def jacobian(self, theta: FloatArray, step: FloatArray) -> FloatArray:
        """Return the derivative of the residuals, (k, p), by central differences."""
        return central_differences(self.residual, theta, step)


def _columns(placements: list[Placements]) -> FloatArray:
    """Put the placements of k classifiers side by side, (n, k), in double precision, for sums."""
    return np.stack(placements, axis=1, dtype=np.float64)


def _covariance(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Compute the covariance of weighted means, (k, k), the weights' fluctuation included."""
    centred = (values - np.average(values, axis=0, weights=weight)) * weight[:, None]
    covariance: FloatArray = centred.T @ centred / weight.sum() ** 2
    return covariance


def _regularised(covariance: FloatArray) -> FloatArray:
    """Keep classifiers that look the same way from being played off against each other.

    The covariance of such classifiers is nearly singular, and their difference is training noise.
    """
    mean = np.trace(covariance) / len(covariance)
    return covariance + _REGULARISATION * mean * np.eye(len(covariance))


def _solve(
    equations: _Equations,
    start: FloatArray,
    space: ParameterSpace,
    scale: FloatArray,
    stiffness: float,
    max_steps: int = 50,
) -> FloatArray:
    """Find the θ that brings all AUCs nearest to 1/2, in units of their errors.

    Parameters
    ----------
    equations : _Equations
        AUC − 1/2 of each classifier.
    start : ndarray of shape (p,)
        First θ.
    space : ParameterSpace
        The range that is searched.
    scale : ndarray of shape (p,)
        Width of the score in each parameter.
    stiffness : float
        Pull to the start, per width of the score, which keeps parameters in place that no
        classifier has looked at yet.
    max_steps : int
        Steps at most.
    """
    covariance = equations.data_covariance + equations.sim_covariance(start)
    whiten = np.linalg.cholesky(np.linalg.inv(_regularised(covariance))).T

    p = len(start)

    def target(z: FloatArray) -> FloatArray:
        residual = whiten @ equations.residual(start + z * scale)
        return np.concatenate([residual, stiffness * z])

    def slope(z: FloatArray) -> FloatArray:
        theta = start + z * scale
        derivative = equations.jacobian(theta, positive_steps(theta, _STEP * scale, space.low))
        return np.vstack([whiten @ derivative * scale, stiffness * np.eye(p)])

    solution = bounded_least_squares(
        target,
        slope,
        bounds=((space.low - start) / scale, (space.high - start) / scale),
        slack=1e-12,
        xtol=1e-6,
        max_steps=max_steps,
    )
    return space.clip(start + solution * scale)


def _derivative_step(theta: FloatArray, space: ParameterSpace) -> FloatArray:
    """Return the step of derivatives by θ, (p,), far above the resolution of single precision."""
    return positive_steps(theta, _STEP * space.unit / 10, space.low)


def _information(objective: ClassifierObjective, theta: FloatArray, step: FloatArray) -> FloatArray:
    """Compute the Fisher information of one generator-level event, (p, p).

    The scores are differences of the log-weights.
    """
    weight = objective.sim_weights(theta, coarse=True)
    score = central_differences(partial(objective.log_weights, coarse=True), theta, step)
    score = score - np.average(score, axis=0, weights=weight)
    information: FloatArray = (score * weight[:, None]).T @ score / weight.sum()
    return information


def _directions(information: FloatArray, width: FloatArray) -> FloatArray:
    """Find steps of unit distance along the axes of an information matrix, as columns (p, p).

    No step is longer than twice the range.
    """
    scaled = information * np.outer(width, width)
    values, vectors = np.linalg.eigh(scaled)
    lengths = 1 / np.sqrt(np.maximum(values, 1.0 / 4))
    return width[:, None] * vectors * lengths


def _lengths(directions: FloatArray) -> FloatArray:
    """Return the width of the score in each parameter, (p,), given the steps along the axes."""
    lengths: FloatArray = np.sqrt((directions**2).sum(axis=1))
    return lengths


def _reachable(
    objective: ClassifierObjective,
    centre: FloatArray,
    step: FloatArray,
    space: ParameterSpace,
) -> FloatArray:
    """Shorten a step until the simulation there has events left and the bounds hold."""
    least = _LEAST_SHARE * len(objective.coarse_rows)
    for _ in range(8):
        point = space.clip(centre + step)
        if effective_sample_size(objective.sim_weights(point, coarse=True)) >= least:
            return point
        step = step / 2
    return centre


def _errors(
    equations: _Equations,
    theta: FloatArray,
    step: FloatArray,
    width: FloatArray,
    names: Sequence[str],
) -> tuple[Sources, list[Message]]:
    """Propagate the errors of the equations to θ, by source, and find what they do not fix."""
    slope = equations.jacobian(theta, step) * width
    by_source = Sources(data=equations.data_covariance, simulation=equations.sim_covariance(theta))
    # These errors set the units in which the equations are solved; that of the weights does not.
    total = _regularised(by_source.total(len(slope)))
    combine = np.asarray(np.linalg.solve(total, slope).T, dtype=np.float64)
    by_source |= equations.weight_covariance(theta)
    return sandwich(combine @ slope, by_source.propagated(combine), width, names)


def _design(directions: FloatArray, *, crossed: bool) -> list[FloatArray]:
    """List the steps of a design, each of shape (p,): both ways along each axis.

    A crossed design has steps between two axes too, and steps of twice the length: enough points
    for a quadratic form.
    """
    axes = list(directions.T)
    radii = [_RADIUS]
    if crossed:
        axes += [(a + b) / np.sqrt(2) for a, b in itertools.combinations(axes, 2)]
        radii.append(2 * _RADIUS)
    return [sign * radius * axis for radius in radii for axis in axes for sign in (1.0, -1.0)]
