"""Scoring of a reweighter, where nominal events are paired with θ of training events."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skdctr._utils.numbers import format_apart
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.support import FeatureRange
from skdctr.exceptions import ExtrapolationWarning
from skdctr.parameters.space import ParameterSpace
from skdctr.weights.event_weights import EventWeights

__all__ = ["ThetaPool", "check_scored", "mean_log_likelihood", "representative_theta"]

# Largest number of values of θ of training events that are kept, as they are saved with the
# reweighter.
_POOL_ROWS = 4096
_CURE = (
    "In cross-validation shuffle the events, cv=KFold(shuffle=True), or split them by "
    "class, cv=list(StratifiedKFold(shuffle=True).split(X, is_nominal))."
)


class ThetaPool(NamedTuple):
    """Values of θ of training events that other events are paired with.

    Attributes
    ----------
    rows : ndarray of shape (m, p)
        The values, m ≤ 4096.
    sign : ndarray of shape (m,)
        The sign of each row's weight, times the number that gives the signs of the whole sample a
        mean of 1.
    """

    rows: FloatArray
    sign: FloatArray


def check_scored(
    theta: FloatArray, space: ParameterSpace, nominal: FloatArray | None, n_trained: int
) -> None:
    """Refuse rows of one class, and warn of θ that the reweighter was not trained on.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        Parameters of the events to be scored.
    space : ParameterSpace
        Names and trained range of the parameters.
    nominal : ndarray of shape (p,), or None
        Nominal θ₀; None where the reference is the mixture of all θ.
    n_trained : int
        Number of training events.

    Raises
    ------
    ValueError
        If all events are of one class.

    Warns
    -----
    ExtrapolationWarning
        If more θ lie outside of the trained range than by chance.
    """
    classes = theta if nominal is None else (theta == nominal).all(axis=1)
    if (classes == classes[0]).all():
        which = f"at θ = {theta[0].tolist()}"
        if nominal is not None:
            which = "nominal" if classes[0] else "varied"
        raise ValueError(
            f"y: All {len(theta)} events to be scored are {which}: of one class alone the "
            f"cross-entropy does not tell how well the two are told apart. {_CURE}"
        )
    for k, n_outside in FeatureRange(space.low, space.high, n_trained).beyond_chance(theta):
        low, high = format_apart(space.low[k], space.high[k])
        warn_user(
            f"{n_outside} of {len(theta)} events to be scored have {space.names[k]} outside "
            f"the trained range [{low}, {high}]. {_CURE}",
            ExtrapolationWarning,
        )


def mean_log_likelihood(
    weights: EventWeights,
    theta: FloatArray,
    sample_weight: FloatArray,
    pool: ThetaPool,
    *,
    nominal: FloatArray | None,
    prior_logit: float,
) -> float:
    """Compute minus the weighted cross-entropy of the classifier that the weights stand for.

    Parameters
    ----------
    weights : EventWeights
        Log-weights of n events.
    theta : ndarray of shape (n, p)
        The parameters that each event was generated with.
    sample_weight : ndarray of shape (n,)
        Event weights.
    pool : ThetaPool
        Values of θ, of which nominal events are given one each, in a fixed order.
    nominal : ndarray of shape (p,), or None
        Nominal θ₀. None where the reference is the mixture of all θ: the classifier then tells
        each event's own θ from one of the pool.
    prior_logit : float
        Logarithm of the ratio of the two classes' total weights in training, varied over nominal.
    """
    drawn = np.random.default_rng(0).integers(len(pool.rows), size=len(theta))
    paired, sign = pool.rows[drawn], pool.sign[drawn]
    if nominal is None:
        # log w is that of r(x, θ) against the mixture of all θ, which drops out of the difference.
        margin = weights.log_weights(theta) - weights.log_weights(paired)
        return float(-np.average(np.logaddexp(0, -margin), weights=sample_weight * sign))
    varied = (theta != nominal).any(axis=1)
    logit = weights.log_weights(np.where(varied[:, None], theta, paired)) + prior_logit
    loss = np.logaddexp(0, np.where(varied, -logit, logit))
    return float(-np.average(loss, weights=np.where(varied, sample_weight, sample_weight * sign)))


def representative_theta(theta: FloatArray, weight: FloatArray) -> ThetaPool:
    """Choose rows of θ evenly through a sample, by the size of their weights.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        The sample.
    weight : ndarray of shape (n,)
        Weights, whose sum is positive.

    Returns
    -------
    ThetaPool
    """
    cumulative = np.abs(weight).cumsum()
    n_rows = min(_POOL_ROWS, len(theta))
    middles = (np.arange(n_rows) + 0.5) / n_rows * cumulative[-1]
    rows = np.searchsorted(cumulative, middles).clip(max=len(theta) - 1)
    sign = np.sign(weight[rows]) * (cumulative[-1] / weight.sum())
    return ThetaPool(theta[rows].astype(np.float64), sign)
