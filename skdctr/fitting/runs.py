"""Runs of a fit with different seeds, combined to one result by the papers' rule for outliers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.observable.equation import EstimatingEquation
from skdctr.parameters.space import ParameterSpace
from skdctr.results.columns import columns_beside
from skdctr.results.covariance import Sources
from skdctr.results.fit_result import FitResult
from skdctr.results.messages import UNKNOWN_WEIGHTS, Message

__all__ = ["Run", "combine_runs", "outliers"]


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a fit.

    Attributes
    ----------
    result : FitResult
        Its result.
    scan : DataFrame
        Every θ at which it trained classifiers.
    reweighter : reweighter
        The fitted reweighter that it used.
    space : ParameterSpace
        The range that it searched.
    equation : EstimatingEquation or None
        The equations that its θ solves, where there are some and they are kept.
    trained_reweighter : bool
        Whether it trained the reweighter itself.
    """

    result: FitResult
    scan: pd.DataFrame
    reweighter: Any
    space: ParameterSpace
    equation: EstimatingEquation | None
    trained_reweighter: bool = False


def outliers(theta: FloatArray, space: ParameterSpace) -> NDArray[np.bool_]:
    """Mark the runs outside 2σ of the mean and those within 5% of the range of a bound.

    Parameters
    ----------
    theta : ndarray of shape (n_runs, p)
        Fitted values.
    space : ParameterSpace
        The range that was searched.

    Returns
    -------
    ndarray of bool of shape (n_runs,)

    References
    ----------
    SRGN, Sec. III.A, below Fig. 4.
    """
    low, high = space.low, space.high
    with np.errstate(invalid="ignore"):
        margin = np.where(np.isfinite(high - low), 0.05 * (high - low), 0.0)
    at_bound = np.asarray(((theta < low + margin) | (theta > high - margin)).any(axis=1))
    inside = theta[~at_bound]
    if len(inside) < 3:
        return at_bound
    far = np.abs(theta - inside.mean(axis=0)) > 2 * inside.std(axis=0, ddof=1)
    marked: NDArray[np.bool_] = at_bound | far.any(axis=1)
    return marked


def _table_of_runs(results: list[FitResult], rejected: NDArray[np.bool_]) -> pd.DataFrame:
    """Tabulate runs: parameters, errors, auc, converged, outlier."""
    names = results[0].names
    runs = pd.DataFrame(np.stack([result.theta for result in results]), columns=names)
    errors = [f"{name}_error" for name in names]
    column = columns_beside(names, [*errors, "auc", "converged", "outlier"])
    for k, error in enumerate(errors):
        runs[column[error]] = [result.errors[k] for result in results]
    runs[column["auc"]] = [result.auc for result in results]
    runs[column["converged"]] = [result.converged for result in results]
    runs[column["outlier"]] = rejected
    return runs


def combine_runs(
    results: list[FitResult], space: ParameterSpace, *, trained_weights: bool
) -> tuple[FitResult, pd.DataFrame]:
    """Average the runs that are no outliers; their spread is the error of training.

    Validity and messages are those of the averaged runs; only evaluations are counted over all.

    Parameters
    ----------
    results : list of FitResult
        Result of each run.
    space : ParameterSpace
        The range that was searched.
    trained_weights : bool
        Whether each run has trained weights of its own, so that the spread has their error in it.

    Returns
    -------
    result : FitResult
        The combined result, or that of a single run.
    runs : DataFrame
        One row per run: parameters, errors, auc, converged, outlier.
    """
    names = results[0].names
    theta = np.stack([result.theta for result in results])
    rejected = outliers(theta, space) if len(results) > 1 else np.zeros(1, dtype=bool)
    runs = _table_of_runs(results, rejected)
    if len(results) == 1:
        return results[0], runs
    none_left = bool(rejected.all())
    if none_left:
        rejected = np.zeros(len(results), dtype=bool)
    kept = [result for result, out in zip(results, rejected, strict=True) if not out]
    # Messages of a run that is left out say nothing of the result; `runs` tells of that run.
    messages = sorted({message for result in kept for message in result.messages})
    if none_left:
        messages.append(Message("every run is an outlier: their plain mean is given"))
    if rejected.any():
        text = f"{int(rejected.sum())} of {len(results)} runs are outliers, left out"
        messages.append(Message(text))
    averaged = theta[~rejected]
    sources = Sources(
        (source, np.mean([result.sources[source] for result in kept], axis=0))
        for source in kept[0].sources
        if all(source in result.sources for result in kept)
    )
    if len(averaged) > 1:
        spread = np.atleast_2d(np.cov(averaged.T)) / len(averaged)
        if trained_weights:
            # The spread has the error of the weights that single runs do not know.
            if UNKNOWN_WEIGHTS in messages:
                messages.remove(UNKNOWN_WEIGHTS)
                sources.pop("generator", None)
        elif "training" in sources:
            spread = spread + sources["training"]
        sources["training"] = spread
    unknown = np.full((len(names), len(names)), np.nan)
    combined = replace(
        kept[0],
        theta=averaged.mean(axis=0),
        sources=sources,
        covariance=sources.total(len(names)) if sources else unknown,
        auc=float(np.mean([result.auc for result in kept])),
        auc_error=float(np.mean([result.auc_error for result in kept])),
        expected_auc=float(np.mean([result.expected_auc for result in kept])),
        n_evaluations=sum(result.n_evaluations for result in results),
        effective_sample_size=float(np.mean([r.effective_sample_size for r in kept])),
        converged=all(result.converged for result in kept),
        messages=messages,
    )
    return combined, runs
