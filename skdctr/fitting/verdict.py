"""The result of a fit, made from θ* and its covariance, with what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skdctr._utils.numbers import format_apart
from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation
from skdctr.exceptions import (
    ExtrapolationWarning,
    LowEffectiveSampleSizeWarning,
    ModelMismatchWarning,
)
from skdctr.metrics import effective_sample_size, pareto_tail_index
from skdctr.parameters.derivatives import positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.results.columns import scan_columns
from skdctr.results.covariance import Sources
from skdctr.results.fit_result import FitResult
from skdctr.results.messages import UNKNOWN_WEIGHTS, Message
from skdctr.results.solution import Solution

__all__ = ["Quality", "conclude", "doubtful_weights", "table_of_evaluations"]

# Effective share of the simulated events below which the weights at θ are doubtful.
_LEAST_EFFECTIVE_SHARE = 0.02
# Pareto index of the tail of the weights above which their mean does not settle with the usual
# numbers of events; arXiv:1507.02646.
_HEAVY_TAIL = 0.7
# p-value of the AUC at θ* below which the fit says that its model fails.
_MISMATCH_BELOW = 1e-4


@dataclass(frozen=True)
class Quality:
    """The quality of a fit at θ*.

    Attributes
    ----------
    n_simulated : int
        Number of simulated events.
    effective_sample_size, tail_index : float
        Effective number of simulated events at θ*, and the Pareto index of the tail of their
        weights.
    auc, auc_error, expected_auc : float
        As in `FitResult`; NaN, NaN and 0.5 for fits without a classifier.
    """

    n_simulated: int
    effective_sample_size: float
    tail_index: float
    auc: float = float("nan")
    auc_error: float = float("nan")
    expected_auc: float = 0.5

    @classmethod
    def of_classifiers(cls, final: Evaluation, objective: ClassifierObjective) -> Quality:
        """Judge a fit by the classifiers that were trained at θ*.

        Parameters
        ----------
        final : Evaluation
            The evaluation at θ*.
        objective : ClassifierObjective
            The objective that it comes from.
        """
        return cls(
            n_simulated=len(objective.sim_weight),
            effective_sample_size=final.effective_sample_size,
            tail_index=final.tail_index,
            auc=final.auc,
            # Where nothing can be learned the folds' classifiers learn each other's fluctuation:
            # their AUCs go together, and averaging them gains nothing.
            auc_error=final.auc_error * math.sqrt(objective.n_folds),
            expected_auc=objective.expected_auc(final.theta),
        )

    @classmethod
    def of_weights(cls, weight: FloatArray) -> Quality:
        """Judge weights alone, (n,)."""
        return cls(len(weight), effective_sample_size(weight), pareto_tail_index(weight))


def conclude(
    found: Solution,
    space: ParameterSpace,
    trained: ParameterSpace,
    quality: Quality,
    *,
    exact: bool,
    unsupported: Sequence[Message] = (),
    **further: Any,
) -> FitResult:
    """Make the result of a fit, with the messages that speak against it.

    Parameters
    ----------
    found : Solution
        θ*, its covariance by source, and what speaks against it.
    space, trained : ParameterSpace
        The range that was searched, and the one that the weights were trained in.
    quality : Quality
        Quality of the fit at θ*.
    exact : bool
        Whether the weights are those of a formula, which has no error.
    unsupported : sequence of Message
        Where the simulation has no events that the data have.
    **further
        Further attributes of the result: `n_evaluations`, `n_events` and `method`.

    Returns
    -------
    FitResult
    """
    limits = _at_bound(found.theta, space)
    doubts = doubtful_weights(found.theta, trained, quality)
    unknown = not exact and not {"generator", "training"} & found.sources.keys()
    sources = found.sources
    if unknown:
        sources = Sources({**sources, "generator": np.full((len(found.theta),) * 2, np.nan)})
    result = FitResult(
        theta=found.theta,
        names=list(space.names),
        covariance=sources.total(len(found.theta)),
        sources=sources,
        auc=quality.auc,
        auc_error=quality.auc_error,
        expected_auc=quality.expected_auc,
        effective_sample_size=quality.effective_sample_size,
        converged=found.converged and not limits,
        messages=[
            *found.messages,
            *([UNKNOWN_WEIGHTS] if unknown else []),
            *limits,
            *doubts,
            *unsupported,
        ],
        **further,
    )
    # Where the search failed, this is the reason of a large AUC.
    failures = _mismatch(result) if result.valid else []
    return replace(result, messages=[*result.messages, *failures])


def _at_bound(theta: FloatArray, space: ParameterSpace) -> list[Message]:
    """Describe the parameters that ended at a bound."""
    low, high = space.low, space.high
    with np.errstate(invalid="ignore"):
        close = 1e-3 * np.where(np.isfinite(high - low), high - low, 0.0)
    close = positive_steps(theta, close, low)
    messages = []
    for k, name in enumerate(space.names):
        if not low[k] + close[k] < theta[k] < high[k] - close[k]:
            value, least, most = format_apart(theta[k], low[k], high[k])
            messages.append(
                Message(
                    f"{name} = {value} is at a bound of [{least}, {most}]: the best value may lie "
                    "outside"
                )
            )
    return messages


def doubtful_weights(theta: FloatArray, trained: ParameterSpace, quality: Quality) -> list[Message]:
    """Make the messages that tell why the weights at θ are not to be relied on.

    Parameters
    ----------
    theta : ndarray of shape (p,)
        The θ of the weights.
    trained : ParameterSpace
        The range that the weights were trained in.
    quality : Quality
        Effective sample size and tail of the weights.

    Returns
    -------
    list of Message
        Empty where all is well.
    """
    messages = [
        Message(f"extrapolated: {text}, the trained range", ExtrapolationWarning)
        for text in trained.outside(theta)
    ]
    if quality.effective_sample_size < _LEAST_EFFECTIVE_SHARE * quality.n_simulated:
        text = (
            f"few effective events: {quality.effective_sample_size:.0f} of {quality.n_simulated} "
            "simulated events carry the weight at θ; simulate closer to the data"
        )
        messages.append(Message(text, LowEffectiveSampleSizeWarning))
    elif quality.tail_index > _HEAVY_TAIL:
        text = (
            "few effective events: the weights at θ have a heavy tail (Pareto index "
            f"{quality.tail_index:.2f}), so that few events decide and the error may be several "
            "times too small; simulate closer to the data"
        )
        messages.append(Message(text, LowEffectiveSampleSizeWarning))
    return messages


def _mismatch(result: FitResult) -> list[Message]:
    """Make the message that no θ describes the data, where the AUC tells so."""
    if not result.p_value < _MISMATCH_BELOW:
        return []
    text = (
        f"the model fails: AUC = {result.auc:.4f} ± {result.auc_error:.4f} at θ* (p = "
        f"{result.p_value:.1g}{result.expectation()}), so no θ describes the data. "
        "Look at the features with skdctr.plotting.ClosureDisplay"
    )
    return [Message(text, ModelMismatchWarning)]


def table_of_evaluations(evaluations: list[Evaluation], names: list[str]) -> pd.DataFrame:
    """Tabulate every θ at which a classifier was trained.

    Parameters
    ----------
    evaluations : list of Evaluation
        The evaluations, one for each row.
    names : list of str
        Names of the parameters.

    Returns
    -------
    DataFrame
        Columns: the parameters, auc, auc_error, loss, effective_sample_size.
    """
    table = pd.DataFrame(np.stack([e.theta for e in evaluations]), columns=names)
    column = scan_columns(names)
    for what in ("auc", "auc_error", "loss", "effective_sample_size"):
        table[column[what]] = [getattr(e, what) for e in evaluations]
    return table
