"""From estimating equations to a covariance; parameters that they do not fix are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.exceptions import IdentifiabilityWarning
from skdctr.results.messages import Message

__all__ = ["Sources", "sandwich"]

# Curvature per squared range that is none, as rounding decides below it.
_FLAT = 1e-9
# Share of a parameter in the undetermined directions from which on it counts as undetermined.
_LOOSE = 0.01


class Sources(dict[str, FloatArray]):
    """Covariance matrices, (k, k) each, by the source of the error.

    Sources are "data", "simulation", "generator", "training", "search" and "constraints".
    """

    def total(self, size: int) -> FloatArray:
        """Return the sum over all sources, (k, k) with k the given size; zeros without a source."""
        return sum(self.values(), np.zeros((size, size)))

    def propagated(self, matrix: FloatArray) -> Sources:
        """Return the covariance of ``matrix @ x`` by source, where `self` is that of x."""
        return Sources({source: matrix @ each @ matrix.T for source, each in self.items()})


def sandwich(
    curvature: FloatArray,
    scatter: Mapping[str, FloatArray],
    width: FloatArray,
    names: Sequence[str],
) -> tuple[Sources, list[Message]]:
    """Compute H⁻¹ V H⁻¹ by source, in the directions that the equations determine.

    A direction is not determined where its error would exceed the range of the parameters.

    Parameters
    ----------
    curvature : ndarray of shape (p, p)
        H, the symmetric derivative of the p equations by θ in units of `width`.
    scatter : mapping of str to ndarray of shape (p, p)
        V, the covariance of the equations by source, in the same units.
    width : ndarray of shape (p,)
        Range of each parameter.
    names : sequence of str
        Names of the parameters.

    Returns
    -------
    sources : Sources
        Covariance of θ; NaN in rows and columns of parameters that are not identified.
    messages : list of Message
        One message with the names of the parameters that are not identified; empty where all are.
    """
    p = len(width)
    values, vectors = np.linalg.eigh(curvature)
    total = Sources(scatter).total(p)
    spread = np.sqrt(np.einsum("ik,ij,jk->k", vectors, total, vectors).clip(min=0))
    fixed = values > np.maximum(spread, _FLAT)
    inverse = vectors[:, fixed] / values[fixed] @ vectors[:, fixed].T
    loose = (vectors[:, ~fixed] ** 2).sum(axis=1) > _LOOSE
    sources = Sources()
    for source, covariance in scatter.items():
        propagated = inverse @ covariance @ inverse
        propagated[loose, :] = np.nan
        propagated[:, loose] = np.nan
        sources[source] = propagated * np.outer(width, width)
    loose_names = [name for name, is_loose in zip(names, loose, strict=True) if is_loose]
    if not loose_names:
        return sources, []
    return sources, [Message(f"not identified: {loose_names}", IdentifiabilityWarning)]
