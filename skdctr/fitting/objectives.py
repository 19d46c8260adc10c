"""The two ways to θ*: a search with classifiers, and the equation of the optimal observable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skdctr._utils.linear import pseudo_inverse
from skdctr._utils.typing import FloatArray
from skdctr.comparison.agreement import Agreement, label
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation
from skdctr.comparison.surrogate import second_solutions, statistical_errors
from skdctr.exceptions import PopulationWarning
from skdctr.fitting.combine_constraints import constrain
from skdctr.observable.fit import fit_observable
from skdctr.observable.generator import Correction
from skdctr.observable.populations import differing_populations
from skdctr.observable.problem import ObservableProblem
from skdctr.observable.regression import RegressionOptions
from skdctr.observable.roots import other_roots
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.other_solutions import APART
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources
from skdctr.results.messages import Message
from skdctr.results.solution import Solution

__all__ = ["ObservableRoute", "Route", "SearchRoute"]

# Times that a search goes on from the best evaluated θ.
_RESUMED_AT_MOST = 2
_NO_CORRECTION = (Correction(-1, 1.0),)
# Learned weights that do not know their error have a bias of first order in θ at least, so that
# they are never left without a correction.
_CORRECTIONS = (Correction(1, 1.0), Correction(2, 1.0))


class Route(ABC):
    """A way to θ*."""

    @abstractmethod
    def solve(self) -> Solution:
        """Find θ* and its covariance by source."""


@dataclass(frozen=True, eq=False)
class SearchRoute(Route):
    """A search for the θ at which a classifier tells data and simulation apart least.

    Attributes
    ----------
    objective : ClassifierObjective
        What is evaluated at one θ after another.
    kind : {"auc", "loss"}
        What θ is read from.
    space : ParameterSpace
        The range that is searched.
    constraints : Constraints
        Mean and standard deviation of some parameters.
    search : callable
        ``search(objective, kind, space, report=report)`` returns a `Solution`: `powell`, `scan` or
        `surrogate` with their settings.
    resume : callable or None
        The same with the further arguments ``start``, an evaluated θ, and ``constraints``, for a
        search that has ended at a worse θ than one it has evaluated; None where it cannot go on.
    max_evaluations : int or None
        Evaluations at most; None is no limit.
    report : callable
        Told of every evaluation.
    """

    objective: ClassifierObjective
    kind: str
    space: ParameterSpace
    constraints: Constraints
    search: Callable[..., Solution]
    resume: Callable[..., Solution] | None
    max_evaluations: int | None
    report: Callable[[Evaluation], Any]

    def solve(self) -> Solution:
        """Search, verify θ* by an evaluation, and go on from the best one where that is better."""
        found = self._with_errors(
            self.search(self.objective, self.kind, self.space, report=self.report)
        )
        if self.constraints:
            found = self._constrained(found)
        tries = 0
        while True:
            best = self._better_than(found)
            notes = [] if best is not None else self._second(found)
            # A second solution may be the better one.
            best = best or self._better_than(found)
            if best is None:
                return replace(found, messages=[*found.messages, *notes])
            self.report(self.objective(found.theta))
            if self.resume is None or tries == _RESUMED_AT_MOST:
                return self._fallen_back(found, best)
            tries += 1
            found = self._resumed(self.resume, best.theta)

    def _second(self, found: Solution) -> list[Message]:
        """Tell of another θ that describes the data as well, where the search finds out."""
        # A descent and a grid have no equations that would show it.
        if self.resume is None or self.kind == "loss" or not found.converged:
            return []
        agreement = Agreement(self.objective, self.kind, self.space.names, self.constraints)
        limit = self.max_evaluations
        for theta in second_solutions(self.objective, found.theta, self.space, self.constraints):
            if limit is not None and len(self.objective.evaluations) >= limit:
                values = ", ".join(map("{} = {:.6g}".format, self.space.names, theta))
                text = f"a second solution may lie at {values}: raise max_evaluations to verify it"
                return [Message(text)]
            other = self.objective(theta)
            self.report(other)
            if agreement.better_than(other) is None:
                return [_second_solution(other, self.space.names)]
        return []

    def _better_than(self, found: Solution) -> Evaluation | None:
        """Evaluate the proposed θ; return an evaluation that is better than it, if there is one."""
        proposed = self.objective(found.theta)
        agreement = Agreement(self.objective, self.kind, self.space.names, self.constraints)
        return agreement.better_than(proposed)

    def _constrained(self, found: Solution) -> Solution:
        """Combine a fit with the constraints, or fit with them what is unknown without them."""
        unknown = not np.isfinite(found.sources.total(len(self.space))).all()
        if unknown and self.kind == "auc" and self.resume is not None:
            return self._resumed(self.resume, found.theta)
        return constrain(found, self.space, self.constraints)

    def _with_errors(self, found: Solution) -> Solution:
        if "data" in found.sources:
            return found
        statistical, notes = statistical_errors(self.objective, found.theta, self.space)
        sources = Sources({**statistical, **found.sources})
        return replace(found, sources=sources, messages=[*found.messages, *notes])

    def _resumed(self, resume: Callable[..., Solution], start: FloatArray) -> Solution:
        """Search on from a θ. The equations of the AUC have the constraints in them."""
        has_equations = self.kind == "auc"
        found = resume(
            self.objective,
            self.kind,
            self.space,
            report=self.report,
            start=start,
            constraints=self.constraints if has_equations else Constraints(),
        )
        if self.constraints and not has_equations:
            found = constrain(self._with_errors(found), self.space, self.constraints)
        return found

    def _fallen_back(self, found: Solution, best: Evaluation) -> Solution:
        """Give the best evaluated θ in place of a worse one, and say so."""
        proposed, names = self.objective(found.theta), self.space.names
        text = (
            f"the search ended at {label(proposed, names, self.kind)}, which describes the data "
            f"worse than {label(best, names, self.kind)}, which it had evaluated and which is "
            "given: narrow the bounds, allow more evaluations, or use "
            'objective="optimal_observable"'
        )
        failed = Solution(best.theta, Sources(), converged=False, messages=[Message(text)])
        failed = self._with_errors(failed)
        if self.constraints:
            # They enter the covariance; θ stays the one that was evaluated.
            failed = replace(constrain(failed, self.space, self.constraints), theta=best.theta)
        return failed


@dataclass(frozen=True, eq=False)
class ObservableRoute(Route):
    """The θ at which the simulation predicts the mean of the optimal observable in data.

    Attributes
    ----------
    problem : ObservableProblem
        The samples, constraints and range.
    options : RegressionOptions
        Networks of the regressions.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of all that is random.
    objective : ClassifierObjective
        What chooses between several solutions.
    """

    problem: ObservableProblem
    options: RegressionOptions
    n_folds: int
    seed: int
    objective: ClassifierObjective

    def solve(self) -> Solution:
        """Fit θ, with the generator sample where it is of the simulation's population.

        Of several solutions the one wins at which a classifier sees least.
        """
        problem, notes = self.problem, []
        difference = differing_populations(problem)
        if difference is not None:
            notes.append(_two_populations(difference))
            problem = problem.without_generator()
        found = self._fit(problem)
        roots = other_roots(found.equation, found.theta)
        # From the reference of its own, the fit may come back to the first solution.
        others = [
            other for other in (self._fit(problem, root) for root in roots) if _differ(found, other)
        ]
        if others:
            found, note = self._best(found, others)
            notes.append(note)
        return replace(found, messages=[*found.messages, *notes])

    def _fit(self, problem: ObservableProblem, start: FloatArray | None = None) -> Solution:
        return fit_observable(
            problem,
            self.options,
            corrections=_corrections(problem),
            n_folds=self.n_folds,
            seed=self.seed,
            start=start,
        )

    def _best(self, found: Solution, others: list[Solution]) -> tuple[Solution, Message]:
        """Return the solution that describes the data best, and tell of the next one."""
        space, objective = self.problem.space, self.objective
        agreement = Agreement(objective, "auc", space.names, self.problem.constraints)
        solutions = [found, *others]
        for solution in solutions:
            objective(solution.theta)
        best, second = sorted(
            solutions, key=lambda solution: agreement.distance(objective(solution.theta))
        )[:2]
        told = objective(second.theta)
        is_worse = agreement.better_than(told) is not None
        return best, _second_solution(told, space.names, is_worse=is_worse)


def _second_solution(other: Evaluation, names: Sequence[str], *, is_worse: bool = False) -> Message:
    """Make the message that tells of a second solution; a worse one is in the result only."""
    where = f"a second solution lies at {label(other, names)}"
    if is_worse:
        return Message(f"{where}, which describes the data worse", None)
    return Message(
        f"{where}, and the AUC does not decide between the two: narrow the bounds to one of them"
    )


def _differ(one: Solution, other: Solution) -> bool:
    """Say whether two solutions are not one within their errors."""
    step = one.theta - other.theta
    # Where an error is not known, nothing tells them apart.
    covariance = one.sources.total(len(step)) + other.sources.total(len(step))
    return not bool(step @ pseudo_inverse(np.nan_to_num(covariance)) @ step < APART)


def _two_populations(difference: str) -> Message:
    """Make the message that the generator events cannot correct the weights, and why."""
    return Message(
        "another population: the simulation and the generator events at θ₀ differ, "
        f"{difference}. The generator events do not correct the weights; select both alike, "
        "give θ₀ of the simulation as the reweighter's theta_nominal, and events that the "
        "reconstruction lost as rows of NaN",
        PopulationWarning,
    )


def _corrections(problem: ObservableProblem) -> tuple[Correction, ...]:
    """Return the polynomials in θ by which the generator events may correct the weights."""
    if problem.parts[0].sim.is_exact:
        return _NO_CORRECTION
    generator, n_parts = problem.parts[0].generator, len(problem.parts)
    if n_parts == 1 and generator is not None and generator.sample.knows_weights:
        return _NO_CORRECTION + _CORRECTIONS
    # Events that the networks have not seen correct weights whatever these know of their error.
    return _CORRECTIONS
