"""The test whether a classifier can tell two weighted samples apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from skdctr._utils.device import spawn_seeds
from skdctr._utils.numbers import check_count
from skdctr._utils.printable import printable
from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier import Classifier, reference_classifier
from skdctr.comparison.classifier_objective import (
    ClassifierObjective,
    ComparedSamples,
    Evaluation,
)
from skdctr.events.frames import column_labels
from skdctr.events.kinds import Events, concatenate_events
from skdctr.events.validation import (
    check_like,
    check_same_columns,
    check_sample,
    check_weights,
    feature_labels,
)
from skdctr.metrics import effective_sample_size
from skdctr.weights.event_weights import EventWeights
from skdctr.weights.missing_share import find_missing_share, missing_in_words

__all__ = ["ClassifierTestResult", "classifier_test", "probability_above"]


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
        How the p-value was computed.
    n_target, n_sample : float
        Effective number of events of each sample.
    missing_share : float
        Share of the target that lies where the sample has next to no events; 0 where all of it
        lies among events of the sample, but for chance.
    missing : str
        Where that is, in words; empty where nothing is missing.
    """

    auc: float
    error: float
    p_value: float
    method: str
    n_target: float
    n_sample: float
    missing_share: float = 0.0
    missing: str = ""

    @property
    def z(self) -> float:
        """Distance of the AUC from 0.5 in units of its error."""
        return (self.auc - 0.5) / self.error

    def __repr__(self) -> str:
        return printable(
            f"ClassifierTestResult(auc={self.auc:.4f} ± {self.error:.4f}, "
            f"p_value={self.p_value:.3g}, method={self.method!r}, "
            f"n_target={self.n_target:.0f}, n_sample={self.n_sample:.0f}"
            + (f", missing={self.missing!r})" if self.missing else ")")
        )


@dataclass(frozen=True, eq=False)
class _UnitWeights(EventWeights):
    """Event weights of a sample that no parameter changes."""

    n_events: int
    is_exact: bool = True

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

    A network of two layers of 64 nodes, for sets :class:`skdctr.networks.DeepSets`, learns to tell
    `target` from `sample`, and its AUC is measured on events that it has not seen: cross-fitted,
    so that every event is judged once.

    Parameters
    ----------
    target : array-like of shape (n_target, f) or (n_target,), or sets of particles
        The sample to agree with. NaN stands for a missing value.
    sample : array-like of shape (n_sample, f) or (n_sample,), or sets of particles
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
        AUC, its error and the one-sided p-value, and where the sample has no events that the target
        has.

    Raises
    ------
    ValueError
        If `n_folds` is below 2 or `n_permutations` below 1, a sample has fewer than
        ``2 * n_folds`` events, something is not finite, features or weights do not fit, or
        permutations are asked for with weights.
    TypeError
        If `n_folds` or `n_permutations` is no integer.

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
    check_count("n_folds", n_folds, least=2)
    target_events, sample_events = _check_events(target, sample, n_folds)
    weights = (
        check_weights(weight_target, len(target_events), name="weight_target", of="target"),
        check_weights(weight_sample, len(sample_events), name="weight_sample", of="sample"),
    )
    if n_permutations is not None:
        check_count("n_permutations", n_permutations)
        if weight_target is not None or weight_sample is not None:
            raise ValueError(
                "n_permutations was given with weights, but weighted events cannot be exchanged "
                "between the samples: leave out n_permutations, or the weights."
            )
    seed, permutation_seed = spawn_seeds(random_state, 2)
    compare = partial(
        _compare,
        weights=weights,
        columns=column_labels(target),
        classifier=reference_classifier(device, int(n_folds)),
        seed=seed,
    )
    evaluation = compare(target_events, sample_events)
    auc, error = evaluation.auc, _error(evaluation, n_folds)
    if n_permutations is None:
        method, p_value = "normal", probability_above(auc, error, 0.5)
    else:
        method = "permutation"
        n_as_large = sum(
            compare(*exchanged).auc >= auc
            for exchanged in _exchanges(
                target_events, sample_events, n_permutations, permutation_seed
            )
        )
        p_value = (1 + n_as_large) / (1 + n_permutations)
    n_target, n_sample = (effective_sample_size(weight) for weight in weights)
    names = feature_labels(target_events, column_labels(target))
    missing = _missing(evaluation, target_events, sample_events, weights, names)
    return ClassifierTestResult(auc, error, p_value, method, n_target, n_sample, *missing)


def _missing(
    evaluation: Evaluation,
    target: Events,
    sample: Events,
    weights: tuple[FloatArray, FloatArray],
    names: Sequence[str],
) -> tuple[float, str]:
    """Find the share of the target where the sample has no events, and tell it in words."""
    missing = find_missing_share(
        evaluation.data_placement.astype(np.float64),
        # The rank that an event of the sample would have among the target.
        1.0 - evaluation.sim_placement.astype(np.float64),
        *weights,
    )
    if missing is None:
        return 0.0, ""
    words = missing_in_words(missing, target, sample, names, which="the sample")
    return missing.share, f"of the target, {words}"


def _error(evaluation: Evaluation, n_folds: int) -> float:
    """Compute the error of an AUC whose folds are fully correlated."""
    return evaluation.auc_error * math.sqrt(n_folds)


def _check_events(target: Any, sample: Any, n_folds: int) -> tuple[Events, Events]:
    """Check that both samples have the same features, and events enough for each fold."""
    target_events = check_sample(target, name="target")
    check_same_columns(sample, target, name="sample", reference_name="target")
    sample_events = check_sample(sample, name="sample")
    check_like(sample_events, target_events, name="sample", reference_name="target")
    for name, events in (("target", target_events), ("sample", sample_events)):
        if len(events) < 2 * n_folds:
            raise ValueError(
                f"{name} has {len(events)} events, expected {2 * n_folds} at least for "
                f"n_folds={n_folds}: each part needs some; pass more events."
            )
    return target_events, sample_events


def _compare(
    target: Events,
    sample: Events,
    *,
    weights: tuple[FloatArray, FloatArray],
    columns: list[str] | None,
    classifier: Classifier,
    seed: int,
) -> Evaluation:
    """Judge target against sample by cross-fitted classifiers."""
    target_weight, sample_weight = weights
    objective = ClassifierObjective(
        _UnitWeights(len(sample)),
        ComparedSamples(sample, target, sample_weight, target_weight, columns),
        classifier,
        names=(),
        seed=seed,
    )
    return objective.evaluate(np.empty(0))


def _exchanges(
    target: Events, sample: Events, n_permutations: int, seed: int
) -> Iterator[tuple[Events, Events]]:
    """Exchange events between two samples at random, time and again."""
    both = concatenate_events([target, sample])
    rng = np.random.default_rng(seed)
    for _ in range(n_permutations):
        mixed = both[rng.permutation(len(both))]
        yield mixed[: len(target)], mixed[len(target) :]


def probability_above(auc: float, error: float, expected: float) -> float:
    """Compute the probability of as large an AUC where another one is expected.

    Parameters
    ----------
    auc, error : float
        The AUC, and its standard error.
    expected : float
        The AUC that is expected.
    """
    # A perfect separation leaves no error to divide by.
    return float(stats.norm.sf((auc - expected) / error)) if error > 0 else float(auc <= expected)
