"""Single values far from all others, whose weights a formula would extrapolate without limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.coder import Coder
from skdctr.exceptions import OutlierWarning

__all__ = ["without_outliers"]


def without_outliers(X: FloatArray, *, name: str, labels: Sequence[str]) -> FloatArray:
    """Replace single values far from all others by the nearest of these, and tell so.

    Parameters
    ----------
    X : ndarray of shape (n, f)
        Checked events.
    name : str
        What the caller calls them, for messages.
    labels : sequence of str of length f
        Names of the features, for messages.

    Returns
    -------
    ndarray of shape (n, f)
        X itself where there is no such value. Values that many events share, missing ones and
        those of a heavy tail are left as they are.

    Warns
    -----
    OutlierWarning
        For each feature with such values.
    """
    coder = Coder.fit(X, categorical=())
    odd = np.flatnonzero((coder.n_outside > 0) & ~coder.has_tail)
    if not len(odd):
        return X
    tamed = X.copy()
    for k in map(int, odd):
        low, high = (float(end) for end in coder.ends[:, k])
        outside = coder.is_outside(X[:, k], k)
        n_outside, first = int(outside.sum()), int(outside.argmax())
        warn_user(
            f"{n_outside} of {len(X)} events of {name} have {labels[k]} far outside [{low:.6g}, "
            f"{high:.6g}], where all others are, such as {X[first, k]:g} in event {first}: they "
            "are given the weight of the nearest value there. Look for their cause, or drop them.",
            OutlierWarning,
        )
        tamed[outside, k] = np.clip(X[outside, k], low, high)
    return tamed
