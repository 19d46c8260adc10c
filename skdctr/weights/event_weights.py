"""Event weights of one sample, bound to it once and evaluated at any θ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks
from skdctr.weights.couplings import Couplings

__all__ = ["EventWeights", "exponentiate"]


class EventWeights(ABC):
    """Log-weights of a fixed sample of n events as a function of the p parameters θ.

    A subclass computes `log_weights`, `gradient` and `subset`. The other methods tell what it
    knows of its own error; their defaults are those of weights that know nothing of it.

    Attributes
    ----------
    n_folds : int
        Parts of the cross-fit that the weights come from; 1 where there is none.
    is_exact : bool
        Whether the weights are those of a formula, which no generator sample could improve.
    """

    n_folds: int = 1
    is_exact: bool = False

    @abstractmethod
    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w, (n,), at one θ of shape (p,) or at one per event, (n, p)."""

    @abstractmethod
    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ log w, (n, p)."""

    @abstractmethod
    def subset(self, rows: NDArray[np.intp]) -> Self:
        """Return the weights of some of the events."""

    def scale(self, theta: FloatArray) -> FloatArray:
        """Compute the change of each parameter that changes log w by about 1.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            The θ at which the score is taken.

        Returns
        -------
        ndarray of shape (p,)
            Inverse of the score's standard deviation over the events, which are not weighted;
            infinite where log w does not depend on a parameter.
        """
        with np.errstate(divide="ignore"):
            scale: FloatArray = 1 / self.gradient(theta).std(axis=0)
        return scale

    def by_fold(self) -> Sequence[EventWeights]:
        """Return the weights that each part of the cross-fit has learned."""
        return [self]

    def by_member(self) -> Sequence[EventWeights]:
        """Return the weights of each member of an ensemble."""
        return [self]

    def member_log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w of each member of an ensemble, (n_members, n)."""
        return self.log_weights(theta)[None]

    def couplings(self) -> list[Couplings]:
        """Return each member's couplings with their covariance; empty where one's is unknown."""
        return []


def exponentiate(log_weights: FloatArray) -> None:
    """Turn log-weights into weights, in place.

    Parameters
    ----------
    log_weights : ndarray of shape (n,)
        Log-weights, which become weights.

    Raises
    ------
    ValueError
        If weights are not finite; the message says how many, and the largest log-weight.
    """
    n_bad, largest = 0, -np.inf
    for _, part in row_chunks(log_weights):
        largest = np.fmax(largest, np.fmax.reduce(part))
        with np.errstate(over="ignore"):
            np.exp(part, out=part)
        n_bad += int((~np.isfinite(part)).sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} of {len(log_weights)} weights are not finite (largest log-weight "
            f"{largest:g}): theta is too far from the nominal parameters for these events, or X "
            "has extreme ones. Take theta closer to nominal, or work with predict_log_weights."
        )
