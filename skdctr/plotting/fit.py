"""What pictures of a fit take from the fitter: its χ², and the values that they mark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.arguments import check_instance, check_names, check_text, shorten
from skdctr._utils.typing import FloatArray
from skdctr.inference.chi_square import ChiSquare
from skdctr.results.fit_result import FitResult

__all__ = [
    "SRGN",
    "check_chi_square",
    "check_labels",
    "check_reweighter",
    "check_texts",
    "chosen_parameters",
    "fitted_chi_square",
    "marked_fit",
]

# What pictures of a scan need of a fitted SRGNFitter.
SRGN = ("scan_", "result_", "theta_names_", "reweighter_")


def check_reweighter(reweighter: Any) -> None:
    """Refuse what gives no weights.

    Raises
    ------
    TypeError
        If it is no reweighter.
    """
    if isinstance(reweighter, type) or not hasattr(reweighter, "predict_weights"):
        raise TypeError(
            f"reweighter={shorten(reweighter)}; expected a fitted reweighter, such as a "
            "DCTRReweighter."
        )


def check_chi_square(chi_square: Any) -> None:
    """Refuse what is no χ².

    Raises
    ------
    TypeError
        If it is something else.
    """
    expected = "a ChiSquare, such as fitter.chi_square_"
    check_instance("chi_square", chi_square, ChiSquare, expected)


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
    TypeError
        If it is no fitter.
    """
    check_fitter(fitter, ("result_",), "a fitted SRGNFitter or DCTRFitter")
    own = getattr(fitter, "chi_square_", None)
    return ChiSquare.from_result(fitter.result_) if own is None else own


def check_fitter(fitter: Any, attributes: Sequence[str], expected: str) -> None:
    """Refuse what is no fitter, is not fitted, or lacks what a picture shows.

    Parameters
    ----------
    fitter : object
        What the user gave.
    attributes : sequence of str
        What the picture needs of it.
    expected : str
        What the message calls that.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is no fitter, or has none of that.
    """
    if isinstance(fitter, type) or not hasattr(fitter, "fit"):
        what = f"the class {fitter.__name__}" if isinstance(fitter, type) else type(fitter).__name__
        raise TypeError(f"fitter is of type {what}, expected {expected}.")
    check_is_fitted(fitter)
    missing = [name for name in attributes if not hasattr(fitter, name)]
    if missing:
        raise TypeError(
            f"fitter, a {type(fitter).__name__}, has no {missing}; expected {expected}."
        )


def check_texts(**texts: Any) -> None:
    """Check labels by the names of their arguments; each is a string or None."""
    for name, text in texts.items():
        check_text(name, text)


def check_labels(labels: Any, shown: Sequence[str]) -> None:
    """Refuse labels that are not one text for each parameter that is shown.

    Raises
    ------
    TypeError, ValueError
        If they are no texts, or not as many.
    """
    if labels is None:
        return
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise TypeError(f"labels={shorten(labels)}; expected a list of strings, or None.")
    texts = list(labels)
    if len(texts) != len(shown) or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            f"labels={shorten(texts)}: {len(texts)} labels for the {len(shown)} parameters "
            f"{list(shown)}; expected one string for each."
        )


def chosen_parameters(argument: str, given: Any, known: Sequence[str], n: int) -> list[str]:
    """Read which parameters a picture shows; None stands for the first ones.

    Parameters
    ----------
    argument : str
        What the caller calls them.
    given : sequence of str, or None
        What the user gave.
    known : sequence of str
        Names of the parameters of the fit.
    n : {1, 2}
        How many are shown.

    Raises
    ------
    TypeError, ValueError
        If they are not so many different ones of the fit's.
    """
    chosen = list(known[:n]) if given is None else check_names(argument, given, known)
    if len(chosen) != n:
        number = ("one", "two")[n - 1]
        raise ValueError(f"{argument}={shorten(chosen)}: expected {number} of {list(known)}.")
    return chosen


def marked_fit(
    fitter: Any,
    attributes: Sequence[str],
    argument: str,
    parameters: Any,
    n_parameters: int,
    result: FitResult | None,
) -> tuple[list[str], FloatArray, FloatArray]:
    """Find the fitted values of the parameters that a scan shows.

    Parameters
    ----------
    fitter : SRGNFitter
        A fitted one.
    attributes : sequence of str
        What the picture needs of it.
    argument : str
        What the caller calls the parameters.
    parameters : sequence of str or None
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
    TypeError, ValueError
        If `parameters` are not as many of the fitter's as are shown, or `result` is no FitResult
        of them.
    """
    check_fitter(fitter, attributes, "a fitted SRGNFitter")
    chosen = chosen_parameters(argument, parameters, list(fitter.theta_names_), n_parameters)
    result = fitter.result_ if result is None else result
    check_instance("result", result, FitResult, "a FitResult, such as fitter.result_, or None")
    check_names("result.names", chosen, list(result.names))
    index = [list(result.names).index(name) for name in chosen]
    return chosen, result.theta[index], result.covariance[np.ix_(index, index)]
