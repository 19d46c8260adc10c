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
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from skdctr._utils.typing import FloatArray
from skdctr.comparison.objective import ClassifierObjective, Evaluation, Placements
from skdctr.comparison.search import distance, ignore, quadratic_minimum
from skdctr.metrics import effective_sample_size
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.results.errors import Sources, sandwich
from skdctr.results.found import Found
from skdctr.results.messages import Message
from skdctr.weights.error import mean_covariance

__all__ = ["NEAREST", "statistical_errors", "surrogate"]

# Distance of the design points from the estimate, in units of the width of the score: near enough
# for the classifier to be the locally best one, far enough for it to learn something.
_RADIUS = 0.4
# |AUC − 1/2| that classifiers learn well above.
_CLOSE = 0.04
_LEAST_SHARE = 0.01
_STEP = 1e-2
# Classifiers per parameter that the errors of a search are read from.
NEAREST = 4


class _Equations:
    """AUC_i(θ) − 1/2 of several trained classifiers, as functions of θ, with their covariance."""

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
    """Put the placements of k classifiers side by side, (n, k), in double precision for sums."""
    return np.stack(placements, axis=1, dtype=np.float64)


def _covariance(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Covariance of weighted means, the weights' fluctuation included."""
    centred = (values - np.average(values, axis=0, weights=weight)) * weight[:, None]
    covariance: FloatArray = centred.T @ centred / weight.sum() ** 2
    return covariance


def _regularised(covariance: FloatArray) -> FloatArray:
    """Keep classifiers that look the same way from being played off against each other.

    Their covariance is nearly singular, and their difference is training noise.
    """
    mean = np.trace(covariance) / len(covariance)
    return covariance + 0.05 * mean * np.eye(len(covariance))


def _solve(
    equations: _Equations,
    start: FloatArray,
    space: ParameterSpace,
    scale: FloatArray,
    stiffness: float,
    max_steps: int = 50,
) -> FloatArray:
    """Find the θ that brings all AUCs nearest to 1/2, in units of their errors.

    A weak pull to the start keeps parameters in place that no classifier has looked at yet.
    """
    covariance = equations.data_covariance + equations.sim_covariance(start)
    whiten = np.linalg.cholesky(np.linalg.inv(_regularised(covariance))).T

    p = len(start)

    def target(z: FloatArray) -> FloatArray:
        residual = whiten @ equations.residual(start + z * scale)
        return np.concatenate([residual, stiffness * z])

    def slope(z: FloatArray) -> FloatArray:
        # Steps far above the resolution of log-weights in single precision.
        theta = start + z * scale
        derivative = equations.jacobian(theta, positive_steps(theta, _STEP * scale, space.low))
        return np.vstack([whiten @ derivative * scale, stiffness * np.eye(p)])

    inside_low, inside_high = (space.low - start) / scale, (space.high - start) / scale
    found = least_squares(
        target,
        np.clip(np.zeros(p), inside_low, inside_high),
        jac=slope,
        bounds=(inside_low - 1e-12, inside_high + 1e-12),
        xtol=1e-6,
        max_nfev=max_steps,
    )
    return space.clip(start + found.x * scale)


def _information(objective: ClassifierObjective, theta: FloatArray, step: FloatArray) -> FloatArray:
    """Fisher information per generator-level event, (p, p), by differences of the log-weights."""
    weight = objective.sim_weights(theta, coarse=True)
    t = central_differences(partial(objective.log_weights, coarse=True), theta, step)
    t = t - np.average(t, axis=0, weights=weight)
    information: FloatArray = (t * weight[:, None]).T @ t / weight.sum()
    return information


def _directions(information: FloatArray, width: FloatArray) -> FloatArray:
    """Find steps of unit distance along the axes of an information matrix, as columns (p, p)."""
    scaled = information * np.outer(width, width)
    values, vectors = np.linalg.eigh(scaled)
    lengths = 1 / np.sqrt(np.maximum(values, 1.0 / 4))
    return width[:, None] * vectors * lengths


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


def surrogate(
    objective: ClassifierObjective,
    kind: str,
    space: ParameterSpace,
    *,
    max_evaluations: int,
    report: Callable[[Evaluation], Any] = ignore,
) -> Found:
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
    p = len(space)
    width = space.width

    def steps(theta: FloatArray) -> FloatArray:
        return positive_steps(theta, _STEP * width / 10, space.low)

    def evaluate(point: FloatArray) -> Evaluation:
        evaluation = objective(point)
        report(evaluation)
        return evaluation

    def spent() -> bool:
        return len(objective.evaluations) >= max_evaluations

    theta = space.clip(space.nominal)
    taken = [evaluate(theta)]
    directions = _directions(_information(objective, theta, steps(theta)), width)
    scale = np.sqrt((directions**2).sum(axis=1))
    while not spent() and len(taken) < 3 + 2 * p:
        equations = _Equations(objective, taken, coarse=True)
        proposal = _solve(equations, theta, space, scale, stiffness=1.0)
        previous, theta = theta, _reachable(objective, theta, proposal - theta, space)
        if len(taken) >= p and abs(taken[-1].auc - 0.5) < _CLOSE:
            break
        if np.allclose(previous, theta, rtol=0, atol=1e-6 * width):
            break
        taken.append(evaluate(theta))

    sources = Sources()
    messages: list[Message] = []
    converged = False
    design: list[Evaluation] = []
    while not converged:
        directions = _directions(_information(objective, theta, steps(theta)), width)
        scale = np.sqrt((directions**2).sum(axis=1))
        points = _design(directions, crossed=kind == "loss")
        if len(objective.evaluations) + len(points) > max_evaluations:
            break
        reached = (_reachable(objective, theta, point, space) for point in points)
        design = [evaluate(point) for point in reached]
        equations = _Equations(objective, design)
        before = theta
        rough = _Equations(objective, design, coarse=True)
        theta = _solve(rough, theta, space, scale, stiffness=1e-3)
        theta = _solve(equations, theta, space, scale, stiffness=1e-3, max_steps=4)
        sources, messages = _errors(equations, theta, steps(theta), width, objective.names)
        converged = bool((np.abs(theta - before) < _RADIUS / 2 * scale).all())
    if not design:
        equations = _Equations(objective, taken)
        sources, messages = _errors(equations, theta, steps(theta), width, objective.names)
    if not converged:
        messages.append(
            Message(
                f"θ still moved after {len(objective.evaluations)} evaluations: raise "
                "max_evaluations"
            )
        )
    if kind == "loss":
        points_seen = design or taken
        found = quadratic_minimum(
            np.stack([e.theta for e in points_seen]),
            np.array([distance(e, kind) for e in points_seen]),
            scale,
        )
        if found is None or not space.contains(found[0]):
            messages.append(Message("the loss has no maximum within reach: θ is that of the AUC"))
            converged = False
        else:
            theta = found[0]
            sources = Sources(sources, search=found[1])
    return Found(theta, sources, converged, messages)


def statistical_errors(
    objective: ClassifierObjective, theta: FloatArray, space: ParameterSpace
) -> tuple[Sources, list[Message]]:
    """Compute the errors of data, simulation and weights, from the classifiers trained near θ.

    For searches that read θ off the AUC or the loss itself. The objective must have kept the
    placements of `NEAREST` evaluations per parameter at least.

    Returns
    -------
    sources : Sources
        Covariance by source.
    messages : list of Message
        What is not identified.
    """
    p = len(theta)
    width = space.width
    step = positive_steps(theta, _STEP * width / 10, space.low)
    information = _information(objective, theta, step)

    def away(evaluation: Evaluation) -> float:
        off = evaluation.theta - theta
        return float(off @ information @ off)

    # In the dead zone a classifier has learned noise; far away, another observable.
    kept = [e for e in objective.evaluations if e.has_placements]
    learned = [e for e in kept if e.has_learned]
    near = sorted(learned if len(learned) >= p else kept, key=away)[: NEAREST * p]
    return _errors(_Equations(objective, near), theta, step, width, objective.names)


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
    # The equations are solved in units of these; the error of the weights goes with them.
    total = _regularised(by_source.total(len(slope)))
    combine = np.asarray(np.linalg.solve(total, slope).T, dtype=np.float64)
    by_source |= equations.weight_covariance(theta)
    return sandwich(combine @ slope, by_source.propagated(combine), width, names)


def _design(directions: FloatArray, *, crossed: bool) -> list[FloatArray]:
    """List the steps of a design: both ways along each axis; crossed, also between axes and far."""
    axes = list(directions.T)
    radii = [_RADIUS]
    if crossed:
        axes += [(a + b) / np.sqrt(2) for a, b in itertools.combinations(axes, 2)]
        radii.append(2 * _RADIUS)
    return [sign * radius * axis for radius in radii for axis in axes for sign in (1.0, -1.0)]
