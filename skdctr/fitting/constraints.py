"""How Gaussian knowledge of parameters from elsewhere moves a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import lsq_linear

from skdctr._utils.typing import FloatArray
from skdctr.comparison.search import SearchResult

__all__ = ["constrain"]


def constrain(
    found: SearchResult,
    names: Sequence[str],
    constraints: Mapping[str, tuple[float, float]],
    low: FloatArray,
    high: FloatArray,
) -> SearchResult:
    """Combine a fit with what is known beforehand, by their covariances.

    Parameters
    ----------
    found : SearchResult
        The fit, with its covariance by source.
    names : sequence of str
        Names of the parameters.
    constraints : mapping of str to (float, float)
        Mean and standard deviation.
    low, high : ndarray of shape (p,)
        Bounds of θ.

    Returns
    -------
    SearchResult
        With the constraints as a further source. Unchanged, with a message, where the fit has no
        finite covariance to combine.
    """
    total = sum(found.sources.values(), np.zeros((len(names), len(names))))
    if not np.isfinite(total).all():
        note = (
            "the constraints are not used: the fit has no finite covariance; "
            'objective="optimal_observable" has them in its equations'
        )
        return replace(found, messages=[*found.messages, note])
    mean, deviation = np.array([constraints.get(name, (0.0, np.inf)) for name in names]).T
    known = np.diag(1 / deviation**2)
    information = np.linalg.inv(total)
    combined = np.linalg.inv(information + known)
    share = combined @ information
    sources = {source: share @ part @ share.T for source, part in found.sources.items()}
    sources["constraints"] = combined @ known @ combined
    theta = combined @ (information @ found.theta + known @ mean)
    if ((theta < low) | (theta > high)).any():
        root = np.linalg.cholesky(information).T
        terms, values = np.vstack([root, np.sqrt(known)]), [root @ found.theta, mean / deviation]
        theta = lsq_linear(terms, np.concatenate(values), bounds=(low, high)).x.clip(low, high)
    return replace(found, theta=theta, sources=sources)
