"""scikit-learn's own checks of every estimator, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.networks import MLP
from skdctr.preprocessing import FeatureCoder

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

# Nearly half of the time that all checks take: ten features have 910 couplings to refit. The
# default tier has this check without the refit, which sees floats only.
HEAVY = ("DCTRReweighter()", "check_dtype_object")
WITHOUT_NETWORKS = ("AnalyticReweighter()", "FeatureCoder()")
# Settings beside the defaults, of networks that train for an epoch: the checks are of interfaces.
SHORT = {"max_epochs": 1}
NEIGHBOURS = [
    DCTRReweighter(n_folds=2, **SHORT),
    DCTRReweighter(module__rank=1, **SHORT),
    DCTRReweighter(batch_size=7, refit=False, **SHORT),
    DCTRReweighter(batch_size=100_000, refit=False, **SHORT),
    DCTRReweighter(n_estimators=2, refit=False, **SHORT),
    DCTRReweighter(module=MLP, optimizer="SGD", **SHORT),
    SRGNFitter(objective="optimal_observable", **SHORT),
    SRGNFitter(objective="loss", max_evaluations=4, **SHORT),
    SRGNFitter(search="powell", max_evaluations=4, **SHORT),
    SRGNFitter(batch_size=7, max_evaluations=4, **SHORT),
    SRGNFitter(n_runs=2, n_folds=3, max_evaluations=4, **SHORT),
    DCTRFitter(solver="adam", max_iter=5),
]


def in_tiers(estimators):
    """scikit-learn's parametrization, in tiers: the fast one has what is without networks."""
    checks = parametrize_with_checks(estimators)
    names, pairs = checks.args
    cases = []
    for estimator, check in pairs:
        case = (repr(estimator), check.func.__name__)
        if case[0] == "DCTRReweighter(refit=False)" and case[1] != HEAVY[1]:
            continue
        marks = [] if case[0] in WITHOUT_NETWORKS else [pytest.mark.slow]
        marks += [pytest.mark.long] if case == HEAVY else []
        cases.append(pytest.param(estimator, check, marks=marks))
    return pytest.mark.parametrize(names, cases, **checks.kwargs)


@pytest.fixture(autouse=True)
def _array_api(monkeypatch):
    """Without it scikit-learn skips what it checks with `array_api_dispatch`, on numpy arrays."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@in_tiers(
    [
        DCTRReweighter(),
        DCTRReweighter(refit=False),
        AnalyticReweighter(),
        SRGNFitter(),
        DCTRFitter(),
        FeatureCoder(),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.long
@parametrize_with_checks(NEIGHBOURS)
def test_scikit_learn_checks_of_other_settings(estimator, check):
    check(estimator)
