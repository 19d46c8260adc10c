"""The checks of a closure test."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.typing import FloatArray
from skdctr.closure.report import Check, ClosureReport, make_report, p_value_limit
from skdctr.closure.two_samples import classifier_test, probability_above
from skdctr.events.frames import column_labels
from skdctr.events.kinds import Events, event_columns, holds_sets
from skdctr.events.validation import (
    check_like,
    check_same_columns,
    check_sample,
    check_weights,
    feature_labels,
)
from skdctr.exceptions import ExtrapolationWarning
from skdctr.metrics import effective_sample_size, histogram_chi2
from skdctr.reweighting.base import parameter_space

__all__ = ["closure_report"]

# Deviation of the mean weight that is worth a note, in standard errors.
_SIGNIFICANT = 4.0
# Deviation that is none, where all weights are equal.
_ROUNDING = 1e-6


def closure_report(
    reweighter: Any,
    nominal: ArrayLike,
    target: ArrayLike,
    theta: Any,
    *,
    weight_nominal: ArrayLike | None = None,
    weight_target: ArrayLike | None = None,
    nominal_reco: ArrayLike | None = None,
    observables: Any = None,
    n_bins: int = 20,
    level: float = 0.001,
    mean_tolerance: float = 0.01,
    min_effective_share: float = 0.01,
    max_weight_share: float = 0.05,
    device: Any = "auto",
    random_state: int | np.random.RandomState | None = None,
) -> ClosureReport:
    r"""Check the weights of a reweighter against events generated at θ.

    Seven kinds of failure, each with a number: weights that are not finite, a mean weight that is
    not 1, few effective events, one event that carries too much, and a difference between the
    reweighted nominal events and the target that a classifier or a histogram sees.

    Parameters
    ----------
    reweighter : fitted reweighter
        `DCTRReweighter`, `AnalyticReweighter`, or a FrozenEstimator around one.
    nominal : array-like of shape (n_nominal, f), or n_nominal sets of particles
        Nominal events with the features of the reweighter. They should not be those that it was
        trained on.
    target : array-like of shape (n_target, m), or n_target sets
        Events generated at `theta`, with the features of `nominal_reco`, or of `nominal` where
        there is none.
    theta : scalar, array-like of shape (p,), dict or Series
        The parameters of `target`, also in the discrete case.
    weight_nominal, weight_target : array-like of shape (n_nominal,), (n_target,), default=None
        Event weights before any reweighting.
    nominal_reco : array-like of shape (n_nominal, m), or n_nominal sets, default=None
        Reconstructed features of the events of `nominal`, row by row. The weights come from
        `nominal`, the comparison with the target is in these (SRGN paper, Fig. 4).
    observables : pair of DataFrames, or mapping, default=None
        What to make histograms of: DataFrames of nominal and target events with the same columns,
        or ``{name: (values of nominal, values of target)}``. None takes every feature that
        is compared, of sets of particles nothing.
    n_bins : int, default=20
        Bins of each histogram, see `skdctr.metrics.histogram_chi2`.
    level : float, default=0.001
        Probability that good weights fail on any p-value. Divided by the number of p-values
        (Bonferroni).
    mean_tolerance : float, default=0.01
        Deviation of the mean weight from 1 that is no failure, beside its statistical error. The
        default is for learned weights; 0 is right for exact ones. See the notes.
    min_effective_share : float, default=0.01
        Least effective sample size of the reweighted events, as a share of that before.
    max_weight_share : float, default=0.05
        Largest share of the total weight that one event may have.
    device : str, default="auto"
        Where the classifier trains.
    random_state : int, RandomState instance or None, default=None
        Seed of the classifier test.

    Returns
    -------
    ClosureReport

    Raises
    ------
    TypeError
        If `reweighter` is no reweighter, or `observables` not as described.
    NotFittedError
        If the reweighter is not fitted.
    ValueError
        If events, weights, parameters or thresholds do not fit or are not finite.

    Notes
    -----
    The mean weight over nominal events estimates 1 where the weights are exact. With a deviation d
    of standard error s and the tolerance t, its p-value is the probability of a deviation of d or
    more if the true one is t, :math:`\Phi(-(|d| - t)/s) + \Phi(-(|d| + t)/s)`, which is the
    two-sided one of d/s for t = 0. What is significant but tolerated is told in `notes`.

    A common factor of all weights changes no shape and no fit of this package, but it changes a
    cross section. Learned weights have one, as the classifier knows the sizes of its two classes
    to their fluctuation at best: with one or two features it is 0.001 to 0.02 away from 1 after
    training on 10⁵ events per class, and 0.003 to 0.05 after 10⁴. The default of one per cent is
    the size of the luminosity's error, beyond which a factor would count.

    Everything else is compared with no tolerance but the statistical error: with enough events
    every learned weight fails. Where the classifier sees no more than the weights' own noise, as
    :meth:`DCTRReweighter.expected_auc` knows it, `notes` tells. Where the weights have no finite
    variance (for a Gaussian whose variance more than doubles) standard errors mean little, which
    small effective sample sizes tell of.

    References
    ----------
    A. Andreassen et al. (SRGN), arXiv:2010.03569, Fig. 3, 4 and 6.

    Examples
    --------
    >>> from skdctr import AnalyticReweighter
    >>> from skdctr.closure import closure_report
    >>> from skdctr.datasets import make_gaussian
    >>> toy = make_gaussian(5000, mu=0.5, random_state=0)
    >>> exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}).fit(toy.sim_gen)
    >>> closure_report(exact, toy.sim_gen, toy.data_gen, 0.5, random_state=0).passed
    True
    """
    if not hasattr(reweighter, "predict_log_weights"):
        raise TypeError(
            f"reweighter is a {type(reweighter).__name__}, expected one with predict_log_weights: "
            "a fitted DCTRReweighter or AnalyticReweighter."
        )
    check_is_fitted(reweighter)
    space = parameter_space(reweighter)
    point = space.point(theta)
    where = dict(zip(space.names, point.tolist(), strict=True))
    _check_share("level", level)
    if mean_tolerance != 0:
        _check_share("mean_tolerance", mean_tolerance)
    _check_share("min_effective_share", min_effective_share)
    _check_share("max_weight_share", max_weight_share)
    events = check_sample(nominal, name="nominal")
    before = check_weights(weight_nominal, len(events), name="weight_nominal")
    level_name = "nominal" if nominal_reco is None else "nominal_reco"
    shown = nominal if nominal_reco is None else nominal_reco
    compared = check_sample(shown, name=level_name)
    if len(compared) != len(events):
        raise ValueError(
            f"nominal_reco has {len(compared)} events, nominal has {len(events)}: they are the "
            "same events at two levels, row by row."
        )
    check_same_columns(target, shown, name="target", reference_name=level_name)
    wanted = check_sample(target, name="target")
    check_like(wanted, compared, name="target", reference_name=level_name)
    weight = check_weights(weight_target, len(wanted), name="weight_target")
    pairs = _pairs(observables, shown, compared, wanted)

    # Rows of features with their names, sets not to be packed once more.
    bound = events if holds_sets(events) else nominal
    log_weights = reweighter.predict_log_weights(bound, point)
    with np.errstate(over="ignore"):
        ratio = np.exp(log_weights)
    n_bad = int((~np.isfinite(ratio)).sum())
    rows = [Check("weights not finite", n_bad, "0", math.nan, n_bad == 0)]
    after = before * ratio
    if n_bad or not after.sum() > 0:
        if not n_bad:
            rows.append(Check("sum of weights", float(after.sum()), "> 0", math.nan, False))
        note = "nothing else can be checked: take θ closer to the nominal parameters"
        return make_report(rows, where, level, notes=(note,))

    mean, notes = _mean_weight(before, ratio, mean_tolerance)
    rows += [mean, *_spread_checks(before, ratio, min_effective_share, max_weight_share)]
    classifier = classifier_test(
        wanted,
        compared,
        weight_target=weight,
        weight_sample=after,
        device=device,
        random_state=random_state,
    )
    rows.append(
        Check(
            "AUC of a classifier",
            classifier.auc,
            f"0.5 ± {classifier.error:.2g}",
            classifier.p_value,
        )
    )
    chi2 = {}
    for name, (of_nominal, of_target) in pairs.items():
        try:
            result = histogram_chi2(
                of_target, of_nominal, weight_target=weight, weight_sample=after, bins=n_bins
            )
        except (TypeError, ValueError) as error:
            raise type(error)(f"No histogram of {name!r}: {error}") from error
        chi2[name] = result
        rows.append(Check(f"χ² of {name}", result.chi2, f"ndf {result.ndf}", result.p_value))
        if result.min_bin_events < 10:
            notes.append(
                f"the p-value of χ² of {name} is a rough one: a bin has "
                f"{result.min_bin_events:.2g} effective events; take fewer bins"
            )
    limit = p_value_limit(rows, level)
    if classifier.p_value < limit:
        expected = _expected_auc(reweighter, bound, before, point)
        p_value = probability_above(classifier.auc, classifier.error, expected)
        if expected > 0.5 and p_value > limit:
            notes.append(
                "the classifier sees no more than the noise that the weights have from their "
                f"training events, which gives an AUC of up to {expected:.4f}: more generator "
                "events make it smaller"
            )
    return make_report(rows, where, level, classifier=classifier, chi2=chi2, notes=tuple(notes))


def _expected_auc(reweighter: Any, nominal: Any, weight: FloatArray, theta: FloatArray) -> float:
    """Return the AUC that the weights' own error gives a classifier; 0.5 where none is known."""
    if not hasattr(reweighter, "expected_auc"):
        return 0.5
    with warnings.catch_warnings():
        # The weights themselves have told of it.
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return float(reweighter.expected_auc(nominal, theta, weight))


