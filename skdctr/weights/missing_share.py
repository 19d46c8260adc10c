"""The share of a target that lies where the sample to be reweighted has no events.

Where a sample has no events there is nothing that a weight could multiply: what the target has
there is missing, whatever the weights are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.kinds import Events
from skdctr.events.region import region_in_words

__all__ = ["MissingShare", "find_missing_share", "missing_in_words"]

# Numbers of events of the sample, those of the highest scores, that are next to none.
_FEW = (1, 3, 10)
# Standard errors by which the share must exceed what the tail of the sample explains. Of samples of
# 1000 and 5000 events a class with common support, ranked by exact weights in eight cells of θ, at
# most 1% have a finding where Gaussians are shifted by up to two widths, and for seven other
# shapes; 2% where shift and width change by up to 1 and 1.5, and 6% where the width doubles.
# Endpoints and thresholds that move by a quarter, and signals apart from the sample, are found.
_SIGNIFICANT = 3.5
# Share of the target that may not lie where the sample has a single event, however its tail falls.
_MOST = 0.5
# Events of the target in the region, at least: with fewer their share is not known.
_LEAST_TARGET = 10


@dataclass(frozen=True, eq=False)
class MissingShare:
    """A part of the target where the sample has next to no events.

    Attributes
    ----------
    share : float
        The share of the target.
    n_events, n_sample : int
        Number of events of the sample in this part, and in all.
    rows : ndarray of bool of shape (n_target,)
        The events of the target that lie there.
    significance : float
        What the tail of the sample does not explain of the share, in standard errors.
    """

    share: float
    n_events: int
    n_sample: int
    rows: NDArray[np.bool_]
    significance: float


def find_missing_share(
    target_score: FloatArray,
    sample_score: FloatArray,
    target_weight: FloatArray | None = None,
    sample_weight: FloatArray | None = None,
) -> MissingShare | None:
    """Look for a part of the target that the sample does not have.

    The part is where a score that tells the target from the sample, such as log w, exceeds those
    of all but a few events of the sample. Only ranks count, so that a network which has hardly
    learned how large the weights are is good enough. The share S of the target above k events of
    the sample is a power of k in the tails of most distributions; the shares between k and 10 k
    and between 10 k and 100 k events tell which, and so how much to expect above k. What exceeds
    this by more than chance is missing.

    Parameters
    ----------
    target_score : ndarray of shape (n_target,)
        Score of events of the target, higher where these are more frequent.
    sample_score : ndarray of shape (n_sample,)
        Score of the events of the sample.
    target_weight : ndarray of shape (n_target,), default=None
        Event weights of the target, of positive sum; None stands for ones.
    sample_weight : ndarray of shape (n_sample,), default=None
        Weights that turn the sample into the target, of positive sum, where the score comes of a
        comparison with the weighted sample: what these events weigh is not missing.

    Returns
    -------
    MissingShare or None
        The most significant part; None where no part is missing by more than chance.
    """
    if target_weight is None:
        target_weight = np.ones(len(target_score))
    n = len(sample_score)
    target_rank, sample_rank = _ranks(target_score, sample_score)
    order, total = np.argsort(-sample_rank), float(target_weight.sum())
    ordered = sample_rank[order]
    weight = np.zeros(n) if sample_weight is None else sample_weight[order] / sample_weight.sum()
    scatter = float(((weight - weight.mean()) ** 2).sum())

    def rows_above(k: int) -> NDArray[np.bool_]:
        """Mark the target above all but k events of the sample."""
        return target_rank > ordered[k] if k < n else np.ones(len(target_rank), dtype=bool)

    best: MissingShare | None = None
    for few in _FEW:
        rows = rows_above(few)
        if few >= n or rows.sum() < _LEAST_TARGET:
            continue
        numbers = np.array([few, min(10 * few, n), min(100 * few, n), n])
        shares = np.array([target_weight[rows_above(k)].sum() / total for k in numbers])
        share = float(shares[0])
        between, counts = np.diff(shares).clip(min=0.0), np.diff(numbers)
        near, far = between[:2]
        expected = near**2 / (far - near) if far > near else np.inf
        expected = max(expected, float(weight[:few].sum()))
        if few == _FEW[0] and share > _MOST:
            expected = 0.0
        if 2 * expected > share:
            continue
        # The variances of the sum of weights over all other events, of the number of events where
        # few are expected, and of the share.
        variance = max(float((between**2 / np.maximum(counts, 1)).sum()) - 1 / n, scatter)
        variance += share * expected / few
        variance += float((target_weight[rows] ** 2).sum()) / total**2
        significance = (share - expected) / np.sqrt(variance)
        if significance > (_SIGNIFICANT if best is None else best.significance):
            best = MissingShare(share, few, n, rows, float(significance))
    return best


def _ranks(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rank two lists of scores together, those that are equal at random."""
    _, whole = np.unique(np.concatenate([first, second]), return_inverse=True)
    ranks = whole + np.random.default_rng(0).random(len(whole))
    return ranks[: len(first)], ranks[len(first) :]


def missing_in_words(
    missing: MissingShare, target: Events, sample: Events, names: Sequence[str], *, which: str
) -> str:
    """Tell which share of a target is missing from a sample, and where it lies.

    Parameters
    ----------
    missing : MissingShare
        What was found.
    target, sample : ndarray of shapes (n, f) and (m, f), or PackedEvents
        The events of both.
    names : sequence of str of length f
        Names of the features.
    which : str
        What the sample is called, such as "the nominal sample".

    Returns
    -------
    str
        The second half of a sentence, after what the target is called.
    """
    region = region_in_words(target[np.flatnonzero(missing.rows)], sample, names)
    percent = 100 * missing.share
    return (
        f"{percent:.{0 if percent >= 10 else 1}f}% lie where {which} has next to no events "
        f"({missing.n_events} of {missing.n_sample})"
        f"{f', mostly with {region}' if region else ''}, so that no weights can make up for them"
    )
