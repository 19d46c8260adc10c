"""How Gaussian knowledge of parameters from elsewhere moves a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .search import SearchResult

__all__ = ["constrain"]


def constrain(
    found: SearchResult, names: Sequence[str], constraints: Mapping[str, tuple[float, float]]
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

    Returns
    -------
    SearchResult
        With the constraints as a further source. Unchanged, with a message, where the fit has no
        finite covariance to combine.
    """
    total = sum(found.sources.values(), np.zeros((len(names), len(names))))
    if not np.isfinite(total).all():
        note = "the constraints are not used: the fit has no finite covariance"
        return replace(found, messages=[*found.messages, note])
    mean, deviation = np.array([constraints.get(name, (0.0, np.inf)) for name in names]).T
    known = np.diag(1 / deviation**2)
    information = np.linalg.inv(total)
    combined = np.linalg.inv(information + known)
    share = combined @ information
    sources = {source: share @ part @ share.T for source, part in found.sources.items()}
    sources["constraints"] = combined @ known @ combined
    theta = combined @ (information @ found.theta + known @ mean)
    return replace(found, theta=theta, sources=sources)
