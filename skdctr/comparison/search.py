"""Searches over θ. Each takes an objective and returns where it is best, with an error."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from skdctr._utils.typing import FloatArray
from skdctr.comparison.objective import ClassifierObjective, Evaluation
from skdctr.parameters.space import ParameterSpace
from skdctr.results.errors import Sources
from skdctr.results.found import Found
from skdctr.results.messages import Message

__all__ = ["distance", "powell", "quadratic_minimum", "scan"]

# (AUC − 1/2)² is a quadratic form of θ up to about here; further out it saturates.
_NEAR_AUC = 0.15
_NEAR_LOSS = 0.05


def ignore(evaluation: Evaluation) -> None:
    """Report to nobody."""


def distance(evaluation: Evaluation, kind: str) -> float:
    """Return what is zero at a perfect match and grows as the square of the distance in θ.

    (AUC − 1/2)² for "auc", log 2 − loss for "loss" (SRGN Eq. 5, B1).
    """
    if kind == "auc":
        return (evaluation.auc - 0.5) ** 2
    return float(np.log(2)) - evaluation.loss


def _quadratic_terms(p: int) -> list[tuple[int, int]]:
    return list(itertools.combinations_with_replacement(range(p), 2))


def quadratic_minimum(
    theta: FloatArray, values: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Fit a quadratic form to values at several θ; return its minimum and the error of that.

    Parameters
    ----------
    theta : ndarray of shape (k, p)
        Where the values were taken.
    values : ndarray of shape (k,)
        Squared distances, all of about the same error.
    scale : ndarray of shape (p,)
        Typical width of each parameter.

    Returns
    -------
    minimum : ndarray of shape (p,)
    covariance : ndarray of shape (p, p)
        From the scatter of the values about the form; NaN where there are no values to spare.
    None where the form has no minimum or there are too few values.
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
    """Fit the form to the evaluations near the best one, to more of them if these do not do."""
    theta = np.stack([evaluation.theta for evaluation in evaluations])
    values = np.array([distance(evaluation, kind) for evaluation in evaluations])
    near = _NEAR_AUC**2 if kind == "auc" else _NEAR_LOSS
    order = np.argsort(values)
    p = theta.shape[1]
    least = 2 + p + len(_quadratic_terms(p))
    n_near = max(int((values[order] < values[order[0]] + near).sum()), least)
    for n_taken in dict.fromkeys((n_near, 2 * n_near, len(order))):
        rows = order[:n_taken]
        found = quadratic_minimum(theta[rows], values[rows], (space.high - space.low) / 4)
        if found is not None and space.contains(found[0]):
            return found
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
) -> Found:
    """Descend by Powell's method within bounds, as the SRGN paper does (caption of Fig. 5).

    Minimises |AUC − 1/2|, or maximises the loss. A descent ends anywhere in the dead zone about
    the minimum; its distance from the minimum of the parabola through all points is the error
    given for that.
    """

    def value(theta: FloatArray) -> float:
        evaluation = objective(space.clip(theta))
        report(evaluation)
        return abs(evaluation.auc - 0.5) if kind == "auc" else -evaluation.loss

    found = minimize(
        value,
        space.clip(space.nominal),
        method="Powell",
        bounds=list(zip(space.low, space.high, strict=True)),
        options={"xtol": tol, "ftol": tol, "maxiter": max_iter, "maxfev": max_evaluations},
    )
    theta = space.clip(np.atleast_1d(found.x))
    parabola = _from_quadratic(objective.evaluations, kind, space)
    sources = Sources()
    if parabola is not None:
        off = theta - parabola[0]
        sources["search"] = parabola[1] + np.outer(off, off)
    messages = [] if found.success else [Message(f"Powell stopped early: {found.message}")]
    return Found(theta, sources, bool(found.success), messages)


def scan(
    objective: ClassifierObjective,
    kind: str,
    space: ParameterSpace,
    *,
    n_points: int = 15,
    n_jobs: int | None = None,
    report: Callable[[Evaluation], Any] = ignore,
) -> Found:
    """Evaluate a grid with `n_points` on each axis; θ is the minimum of the parabola through it.

    Published figures read the lowest point off; the parabola in (AUC − 1/2)² uses the points
    around it, which stand above the noise.
    """
    axes = [np.linspace(a, b, n_points) for a, b in zip(space.low, space.high, strict=True)]
    for evaluation in objective.evaluate_all(list(map(np.array, itertools.product(*axes))), n_jobs):
        report(evaluation)
    parabola = _from_quadratic(objective.evaluations, kind, space)
    if parabola is None:
        best = min(objective.evaluations, key=lambda e: distance(e, kind))
        return Found(
            best.theta,
            Sources(),
            converged=False,
            messages=[Message("no parabola fits the scan: its lowest point is given instead")],
        )
    return Found(parabola[0], Sources(search=parabola[1]), converged=True)
