"""scikit-learn's own checks of every estimator, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter

pytestmark = pytest.mark.filterwarnings(
    # The checks know nothing of `data`, so that the simulation is fitted to itself,
    "ignore::skdctr.exceptions.ClosureFitWarning",
    # on samples too small for a fit to converge, for all parameters to matter
    "ignore::skdctr.exceptions.ConvergenceWarning",
    "ignore::skdctr.exceptions.IdentifiabilityWarning",
    # or for weights to be moderate,
    "ignore::skdctr.exceptions.LowEffectiveSampleSizeWarning",
    # and take any number for a parameter of the generator, none of which is nominal.
    "ignore::skdctr.exceptions.ExtrapolationWarning",
    "ignore::skdctr.exceptions.NominalWarning",
)


@parametrize_with_checks([DCTRReweighter(), AnalyticReweighter(), SRGNFitter(), DCTRFitter()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
