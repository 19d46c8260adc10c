"""The range of θ that a generator sample covers, and few events whose θ is far from all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.numbers import format_apart
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.exceptions import ExtrapolationWarning, OutlierWarning
from skdctr.parameters.space import ParameterSpace

__all__ = ["absent_at", "edge_tolerance", "trained_range", "without_lone_theta"]

# Events are few if they are less than this share of those away from the most frequent value, of
# which there have to be so many.
_FEW, _LEAST_EVENTS = 0.005, 100
# A value is most frequent where it has this share of the events.
_FREQUENT = 0.05
# Few events are far from the others if the gap is so many times as wide as the range of all these.
# Of logarithms less will do: milliseconds among seconds are far, where these differ by a factor 3.
_FAR, _FAR_LOG = 5.0, 3.0
# Of positive values a gap in their logarithms has to be as wide as the range of these, as a
# log-normal or log-uniform sample has wide gaps at its upper end.
_LEAST_LOG_GAP = 1.0
# Values near zero are far on the logarithmic scale alone if the gap is more than such a share of
# the range, or so many mean distances between values: the smallest value of a sample that begins at
# zero has one.
_LEAST_SHARE, _LEAST_SPACINGS = 0.2, 20.0
# A uniform sample falls short of an end of its range by more than so many spacings with a
# probability of 0.1%, with the spacing taken from as many values there. Where they are more than
# this share of the range, values are too few to tell.
_EDGE_SPACINGS, _LARGEST_TOLERANCE = 10, 0.02
# Share of the range between declared bound and sample from which on the declaration is doubted.
_UNFILLED = 0.1


def without_lone_theta(
    theta: FloatArray,
    names: Sequence[str],
    weight: FloatArray,
    *,
    keep: FloatArray | None = None,
    bounds: Any = None,
) -> FloatArray:
    """Give weight zero to few events whose θ is far from that of all others.

    One value of -999, or in another unit, would decide the scale and the range of its parameter.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        Parameters of each event.
    names : sequence of str of length p
        Names of the parameters.
    weight : ndarray of shape (n,)
        Event weights; events of weight zero are absent.
    keep : ndarray of shape (p,), optional
        A row of θ that is meant, however few events have it.
    bounds : mapping of str to (float, float) or array-like of shape (p, 2), optional
        Ranges that the user has declared. What lies in these is meant, too.

    Returns
    -------
    ndarray of shape (n,)
        The weights; the same array where no event is far.

    Warns
    -----
    OutlierWarning
        For each parameter in which events are far.
    """
    present = np.flatnonzero(weight)
    if keep is not None:
        present = present[~np.isclose(theta[present], keep, rtol=1e-6, atol=0).all(axis=1)]
    lone = np.zeros(len(theta), dtype=bool)
    for k, name in enumerate(names):
        if bounds is not None and (not isinstance(bounds, Mapping) or name in bounds):
            continue
        column = theta[present, k]
        core = _core(column)
        if core is None:
            continue
        low, high = core
        far = (column < low) | (column > high)
        if not far.any():
            continue
        lone[present[far]] = True
        value = column[far][np.argmax(np.abs(column[far] / 2 - (low + high) / 4))]
        shown, least, most = format_apart(value, low, high)
        warn_user(
            f"{far.sum()} of {np.count_nonzero(weight)} events have {name} far from that of all "
            f"others, such as {shown}, where these lie in [{least}, {most}]: they count as absent. "
            "Look for another unit, or a number that stands for a missing value, and drop or mend "
            "these events; if they are meant, declare the range by theta_bounds.",
            OutlierWarning,
            kind=("lone", name),
        )
    return np.where(lone, 0.0, weight) if lone.any() else weight


def _core(column: FloatArray) -> tuple[float, float] | None:
    """Find the range of all but few values that are far from it.

    Returns
    -------
    low, high : float
        The range; None is returned in place of both where there are too few values to tell.
    """
    values, counts = np.unique(column, return_counts=True)
    values = values.astype(np.float64)
    n_events, largest = len(column), counts.max(initial=0)
    if largest >= _FREQUENT * n_events:
        n_events -= largest
    if len(values) < 3 or n_events < _LEAST_EVENTS:
        return None
    few = max(1, int(_FEW * n_events))
    first = int(np.searchsorted(counts.cumsum(), few, side="right"))
    last = len(values) - 1 - int(np.searchsorted(counts[::-1].cumsum(), few, side="right"))
    if not values[first] < values[last]:
        return None
    # The distance of numbers near ±1e308 is infinite, which is far.
    with np.errstate(over="ignore"):
        return _extended(values, first, last)


def _extended(values: FloatArray, first: int, last: int) -> tuple[float, float]:
    """Extend the range between two of the values to both sides, up to a wide gap."""
    width = values[last] - values[first]
    visible = min(_LEAST_SHARE * width, _LEAST_SPACINGS * width / (last - first))
    last += _steps_to_gap(values[first], values[last:], visible)
    # Turned round, the lower end is an upper one.
    first -= _steps_to_gap(-values[last], -values[: first + 1][::-1], visible)
    return float(values[first]), float(values[last])


def _steps_to_gap(start: float, values: FloatArray, visible: float) -> int:
    """Count the values that follow on a range without a wide gap.

    Parameters
    ----------
    start : float
        The other end of the range.
    values : ndarray of shape (m,)
        The end of the range and what lies beyond it, in ascending order.
    visible : float
        Least gap before values near zero that are far on the logarithmic scale.
    """
    if len(values) == 1:
        return 0
    inner, outer = values[:-1], values[1:]
    wide = outer - inner > _FAR * (inner - start)
    if start * values[0] > 0:
        with np.errstate(invalid="ignore", divide="ignore"):
            extent = np.abs(np.log(inner / start))
            gap = np.where(outer * start > 0, np.abs(np.log(outer / inner)), np.inf)
        wide &= gap > _LEAST_LOG_GAP * extent
        # Towards zero.
        near_zero = np.isfinite(gap) & (gap > _FAR_LOG * extent) & (np.abs(outer) < np.abs(inner))
        wide |= near_zero & (outer - inner > visible)
    gaps = np.flatnonzero(wide)
    return int(gaps[0]) if len(gaps) else len(values) - 1


def trained_range(
    theta: FloatArray, names: Sequence[str], nominal: FloatArray, bounds: Any
) -> ParameterSpace:
    """Find the range of θ that a sample covers, or take the one that the user declares.

    Parameters
    ----------
    theta : ndarray of shape (n, p)
        Parameters of each event.
    names : sequence of str of length p
        Names of the parameters.
    nominal : ndarray of shape (p,)
        θ₀.
    bounds : mapping of str to (float, float), array-like of shape (p, 2), or None
        Declared ranges. A parameter that a mapping leaves out has that of the sample.

    Returns
    -------
    ParameterSpace

    Raises
    ------
    ValueError
        If a declared range does not hold all θ, or is none.

    Warns
    -----
    ExtrapolationWarning
        If the sample leaves a part of a declared range empty.
    """
    low, high = (edge.astype(np.float64) for edge in (theta.min(axis=0), theta.max(axis=0)))
    tolerance, spacing = np.zeros((len(names), 2)), np.empty(len(names))
    for k in range(len(names)):
        values = np.unique(theta[:, k]).astype(np.float64)
        tolerance[k], spacing[k] = edge_tolerance(values), (high[k] - low[k]) / len(values)
    sample = ParameterSpace(tuple(names), nominal, low, high, tolerance=tolerance)
    space = sample.within(bounds, argument="theta_bounds")
    # θ in single precision may be beyond a bound by rounding.
    largest = np.maximum(np.abs(space.low), np.abs(space.high))
    rounding = np.maximum(1e-9 * space.width, np.finfo(theta.dtype).eps * largest)
    for k, name in enumerate(names):
        outside = (theta[:, k] < space.low[k] - rounding[k]) | (
            theta[:, k] > space.high[k] + rounding[k]
        )
        if outside.any():
            column = theta[outside, k]
            worst = column[np.argmax(np.maximum(space.low[k] - column, column - space.high[k]))]
            value, least, most = format_apart(worst, space.low[k], space.high[k])
            raise ValueError(
                f"theta_bounds: {outside.sum()} of {len(theta)} events have {name} outside "
                f"[{least}, {most}], such as {value}: declare the range that θ was drawn from, or "
                "drop these events."
            )
        unfilled = max(low[k] - space.low[k], space.high[k] - high[k])
        if unfilled > max(_EDGE_SPACINGS * spacing[k], _UNFILLED * (high[k] - low[k])):
            start, end, least, most = format_apart(low[k], high[k], space.low[k], space.high[k])
            warn_user(
                f"theta_bounds has [{least}, {most}] for {name}, but the events have it in "
                f"[{start}, {end}] only: beyond it weights are extrapolated. Generate events over "
                "the whole range, or declare the range that θ was drawn from.",
                ExtrapolationWarning,
            )
    allowed = np.zeros_like(tolerance) if space.tolerance is None else space.tolerance
    return replace(space, tolerance=np.maximum(allowed, rounding[:, None]))


def edge_tolerance(values: FloatArray) -> FloatArray:
    """Estimate how far a sample may fall short of the ends of the range that it was drawn from.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Distinct values of a parameter in ascending order.

    Returns
    -------
    ndarray of shape (2,)
        At the lower and at the upper end. Zero where there are too few values to tell, which
        rather are points that somebody has chosen.
    """
    width = values[-1] - values[0]
    mean_spacing = width / len(values)
    if not _EDGE_SPACINGS * mean_spacing <= _LARGEST_TOLERANCE * width:
        return np.zeros(2)
    # Where density falls off there is no edge to be missed, and where it rises spacing is smaller.
    at_edges = np.array(
        [values[_EDGE_SPACINGS] - values[0], values[-1] - values[-1 - _EDGE_SPACINGS]]
    )
    spacing: FloatArray = np.minimum(at_edges / _EDGE_SPACINGS, mean_spacing)
    return _EDGE_SPACINGS * spacing


def absent_at(theta: FloatArray, counts: NDArray[np.bool_], nominal: FloatArray) -> FloatArray:
    """Return θ with that of absent events, which may be anything, replaced by θ₀."""
    if counts.all():
        return theta
    replaced: FloatArray = np.where(counts[:, None], theta, nominal.astype(theta.dtype))
    return replaced
