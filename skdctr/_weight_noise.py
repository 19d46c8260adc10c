"""How well a perfect classifier would tell learned weights from exact ones.

Weights that n events have taught are off by the noise of these events. The variance v of the error
of log w over the weighted sample makes an AUC of Φ(√(v/2)), if that error is Gaussian, without
anything being wrong with the model. A real classifier sees a part of it, as it has to learn where
the weights are off.
"""

from __future__ import annotations

import math

import numpy as np

from ._validation import FloatArray
from ._weight_error import DERIVATIVE_ROWS, common_share, exponentials
from ._weights import Couplings, EventWeights, NetworkWeights

__all__ = ["expected_auc"]


def expected_auc(weights: EventWeights, event_weight: FloatArray, theta: FloatArray) -> float:
    """Compute the AUC of a perfect classifier between learned weights and exact ones.

    Parameters
    ----------
    weights : EventWeights
        Of n events.
    event_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    theta : ndarray of shape (p,)
        Where the weights are taken.

    Returns
    -------
    float
        As far as the weights know their error; 0.5 where they do not.
    """
    if not isinstance(weights, NetworkWeights):
        return 0.5
    rows = np.arange(0, len(event_weight), math.ceil(len(event_weight) / DERIVATIVE_ROWS))
    part = weights.subset(rows)
    members = part.member_log_weights(theta)
    weight = event_weight[rows] * exponentials(members.mean(axis=0))
    variance = _variance(part, members, weight / weight.sum(), theta)
    return 0.5 * (1 + math.erf(math.sqrt(max(variance, 0.0)) / 2))


def _variance(
    weights: NetworkWeights, members: FloatArray, share: FloatArray, theta: FloatArray
) -> float:
    """Estimate the variance over the weighted sample of the error of the mean log w."""
    n_folds = weights.n_folds
    couplings = weights.couplings()
    # Members have learned from the same events, whose noise is in all of them.
    of_events = sum(_of_couplings(each, share, theta) for each in couplings) / len(members)
    if n_folds == 1:
        return of_events + _spread(members, share) / max(1, len(members) - 1)
    # The jackknife knows all noise, that of the functions of x too, but from few differences: of
    # few couplings these may all be small by chance.
    of_parts = members.reshape(n_folds, -1, members.shape[1]).mean(axis=1)
    return max((n_folds - 1) * _spread(of_parts, share), common_share(n_folds) * of_events)


def _spread(estimates: FloatArray, share: FloatArray) -> float:
    """Mean variance of several estimates about their mean, constants left out."""
    off = estimates - estimates.mean(axis=0)
    off = off - (off @ share)[:, None]
    return float((off**2 @ share).mean())


def _of_couplings(couplings: Couplings, share: FloatArray, theta: FloatArray) -> float:
    functions = couplings.event_functions.cpu().numpy().astype(np.float64)
    here = couplings.parameter_functions(theta[None])[0]
    n_x, n_theta = functions.shape[1], len(here)
    shaped = couplings.covariance.reshape(n_x, n_theta, n_x, n_theta)
    covariance = np.einsum("iajc,a,c->ij", shaped, here, here)
    centred = functions - share @ functions
    moments = (centred * share[:, None]).T @ centred
    return float((moments * covariance).sum())
