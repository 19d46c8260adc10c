"""Figures of merit for weighted samples, in numpy: no network and no training in here.

Weights may be negative, as generators beyond leading order produce them: a weighted sum is then
a signed one. The one condition is that the weights of each sample have a positive sum, without
which nothing can be normalised.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "AUCPlacements",
    "Chi2Result",
    "auc_placements",
    "effective_sample_size",
    "histogram_chi2",
    "weighted_auc",
]

FloatArray = NDArray[np.float64]


def effective_sample_size(weights: ArrayLike) -> float:
    r"""Count the unweighted events with the statistical power of a weighted sample.

    Kish's effective sample size, :math:`(\sum_i w_i)^2 / \sum_i w_i^2`.

    Parameters
    ----------
    weights : array-like of shape (n,)
        One weight per event. Negative weights count as signed ones; the sum must be positive.

    Returns
    -------
    float
        A number of events, at most n; independent of the scale of the weights. It may fall
        below 1 only where weights are negative.

    Raises
    ------
    TypeError
        If the weights are not real numbers.
    ValueError
        If the weights are empty, not one-dimensional, not finite, or do not sum to a positive
        number.

    References
    ----------
    L. Kish, Survey Sampling (Wiley, 1965).

    Examples
    --------
    >>> effective_sample_size([1.0, 1.0, 1.0, 1.0])
    4.0
    >>> effective_sample_size([2.0, 1.0, 1.0])
    2.6666666666666665
    """
    values = _check_vector("weights", weights)
    _check_positive_sum("weights", values)
    # Scaled first: the squares of very large or very small weights would leave the float range.
    values = values / np.abs(values).max()
    return float(values.sum() ** 2 / np.square(values).sum())


class AUCPlacements(NamedTuple):
    """The AUC and the placement of every event; see `auc_placements`.

    Attributes
    ----------
    auc : float
        Pr[s₊ > s₋] + Pr[s₊ = s₋]/2.
    positive : ndarray of shape (n_positive,)
        For each positive event, the weighted fraction of negative events that score below it.
    negative : ndarray of shape (n_negative,)
        For each negative event, the weighted fraction of positive events that score above it.
    """

    auc: float
    positive: FloatArray
    negative: FloatArray


def auc_placements(
    score_positive: ArrayLike,
    score_negative: ArrayLike,
    weight_positive: ArrayLike | None = None,
    weight_negative: ArrayLike | None = None,
) -> AUCPlacements:
    r"""Area under the ROC curve with the placement of every event.

    The placements are what the influence of single events on the AUC is made of. With
    weights w of the positive events and v of the negative ones,

    .. math::
        P_i = \frac{\sum_j v_j\, k(s_i, s_j)}{\sum_j v_j}, \qquad
        Q_j = \frac{\sum_i w_i\, k(s_i, s_j)}{\sum_i w_i}, \qquad
        \mathrm{AUC} = \frac{\sum_i w_i P_i}{\sum_i w_i} = \frac{\sum_j v_j Q_j}{\sum_j v_j},

    where k is 1 if the positive event scores higher, 1/2 if both score the same and 0
    otherwise. To first order a positive event contributes
    :math:`w_i (P_i - \mathrm{AUC}) / \sum w` to the deviation of the AUC from its expectation,
    a negative event :math:`v_j (Q_j - \mathrm{AUC}) / \sum v`. The sum of the squares is the
    variance; the sum of the products of two such lists is the covariance of two AUCs of the
    same events.

    Parameters
    ----------
    score_positive : array-like of shape (n_positive,)
        Classifier output of the events of the positive class. Any increasing function of the
        score gives the same result.
    score_negative : array-like of shape (n_negative,)
        Classifier output of the events of the negative class.
    weight_positive : array-like of shape (n_positive,), default=None
        Event weights; None stands for ones. Negative weights count as signed ones, so that a
        placement may leave [0, 1]; the sum must be positive.
    weight_negative : array-like of shape (n_negative,), default=None
        The same for the negative class.

    Returns
    -------
    AUCPlacements
        Named tuple ``(auc, positive, negative)``, events in the order they were given.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If an argument is empty, not one-dimensional, not finite, or does not match its scores in
        length, or if the weights of a class do not sum to a positive number.

    Notes
    -----
    Exact with ties, in O(n log n): each class is sorted once and looked up in the other.

    References
    ----------
    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837,
    for unit weights.
    """
    positive, negative = _check_classes(
        score_positive, score_negative, weight_positive, weight_negative
    )
    return _placements(positive, negative)


@overload
def weighted_auc(
    score_positive: ArrayLike,
    score_negative: ArrayLike,
    weight_positive: ArrayLike | None = ...,
    weight_negative: ArrayLike | None = ...,
    *,
    return_error: Literal[False] = ...,
) -> float: ...


@overload
def weighted_auc(
    score_positive: ArrayLike,
    score_negative: ArrayLike,
    weight_positive: ArrayLike | None = ...,
    weight_negative: ArrayLike | None = ...,
    *,
    return_error: Literal[True],
) -> tuple[float, float]: ...


@overload
def weighted_auc(
    score_positive: ArrayLike,
    score_negative: ArrayLike,
    weight_positive: ArrayLike | None = ...,
    weight_negative: ArrayLike | None = ...,
    *,
    return_error: bool,
) -> float | tuple[float, float]: ...


def weighted_auc(
    score_positive: ArrayLike,
    score_negative: ArrayLike,
    weight_positive: ArrayLike | None = None,
    weight_negative: ArrayLike | None = None,
    *,
    return_error: bool = False,
) -> float | tuple[float, float]:
    r"""Area under the ROC curve of two weighted samples, with its standard error.

    The probability Pr[s₊ > s₋] + Pr[s₊ = s₋]/2 that an event of the positive class scores
    higher than one of the negative class. In Eq. 5 of the SRGN paper the data are the
    positive class and the reweighted simulation the negative one; 0.5 means that the score
    cannot tell them apart.

    Parameters
    ----------
    score_positive : array-like of shape (n_positive,)
        Classifier output of the events of the positive class. Any increasing function of the
        score gives the same result, so a logit does as well as a probability and ties less.
    score_negative : array-like of shape (n_negative,)
        Classifier output of the events of the negative class.
    weight_positive : array-like of shape (n_positive,), default=None
        Event weights; None stands for ones. Negative weights count as signed ones, so that the
        AUC may leave [0, 1]; the sum must be positive.
    weight_negative : array-like of shape (n_negative,), default=None
        The same for the negative class.
    return_error : bool, default=False
        Whether to return the standard error too, which takes not quite twice as long.

    Returns
    -------
    auc : float
        The area; independent of the scale of the weights of either class.
    error : float
        Standard error of the area, only with ``return_error=True``.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If an argument is empty, not one-dimensional, not finite, or does not match its scores in
        length, or if the weights of a class do not sum to a positive number.

    See Also
    --------
    auc_placements : The contribution of each event.

    Notes
    -----
    The variance is the sum of the squared influences of the events, with the placements P, Q of
    `auc_placements`:

    .. math::
        \mathrm{Var} \approx
        \frac{\sum_i w_i^2 (P_i - \mathrm{AUC})^2}{(\sum_i w_i)^2} +
        \frac{\sum_j v_j^2 (Q_j - \mathrm{AUC})^2}{(\sum_j v_j)^2} .

    With unit weights these are DeLong's structural components, but for a factor (n - 1)/n in
    each class. The weight belongs to its event: repeating the experiment draws events and
    weights anew. A classifier trained on the same events makes them dependent and the error
    meaningless.

    References
    ----------
    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837.
    A. Andreassen et al., "Parameter Estimation using Neural Networks in the Presence of
    Detector Effects" (SRGN), arXiv:2010.03569, Eq. 5.

    Examples
    --------
    >>> weighted_auc([0.2, 0.8], [0.1, 0.5])
    0.75
    >>> weighted_auc([0.2, 0.8], [0.1, 0.5], weight_positive=[1.0, 3.0])
    0.875
    """
    positive, negative = _check_classes(
        score_positive, score_negative, weight_positive, weight_negative
    )
    if not return_error:
        return _mean(_fraction_below(positive, negative), positive.weight)
    auc, placement_positive, placement_negative = _placements(positive, negative)
    error = np.hypot(
        _mean_error(placement_positive, auc, positive.weight),
        _mean_error(placement_negative, auc, negative.weight),
    )
    return auc, float(error)


# Arrays have no truth value, so that a generated __eq__ would fail.
@dataclass(frozen=True, eq=False, repr=False)
class Chi2Result:
    """Outcome of `histogram_chi2`.

    Attributes
    ----------
    chi2 : float
        Test statistic.
    ndf : int
        Degrees of freedom, the number of occupied bins minus one.
    p_value : float
        Probability of a larger ``chi2`` if both samples follow one shape.
    edges : ndarray of shape (n_bins + 1,)
        Bin edges. Bins are half-open, [low, high), but for the last, which is closed.
    target, sample : ndarray of shape (n_bins,)
        Fraction of each sample in each bin; each sums to one.
    target_error, sample_error : ndarray of shape (n_bins,)
        Standard errors of the fractions.
    min_bin_events : float
        Smallest effective number of events of either sample in an occupied bin. Below about
        ten the p-value is a rough one, as fractions are taken to be normally distributed.
    """

    chi2: float
    ndf: int
    p_value: float
    edges: FloatArray
    target: FloatArray
    sample: FloatArray
    target_error: FloatArray
    sample_error: FloatArray
    min_bin_events: float

    def __repr__(self) -> str:
        return (
            f"Chi2Result(chi2={self.chi2:.4g}, ndf={self.ndf}, p_value={self.p_value:.3g}, "
            f"n_bins={len(self.target)}, min_bin_events={self.min_bin_events:.3g})"
        )


def histogram_chi2(
    target: ArrayLike,
    sample: ArrayLike,
    *,
    weight_target: ArrayLike | None = None,
    weight_sample: ArrayLike | None = None,
    bins: int | ArrayLike = 20,
    range: tuple[float, float] | None = None,  # noqa: A002, numpy.histogram's name for it
) -> Chi2Result:
    r"""Compare the shapes of two weighted samples in one observable.

    Both histograms are normalised to unit area. The statistic uses the full covariance of the
    fractions, so that its degrees of freedom are the number of bins minus one.

    Parameters
    ----------
    target : array-like of shape (n_target,)
        The observable in the sample to agree with, in any unit.
    sample : array-like of shape (n_sample,)
        The observable in the other sample, in the same unit.
    weight_target : array-like of shape (n_target,), default=None
        Event weights; None stands for ones. Negative weights count as signed ones.
    weight_sample : array-like of shape (n_sample,), default=None
        The same for the other sample.
    bins : int or array-like of shape (n_bins + 1,), default=20
        A number asks for bins that hold equal parts of the target. They never come between
        equal values, so an integer-valued observable gets whole values, and may get fewer
        bins. The outermost reach as far as either sample does. An array gives the edges;
        bins are half-open but for the last.
    range : tuple of two floats, default=None
        Compare only events within these limits, both included. With edges given, events
        outside the edges are left out anyway and `range` is not accepted.

    Returns
    -------
    Chi2Result
        Statistic, degrees of freedom, p-value, edges and both normalised histograms.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If an argument is empty, not one-dimensional, not finite, or does not match its sample in
        length; if the edges do not increase, or the range is empty; if either sample has no
        positive sum of weights within the edges; or if only one bin is occupied.

    Notes
    -----
    With :math:`S_b = \sum_{i \in b} w_i^2`, :math:`S = \sum_b S_b` and :math:`W = \sum_i w_i`,
    the fraction :math:`f_b = \sum_{i \in b} w_i / W` is a ratio in which event i has the
    influence :math:`w_i (1[i \in b] - f_b) / W`. Hence

    .. math::
        \mathrm{Cov}(f_b, f_c) =
        \frac{\delta_{bc} S_b - f_b S_c - f_c S_b + f_b f_c S}{W^2} ,

    the multinomial covariance for unit weights. Its rows sum to zero, as the fractions have a
    fixed sum. The statistic is the squared difference of the fractions in the metric of the
    inverse of the summed covariances with one bin dropped; which one makes no difference.
    Bins without events in either sample carry no information and are not counted.

    Bins from the quantiles of the target leave the statistic asymptotically distributed as
    with fixed ones: shifting an edge moves both fractions alike.

    References
    ----------
    N. D. Gagunashvili, Nucl. Instrum. Meth. A 614 (2010) 287, on comparing weighted histograms.
    """
    x_target = _check_vector("target", target)
    w_target = _check_weight("weight_target", weight_target, "target", x_target)
    x_sample = _check_vector("sample", sample)
    w_sample = _check_weight("weight_sample", weight_sample, "sample", x_sample)

    if np.ndim(bins) == 0:
        n_bins = _check_n_bins(bins)
        if range is not None:
            low, high = _check_range(range)
            keep = (x_target >= low) & (x_target <= high)
            x_target, w_target = x_target[keep], w_target[keep]
            keep = (x_sample >= low) & (x_sample <= high)
            x_sample, w_sample = x_sample[keep], w_sample[keep]
            where = f"range={range!r}"
        else:
            where = "the range of the target"
        if x_target.size == 0 or x_sample.size == 0:
            empty = "target" if x_target.size == 0 else "sample"
            raise ValueError(f"{empty} has no events in {where}; widen or drop `range`.")
        edges = _quantile_edges(x_target, w_target, x_sample, n_bins)
    else:
        if range is not None:
            raise ValueError(
                f"range={range!r} came together with an array of edges in `bins`, and the edges "
                "set the range already; pass one of the two."
            )
        edges = _check_edges(bins)
        where = f"the edges, [{edges[0]:g}, {edges[-1]:g}]"

    f_target, cov_target, ess_target = _fractions("target", x_target, w_target, edges, where)
    f_sample, cov_sample, ess_sample = _fractions("sample", x_sample, w_sample, edges, where)

    used = (ess_target > 0) | (ess_sample > 0)
    ndf = int(used.sum()) - 1
    if ndf < 1:
        raise ValueError(
            f"bins={len(edges) - 1} intervals hold all events in one bin, and a shape needs at "
            "least two; pass edges that divide the sample."
        )
    if np.any((ess_target > 0) & (ess_sample > 0)):
        covariance = (cov_target + cov_sample)[np.ix_(used, used)]
        chi2 = _mahalanobis((f_target - f_sample)[used], covariance)
    else:
        # No bin in common: the estimated covariance has no variance along their distance.
        chi2 = np.inf
    return Chi2Result(
        chi2=chi2,
        ndf=ndf,
        p_value=float(stats.chi2.sf(chi2, ndf)),
        edges=edges,
        target=f_target,
        sample=f_sample,
        # Zero, for a sample in one bin, may come out negative by rounding.
        target_error=np.sqrt(np.maximum(np.diag(cov_target), 0.0)),
        sample_error=np.sqrt(np.maximum(np.diag(cov_sample), 0.0)),
        min_bin_events=float(min(ess_target[used].min(), ess_sample[used].min())),
    )


class _WeightedScores(NamedTuple):
    """One class: scores and weights as given, and the order that sorts the scores."""

    score: NDArray[Any]
    weight: FloatArray
    order: NDArray[np.intp]


def _check_classes(
    score_positive: ArrayLike,
    score_negative: ArrayLike,
    weight_positive: ArrayLike | None,
    weight_negative: ArrayLike | None,
) -> tuple[_WeightedScores, _WeightedScores]:
    classes = []
    for name, score, weight in (
        ("positive", score_positive, weight_positive),
        ("negative", score_negative, weight_negative),
    ):
        scores = _check_vector(f"score_{name}", score, keep_float32=True)
        weights = _check_weight(f"weight_{name}", weight, f"score_{name}", scores)
        _check_positive_sum(f"weight_{name}", weights)
        classes.append(_WeightedScores(scores, weights, np.argsort(scores)))
    return classes[0], classes[1]


def _placements(positive: _WeightedScores, negative: _WeightedScores) -> AUCPlacements:
    placement_positive = _fraction_below(positive, negative)
    placement_negative = 1.0 - _fraction_below(negative, positive)
    auc = _mean(placement_positive, positive.weight)
    return AUCPlacements(auc, placement_positive, placement_negative)


def _fraction_below(events: _WeightedScores, others: _WeightedScores) -> FloatArray:
    """Weighted fraction of `others` that score below each event, ties counting one half."""
    # Looking up sorted values walks through memory in order, ten times faster than at random.
    ranked = events.score[events.order]
    reference = others.score[others.order]
    cumulative = np.zeros(len(reference) + 1)
    np.cumsum(others.weight[others.order], out=cumulative[1:])
    below = cumulative[np.searchsorted(reference, ranked, side="left")]
    below += cumulative[np.searchsorted(reference, ranked, side="right")]
    below /= 2.0 * cumulative[-1]
    fraction = np.empty_like(below)
    fraction[events.order] = below
    return fraction


def _mean(values: FloatArray, weight: FloatArray) -> float:
    return float(weight @ values / weight.sum())


def _mean_error(values: FloatArray, mean: float, weight: FloatArray) -> float:
    # Normalised before they are squared, as in effective_sample_size.
    return float(np.linalg.norm(weight / weight.sum() * (values - mean)))


def _fractions(
    name: str, x: FloatArray, weight: FloatArray, edges: FloatArray, where: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fraction per bin, its covariance matrix, and the effective number of events per bin."""
    n_bins = len(edges) - 1
    index = np.searchsorted(edges, x, side="right") - 1
    index[x == edges[-1]] = n_bins - 1
    inside = (index >= 0) & (index < n_bins)
    index, weight = index[inside], weight[inside]
    total = weight.sum()
    if not total > 0:
        raise ValueError(
            f"weight_{name} sums to {total:g} over the {index.size} events of {name} within "
            f"{where}, expected a positive sum; compare in a region that holds events."
        )
    weight = weight / total
    fraction = np.bincount(index, weight, minlength=n_bins).astype(np.float64)
    square = np.bincount(index, np.square(weight), minlength=n_bins).astype(np.float64)
    cross = np.outer(fraction, square)
    covariance = np.diag(square) - cross - cross.T + np.outer(fraction, fraction) * square.sum()
    # A bin whose weights cancel has events but no effective ones; tiny keeps it an occupied bin.
    events = np.maximum(np.square(fraction), np.finfo(np.float64).tiny)
    ess: FloatArray = np.divide(events, square, out=np.zeros(n_bins), where=square > 0)
    return fraction, covariance, ess


