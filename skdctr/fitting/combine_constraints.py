"""Combination of a fit with Gaussian constraints on parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import lsq_linear

from skdctr.parameters.constraints import Constraints
from skdctr.parameters.space import ParameterSpace
from skdctr.results.messages import Message
from skdctr.results.solution import Solution

__all__ = ["constrain"]


def constrain(found: Solution, space: ParameterSpace, constraints: Constraints) -> Solution:
    """Combine a fit with constraints, by their covariances.

    Parameters
    ----------
    found : Solution
        The fit, with its covariance by source.
    space : ParameterSpace
        Names and bounds of θ.
    constraints : Constraints
        Mean and standard deviation of some parameters.

    Returns
    -------
    Solution
        The combined fit, whose covariance has the constraints as a further source. Where the fit
        has no finite covariance to combine, it is unchanged but for a message.
    """
    total = found.sources.total(len(space))
    if not np.isfinite(total).all():
        note = Message(
            "the constraints are not used: the fit has no finite covariance; "
            'objective="optimal_observable" has them in its equations'
        )
        return replace(found, messages=[*found.messages, note])
    mean, deviation = constraints.arrays(space.names)
    constraint = np.diag(1 / deviation**2)
    information = np.linalg.inv(total)
    combined = np.linalg.inv(information + constraint)
    sources = found.sources.propagated(combined @ information)
    sources["constraints"] = combined @ constraint @ combined
    theta = combined @ (information @ found.theta + constraint @ mean)
    if not space.contains(theta):
        # The least χ² within bounds is that of a linear least-squares problem.
        root = np.linalg.cholesky(information).T
        terms = np.vstack([root, np.sqrt(constraint)])
        values = [root @ found.theta, mean / deviation]
        bounded = lsq_linear(terms, np.concatenate(values), bounds=(space.low, space.high))
        theta = space.clip(bounded.x)
    return replace(found, theta=theta, sources=sources)
