"""The two ways to θ*: a search with classifiers, and the equation of the optimal observable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from skdctr._utils.typing import FloatArray
from skdctr.comparison.agreement import Agreement
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation
from skdctr.comparison.surrogate import statistical_errors
from skdctr.exceptions import PopulationWarning
from skdctr.fitting.combine_constraints import constrain
from skdctr.observable.fit import fit_observable
from skdctr.observable.generator import Correction
from skdctr.observable.populations import differing_populations
from skdctr.observable.problem import ObservableProblem
from skdctr.observable.regression import RegressionOptions
from skdctr.parameters.constraints import Constraints
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
    report : callable
        Told of every evaluation.
    """

    objective: ClassifierObjective
    kind: str
    space: ParameterSpace
    constraints: Constraints
    search: Callable[..., Solution]
    resume: Callable[..., Solution] | None
    report: Callable[[Evaluation], Any]

    def solve(self) -> Solution:
        """Search, verify θ* by an evaluation, and go on from the best one where that is better."""
        found = self._constrained(
            self.search(self.objective, self.kind, self.space, report=self.report)
        )
        tries = 0
        while (best := self._better_than(found)) is not None:
            self.report(self.objective(found.theta))
            if self.resume is None or tries == _RESUMED_AT_MOST:
                return self._fallen_back(found, best)
            tries += 1
            found = self._resumed(self.resume, best.theta)
        return found

    def _better_than(self, found: Solution) -> Evaluation | None:
        """Evaluate the proposed θ; return an evaluation that is better than it, if there is one."""
        proposed = self.objective(found.theta)
        agreement = Agreement(self.objective, self.kind, self.space.names, self.constraints)
        return agreement.better_than(proposed)

    def _constrained(self, found: Solution) -> Solution:
        """Add the statistical errors where the search has none, then the constraints."""
        found = self._with_errors(found)
        return constrain(found, self.space, self.constraints) if self.constraints else found

    def _with_errors(self, found: Solution) -> Solution:
        if "data" in found.sources:
            return found
        statistical, notes = statistical_errors(self.objective, found.theta, self.space)
        sources = Sources({**statistical, **found.sources})
        return replace(found, sources=sources, messages=[*found.messages, *notes])

    def _resumed(self, resume: Callable[..., Solution], start: FloatArray) -> Solution:
        """Search on from a θ. The equations of the AUC have the constraints in them."""
        known = self.constraints if self.kind == "auc" else Constraints()
        found = resume(
            self.objective,
            self.kind,
            self.space,
            report=self.report,
            start=start,
            constraints=known,
        )
        return found if known else self._constrained(found)

    def _fallen_back(self, found: Solution, best: Evaluation) -> Solution:
        """Give the best evaluated θ in place of a worse one, and say so."""
        proposed = self.objective(found.theta)
        text = (
            f"the search ended at {self._label(proposed)}, which describes the data worse than "
            f"{self._label(best)}, which it had evaluated and which is given: narrow "
            'the bounds, allow more evaluations, or use objective="optimal_observable"'
        )
        failed = Solution(best.theta, Sources(), converged=False, messages=[Message(text)])
        # The constraints enter the covariance; θ stays the one that was evaluated.
        return replace(self._constrained(failed), theta=best.theta)

    def _label(self, evaluation: Evaluation) -> str:
        """Name an evaluated θ with its AUC or loss."""
        values = ", ".join(
            f"{name} = {value:.6g}"
            for name, value in zip(self.space.names, evaluation.theta, strict=True)
        )
        if self.kind == "loss":
            return f"{values} (loss = {evaluation.loss:.5f})"
        return f"{values} (AUC = {evaluation.auc:.4f} ± {evaluation.auc_error:.4f})"


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
    """

    problem: ObservableProblem
    options: RegressionOptions
    n_folds: int
    seed: int

    def solve(self) -> Solution:
        """Fit θ, with the generator sample where it is of the simulation's population."""
        problem, notes = self.problem, []
        difference = differing_populations(problem)
        if difference is not None:
            notes.append(_two_populations(difference))
            problem = problem.without_generator()
        found = fit_observable(
            problem,
            self.options,
            corrections=_corrections(problem),
            n_folds=self.n_folds,
            seed=self.seed,
        )
        return replace(found, messages=[*found.messages, *notes])


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
