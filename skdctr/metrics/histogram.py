"""The χ² test of whether two weighted samples have one shape in an observable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray
from skdctr.metrics.checks import check_vector, check_weight

__all__ = ["Chi2Result", "histogram_chi2"]


# Arrays have no truth value: a generated __eq__ would fail.
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
        Event weights of the other sample, likewise.
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
        If an argument does not hold real numbers, or `bins` is neither an integer nor edges.
    ValueError
        If an argument is empty, not one-dimensional, not finite, or does not match its sample in
        length; if there are fewer than two bins, the edges do not increase, or the range is empty;
        if either sample has no positive sum of weights within the edges; or if only one bin is
        occupied.

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
    x_target = check_vector("target", target)
    w_target = check_weight("weight_target", weight_target, "target", x_target)
    x_sample = check_vector("sample", sample)
    w_sample = check_weight("weight_sample", weight_sample, "sample", x_sample)

    if isinstance(bins, (str, bytes)) or not hasattr(bins, "__len__"):
        n_bins = check_count(
            "bins", bins, least=2, advice="pass a number of bins, such as 20, or an array of edges"
        )
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
        # Without a bin in common the estimated covariance has no variance along their distance.
        chi2 = np.inf
    return Chi2Result(
        chi2=chi2,
        ndf=ndf,
        p_value=float(stats.chi2.sf(chi2, ndf)),
        edges=edges,
        target=f_target,
        sample=f_sample,
        # A sample in one bin has no variance, which rounding may make negative.
        target_error=np.sqrt(np.maximum(np.diag(cov_target), 0.0)),
        sample_error=np.sqrt(np.maximum(np.diag(cov_sample), 0.0)),
        min_bin_events=float(min(ess_target[used].min(), ess_sample[used].min())),
    )


def _fractions(
    name: str, x: FloatArray, weight: FloatArray, edges: FloatArray, where: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the fraction in each bin, their covariance, and effective numbers of events.

    Returns
    -------
    fraction : ndarray of shape (n_bins,)
        Fraction of the sample in each bin.
    covariance : ndarray of shape (n_bins, n_bins)
        Covariance of the fractions.
    ess : ndarray of shape (n_bins,)
        Effective number of events in each bin; zero where there are none.
    """
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
    """Square a difference of fractions in the metric of its inverse covariance."""
    # The best measured bin follows from the others and is left out. Correlations have a better
    # condition number than covariances.
    keep = np.arange(len(difference)) != np.argmax(np.diag(covariance))
    difference, covariance = difference[keep], covariance[np.ix_(keep, keep)]
    scale = np.sqrt(np.diag(covariance))
    pull = difference / scale
    correlation = covariance / np.outer(scale, scale)
    return float(pull @ np.linalg.solve(correlation, pull))


def _quantile_edges(
    target: FloatArray, weight: FloatArray, sample: FloatArray, n_bins: int
) -> FloatArray:
    """Place edges between distinct values of the target, as near to its quantiles as possible."""
    values, index = np.unique(target, return_inverse=True)
    if len(values) < 2:
        raise ValueError(
            f"target has the one value {values[0]:g} in all of its events, and quantiles need "
            "two or more; pass the edges in `bins`."
        )
    # With signed weights the distribution function would not increase.
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


def _check_edges(bins: ArrayLike) -> FloatArray:
    """Check the edges of at least two bins."""
    edges: FloatArray = check_vector("bins", bins)
    if len(edges) < 3 or not np.all(np.diff(edges) > 0):
        raise ValueError(
            f"bins must hold at least three increasing edges, got {edges}; sort them and remove "
            "repeated ones, for instance with numpy.unique."
        )
    return edges


def _check_range(limits: Any) -> tuple[float, float]:
    """Check a range, and return its two ends."""
    values = check_vector("range", limits)
    if len(values) != 2 or not values[0] < values[1]:
        raise ValueError(
            f"range must be two numbers (low, high) with low < high, got {limits!r}; "
            "pass for instance range=(0.0, 1.0)."
        )
    return float(values[0]), float(values[1])
