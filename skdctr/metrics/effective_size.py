"""The number of unweighted events that a weighted sample is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdctr.metrics.checks import check_positive_sum, check_vector

__all__ = ["effective_sample_size"]


def effective_sample_size(weights: ArrayLike) -> float:
    r"""Count the unweighted events with the statistical power of a weighted sample.

    This is Kish's effective sample size, :math:`(\sum_i w_i)^2 / \sum_i w_i^2`.

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
    values = check_vector("weights", weights)
    check_positive_sum("weights", values)
    # Without the scaling, squares of very large or very small weights would leave the float range.
    values = values / np.abs(values).max()
    return float(values.sum() ** 2 / np.square(values).sum())
