"""Cramér-Rao bounds of the accuracy cases: data alone, all else known exactly."""

from __future__ import annotations

import numpy as np
from _case import Case
from _densities import Array

# Events at generator level, where the score is exact, and with a detector, where its mean is taken
# in bins of x_S; step of derivatives, as a part of the range.
_EVENTS, _SMEARED_EVENTS, _BINS, _STEP = 200_000, 2_000_000, 1000, 1e-4


def score(case: Case, x: Array) -> Array:
    """Compute the gradient of log p(x|θ) at the truth, (n, p), by central differences."""
    truth = np.asarray(case.truth)
    steps = np.diag(_STEP * (np.asarray(case.high) - np.asarray(case.low)))
    slopes = [
        np.subtract(*(case.log_density(x, np.tile(truth + h, (len(x), 1))) for h in (step, -step)))
        / (2 * step.sum())
        for step in steps
    ]
    return np.stack(slopes, axis=1)


def information(case: Case) -> Array | None:
    """Compute the information of one generated event of data, (p, p).

    Behind a detector it is that of E[score | x_S], by bins of the one reconstructed feature. Lost
    events are not in the data, and their number is not used.

    Returns
    -------
    ndarray of shape (p, p), or None where there is no bound
    """
    if not case.has_bound:
        return None
    rng = np.random.default_rng(0)
    if case.detect is None:
        at_truth = score(case, case.at(case.truth, _EVENTS, rng))
        return np.asarray(at_truth.T @ at_truth / len(at_truth))
    x = case.at(case.truth, _SMEARED_EVENTS, rng)
    seen = case.detect(x, rng)
    passed = ~np.isnan(seen[:, 0])
    at_truth, seen = score(case, x[passed]), seen[passed]
    if seen.shape[1] != 1:
        raise ValueError(f"{case.name}: bins of one reconstructed feature, not {seen.shape[1]}.")
    at_truth -= at_truth.mean(axis=0)
    order = np.argsort(seen[:, 0])
    means = np.stack([part.mean(axis=0) for part in np.array_split(at_truth[order], _BINS)])
    return np.asarray(passed.mean() * means.T @ means / _BINS)


def least_errors(case: Case, n_events: int) -> Array | None:
    """Return the least error of each parameter, (p,), from so many generated events of data."""
    of_one = information(case)
    if of_one is None:
        return None
    return np.asarray(np.sqrt(np.diagonal(np.linalg.inv(of_one)) / n_events))
