"""The error that learned weights give to weighted means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.weights.couplings import Couplings
from skdctr.weights.event_weights import EventWeights

__all__ = [
    "DERIVATIVE_ROWS",
    "Dependence",
    "DependsOnWeights",
    "common_share",
    "coupling_covariance",
    "covariance_of_mean",
    "mean_covariance",
    "members_and_weight",
    "some_rows",
]

# Events that the mean of a derivative is taken over, at most: it only enters an error, and needs
# fewer events than the mean itself.
DERIVATIVE_ROWS = 40_000


class DependsOnWeights(Protocol):
    """k numbers that depend on weights."""

    weights: EventWeights

    def by_coupling(self, couplings: Couplings) -> FloatArray:
        """Return the derivative by each coupling, (k, b·a)."""


@dataclass(eq=False)
class Dependence:
    """How k numbers depend on the weights that a sample has at θ.

    Attributes
    ----------
    weights : EventWeights
        Weights of n events.
    theta : ndarray of shape (p,)
        The θ at which the weights are taken.
    slopes : ndarray of shape (n, k)
        Derivative of each number by the log-weight of each event.
    gradient_slopes : ndarray of shape (n,), or None
        Derivative of the k-th number by the k-th component of each event's ∇_θ log w; None where
        the numbers do not depend on this gradient.
    step : ndarray of shape (p,), or None
        Step of numerical derivatives by θ, which only `gradient_slopes` needs.
    """

    weights: EventWeights
    theta: FloatArray
    slopes: FloatArray
    gradient_slopes: FloatArray | None = None
    step: FloatArray | None = None

    def by_coupling(self, couplings: Couplings) -> FloatArray:
        """Return the derivative by each coupling, (k, b·a)."""
        functions = couplings.event_functions.cpu().numpy().astype(np.float64)
        parameter_functions = couplings.parameter_functions(self.theta[None])[0]
        slopes = np.einsum("kb,a->kba", self.slopes.T @ functions, parameter_functions)
        if self.gradient_slopes is not None and self.step is not None:
            shift = np.diag(self.step)
            above, below = (couplings.parameter_functions(self.theta + d) for d in (shift, -shift))
            change = (above - below) / (2 * self.step[:, None])
            slopes += np.einsum("b,ka->kba", self.gradient_slopes @ functions, change)
        return slopes.reshape(len(slopes), -1)


def coupling_covariance(samples: Sequence[DependsOnWeights]) -> FloatArray | None:
    """Propagate the error of the weights' couplings to k numbers.

    Parameters
    ----------
    samples : sequence of DependsOnWeights
        Samples with weights of one reweighter, whose contributions to the k numbers add up.

    Returns
    -------
    ndarray of shape (k, k), or None
        The mean of the covariances of an ensemble's members, which have learned from the same
        events, times the `common_share` of the parts of a cross-fit. None where the weights do not
        know their error.
    """
    couplings_by_sample = [sample.weights.couplings() for sample in samples]
    if not couplings_by_sample[0]:
        return None
    member_covariances = []
    for member in zip(*couplings_by_sample, strict=True):
        slopes = np.sum(
            [
                sample.by_coupling(couplings)
                for sample, couplings in zip(samples, member, strict=True)
            ],
            axis=0,
        )
        member_covariances.append(slopes @ member[0].covariance @ slopes.T)
    n_folds = max(sample.weights.n_folds for sample in samples)
    covariance: FloatArray = common_share(n_folds) * np.mean(member_covariances, axis=0)
    return covariance


def common_share(n_folds: int) -> float:
    """Compute the variance of the mean over the parts of a cross-fit, in units of that of each.

    The networks of each of K parts learn from the K − 1 others, and those of any two parts have
    K − 2 of these in common.
    """
    return 1.0 if n_folds == 1 else (n_folds - 1) / n_folds


def mean_covariance(
    weights: EventWeights, values: FloatArray, event_weight: FloatArray, theta: FloatArray
) -> dict[str, FloatArray]:
    """Compute the covariance that learned weights give to the means of k values, by source.

    Parameters
    ----------
    weights : EventWeights
        Weights of n events.
    values : ndarray of shape (n, k)
        The values that are averaged.
    event_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    theta : ndarray of shape (p,)
        The θ at which the weights are taken.

    Returns
    -------
    dict of str to ndarray of shape (k, k)
        One source: "generator" where the weights know what the finite generator sample leaves
        open, and otherwise "training" where an ensemble has a spread. Empty where there is neither
        of these.
    """
    if weights.is_exact:
        return {}
    rows = some_rows(event_weight)
    part, values = weights.subset(rows), values[rows]
    members, weight = members_and_weight(part, event_weight[rows], theta)
    share = weight / weight.sum()
    slopes = share[:, None] * (values - share @ values)
    covariance = coupling_covariance([Dependence(part, theta, slopes)])
    if covariance is not None:
        return {"generator": covariance}
    if len(members) < 2:
        return {}
    member_weights = event_weight[rows] * np.stack([_exponentials(row) for row in members])
    means = member_weights @ values / member_weights.sum(axis=1, keepdims=True)
    return {"training": covariance_of_mean(means, weights.n_folds)}


def covariance_of_mean(estimates: FloatArray, n_folds: int) -> FloatArray:
    """Compute the covariance of the mean of m estimates of k numbers.

    Parameters
    ----------
    estimates : ndarray of shape (m, k)
        Estimates of the members of the first part of a cross-fit, then those of the second, and
        so on.
    n_folds : int
        Number of parts. They have events in common, so that the covariance is that of the
        jackknife. With more than two parts the jackknife counts the noise of training, which is
        independent, too often; where several members tell how large it is, it is taken out.

    Returns
    -------
    ndarray of shape (k, k)
    """
    if n_folds == 1:
        return np.atleast_2d(np.cov(estimates.T)) / len(estimates)
    by_part = estimates.reshape(n_folds, -1, estimates.shape[1])
    n_members = by_part.shape[1]
    jackknife = np.atleast_2d(np.cov(by_part.mean(axis=1).T)) * (n_folds - 1) ** 2 / n_folds
    if n_folds == 2 or n_members == 1:
        return jackknife
    training = np.mean([np.atleast_2d(np.cov(part.T)) for part in by_part], axis=0)
    jackknife -= ((n_folds - 1) ** 2 - 1) / (n_folds * n_members) * training
    values, vectors = np.linalg.eigh(jackknife)
    return (vectors * values.clip(min=0.0)) @ vectors.T


def some_rows(event_weight: FloatArray) -> NDArray[np.intp]:
    """Choose events with a weight, as many as the mean of a derivative needs.

    Parameters
    ----------
    event_weight : ndarray of shape (n,)
        Event weights; those of weight 0 are left out.

    Returns
    -------
    ndarray of int of shape (m,)
        Numbers of the events in ascending order, m ≤ `DERIVATIVE_ROWS`; the same ones at every
        call.
    """
    rows = np.flatnonzero(event_weight)
    if len(rows) > DERIVATIVE_ROWS:
        # The choice is random because weights may alternate along the sample.
        rows = np.sort(np.random.default_rng(0).choice(rows, DERIVATIVE_ROWS, replace=False))
    return rows


def members_and_weight(
    weights: EventWeights, event_weight: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Evaluate the members of an ensemble at θ, and the weights that their mean gives.

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
    members : ndarray of shape (n_members, n)
        Log w of every member.
    weight : ndarray of shape (n,)
        Event weights at θ by the mean log w, up to a common factor.
    """
    members = weights.member_log_weights(theta)
    return members, event_weight * _exponentials(members.mean(axis=0))


def _exponentials(log_weights: FloatArray) -> FloatArray:
    """Exponentiate log-weights on a scale that cannot overflow."""
    return np.exp(log_weights - log_weights.max())
