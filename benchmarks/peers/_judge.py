"""One judge for the weights of all: a classifier that none of them trained, on events none saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from skdctr.metrics import effective_sample_size, weighted_auc

Values = NDArray[np.floating]


def judge(
    nominal: Values, target: Values, weight: Values, log_exact: Values, seed: int = 0
) -> dict[str, float]:
    """Judge weights of held-out nominal events.

    A gradient boosting of scikit-learn learns to tell the first half of the target events from
    the first half of the weighted nominal ones; what it achieves on the second halves is the AUC.

    Parameters
    ----------
    nominal, target : ndarray of shape (n, f)
        Held-out events.
    weight : ndarray of shape (n,)
        Weights of the nominal ones, of any normalisation.
    log_exact : ndarray of shape (n,)
        Log of the exact weights.
    seed : int

    Returns
    -------
    dict of str to float
        ``auc`` and ``auc_error``: 0.5 where nothing is left to tell. ``effective``: the effective
        sample size as a share of the events. ``log_error``: root mean square of the error of the
        log-weight over target events, a constant aside, which needs the exact weights but has
        next to no statistical error. NaN where more than 0.1% of the weight sits on events of
        weight zero.

    Raises
    ------
    ValueError
        If weights are negative, not finite or all zero, of which no sample can be made.
    """
    weight = np.asarray(weight, dtype=float)
    if weight.shape != (len(nominal),) or not np.isfinite(weight).all() or weight.min() < 0:
        raise ValueError(
            f"weight must be {len(nominal)} finite numbers of at least 0: shape {weight.shape}, "
            f"{np.count_nonzero(~np.isfinite(weight))} not finite, "
            f"{np.count_nonzero(weight < 0)} negative."
        )
    if not weight.any():
        raise ValueError("weight is zero for all events.")
    weight = weight / weight.mean()
    learn, test = slice(None, len(nominal) // 2), slice(len(nominal) // 2, None)
    events = np.concatenate([nominal[learn], target[learn]])
    label = np.repeat([0, 1], [len(nominal[learn]), len(target[learn])])
    classifier = HistGradientBoostingClassifier(random_state=seed)
    shares = np.concatenate([weight[learn], np.ones(len(target[learn]))])
    classifier.fit(events, label, sample_weight=shares)
    auc, error = weighted_auc(
        classifier.decision_function(target[test]),
        classifier.decision_function(nominal[test]),
        weight_negative=weight[test],
        return_error=True,
    )
    return {
        "auc": auc,
        "auc_error": error,
        "effective": effective_sample_size(weight) / len(weight),
        "log_error": log_error(weight, log_exact),
    }


def log_error(weight: Values, log_exact: Values) -> float:
    """Root mean square of ln w − ln w_exact over the target distribution, a constant aside."""
    exact = np.exp(log_exact)
    kept = weight > 0
    if exact[~kept].sum() > 1e-3 * exact.sum():
        return float("nan")
    difference = np.log(weight[kept]) - log_exact[kept]
    mean = np.average(difference, weights=exact[kept])
    return float(np.sqrt(np.average((difference - mean) ** 2, weights=exact[kept])))
