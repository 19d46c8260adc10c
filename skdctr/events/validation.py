"""The door: events and their weights are checked here, once, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import assert_all_finite, check_array, validate_data

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import is_mapped, row_chunks
from skdctr.events.packed import PackedEvents, is_sets

__all__ = [
    "Events",
    "check_estimator_events",
    "check_events",
    "check_like",
    "check_same_columns",
    "check_same_rows",
    "check_sample",
    "check_weights",
    "feature_labels",
    "feature_names",
]

# Rows of features, or sets of particles.
Events = FloatArray | PackedEvents
# What is taken as it comes where numbers are converted a part at a time; else the first of them.
_FLOATS = (np.float64, np.float32)


def feature_names(X: Any) -> list[str] | None:
    """Column names of a DataFrame whose columns are all strings, else None."""
    if isinstance(X, pd.DataFrame) and all(isinstance(column, str) for column in X.columns):
        return list(X.columns)
    if isinstance(X, pd.Series) and isinstance(X.name, str):
        return [X.name]
    return None


def check_events(
    X: Any, *, name: str, n_features: int | None = None, keep_single: bool = False
) -> FloatArray:
    """Check a sample of events and return it as float64 of shape (n, f).

    Parameters
    ----------
    X : array-like of shape (n, f) or (n,)
        One row per event; one dimension means one feature.
    name : str
        What the caller calls the argument, for messages.
    n_features : int, optional
        How many features the events must have.
    keep_single : bool
        Leave float32 as it is, without a copy.

    Raises
    ------
    ValueError
        If the sample is empty, not finite, not of that shape, or of another number of features.
    """
    if not isinstance(X, (pd.DataFrame, pd.Series)):
        X = np.asarray(X)
    if X.ndim == 1:
        X = X.to_frame() if isinstance(X, pd.Series) else X.reshape(-1, 1)
    if X.ndim > 2:
        raise ValueError(
            f"{name} has shape {X.shape}; expected (n_events, n_features): one row per event."
        )
    if X.shape[:1] == (0,):
        raise ValueError(f"{name} holds no events: 0 sample(s), while a minimum of 1 is required.")
    mapped = keep_single and is_mapped(X)
    events: FloatArray = check_array(
        X,
        dtype=_FLOATS if keep_single else np.float64,
        input_name=name,
        ensure_min_features=1,
        ensure_min_samples=1,
        ensure_all_finite=not mapped,
    )
    if mapped:
        _check_finite(events, name=name)
    if n_features is not None and events.shape[1] != n_features:
        raise ValueError(
            f"{name} has {events.shape[1]} features, expected {n_features}: give the same "
            "features, in the same order, as in the sample it is compared with."
        )
    return events


def _check_finite(X: FloatArray, *, name: str, estimator: Any = None) -> None:
    """Refuse NaN and infinity as scikit-learn does, a part at a time."""
    for _, part in row_chunks(X):
        with np.errstate(over="ignore", invalid="ignore"):
            total = part.sum(dtype=np.float64)
        if not np.isfinite(total):
            # A sum may overflow; and of the whole scikit-learn says whether it holds any NaN.
            known = None if estimator is None else type(estimator).__name__
            assert_all_finite(X, input_name=name, estimator_name=known)
            return


def feature_labels(X: Events, names: Sequence[str] | None) -> list[str]:
    """Name the features of a checked sample in messages."""
    if names is not None:
        return list(names)
    n_features = X.n_features if isinstance(X, PackedEvents) else X.shape[1]
    return [f"feature {k}" for k in range(n_features)]


def check_sample(X: Any, *, name: str) -> Events:
    """Check a sample of rows of features, (n, f) or (n,), or of n sets of particles."""
    if not is_sets(X):
        return check_events(X, name=name)
    packed = PackedEvents.from_events(X, name=name)
    if not len(packed):
        raise ValueError(f"{name} holds no events (0 samples); expected one at least.")
    return packed


def check_like(X: Events, reference: Events, *, name: str, reference_name: str) -> None:
    """Refuse a checked sample whose features are not those of another."""
    if isinstance(X, PackedEvents) and isinstance(reference, PackedEvents):
        X.check_like(reference, name=name, known_name=reference_name)
    elif isinstance(X, PackedEvents) or isinstance(reference, PackedEvents):
        sets, rows = (
            (name, reference_name) if isinstance(X, PackedEvents) else (reference_name, name)
        )
        raise ValueError(
            f"{sets} holds sets of particles, {rows} holds rows of features: give both in the same "
            "form."
        )
    elif X.shape[1] != reference.shape[1]:
        raise ValueError(
            f"{name} has {X.shape[1]} features, expected {reference.shape[1]}: give the same "
            f"features, in the same order, as in {reference_name}."
        )


def check_estimator_events(
    estimator: Any,
    X: Any,
    *,
    reset: bool = True,
    ensure_min_samples: int = 1,
    keep_single: bool = False,
) -> Events:
    """Do what scikit-learn's ``validate_data`` does, for sets of particles too.

    Sets `n_features_in_`, for sets the number of features of a particle, and `feature_names_in_`.

    Parameters
    ----------
    estimator : estimator
        Whose events they are.
    X : array-like of shape (n, f), or n sets of particles
        Events.
    reset : bool
        Whether this is a fit, or events that have to be like those of the fit.
    ensure_min_samples : int
        Events that are needed.
    keep_single : bool
        Leave rows of float32 as they are, without a copy, and go through a mapped file in parts.

    Returns
    -------
    ndarray of shape (n, f) or PackedEvents
        Rows are float64, unless `keep_single`.
    """
    fitted = None if reset else getattr(estimator, "_fitted_sets", None)
    of_fit = f"the fit of {type(estimator).__name__}"
    if not is_sets(X):
        if fitted is not None:
            raise ValueError(
                f"X holds rows of features, {of_fit} was on sets of particles: {fitted!r}."
            )
        if reset:
            vars(estimator).pop("_fitted_sets", None)
        mapped = keep_single and is_mapped(X)
        events: FloatArray = validate_data(
            estimator,
            X,
            dtype=_FLOATS if keep_single else np.float64,
            reset=reset,
            ensure_min_samples=ensure_min_samples,
            ensure_all_finite=not mapped,
        )
        if mapped:
            _check_finite(events, name="X", estimator=estimator)
        return events
    packed = PackedEvents.from_events(X)
    if len(packed) < ensure_min_samples:
        raise ValueError(
            f"Found {len(packed)} sample(s) (sets of particles) in X while a minimum of "
            f"{ensure_min_samples} is required by {type(estimator).__name__}."
        )
    if reset:
        estimator._fitted_sets = packed[[]]
        estimator.n_features_in_ = packed.n_features
        vars(estimator).pop("feature_names_in_", None)
        if packed.feature_names is not None:
            estimator.feature_names_in_ = np.array(packed.feature_names, dtype=object)
    elif fitted is not None:
        packed.check_like(fitted, name="X", known_name=of_fit)
    elif hasattr(estimator, "n_features_in_"):
        raise ValueError(f"X holds sets of particles, {of_fit} was on rows of features.")
    return packed


def check_same_columns(X: Any, reference: Any, *, name: str, reference_name: str) -> None:
    """Refuse two DataFrames whose column names differ: a swapped column is a silent error."""
    columns, expected = feature_names(X), feature_names(reference)
    if columns is not None and expected is not None and columns != expected:
        raise ValueError(
            f"The columns of {name} are {columns}, those of {reference_name} are {expected}: "
            f"reorder or rename them, e.g. {name}[{expected}]."
        )


def check_same_rows(X: Any, reference: Any, *, name: str, reference_name: str) -> None:
    """Refuse pandas objects with the same index in another order: rows are paired by position."""
    kinds = (pd.DataFrame, pd.Series)
    if not isinstance(X, kinds) or not isinstance(reference, kinds):
        return
    index, expected = X.index, reference.index
    if len(index) != len(expected) or index.nlevels != expected.nlevels or index.equals(expected):
        return
    if index.is_unique and expected.is_unique and index.isin(expected).all():
        raise ValueError(
            f"The index of {name} is that of {reference_name} in another order, and rows are "
            f"paired by their position: take {name}.loc[{reference_name}.index], or where the "
            f"rows correspond as they are, {name}.to_numpy()."
        )


def check_weights(weights: Any, n_events: int, *, name: str) -> FloatArray:
    """Check event weights and return them as float64 of shape (n_events,); None means ones.

    Weights may be negative, as next-to-leading-order generators make them, as long as their sum
    is positive.

    Raises
    ------
    ValueError
        If the shape is wrong, a weight is NaN or infinite, or the sum is not positive.
    """
    if weights is None:
        return np.ones(n_events)
    checked: FloatArray = check_array(
        weights, dtype=np.float64, input_name=name, ensure_2d=False, copy=True
    )
    if checked.shape != (n_events,):
        raise ValueError(
            f"{name} has shape {checked.shape}, expected ({n_events},): one weight per event."
        )
    total = checked.sum()
    if not total > 0:
        hint = "at least one non-zero number" if not checked.any() else "a positive sum"
        raise ValueError(
            f"{name} sums to {total:g}: sample weights must contain {hint}. "
            "Drop the argument for unweighted events."
        )
    return checked
