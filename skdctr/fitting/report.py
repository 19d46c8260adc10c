"""What a fit says beside its numbers: limits reached, weights not to be relied on, θ tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.comparison.objective import Evaluation
from skdctr.exceptions import (
    ConvergenceWarning,
    ExtrapolationWarning,
    IdentifiabilityWarning,
    LowEffectiveSampleSizeWarning,
    ModelMismatchWarning,
    PopulationWarning,
)
from skdctr.parameters.derivatives import positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.results.fit_result import FitResult
from skdctr.weights.event_weights import EventWeights, NetworkWeights

__all__ = [
    "UNKNOWN_WEIGHTS",
    "at_bound",
    "doubtful_weights",
    "mismatch",
    "tried",
    "unknown_weights",
    "warn_of",
]

_LEAST_EFFECTIVE_SHARE = 0.02
# Above it means of so many weights do not settle; arXiv:1507.02646.
_HEAVY_TAIL = 0.7
# p-value of the AUC at θ* below which the fit says that its model fails.
_MISMATCH_BELOW = 1e-4

UNKNOWN_WEIGHTS = "the error of the learned weights"

_CATEGORIES: dict[str, type[Warning] | None] = {
    "not identified": IdentifiabilityWarning,
    "few effective": LowEffectiveSampleSizeWarning,
    "extrapolated": ExtrapolationWarning,
    "another population": PopulationWarning,
    "the model fails": ModelMismatchWarning,
    # A limit of the covariance that holds for every fit of this kind: in the result only.
    UNKNOWN_WEIGHTS: None,
}


def warn_of(messages: Sequence[str]) -> None:
    """Issue the messages of a result as warnings of their categories."""
    for message in messages:
        category: type[Warning] | None = ConvergenceWarning
        for start, known in _CATEGORIES.items():
            if message.startswith(start):
                category = known
        if category is not None:
            warn_user(message, category)


def at_bound(theta: FloatArray, low: FloatArray, high: FloatArray, names: list[str]) -> list[str]:
    """Describe the parameters that ended at a bound."""
    with np.errstate(invalid="ignore"):
        close = 1e-3 * np.where(np.isfinite(high - low), high - low, 0.0)
    close = positive_steps(theta, close, low)
    return [
        f"{name} = {theta[k]:g} is at a bound of [{low[k]:g}, {high[k]:g}]: the best value may lie "
        "outside"
        for k, name in enumerate(names)
        if not low[k] + close[k] < theta[k] < high[k] - close[k]
    ]


def doubtful_weights(
    theta: FloatArray, space: ParameterSpace, n_effective: float, tail_index: float, n_sim: int
) -> list[str]:
    """Say where the weights at θ are not to be relied on."""
    messages = [f"extrapolated: {text}, the trained range" for text in space.outside(theta)]
    if n_effective < _LEAST_EFFECTIVE_SHARE * n_sim:
        messages.append(
            f"few effective events: {n_effective:.0f} of {n_sim} simulated events "
            "carry the weight at θ; simulate closer to the data"
        )
    elif tail_index > _HEAVY_TAIL:
        messages.append(
            "few effective events: the weights at θ have a heavy tail (Pareto index "
            f"{tail_index:.2f}), so that few events decide and the error may be several "
            "times too small; simulate closer to the data"
        )
    return messages


def unknown_weights(weights: EventWeights, sources: Mapping[str, FloatArray]) -> list[str]:
    """Say that the covariance lacks the error of learned weights."""
    if not isinstance(weights, NetworkWeights) or {"generator", "training"} & sources.keys():
        return []
    remedy = "pass a reweighter with n_estimators of 2 or more"
    return [f"{UNKNOWN_WEIGHTS} is not in the covariance: {remedy}"]


def tried(evaluations: list[Evaluation], names: list[str]) -> pd.DataFrame:
    """Tabulate every θ at which a classifier was trained."""
    table = pd.DataFrame(np.stack([e.theta for e in evaluations]), columns=names)
    for column in ("auc", "auc_error", "loss", "effective_sample_size"):
        table[column] = [getattr(e, column) for e in evaluations]
    return table


def mismatch(result: FitResult) -> list[str]:
    """Say that no θ describes the data, where a classifier tells so."""
    if not result.p_value < _MISMATCH_BELOW:
        return []
    text = (
        f"the model fails: AUC = {result.auc:.4f} ± {result.auc_error:.4f} at θ* (p = "
        f"{result.p_value:.1g}{result.expectation()}), so no θ describes the data. "
        "Look at the features with skdctr.plotting.ClosureDisplay"
    )
    return [text]
