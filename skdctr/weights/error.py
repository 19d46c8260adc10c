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

# The mean of a derivative needs fewer events than the mean itself.
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
        Of n events.
    theta : ndarray of shape (p,)
        Where the weights are taken.
    slopes : ndarray of shape (n, k)
        Derivative of each number by the log-weight of each event.
    gradient_slopes : ndarray of shape (n,), or None
        Derivative of the k-th by the k-th component of each event's ∇_θ log w.
    step : ndarray of shape (p,), or None
        Of derivatives by θ, which only `gradient_slopes` needs.
    """

    weights: EventWeights
    theta: FloatArray
    slopes: FloatArray
    gradient_slopes: FloatArray | None = None
    step: FloatArray | None = None

    def by_coupling(self, couplings: Couplings) -> FloatArray:
        """Return the derivative by each coupling, (k, b·a)."""
        functions = couplings.event_functions.cpu().numpy().astype(np.float64)
        here = couplings.parameter_functions(self.theta[None])[0]
        rows = np.einsum("kb,a->kba", self.slopes.T @ functions, here)
        if self.gradient_slopes is not None and self.step is not None:
            shift = np.diag(self.step)
            above, below = (couplings.parameter_functions(self.theta + d) for d in (shift, -shift))
            change = (above - below) / (2 * self.step[:, None])
            rows += np.einsum("b,ka->kba", self.gradient_slopes @ functions, change)
        return rows.reshape(len(rows), -1)


def coupling_covariance(samples: Sequence[DependsOnWeights]) -> FloatArray | None:
    """Propagate the error of the weights' couplings to k numbers.

    Parameters
    ----------
    samples : sequence of DependsOnWeights
        Samples with weights of one reweighter, whose contributions to the k numbers add up.

    Returns
    -------
    ndarray of shape (k, k), or None
        None where the weights do not know their error. Members of an ensemble have learned from
        the same events: the mean of theirs, times what the parts of a cross-fit have in common.
    """
    every = [sample.weights.couplings() for sample in samples]
    if not every[0]:
        return None
    of_members = []
    for member in zip(*every, strict=True):
        slopes = np.sum(
            [
                sample.by_coupling(couplings)
                for sample, couplings in zip(samples, member, strict=True)
            ],
            axis=0,
        )
        of_members.append(slopes @ member[0].covariance @ slopes.T)
    n_folds = max(sample.weights.n_folds for sample in samples)
    covariance: FloatArray = common_share(n_folds) * np.mean(of_members, axis=0)
    return covariance


def common_share(n_folds: int) -> float:
    """Return the variance of the mean over the parts of a cross-fit, in units of that of each.

    Of K parts each learns from K − 1, of which two have K − 2 in common.
    """
    return 1.0 if n_folds == 1 else (n_folds - 1) / n_folds


def mean_covariance(
    weights: EventWeights, values: FloatArray, event_weight: FloatArray, theta: FloatArray
) -> dict[str, FloatArray]:
    """Compute the covariance that learned weights give to the means of k values, by source.

    Parameters
    ----------
    weights : EventWeights
        Of n events.
    values : ndarray of shape (n, k)
        What is averaged.
    event_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    theta : ndarray of shape (p,)
        Where the weights are taken.

    Returns
    -------
    dict of str to ndarray of shape (k, k)
        "generator", of weights that know what the finite generator sample leaves open; else
        "training", from the spread of an ensemble's members; else empty.
    """
    if weights.is_exact:
        return {}
    rows = some_rows(event_weight)
    part, values = weights.subset(rows), values[rows]
    members, weight = members_and_weight(part, event_weight[rows], theta)
    share = weight / weight.sum()
    slopes = share[:, None] * (values - share @ values)
    of_couplings = coupling_covariance([Dependence(part, theta, slopes)])
    if of_couplings is not None:
        return {"generator": of_couplings}
    if len(members) < 2:
        return {}
    each = event_weight[rows] * np.stack([_exponentials(row) for row in members])
    means = each @ values / each.sum(axis=1, keepdims=True)
    return {"training": covariance_of_mean(means, weights.n_folds)}


def covariance_of_mean(estimates: FloatArray, n_folds: int) -> FloatArray:
    """Compute the covariance of the mean of m estimates of k numbers.

    Parameters
    ----------
    estimates : ndarray of shape (m, k)
        By the members of each part of a cross-fit in turn.
    n_folds : int
        Parts, which have events in common: the jackknife. Of more than two it counts the noise of
        training, which is independent, too often, unless several members tell how large it is.

    Returns
    -------
    ndarray of shape (k, k)
    """
    if n_folds == 1:
        return np.atleast_2d(np.cov(estimates.T)) / len(estimates)
    by_part = estimates.reshape(n_folds, -1, estimates.shape[1])
    n_members = by_part.shape[1]
    found = np.atleast_2d(np.cov(by_part.mean(axis=1).T)) * (n_folds - 1) ** 2 / n_folds
    if n_folds == 2 or n_members == 1:
        return found
    of_training = np.mean([np.atleast_2d(np.cov(part.T)) for part in by_part], axis=0)
    found -= ((n_folds - 1) ** 2 - 1) / (n_folds * n_members) * of_training
    values, vectors = np.linalg.eigh(found)
    return (vectors * values.clip(min=0.0)) @ vectors.T


def some_rows(event_weight: FloatArray) -> NDArray[np.intp]:
    """Choose rows with a weight that are enough for the mean of a derivative."""
    rows = np.flatnonzero(event_weight)
    if len(rows) > DERIVATIVE_ROWS:
        # At random: weights may alternate.
        rows = np.sort(np.random.default_rng(0).choice(rows, DERIVATIVE_ROWS, replace=False))
    return rows


def members_and_weight(
    weights: EventWeights, event_weight: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log w of every member, (m, n), and the weights by their mean, (n,), on any scale."""
    members = weights.member_log_weights(theta)
    return members, event_weight * _exponentials(members.mean(axis=0))


def _exponentials(log_weights: FloatArray) -> FloatArray:
    """Return weights on a scale that cannot overflow."""
    return np.exp(log_weights - log_weights.max())
