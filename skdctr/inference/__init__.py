"""χ²(θ) of estimating equations, and what follows from it: intervals, profiles and contours.

Equations with their covariance, or the result of a fit, come in; intervals, profiles and contours
go out. Nothing that makes equations is imported here: no fitter, no weights and no network.
"""

from skdctr.inference.chi_square import ChiSquare

__all__ = ["ChiSquare"]
