"""Do the errors of a fit cover? Toys with known truth, in parallel, resumable, and what they say.

Functions that draw a sample and fit it come in; bias, spread, pulls and coverage go out. No fitter
is imported here: a fit is whatever has a θ and a covariance.
"""

from skdctr.coverage.result import CoverageResult
from skdctr.coverage.toy_file import read_toys
from skdctr.coverage.toys import run_toys

__all__ = ["CoverageResult", "read_toys", "run_toys"]
