"""Results of fits: values, errors by source, and what speaks against them.

Arrays and messages come in; a result that prints itself as text, HTML and table goes out. Nothing
of the package is imported here but `_utils` and `exceptions`.
"""

from skdctr.results.fit_result import FitResult, round_to_error

__all__ = ["FitResult", "round_to_error"]
