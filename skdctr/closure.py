"""Does a reweighting close? Tests of reweighted nominal events against events of the target.

`classifier_test` asks whether any classifier can tell two weighted samples apart,
`closure_report` asks all that is known to go wrong with weights and answers pass or fail.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ._device import resolve_device, spawn_seeds
from ._resolve import parameter_space
from ._validation import (
    FloatArray,
    check_events,
    check_same_columns,
    check_weights,
    feature_names,
)
from ._weights import EventWeights
from .metrics import Chi2Result, effective_sample_size, histogram_chi2
from .networks import MLP
from .objectives import ClassifierObjective
from .training import TrainingOptions

__all__ = ["ClassifierTestResult", "ClosureReport", "classifier_test", "closure_report"]

# Steps of gradient descent of the classifier, where one pass over the events is not more.
_STEPS = 400
_MOST_EPOCHS = 30
_BATCHES_AN_EPOCH = 10
# Deviation of the mean weight that is worth a note, in standard errors.
_SIGNIFICANT = 4.0
# Deviation that is none, where all weights are equal.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class ClassifierTestResult:
    """Outcome of `classifier_test`.

    Attributes
    ----------
    auc : float
        Pr[g(target) > g(sample)] of a classifier g on events that it has not seen; 0.5 where the
        samples cannot be told apart.
    error : float
        Standard error of `auc` if the samples are alike.
    p_value : float
        Probability of as large an AUC if the samples are alike.
    method : {"normal", "permutation"}
        Where the p-value comes from.
    n_target, n_sample : float
        Effective number of events of each sample.
    """

    auc: float
    error: float
    p_value: float
    method: str
    n_target: float
    n_sample: float

    @property
    def z(self) -> float:
        """Distance of the AUC from 0.5 in units of its error."""
        return (self.auc - 0.5) / self.error

    def __repr__(self) -> str:
        return (
            f"ClassifierTestResult(auc={self.auc:.4f} ± {self.error:.4f}, "
            f"p_value={self.p_value:.3g}, method={self.method!r}, "
            f"n_target={self.n_target:.0f}, n_sample={self.n_sample:.0f})"
        )


@dataclass(frozen=True, eq=False)
class _UnitWeights:
    """`EventWeights` of a sample that no parameter changes."""

    n_events: int

    def log_weights(self, theta: FloatArray) -> FloatArray:
        return np.zeros(self.n_events)

    def gradient(self, theta: FloatArray) -> FloatArray:
        return np.zeros((self.n_events, theta.shape[-1]))

    def subset(self, rows: NDArray[np.intp]) -> _UnitWeights:
        return _UnitWeights(len(rows))


def classifier_test(
    target: ArrayLike,
    sample: ArrayLike,
    *,
    weight_target: ArrayLike | None = None,
    weight_sample: ArrayLike | None = None,
    n_folds: int = 2,
    n_permutations: int | None = None,
    device: Any = "auto",
    random_state: int | np.random.RandomState | None = None,
) -> ClassifierTestResult:
    r"""Test whether a classifier can tell two weighted samples apart.

    A network of two layers of 64 nodes learns to tell `target` from `sample`, and its AUC is
    measured on events that it has not seen: cross-fitted, so that every event is judged once.

    Parameters
    ----------
    target : array-like of shape (n_target, f) or (n_target,)
        The sample to agree with.
    sample : array-like of shape (n_sample, f) or (n_sample,)
        The other sample, e.g. reweighted events, with the same features.
    weight_target, weight_sample : array-like of shape (n_target,), (n_sample,), default=None
        Event weights; None stands for ones. Only shapes are compared, not totals.
    n_folds : int, default=2
        Parts of the cross-fit. The p-value gets the more conservative the more there are.
    n_permutations : int, default=None
        Compare the AUC with those after so many random exchanges of events between the samples.
        Exact for samples of any size, but as many trainings, and for unweighted events only.
        None takes the normal approximation.
    device : str, default="auto"
        "auto" takes CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of the classifiers.

    Returns
    -------
    ClassifierTestResult
        AUC, its error and the one-sided p-value.

    Raises
    ------
    ValueError
        If a sample has fewer than ``2 * n_folds`` events, something is not finite, features or
        weights do not fit, or permutations are asked for with weights.

    Notes
    -----
    The error of one fold's AUC is that of `skdctr.metrics.weighted_auc`. If the samples are alike,
    the AUCs of the folds are far from independent: the fluctuation that the classifier learns in
    one half is the one that its events show to the classifier of the other half. The test
    therefore takes the folds as fully correlated, :math:`\sqrt{K}` times the error of independent
    ones for K folds, which no correlation exceeds. Measured over toys of two folds the p-value is
    uniform to slightly conservative.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.closure import classifier_test
    >>> rng = np.random.default_rng(0)
    >>> test = classifier_test(rng.normal(size=2000), rng.normal(0.5, size=2000), random_state=0)
    >>> bool(test.p_value < 1e-6)
    True
    """
    _check_count("n_folds", n_folds, 2)
    positive = check_events(target, name="target")
    check_same_columns(sample, target, name="sample", reference_name="target")
    negative = check_events(sample, name="sample", n_features=positive.shape[1])
    for name, events in (("target", positive), ("sample", negative)):
        if len(events) < 2 * n_folds:
            raise ValueError(
                f"{name} has {len(events)} events, expected {2 * n_folds} at least for "
                f"n_folds={n_folds}: each part needs some; pass more events."
            )
    w = check_weights(weight_target, len(positive), name="weight_target")
    v = check_weights(weight_sample, len(negative), name="weight_sample")
    if n_permutations is not None:
        _check_count("n_permutations", n_permutations, 1)
        if weight_target is not None or weight_sample is not None:
            raise ValueError(
                "n_permutations was given with weights, but weighted events cannot be exchanged "
                "between the samples: leave out n_permutations, or the weights."
            )
    seed, permutation_seed = spawn_seeds(random_state, 2)
    chosen = resolve_device(device)

    def evaluate(a: FloatArray, b: FloatArray) -> tuple[float, float]:
        unit: EventWeights = _UnitWeights(len(b))
        objective = ClassifierObjective(
            unit,
            b,
            a,
            names=(),
            sim_weight=v,
            data_weight=w,
            build=_build,
            options=_options,
            max_rows=None,
            n_folds=int(n_folds),
            seed=seed,
            device=chosen,
        )
        found = objective.evaluate(np.empty(0))
        return found.auc, found.auc_error * math.sqrt(n_folds)

    auc, error = evaluate(positive, negative)
    if n_permutations is None:
        method = "normal"
        # A perfect separation leaves no error to divide by.
        p_value = float(stats.norm.sf((auc - 0.5) / error)) if error > 0 else float(auc <= 0.5)
    else:
        method = "permutation"
        both = np.concatenate([positive, negative])
        rng = np.random.default_rng(permutation_seed)
        as_large = 0
        for _ in range(n_permutations):
            mixed = both[rng.permutation(len(both))]
            as_large += evaluate(mixed[: len(positive)], mixed[len(positive) :])[0] >= auc
        p_value = (1 + as_large) / (1 + n_permutations)
    return ClassifierTestResult(
        auc, error, p_value, method, effective_sample_size(w), effective_sample_size(v)
    )


def _build(n_features: int) -> nn.Module:
    return MLP(n_features, 0, hidden_layer_sizes=(64, 64), activation="silu")


def _options(n_events: int) -> TrainingOptions:
    batch_size = int(np.clip(n_events // _BATCHES_AN_EPOCH, 1, 2000))
    epochs = math.ceil(_STEPS / math.ceil(n_events / batch_size))
    return TrainingOptions(max_epochs=min(epochs, _MOST_EPOCHS), batch_size=batch_size, lr=0.005)


@dataclass(frozen=True, eq=False, repr=False)
class ClosureReport:
    """Outcome of `closure_report`.

    Attributes
    ----------
    passed : bool
        Whether every check passed.
    checks : DataFrame
        One row per check: name, value, expected, p_value (NaN where there is none), passed.
    theta : dict of str to float
        Where the nominal events were reweighted to.
    p_value_limit : float
        Each p-value has to reach this: the level over the number of p-values.
    classifier : ClassifierTestResult or None
        The classifier test; None if the weights are not finite.
    chi2 : dict of str to Chi2Result
        The histograms of each observable.
    notes : tuple of str
        What to keep in mind; empty where all is well.
    """

    passed: bool
    checks: pd.DataFrame
    theta: dict[str, float]
    p_value_limit: float
    classifier: ClassifierTestResult | None = None
    chi2: dict[str, Chi2Result] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def _title(self) -> str:
        where = ", ".join(f"{name} = {value:g}" for name, value in self.theta.items())
        n_failed = int((~self.checks["passed"]).sum())
        state = "PASSED" if self.passed else f"FAILED {n_failed} of {len(self.checks)} checks"
        return f"Closure at {where}: {state}"

    def _formatted(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "check": self.checks["name"],
                "value": [f"{value:.5g}" for value in self.checks["value"]],
                "expected": self.checks["expected"],
                "p-value": ["" if math.isnan(p) else f"{p:.3g}" for p in self.checks["p_value"]],
                "": np.where(self.checks["passed"], "passed", "FAILED"),
            }
        )

    def _legend(self) -> str:
        return f"A p-value passes from {self.p_value_limit:.2g} on."

    def __str__(self) -> str:
        lines = [self._title(), self._formatted().to_string(index=False), self._legend()]
        return "\n".join([*lines, *(f"! {note}" for note in self.notes)])

    def __repr__(self) -> str:
        failed = self.checks.loc[~self.checks["passed"], "name"].tolist()
        return (
            f"ClosureReport(passed={self.passed}, theta={self.theta}, "
            f"n_checks={len(self.checks)}, failed={failed})"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<p><b>{html.escape(self._title())}</b></p>"
            f"{self._formatted().to_html(index=False)}<p>{html.escape(self._legend())}</p>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )


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
    nominal : array-like of shape (n_nominal, f)
        Nominal events with the features of the reweighter. They should not be those that it was
        trained on.
    target : array-like of shape (n_target, m)
        Events generated at `theta`, with the features of `nominal_reco`, or of `nominal` where
        there is none.
    theta : scalar, array-like of shape (p,), dict or Series
        The parameters of `target`, also in the discrete case.
    weight_nominal, weight_target : array-like of shape (n_nominal,), (n_target,), default=None
        Event weights before any reweighting.
    nominal_reco : array-like of shape (n_nominal, m), default=None
        Reconstructed features of the events of `nominal`, row by row. The weights come from
        `nominal`, the comparison with the target is in these (SRGN paper, Fig. 4).
    observables : pair of DataFrames, or mapping, default=None
        What to make histograms of: DataFrames of nominal and target events with the same columns,
        or ``{name: (values of nominal, values of target)}``. None takes every feature that
        is compared.
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
    every learned weight fails. Where the weights have no finite variance (for a Gaussian whose
    variance more than doubles) standard errors mean little, which small effective sample sizes
    tell of.

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
    events = check_events(nominal, name="nominal")
    before = check_weights(weight_nominal, len(events), name="weight_nominal")
    level_name = "nominal" if nominal_reco is None else "nominal_reco"
    shown = nominal if nominal_reco is None else nominal_reco
    compared = check_events(shown, name=level_name)
    if len(compared) != len(events):
        raise ValueError(
            f"nominal_reco has {len(compared)} events, nominal has {len(events)}: they are the "
            "same events at two levels, row by row."
        )
    check_same_columns(target, shown, name="target", reference_name=level_name)
    wanted = check_events(target, name="target", n_features=compared.shape[1])
    weight = check_weights(weight_target, len(wanted), name="weight_target")
    pairs = _pairs(observables, shown, compared, wanted)

    log_weights = reweighter.predict_log_weights(nominal, point)
    with np.errstate(over="ignore"):
        ratio = np.exp(log_weights)
    n_bad = int((~np.isfinite(ratio)).sum())
    rows = [_Check("weights not finite", n_bad, "0", math.nan, n_bad == 0)]
    after = before * ratio
    if n_bad or not after.sum() > 0:
        if not n_bad:
            rows.append(_Check("sum of weights", float(after.sum()), "> 0", math.nan, False))
        note = "nothing else can be checked: take θ closer to the nominal parameters"
        return _make_report(rows, where, level, notes=(note,))

    mean, notes = _mean_weight(before, ratio, mean_tolerance)
    rows += [mean, *_spread_checks(before, ratio, min_effective_share, max_weight_share)]
    classifier = classifier_test(
        target,
        shown,
        weight_target=weight,
        weight_sample=after,
        device=device,
        random_state=random_state,
    )
    rows.append(
        _Check(
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
        rows.append(_Check(f"χ² of {name}", result.chi2, f"ndf {result.ndf}", result.p_value))
        if result.min_bin_events < 10:
            notes.append(
                f"the p-value of χ² of {name} is a rough one: a bin has "
                f"{result.min_bin_events:.2g} effective events; take fewer bins"
            )
    return _make_report(rows, where, level, classifier=classifier, chi2=chi2, notes=tuple(notes))


@dataclass(frozen=True)
class _Check:
    """One row of a report; `passed` is None where the p-value decides."""

    name: str
    value: float
    expected: str
    p_value: float
    passed: bool | None = None


def _make_report(
    rows: list[_Check], theta: dict[str, float], level: float, **further: Any
) -> ClosureReport:
    limit = level / max(1, sum(row.passed is None for row in rows))
    checks = pd.DataFrame(
        {
            "name": [row.name for row in rows],
            "value": [float(row.value) for row in rows],
            "expected": [row.expected for row in rows],
            "p_value": [row.p_value for row in rows],
            "passed": [row.p_value >= limit if row.passed is None else row.passed for row in rows],
        }
    )
    return ClosureReport(bool(checks["passed"].all()), checks, theta, limit, **further)


def _mean_weight(
    before: FloatArray, ratio: FloatArray, tolerance: float
) -> tuple[_Check, list[str]]:
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
    return _Check("mean weight", mean, expected, p_value), notes


def _spread_checks(
    before: FloatArray, ratio: FloatArray, min_effective_share: float, max_weight_share: float
) -> Iterator[_Check]:
    """Check how evenly the weights are spread."""
    after = before * ratio
    effective = effective_sample_size(after) / effective_sample_size(before)
    yield _Check(
        "effective share of events",
        effective,
        f"≥ {min_effective_share:g}",
        math.nan,
        effective >= min_effective_share,
    )
    largest = float(np.abs(after).max() / after.sum())
    yield _Check(
        "largest share of one event",
        largest,
        f"≤ {max_weight_share:g}",
        math.nan,
        largest <= max_weight_share,
    )


def _pairs(
    observables: Any, shown: Any, nominal: FloatArray, target: FloatArray
) -> dict[str, tuple[Any, Any]]:
    """Pair the values of nominal and of target events, by the name of the observable."""
    if observables is None:
        names = feature_names(shown) or [f"feature {k}" for k in range(nominal.shape[1])]
        return {name: (nominal[:, k], target[:, k]) for k, name in enumerate(names)}
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


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r}; expected an integer of at least {least}.")


def _check_share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r}; expected a number between 0 and 1.")
