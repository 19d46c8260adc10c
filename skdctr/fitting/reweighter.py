"""Which reweighter a fit uses: given, fitted here, or the exponential tilt."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdctr.events.packed import PackedEvents
from skdctr.events.validation import Events, feature_labels
from skdctr.exceptions import NotFittedError
from skdctr.fitting.samples import GeneratorInput
from skdctr.parameters.space import ParameterSpace
from skdctr.reweighting.analytic import AnalyticReweighter
from skdctr.reweighting.dctr import DCTRReweighter
from skdctr.weights.event_weights import EventWeights

__all__ = ["bind", "is_exact", "is_given", "parameter_space", "resolve_reweighter"]


def _seeded(reweighter: Any, seed: int, *, vary: bool) -> Any:
    """Give a clone a seed where it has a free one, so that the fit is reproducible as a whole.

    To vary is to give another, whatever seed it has.
    """
    own = getattr(reweighter, "random_state", 0)
    if own is None or (vary and not isinstance(own, Integral)):
        reweighter.set_params(random_state=seed)
    elif vary and hasattr(reweighter, "random_state"):
        mixed = np.random.SeedSequence([int(own), seed]).generate_state(1)[0]
        reweighter.set_params(random_state=int(mixed))
    return reweighter


def resolve_reweighter(
    reweighter: Any,
    X: Any,
    gen: GeneratorInput,
    sample_weight: Any,
    seed: int,
    *,
    vary_seed: bool = False,
) -> Any:
    """Return a fitted reweighter; the one passed in is never changed.

    Parameters
    ----------
    reweighter : estimator or None
        What the user gave.
    X : array-like of shape (n, f)
        Simulation at generator level.
    gen : GeneratorInput
        Generator sample.
    sample_weight : ndarray of shape (n,)
        Weights of the simulation.
    seed : int
        For reweighters without a seed of their own.
    vary_seed : bool
        Whether a seed of its own is to become another: of all but the first of several runs.

    Raises
    ------
    TypeError
        If it is no reweighter.
    ValueError
        If the generator sample is not complete, or the reweighter knows two values of θ only.
    NotFittedError
        If the reweighter is not fitted and there is nothing to fit it to.
    """
    if reweighter is not None and not hasattr(reweighter, "_bind"):
        raise TypeError(
            f"{type(reweighter).__name__} is not a reweighter: expected DCTRReweighter, "
            "AnalyticReweighter or a FrozenEstimator around one."
        )
    gen.check_complete()
    analytic = isinstance(reweighter, AnalyticReweighter)
    if gen.given and not analytic:
        fresh = DCTRReweighter() if reweighter is None else clone(reweighter)
        if not isinstance(fresh, FrozenEstimator):
            fresh = _seeded(fresh, seed, vary=vary_seed)
        # What takes no weights is not asked to.
        weight = {} if gen.weight is None else {"sample_weight": gen.weight}
        try:
            fresh.fit(gen.events, gen.theta, **weight)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise ValueError(
                f"gen, theta, gen_weight (the reweighter's X, y, sample_weight): {error}"
            ) from error
        return _continuous(fresh)
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
    return _continuous(reweighter)


def is_given(reweighter: Any) -> bool:
    """Say whether a fit uses a reweighter as it is, generator sample or not."""
    return isinstance(reweighter, AnalyticReweighter | FrozenEstimator)


def is_exact(reweighter: Any) -> bool:
    """Say whether weights are those of a formula, frozen or not."""
    if isinstance(reweighter, FrozenEstimator):
        reweighter = reweighter.estimator
    return isinstance(reweighter, AnalyticReweighter)


def _continuous(reweighter: Any) -> Any:
    """Refuse what knows two values of θ, between which there is nothing to fit."""
    if getattr(reweighter, "discrete_", False):
        raise ValueError(
            "The reweighter was trained at two values of θ only and knows nothing in between: a "
            "fit needs a reweighter, or gen and theta, of three values of θ at least."
        )
    return reweighter


def parameter_space(reweighter: Any) -> ParameterSpace:
    """Read names, nominal values and range off a fitted reweighter."""
    bounds = reweighter.theta_bounds_
    return ParameterSpace(
        tuple(reweighter.theta_names_), reweighter.theta_nominal_, bounds[:, 0], bounds[:, 1]
    )


def bind(
    reweighter: Any,
    X: Events,
    names: Sequence[str] | None = None,
    *,
    called: str = "X (sim_gen)",
) -> EventWeights:
    """Bind checked events to a fitted reweighter, frozen ones included.

    Parameters
    ----------
    reweighter : reweighter
        Fitted.
    X : ndarray of shape (n, f) or PackedEvents
        Generator-level events.
    names : sequence of str, optional
        Their column names, where they have some.
    called : str
        What the caller calls the events.

    Raises
    ------
    ValueError
        If the features are not those that it was fitted on.
    """
    fitted = getattr(reweighter, "_fitted_sets", None)
    if isinstance(X, PackedEvents) and fitted is not None:
        X.check_like(fitted, name=called, known_name="the fit of the reweighter")
    elif isinstance(X, PackedEvents) and hasattr(reweighter, "n_features_in_"):
        raise ValueError(
            f"{called} holds sets of particles, the reweighter was fitted on rows of features: "
            "give both in the same form."
        )
    elif fitted is not None:
        raise ValueError(
            f"{called} holds rows of features, the reweighter was fitted on sets of particles: "
            "give both in the same form."
        )
    elif getattr(reweighter, "n_features_in_", X.shape[1]) != X.shape[1]:
        raise ValueError(
            f"{called} has {X.shape[1]} features, the reweighter was fitted on "
            f"{reweighter.n_features_in_}: "
            "give the same generator-level features, in the same order."
        )
    known = getattr(reweighter, "feature_names_in_", None)
    if names is not None and known is not None and list(names) != list(known):
        raise ValueError(
            f"The columns of {called} are {list(names)}, the reweighter was fitted on "
            f"{list(known)}: reorder or rename them."
        )
    support = getattr(reweighter, "_range", None)
    if support is not None:
        support.warn_if_outside(X, feature_labels(X, names))
    weights: EventWeights = reweighter._bind(X)
    return weights
