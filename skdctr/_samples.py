"""The samples of a fit, checked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from ._resolve import warn_closure
from ._validation import (
    FloatArray,
    check_events,
    check_same_columns,
    check_weights,
    feature_names,
)

__all__ = ["Samples", "check_fit_samples", "check_score_samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Simulation at both levels, and data.

    Attributes
    ----------
    sim_gen : ndarray of shape (n_sim, f)
        Generator level, what weights are computed from.
    sim : ndarray of shape (n_sim, m)
        The level that is compared with data.
    data : ndarray of shape (n_data, m)
        Data.
    sim_weight, data_weight : ndarray of shape (n_sim,), (n_data,)
        Event weights before any reweighting.
    columns : list of str or None
        Names of the features that are compared, where they came in a DataFrame.
    """

    sim_gen: FloatArray
    sim: FloatArray
    data: FloatArray
    sim_weight: FloatArray
    data_weight: FloatArray
    columns: list[str] | None = None


def check_fit_samples(
    estimator: Any,
    X: Any,
    y: Any,
    data: Any,
    sample_weight: Any,
    data_weight: Any,
    *,
    least_events: int,
) -> Samples:
    """Check what a fit was given, and set the estimator's feature names and number.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.
    X, y, data, sample_weight, data_weight
        As in `SRGNFitter.fit`.
    least_events : int
        Events that each sample needs.
    """
    sim_gen = validate_data(estimator, X, dtype=np.float64, ensure_min_samples=least_events)
    sim_weight = check_weights(sample_weight, len(sim_gen), name="sample_weight")
    if y is None:
        sim, level, level_name = sim_gen, X, "X (sim_gen)"
    else:
        sim, level, level_name = check_events(y, name="y"), y, "y (sim_reco)"
        if len(sim) != len(sim_gen):
            raise ValueError(
                f"y (sim_reco) has {len(sim)} events, X (sim_gen) has {len(sim_gen)}: they are "
                "the same events at two levels, row by row."
            )
    if data is None:
        if data_weight is not None:
            raise ValueError("data_weight was given without data: pass data=... as well.")
        warn_closure()
        return Samples(sim_gen, sim, sim, sim_weight, sim_weight, feature_names(level))
    check_same_columns(data, level, name="data", reference_name=level_name)
    events = check_events(data, name="data", n_features=sim.shape[1])
    if len(events) < least_events:
        raise ValueError(f"data has {len(events)} events; the fit needs {least_events} at least.")
    weight = check_weights(data_weight, len(events), name="data_weight")
    columns = feature_names(level) or feature_names(data)
    return Samples(sim_gen, sim, events, sim_weight, weight, columns)


def check_score_samples(
    estimator: Any,
    X: Any,
    y: Any,
    data: Any,
    sample_weight: Any,
    data_weight: Any,
    *,
    fitted: Samples,
    n_folds: int,
) -> Samples:
    """Check what `score` was given; without data, those of the fit are taken.

    Parameters
    ----------
    estimator : estimator
        Whose score it is.
    X, y, data, sample_weight, data_weight
        As in `SRGNFitter.score`.
    fitted : Samples
        Those of the fit.
    n_folds : int
        Parts of the cross-fit of the classifier.
    """
    for sample, name in ((y, "y (sim_reco)"), (data, "data")):
        columns = feature_names(sample)
        if columns is not None and fitted.columns is not None and columns != fitted.columns:
            raise ValueError(
                f"The columns of {name} are {columns}, those of the fit were {fitted.columns}: "
                "reorder or rename them."
            )
    sim_gen = validate_data(estimator, X, dtype=np.float64, reset=False)
    sim = sim_gen if y is None else check_events(y, name="y")
    if len(sim) != len(sim_gen) or sim.shape[1] != fitted.data.shape[1]:
        raise ValueError(
            f"y (sim_reco) has shape {sim.shape}; expected ({len(sim_gen)}, "
            f"{fitted.data.shape[1]}): the events of X, with the features that were fitted."
        )
    events = (
        fitted.data if data is None else check_events(data, name="data", n_features=sim.shape[1])
    )
    for sample, name in ((sim, "X (sim_gen)"), (events, "data")):
        if len(sample) < 2 * n_folds:
            raise ValueError(
                f"{name} has {len(sample)} events; score needs {2 * n_folds} at least, two for "
                f"each of the {n_folds} parts of its cross-fit: give more events, or take fewer "
                "folds in cross-validation."
            )
    sim_weight = check_weights(sample_weight, len(sim_gen), name="sample_weight")
    if data is None:
        return Samples(sim_gen, sim, events, sim_weight, fitted.data_weight)
    weight = check_weights(data_weight, len(events), name="data_weight")
    return Samples(sim_gen, sim, events, sim_weight, weight)
