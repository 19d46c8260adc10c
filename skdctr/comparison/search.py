"""Searches over θ: each takes an objective and returns the θ where it is best, with an error."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources
from skdctr.results.messages import Message
from skdctr.results.solution import Solution

__all__ = ["distance", "ignore", "powell", "quadratic_minimum", "scan"]

# (AUC − 1/2)² and log 2 − loss are quadratic forms of θ up to about these values of |AUC − 1/2|
# and of log 2 − loss; further out they saturate.
_NEAR_AUC, _NEAR_LOSS = 0.15, 0.05


def ignore(evaluation: Evaluation) -> None:
    """Take a report of an evaluation, and do nothing with it."""


def distance(evaluation: Evaluation, kind: str) -> float:
    """Compute how far data and simulation are apart, as a quadratic form of θ − θ*.

    Returns
    -------
    float
        (AUC − 1/2)² for the kind "auc", log 2 − loss for "loss" (SRGN Eq. 5, B1); zero at a
        perfect match.
    """
    if kind == "auc":
        return (evaluation.auc - 0.5) ** 2
    return float(np.log(2)) - evaluation.loss


def _quadratic_terms(p: int) -> list[tuple[int, int]]:
    """List the pairs of parameters of the terms of second order."""
    return list(itertools.combinations_with_replacement(range(p), 2))


def quadratic_minimum(
    theta: FloatArray, values: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Fit a quadratic form to values at several θ; return its minimum and the error of that.

    Parameters
    ----------
    theta : ndarray of shape (k, p)
        The θ of each value.
    values : ndarray of shape (k,)
        Squared distances, all of about the same error.
    scale : ndarray of shape (p,)
        Typical width of each parameter.

    Returns
    -------
    minimum : ndarray of shape (p,)
        The θ where the form is least.
    covariance : ndarray of shape (p, p)
        Covariance of the minimum by the scatter of the values about the form; NaN where there are
        no values to spare.

    None is returned in place of both where the form has no minimum or there are too few values.
    """
    p = theta.shape[1]
    terms = _quadratic_terms(p)
    centre = theta[np.argmin(values)]
    z = (theta - centre) / scale
    design = np.column_stack(
        [np.ones(len(z)), z, *(z[:, i] * z[:, j] for i, j in terms)],
    )
    if len(z) < design.shape[1]:
        return None
    solution, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    if rank < design.shape[1]:
        return None
    slope, curvature = solution[1 : p + 1], np.zeros((p, p))
    for (i, j), value in zip(terms, solution[p + 1 :], strict=True):
        curvature[i, j] += value
        curvature[j, i] += value
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return None
    inverse = np.linalg.inv(curvature)
    minimum = -inverse @ slope
    spare = len(z) - design.shape[1]
    covariance = np.full((p, p), np.nan)
    if spare > 0:
        residual = values - design @ solution
        errors = np.linalg.inv(design.T @ design) * (residual @ residual / spare)
        # ∂minimum/∂solution, from slope + curvature · minimum = 0.
        jacobian = np.zeros((p, design.shape[1]))
        jacobian[:, 1 : p + 1] = -inverse
        for column, (i, j) in enumerate(terms, start=p + 1):
            derivative = np.zeros((p, p))
            derivative[i, j] += 1
            derivative[j, i] += 1
            jacobian[:, column] = -inverse @ derivative @ minimum
        covariance = jacobian @ errors @ jacobian.T * np.outer(scale, scale)
    return centre + minimum * scale, covariance


def _from_quadratic(
    evaluations: list[Evaluation], kind: str, space: ParameterSpace
) -> tuple[FloatArray, FloatArray] | None:
    """Fit the form to the evaluations near the best one, and to more if that has no minimum."""
    theta = np.stack([evaluation.theta for evaluation in evaluations])
    values = np.array([distance(evaluation, kind) for evaluation in evaluations])
    near = _NEAR_AUC**2 if kind == "auc" else _NEAR_LOSS
    order = np.argsort(values)
    p = theta.shape[1]
    least = 2 + p + len(_quadratic_terms(p))
    n_near = max(int((values[order] < values[order[0]] + near).sum()), least)
    for n_taken in dict.fromkeys((n_near, 2 * n_near, len(order))):
        rows = order[:n_taken]
        parabola = quadratic_minimum(theta[rows], values[rows], (space.high - space.low) / 4)
        if parabola is not None and space.contains(parabola[0]):
            return parabola
    return None