def _mean_weight(
    before: FloatArray, ratio: FloatArray, tolerance: float
) -> tuple[Check, list[str]]:
    """Check that the mean weight is 1 to within its error and a tolerance."""
    share = before / before.sum()
    mean = float(share @ ratio)
    error = float(np.linalg.norm(share * (ratio - mean)))
    off = abs(mean - 1)
    if error > 0:
        beyond = np.array([off - tolerance, off + tolerance]) / error
        p_value = float(stats.norm.sf(beyond).sum())
    else:
        p_value = float(off <= max(tolerance, _ROUNDING))
    expected = f"1 ± {error:.2g}" + (f" (stat.) ± {tolerance:g}" if tolerance else "")
    notes = []
    if max(_SIGNIFICANT * error, _ROUNDING) < off <= tolerance:
        notes.append(
            f"the mean weight differs from 1 by {mean - 1:+.2g} ± {error:.1g}, within the "
            f"tolerance of {tolerance:g}: where the number of events counts and not the shape "
            "alone, divide by the mean, as predict_weights(..., normalize=True) does"
        )
    return Check("mean weight", mean, expected, p_value), notes


def _spread_checks(
    before: FloatArray, ratio: FloatArray, min_effective_share: float, max_weight_share: float
) -> Iterator[Check]:
    """Check how evenly the weights are spread."""
    after = before * ratio
    effective = effective_sample_size(after) / effective_sample_size(before)
    yield Check(
        "effective share of events",
        effective,
        f"≥ {min_effective_share:g}",
        math.nan,
        effective >= min_effective_share,
    )
    largest = float(np.abs(after).max() / after.sum())
    yield Check(
        "largest share of one event",
        largest,
        f"≤ {max_weight_share:g}",
        math.nan,
        largest <= max_weight_share,
    )


