"""What networks see of a feature: a number of the order of one, and flags for what is no number.

No single event, no code for "not measured" and no heavy tail decides how all others are scaled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.arguments import as_real_array, shorten
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr.events.atoms import equals
from skdctr.events.chunks import row_chunks
from skdctr.events.column_kinds import ColumnPlan
from skdctr.events.columns import Column
from skdctr.events.core import most_outliers

__all__ = ["Coder"]

# Rows that decide what a column is; an error of a percent in a quantile changes nothing.
_SAMPLE_ROWS: Final = 200_000
# Scaled values beyond this are as good as infinite, and have no logarithm that overflows.
_LARGEST: Final = 1e300


@dataclass(frozen=True)
class Coder:
    """Map of features to numbers that networks learn well on.

    A feature whose events are all in its core becomes ``(x - shift) / scale``, with mean and
    standard deviation. Beyond the core of one with a heavy tail z becomes e + log(1 + z - e), with
    e the edge. Of others single events may lie there, which become the nearest value in the core
    that the fit has seen. What is put into a flag is at the centre, 0, of the number.

    Attributes
    ----------
    names_in, names_out : tuple of str
        Names of the features, and of the columns that they become.
    columns : tuple of Column
        How each feature is coded.
    shift, scale : ndarray of shape (f,)
        Mean and standard deviation of each feature in its core; 0 and 1 where it is no number.
    low, high : ndarray of shape (f,)
        Edges of the cores; infinite where a feature is no number.
    ends : ndarray of shape (2, f)
        The smallest and the largest value in the core, which outliers become.
    n_outside : ndarray of int of shape (f,)
        How many events of the fit lie outside of the core, those with a flag not counted.
    n_events : int
        How many events the fit had.
    advice : tuple of str
        What the user should know of some features.
    """

    names_in: tuple[str, ...]
    columns: tuple[Column, ...]
    shift: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray
    ends: FloatArray
    n_outside: NDArray[np.int64]
    n_events: int
    advice: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        X: FloatArray,
        weight: FloatArray | None = None,
        names: Sequence[str] | None = None,
        *,
        periodic: Iterable[str | int] | Mapping[str | int, float] = (),
        categorical: str | Iterable[str | int] = "auto",
        atoms: str | Iterable[float] = "auto",
        n_scale: int | None = None,
    ) -> Self:
        """Find out what the features are.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Checked events, which may be NaN where a value is missing; a mapped file is gone through
            in parts. With no events at all, features stay as they are.
        weight : ndarray of shape (n,), optional
            Event weights, which count by their absolute values.
        names : sequence of str of length f, optional
            Names of the features; x0, x1 and so on by default.
        periodic : iterable of str or int, or mapping of these to float
            Features that are angles, by name or position, and their periods; 2π by default.
        categorical : iterable of str or int, or "auto"
            Features that are categories. "auto": integers whose names end like those of PDG codes.
        atoms : iterable of float, or "auto"
            Values that have a flag, in each feature that has them. "auto": see `find_atoms`.
        n_scale : int, optional
            Number of leading events that shift and scale come from; all by default.
        """
        n, f = X.shape
        names = tuple(names) if names is not None else tuple(f"x{k}" for k in range(f))
        absolute = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
        if (absolute < 0).any():
            absolute = np.abs(absolute)
        if not absolute.sum() > 0:
            absolute = np.ones(n)
        periods = _periods(periodic, names)
        given = (
            None if isinstance(categorical, str) else _positions("categorical", categorical, names)
        )
        both = sorted(set(periods) & set(given or {}))
        if both:
            raise ValueError(f"{names[both[0]]!r} is both periodic and categorical; give it once.")
        sample, of_sample = _draw(X, absolute)
        known = None if isinstance(atoms, str) else _occurring(X, atoms)
        plans = [
            ColumnPlan.of(
                sample[:, k],
                of_sample,
                names[k],
                period=periods.get(k),
                categorical=None if given is None else k in given,
                atoms=None if known is None else known[k],
            )
            for k in range(f)
        ]
        passed = _Pass.through(X, absolute, plans, n if n_scale is None else n_scale)
        columns = []
        for k, plan in enumerate(plans):
            values = [*plan.values, *[np.nan] * bool(passed.has_nan[k])]
            columns.append(plan.column(sample[:, k], of_sample, values))
        is_number = np.array([plan.kind == "number" for plan in plans], dtype=bool)
        low, high = np.array([[plan.low, plan.high] for plan in plans]).reshape(f, 2).T
        return cls(
            names,
            tuple(columns),
            passed.mean,
            passed.deviation,
            np.where(is_number, low, -np.inf),
            np.where(is_number, high, np.inf),
            passed.ends,
            np.where(is_number, passed.n_outside, 0),
            n,
            tuple(text for plan in plans for text in plan.advice),
        )

    @property
    def n_out(self) -> int:
        """Number of columns that events become."""
        return len(self.names_out)

    @property
    def names_out(self) -> tuple[str, ...]:
        """Names of the columns that events become."""
        return self.rename(self.names_in)

    def rename(self, names: Sequence[str]) -> tuple[str, ...]:
        """Name the columns for features of other names."""
        pairs = zip(self.columns, names, strict=True)
        return tuple(name for column, of_feature in pairs for name in column.names(of_feature))

    @property
    def has_tail(self) -> NDArray[np.bool_]:
        """Whether so many events lie outside of the core that they are a tail, (f,)."""
        return np.asarray(self.n_outside > most_outliers(self.n_events))

    def __call__(self, X: FloatArray) -> FloatArray:
        """Code events in double precision.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Events with the features of the fit, finite or NaN.

        Returns
        -------
        ndarray of shape (n, k)

        Raises
        ------
        ValueError
            If a value is missing in a feature that had none missing in the fit.
        """
        out = np.empty((len(X), self.n_out))
        for rows, part in row_chunks(X):
            scaled = self._scaled(part)
            if all(column.is_plain for column in self.columns):
                out[rows] = scaled
            else:
                self._code(part.astype(np.float64, copy=False), scaled, out[rows])
            if np.isnan(out[rows]).any():
                self._refuse_missing(part, rows.start)
        return out

    def numbers(self, X: FloatArray) -> FloatArray:
        """Code events by one number for each feature, without the flags.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Events with the features of the fit, finite or NaN.

        Returns
        -------
        ndarray of shape (n, f)
            Features as in a call; 0, which is the mean, for values with a flag and for NaN.
        """
        numbers = np.empty((len(X), len(self.columns)))
        for rows, part in row_chunks(X):
            numbers[rows] = self._scaled(part)
            for k, column in enumerate(self.columns):
                for value in column.values:
                    numbers[rows, k][equals(part[:, k], value)] = 0.0
            numbers[rows][np.isnan(part)] = 0.0
        return numbers

    def _scaled(self, part: FloatArray) -> FloatArray:
        """Scale features, and bend what is outside of their cores."""
        low, high, *ends = (np.array([self.low, self.high, *self.ends]) - self.shift) / self.scale
        # An overflow ends at the largest number, see _compress.
        with np.errstate(over="ignore"):
            z = (part - self.shift) / self.scale
        for side, edge, end in ((-1.0, -low, ends[0]), (1.0, high, ends[1])):
            rows, columns = np.nonzero(side * z > edge)
            if len(rows):
                bent = _compress(side * z[rows, columns], edge[columns])
                z[rows, columns] = np.where(self.has_tail[columns], side * bent, end[columns])
        return z

    def _code(self, part: FloatArray, scaled: FloatArray, out: FloatArray) -> None:
        start = 0
        for k, column in enumerate(self.columns):
            stop = start + column.n_numbers + len(column.flags)
            if column.is_plain:
                out[:, start] = scaled[:, k]
            else:
                column.code(part[:, k], scaled[:, k], out[:, start:stop])
            start = stop

    def _refuse_missing(self, part: FloatArray, first: int) -> None:
        for name, column, x in zip(self.names_in, self.columns, part.T, strict=True):
            if np.isnan(x).any() and not np.isnan(column.values).any():
                raise ValueError(
                    f"{name} is missing (NaN) in event {first + int(np.isnan(x).argmax())}, but no "
                    "event of the fit had it missing: drop such events, or fit on a sample that "
                    "has some."
                )

    def is_outside(self, x: FloatArray, k: int) -> NDArray[np.bool_]:
        """Say which values of a feature lie outside of its core, and have no flag.

        Parameters
        ----------
        x : ndarray of shape (n,)
            Values of the feature.
        k : int
            Number of the feature.
        """
        outside: NDArray[np.bool_] = (x < self.low[k]) | (x > self.high[k])
        for value in self.columns[k].values:
            outside &= ~equals(x, value)
        return outside


@dataclass(frozen=True)
class _Pass:
    """What only all events together tell: moments of the cores, and what is outside."""

    mean: FloatArray
    deviation: FloatArray
    ends: FloatArray
    n_outside: NDArray[np.int64]
    has_nan: NDArray[np.bool_]

    @classmethod
    def through(
        cls, X: FloatArray, absolute: FloatArray, plans: Sequence[ColumnPlan], n_scale: int
    ) -> Self:
        """Go through the events twice, and compute as `Scaling.standard` does, to the last bit.

        The moments are those of the first `n_scale` events.
        """
        f = X.shape[1]
        edges = np.array([plan.low for plan in plans]), np.array([plan.high for plan in plans])
        atoms = [(k, value) for k, plan in enumerate(plans) for value in plan.values]
        numbers = np.array([plan.kind == "number" for plan in plans])

        def excluded(part: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
            """Say which values do not count, and which of these are numbers nevertheless."""
            outside = ~((part >= edges[0]) & (part <= edges[1]))
            beyond = outside & ~np.isnan(part) & numbers
            for k, value in atoms:
                is_atom = equals(part[:, k], value)
                outside[:, k] |= is_atom
                beyond[:, k] &= ~is_atom
            return outside, beyond

        total, sums, missing = absolute[:n_scale].sum(), np.zeros(f), np.zeros(f)
        n_outside, has_nan = np.zeros(f, dtype=np.int64), np.zeros(f, dtype=bool)
        least, most = np.full(f, np.inf), np.full(f, -np.inf)
        for _, part in row_chunks(X):
            n_outside += excluded(part)[1].sum(axis=0)
            has_nan |= np.isnan(part).any(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            for rows, part in row_chunks(X[:n_scale]):
                outside, _ = excluded(part)
                missing += absolute[rows] @ outside
                sums = sums + absolute[rows] @ _cleared(part, outside)
                least = np.minimum(least, np.where(outside, np.inf, part).min(axis=0))
                most = np.maximum(most, np.where(outside, -np.inf, part).max(axis=0))
            has_core = most >= least
            inner = np.where(has_core, np.maximum(total - missing, np.finfo(float).tiny), 1.0)
            mean = sums / inner
            mean = np.where(has_core & ~np.isfinite(mean), least / 2 + most / 2, mean)
            squares = np.zeros(f)
            for rows, part in row_chunks(X[:n_scale]):
                outside, _ = excluded(part)
                squares = squares + absolute[rows] @ _cleared((part - mean) ** 2, outside)
            deviation = np.sqrt(squares / inner)
            deviation = np.where(np.isfinite(deviation), deviation, most / 2 - least / 2)
        # Rounding leaves a constant column a deviation that would blow up any other value.
        varies = (most > least) & (deviation > 0)
        ends = np.where(has_core, [least, most], mean)
        return cls(mean, np.where(varies, deviation, 1.0), ends, n_outside, has_nan)


def _compress(z: FloatArray, edge: FloatArray) -> FloatArray:
    """Bend values beyond an edge, both (n,), to a logarithm."""
    beyond = np.minimum(z, _LARGEST) - edge
    bent: FloatArray = edge + np.log1p(np.maximum(beyond, 0))
    return bent


def _cleared(part: FloatArray, outside: NDArray[np.bool_]) -> FloatArray:
    """Set values to zero, in a copy of the same layout: other columns sum up to the same bits."""
    if not outside.any():
        return part
    kept = np.array(part, order="K")
    kept[outside] = 0
    return kept


def _draw(X: FloatArray, absolute: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draw rows with a weight, the same ones each time, in parts."""
    n, rng = len(X), np.random.default_rng(0)
    chosen = np.arange(n)
    if n > _SAMPLE_ROWS:
        chosen = np.sort(rng.choice(n, _SAMPLE_ROWS, replace=False))
    chosen = chosen[absolute[chosen] > 0]
    parts = [np.empty((0, X.shape[1]))]
    for rows, part in row_chunks(X):
        first, last = np.searchsorted(chosen, [rows.start, rows.stop])
        parts.append(part[chosen[first:last] - rows.start].astype(np.float64))
    return np.concatenate(parts), absolute[chosen]


