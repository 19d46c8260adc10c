"""The result of a fit: numbers, and whether to trust them, as text, HTML and table."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import pandas as pd

from skdctr._utils.arguments import shorten
from skdctr._utils.printable import printable
from skdctr._utils.typing import FloatArray
from skdctr.exceptions import ExtrapolationWarning, ModelMismatchWarning, SupportWarning
from skdctr.results.covariance import Sources
from skdctr.results.messages import UNKNOWN_WEIGHTS, Message

__all__ = ["FitResult", "round_to_error"]

# Warnings of a result that cannot be used, though its search has ended well.
_OBJECTIONS = (ExtrapolationWarning, ModelMismatchWarning, SupportWarning)


def round_to_error(value: float, error: float) -> tuple[str, str]:
    """Round a value and its error to two significant digits of the error, as the PDG would.

    Parameters
    ----------
    value, error : float
        A number and its standard error.

    Returns
    -------
    value, error : str
        Both with the same number of decimals. Where there is no finite positive error it is "?",
        and the value has four digits.
    """
    for name, number in (("value", value), ("error", error)):
        if isinstance(number, np.ndarray) and number.ndim == 0:
            continue
        if not isinstance(number, Real):
            raise TypeError(f"{name} must be a real number, got {shorten(number)}; pass a float.")
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}", "?"
    # The exponent after rounding: 0.0999 is 0.10, not 0.100.
    exponent = int(f"{error:.1e}".partition("e")[2])
    digits = max(0, 1 - exponent)
    return f"{value:.{digits}f}", f"{error:.{digits}f}"


@dataclass(frozen=True, eq=False)
class FitResult:
    """Fitted parameters, their errors by source, and what speaks against them.

    Attributes
    ----------
    theta : ndarray of shape (p,)
        Fitted parameters.
    names : list of str
        Their names.
    covariance : ndarray of shape (p, p)
        Covariance of `theta`, the sum over `sources`; NaN where one of them is not known.
    sources : dict of str to ndarray of shape (p, p)
        Covariance by source. That of learned weights is NaN where these do not know their error.
    auc, auc_error : float
        AUC of the classifier at θ on events that it has not seen, and its standard error: 0.5
        where nothing tells data from reweighted simulation. NaN for fits without a classifier.
    n_evaluations : int
        Classifiers trained, cross-fits counted once; steps of a gradient fit.
    effective_sample_size : float
        Effective number of simulated events at θ.
    n_events : dict of str to int
        Sizes of the samples.
    converged : bool
        Whether the search ended by its own criterion.
    messages : list of str
        Sentences that speak against the result or limit it; empty where all is well. Each is a
        :class:`~skdctr.results.messages.Message`, a string that knows its warning.
    method : str
        Objective and search.
    expected_auc : float
        The AUC at θ that the weights' own error, as far as it is known, gives a perfect classifier
        of generator-level events where θ describes the data; see
        :meth:`DCTRReweighter.expected_auc`.
    """

    theta: FloatArray
    names: list[str]
    covariance: FloatArray
    sources: Sources
    auc: float
    auc_error: float
    n_evaluations: int
    effective_sample_size: float
    n_events: dict[str, int]
    converged: bool
    method: str
    messages: list[Message] = field(default_factory=list)
    expected_auc: float = 0.5

    @property
    def errors(self) -> FloatArray:
        """Standard errors, (p,)."""
        with np.errstate(invalid="ignore"):
            errors: FloatArray = np.sqrt(np.diag(self.covariance))
        return errors

    @property
    def known_covariance(self) -> FloatArray:
        """Covariance of the sources that are known, (p, p), which is too small where one is not.

        It is `covariance` where all sources are known.
        """
        known = [each for each in self.sources.values() if not np.isnan(each).all()]
        return sum(known, np.zeros_like(self.covariance)) if known else self.covariance

    @property
    def correlation(self) -> pd.DataFrame:
        """Correlation matrix, (p, p)."""
        errors = self.errors
        return pd.DataFrame(
            self.covariance / np.outer(errors, errors), index=self.names, columns=self.names
        )

    @property
    def p_value(self) -> float:
        """Probability of an AUC at least this large where θ describes the data; NaN without one.

        Conservative: a real classifier sees less of the weights' own error than the perfect one of
        `expected_auc`, and behind a detector there is less of it to see.
        """
        if not self.auc_error > 0:
            return math.nan
        return 0.5 * math.erfc((self.auc - self.expected_auc) / self.auc_error / math.sqrt(2))

    def expectation(self) -> str:
        """Return the phrase that tells which AUC the weights' own error explains, or ""."""
        return f", up to {self.expected_auc:.4f} expected" if self.expected_auc > 0.5 else ""

    @property
    def valid(self) -> bool:
        """Whether the numbers can be used.

        The search has converged away from all bounds, every parameter has a finite error, the
        model describes the data, no weight at θ is extrapolated, and the simulation has events
        wherever the data have some. `messages` say which does not hold.
        """
        usable = self.converged and bool(np.isfinite(self.errors).all())
        return usable and not self._objections()

    def _objections(self) -> list[str]:
        """Return the messages with which a result is not valid, whatever its numbers."""
        return [
            each
            for each in self.messages
            if getattr(each, "category", None) in _OBJECTIONS or each == UNKNOWN_WEIGHTS
        ]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per parameter: value, error, and the error of each source."""
        table = pd.DataFrame({"value": self.theta, "error": self.errors}, index=self.names)
        for source, covariance in self.sources.items():
            with np.errstate(invalid="ignore"):
                table[f"error_{source}"] = np.sqrt(np.diag(covariance))
        table.index.name = "parameter"
        return table

    def _lines(self) -> list[str]:
        """Return one line for each parameter, and one for the AUC where there is one."""
        lines = []
        with np.errstate(invalid="ignore"):
            known_errors = np.sqrt(np.diag(self.known_covariance))
        for name, value, error, known in zip(
            self.names, self.theta, self.errors, known_errors, strict=True
        ):
            shown, uncertainty = round_to_error(float(value), float(error))
            lines.append(f"{name} = {shown} ± {uncertainty}")
            if math.isfinite(known) and not math.isfinite(error):
                lines[-1] += f" (± {known:.2g} from the known sources alone)"
        if math.isfinite(self.auc):
            has_p_value = math.isfinite(self.p_value)
            goodness = f" (p = {self.p_value:.2g}{self.expectation()})" if has_p_value else ""
            lines.append(f"AUC = {self.auc:.4f} ± {self.auc_error:.4f}{goodness}")
        return lines

    def __str__(self) -> str:
        state = "valid" if self.valid else "NOT VALID"
        sizes = ", ".join(f"{count} {sample}" for sample, count in self.n_events.items())
        objections = self._objections()
        lines = [f"FitResult ({self.method}): {state}"]
        lines += [f"  ! {message}" for message in objections]
        lines += [f"  {line}" for line in self._lines()]
        if len(self.sources) > 1:
            shares = []
            for name, row in self.to_frame().iterrows():
                errors = {source: row[f"error_{source}"] for source in self.sources}
                parts = ", ".join(
                    f"{source} {f'{error:.2g}' if math.isfinite(error) else '?'}"
                    for source, error in errors.items()
                )
                shares.append(f"  error of {name}: {parts}")
            lines += shares
        lines.append(
            f"  {self.n_evaluations} evaluations; {sizes}; effective sample size at θ "
            f"{self.effective_sample_size:.0f}"
        )
        lines += [f"  ! {message}" for message in self.messages if message not in objections]
        return printable("\n".join(lines))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        state = "valid" if self.valid else "<b>not valid</b>"
        objections = self._objections()
        ordered = [*objections, *(each for each in self.messages if each not in objections)]
        notes = "".join(f"<li>{html.escape(message)}</li>" for message in ordered)
        auc = f"<p>{self._lines()[-1]}</p>" if math.isfinite(self.auc) else ""
        return (
            f"<p>{html.escape(self.method)}: {state}</p>"
            f"{self.to_frame().to_html(float_format='{:.5g}'.format)}{auc}"
            + (f"<ul>{notes}</ul>" if notes else "")
        )