def powell(
    objective: ClassifierObjective,
    kind: str,
    space: ParameterSpace,
    *,
    max_iter: int = 100,
    tol: float = 1e-4,
    max_evaluations: int | None = None,
    report: Callable[[Evaluation], Any] = ignore,
) -> Solution:
    """Descend by Powell's method within bounds, as the SRGN paper does (caption of Fig. 5).

    |AUC − 1/2| is minimised, or the loss maximised. A descent ends anywhere in the dead zone about
    the minimum, so that its distance from the minimum of the parabola through all points is given
    as the error of the search.

    Parameters
    ----------
    objective : ClassifierObjective
        What is evaluated.
    kind : {"auc", "loss"}
        What θ is read from.
    space : ParameterSpace
        The range that is searched, from its nominal θ on.
    max_iter : int
        Iterations at most.
    tol : float
        Relative tolerance in θ and in the function.
    max_evaluations : int or None
        Evaluations at most; None is no limit.
    report : callable
        Told of every evaluation.
    """

    def value(theta: FloatArray) -> float:
        evaluation = objective(space.clip(theta))
        report(evaluation)
        return abs(evaluation.auc - 0.5) if kind == "auc" else -evaluation.loss

    outcome = minimize(
        value,
        space.clip(space.nominal),
        method="Powell",
        bounds=list(zip(space.low, space.high, strict=True)),
        options={"xtol": tol, "ftol": tol, "maxiter": max_iter, "maxfev": max_evaluations},
    )
    theta = space.clip(np.atleast_1d(outcome.x))
    parabola = _from_quadratic(objective.evaluations, kind, space)
    sources = Sources()
    if parabola is not None:
        difference = theta - parabola[0]
        sources["search"] = parabola[1] + np.outer(difference, difference)
    messages = [] if outcome.success else [Message(f"Powell stopped early: {outcome.message}")]
    if not outcome.success:
        return Solution(theta, sources, converged=False, messages=messages)
    unknown = _unknown_error(sources)
    return Solution(theta, sources, not unknown, unknown)


def scan(
    objective: ClassifierObjective,
    kind: str,
    space: ParameterSpace,
    *,
    n_points: int = 15,
    n_jobs: int | None = None,
    report: Callable[[Evaluation], Any] = ignore,
) -> Solution:
    """Evaluate a grid with `n_points` on each axis; θ is the minimum of the parabola through it.

    Published figures read the lowest point off; the parabola in (AUC − 1/2)² uses the points
    around it, which stand above the noise.

    Parameters
    ----------
    objective, kind, report
        As for `powell`.
    space : ParameterSpace
        The range of the grid.
    n_points : int
        Grid points on each axis.
    n_jobs : int or None
        Processes; None is one, or the backend of ``joblib.parallel_config``.
    """
    axes = [np.linspace(a, b, n_points) for a, b in zip(space.low, space.high, strict=True)]
    for evaluation in objective.evaluate_all(list(map(np.array, itertools.product(*axes))), n_jobs):
        report(evaluation)
    parabola = _from_quadratic(objective.evaluations, kind, space)
    if parabola is None:
        best = min(objective.evaluations, key=lambda e: distance(e, kind))
        return Solution(
            best.theta,
            Sources(),
            converged=False,
            messages=[Message("no parabola fits the scan: its lowest point is given instead")],
        )
    sources = Sources(search=parabola[1])
    unknown = _unknown_error(sources)
    return Solution(parabola[0], sources, not unknown, unknown)


def _unknown_error(sources: Sources) -> list[Message]:
    """Say where the error of a search is not known, and how to know it."""
    if "search" in sources and np.isfinite(sources["search"]).all():
        return []
    return [
        Message(
            "the error of the search is not known, as there are no more evaluations than a "
            "parabola needs: raise n_points, max_evaluations, or take search='surrogate'"
        )
    ]