def _mahalanobis(difference: FloatArray, covariance: FloatArray) -> float:
    # The best measured bin follows from the others; the scaling is for the condition number.
    keep = np.arange(len(difference)) != np.argmax(np.diag(covariance))
    difference, covariance = difference[keep], covariance[np.ix_(keep, keep)]
    scale = np.sqrt(np.diag(covariance))
    pull = difference / scale
    correlation = covariance / np.outer(scale, scale)
    return float(pull @ np.linalg.solve(correlation, pull))


def _quantile_edges(
    target: FloatArray, weight: FloatArray, sample: FloatArray, n_bins: int
) -> FloatArray:
    """Edges between distinct values of the target, as near to its quantiles as they get."""
    values, index = np.unique(target, return_inverse=True)
    if len(values) < 2:
        raise ValueError(
            f"target has the one value {values[0]:g} in all of its events, and quantiles need "
            "two or more; pass the edges in `bins`."
        )
    # Absolute weights: with signed ones the distribution function would not increase.
    content = np.cumsum(np.bincount(index, np.abs(weight)))
    wanted = np.arange(1, n_bins) / n_bins * content[-1]
    upper = np.clip(np.searchsorted(content, wanted), 1, len(values) - 2)
    nearer = wanted - content[upper - 1] < content[upper] - wanted
    cut = np.unique(np.where(nearer, upper - 1, upper)) if len(values) > 2 else np.array([0])
    middle = values[cut] / 2 + values[cut + 1] / 2
    # Bins include their lower edge; halfway between neighbouring floats is one of the two.
    inner = np.where(middle > values[cut], middle, values[cut + 1])
    low, high = min(values[0], sample.min()), max(values[-1], sample.max())
    return np.concatenate(([low], inner, [high])).astype(np.float64)


