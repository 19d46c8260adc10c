"""Event weights that a function of events and θ gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.arguments import as_real_array, shorten
from skdctr._utils.typing import FloatArray
from skdctr.events.kinds import Events
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.weights.event_weights import EventWeights

__all__ = ["FunctionWeights"]

# Steps of a numerical derivative, in scales of θ. With a function in double precision the error of
# central differences, of order step² and of order 1e-16/step, is least near the first value. The
# second is for weights that are learned, which may be in single precision.
_STEP, _LEARNED_STEP = 1e-5, 1e-3
# Events that the scale of θ is measured with, and the change of log w that it is measured by.
_SCALE_EVENTS = 2000
_LEAST_CHANGE, _LARGEST_CHANGE = 0.1, 1.0
# The first step that is tried is a tenth of the range, or as large as θ₀ where there is no range;
# each further one is so many times smaller or larger, with so many of them at most.
_FACTOR, _MOST_STEPS = 4.0, 100


@dataclass(frozen=True, eq=False)
class FunctionWeights(EventWeights):
    """Event weights of a function, whose gradient is taken numerically.

    Attributes
    ----------
    function : callable
        ``function(X, theta)`` returns log w, (n,), at θ of shape (p,) or (n, p).
    X : ndarray of shape (n, f) or PackedEvents
        The events.
    space : ParameterSpace
        θ₀ and the range of θ.
    name : str
        What messages call the function.
    is_exact : bool
        Whether the function is the density ratio itself, and not learned.
    known_scale : ndarray of shape (p,), or None
        The scale of θ, where it has been measured.
    """

    function: Callable[[Any, Any], Any]
    X: Events
    space: ParameterSpace
    name: str = "log_weight"
    is_exact: bool = False
    known_scale: FloatArray | None = None

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w, (n,), which is checked to be a number for each event.

        Raises
        ------
        ValueError
            If the function returns another shape, or NaN, or +inf.
        """
        returned = as_real_array(self.function(self.X, theta), f"{self.name}(X, theta)")
        values = returned.astype(np.float64, copy=False)
        n_events = len(self.X)
        if values.shape != (n_events,):
            raise ValueError(
                f"{self.name} returned shape {values.shape} for {n_events} events; expected "
                f"({n_events},): one log-weight per event."
            )
        if np.isnan(values).any() or (values == np.inf).any():
            raise ValueError(
                f"{self.name} returned NaN or +inf at θ = {shorten(np.asarray(theta).tolist())}: "
                "it must be finite, or -inf where the density vanishes. Look at its values for "
                "extreme or missing features of X."
            )
        return values

    def subset(self, rows: NDArray[np.intp]) -> Self:
        """Return the weights of some of the events, with the scale that all of them have."""
        return replace(self, X=self.X[rows], known_scale=self._scale)

    def scale(self, theta: FloatArray) -> FloatArray:
        """Return the change of each parameter that changes log w by about 1, (p,), at θ₀."""
        return self._scale

    @cached_property
    def _scale(self) -> FloatArray:
        """The scale of θ at θ₀, (p,), which is measured once, on a part of the events."""
        if self.known_scale is not None:
            return self.known_scale
        rows = np.arange(0, len(self.X), max(1, len(self.X) // _SCALE_EVENTS))
        part = replace(self, X=self.X[rows])
        return np.array([part._scale_along(k) for k in range(len(self.space))])

    def _scale_along(self, k: int) -> float:
        """Look for a step of one parameter that changes log w neither too little nor too much."""
        low, high = self.space.low[k], self.space.high[k]
        width = high - low
        size = width / 10 if np.isfinite(width) else max(abs(self.space.nominal[k]), 1.0)
        change = 0.0
        for _ in range(_MOST_STEPS):
            change = self._change(k, size)
            if change > _LARGEST_CHANGE:
                size /= _FACTOR
            elif change < _LEAST_CHANGE and size < width:
                size = min(_FACTOR * size, width)
            else:
                break
        return float(size / change) if change > 0 else math.inf

    def _change(self, k: int, size: float) -> float:
        """Return the standard deviation over the events of the change of log w by a step."""
        up, down = self.space.nominal.copy(), self.space.nominal.copy()
        up[k] = min(up[k] + size, self.space.high[k])
        down[k] = max(down[k] - size, self.space.low[k])
        try:
            with np.errstate(all="ignore"):
                change = self.log_weights(up) - self.log_weights(down)
        except ValueError:
            return math.inf
        finite = change[np.isfinite(change)]
        if 2 * len(finite) < len(change):
            return math.inf
        return float(finite.std() * size / (up[k] - down[k]))

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ log w, (n, p), by central differences."""
        share = _STEP if self.is_exact else _LEARNED_STEP
        # Any step will do for a parameter without effect.
        step = share * np.where(np.isfinite(self._scale), self._scale, self.space.width)
        smallest = np.abs(theta).reshape(-1, len(step)).min(axis=0)
        step = positive_steps(smallest, step, self.space.low)
        return central_differences(self.log_weights, theta, step)
