"""The checks that a closure test makes of nominal events with their weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.arguments import shorten
from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray
from skdctr.closure.observables import pair_observables
from skdctr.closure.result import Check, ClosureReport, make_report, p_value_limit
from skdctr.closure.two_samples import ClassifierTestResult, classifier_test, probability_above
from skdctr.events.frames import column_labels
from skdctr.events.kinds import Events, holds_sets
from skdctr.events.lost import check_reco
from skdctr.events.packed import PackedEvents
from skdctr.events.validation import check_like, check_same_columns, check_sample, check_weights
from skdctr.exceptions import ExtrapolationWarning
from skdctr.metrics import Chi2Result, effective_sample_size, histogram_chi2
from skdctr.reweighting.base import parameter_space
from skdctr.reweighting.refusal import refuse_other

__all__ = ["closure_report"]

# Deviation of the mean weight that is worth a note, in standard errors.
_SIGNIFICANT = 4.0
# Deviation of the mean weight that rounding explains, where all weights are equal.
_ROUNDING = 1e-6
# Edges of the bins of an observable that is there, and of one that is missing.
_MISSING_OR_NOT = (-0.5, 0.5, 1.5)
# Effective events in every bin, with which the distribution of χ² is good enough for a p-value.
_LEAST_BIN_EVENTS = 10


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

    The report has a number for each kind of failure: weights that are not finite or have no
    positive sum, a mean weight that is not 1, few effective events, one event that carries too
    much, a difference between the reweighted nominal events and the target that a classifier
    or a histogram sees, and a part of the target where there are no nominal events.

    Parameters
    ----------
    reweighter : fitted reweighter
        `DCTRReweighter`, `AnalyticReweighter`, or a FrozenEstimator around one.
    nominal : array-like of shape (n_nominal, f), or n_nominal sets of particles
        Nominal events with the features of the reweighter. They should not be those that it was
        trained on. Here and in all samples NaN stands for a missing value; how often a feature is
        missing is compared by a χ² of its own.
    target : array-like of shape (n_target, m), or n_target sets
        Events generated at `theta`, with the features of `nominal_reco`, or of `nominal` where
        there is none.
    theta : scalar, array-like of shape (p,), dict or Series
        The parameters of `target`, also in the discrete case.
    weight_nominal, weight_target : array-like of shape (n_nominal,), (n_target,), default=None
        Event weights before any reweighting; None stands for ones.
    nominal_reco : array-like of shape (n_nominal, m), or n_nominal sets, default=None
        Reconstructed features of the events of `nominal`, row by row, NaN throughout for events
        that the reconstruction lost. The weights come from `nominal`, the comparison with the
        target is in these (SRGN paper, Fig. 4).
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
    _check_reweighter(reweighter)
    space = parameter_space(reweighter)
    point = space.point(theta)
    where = dict(zip(space.names, point.tolist(), strict=True))
    _check_share("level", level)
    check_count("n_bins", n_bins, least=2, advice="pass a number of bins, such as 20")
    if not (isinstance(mean_tolerance, Real) and mean_tolerance == 0):
        _check_share("mean_tolerance", mean_tolerance)
    _check_share("min_effective_share", min_effective_share)
    _check_share("max_weight_share", max_weight_share)
    samples = _check_samples(nominal, target, nominal_reco, weight_nominal, weight_target)
    pairs = pair_observables(
        observables,
        samples.compared,
        samples.target,
        given=nominal if nominal_reco is None else nominal_reco,
    )
    before = samples.nominal_weight
    log_weights = reweighter.predict_log_weights(samples.bound, point)
    with np.errstate(over="ignore"):
        ratio = np.exp(log_weights)
    rows = _usable_weights(before, ratio)
    if not all(row.passed for row in rows):
        note = "nothing else can be checked: take θ closer to the nominal parameters"
        return make_report(rows, where, level, notes=(note,))
    mean, notes = _mean_weight(before, ratio, mean_tolerance)
    rows += [mean, *_spread_checks(before, ratio, min_effective_share, max_weight_share)]
    after = before * ratio
    passed = samples.passed
    classifier = classifier_test(
        samples.named(samples.target),
        samples.named(samples.compared[np.flatnonzero(passed)]),
        weight_target=samples.target_weight,
        weight_sample=after[passed],
        device=device,
        random_state=random_state,
    )
    expected = f"0.5 ± {classifier.error:.2g}"
    rows.append(Check("AUC of a classifier", classifier.auc, expected, classifier.p_value))
    lacking = _lacking(reweighter, point, classifier)
    rows.append(Check("share with no events", classifier.missing_share, "0", math.nan, not lacking))
    notes += lacking
    kept = {name: (np.asarray(nominal)[passed], other) for name, (nominal, other) in pairs.items()}
    chi2 = _histograms(kept, samples.target_weight, after[passed], n_bins)
    for name, result in chi2.items():
        rows.append(Check(f"χ² of {name}", result.chi2, f"ndf {result.ndf}", result.p_value))
        notes += _rough_p_value(name, result)
    limit = p_value_limit(rows, level)
    if classifier.p_value < limit:
        noise = _expected_auc(reweighter, samples.bound, before, point)
        notes += _only_noise(classifier, noise, limit)
    return make_report(rows, where, level, classifier=classifier, chi2=chi2, notes=tuple(notes))


@dataclass(frozen=True, eq=False)
class _ClosureSamples:
    """The checked samples of a closure test.

    Attributes
    ----------
    bound : array-like of shape (n, f) or PackedEvents
        Nominal events at generator level, which the weights are computed from: rows of features as
        the user gave them, with their names, and sets as they were packed.
    compared : ndarray of shape (n, m) or PackedEvents
        Nominal events at the level of the target.
    nominal_weight : ndarray of shape (n,)
        Their event weights before any reweighting.
    target : ndarray of shape (k, m) or PackedEvents
        Events generated at θ.
    passed : ndarray of bool of shape (n,)
        Nominal events that the reconstruction kept, which alone are compared.
    columns : list of str, or None
        Names of the features that are compared, where they have some.
    target_weight : ndarray of shape (k,)
        Their event weights.
    """

    bound: Any
    compared: Events
    nominal_weight: FloatArray
    target: Events
    target_weight: FloatArray
    passed: NDArray[np.bool_]
    columns: list[str] | None = None

    def named(self, X: Events) -> Any:
        """Give rows of compared features their names back."""
        if self.columns is None or isinstance(X, PackedEvents):
            return X
        return pd.DataFrame(X, columns=self.columns)


def _check_reweighter(reweighter: Any) -> None:
    """Refuse what is no reweighter, or is not fitted."""
    refuse_other(reweighter, needed="predict_log_weights")
    check_is_fitted(reweighter)


def _check_samples(
    nominal: Any, target: Any, nominal_reco: Any, weight_nominal: Any, weight_target: Any
) -> _ClosureSamples:
    """Check the samples as the user gave them, each by itself and against each other."""
    events = check_sample(nominal, name="nominal")
    nominal_weight = check_weights(weight_nominal, len(events), name="weight_nominal", of="nominal")
    level_name = "nominal" if nominal_reco is None else "nominal_reco"
    shown = nominal if nominal_reco is None else nominal_reco
    compared, passed = (
        (events, None) if nominal_reco is None else check_reco(shown, name=level_name)
    )
    if len(compared) != len(events):
        raise ValueError(
            f"nominal_reco has {len(compared)} events, nominal has {len(events)}: they are the "
            "same events at two levels, row by row."
        )
    check_same_columns(target, shown, name="target", reference_name=level_name)
    target_events = check_sample(target, name="target")
    check_like(target_events, compared, name="target", reference_name=level_name)
    return _ClosureSamples(
        bound=events if holds_sets(events) else nominal,
        compared=compared,
        nominal_weight=nominal_weight,
        target=target_events,
        target_weight=check_weights(
            weight_target, len(target_events), name="weight_target", of="target"
        ),
        passed=np.ones(len(events), dtype=bool) if passed is None else passed,
        columns=None if holds_sets(compared) else column_labels(shown) or column_labels(target),
    )


def _usable_weights(before: FloatArray, ratio: FloatArray) -> list[Check]:
    """Check that weights are finite and, where their sum is not positive, say so."""
    n_bad = int((~np.isfinite(ratio)).sum())
    rows = [Check("weights not finite", n_bad, "0", math.nan, n_bad == 0)]
    if n_bad:
        return rows
    total = float((before * ratio).sum())
    return rows if total > 0 else [*rows, Check("sum of weights", total, "> 0", math.nan, False)]


def _histograms(
    pairs: Mapping[str, tuple[Any, Any]],
    weight_target: FloatArray,
    weight_nominal: FloatArray,
    n_bins: int,
) -> dict[str, Chi2Result]:
    """Compare the histograms of each observable, and how often it is missing."""
    results = {}
    for name, (nominal_values, target_values) in pairs.items():
        of_target, of_nominal = _is_missing(target_values), _is_missing(nominal_values)
        try:
            results[name] = histogram_chi2(
                np.asarray(target_values)[~of_target],
                np.asarray(nominal_values)[~of_nominal],
                weight_target=weight_target[~of_target],
                weight_sample=weight_nominal[~of_nominal],
                bins=n_bins,
            )
            if of_target.any() or of_nominal.any():
                results[f"{name} missing"] = histogram_chi2(
                    of_target.astype(np.float64),
                    of_nominal.astype(np.float64),
                    weight_target=weight_target,
                    weight_sample=weight_nominal,
                    bins=_MISSING_OR_NOT,
                )
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"observables: No histogram of {name!r}: {error}") from error
    return results


def _is_missing(values: Any) -> NDArray[np.bool_]:
    """Say which values of an observable, (n,), are NaN; what holds no numbers is refused later."""
    array = np.asarray(values)
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(array), dtype=bool)


def _rough_p_value(name: str, result: Chi2Result) -> list[str]:
    """Note that a bin has too few events for the p-value to be exact."""
    if not result.min_bin_events < _LEAST_BIN_EVENTS:
        return []
    note = (
        f"the p-value of χ² of {name} is a rough one: a bin has {result.min_bin_events:.2g} "
        "effective events; take fewer bins"
    )
    return [note]


def _lacking(reweighter: Any, theta: FloatArray, classifier: ClassifierTestResult) -> list[str]:
    """Note where the target lies that nominal events are missing, now or in the training."""
    lacking = classifier.missing.replace("the sample", "the nominal sample")
    if not lacking and hasattr(reweighter, "unsupported"):
        lacking = reweighter.unsupported(theta)
    if not lacking:
        return []
    return [f"no common support: {lacking}; take θ₀ where its events cover the target"]


def _only_noise(classifier: ClassifierTestResult, expected: float, limit: float) -> list[str]:
    """Note that the classifier sees no more than the weights' own noise, where that is so."""
    p_value = probability_above(classifier.auc, classifier.error, expected)
    if not (expected > 0.5 and p_value > limit):
        return []
    note = (
        "the classifier sees no more than the noise that the weights have from their training "
        f"events, which gives an AUC of up to {expected:.4f}: more generator events make it smaller"
    )
    return [note]


