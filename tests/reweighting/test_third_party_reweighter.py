"""A reweighter that somebody else writes, from the documented protocol, over scikit-learn."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression

from skdctr import DCTRFitter, SRGNFitter
from skdctr.closure import closure_report
from skdctr.datasets import make_gaussian
from skdctr.exceptions import ExtrapolationWarning
from skdctr.results.messages import UNKNOWN_WEIGHTS
from skdctr.reweighting import BaseReweighter

N = 20_000


class LogisticReweighter(BaseReweighter):
    def __init__(self, C=1e6):
        self.C = C

    def fit(self, X, y, sample_weight=None):
        X, theta, names, weight = self._check_generator_sample(X, y, sample_weight)
        varied = theta[:, 0] != 0
        drawn = np.random.default_rng(0).choice(theta[varied], len(theta))
        terms = self._terms(X, np.where(varied[:, None], theta, drawn))
        self.classifier_ = LogisticRegression(C=self.C, fit_intercept=False)
        self.classifier_.fit(terms, varied, weight)
        self._set_parameters({names[0]: 0.0}, {names[0]: (theta.min(), theta.max())})
        return self

    def _terms(self, X, theta):
        theta = np.broadcast_to(theta, (len(X), 1))
        return np.hstack([X * theta, theta**2])

    def _log_weights(self, X, theta):
        return self.classifier_.decision_function(self._terms(X, theta))


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N, mu=0.5, n_sim=N, n_data=N, random_state=3)


@pytest.fixture(scope="module")
def fitted(toy):
    return LogisticReweighter().fit(toy.gen, toy.theta)


def test_public_methods_work_without_further_code(toy, fitted):
    weights = fitted.predict_weights(toy.sim_gen, theta=0.5)
    # The mean of x is known to 1/√N, and the fitted slope, 1, to about as much.
    assert abs(np.average(toy.sim_gen[:, 0], weights=weights) - 0.5) < 5 / np.sqrt(N)
    gradient = fitted.log_weight_gradient(toy.sim_gen[:10], {"theta": 0.5})
    slope, curvature = fitted.classifier_.coef_[0]
    expected = slope * toy.sim_gen[:10] + curvature * 2 * 0.5
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)
    assert fitted.expected_auc(toy.sim_gen, 0.5) == 0.5
    with pytest.warns(ExtrapolationWarning, match="theta=3"):
        fitted.predict_log_weights(toy.sim_gen[:10], 3.0)
    with pytest.raises(ValueError, match="2 features, but LogisticReweighter is expecting 1"):
        fitted.predict_log_weights(np.zeros((3, 2)), 0.5)


@pytest.mark.parametrize(
    ("objective", "generator"),
    [("auc", False), ("optimal_observable", False), ("optimal_observable", True)],
)
def test_fits_behind_a_detector(toy, fitted, objective, generator):
    gen = {"gen": toy.gen, "theta": toy.theta} if generator else {}
    reweighter = LogisticReweighter() if generator else fitted
    fitter = SRGNFitter(reweighter, objective=objective, max_epochs=5, random_state=1)
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data, **gen)
    # The weights do not know their error, which is that of the generator sample, about 1/√N.
    error = np.sqrt(fitter.result_.known_covariance[0, 0] + 1 / N)
    assert abs(fitter.theta_[0] - 0.5) < 4 * error
    # The generator events correct the weights, and their error is in the covariance then.
    assert fitter.result_.valid is generator
    assert (UNKNOWN_WEIGHTS in fitter.result_.messages) is not generator
    assert np.isfinite(fitter.covariance_).all() == generator
    if generator:
        assert np.isfinite(fitter.confidence_interval()).all(axis=None)
    else:
        with pytest.raises(ValueError, match="the error of the learned weights is not known"):
            fitter.confidence_interval()


def test_fits_on_one_level_and_passes_closure(toy, fitted):
    fitter = DCTRFitter(clone(fitted)).fit(
        toy.sim_gen, data=toy.data_gen, gen=toy.gen, theta=toy.theta
    )
    error = np.sqrt(fitter.result_.known_covariance[0, 0] + 1 / N)
    assert abs(fitter.theta_[0] - 0.5) < 4 * error
    assert np.isnan(fitter.covariance_).all()
    report = closure_report(fitted, toy.sim_gen, toy.data_gen, 0.5, random_state=0)
    assert report.passed, str(report)


def test_what_has_neither_method_says_so(toy):
    class Empty(BaseReweighter):
        def fit(self, X, y=None, sample_weight=None):
            self._set_parameters({"mu": 0.0})
            return self

    with pytest.raises(NotImplementedError, match=r"_log_weights\(X, theta\)"):
        Empty().fit(toy.sim_gen).predict_weights(toy.sim_gen[:5], 0.1)


def test_what_is_no_reweighter_is_refused(toy):
    class Predicts(BaseEstimator):
        def predict_log_weights(self, X, theta):
            return np.zeros(len(X))

    with pytest.raises(TypeError, match="Predicts is not a reweighter: expected DCTRReweighter"):
        SRGNFitter(Predicts()).fit(toy.sim_gen, toy.sim_reco, toy.data)
