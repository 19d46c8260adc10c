"""The base of all reweighters: what each offers, and what a reweighter of your own provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.arguments import check_flag, check_instance
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.chunks import release, row_chunks
from skdctr.events.kinds import Events, event_parts
from skdctr.events.outliers import without_outliers
from skdctr.events.packed import PackedEvents
from skdctr.events.support import FeatureRange, SetRange
from skdctr.events.validation import (
    check_estimator_events,
    check_same_rows,
    check_weights,
    feature_labels,
    has_missing,
    refuse_empty_events,
)
from skdctr.exceptions import ExtrapolationWarning
from skdctr.parameters.space import ParameterSpace, check_theta_rows, warn_if_outside
from skdctr.parameters.trained_range import without_lone_theta
from skdctr.weights.error import some_rows
from skdctr.weights.event_weights import EventWeights, exponentiate
from skdctr.weights.function_weights import FunctionWeights
from skdctr.weights.noise import expected_auc

__all__ = ["BaseReweighter", "parameter_space"]


def parameter_space(reweighter: Any) -> ParameterSpace:
    """Read names, nominal values and range of θ off the public attributes of a reweighter.

    Parameters
    ----------
    reweighter : fitted reweighter
        It has `theta_names_`, `theta_nominal_` and `theta_bounds_`.

    Returns
    -------
    ParameterSpace
    """
    bounds = reweighter.theta_bounds_
    return ParameterSpace(
        tuple(reweighter.theta_names_),
        reweighter.theta_nominal_,
        bounds[:, 0],
        bounds[:, 1],
        tolerance=getattr(reweighter, "_theta_tolerance", None),
    )


class BaseReweighter(BaseEstimator):
    """The base of reweighters, with the checks, the public methods, and what fits call.

    A reweighter of your own derives from this class and has two methods. ``fit(X, y,
    sample_weight=None)`` learns, says by :meth:`_set_parameters` which parameters there are, and
    returns self; :meth:`_check_generator_sample` checks what it is given. ``_log_weights(X,
    theta)`` returns log p(x|θ)/p(x|θ₀), shape (n,), of checked events at θ of shape (p,) or (n,
    p). `SRGNFitter`, `DCTRFitter` and `closure_report` need no more. The gradient is taken
    numerically, the weights count as learned with an unknown error, so that errors of fits are
    NaN, and the optimal observable corrects them by the generator events, so that they are not.

    A reweighter that knows more overrides :meth:`_bind`, to return event weights of its own: with
    functions of the events that serve every θ, an exact gradient, or the covariance of what it has
    learned.

    Attributes
    ----------
    theta_names_ : list of str of length p
        Names of the parameters.
    theta_nominal_ : ndarray of shape (p,)
        θ₀, of the nominal events that weights are for.
    theta_bounds_ : ndarray of shape (p, 2)
        Range of θ that the weights hold in; infinite where there is no limit.
    discrete_ : bool
        Whether there are two values of θ only, so that nothing in between can be fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdctr.reweighting import BaseReweighter
    >>> class LogisticReweighter(BaseReweighter):
    ...     def fit(self, X, y, sample_weight=None):
    ...         X, theta, names, weight = self._check_generator_sample(X, y, sample_weight)
    ...         varied = theta[:, 0] != 0
    ...         drawn = np.random.default_rng(0).choice(theta[varied], len(theta))
    ...         paired = np.where(varied[:, None], theta, drawn)
    ...         self.classifier_ = LogisticRegression(C=np.inf, fit_intercept=False)
    ...         self.classifier_.fit(self._terms(X, paired), varied, weight)
    ...         self._set_parameters({names[0]: 0.0}, {names[0]: (theta.min(), theta.max())})
    ...         return self
    ...
    ...     def _terms(self, X, theta):
    ...         theta = np.broadcast_to(theta, (len(X), 1))
    ...         return np.hstack([X * theta, theta**2])
    ...
    ...     def _log_weights(self, X, theta):
    ...         return self.classifier_.decision_function(self._terms(X, theta))
    >>> rng = np.random.default_rng(1)
    >>> theta = np.r_[np.zeros(5000), rng.uniform(-1, 1, 5000)]
    >>> reweighter = LogisticReweighter().fit(rng.normal(theta)[:, None], theta)
    >>> x = rng.normal(size=(5000, 1))
    >>> bool(abs(np.average(x[:, 0], weights=reweighter.predict_weights(x, 0.5)) - 0.5) < 0.1)
    True
    """

    theta_names_: list[str]
    theta_nominal_: FloatArray
    theta_bounds_: FloatArray
    discrete_: bool = False
    _theta_tolerance: FloatArray | None = None
    _space: ParameterSpace
    # Support of the training events, beyond which a warning comes; None where there is no limit.
    _range: FeatureRange | SetRange | None = None
    # The form of the sets of particles that it was fitted on; None where it was fitted on rows of
    # features.
    _fitted_sets: PackedEvents | None = None
    # Whether weights may be computed for a part of the events at a time, in single precision where
    # the events come in it.
    _in_parts = False
    # Whether NaN stands for a missing value of a feature, and is accepted.
    _takes_missing = False
    # Whether it codes features, so that single values far from all others decide nothing.
    _codes_features = False
    # Whether it learns from generator events; a formula does not.
    _learns = True

    def __sklearn_tags__(self) -> Tags:
        """Say whether features may be missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_missing
        return tags

    def _set_parameters(
        self,
        nominal: Mapping[str, float],
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """Publish the parameters at the end of `fit`.

        Parameters
        ----------
        nominal : mapping of str to float
            θ₀ by name.
        bounds : mapping of str to (float, float), default=None
            Range of θ; a parameter that is left out has no limit.
        """
        limits = [(bounds or {}).get(name, (-np.inf, np.inf)) for name in nominal]
        low, high = np.array(limits, dtype=np.float64).reshape(-1, 2).T
        values = np.array(list(nominal.values()), dtype=np.float64)
        self._publish(ParameterSpace(tuple(nominal), values, low, high))

    def _publish(self, space: ParameterSpace) -> None:
        """Set the attributes that tell of the parameters."""
        self._space = space
        self.theta_names_ = list(space.names)
        self.theta_nominal_ = space.nominal
        self.theta_bounds_ = np.stack([space.low, space.high], axis=1)
        self._theta_tolerance = space.tolerance

    def _check_generator_sample(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[Events, FloatArray, list[str], FloatArray]:
        """Check the arguments of `fit`, and keep the number and the names of the features.

        Parameters
        ----------
        X, y, sample_weight
            As `fit` was given them.

        Returns
        -------
        X : ndarray of shape (n, f) or PackedEvents
            Events.
        theta : ndarray of shape (n, p)
            The parameters of each event.
        names : list of str of length p
            Names of the parameters.
        weight : ndarray of shape (n,)
            Event weights; ones where none were given.

        Raises
        ------
        ValueError
            If lengths or indices differ, or something is not finite.
        """
        check_same_rows(y, X, name="y", reference_name="X")
        check_same_rows(sample_weight, X, name="sample_weight", reference_name="X")
        events = self._checked(X, reset=True)
        theta, names = check_theta_rows(y, len(events), name="y", keep_single=self._in_parts)
        weight = check_weights(sample_weight, len(events), name="sample_weight")
        return events, theta, names, weight

    def _log_weights(self, X: Events, theta: FloatArray) -> FloatArray:
        """Compute log p(x|θ)/p(x|θ₀) of checked events, (n,), at θ of shape (p,) or (n, p)."""
        raise NotImplementedError(
            f"{type(self).__name__} has neither _log_weights(X, theta) nor a _bind(X) of its own."
        )

    def _bind(self, X: Events) -> EventWeights:
        """Bind checked events, so that every further θ is cheap."""
        return FunctionWeights(
            self._log_weights, X, self._space, name=f"{type(self).__name__}._log_weights"
        )

    def bind(
        self, X: Events, *, name: str = "X (sim_gen)", feature_names: Sequence[str] | None = None
    ) -> EventWeights:
        """Bind checked events to what was fitted, for weights at one θ after another.

        Parameters
        ----------
        X : ndarray of shape (n, f) or PackedEvents
            Checked generator-level events.
        name : str
            What the caller calls the events, for messages.
        feature_names : sequence of str, default=None
            Their column names, where they have some.

        Returns
        -------
        EventWeights
            Weights with the methods ``log_weights(theta)``, ``gradient(theta)`` and
            ``subset(rows)``.

        Raises
        ------
        ValueError
            If the features are not those of the fit, or some are missing that may not be.

        Warns
        -----
        ExtrapolationWarning
            If events lie outside the support of the training events.
        OutlierWarning
            If single events are far from all others: they get the weight of the nearest of these.
        """
        self._check_form(X, name)
        fitted = getattr(self, "feature_names_in_", None)
        if feature_names is not None and fitted is not None and list(feature_names) != list(fitted):
            raise ValueError(
                f"The columns of {name} are {list(feature_names)}, the reweighter was fitted on "
                f"{list(fitted)}: reorder or rename them."
            )
        if not self._takes_missing and has_missing(X).any():
            raise ValueError(
                f"{name} contains NaN, which {type(self).__name__} does not take for missing "
                "values: drop these events, or the features."
            )
        self._warn_if_outside(X, feature_names)
        if not self._codes_features and not isinstance(X, PackedEvents):
            X = without_outliers(X, name=name, labels=feature_labels(X, feature_names))
        return self._bind(X)

    def _check_form(self, X: Events, name: str) -> None:
        """Refuse what is not checked, sets for rows of features, and another number of features."""
        expected = f"checked events: a NumPy array of shape (n, f), as {type(self).__name__}."
        expected += "predict_weights makes of what it is given, or PackedEvents"
        check_instance(name, X, (np.ndarray, PackedEvents), expected)
        if isinstance(X, np.ndarray) and (X.ndim != 2 or X.dtype.kind != "f"):
            raise ValueError(
                f"{name} has shape {X.shape} and dtype {X.dtype}; expected {expected}."
            )
        n_features = getattr(self, "n_features_in_", None)
        if isinstance(X, PackedEvents):
            if self._fitted_sets is not None:
                X.check_like(self._fitted_sets, name=name, known_name="the fit of the reweighter")
            elif n_features is not None:
                raise ValueError(
                    f"{name} holds sets of particles, the reweighter was fitted on rows of "
                    "features: give both in the same form."
                )
        elif self._fitted_sets is not None:
            raise ValueError(
                f"{name} holds rows of features, the reweighter was fitted on sets of particles: "
                "give both in the same form."
            )
        elif n_features is not None and n_features != X.shape[1]:
            raise ValueError(
                f"{name} has {X.shape[1]} features, the reweighter was fitted on {n_features}: "
                "give the same generator-level features, in the same order."
            )

    def _warn_if_outside(self, X: Events, feature_names: Sequence[str] | None) -> None:
        # `_check_form` has made sure that the events have the form of the support.
        support: Any = self._range
        if support is not None:
            support.warn_if_outside(X, feature_labels(X, feature_names))

    def unseen_folds(self, X: Events) -> np.ndarray[Any, Any] | None:
        """Return the part of a cross-fit whose networks have not seen each of these events.

        Parameters
        ----------
        X : ndarray of shape (n, f) or PackedEvents
            Checked generator events.

        Returns
        -------
        ndarray of int of shape (n,), or None
            None where there are no parts, or these are not the events of the fit.
        """
        self._check_form(X, "X")
        return None

    def unsupported(self, theta: FloatArray) -> str:
        """Say which part of the events at θ the nominal sample lacks, for the verdict of a fit.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            The parameters.

        Returns
        -------
        str
            A clause such as "of the events near theta = 1.2, 8% lie where the nominal sample has
            no events"; empty where nothing is missing, or it is not known, as here.
        """
        check_is_fitted(self)
        self._space.point(theta)
        return ""

    def _check_events(self, X: Any) -> Events:
        """Check the events that a fitted reweighter is given."""
        check_is_fitted(self)
        events = self._checked(X, reset=False)
        self._warn_if_outside(events, getattr(self, "feature_names_in_", None))
        return events

    def _checked(self, X: Any, *, reset: bool) -> Events:
        """Check events that the user gave to `fit`, or, without `reset`, to another method."""
        events = check_estimator_events(
            self, X, reset=reset, keep_single=self._in_parts, allow_nan=self._takes_missing
        )
        refuse_empty_events(events, name="X")
        return events

    def _check_scored_rows(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Events, FloatArray, FloatArray, NDArray[np.bool_]]:
        """Check the arguments of `score`.

        Returns
        -------
        X : ndarray of shape (n, f) or PackedEvents
            Events.
        theta : ndarray of shape (n, p)
            The parameters of each event.
        weight : ndarray of shape (n,)
            Event weights; zero where θ is far from all others.
        counts : ndarray of bool of shape (n,)
            Which events are present.
        """
        check_same_rows(y, X, name="y", reference_name="X")
        check_same_rows(sample_weight, X, name="sample_weight", reference_name="X")
        events = self._check_events(X)
        theta = self._space.rows(y, len(events), name="y")
        weight = check_weights(sample_weight, len(events), name="sample_weight")
        bounds = getattr(self, "theta_bounds", None)
        weight = without_lone_theta(
            theta, self.theta_names_, weight, keep=self.theta_nominal_, bounds=bounds
        )
        return events, theta, weight, weight != 0

    def _check_theta(self, theta: Any, n_events: int) -> FloatArray:
        """Check one θ, (p,), or one per event, (n, p), and warn if it is outside of the range."""
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
        parts = event_parts(events) if self._in_parts else iter([(slice(0, n), events)])
        result = out
        for rows, part in parts:
            values = function(self._bind(part), point if point.ndim == 1 else point[rows])
            result = np.empty((n, *values.shape[1:])) if result is None else result
            result[rows] = values
            release(result[rows])
        return np.empty(0) if result is None else result

    def _evaluate_unseen(
        self, events: Events, point: FloatArray, out: FloatArray | None = None
    ) -> FloatArray:
        """Compute log w of checked events of the fit by what has not learned from each."""
        folds = self.unseen_folds(events)
        if folds is None:
            raise ValueError(
                "out_of_fold=True asks for the events of the fit, all of them in their order, and "
                "for weights that were fitted in parts: X has other events, or n_folds was 1. Fit "
                "with n_folds=2 or more; for other events, leave out_of_fold out."
            )
        result = np.empty(len(events)) if out is None else out
        for rows, part in event_parts(events):
            of_part = folds[rows]
            for k in np.unique(of_part):
                chosen = np.flatnonzero(of_part == k)
                at = point if point.ndim == 1 else point[rows][chosen]
                result[rows][chosen] = self._bind(part[chosen]).by_fold()[k].log_weights(at)
            release(result[rows])
        return result

    def predict_log_weights(
        self, X: ArrayLike, theta: Any = None, *, out: Any = None, out_of_fold: bool = False
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
            Array that they are written to, such as an ``np.memmap``; float64 or float32.
        out_of_fold : bool, default=False
            Give each event of the fit, in the order of the fit, the weight by networks that have
            not learned from it, of `n_folds` parts of a cross-fit. A formula has learned from none.

        Returns
        -------
        ndarray of shape (n,)
            Log-weights, float64, or `out`. Each depends on its own event only.

        Raises
        ------
        ValueError
            If events or θ do not fit, or, with `out_of_fold`, these are not the events of a
            cross-fit in their order.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        if out is not None:
            _check_out(out, len(events))
        if out_of_fold and self._learns:
            return self._evaluate_unseen(events, point, out)
        return self._evaluate(events, point, lambda weights, at: weights.log_weights(at), out)

    def predict_weights(
        self,
        X: ArrayLike,
        theta: Any = None,
        *,
        normalize: bool = False,
        out: FloatArray | None = None,
        out_of_fold: bool = False,
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
            Array that they are written to, such as an ``np.memmap``; float64 or float32.
        out_of_fold : bool, default=False
            Give each event of the fit, in the order of the fit, the weight by networks that have
            not learned from it, of `n_folds` parts of a cross-fit. A formula has learned from none.

        Returns
        -------
        ndarray of shape (n,)
            Weights, float64, or `out`.

        Raises
        ------
        ValueError
            If a weight overflows; it is never replaced in silence. Else as for
            :meth:`predict_log_weights`.
        """
        check_flag("normalize", normalize)
        weights = self.predict_log_weights(X, theta, out=out, out_of_fold=out_of_fold)
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
            The θ at which the gradient is taken.

        Returns
        -------
        ndarray of shape (n, p)
            The gradient, per unit of each parameter.

        Warns
        -----
        ExtrapolationWarning
            If it is not finite for some events, where the density vanishes.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        gradient = self._evaluate(events, point, lambda weights, at: weights.gradient(at))
        n_bad = int((~np.isfinite(gradient)).any(axis=1).sum())
        if n_bad:
            warn_user(
                f"The gradient is not finite for {n_bad} of {len(gradient)} events of X, whose "
                "density vanishes or whose features are extreme: leave them out.",
                ExtrapolationWarning,
            )
        return gradient

    def expected_auc(
        self, X: ArrayLike, theta: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        r"""Compute the AUC that the weights' own error gives a perfect classifier.

        The classifier tells events generated at θ from `X` with these weights. One that sees more
        has found something wrong with the weights, beside their noise; one that sees less may have
        too few events to learn the noise, and to be a test of much else.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Nominal events.
        theta : scalar, array-like of shape (p,), dict or Series
            Parameters; may be left out in the discrete case.
        sample_weight : array-like of shape (n,), default=None
            Event weights before any reweighting.

        Returns
        -------
        float
            The AUC that follows from the differences between the parts of a cross-fit, or from the
            covariance of the refitted couplings and the spread of an ensemble. Where there is none
            of these it is 0.5, as if the weights were exact.

        Raises
        ------
        ValueError
            If events or weights do not fit or are not finite, or there is more than one θ.

        Notes
        -----
        An error of log w that is Gaussian, with variance v over the weighted events, gives an AUC
        of :math:`\Phi(\sqrt{v/2})`.
        """
        events = self._check_events(X)
        weight = check_weights(sample_weight, len(events), name="sample_weight")
        point = self._check_theta(theta, len(events))
        if point.ndim != 1:
            raise ValueError(
                f"theta has shape {point.shape}, expected ({len(self.theta_nominal_)},): events "
                "are compared with those generated at one θ."
            )
        rows = some_rows(weight)
        return expected_auc(self._bind(events[rows]), weight[rows], point)


def _check_out(out: Any, n_events: int) -> None:
    """Raise an error if n weights cannot be written to `out`."""
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