def _pairs(
    observables: Any, shown: Any, nominal: Events, target: Events
) -> dict[str, tuple[Any, Any]]:
    """Pair the values of nominal and of target events, by the name of the observable."""
    if observables is None:
        # Sets have no values to be compared event by event.
        columns = zip(event_columns(nominal), event_columns(target), strict=True)
        names = feature_labels(nominal, column_labels(shown))
        return dict(zip(names, columns, strict=False))
    if isinstance(observables, Mapping):
        pairs = {str(name): pair for name, pair in observables.items()}
    elif (
        isinstance(observables, (tuple, list))
        and len(observables) == 2
        and all(isinstance(table, pd.DataFrame) for table in observables)
    ):
        first, second = observables
        check_same_columns(second, first, name="observables[1]", reference_name="observables[0]")
        if list(first.columns) != list(second.columns):
            raise ValueError(
                f"observables have the columns {list(first.columns)} and {list(second.columns)}, "
                "expected the same ones: rename or reorder them."
            )
        pairs = {str(name): (first[name], second[name]) for name in first.columns}
    else:
        raise TypeError(
            f"observables is a {type(observables).__name__}, expected a pair of DataFrames "
            "(nominal, target) or a mapping {name: (values of nominal, values of target)}."
        )
    for name, pair in pairs.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"observables[{name!r}] must be a pair (values of nominal, values of target), got "
                f"a {type(pair).__name__}."
            )
        for values, sample, events in zip(
            pair, ("nominal", "target"), (nominal, target), strict=True
        ):
            if np.shape(values) != (len(events),):
                raise ValueError(
                    f"observables[{name!r}] of {sample} has shape {np.shape(values)}, expected "
                    f"({len(events)},): one value per event."
                )
    return pairs


def _check_share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name}={value!r}; expected a number between 0 and 1.")