def _check_vector(name: str, value: ArrayLike, *, keep_float32: bool = False) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        with contextlib.suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got dtype {array.dtype}; convert it to float."
        )
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, got shape {array.shape}; pass a single column, "
            "for instance with .ravel()."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty, expected at least one entry; check the selection.")
    if not (keep_float32 and array.dtype == np.float32):
        array = array.astype(np.float64, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(
            f"{name} must be finite, got {array.size - int(finite.sum())} entries that are not, "
            f"the first {array[first]} at index {first}; remove or mend them."
        )
    return array


def _check_weight(
    name: str, weight: ArrayLike | None, name_events: str, events: NDArray[Any]
) -> FloatArray:
    if weight is None:
        return np.ones(len(events))
    values = _check_vector(name, weight)
    if len(values) != len(events):
        raise ValueError(
            f"{name} has {len(values)} entries and {name_events} has {len(events)}, expected as "
            "many; pass one weight per event, in the same order."
        )
    return values


def _check_positive_sum(name: str, weight: FloatArray) -> None:
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not (total > 0 and np.isfinite(total)):
        raise ValueError(
            f"{name} sums to {total:g}, expected a positive finite sum; single weights may be "
            "negative, but a sample needs a positive total to be normalised."
        )


def _check_n_bins(bins: Any) -> int:
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 2:
        raise ValueError(
            f"bins must be an integer of at least 2 or an array of edges, got {bins!r}; "
            "pass for instance bins=20."
        )
    return int(bins)


def _check_edges(bins: ArrayLike) -> FloatArray:
    edges: FloatArray = _check_vector("bins", bins)
    if len(edges) < 3 or not np.all(np.diff(edges) > 0):
        raise ValueError(
            f"bins must hold at least three increasing edges, got {edges}; sort them and remove "
            "repeated ones, for instance with numpy.unique."
        )
    return edges


def _check_range(limits: Any) -> tuple[float, float]:
    values = _check_vector("range", limits)
    if len(values) != 2 or not values[0] < values[1]:
        raise ValueError(
            f"range must be two numbers (low, high) with low < high, got {limits!r}; "
            "pass for instance range=(0.0, 1.0)."
        )
    return float(values[0]), float(values[1])
