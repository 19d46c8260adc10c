"""The samples of a fit, checked together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._resolve import warn_closure
from ._sets import PackedEvents
from ._validation import (
    Events,
    FloatArray,
    check_estimator_events,
    check_like,
    check_same_columns,
    check_sample,
    check_weights,
    feature_names,
)

__all__ = ["Samples", "check_fit_samples", "check_score_samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Simulation at both levels, and data.

    Attributes
    ----------
    sim_gen : ndarray of shape (n_sim, f) or PackedEvents
        Generator level, what weights are computed from.
    sim : ndarray of shape (n_sim, m) or PackedEvents
        The level that is compared with data.
    data : ndarray of shape (n_data, m) or PackedEvents
        Data.
    sim_weight, data_weight : ndarray of shape (n_sim,), (n_data,)
        Event weights before any reweighting.
    columns : list of str or None
        Names of the features that are compared, where they came in a DataFrame.
    """

    sim_gen: Events
    sim: Events
    data: Events
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
    sim_gen = check_estimator_events(estimator, X, ensure_min_samples=least_events)
    sim_weight = check_weights(sample_weight, len(sim_gen), name="sample_weight")
    if y is None:
        sim, level, level_name = sim_gen, X, "X (sim_gen)"
    else:
        sim, level, level_name = check_sample(y, name="y"), y, "y (sim_reco)"
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
    events = check_sample(data, name="data")
    check_like(events, sim, name="data", reference_name=level_name)
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
    sim_gen = check_estimator_events(estimator, X, reset=False)
    sim = sim_gen if y is None else check_sample(y, name="y")
    width = None if isinstance(fitted.data, PackedEvents) else fitted.data.shape[1]
    if len(sim) != len(sim_gen) or (not isinstance(sim, PackedEvents) and sim.shape[1] != width):
        of_fit = "sets of particles" if width is None else f"({len(sim_gen)}, {width})"
        raise ValueError(
            f"y (sim_reco) has shape {sim.shape}; expected {of_fit}: the events of X, of which "
            f"there are {len(sim_gen)}, with the features that were fitted."
        )
    sim_name = "X (sim_gen)" if y is None else "y (sim_reco)"
    check_like(sim, fitted.data, name=sim_name, reference_name="the data of the fit")
    events = fitted.data
    if data is not None:
        events = check_sample(data, name="data")
        check_like(events, sim, name="data", reference_name=sim_name)
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
