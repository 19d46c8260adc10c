"""The fit that a picture shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.typing import FloatArray
from skdctr.inference.chi_square import ChiSquare
from skdctr.results.fit_result import FitResult

__all__ = ["chi_square_of", "marked_fit"]


def chi_square_of(fitter: Any) -> ChiSquare:
    """Take the χ² of a fit: its own, or else the parabola of its values and errors.

    Parameters
    ----------
    fitter : SRGNFitter or DCTRFitter
        Fitted.
    """
    check_is_fitted(fitter)
    own = getattr(fitter, "chi_square_", None)
    return ChiSquare.from_result(fitter.result_) if own is None else own


def marked_fit(
    fitter: Any, parameters: list[str] | None, n_parameters: int, result: FitResult | None
) -> tuple[list[str], FloatArray, FloatArray]:
    """Find the fitted values of the parameters that a scan shows.

    Parameters
    ----------
    fitter : SRGNFitter
        Fitted.
    parameters : list of str or None
        Which to show; None takes the first ones.
    n_parameters : {1, 2}
        How many are shown.
    result : FitResult or None
        The fit to mark; None takes that of `fitter`.

    Returns
    -------
    parameters : list of str of length n_parameters
    theta : ndarray of shape (n_parameters,)
    covariance : ndarray of shape (n_parameters, n_parameters)
    """
    check_is_fitted(fitter)
    names = list(fitter.theta_names_)
    chosen = names[:n_parameters] if parameters is None else parameters
    if len(chosen) != n_parameters or not set(chosen) <= set(names):
        number = ("one", "two")[n_parameters - 1]
        raise ValueError(f"parameters={chosen}: expected {number} of {names}.")
    result = fitter.result_ if result is None else result
    index = [list(result.names).index(name) for name in chosen]
    return chosen, result.theta[index], result.covariance[np.ix_(index, index)]
