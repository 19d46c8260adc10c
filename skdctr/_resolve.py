"""Which reweighter a fit uses: given, fitted here, or the exponential tilt."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

from ._sets import PackedEvents
from ._validation import Events, ParameterSpace, feature_labels
from ._weights import EventWeights
from .analytic import AnalyticReweighter
from .exceptions import ClosureFitWarning, NotFittedError
from .reweighting import DCTRReweighter

__all__ = ["bind", "parameter_space", "resolve_reweighter", "warn_closure"]


def _seeded(reweighter: Any, seed: int) -> Any:
    """Give a clone a seed where it has a free one, so that the fit is reproducible as a whole."""
    if getattr(reweighter, "random_state", 0) is None:
        reweighter.set_params(random_state=seed)
    return reweighter


def resolve_reweighter(
    reweighter: Any, X: Any, gen: Any, theta: Any, sample_weight: Any, seed: int
) -> Any:
    """Return a fitted reweighter; the one passed in is never changed.

    Parameters
    ----------
    reweighter : estimator or None
        What the user gave.
    X : array-like of shape (n, f)
        Simulation at generator level.
    gen, theta : array-like or None
        Generator sample.
    sample_weight : ndarray of shape (n,)
        Weights of the simulation.
    seed : int
        For reweighters without a seed of their own.

    Raises
    ------
    TypeError
        If it is no reweighter.
    ValueError
        If only one of gen and theta is given.
    NotFittedError
        If the reweighter is not fitted and there is nothing to fit it to.
    """
    if reweighter is not None and not hasattr(reweighter, "_bind"):
        raise TypeError(
            f"{type(reweighter).__name__} is not a reweighter: expected DCTRReweighter, "
            "AnalyticReweighter or a FrozenEstimator around one."
        )
    if (gen is None) != (theta is None):
        given, missing = ("gen", "theta") if theta is None else ("theta", "gen")
        raise ValueError(
            f"{given} was given without {missing}: the generator sample needs its events (gen) and "
            "the parameters of each (theta)."
        )
    analytic = isinstance(reweighter, AnalyticReweighter)
    if gen is not None and not analytic:
        fresh = _seeded(DCTRReweighter() if reweighter is None else clone(reweighter), seed)
        try:
            return fresh.fit(gen, theta)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise ValueError(f"gen, theta (the reweighter's X, y): {error}") from error
    if reweighter is None or analytic:
        # What is analytic learns nothing from θ, and its nominal sample is the simulation.
        fresh = AnalyticReweighter() if reweighter is None else clone(reweighter)
        return fresh.fit(X, sample_weight=sample_weight)
    try:
        check_is_fitted(reweighter)
    except SklearnNotFittedError as error:
        raise NotFittedError(
            f"The reweighter {type(reweighter).__name__} is not fitted. Either fit it first, "
            "reweighter.fit(gen, theta) (and wrap it in sklearn.frozen.FrozenEstimator where the "
            "fitter is cloned, as in GridSearchCV), or pass the generator sample to the fit: "
            "fit(sim_gen, sim_reco, data, gen=gen, theta=theta)."
        ) from error
    return reweighter


def parameter_space(reweighter: Any) -> ParameterSpace:
    """Read names, nominal values and range off a fitted reweighter."""
    bounds = reweighter.theta_bounds_
    return ParameterSpace(
        tuple(reweighter.theta_names_), reweighter.theta_nominal_, bounds[:, 0], bounds[:, 1]
    )


def bind(reweighter: Any, X: Events, names: Sequence[str] | None = None) -> EventWeights:
    """Bind checked events to a fitted reweighter, frozen ones included.

    Parameters
    ----------
    reweighter : reweighter
        Fitted.
    X : ndarray of shape (n, f) or PackedEvents
        Generator-level events.
    names : sequence of str, optional
        Their column names, where they have some.

    Raises
    ------
    ValueError
        If the features are not those that it was fitted on.
    """
    fitted = getattr(reweighter, "_fitted_sets", None)
    if isinstance(X, PackedEvents) and fitted is not None:
        X.check_like(fitted, name="X (sim_gen)", known_name="the fit of the reweighter")
    elif isinstance(X, PackedEvents) and hasattr(reweighter, "n_features_in_"):
        raise ValueError(
            "X (sim_gen) holds sets of particles, the reweighter was fitted on rows of features: "
            "give both in the same form."
        )
    elif fitted is not None:
        raise ValueError(
            "X (sim_gen) holds rows of features, the reweighter was fitted on sets of particles: "
            "give both in the same form."
        )
    elif getattr(reweighter, "n_features_in_", X.shape[1]) != X.shape[1]:
        raise ValueError(
            f"X (sim_gen) has {X.shape[1]} features, the reweighter was fitted on "
            f"{reweighter.n_features_in_}: "
            "give the same generator-level features, in the same order."
        )
    known = getattr(reweighter, "feature_names_in_", None)
    if names is not None and known is not None and list(names) != list(known):
        raise ValueError(
            f"The columns of X (sim_gen) are {list(names)}, the reweighter was fitted on "
            f"{list(known)}: reorder or rename them."
        )
    support = getattr(reweighter, "_range", None)
    if support is not None:
        support.warn_if_outside(X, feature_labels(X, names))
    weights: EventWeights = reweighter._bind(X)
    return weights


def warn_closure() -> None:
    """Say that the simulation is fitted to itself."""
    warnings.warn(
        "data is None: the simulation is fitted to itself, which gives θ₀ back if all is well "
        "(a closure or Asimov fit). Pass data=... to fit data.",
        ClosureFitWarning,
        stacklevel=4,
    )
