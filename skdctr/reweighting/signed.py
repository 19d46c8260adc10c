"""Events of negative weight: positive weights that stand for the same densities.

A fit with signed weights has no bound: where, by chance or by nature, negative events outweigh
positive ones, its loss falls for ever. So the mean weight at each event is learned first, relative
to the mean size of weights there, and every event then counts with the size of its weight times
this number. The sums that are expected are those of the signed weights, and no weight is negative.

References
----------
B. Nachman and J. Thaler, Phys. Rev. D 102, 076004 (2020), arXiv:2007.11586, and B. Nachman and
D. Noll, arXiv:2505.03724, for weights that are replaced by their local mean, or scaled to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.kinds import Events
from skdctr.events.packed import PackedEvents
from skdctr.events.validation import feature_labels
from skdctr.exceptions import NegativeDensityWarning
from skdctr.reweighting.sign_model import mean_sign

__all__ = ["UNSIGNED", "SignedSums", "positive_weights"]

# Least mean weight in units of its size: where it is smaller, the density is positive by no more
# than can be told, and weights are bounded by the inverse.
_LEAST_MEAN = 0.02
# A region is named where the mean weight, in the same units, is smaller than the first number by
# the classifier, and smaller than the second one by two errors when all its events are summed up.
_NEAR_ZERO, _FAR_FROM_POSITIVE = 0.1, 0.15
# Quantiles of the events of such a region that the interval which is named lies between.
_EDGES = (0.01, 0.99)
# Types of particles that are counted in an event, at the most.
_MOST_TYPES = 8


@dataclass(frozen=True)
class SignedSums:
    """What the signed weights say about the sums of the positive ones that stand for them.

    Attributes
    ----------
    inflation : float
        Sum of the squares of signed weights over that of positive ones: the factor that the
        variances of sums have in addition.
    log_excess : float
        Logarithm of the sum of positive over signed weights of the varied class, less that of the
        reference; different from 0 only where a density is not known to be positive.
    """

    inflation: float = 1.0
    log_excess: float = 0.0


UNSIGNED = SignedSums()


def positive_weights(
    X: Events,
    theta: FloatArray,
    weight: FloatArray,
    *,
    varied: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    folds: NDArray[np.signedinteger] | None,
    names: Sequence[str],
    feature_names: Sequence[str] | None,
) -> tuple[FloatArray, SignedSums]:
    """Replace weights of which some are negative by positive ones of the same mean at every event.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    theta : ndarray of shape (n, p)
        The parameters of each event.
    weight : ndarray of shape (n,)
        Event weights, whose sum over each class is positive.
    varied, reference : ndarray of bool of shape (n,)
        The events of each class; they are the same where the reference is the mixture of all θ.
    folds : ndarray of int of shape (n,), or None
        The part of a cross-fit that each event is in. Each part learns by itself, so that networks
        that leave a part out do not learn from it.
    names : sequence of str of length p
        Names of the parameters.
    feature_names : sequence of str, or None
        Names of the features, where they have some.

    Returns
    -------
    weight : ndarray of shape (n,)
        The weights; they are the ones that came in where none is negative.
    sums : SignedSums
        What else the signed weights tell.

    Warns
    -----
    NegativeDensityWarning
        For each class and region in which the density is not positive.
    """
    if not (weight < 0).any():
        return weight, UNSIGNED
    mixture = bool((varied & reference).any())
    table, labels = _described(X, feature_names)
    positive, log_excess = weight.copy(), 0.0
    classes = [("training" if mixture else "varied", varied, theta, list(names), 1.0)]
    if not mixture:
        classes.append(("nominal", reference, theta[:, :0], [], -1.0))
    for name, in_class, of_theta, parameters, side in classes:
        rows = np.flatnonzero(in_class)
        signed = weight[rows]
        if (signed < 0).any():
            features, depends_on = table[rows], of_theta[rows]
            unseen = np.empty(len(rows))
            for part in _parts(folds, rows):
                mean = mean_sign(features[part], depends_on[part], signed[part])
                unseen[part] = mean.unseen
                positive[rows[part]] = np.abs(signed[part]) * mean.positive(_LEAST_MEAN)
            columns = np.concatenate([features, depends_on], axis=1)
            _warn_of_region(name, columns, [*labels, *parameters], signed, unseen)
        log_excess += side * math.log(positive[rows].sum() / signed.sum())
    counts = varied | reference
    inflation = np.square(weight[counts]).sum() / np.square(positive[counts]).sum()
    return positive, SignedSums(float(inflation), 0.0 if mixture else log_excess)


def _parts(
    folds: NDArray[np.signedinteger] | None, rows: NDArray[np.intp]
) -> list[NDArray[np.bool_] | slice]:
    """List which of some rows are in each part of a cross-fit; without one there is one part."""
    if folds is None:
        return [slice(None)]
    parts = folds[rows]
    return [parts == k for k in np.unique(parts)]


def _warn_of_region(
    name: str, columns: FloatArray, labels: Sequence[str], weight: FloatArray, unseen: FloatArray
) -> None:
    """Warn of a region in which the weights of a class do not have a positive sum.

    The region is chosen by classifiers that have not seen the events whose sum is judged.

    Parameters
    ----------
    name : str
        What the events are.
    columns : ndarray of shape (n, k)
        Features and parameters.
    labels : sequence of str of length k
        Their names.
    weight : ndarray of shape (n,)
        Signed weights.
    unseen : ndarray of shape (n,)
        Mean weight by classifiers that have not seen the event.
    """
    inside = unseen < _NEAR_ZERO
    if not inside.any():
        return
    size = np.abs(weight[inside]).sum()
    mean, error = weight[inside].sum() / size, math.sqrt(np.square(weight[inside]).sum()) / size
    if mean + 2 * error > _FAR_FROM_POSITIVE:
        return
    label, low, high = _narrowest(columns, labels, inside)
    warn_user(
        f"the density of the {name} events is not positive for {inside.mean():.1%} of them, with "
        f"{label} in [{low:.4g}, {high:.4g}]: their sample_weight has a mean of {mean:.2g} ± "
        f"{error:.1g} in units of its size, as negative ones outweigh or cancel the others. No "
        "ratio of densities exists there, and the learned weight is bounded but means nothing. "
        "Leave the region out, or merge it with its surroundings by a coarser feature.",
        NegativeDensityWarning,
    )


def _narrowest(
    columns: FloatArray, labels: Sequence[str], inside: NDArray[np.bool_]
) -> tuple[str, float, float]:
    """Find the column of which a region has the smallest part, and the interval that it lies in."""
    known = np.flatnonzero(~np.isnan(columns[inside]).all(axis=0))
    edges = np.nanquantile(columns[np.ix_(inside, known)], _EDGES, axis=0)
    within = (columns[:, known] >= edges[0]) & (columns[:, known] <= edges[1])
    best = int(within.mean(axis=0).argmin())
    return labels[known[best]], float(edges[0, best]), float(edges[1, best])


def _described(X: Events, names: Sequence[str] | None) -> tuple[FloatArray, list[str]]:
    """Describe events by numbers of which their mean weight may be a function.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    names : sequence of str, or None
        Names of the features, where they have some.

    Returns
    -------
    table : ndarray of shape (n, k)
        Rows of features as they are; of sets the number of particles, also by type, and mean and
        standard deviation of each feature over the particles of an event.
    labels : list of str of length k
        Names of the columns.
    """
    labels = feature_labels(X, names)
    if not isinstance(X, PackedEvents):
        return np.asarray(X), labels
    counts = X.counts.astype(np.float64)
    event = np.repeat(np.arange(len(X)), X.counts)

    def sums(values: FloatArray) -> FloatArray:
        return np.bincount(event, values, len(X)).astype(np.float64)

    first, last = X.offsets[[0, -1]]
    columns, described = [counts], ["a number of particles"]
    present = np.maximum(counts, 1.0)
    for label, feature in zip(labels, X.features[first:last].T, strict=True):
        mean = sums(feature) / present
        columns += [mean, np.sqrt(sums((feature - mean[event]) ** 2) / present)]
        described += [f"the mean of {label}", f"the deviation of {label}"]
    if X.types is not None:
        types, numbers = np.unique(X.types[first:last], return_counts=True)
        for kind in types[np.argsort(-numbers, kind="stable")[:_MOST_TYPES]]:
            columns.append(sums((X.types[first:last] == kind).astype(np.float64)))
            described.append(f"a number of particles of type {kind}")
    return np.column_stack(columns), described
