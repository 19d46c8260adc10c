"""What speaks against a fit because the simulation has no events where the data lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier_objective import Evaluation
from skdctr.events.validation import feature_labels
from skdctr.exceptions import SupportWarning
from skdctr.fitting.samples import Samples
from skdctr.results.messages import Message
from skdctr.weights.event_weights import EventWeights
from skdctr.weights.missing_share import find_missing_share, missing_in_words

__all__ = ["unsupported_by_classifier", "unsupported_by_weights"]

_CURE = "simulate at a θ₀ whose events cover the data, or more events"


def unsupported_by_classifier(
    samples: Samples, weight: FloatArray, reweighter: Any, final: Evaluation
) -> list[Message]:
    """Look for data where the simulation has no events, with the classifiers of θ*.

    Parameters
    ----------
    samples : Samples
        Simulation and data.
    weight : ndarray of shape (n,)
        Weights of the reconstructed simulated events at θ*, up to a common factor.
    reweighter : reweighter
        The fitted reweighter that the weights come from.
    final : Evaluation
        The evaluation at θ*.

    Returns
    -------
    list of Message
        One message; empty where nothing is missing, or the classifiers are not kept.
    """
    # Behind a detector, what is missing at generator level may be smeared over.
    lacking = reweighter.unsupported(final.theta)
    if lacking:
        return [_message(lacking)]
    if not final.has_placements:
        return []
    return _judge(
        samples.reconstructed(),
        final.data_placement.astype(np.float64),
        # The rank that a simulated event would have among the data.
        1.0 - final.sim_placement.astype(np.float64),
        weight,
    )


def unsupported_by_weights(
    samples: Samples, sim: EventWeights, data: EventWeights, theta: FloatArray
) -> list[Message]:
    """Look for data where the simulation has no events, with the weights of both at θ*.

    Parameters
    ----------
    samples : Samples
        Simulation and data on one level.
    sim, data : EventWeights
        Log-weights of both.
    theta : ndarray of shape (p,)
        θ*.

    Returns
    -------
    list of Message
        One message; empty where nothing is missing.
    """
    return _judge(samples, data.log_weights(theta), sim.log_weights(theta))


def _judge(
    samples: Samples,
    data_score: FloatArray,
    sim_score: FloatArray,
    weight: FloatArray | None = None,
) -> list[Message]:
    """Look for data that score higher than all but a few simulated events."""
    missing = find_missing_share(data_score, sim_score, samples.data_weight, weight)
    if missing is None:
        return []
    names = feature_labels(samples.data, samples.columns)
    words = missing_in_words(missing, samples.data, samples.sim, names, which="the simulation")
    return [_message(f"of the data, {words}")]


def _message(lacking: str) -> Message:
    return Message(f"no common support: {lacking}; {_CURE}", SupportWarning)
