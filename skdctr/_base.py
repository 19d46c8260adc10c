"""What every reweighter offers: weights, log-weights and their gradient at any θ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._scaling import FeatureRange, SetRange
from ._validation import Events, FloatArray, ParameterSpace, check_estimator_events, feature_labels
from ._weights import EventWeights, exponentiate, warn_if_outside

__all__ = ["BaseReweighter"]


class BaseReweighter(BaseEstimator):
    """Base of reweighters: a member binds a sample once, and evaluates it at any θ.

    A fitted member has `_space`, the parameters and their trained range, `_range`, the support of
    the features (or None), and the public attributes set by `_publish`.
    """

    _space: ParameterSpace
    _range: FeatureRange | SetRange | None

    def _bind(self, X: Events) -> EventWeights:
        """Bind the reweighter to checked events, so that every further θ is cheap."""
        raise NotImplementedError

    def _publish(self, space: ParameterSpace) -> None:
        self._space = space
        self.theta_names_ = list(space.names)
        self.theta_nominal_ = space.nominal
        self.theta_bounds_ = np.stack([space.low, space.high], axis=1)

    def _check_events(self, X: Any) -> Events:
        check_is_fitted(self)
        events = check_estimator_events(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        if self._range is not None:
            # Which of the two forms it is has just been checked.
            support: Any = self._range
            support.warn_if_outside(events, feature_labels(events, names))
        return events

    def _check_theta(self, theta: Any, n_events: int) -> FloatArray:
        point = self._space.point(theta, n_events=n_events)
        warn_if_outside(self._space, point)
        return point

    def predict_log_weights(self, X: ArrayLike, theta: Any = None) -> FloatArray:
        """Compute log p(x|θ)/p(x|θ₀) of each event.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events, usually nominal ones.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event. May be left out only in the discrete case.

        Returns
        -------
        ndarray of shape (n,)
            Log-weights, float64. Each depends on its own event only.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        return self._bind(events).log_weights(point)

    def predict_weights(
        self, X: ArrayLike, theta: Any = None, *, normalize: bool = False
    ) -> FloatArray:
        """Compute p(x|θ)/p(x|θ₀) of each event.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events, usually nominal ones.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event. May be left out only in the discrete case.
        normalize : bool, default=False
            Divide by the mean over the events given. A weight then depends on the whole call.

        Returns
        -------
        ndarray of shape (n,)
            Weights, float64.

        Raises
        ------
        ValueError
            If a weight overflows; it is never replaced in silence.
        """
        weights = exponentiate(self.predict_log_weights(X, theta))
        return weights / weights.mean() if normalize else weights

    def log_weight_gradient(self, X: ArrayLike, theta: Any = None) -> FloatArray:
        """Compute ∇_θ log w of each event, the generator-level score.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            Where the gradient is taken.

        Returns
        -------
        ndarray of shape (n, p)
            Per unit of each parameter.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        return self._bind(events).gradient(point)
