"""How well a perfect classifier would tell learned weights from exact ones.

Weights learned from n events are off by the noise of these events and of training. An error of
log w that is Gaussian, with variance v over the weighted sample, gives an AUC of Φ(√(v/2)) without
anything being wrong with the model. A real classifier sees a part of it, as it has to learn where
the weights are off, and so does one behind a detector, which blurs the error.
"""

from __future__ import annotations

import math

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.weights.couplings import Couplings
from skdctr.weights.error import common_share, members_and_weight, some_rows
from skdctr.weights.event_weights import EventWeights

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
        As far as the weights know their error; 0.5, as if exact, where they do not.
    """
    if weights.is_exact:
        return 0.5
    rows = some_rows(event_weight)
    part = weights.subset(rows)
    members, weight = members_and_weight(part, event_weight[rows], theta)
    if not weight.sum() > 0:
        return 0.5
    variance = _variance(part, members, weight / weight.sum(), theta)
    return 0.5 * (1 + math.erf(math.sqrt(max(variance, 0.0)) / 2))


def _variance(
    weights: EventWeights, members: FloatArray, share: FloatArray, theta: FloatArray
) -> float:
    """Estimate the variance over the weighted sample of the error of the mean log w."""
    n_folds = weights.n_folds
    by_part = members.reshape(n_folds, -1, members.shape[1])
    n_members = by_part.shape[1]
    couplings = weights.couplings()
    # Members have learned from the same events, whose noise is in all of them.
    of_events = sum(_of_couplings(each, share, theta) for each in couplings) / len(members)
    of_training = float(np.mean([_spread(part, share) for part in by_part]))
    if n_folds == 1:
        return of_events + of_training / n_members
    # The jackknife. For more than two parts it counts their training, which is independent, too
    # often; that of several members can be told and taken out.
    found = (n_folds - 1) ** 2 / n_folds * _spread(by_part.mean(axis=1), share)
    found -= ((n_folds - 1) ** 2 - 1) / (n_folds * n_members) * of_training
    # Where couplings are few, the few differences may all be small by chance.
    return max(found, common_share(n_folds) * of_events)


def _spread(estimates: FloatArray, share: FloatArray) -> float:
    """Variance between estimates, a factor of all weights left out; 0 of a single one."""
    if len(estimates) < 2:
        return 0.0
    off = estimates - estimates.mean(axis=0)
    off = off - (off @ share)[:, None]
    return float((off**2 @ share).sum()) / (len(estimates) - 1)


def _of_couplings(couplings: Couplings, share: FloatArray, theta: FloatArray) -> float:
    functions = couplings.event_functions.cpu().numpy().astype(np.float64)
    here = couplings.parameter_functions(theta[None])[0]
    n_x, n_theta = functions.shape[1], len(here)
    shaped = couplings.covariance.reshape(n_x, n_theta, n_x, n_theta)
    covariance = np.einsum("iajc,a,c->ij", shaped, here, here)
    centred = functions - share @ functions
    moments = (centred * share[:, None]).T @ centred
    return float((moments * covariance).sum())
