"""Search over θ with few trainings: every trained classifier is a statistic at all θ.

At fixed θ' a classifier g has an AUC against the simulation weighted to any other θ, with no
further training: the weighted mean of its placements. That AUC goes through 1/2, with a sign, at
the θ of the data, whichever the classifier, so that p classifiers that look in p directions give
p equations for p parameters, with no dead zone near the minimum, and with the statistical error of
θ from the placements of every event.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.comparison.auc_equations import AUCEquations, errors, solve
from skdctr.comparison.auc_equations import second_solutions as solutions_beside
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation
from skdctr.comparison.search import distance, ignore, quadratic_minimum
from skdctr.metrics import effective_sample_size
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources
from skdctr.results.messages import Message
from skdctr.results.solution import Solution

__all__ = ["NEAREST", "second_solutions", "statistical_errors", "surrogate"]

# Distance of the design points from the estimate, in units of the width of the score: near enough
# for the classifier to be the locally best one, far enough for it to learn something.
_RADIUS = 0.4
# |AUC − 1/2| above which classifiers learn well; below it the approach has come close enough.
_CLOSE = 0.04
# Effective share of the simulation without which no classifier is trained at a θ.
_LEAST_SHARE = 0.01
# Ten times the step of numerical derivatives, as a share of the unit of θ. It is far above the
# resolution of log-weights in single precision.
_STEP = 1e-2
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
    start: FloatArray | None = None,
    constraints: Constraints | None = None,
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
    start : ndarray of shape (p,), optional
        An evaluated θ that is surrounded by a design at once, without an approach.
    constraints : Constraints, optional
        Mean and standard deviation of some parameters, which are further equations of the AUC.
    """
    known = Constraints() if constraints is None else constraints
    search = _SurrogateSearch(objective, kind, space, max_evaluations, report, known)
    return search.solve(start)


@dataclass(frozen=True, eq=False)
class _SurrogateSearch:
    """The two phases of the search; attributes are the arguments of `surrogate`."""

    objective: ClassifierObjective
    kind: str
    space: ParameterSpace
    max_evaluations: int
    report: Callable[[Evaluation], Any]
    constraints: Constraints

    def solve(self, start: FloatArray | None) -> Solution:
        """Approach θ*, then surround it by designs; for the loss, fit a quadratic form to them."""
        if start is None:
            theta, approach = self._approach()
        else:
            theta, approach = start, self.objective.evaluations
        theta, design, scale, unsettled = self._surround(theta)
        near = design or approach
        sources, messages = self._errors_at(near, theta)
        if unsettled:
            messages.append(Message(unsettled))
        found = Solution(theta, sources, not unsettled, messages)
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
            equations = AUCEquations(self.objective, evaluations, coarse=True)
            proposal = solve(equations, theta, space, scale, stiffness=_PULL)
            previous, theta = theta, _reachable(self.objective, theta, proposal - theta, space)
            if len(evaluations) >= p and abs(evaluations[-1].auc - 0.5) < _CLOSE:
                break
            if np.allclose(previous, theta, rtol=0, atol=1e-6 * space.unit):
                break
            evaluations.append(self._evaluate(theta))
        return theta, evaluations

    def _surround(self, theta: FloatArray) -> tuple[FloatArray, list[Evaluation], FloatArray, str]:
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
        unsettled : str
            Why θ did not stay; empty where it did.
        """
        space = self.space
        design: list[Evaluation] = []
        while True:
            directions = self._axes(theta)
            scale = _lengths(directions)
            steps = _design(directions, crossed=self.kind == "loss")
            n_known = len(self.objective.evaluations)
            if n_known + len(steps) > self.max_evaluations:
                text = f"θ still moved after {n_known} evaluations: raise max_evaluations"
                return theta, design, scale, text
            points = [_reachable(self.objective, theta, step, space) for step in steps]
            design = [self._evaluate(point) for point in points]
            rough = AUCEquations(self.objective, design, coarse=True)
            solution = solve(
                rough, theta, space, scale, stiffness=_LITTLE_PULL, constraints=self.constraints
            )
            equations = AUCEquations(self.objective, design)
            solution = solve(
                equations,
                solution,
                space,
                scale,
                stiffness=_LITTLE_PULL,
                max_steps=4,
                constraints=self.constraints,
            )
            stayed = (np.abs(solution - theta) < _RADIUS / 2 * scale).all()
            theta = solution
            if stayed:
                return theta, design, scale, ""
            if len(self.objective.evaluations) == n_known:
                # Between bounds θ may go round the same points for ever.
                text = (
                    "θ goes round points where classifiers have been trained, as no θ within the "
                    "bounds suits them all: widen the bounds, or check units and features of data"
                )
                return theta, design, scale, text

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
        equations = AUCEquations(self.objective, evaluations)
        step = _derivative_step(theta, self.space)
        return errors(equations, theta, step, self.space, self.constraints)


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
    step = _derivative_step(theta, space)
    near = _nearest(objective, theta, step)
    return errors(AUCEquations(objective, near), theta, step, space)


def second_solutions(
    objective: ClassifierObjective,
    theta: FloatArray,
    space: ParameterSpace,
    constraints: Constraints,
) -> list[FloatArray]:
    """Look for other θ at which the classifiers trained near θ* see no difference either.

    These classifiers are the best ones near θ*: only one that is trained there tells whether a
    solution far away is one.

    Parameters
    ----------
    objective : ClassifierObjective
        The evaluations of the search.
    theta : ndarray of shape (p,)
        θ*.
    space : ParameterSpace
        The range that was searched.
    constraints : Constraints
        Mean and standard deviation of some parameters.

    Returns
    -------
    list of ndarray of shape (p,)
        Values of θ; empty where there are none.
    """
    step = _derivative_step(theta, space)
    near = _nearest(objective, theta, step)
    scale = _lengths(_directions(_information(objective, theta, step), space.width))
    return solutions_beside(
        AUCEquations(objective, near, coarse=True),
        theta,
        space,
        scale,
        constraints,
        partial(_is_supported, objective),
    )


def _nearest(
    objective: ClassifierObjective, theta: FloatArray, step: FloatArray
) -> list[Evaluation]:
    """Choose the evaluations nearest to θ whose classifiers have learned something."""
    p = len(theta)
    information = _information(objective, theta, step)

    def squared_distance(evaluation: Evaluation) -> float:
        difference = evaluation.theta - theta
        return float(difference @ information @ difference)

    # In the dead zone a classifier has learned noise; far away, another observable.
    kept = [e for e in objective.evaluations if e.has_placements]
    learned = [e for e in kept if e.has_learned]
    return sorted(learned if len(learned) >= p else kept, key=squared_distance)[: NEAREST * p]


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


def _is_supported(objective: ClassifierObjective, theta: FloatArray) -> bool:
    """Say whether the simulation has events left at a θ."""
    least = _LEAST_SHARE * len(objective.coarse_rows)
    return effective_sample_size(objective.sim_weights(theta, coarse=True)) >= least


def _reachable(
    objective: ClassifierObjective,
    centre: FloatArray,
    step: FloatArray,
    space: ParameterSpace,
) -> FloatArray:
    """Shorten a step until the simulation there has events left and the bounds hold."""
    for _ in range(8):
        point = space.clip(centre + step)
        if _is_supported(objective, point):
            return point
        step = step / 2
    return centre


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
