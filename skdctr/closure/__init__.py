"""Does a reweighting close? Tests of reweighted nominal events against events of the target.

`classifier_test` asks whether any classifier can tell two weighted samples apart,
`closure_report` asks all that is known to go wrong with weights and answers pass or fail.
"""

from skdctr.closure._checks import closure_report
from skdctr.closure._classifier_test import ClassifierTestResult, classifier_test
from skdctr.closure._report import ClosureReport

__all__ = ["ClassifierTestResult", "ClosureReport", "classifier_test", "closure_report"]
