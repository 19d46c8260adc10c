"""The reweighter that a fit uses: the given one, one fitted here, or the exponential tilt."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdctr.exceptions import NotFittedError
from skdctr.fitting.samples import GeneratorInput
from skdctr.reweighting.analytic import AnalyticReweighter
from skdctr.reweighting.dctr import DCTRReweighter
from skdctr.reweighting.refusal import refuse_other

__all__ = ["is_given", "resolve_reweighter"]


def _seeded(reweighter: Any, seed: int, *, vary: bool) -> Any:
    """Seed a clone that has no seed of its own, so that the fit is reproducible as a whole.

    With `vary` a seed of its own is mixed with the given one, so that it is another in each run.
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
        The reweighter that the user gave.
    X : array-like of shape (n, f)
        Simulation at generator level.
    gen : GeneratorInput
        Generator sample.
    sample_weight : ndarray of shape (n,)
        Weights of the simulation.
    seed : int
        Seed of reweighters that have none of their own.
    vary_seed : bool
        Whether a seed of its own is changed too, as in all but the first of several runs.

    Returns
    -------
    reweighter
        A fitted reweighter.

    Raises
    ------
    TypeError
        If the object is no reweighter.
    ValueError
        If the generator sample is not complete, or the reweighter knows two values of θ only.
    NotFittedError
        If the reweighter is not fitted and there is nothing to fit it to.
    """
    if reweighter is not None:
        refuse_other(reweighter, needed="bind")
    gen.check_complete()
    if gen.given and not _is_formula(reweighter):
        fresh = DCTRReweighter() if reweighter is None else clone(reweighter)
        if not isinstance(fresh, FrozenEstimator):
            fresh = _seeded(fresh, seed, vary=vary_seed)
        # A reweighter whose `fit` takes no weights can be used where there are none.
        weight = {} if gen.weight is None else {"sample_weight": gen.weight}
        try:
            fresh.fit(gen.events, gen.theta, **weight)
        except ValueError as error:
            # A subclass, such as NotFittedError, keeps its class and its text.
            if type(error) is not ValueError:
                raise
            raise ValueError(
                f"gen, theta, gen_weight (the reweighter's X, y, sample_weight): {error}"
            ) from error
        return _continuous(fresh)
    if reweighter is None or _is_formula(reweighter):
        # A formula learns nothing from θ, and its nominal sample is the simulation.
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
    """Say whether a fit uses a reweighter as it is, even where there is a generator sample."""
    return isinstance(reweighter, FrozenEstimator) or _is_formula(reweighter)


def _is_formula(reweighter: Any) -> bool:
    """Say whether a reweighter learns nothing from generator events."""
    frozen = isinstance(reweighter, FrozenEstimator)
    return reweighter is not None and not frozen and not getattr(reweighter, "_learns", True)


def _continuous(reweighter: Any) -> Any:
    """Return a reweighter, or refuse one that knows two values of θ only."""
    if getattr(reweighter, "discrete_", False):
        raise ValueError(
            "The reweighter was trained at two values of θ only and knows nothing in between: a "
            "fit needs a reweighter, or gen and theta, of three values of θ at least."
        )
    return reweighter
