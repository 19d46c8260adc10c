"""How well a perfect classifier would tell learned weights from exact ones.

Weights learned from a finite sample are off by the noise of its events and of training. An error
of log w that is Gaussian, with variance v over the weighted sample, gives an AUC of Φ(√(v/2))
without anything being wrong with the model. A real classifier sees only a part of it, as it has to
learn where the weights are off, and one behind a detector sees less still, as the detector blurs
the error.
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
        Weights of n events.
    event_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    theta : ndarray of shape (p,)
        The θ at which the weights are taken.

    Returns
    -------
    float
        The AUC, as far as the weights know their error. Where they do not it is 0.5, as if they
        were exact.
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
    event_noise = sum(_coupling_variance(each, share, theta) for each in couplings) / len(members)
    training_noise = float(np.mean([_spread(part, share) for part in by_part]))
    if n_folds == 1:
        return event_noise + training_noise / n_members
    # The parts have events in common, for which the jackknife accounts. With more than two parts
    # it counts the noise of training, which is independent, too often; where several members tell
    # how large it is, it is taken out.
    jackknife = (n_folds - 1) ** 2 / n_folds * _spread(by_part.mean(axis=1), share)
    jackknife -= ((n_folds - 1) ** 2 - 1) / (n_folds * n_members) * training_noise
    # Where couplings are few, the differences between the parts may all be small by chance.
    return max(jackknife, common_share(n_folds) * event_noise)


def _spread(estimates: FloatArray, share: FloatArray) -> float:
    """Compute the variance between estimates of log w, (m, n), a common factor of weights left out.

    It is 0 where there is one estimate only.
    """
    if len(estimates) < 2:
        return 0.0
    deviation = estimates - estimates.mean(axis=0)
    deviation = deviation - (deviation @ share)[:, None]
    return float((deviation**2 @ share).sum()) / (len(estimates) - 1)


def _coupling_variance(couplings: Couplings, share: FloatArray, theta: FloatArray) -> float:
    """Propagate the covariance of the couplings to the variance of log w over the sample."""
    functions = couplings.event_functions.cpu().numpy().astype(np.float64)
    parameter_functions = couplings.parameter_functions(theta[None])[0]
    n_x, n_theta = functions.shape[1], len(parameter_functions)
    shaped = couplings.covariance.reshape(n_x, n_theta, n_x, n_theta)
    covariance = np.einsum("iajc,a,c->ij", shaped, parameter_functions, parameter_functions)
    centred = functions - share @ functions
    moments = (centred * share[:, None]).T @ centred
    return float((moments * covariance).sum())
