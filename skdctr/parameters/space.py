"""The parameters θ: their names, values, ranges and constraints, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.validation import check_events, feature_names
from skdctr.exceptions import ExtrapolationWarning

__all__ = [
    "ParameterSpace",
    "check_bounds",
    "check_constraints",
    "check_theta_rows",
    "warn_if_outside",
    "widths",
]


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


def warn_if_outside(space: ParameterSpace, theta: FloatArray) -> None:
    """Warn where θ leaves the trained range."""
    messages = space.outside(theta)
    if messages:
        warn_user(
            "Weights are extrapolated in θ: " + "; ".join(messages) + ", the trained range. "
            "Generate events up to there and fit the reweighter again, or narrow the bounds.",
            ExtrapolationWarning,
        )
