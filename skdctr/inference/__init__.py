"""χ²(θ) of estimating equations, and what follows from it: intervals, profiles and contours.

Equations with their covariance, or a result, come in; intervals, profiles and contours go out.
Knows `results`, not how the equations were made.
"""

from skdctr.inference.chi_square import ChiSquare

__all__ = ["ChiSquare"]
