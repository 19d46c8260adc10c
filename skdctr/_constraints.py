"""Gaussian knowledge of parameters from elsewhere, and how it moves a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ._validation import ParameterSpace, did_you_mean
from .search import SearchResult

__all__ = ["check_constraints", "constrain"]


def check_constraints(
    constraints: Mapping[Any, Any] | None, space: ParameterSpace
) -> dict[str, tuple[float, float]]:
    """Read constraints by parameter name.

    Returns
    -------
    dict of str to (float, float)
        Mean and standard deviation.

    Raises
    ------
    ValueError
        If a name is unknown, or a value is not a finite mean with a positive finite deviation.
    """
    checked = {}
    for name, pair in (constraints or {}).items():
        if name not in space.names:
            raise ValueError(
                f"constraints names an unknown parameter {name!r}; "
                + did_you_mean(name, space.names)
            )
        values = np.asarray(pair, dtype=np.float64) if not isinstance(pair, str) else np.empty(0)
        if values.shape != (2,) or not np.isfinite(values).all() or not values[1] > 0:
            raise ValueError(
                f"constraints[{name!r}]={pair!r}; expected (mean, standard deviation), both "
                "finite, the latter positive."
            )
        checked[name] = (float(values[0]), float(values[1]))
    return checked


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