def _occurring(X: FloatArray, values: Any) -> list[FloatArray]:
    """Find which of some numbers occur in each feature."""
    given = as_real_array(values, "atoms", expected="'auto' or a list of numbers")
    wanted = np.unique(given)
    if given.ndim != 1 or np.isinf(wanted).any():
        raise ValueError(f"atoms={shorten(values)}; expected 'auto' or a list of finite numbers.")
    wanted = wanted[~np.isnan(wanted)].astype(np.float64)
    occurs = np.zeros((len(wanted), X.shape[1]), dtype=bool)
    for _, part in row_chunks(X):
        for k, value in enumerate(wanted):
            occurs[k] |= equals(part, value).any(axis=0)
    return [wanted[of_feature] for of_feature in occurs.T]


def _positions(
    argument: str, given: Iterable[str | int], names: Sequence[str]
) -> dict[int, str | int]:
    """Find features that are given by name or position; one name may stand for a list."""
    found: dict[int, str | int] = {}
    if not isinstance(given, Iterable):
        raise TypeError(f"{argument}={shorten(given)}; expected a list of features of {names}.")
    for column in [given] if isinstance(given, str) else given:
        if isinstance(column, str):
            if column not in names:
                raise ValueError(
                    f"{argument}: {column!r} is no feature of X; {did_you_mean(column, names)}"
                )
            found[names.index(column)] = column
        else:
            if isinstance(column, bool) or not isinstance(column, Integral):
                raise TypeError(
                    f"{argument}: {shorten(column)} is no feature of X: give its name or its "
                    "position."
                )
            if not 0 <= column < len(names):
                raise ValueError(
                    f"{argument}: X has no feature {column}; expected 0 to {len(names) - 1}."
                )
            found[int(column)] = column
    return found


def _periods(
    periodic: Iterable[str | int] | Mapping[str | int, float], names: Sequence[str]
) -> dict[int, float]:
    """Find the periods of the features that have one."""
    found = _positions("periodic", periodic, names)
    if not isinstance(periodic, Mapping):
        return dict.fromkeys(found, 2 * np.pi)
    periods = {k: periodic[column] for k, column in found.items()}
    for k, period in periods.items():
        if not isinstance(period, Real) or not 0 < float(period) < np.inf:
            shown = float(period) if isinstance(period, Real) else shorten(period)
            raise ValueError(
                f"periodic: the period of {names[k]!r} is {shown}; expected a positive number."
            )
    return {k: float(period) for k, period in periods.items()}
