"""What a way to θ* returns: the point, its covariance by source, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from skdctr._utils.typing import FloatArray
from skdctr.results.covariance import Sources
from skdctr.results.messages import Message

__all__ = ["Solution"]


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a search or an equation ended.

    Attributes
    ----------
    theta : ndarray of shape (p,)
        The best θ.
    sources : Sources
        Covariance of θ by source; empty where none is known.
    converged : bool
        Whether the search ended by its own criterion.
    messages : list of Message
        Sentences that speak against θ or its covariance.
    equation : EstimatingEquation or None
        The equations that θ solves, for χ² after the fit; None where there are none.
    n_evaluations : int
        References of an equation, or steps; 0 where the objective counts its own evaluations.
    """

    theta: FloatArray
    sources: Sources
    converged: bool
    messages: list[Message] = field(default_factory=list)
    equation: Any = None
    n_evaluations: int = 0