def _expected_auc(reweighter: Any, nominal: Any, weight: FloatArray, theta: FloatArray) -> float:
    """Return the AUC that the weights' own error gives a classifier; 0.5 where none is known."""
    if not hasattr(reweighter, "expected_auc"):
        return 0.5
    with warnings.catch_warnings():
        # The weights have warned of it before.
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return float(reweighter.expected_auc(nominal, theta, weight))


def _mean_weight(
    before: FloatArray, ratio: FloatArray, tolerance: float
) -> tuple[Check, list[str]]:
    """Check that the mean weight is 1 to within its error and a tolerance; return notes on it."""
    share = before / before.sum()
    mean = float(share @ ratio)
    error = float(np.linalg.norm(share * (ratio - mean)))
    deviation = abs(mean - 1)
    if error > 0:
        beyond = np.array([deviation - tolerance, deviation + tolerance]) / error
        p_value = float(stats.norm.sf(beyond).sum())
    else:
        p_value = float(deviation <= max(tolerance, _ROUNDING))
    expected = f"1 ± {error:.2g}" + (f" (stat.) ± {tolerance:g}" if tolerance else "")
    notes = []
    if max(_SIGNIFICANT * error, _ROUNDING) < deviation <= tolerance:
        notes.append(
            f"the mean weight differs from 1 by {mean - 1:+.2g} ± {error:.1g}, within the "
            f"tolerance of {tolerance:g}: where the number of events counts and not the shape "
            "alone, divide by the mean, as predict_weights(..., normalize=True) does"
        )
    return Check("mean weight", mean, expected, p_value), notes


def _spread_checks(
    before: FloatArray, ratio: FloatArray, min_effective_share: float, max_weight_share: float
) -> Iterator[Check]:
    """Check that the weights leave enough effective events, and no event with too large a share."""
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


def _check_share(name: str, value: Any) -> None:
    """Refuse a threshold that is no number between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name}={shorten(value)}; expected a number between 0 and 1.")
