"""Reweighters whose density ratio is known: a formula, or the exponential tilt of a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.utils.metaestimators import available_if

from skdctr._utils.rollback import all_or_nothing
from skdctr._utils.typing import FloatArray
from skdctr.events.coder import Coder
from skdctr.events.frames import as_table, column_labels
from skdctr.events.kinds import Events, feature_table, holds_sets
from skdctr.events.validation import check_weights
from skdctr.parameters.interpolation import smooth_values
from skdctr.parameters.space import ParameterSpace
from skdctr.parameters.trained_range import absent_at
from skdctr.reweighting.base import BaseReweighter
from skdctr.reweighting.scoring import check_scored, mean_log_likelihood, representative_theta
from skdctr.weights.event_weights import EventWeights
from skdctr.weights.function_weights import FunctionWeights

__all__ = ["AnalyticReweighter"]

# Range of the tilt's parameters to either side of 0, in units of each feature's width. At its end
# about one event in 10⁴ of a Gaussian feature still counts, exp(−3²).
_TILT_RANGE = 3.0


@dataclass(frozen=True, eq=False)
class ExponentialTilt:
    """log w = θ·z − log E[exp(θ·z)], z the scaled features, E over the nominal sample.

    Attributes
    ----------
    coder : Coder
        Scales features, whatever single events have in them.
    z : ndarray of shape (n, f)
        Scaled features of the nominal sample.
    log_share : ndarray of shape (n,)
        Logarithm of the size of each nominal event's weight over the sum of all weights.
    sign : ndarray of shape (n,)
        Sign of each nominal event's weight.
    """

    coder: Coder
    z: FloatArray
    log_share: FloatArray
    sign: FloatArray

    @classmethod
    def of(cls, X: FloatArray, weight: FloatArray, names: Sequence[str] | None) -> Self:
        """Make the exponential family through a nominal sample.

        Raises
        ------
        ValueError
            If a feature is a category, which has no mean to be shifted.
        """
        coder = Coder.fit(X, weight, names)
        for name, column in zip(coder.names_in, coder.columns, strict=True):
            if column.kind == "category":
                raise ValueError(
                    f"{name} is a category by its name and values, and has no exponential tilt "
                    "(log_weight=None): leave it out, or rename it if it is a number."
                )
        with np.errstate(divide="ignore"):
            log_share = np.log(np.abs(weight) / weight.sum())
        return cls(coder, coder.numbers(X), log_share, np.sign(weight))

    def __call__(self, X: FloatArray, theta: FloatArray) -> FloatArray:
        """Compute log w, (n,), at θ of shape (p,) or (n, p)."""
        theta = np.asarray(theta, dtype=np.float64)
        product: FloatArray = (self.coder.numbers(X) * theta).sum(axis=1)
        if theta.ndim == 1:
            return product - self._normaliser(theta)
        # Each normaliser is a sum over the nominal sample: one per event would be n² terms.
        rows, index = np.unique(theta, axis=0, return_inverse=True)
        return product - smooth_values(self._normaliser, rows)[index.reshape(-1)]

    def _normaliser(self, theta: FloatArray) -> float:
        return float(logsumexp(self.z @ theta + self.log_share, b=self.sign))


def _has_formula(reweighter: AnalyticReweighter) -> bool:
    if reweighter.log_weight is None:
        raise AttributeError("score is there for a given log_weight, not for the exponential tilt.")
    return True


class AnalyticReweighter(BaseReweighter):
    """Event weights from a density ratio that is known.

    Parameters
    ----------
    log_weight : callable, default=None
        ``log_weight(X, theta)`` returns log p(x|θ)/p(x|θ₀), shape (n,), for events (n, f) and θ of
        shape (p,) or (n, p). Missing values are given to it as NaN, and sets of particles as
        :class:`skdctr.preprocessing.PackedEvents`. None is the exponential tilt through the
        sample given to `fit`, log w = θ·z − log⟨exp(θ·z)⟩ with z the features, scaled as by
        :class:`skdctr.preprocessing.FeatureCoder` without its flags: one parameter per feature,
        the shift of its mean in units of its width where the feature is Gaussian.
    theta_nominal : scalar, array-like of shape (p,) or dict, default=0.0
        θ₀, finite. A dict names the parameters. The tilt has θ₀ = 0.
    theta_bounds : array-like of shape (p, 2) or dict, default=None
        Range in which the formula holds; None is no limit, and -3 to 3 for the tilt.

    Attributes
    ----------
    theta_names_ : list of str of length p
        Names of the parameters.
    theta_nominal_ : ndarray of shape (p,)
        θ₀.
    theta_bounds_ : ndarray of shape (p, 2)
        Range of θ.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr import AnalyticReweighter
    >>> x = np.random.default_rng(1).normal(size=(10_000, 1))
    >>> def log_weight(x, theta):
    ...     return x[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2
    >>> exact = AnalyticReweighter(log_weight, theta_nominal=0.0).fit(x)
    >>> bool(abs(np.average(x[:, 0], weights=exact.predict_weights(x, theta=0.5)) - 0.5) < 0.06)
    True
    """

    # A formula has no use for generator events.
    _learns = False
    _takes_missing = True

    def __init__(
        self, log_weight: Any = None, theta_nominal: Any = 0.0, *, theta_bounds: Any = None
    ) -> None:
        self.log_weight = log_weight
        self.theta_nominal = theta_nominal
        self.theta_bounds = theta_bounds

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Take the nominal sample, which only the exponential tilt learns anything from.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Nominal events.
        y : None
            Not used; present by scikit-learn's convention.
        sample_weight : array-like of shape (n,), default=None
            Event weights.

        Returns
        -------
        self : AnalyticReweighter

        Raises
        ------
        TypeError
            If `log_weight` is not callable.
        ValueError
            If the events are not finite, or `theta_nominal` or `theta_bounds` are not valid.
        """
        with all_or_nothing(self):
            if self.log_weight is not None and not callable(self.log_weight):
                raise TypeError(
                    f"log_weight={self.log_weight!r} is not callable: give a function of (X, theta)"
                    ", or None for the exponential tilt."
                )
            events = self._checked(X, reset=True)
            if holds_sets(events) and self.log_weight is None:
                raise ValueError(
                    "X holds sets of particles, which have no exponential tilt (log_weight=None): "
                    "give features of events such as the number of particles, a log_weight, or a "
                    "generator sample (gen and theta) to learn the weights from."
                )
            weight = check_weights(sample_weight, len(events), name="sample_weight")
            space = self._make_space(self.n_features_in_, column_labels(X))
            self._function: Any = self.log_weight
            if self.log_weight is None:
                names = getattr(self, "feature_names_in_", None)
                self._function = ExponentialTilt.of(feature_table(events), weight, names)
            self._range = None
            self._publish(space)
        return self

    def _make_space(self, n_features: int, columns: list[str] | None) -> ParameterSpace:
        """Make the names, the nominal values and the range of θ, and check them."""
        is_tilt = self.log_weight is None
        nominal = self.theta_nominal
        if not isinstance(nominal, Mapping):
            nominal = as_table(nominal, name="theta_nominal")
        if isinstance(nominal, Mapping):
            names = list(nominal)
        elif is_tilt:
            names = columns or [f"theta_{k}" for k in range(n_features)]
            nominal = np.full(n_features, nominal) if np.ndim(nominal) == 0 else nominal
        else:
            p = np.size(nominal)
            names = [f"theta_{k}" for k in range(p)] if p > 1 else ["theta"]
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"theta_nominal={self.theta_nominal!r}: expected one number per parameter, or a "
                "dict of them by name, names as strings."
            )
        limit = np.full(len(names), _TILT_RANGE if is_tilt else np.inf)
        widest = ParameterSpace(tuple(names), np.zeros(len(names)), -limit, limit)
        values = widest.point(nominal, name="theta_nominal")
        if is_tilt and (len(names) != n_features or values.any()):
            raise ValueError(
                f"theta_nominal={self.theta_nominal!r}: the exponential tilt (log_weight=None) has "
                f"one parameter for each of the {n_features} features, all zero for nominal events."
            )
        space = replace(widest.within(self.theta_bounds, argument="theta_bounds"), nominal=values)
        if space.outside(values):
            raise ValueError(
                f"theta_nominal={self.theta_nominal!r}: {'; '.join(space.outside(values))}, which "
                "are the theta_bounds: widen them."
            )
        return space

    def predict_log_weight_spread(self, X: ArrayLike, theta: Any = None) -> FloatArray:
        """Return the error of each log-weight by training, of which a formula has none.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event.

        Returns
        -------
        ndarray of shape (n,)
            Zeros.

        Raises
        ------
        ValueError
            If the events or θ do not fit.
        """
        events = self._check_events(X)
        self._check_theta(theta, len(events))
        return np.zeros(len(events))

    @available_if(_has_formula)  # type: ignore[untyped-decorator]
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute minus the weighted cross-entropy of the classifier on the rows given.

        It is there for a given `log_weight`, and compares with that of a `DCTRReweighter`.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events.
        y : array-like of shape (n,) or (n, p)
            The parameters θ of each event. Nominal events are paired with θ of the others, in a
            fixed order.
        sample_weight : array-like of shape (n,), default=None
            Event weights.

        Returns
        -------
        float
            Higher is better.

        Raises
        ------
        ValueError
            If the rows hold one class only.
        """
        events, theta, weight, counts = self._check_scored_rows(X, y, sample_weight)
        check_scored(theta[counts], self._space, self.theta_nominal_, 0)
        varied = counts & (theta != self.theta_nominal_).any(axis=1)
        reference = weight[counts & ~varied].sum()
        if not (weight[varied].sum() > 0 and reference > 0):
            raise ValueError(
                "sample_weight sums to zero or less over the events at θ₀, or over the others: "
                "each class needs a positive sum."
            )
        return mean_log_likelihood(
            self._bind(events),
            absent_at(theta, counts, self.theta_nominal_),
            weight,
            representative_theta(theta[varied], weight[varied]),
            nominal=self.theta_nominal_,
            prior_logit=math.log(weight[varied].sum() / reference),
        )

    def _bind(self, X: Events) -> EventWeights:
        return FunctionWeights(self._function, X, self._space, is_exact=True)
