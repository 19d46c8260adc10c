"""What pictures of a fit take from the fitter: its χ², and the values that they mark."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.typing import FloatArray
from skdctr.inference.chi_square import ChiSquare
from skdctr.results.fit_result import FitResult

__all__ = ["fitted_chi_square", "marked_fit"]


def fitted_chi_square(fitter: Any) -> ChiSquare:
    """Take the χ² of a fit: its own, or else the parabola of its values and errors.

    Parameters
    ----------
    fitter : SRGNFitter or DCTRFitter
        A fitted one.

    Returns
    -------
    ChiSquare
        The fitter's ``chi_square_``; where it has none, that of its ``result_``.

    Raises
    ------
    NotFittedError
        If the fitter is not fitted.
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
        A fitted one.
    parameters : list of str or None
        The parameters to show; None takes the first ones.
    n_parameters : {1, 2}
        How many parameters the scan shows.
    result : FitResult or None
        The fit to mark; None takes that of `fitter`.

    Returns
    -------
    parameters : list of str of length n_parameters
        The parameters that are shown.
    theta : ndarray of shape (n_parameters,)
        Their fitted values.
    covariance : ndarray of shape (n_parameters, n_parameters)
        The covariance of these.

    Raises
    ------
    NotFittedError
        If the fitter is not fitted.
    ValueError
        If `parameters` are not as many of the fitter's as are shown.
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
