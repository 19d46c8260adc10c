"""The door of the package: events and their weights are checked here, once, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from skdctr._utils.arguments import named
from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks
from skdctr.events.finite import check_all_finite
from skdctr.events.frames import as_table, column_labels
from skdctr.events.kinds import Events, count_features, feature_table, holds_sets
from skdctr.events.packed import PackedEvents, is_sets

__all__ = [
    "check_estimator_events",
    "check_events",
    "check_like",
    "check_same_columns",
    "check_same_rows",
    "check_sample",
    "check_weights",
    "feature_labels",
    "has_missing",
    "refuse_empty_events",
]

# Types that are left as they are where the caller converts a part at a time; all others become the
# first of them.
_FLOATS = (np.float64, np.float32)
_EXPECTED = "numbers of shape (n_events, n_features), one row per event"


def check_events(
    X: Any,
    *,
    name: str,
    n_features: int | None = None,
    keep_single: bool = False,
    allow_nan: bool = False,
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
        Whether to leave float32 as it is, without a copy.
    allow_nan : bool
        Whether NaN stands for a missing value, and is accepted but in events that have no value.

    Raises
    ------
    ValueError
        If the sample is empty, not finite, not of that shape, or of another number of features.
    """
    with named(name, _EXPECTED):
        X = as_table(X, name=name)
        if not isinstance(X, (pd.DataFrame, pd.Series)):
            X = np.asarray(X)
        if X.ndim == 1:
            X = X.to_frame() if isinstance(X, pd.Series) else X.reshape(-1, 1)
        if X.ndim > 2:
            raise ValueError(
                f"{name} has shape {X.shape}; expected (n_events, n_features): one row per event."
            )
        if X.shape[:1] == (0,):
            raise ValueError(
                f"{name} holds no events: 0 sample(s), while a minimum of 1 is required."
            )
        events: FloatArray = check_array(
            X,
            dtype=_FLOATS if keep_single else np.float64,
            input_name=name,
            ensure_min_features=1,
            ensure_min_samples=1,
            ensure_all_finite=False,
        )
    check_all_finite(events, name=name, allow_nan=allow_nan)
    if allow_nan:
        refuse_empty_events(events, name=name)
    if n_features is not None and events.shape[1] != n_features:
        raise ValueError(
            f"{name} has {events.shape[1]} features, expected {n_features}: give the same "
            "features, in the same order, as in the sample it is compared with."
        )
    return events


def refuse_empty_events(X: Events, *, name: str) -> None:
    """Refuse rows all of whose values are missing: only a reconstruction loses events.

    Raises
    ------
    ValueError
        If an event has no value.
    """
    if holds_sets(X):
        return
    for rows, part in row_chunks(feature_table(X)):
        # Nearly always the first feature is there, and nothing else needs a look.
        candidates = np.flatnonzero(np.isnan(part[:, 0]))
        empty = candidates[np.isnan(part[candidates]).all(axis=1)]
        if len(empty):
            raise ValueError(
                f"{name} contains NaN in every feature of event {rows.start + int(empty[0])}: a "
                "feature may be missing, but an event needs one value at least. Drop such events; "
                "only in y (sim_reco) do they stand for events that the reconstruction lost."
            )


def has_missing(X: Events) -> NDArray[np.bool_]:
    """Say which features, (f,), some events lack; those of particles are never missing."""
    missing = np.zeros(count_features(X), dtype=bool)
    if not holds_sets(X):
        for _, part in row_chunks(feature_table(X)):
            missing |= np.isnan(part).any(axis=0)
    return missing


def feature_labels(X: Events, names: Sequence[str] | None) -> list[str]:
    """Name the features of a checked sample in messages.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    names : sequence of str of length f, or None
        Names of the features, where they have some.

    Returns
    -------
    list of str
        The names; "feature 0" and so on where there are none.
    """
    if names is not None:
        return list(names)
    return [f"feature {k}" for k in range(count_features(X))]


def check_sample(X: Any, *, name: str) -> Events:
    """Check a sample of either kind.

    Parameters
    ----------
    X : array-like of shape (n, f) or (n,), or n sets of particles
        Events, of which there has to be one at least.
    name : str
        What the caller calls the argument, for messages.

    Returns
    -------
    ndarray of shape (n, f), or PackedEvents
        Rows of features are float64, and NaN where a value is missing; see `check_events`.

    Raises
    ------
    TypeError, ValueError
        If the sample is empty, or is not as `check_events` or `PackedEvents.from_events` asks.
    """
    if not is_sets(X):
        return check_events(X, name=name, allow_nan=True)
    packed = PackedEvents.from_events(X, name=name)
    if not len(packed):
        raise ValueError(f"{name} holds no events (0 samples); expected one at least.")
    return packed


