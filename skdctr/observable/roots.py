"""Other solutions of the estimating equation within the range, beside the one that was found."""

from __future__ import annotations

import numpy as np

from skdctr._utils.linear import whitening
from skdctr._utils.typing import FloatArray
from skdctr.observable.equation import EstimatingEquation
from skdctr.parameters.other_solutions import other_solutions

__all__ = ["other_roots"]


def other_roots(equation: EstimatingEquation, theta: FloatArray) -> list[FloatArray]:
    """Look for solutions of U(θ) = 0 within the bounds that are not the one at hand.

    Parameters
    ----------
    equation : EstimatingEquation
        U(θ).
    theta : ndarray of shape (p,)
        The solution at hand.

    Returns
    -------
    list of ndarray of shape (p,)
        Values of θ near other solutions; empty where none was found or a bound is infinite.
    """
    problem = equation.problem
    whiten = whitening(equation.covariance(theta).total(len(theta)))
    mean, inverse_deviation = problem.knowledge()
    known = inverse_deviation > 0

    def pulls(point: FloatArray) -> FloatArray:
        constraints = ((point - mean) * inverse_deviation)[known]
        return np.concatenate([whiten @ equation(point), constraints])

    return other_solutions(
        theta,
        problem.space,
        pulls=pulls,
        slope=np.vstack([whiten @ equation.jacobian(theta), np.diag(inverse_deviation)[known]]),
        solve=equation.solve,
        is_supported=equation.is_supported,
    )
