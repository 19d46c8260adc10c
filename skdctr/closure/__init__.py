"""Does a reweighting close? Tests of reweighted nominal events against events of the target.

`classifier_test` asks whether any classifier can tell two weighted samples apart,
`closure_report` asks all that is known to go wrong with weights and answers pass or fail.
"""

from skdctr.closure.report import ClosureReport
from skdctr.closure.report_checks import closure_report
from skdctr.closure.two_samples import ClassifierTestResult, classifier_test

__all__ = ["ClassifierTestResult", "ClosureReport", "classifier_test", "closure_report"]