def check_like(X: Events, reference: Events, *, name: str, reference_name: str) -> None:
    """Refuse a checked sample whose features are not those of another.

    Parameters
    ----------
    X, reference : ndarray of shape (n, f) or PackedEvents
        Checked events.
    name, reference_name : str
        What the caller calls them, for messages.

    Raises
    ------
    ValueError
        If one holds rows and the other sets, or if the features differ.
    """
    if holds_sets(X) != holds_sets(reference):
        sets, rows = (name, reference_name) if holds_sets(X) else (reference_name, name)
        raise ValueError(
            f"{sets} holds sets of particles, {rows} holds rows of features: give both in the same "
            "form."
        )
    packed = [sample for sample in (X, reference) if isinstance(sample, PackedEvents)]
    if packed:
        packed[0].check_like(packed[1], name=name, known_name=reference_name)
    elif count_features(X) != count_features(reference):
        raise ValueError(
            f"{name} has {count_features(X)} features, expected {count_features(reference)}: give "
            f"the same features, in the same order, as in {reference_name}."
        )


def check_estimator_events(
    estimator: Any,
    X: Any,
    *,
    reset: bool = True,
    ensure_min_samples: int = 1,
    keep_single: bool = False,
    allow_nan: bool = False,
) -> Events:
    """Do what scikit-learn's ``validate_data`` does, for sets of particles too.

    A fit sets `n_features_in_` of the estimator, which for sets is the number of features of a
    particle, and `feature_names_in_`.

    Parameters
    ----------
    estimator : estimator
        The estimator that was given the events.
    X : array-like of shape (n, f), or n sets of particles
        Events.
    reset : bool
        Whether this is a fit; otherwise the events have to be like those of the fit.
    ensure_min_samples : int
        Least number of events.
    keep_single : bool
        Whether to leave rows of float32 as they are, without a copy, and to go through a mapped
        file in parts.
    allow_nan : bool
        Whether NaN in rows stands for a missing value, and is accepted.

    Returns
    -------
    ndarray of shape (n, f) or PackedEvents
        Rows are float64, unless `keep_single`.

    Raises
    ------
    TypeError, ValueError
        If there are too few events, one is not finite, or the features are not those of the fit.
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
        with named("X", _EXPECTED):
            events: FloatArray = validate_data(
                estimator,
                as_table(X, name="X"),
                dtype=_FLOATS if keep_single else np.float64,
                reset=reset,
                ensure_min_samples=ensure_min_samples,
                ensure_all_finite=False,
            )
        check_all_finite(events, name="X", allow_nan=allow_nan)
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
    """Refuse two tables whose column names differ: a swapped column is a silent error."""
    columns, expected = column_labels(X), column_labels(reference)
    if (columns is None) is not (expected is None):
        # Of two frames with numbered columns one may have them in another order.
        numbered = [list(map(str, each.columns)) for each in (X, reference) if _is_frame(each)]
        if len(numbered) == 2 and sorted(numbered[0]) == sorted(numbered[1]):
            columns, expected = numbered
    if columns is not None and expected is not None and columns != expected:
        raise ValueError(
            f"The columns of {name} are {columns}, those of {reference_name} are {expected}: "
            f"reorder or rename them, e.g. {name}[{expected}]."
        )


def _is_frame(X: Any) -> bool:
    return isinstance(X, pd.DataFrame)


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


def check_weights(weights: Any, n_events: int, *, name: str, of: str = "X") -> FloatArray:
    """Check event weights and return them as float64 of shape (n_events,); None means ones.

    Weights may be negative, as next-to-leading-order generators make them, as long as their sum
    is positive.

    Parameters
    ----------
    weights : array-like of shape (n_events,), or None
        What the user gave.
    n_events : int
        How many events there are.
    name, of : str
        What the caller calls the weights, and their events, for messages.

    Raises
    ------
    ValueError
        If the shape is wrong, a weight is NaN or infinite, or the sum is not positive.
    """
    if weights is None:
        return np.ones(n_events)
    with named(name, f"numbers of shape ({n_events},), one weight per event of {of}"):
        checked: FloatArray = check_array(
            as_table(weights, name=name),
            dtype=np.float64,
            input_name=name,
            ensure_2d=False,
            copy=True,
            ensure_all_finite=False,
        )
    if checked.shape != (n_events,):
        raise ValueError(
            f"{name} has shape {checked.shape}, expected ({n_events},): one weight per event of "
            f"{of}."
        )
    check_all_finite(checked, name=name)
    with np.errstate(over="ignore"):
        total, squares = checked.sum(), checked @ checked
    if not (np.isfinite(squares) and (squares > 0 or not checked.any())):
        raise ValueError(
            f"{name} has numbers up to {np.abs(checked).max():g}, whose squares leave the range of "
            "float64, so that no error can be computed: divide them by their mean, which changes "
            "nothing else."
        )
    if not total > 0:
        hint = "at least one non-zero number" if not checked.any() else "a positive sum"
        raise ValueError(
            f"{name} sums to {total:g}: sample weights must contain {hint}. "
            "Drop the argument for unweighted events."
        )
    return checked
