"""The door: events, weights, parameters and bounds are checked here, once, and nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import assert_all_finite, check_array, validate_data

from ._chunks import is_mapped, row_chunks
from ._sets import PackedEvents, is_sets

__all__ = [
    "Events",
    "FloatArray",
    "ParameterSpace",
    "check_bounds",
    "check_constraints",
    "check_estimator_events",
    "check_events",
    "check_like",
    "check_same_columns",
    "check_same_rows",
    "check_sample",
    "check_theta_rows",
    "check_weights",
    "did_you_mean",
    "feature_labels",
    "feature_names",
    "widths",
]

FloatArray = NDArray[np.float64]
# Rows of features, or sets of particles.
Events = FloatArray | PackedEvents
# What is taken as it comes where numbers are converted a part at a time; else the first of them.
_FLOATS = (np.float64, np.float32)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Close a message about an unknown name with the nearest known one, or with all of them."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {known}."


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


def _has_words(values: Any) -> bool:
    try:
        first = np.asarray(values[:1])
    except (TypeError, IndexError):
        return False
    return any(isinstance(value, str) for value in first.flat)


def check_theta_rows(
    theta: Any, n_events: int, *, name: str, keep_single: bool = False
) -> tuple[FloatArray, list[str]]:
    """Check the parameters of every event; return shape (n, p) and the parameter names."""
    names = feature_names(theta)
    if _has_words(theta):
        raise ValueError(
            f"{name} holds strings: θ must be numbers; two samples are coded as 0 and 1."
        )
    rows = check_events(theta, name=name, keep_single=keep_single)
    if len(rows) != n_events:
        raise ValueError(
            f"{name} has {len(rows)} rows for {n_events} events: give the parameters that each "
            "event was generated with, one row per event."
        )
    if names is None:
        names = [f"theta_{k}" for k in range(rows.shape[1])] if rows.shape[1] > 1 else ["theta"]
    return rows, names


def widths(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the range of each parameter, (p,); 1 where it has no limit."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(high - low), high - low, 1.0)


@dataclass(frozen=True)
class ParameterSpace:
    """Names, nominal values and trained range of the parameters θ.

    Attributes
    ----------
    names : tuple of str
        One per parameter.
    nominal : ndarray of shape (p,)
        θ₀, the parameters of the nominal sample.
    low, high : ndarray of shape (p,)
        The range that weights are trained in; infinite where there is no limit.
    """

    names: tuple[str, ...]
    nominal: FloatArray
    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.names)

    def point(self, theta: Any, *, n_events: int | None = None, name: str = "theta") -> FloatArray:
        """Read one θ, or one per event, in any of the forms that users write it in.

        Parameters
        ----------
        theta : scalar, array-like of shape (p,) or (n, p), mapping, Series or DataFrame
            By order or by name.
        n_events : int, optional
            Rows that a two-dimensional θ must have; None refuses one θ per event.
        name : str
            What the caller calls the argument.

        Returns
        -------
        ndarray of shape (p,) or (n_events, p)
        """
        if theta is None:
            raise ValueError(
                f"{name} is missing: give the parameters {list(self.names)}, e.g. "
                f"{name}={dict(zip(self.names, self.nominal.tolist(), strict=True))}."
            )
        if isinstance(theta, (Mapping, pd.Series, pd.DataFrame)):
            theta = self._by_name(theta, name)
        try:
            # numpy reads numbers off strings, which are rather a mistake.
            if np.asarray(theta).dtype.kind in "US":
                raise ValueError("a string is no number")
            values = np.array(theta, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}={theta!r} is not numeric.") from error
        if values.ndim == 0:
            values = values.reshape(1)
        p = len(self.names)
        if values.shape != (p,) and (n_events is None or values.shape != (n_events, p)):
            shapes = f"({p},)" + ("" if n_events is None else f" or ({n_events}, {p})")
            hint = (
                f" For one value per event use {name}.reshape(-1, 1)."
                if values.ndim == 1 and values.shape[0] == n_events
                else ""
            )
            raise ValueError(
                f"{name} has shape {values.shape}, expected {shapes} for the parameters "
                f"{list(self.names)}.{hint}"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"{name} contains NaN or infinity; parameters must be finite.")
        return values

    def rows(self, theta: Any, n_events: int, *, name: str) -> FloatArray:
        """Read one θ per event, (n_events, p); by name where it has names, in any order."""
        values, _ = check_theta_rows(theta, n_events, name=name)
        named = isinstance(theta, pd.DataFrame) and feature_names(theta) is not None
        return self.point(theta if named else values, n_events=n_events, name=name)

    def _by_name(self, theta: Any, name: str) -> Any:
        if isinstance(theta, pd.Series) and not all(isinstance(key, str) for key in theta.index):
            return theta.to_numpy()
        keys = list(theta.columns if isinstance(theta, pd.DataFrame) else theta.keys())
        for key in keys:
            if key not in self.names:
                raise ValueError(
                    f"{name} names an unknown parameter {key!r}; {did_you_mean(key, self.names)}"
                )
        missing = [key for key in self.names if key not in keys]
        if missing:
            raise ValueError(f"{name} lacks the parameters {missing}: give all of {self.names}.")
        if isinstance(theta, pd.DataFrame):
            return theta[list(self.names)].to_numpy()
        return [theta[key] for key in self.names]

    def outside(self, theta: FloatArray) -> list[str]:
        """Describe every parameter of θ (..., p) that leaves the trained range."""
        theta = np.atleast_2d(theta)
        slack = 1e-9 * widths(self.low, self.high)
        messages = []
        for k, parameter in enumerate(self.names):
            column = theta[:, k]
            if (column < self.low[k] - slack[k]).any() or (column > self.high[k] + slack[k]).any():
                worst = column[np.argmax(np.maximum(self.low[k] - column, column - self.high[k]))]
                messages.append(
                    f"{parameter}={worst:g} is outside [{self.low[k]:g}, {self.high[k]:g}]"
                )
        return messages


def check_bounds(
    bounds: Mapping[str, Sequence[float]] | Sequence[Sequence[float]] | None,
    space: ParameterSpace,
) -> tuple[FloatArray, FloatArray]:
    """Read the bounds of a search, by name or by order; None means the trained range.

    A mapping may leave parameters out; they keep the trained range.

    Returns
    -------
    low, high : ndarray of shape (p,)
    """
    low, high = space.low.copy(), space.high.copy()
    if bounds is None:
        return low, high
    if isinstance(bounds, Mapping):
        pairs = dict(bounds)
    else:
        rows = _numbers(bounds)
        if rows.shape == (2,) and len(space) == 1:
            rows = rows.reshape(1, 2)
        if rows.shape != (len(space), 2):
            raise ValueError(
                f"bounds={bounds!r} has shape {rows.shape}, expected numbers of shape "
                f"({len(space)}, 2): one (low, high) per "
                f"parameter in the order {list(space.names)}, or a dict by name."
            )
        pairs = dict(zip(space.names, rows.tolist(), strict=True))
    for key, pair in pairs.items():
        if key not in space.names:
            raise ValueError(
                f"bounds names an unknown parameter {key!r}; {did_you_mean(key, space.names)}"
            )
        values = _numbers(pair)
        if values.shape != (2,) or not np.isfinite(values).all() or not values[0] < values[1]:
            raise ValueError(
                f"bounds[{key!r}]={pair!r}; expected two finite numbers (low, high), low < high."
            )
        k = space.names.index(key)
        low[k], high[k] = values
    return low, high


def _numbers(values: Any) -> FloatArray:
    """Return an array of numbers, empty where they are none."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def check_constraints(
    constraints: Mapping[str, Any] | None, names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Read what is known of parameters beforehand, by name.

    Returns
    -------
    dict of str to (float, float)
        Mean and standard deviation σ of each.

    Raises
    ------
    ValueError
        If a name is unknown, or a value is not a finite mean with a positive finite σ.
    """
    checked = {}
    for name, pair in (constraints or {}).items():
        if name not in names:
            raise ValueError(
                f"constraints names an unknown parameter {name!r}; {did_you_mean(name, names)}"
            )
        values = _numbers(pair)
        if values.shape != (2,) or not np.isfinite(values).all() or not values[1] > 0:
            raise ValueError(
                f"constraints[{name!r}]={pair!r}; expected (mean, σ), both finite, the latter "
                "positive."
            )
        checked[name] = (float(values[0]), float(values[1]))
    return checked
