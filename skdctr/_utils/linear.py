"""Linear algebra of covariance matrices, whose entries have units."""

from __future__ import annotations

import numpy as np

from skdctr._utils.typing import FloatArray

__all__ = ["pseudo_inverse", "whitening"]


def _correlation(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Divide by the standard deviations, (k,); 1 stands for those that are zero."""
    deviation = np.sqrt(np.diag(covariance).clip(min=0.0))
    deviation = np.where(deviation > 0, deviation, 1.0)
    return covariance / np.outer(deviation, deviation), deviation


def pseudo_inverse(covariance: FloatArray) -> FloatArray:
    """Invert a symmetric positive matrix, (k, k), as far as it has a rank.

    What counts as zero is judged among correlations, so that it does not depend on units.
    """
    correlation, deviation = _correlation(covariance)
    inverse = np.asarray(np.linalg.pinv(correlation, hermitian=True), dtype=np.float64)
    return inverse / np.outer(deviation, deviation)


def whitening(covariance: FloatArray) -> FloatArray:
    """Return the matrix W, (k, k), with WᵀW the pseudo-inverse of a covariance."""
    correlation, deviation = _correlation(covariance)
    values, vectors = np.linalg.eigh(np.linalg.pinv(correlation, hermitian=True))
    whiten: FloatArray = (vectors * np.sqrt(values.clip(min=0))).T / deviation
    return whiten
