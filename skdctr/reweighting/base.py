"""What every reweighter offers: weights, log-weights and their gradient at any θ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import release, row_chunks
from skdctr.events.packed import PackedEvents
from skdctr.events.support import FeatureRange, SetRange
from skdctr.events.validation import Events, check_estimator_events, feature_labels
from skdctr.parameters.space import ParameterSpace, warn_if_outside
from skdctr.weights.event_weights import EventWeights, exponentiate

__all__ = ["BaseReweighter"]


class BaseReweighter(BaseEstimator):
    """Base of reweighters: a member binds a sample once, and evaluates it at any θ.

    A fitted member has `_space`, the parameters and their trained range, `_range`, the support of
    the features (or None), and the public attributes set by `_publish`.
    """

    _space: ParameterSpace
    _range: FeatureRange | SetRange | None
    # Whether a part of the events at a time will do, in single precision if they come in it.
    _in_parts = False

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
        events = check_estimator_events(self, X, reset=False, keep_single=self._in_parts)
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

    def _evaluate(
        self,
        events: Events,
        point: FloatArray,
        function: Callable[[EventWeights, FloatArray], FloatArray],
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Evaluate a function of weights and θ on checked events, in parts where that will do."""
        n = len(events)
        parts: Any = [(slice(0, n), events)]
        if self._in_parts and not isinstance(events, PackedEvents):
            parts = row_chunks(events)
        found = out
        for rows, part in parts:
            values = function(self._bind(part), point if point.ndim == 1 else point[rows])
            found = np.empty((n, *values.shape[1:])) if found is None else found
            found[rows] = values
            release(found[rows])
        return np.empty(0) if found is None else found

    def predict_log_weights(
        self, X: ArrayLike, theta: Any = None, *, out: Any = None
    ) -> FloatArray:
        """Compute log p(x|θ)/p(x|θ₀) of each event.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events, usually nominal ones. An ``np.memmap`` may be larger than
            memory: networks are given a part of the rows at a time.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event. May be left out only in the discrete case.
        out : ndarray of shape (n,), default=None
            Where to put them, such as an ``np.memmap``; float64 or float32.

        Returns
        -------
        ndarray of shape (n,)
            Log-weights, float64, or `out`. Each depends on its own event only.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        if out is not None:
            _check_out(out, len(events))
        return self._evaluate(events, point, lambda weights, at: weights.log_weights(at), out)

    def predict_weights(
        self,
        X: ArrayLike,
        theta: Any = None,
        *,
        normalize: bool = False,
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Compute p(x|θ)/p(x|θ₀) of each event.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events, usually nominal ones. An ``np.memmap`` may be larger than
            memory: networks are given a part of the rows at a time.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event. May be left out only in the discrete case.
        normalize : bool, default=False
            Divide by the mean over the events given. A weight then depends on the whole call.
        out : ndarray of shape (n,), default=None
            Where to put them, such as an ``np.memmap``; float64 or float32.

        Returns
        -------
        ndarray of shape (n,)
            Weights, float64, or `out`.

        Raises
        ------
        ValueError
            If a weight overflows; it is never replaced in silence.
        """
        weights = self.predict_log_weights(X, theta, out=out)
        exponentiate(weights)
        if normalize:
            mean = sum(part.sum(dtype=np.float64) for _, part in row_chunks(weights)) / len(weights)
            for _, part in row_chunks(weights):
                part /= mean
        return weights

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
        return self._evaluate(events, point, lambda weights, at: weights.gradient(at))


def _check_out(out: Any, n_events: int) -> None:
    """Refuse what n weights cannot be written to."""
    if not isinstance(out, np.ndarray) or out.dtype not in (np.float64, np.float32):
        kind = f"an array of {out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise TypeError(
            f"out is {kind}; expected a numpy array or np.memmap of float64 or float32."
        )
    if out.shape != (n_events,):
        raise ValueError(
            f"out has shape {out.shape}, expected ({n_events},): one weight per event."
        )
    if not out.flags.writeable:
        raise ValueError('out is read-only; open a memmap with mode="r+" or "w+".')
