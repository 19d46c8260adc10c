"""Does a reweighting close? Tests of reweighted nominal events against events of the target.

A reweighter and two samples come in; p-values, and a report that passes or fails, go out. No fitter
is imported here: weights are tested before anything is fitted with them.

`classifier_test` asks whether a classifier can tell two weighted samples apart,
`closure_report` asks for all that is known to go wrong with weights.
"""

from skdctr.closure.report_checks import closure_report
from skdctr.closure.result import ClosureReport
from skdctr.closure.two_samples import ClassifierTestResult, classifier_test

__all__ = ["ClassifierTestResult", "ClosureReport", "classifier_test", "closure_report"]
