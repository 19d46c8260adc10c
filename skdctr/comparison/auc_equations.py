"""The equations AUC_i(θ) = 1/2 of trained classifiers: their solution, and its errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import chi2

from skdctr._utils.least_squares import bounded_least_squares
from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation, Placements
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.parameters.other_solutions import design_points, other_solutions
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources, sandwich
from skdctr.results.messages import Message
from skdctr.weights.error import mean_covariance

__all__ = ["AUCEquations", "errors", "second_solutions", "solve"]

# Share of the covariance's mean diagonal that is added to the diagonal.
_REGULARISATION = 0.05
# Step of derivatives, in units of the width of the score; far above single precision.
_STEP = 1e-2
# p-value of the equations at a solution below which others are looked for, and how far χ² must lie
# below that of the first one.
_BAD_BELOW, _CLEARLY = 1e-4, 9.0
# Other starts that are tried.
_STARTS = 2
_NOTHING_KNOWN = Constraints()


class AUCEquations:
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
        self.objective, self.evaluations, self.coarse = objective, evaluations, coarse
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


def solve(
    equations: AUCEquations,
    start: FloatArray,
    space: ParameterSpace,
    scale: FloatArray,
    stiffness: float,
    max_steps: int = 50,
    constraints: Constraints = _NOTHING_KNOWN,
) -> FloatArray:
    """Find the θ that brings all AUCs nearest to 1/2, in units of their errors.

    Where the equations do not hold there, as in a second minimum of their χ² or where log w does
    not depend on θ to first order, the best of some other starts is taken.

    Parameters
    ----------
    equations : AUCEquations
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
    constraints : Constraints
        Mean and standard deviation of some parameters, which are further equations.
    """
    pulls, derivative = _whitened(equations, start, space, constraints)

    def chi_square(theta: FloatArray) -> float:
        return float(np.sum(pulls(theta) ** 2))

    def solved(origin: FloatArray) -> FloatArray:
        p = len(origin)

        def target(z: FloatArray) -> FloatArray:
            return np.concatenate([pulls(origin + z * scale), stiffness * z])

        def slope(z: FloatArray) -> FloatArray:
            theta = origin + z * scale
            step = positive_steps(theta, _STEP * scale, space.low)
            return np.vstack([derivative(theta, step) * scale, stiffness * np.eye(p)])

        solution = bounded_least_squares(
            target,
            slope,
            bounds=((space.low - origin) / scale, (space.high - origin) / scale),
            slack=1e-12,
            xtol=1e-6,
            max_steps=max_steps,
        )
        return space.clip(origin + solution * scale)

    found = solved(start)
    first = chi_square(found)
    if first < chi2.isf(_BAD_BELOW, len(pulls(found))):
        return found
    others = [*(evaluation.theta for evaluation in equations.evaluations), *design_points(space)]
    starts = sorted(others, key=chi_square)[:_STARTS]
    best = min(map(solved, starts), key=chi_square)
    return best if chi_square(best) < first - _CLEARLY else found


def second_solutions(
    equations: AUCEquations,
    theta: FloatArray,
    space: ParameterSpace,
    scale: FloatArray,
    constraints: Constraints,
    is_supported: Callable[[FloatArray], bool],
) -> list[FloatArray]:
    """Look for other θ within the bounds at which the AUCs are 1/2; arguments as for `solve`."""
    pulls, derivative = _whitened(equations, theta, space, constraints)

    def solved(start: FloatArray) -> FloatArray:
        return solve(equations, start, space, scale, stiffness=0.0, constraints=constraints)

    slope = derivative(theta, positive_steps(theta, _STEP * scale, space.low))
    return other_solutions(
        theta, space, pulls=pulls, slope=slope, solve=solved, is_supported=is_supported
    )


def _whitened(
    equations: AUCEquations, at: FloatArray, space: ParameterSpace, constraints: Constraints
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray, FloatArray], FloatArray]]:
    """Return equations and constraints in units of their errors at a θ, and their derivative."""
    covariance = equations.data_covariance + equations.sim_covariance(at)
    whiten = np.linalg.cholesky(np.linalg.inv(_regularised(covariance))).T
    mean, deviation = constraints.arrays(space.names)
    known = np.isfinite(deviation)

    def pulls(theta: FloatArray) -> FloatArray:
        constrained = ((theta - mean) / deviation)[known]
        return np.concatenate([whiten @ equations.residual(theta), constrained])

    def derivative(theta: FloatArray, step: FloatArray) -> FloatArray:
        rows = np.diag(1 / deviation)[known]
        return np.vstack([whiten @ equations.jacobian(theta, step), rows])

    return pulls, derivative


def errors(
    equations: AUCEquations,
    theta: FloatArray,
    step: FloatArray,
    space: ParameterSpace,
    constraints: Constraints = _NOTHING_KNOWN,
) -> tuple[Sources, list[Message]]:
    """Propagate the errors of the equations to θ, by source, and find what they do not fix."""
    width = space.width
    slope = equations.jacobian(theta, step) * width
    by_source = Sources(data=equations.data_covariance, simulation=equations.sim_covariance(theta))
    # These errors set the units in which the equations are solved; that of the weights does not.
    total = _regularised(by_source.total(len(slope)))
    combine = np.asarray(np.linalg.solve(total, slope).T, dtype=np.float64)
    by_source |= equations.weight_covariance(theta)
    scatter, curvature = by_source.propagated(combine), combine @ slope
    if constraints:
        scatter["constraints"] = np.diag((width / constraints.arrays(space.names)[1]) ** 2)
        curvature = curvature + scatter["constraints"]
    return sandwich(curvature, scatter, width, space.names)
