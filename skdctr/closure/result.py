"""The outcome of a closure test: its checks, as text, HTML and table."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skdctr._utils.printable import printable
from skdctr.closure.two_samples import ClassifierTestResult
from skdctr.metrics import Chi2Result

__all__ = ["Check", "ClosureReport", "make_report", "p_value_limit"]


@dataclass(frozen=True, eq=False, repr=False)
class ClosureReport:
    """Outcome of `closure_report`.

    Attributes
    ----------
    passed : bool
        Whether every check passed.
    checks : DataFrame
        One row per check: name, value, expected, p_value (NaN where there is none), passed.
    theta : dict of str to float
        The θ that the nominal events were reweighted to.
    p_value_limit : float
        Limit that each p-value has to reach, the level over the number of p-values.
    classifier : ClassifierTestResult or None
        The classifier test; None if the weights are not finite.
    chi2 : dict of str to Chi2Result
        The histograms of each observable.
    notes : tuple of str
        Remarks that no check fails on; empty where all is well.
    """

    passed: bool
    checks: pd.DataFrame
    theta: dict[str, float]
    p_value_limit: float
    classifier: ClassifierTestResult | None = None
    chi2: dict[str, Chi2Result] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def _title(self) -> str:
        where = ", ".join(f"{name} = {value:g}" for name, value in self.theta.items())
        n_failed = int((~self.checks["passed"]).sum())
        state = "PASSED" if self.passed else f"FAILED {n_failed} of {len(self.checks)} checks"
        return f"Closure at {where}: {state}"

    def _formatted(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "check": self.checks["name"],
                "value": [f"{value:.5g}" for value in self.checks["value"]],
                "expected": self.checks["expected"],
                "p-value": ["" if math.isnan(p) else f"{p:.3g}" for p in self.checks["p_value"]],
                "": np.where(self.checks["passed"], "passed", "FAILED"),
            }
        )

    def _legend(self) -> str:
        return f"A p-value passes from {self.p_value_limit:.2g} on."

    def __str__(self) -> str:
        lines = [self._title(), self._formatted().to_string(index=False), self._legend()]
        return printable("\n".join([*lines, *(f"! {note}" for note in self.notes)]))

    def __repr__(self) -> str:
        failed = self.checks.loc[~self.checks["passed"], "name"].tolist()
        return printable(
            f"ClosureReport(passed={self.passed}, theta={self.theta}, "
            f"n_checks={len(self.checks)}, failed={failed})"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<p><b>{html.escape(self._title())}</b></p>"
            f"{self._formatted().to_html(index=False)}<p>{html.escape(self._legend())}</p>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )


@dataclass(frozen=True)
class Check:
    """One row of a report.

    Attributes
    ----------
    name : str
        What is checked.
    value : float
        The number found.
    expected : str
        The number expected, in words.
    p_value : float
        Probability of the value where the weights are good; NaN where there is none.
    passed : bool or None
        Whether the check passed; None where the p-value decides.
    """

    name: str
    value: float
    expected: str
    p_value: float
    passed: bool | None = None


def p_value_limit(rows: list[Check], level: float) -> float:
    """Share a level among the p-values of checks (Bonferroni).

    Parameters
    ----------
    rows : list of Check
        The checks, of which those that a p-value decides count.
    level : float
        Probability that good weights fail on any p-value.

    Returns
    -------
    float
        The limit of each p-value.
    """
    return level / max(1, sum(row.passed is None for row in rows))


def make_report(
    rows: list[Check], theta: dict[str, float], level: float, **further: Any
) -> ClosureReport:
    """Judge the checks at a level shared by their p-values.

    Parameters
    ----------
    rows : list of Check
        The checks.
    theta : dict of str to float
        The θ that the nominal events were reweighted to.
    level : float
        Probability that good weights fail on any p-value.
    **further
        Other attributes of the report.

    Returns
    -------
    ClosureReport
    """
    limit = p_value_limit(rows, level)
    checks = pd.DataFrame(
        {
            "name": [row.name for row in rows],
            "value": [float(row.value) for row in rows],
            "expected": [row.expected for row in rows],
            "p_value": [row.p_value for row in rows],
            "passed": [row.p_value >= limit if row.passed is None else row.passed for row in rows],
        }
    )
    return ClosureReport(bool(checks["passed"].all()), checks, theta, limit, **further)
