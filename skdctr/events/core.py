"""The core of a feature: where the bulk of it lies, however far single values are away.

The tail of a sample is described by one number, its growth: that power of log(1/2p) by which the
distance of a quantile from the median grows as its tail probability p falls. It is 1 for an
exponential, about 0.65 for a Gaussian, less for what ends, and ever larger for a power law.
"""

from __future__ import annotations

import numpy as np

from skdctr._utils.typing import FloatArray

__all__ = ["core_edges", "effective_count", "most_outliers", "weighted_quantiles"]

# So many events outside of a core, or such a share of all, are outliers; more are a tail.
_MOST_OUTLIERS, _SHARE_OF_OUTLIERS = 10, 1e-3

# Tail probabilities of the quantiles that are looked at: the first is that of one standard
# deviation of a Gaussian, each further one half of the one before.
_LEVELS: FloatArray = np.array([0.16 / 2**k for k in range(12)])
# A quantile needs so many events beyond it, so that no single event decides.
_LEAST_BEYOND = 10
# What grows no faster than this is light: an exponential, with room for its fluctuation and for the
# slow growth of a log-normal of width 0.5. From the second on a tail is that of a power law.
_LIGHT_GROWTH, _HEAVY_GROWTH = 1.2, 1.5
# That of a Gaussian, for what is not known and for what ends: values a bit beyond the end are no
# outliers.
_LEAST_GROWTH = 0.67
# A light tail is followed down to this probability, which no event of a sample comes near to, with
# a factor more for tails whose growth grows. Gaussian: 12 to 13 standard deviations.
_LEAST_PROBABILITY = 1e-10
_MARGIN = 1.75
# Widths, from the median to the first quantile, that the core has at the most, and in a power law:
# log-weights of shifted Cauchy distributions come out best from 0.8 to 1.5, and 20% worse at 3.
_MOST_WIDTHS, _HEAVY_WIDTHS = 40.0, 1.5


def most_outliers(n_events: int) -> float:
    """Return how many of some events may lie outside of the core without being a tail."""
    return max(_MOST_OUTLIERS, _SHARE_OF_OUTLIERS * n_events)


def effective_count(weight: FloatArray) -> float:
    """Return the number of unweighted events that would fluctuate as these do."""
    total = float(weight.sum())
    return total**2 / float((weight**2).sum()) if total > 0 else 0.0


def weighted_quantiles(x: FloatArray, weight: FloatArray, at: FloatArray) -> FloatArray:
    """Find quantiles of sorted values, each of which is one of the values.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Values in ascending order.
    weight : ndarray of shape (n,)
        Their weights, none negative and one at least positive.
    at : ndarray of shape (q,)
        Probabilities.

    Returns
    -------
    ndarray of shape (q,)
    """
    below = weight.cumsum()
    return x[np.minimum(np.searchsorted(below, at * below[-1]), len(x) - 1)]


def core_edges(
    x: FloatArray, weight: FloatArray, n_effective: float | None = None
) -> tuple[float, float]:
    """Find the interval that the bulk of a sample lies in.

    Of a clean sample with light tails it is all, with a wide margin. Of a power law it is what lies
    within 1.5 times the distance of the median from the quantile of 16% or 84%. The two tails are
    treated one by one.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Finite values in ascending order, one at least.
    weight : ndarray of shape (n,)
        Their weights, all positive.
    n_effective : float, optional
        Effective number of events, where each value stands for many of them.

    Returns
    -------
    low, high : float
        Ends of the interval. Those of a constant are equal.
    """
    n = effective_count(weight) if n_effective is None else n_effective
    levels = _LEVELS[_LEVELS * n >= _LEAST_BEYOND]
    few = len(levels) < 2
    levels = _LEVELS[:1] if few else levels
    at = np.concatenate([[0.5], levels, 1 - levels])
    median, *quantiles = weighted_quantiles(x, weight, at)
    # Halves, as the distance of ±1e308 is beyond the range of numbers.
    distances = 2 * np.minimum(np.abs(np.array(quantiles) / 2 - median / 2), 1e307)
    below, above = (_reach(side, levels) for side in np.split(distances, 2))
    if few:
        # So few events tell nothing of their tails, and have widths by chance.
        below = above = _MOST_WIDTHS * float(distances.max())
    if not (below or above):
        # Constant, but for too few events to have a quantile.
        away = np.abs(x / 2 - median / 2)
        away = away[away > 0]
        below = above = 6 * float(np.median(away)) if len(away) else 0.0
    # A median at the end of the range tells nothing of what is beyond.
    return float(median - (below or above)), float(median + (above or below))


def _reach(distance: FloatArray, level: FloatArray) -> float:
    """Extrapolate one tail.

    Parameters
    ----------
    distance, level : ndarray of shape (q,)
        Distance of quantiles from the median, ascending, and their tail probabilities.

    Returns
    -------
    float
        How far from the median the core ends; 0 if no quantile differs from it.
    """
    known = distance > 0
    if not known.any():
        return 0.0
    distance, u = distance[known], np.log(0.5 / level[known])
    growth = np.full(len(u), _LEAST_GROWTH)
    growth[1:] = np.log(distance[1:] / distance[0]) / np.log(u[1:] / u[0])
    # The farthest quantile before which the tail is light: beyond it there may be dirt.
    last = np.flatnonzero(growth <= _LIGHT_GROWTH)[-1]
    telling = u >= 2 * u[0]
    if u[last] >= 2 * u[0] or not telling.any():
        farther = np.log(0.5 / _LEAST_PROBABILITY) / u[last]
        reach = _MARGIN * distance[last] * farther ** max(growth[last], _LEAST_GROWTH)
        return float(min(reach, _MOST_WIDTHS * distance[0]))
    # Between light and heavy the width changes gradually, as no event decides what a tail is.
    widths = np.interp(
        growth[telling].min(),
        [_LIGHT_GROWTH, _HEAVY_GROWTH],
        np.log([_MOST_WIDTHS, _HEAVY_WIDTHS]),
    )
    return float(distance[0] * np.exp(widths))
