"""The parameters θ: their names, values, ranges and constraints, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skdctr._utils.arguments import shorten
from skdctr._utils.numbers import format_apart
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.frames import as_table, column_labels
from skdctr.events.validation import check_events
from skdctr.exceptions import ExtrapolationWarning

__all__ = ["ParameterSpace", "check_theta_rows", "numbers_of", "warn_if_outside"]

# In scales: the range of a parameter without limits, and the unit of steps, for which a Gaussian
# of unit width has the range of ±2 about its mean.
_UNLIMITED, _UNIT = 100.0, 4.0


def _has_words(values: Any) -> bool:
    try:
        first = np.asarray(values[:1])
    except (TypeError, IndexError):
        return False
    return any(isinstance(value, str) for value in first.flat)


def check_theta_rows(
    theta: Any, n_events: int, *, name: str, of: str = "X", keep_single: bool = False
) -> tuple[FloatArray, list[str]]:
    """Check the parameters of every event; return shape (n, p) and the parameter names."""
    names = column_labels(theta)
    theta = as_table(theta, name=name)
    if _has_words(theta):
        raise ValueError(
            f"{name} holds strings: θ must be numbers; two samples are coded as 0 and 1."
        )
    rows = check_events(theta, name=name, keep_single=keep_single)
    if len(rows) != n_events:
        raise ValueError(
            f"{name} has {len(rows)} rows for {n_events} events of {of}: give the parameters "
            "that each event was generated with, one row per event."
        )
    if names is None:
        names = [f"theta_{k}" for k in range(rows.shape[1])] if rows.shape[1] > 1 else ["theta"]
    return rows, names


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
    scale : ndarray of shape (p,), or None
        The change of each parameter that changes log w by about 1, from which the steps of fits
        follow, whatever the range and the unit; infinite where it changes nothing. None where
        that is not known.
    tolerance : ndarray of shape (p, 2), or None
        How far below `low` and above `high` θ still counts as within the range, as the edges of a
        sample fall short of those of the range that it was drawn from; None is not at all.
    """

    names: tuple[str, ...]
    nominal: FloatArray
    low: FloatArray
    high: FloatArray
    scale: FloatArray | None = None
    tolerance: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def width(self) -> FloatArray:
        """Range of each parameter, (p,); `_UNLIMITED` scales, or 1, where it has no limit."""
        unlimited = np.ones(len(self))
        if self.scale is not None:
            unlimited = np.where(np.isfinite(self.scale), _UNLIMITED * self.scale, 1.0)
        with np.errstate(invalid="ignore"):
            width = self.high - self.low
        return np.where(np.isfinite(width), width, unlimited)

    @property
    def unit(self) -> FloatArray:
        """What the steps of derivatives and searches are measured in, (p,).

        The range where it is narrow, else `_UNIT` scales.
        """
        if self.scale is None:
            return self.width
        return np.minimum(self.width, _UNIT * self.scale)

    def measured(self, scale: FloatArray) -> ParameterSpace:
        """Return the space with the scale, (p,), that weights have been found to have."""
        return replace(self, scale=scale)

    @property
    def is_bounded(self) -> bool:
        """Whether every parameter has limits."""
        return bool(np.isfinite([self.low, self.high]).all())

    def clip(self, theta: FloatArray) -> FloatArray:
        """Return the nearest θ within the range."""
        return np.clip(theta, self.low, self.high)

    def contains(self, theta: FloatArray) -> bool:
        """Say whether θ, (p,), lies within the range."""
        return bool(((theta >= self.low) & (theta <= self.high)).all())

    def within(
        self,
        bounds: Mapping[str, Sequence[float]] | Sequence[Sequence[float]] | None,
        *,
        argument: str = "bounds",
    ) -> ParameterSpace:
        """Return the space with the bounds of a search as its range, by name or by order.

        Parameters
        ----------
        bounds : mapping of str to (float, float), array-like of shape (p, 2), or None
            None is the range as it is. A mapping may leave parameters out; they keep theirs.
        argument : str
            What the caller calls the bounds.

        Raises
        ------
        ValueError
            If a name is unknown, or a pair is not two finite numbers in ascending order.
        """
        low, high = self.low.copy(), self.high.copy()
        tolerance = None if self.tolerance is None else self.tolerance.copy()
        for name, pair in self._named_bounds(bounds, argument).items():
            if name not in self.names:
                raise ValueError(
                    f"{argument} names an unknown parameter {name!r}; "
                    f"{did_you_mean(name, self.names)}"
                )
            values = numbers_of(pair)
            if values.shape != (2,) or not np.isfinite(values).all() or not values[0] < values[1]:
                raise ValueError(
                    f"{argument}[{name!r}]={shorten(pair)}; expected two finite numbers "
                    "(low, high), low < high."
                )
            k = self.names.index(name)
            low[k], high[k] = values
            if tolerance is not None:
                tolerance[k] = 0.0
        return replace(self, low=low, high=high, tolerance=tolerance)

    def _named_bounds(self, bounds: Any, argument: str) -> dict[str, Any]:
        if bounds is None:
            return {}
        if isinstance(bounds, Mapping):
            return dict(bounds)
        rows = numbers_of(bounds)
        if rows.shape == (2,) and len(self) == 1:
            rows = rows.reshape(1, 2)
        if rows.shape != (len(self), 2):
            raise ValueError(
                f"{argument}={shorten(bounds)} has shape {rows.shape}, expected numbers of shape "
                f"({len(self)}, 2): one (low, high) per "
                f"parameter in the order {list(self.names)}, or a dict by name."
            )
        return dict(zip(self.names, rows.tolist(), strict=True))

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
        if not isinstance(theta, Mapping):
            theta = as_table(theta, name=name)
        if isinstance(theta, (Mapping, pd.Series, pd.DataFrame)):
            theta = self._by_name(theta, name)
        try:
            # numpy reads numbers off strings, which are rather a mistake.
            if np.asarray(theta).dtype.kind in "US":
                raise ValueError("a string is no number")
            values = np.array(theta, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name}={shorten(theta)} is not numeric; expected numbers for the parameters "
                f"{list(self.names)}."
            ) from error
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

    def rows(self, theta: Any, n_events: int, *, name: str, of: str = "X") -> FloatArray:
        """Read one θ per event, (n_events, p); by name where it has names, in any order."""
        values, _ = check_theta_rows(theta, n_events, name=name, of=of)
        names = column_labels(theta)
        given = values if names is None else pd.DataFrame(values, columns=names)
        return self.point(given, n_events=n_events, name=name)

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
        slack = np.repeat(1e-9 * self.width[:, None], 2, axis=1)
        if self.tolerance is not None:
            slack = np.maximum(slack, self.tolerance)
        messages = []
        for k, parameter in enumerate(self.names):
            column, low, high = theta[:, k], self.low[k], self.high[k]
            if (column < low - slack[k, 0]).any() or (column > high + slack[k, 1]).any():
                worst = column[np.argmax(np.maximum(low - column, column - high))]
                value, least, most = format_apart(worst, low, high)
                messages.append(f"{parameter}={value} is outside [{least}, {most}]")
        return messages

    def excess(self, theta: FloatArray) -> float:
        """Return how far θ (..., p) leaves the range, in widths of it, at the most."""
        beyond = np.maximum(self.low - theta, theta - self.high) / self.width
        return float(np.max(beyond))


def numbers_of(values: Any) -> FloatArray:
    """Return what a user gave as an array of numbers, which is empty where it holds none."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def warn_if_outside(space: ParameterSpace, theta: FloatArray) -> None:
    """Warn where θ leaves the trained range."""
    messages = space.outside(theta)
    if messages:
        warn_user(
            "Weights are extrapolated in θ: " + "; ".join(messages) + ", the trained range. "
            "Generate events up to there and fit the reweighter again, or narrow the bounds.",
            ExtrapolationWarning,
            kind=("theta", space.names),
            badness=space.excess(theta),
        )
