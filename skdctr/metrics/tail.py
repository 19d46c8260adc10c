"""The index that says how heavy the tail of event weights is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from skdctr.metrics.checks import check_vector

__all__ = ["pareto_tail_index"]

# The tail is this share of the n weights, and no more than so many times the root of n. Both
# numbers are those of Vehtari et al.
_TAIL_SHARE, _TAIL_ROOTS = 0.2, 3.0
_LEAST_TAIL = 20
_GRID = 30


def pareto_tail_index(weights: ArrayLike) -> float:
    r"""Estimate the index :math:`k` of the generalised Pareto distribution of the largest weights.

    Moments of order :math:`1/k` and above do not exist: from 1/2 on the variance of a weighted
    mean is infinite, and a sample that happens to lack the largest weights does not show it, nor
    does its effective size. Up to 0.7 errors are practical still.

    Parameters
    ----------
    weights : array-like of shape (n,)
        One weight per event. The sign of a weight does not count.

    Returns
    -------
    float
        The index: zero or less for weights that are bounded, NaN for fewer than a hundred events.

    Raises
    ------
    TypeError
        If the weights are not real numbers.
    ValueError
        If the weights are empty, not one-dimensional or not finite.

    References
    ----------
    A. Vehtari et al., J. Mach. Learn. Res. 25, 72 (2024), arXiv:1507.02646; J. Zhang and
    M. A. Stephens, Technometrics 51, 316 (2009), for the estimate.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.metrics import pareto_tail_index
    >>> weights = np.random.default_rng(0).pareto(1.25, 100_000)
    >>> bool(abs(pareto_tail_index(weights) - 1 / 1.25) < 0.15)
    True
    """
    sizes = np.abs(check_vector("weights", weights))
    n_tail = int(min(_TAIL_SHARE * len(sizes), _TAIL_ROOTS * math.sqrt(len(sizes))))
    if n_tail < _LEAST_TAIL:
        return float("nan")
    tail = np.sort(np.partition(sizes, -n_tail - 1)[-n_tail - 1 :])
    excess = tail[1:] - tail[0]
    quartile = excess[n_tail // 4]
    if not quartile > 0:
        # All weights of the tail are equal, or most of them.
        return -math.inf if excess[-1] == 0 else float("nan")
    n_grid = _GRID + int(math.sqrt(n_tail))
    place = np.arange(n_grid) + 0.5
    slopes = 1 / excess[-1] + (1 - np.sqrt(n_grid / place)) / (3 * quartile)
    index = np.log1p(-slopes[:, None] * excess).mean(axis=1)
    likelihood = n_tail * (np.log(-slopes / index) - index - 1)
    share = np.exp(likelihood - likelihood.max())
    slope = float(slopes @ share / share.sum())
    return float(np.log1p(-slope * excess).mean())
