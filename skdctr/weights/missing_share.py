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

__all__ = ["MissingShare", "find_missing_share", "missing_in_words", "nominal_weights"]

# Numbers of events of the sample, those of the highest scores, that are as good as none: their
# weights are not learned but guessed.
_FEW = (0, 1, 3, 10)
# Standard errors by which the missing share must exceed what the sample's finite size explains.
# Of samples of 500 to 10 000 events a class with common support, with exact weights, up to 1% are
# above it where Gaussians are shifted by up to two widths, and none of five other shapes. Endpoints
# and thresholds that move by a quarter have 8 to 35 from 3000 events on.
_SIGNIFICANT = 3.5
# Events of the target in the region, at least: with fewer their share is not known.
_LEAST_TARGET = 10
# Logarithm of the largest weight that is told from infinity.
_LARGEST_LOG_WEIGHT = 30.0


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
        What of the share the sample's weights do not make up for, in standard errors.
    """

    share: float
    n_events: int
    n_sample: int
    rows: NDArray[np.bool_]
    significance: float


def find_missing_share(
    target_score: FloatArray,
    sample_score: FloatArray,
    *,
    target_weight: FloatArray | None = None,
    sample_weight: FloatArray,
) -> MissingShare | None:
    """Look for a part of the target that the weighted sample does not have.

    The part is where a score that tells the target from the sample, such as log w, exceeds those
    of all but a few events of the sample. The share of the target there is compared with the
    weight that these few events have. The error of the difference is that of the sum of all
    weights, which is large where few events carry the weight: a tail that the sample is too small
    for is no lack of support. Where a single nominal event with a weight of thousands stands for
    the whole part, it therefore is not found; the tail of the weights tells of that.

    Parameters
    ----------
    target_score : ndarray of shape (n_target,)
        Score of events of the target, higher where these are more frequent.
    sample_score : ndarray of shape (n_sample,)
        Score of the events of the sample.
    target_weight : ndarray of shape (n_target,), default=None
        Event weights of the target; None stands for ones.
    sample_weight : ndarray of shape (n_sample,)
        Weights that should turn the sample into the target, on a scale on which those of a sample
        that does have a sum of 1.

    Returns
    -------
    MissingShare or None
        The most significant part; None where no part is missing by more than chance.
    """
    if target_weight is None:
        target_weight = np.ones(len(target_score))
    order = np.argsort(sample_score)
    total, n = float(target_weight.sum()), len(sample_score)
    squares = (sample_weight[order] - sample_weight.sum() / n) ** 2
    best: MissingShare | None = None
    for few in _FEW:
        if few >= n:
            break
        rows = target_score > sample_score[order[n - 1 - few]]
        if rows.sum() < _LEAST_TARGET:
            continue
        share = float(target_weight[rows].sum()) / total
        covered = float(sample_weight[order[n - few :]].sum())
        if 2 * covered > share:
            continue
        # The few events may be few by chance: with the weight that each of them has, share/each
        # events are expected, whose number fluctuates by its root.
        each = covered / max(few, 1)
        variance = squares[: n - few].sum() + share * each
        variance += (target_weight[rows] ** 2).sum() / total**2
        significance = (share - covered) / float(np.sqrt(variance))
        if significance > (_SIGNIFICANT if best is None else best.significance):
            best = MissingShare(share, few, n, rows, significance)
    return best


def nominal_weights(log_weights: FloatArray, event_weight: FloatArray) -> FloatArray:
    """Compute weights on a scale on which those of a density ratio have a sum of 1.

    Parameters
    ----------
    log_weights, event_weight : ndarray of shape (n,)
        Logarithm of the density ratio, and event weights before any reweighting.

    Returns
    -------
    ndarray of shape (n,)
    """
    ratio = np.exp(np.minimum(log_weights, _LARGEST_LOG_WEIGHT))
    weights: FloatArray = event_weight / event_weight.sum() * ratio
    return weights


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
    count = f"{missing.n_events} of {missing.n_sample}" if missing.n_events else "no"
    percent = 100 * missing.share
    return (
        f"{percent:.{0 if percent >= 10 else 1}f}% lie where {which} has {count} events"
        f"{f', mostly with {region}' if region else ''}, so that no weights can make up for them"
    )
