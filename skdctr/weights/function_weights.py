"""Event weights that a function of events and θ gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.kinds import Events
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.weights.event_weights import EventWeights

__all__ = ["FunctionWeights"]

# Step of a numerical derivative, as a share of the size of θ (of 1 where θ is smaller) or of its
# range, whichever is less. With a function in double precision the error of central differences,
# of order step² and of order 1e-16/step, is least near this value.
_STEP = 1e-5


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
        Range of θ, of which the steps of derivatives are a part.
    name : str
        What messages call the function.
    is_exact : bool
        Whether the function is the density ratio itself, and not learned.
    """

    function: Callable[[Any, Any], Any]
    X: Events
    space: ParameterSpace
    name: str = "log_weight"
    is_exact: bool = False

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w, (n,), which is checked to be a number for each event.

        Raises
        ------
        ValueError
            If the function returns another shape, or NaN, or +inf.
        """
        values = np.asarray(self.function(self.X, theta), dtype=np.float64)
        n_events = len(self.X)
        if values.shape != (n_events,):
            raise ValueError(
                f"{self.name} returned shape {values.shape} for {n_events} events; expected "
                f"({n_events},): one log-weight per event."
            )
        if np.isnan(values).any() or (values == np.inf).any():
            raise ValueError(
                f"{self.name} returned NaN or +inf at θ = {np.asarray(theta).tolist()}: it must "
                "be finite, or -inf where the density vanishes."
            )
        return values

    def subset(self, rows: NDArray[np.intp]) -> Self:
        """Return the weights of some of the events."""
        return replace(self, X=self.X[rows])

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ log w, (n, p), by central differences."""
        low, high = self.space.low, self.space.high
        largest = np.abs(theta).reshape(-1, theta.shape[-1]).max(axis=0)
        # A unit that makes the range small makes the step small as well.
        step = _STEP * np.minimum(np.maximum(1.0, largest), high - low)
        step = positive_steps(np.abs(theta).reshape(-1, len(step)).min(axis=0), step, low)
        return central_differences(self.log_weights, theta, step)
