"""The loss of a frozen classifier as a function of θ (Eq. 3 of both papers), and its errors."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from skdctr._utils.typing import FloatArray
from skdctr.parameters.derivatives import central_differences
from skdctr.results.covariance import Sources
from skdctr.weights.error import Dependence, coupling_covariance, covariance_of_mean
from skdctr.weights.event_weights import EventWeights

__all__ = ["Likelihood"]


class Likelihood:
    """The loss of the frozen classifier as a function of θ, with its gradient and its scatter.

    Parameters
    ----------
    sim, data : EventWeights
        Log-weights of n simulated events and of k data, which are the classifier's logits.
    sim_weight, data_weight : ndarray of shape (n,), (k,)
        Event weights; each sample counts as a whole.

    References
    ----------
    A. Andreassen and B. Nachman, arXiv:1907.08209, Eq. 3; Eq. 3 of arXiv:2010.03569 is the same.
    """

    def __init__(
        self, sim: EventWeights, data: EventWeights, sim_weight: FloatArray, data_weight: FloatArray
    ) -> None:
        self.sim, self.data = sim, data
        self.sim_share = sim_weight / sim_weight.sum()
        self.data_share = data_weight / data_weight.sum()

    def loss(self, theta: FloatArray) -> float:
        """Return the mean cross-entropy, each class with weight 1."""
        return float(
            self.sim_share @ np.logaddexp(0, self.sim.log_weights(theta))
            + self.data_share @ np.logaddexp(0, -self.data.log_weights(theta))
        )

    def sim_weights(self, theta: FloatArray) -> FloatArray:
        """Return the weights of the simulation at θ, (n,), on a scale that cannot overflow."""
        log_weights = self.sim.log_weights(theta)
        weights: FloatArray = self.sim_share * np.exp(log_weights - log_weights.max())
        return weights

    def terms(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what each simulated event, (n, p), and each of the data, (k, p), adds to ∇_θ."""
        f_sim = expit(self.sim.log_weights(theta)) * self.sim_share
        f_data = expit(-self.data.log_weights(theta)) * self.data_share
        return (
            f_sim[:, None] * self.sim.gradient(theta),
            -f_data[:, None] * self.data.gradient(theta),
        )

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ of the loss, (p,)."""
        sim, data = self.terms(theta)
        total: FloatArray = sim.sum(axis=0) + data.sum(axis=0)
        return total

    def hessian(self, theta: FloatArray, step: FloatArray) -> FloatArray:
        """Return the second derivative of the loss, (p, p), by differences of the gradient."""
        hessian = central_differences(self.gradient, theta, step)
        return (hessian + hessian.T) / 2

    def scatter(self, theta: FloatArray) -> Sources:
        """Return the covariance of the gradient by source, (p, p) each."""
        covariance = Sources()
        for source, terms, share in zip(
            ("data", "simulation"),
            reversed(self.terms(theta)),
            (self.data_share, self.sim_share),
            strict=True,
        ):
            centred = terms - share[:, None] * terms.sum(axis=0)
            covariance[source] = centred.T @ centred
        return covariance

    def weight_covariance(self, theta: FloatArray, step: FloatArray) -> dict[str, FloatArray]:
        """Return the covariance that learned weights give the gradient, (p, p), by source.

        The source is "generator" where the weights know their error, and otherwise "training"
        where there is an ensemble; there is none where neither holds.
        """
        samples = []
        for weights, share, sign in (
            (self.sim, self.sim_share, 1.0),
            (self.data, self.data_share, -1.0),
        ):
            f = expit(sign * weights.log_weights(theta))
            slopes = (share * f * (1 - f))[:, None] * weights.gradient(theta)
            samples.append(Dependence(weights, theta, slopes, sign * share * f, step))
        covariance = coupling_covariance(samples)
        if covariance is not None:
            return {"generator": covariance}
        members = [*zip(self.sim.by_member(), self.data.by_member(), strict=True)]
        if len(members) < 2:
            return {}
        gradients = [
            Likelihood(sim, data, self.sim_share, self.data_share).gradient(theta)
            for sim, data in members
        ]
        return {"training": covariance_of_mean(np.stack(gradients), self.sim.n_folds)}
