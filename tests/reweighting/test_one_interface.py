"""What every reweighter answers, and what a fitter says to what is none."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.closure import closure_report

N = 2000
CHEAP = {"max_epochs": 3, "device": "cpu", "random_state": 0, "refit": False}


def log_weight(X, theta):
    return X[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2


def exact(X):
    return AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds={"mu": (-2, 2)}).fit(X)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    mu = np.repeat([0.0, 1.0], N) * rng.uniform(-1.5, 1.5, 2 * N)
    return rng.normal(mu)[:, None], mu


@pytest.fixture(scope="module")
def folded(sample):
    return DCTRReweighter(0.0, n_folds=2, **CHEAP).fit(*sample)


def test_a_formula_is_scored_by_its_cross_entropy(sample):
    """Against the sum written out, and no learned or shifted weight scores higher."""
    X, mu = sample
    reweighter = exact(X)
    found = reweighter.score(X, mu)
    varied = mu != 0
    log_w = log_weight(X, mu[:, None])
    # Nominal events take θ of the varied ones; over many of them it does not matter which.
    paired = np.random.default_rng(5).choice(mu[varied], (50, N))
    nominal = np.mean([np.logaddexp(0, log_weight(X[~varied], m[:, None])) for m in paired])
    expected = -(np.logaddexp(0, -log_w[varied]).mean() + nominal) / 2
    # One draw of θ against the mean over many: the scatter of the loss over θ, about 0.3.
    assert found == pytest.approx(expected, abs=4 * 0.3 / np.sqrt(2 * N))
    off = AnalyticReweighter(lambda X, theta: log_weight(X, 1.5 * theta), {"mu": 0.0}).fit(X)
    assert off.score(X, mu) < found
    assert reweighter.score(X, mu, sample_weight=np.full(2 * N, 3.0)) == pytest.approx(found)
    assert DCTRReweighter(0.0, **CHEAP).fit(X, mu).score(X, mu) < found + 0.01


def test_a_formula_is_scored_on_both_classes_only(sample):
    X, mu = sample
    for rows, which in ((mu == 0, "nominal"), (mu != 0, "varied")):
        with pytest.raises(ValueError, match=f"All {N} events to be scored are {which}"):
            exact(X).score(X[rows], mu[rows])
    with pytest.raises(ValueError, match="each class needs a positive sum"):
        exact(X).score(X, mu, sample_weight=np.where(mu == 0, 2.0, -1.0))


def test_the_tilt_has_no_score():
    tilt = AnalyticReweighter()
    assert not hasattr(tilt, "score")
    assert hasattr(AnalyticReweighter(log_weight), "score")


def test_a_formula_has_no_spread(sample):
    X, _ = sample
    np.testing.assert_array_equal(exact(X).predict_log_weight_spread(X, 0.5), np.zeros(2 * N))
    with pytest.raises(ValueError, match="theta"):
        exact(X).predict_log_weight_spread(X, [0.5, 0.5])
    assert exact(X).expected_auc(X, 0.5) == 0.5


def test_out_of_fold_weights_are_by_the_networks_of_the_own_part(sample, folded):
    X, mu = sample
    theta = np.where(mu == 0, 0.7, mu)[:, None]
    for at, rows in ((0.7, np.array([0.7])), (theta, theta)):
        found = folded.predict_log_weights(X, at, out_of_fold=True)
        by_part = np.stack([part.log_weights(rows) for part in folded.bind(X).by_fold()])
        expected = by_part[folded.folds_, np.arange(len(X))]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(found, folded.predict_log_weights(X, at))
    out = np.empty(len(X), dtype=np.float32)
    folded.predict_weights(X, 0.7, out=out, out_of_fold=True)
    weights = folded.predict_weights(X, 0.7, out_of_fold=True)
    np.testing.assert_allclose(out, weights, rtol=1e-6)
    np.testing.assert_array_equal(
        exact(X).predict_weights(X, 0.7, out_of_fold=True), exact(X).predict_weights(X, 0.7)
    )


def test_out_of_fold_weights_are_of_a_cross_fit_and_its_events_only(sample, folded):
    X, mu = sample
    whole = DCTRReweighter(0.0, **CHEAP).fit(X, mu)
    for reweighter, events in ((whole, X), (folded, X[:-1]), (folded, X + 1)):
        with pytest.raises(ValueError, match="out_of_fold=True asks for the events of the fit"):
            reweighter.predict_weights(events, 0.7, out_of_fold=True)
    with pytest.raises(ValueError, match="order"):
        folded.predict_weights(X[::-1], 0.7, out_of_fold=True)


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SupportWarning")  # after three epochs
def test_out_of_fold_weights_of_sets(sample):
    _, mu = sample
    sets = np.random.default_rng(1).normal(mu[:, None, None], size=(2 * N, 3, 2))
    made = DCTRReweighter(0.0, n_folds=2, hidden_layer_sizes=(8,), **CHEAP).fit(sets, mu)
    found = made.predict_log_weights(sets, 0.5, out_of_fold=True)
    assert np.isfinite(found).all()
    assert not np.array_equal(found, made.predict_log_weights(sets, 0.5))


OTHERS = {
    "pipeline": (make_pipeline(StandardScaler(), DCTRReweighter()), r"last step of the pipeline"),
    "search": (GridSearchCV(DCTRReweighter(), {"lr": [0.1]}), "give its best_estimator_"),
    "classifier": (LogisticRegression(), "LogisticRegression is not a reweighter"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_reweighter_is_refused_with_the_way_out(other, sample):
    X, _ = sample
    given, match = OTHERS[other]
    calls = [
        lambda: SRGNFitter(given).fit(X, None, X),
        lambda: DCTRFitter(given).fit(X, None, X),
        lambda: closure_report(given, X, X, 0.5),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=match):
            call()


def test_intervals_have_one_order_of_arguments_and_one_form(sample):
    X, _ = sample
    data = np.random.default_rng(3).normal(0.4, 1, (N, 1))
    fitter = DCTRFitter(exact(X)).fit(X, None, data)
    assert fitter.theta_names_ == ["mu"]
    fitted = SRGNFitter(exact(X), search="scan", n_points=5, max_epochs=3, device="cpu")
    fitted.set_params(random_state=0).fit(X, None, data)
    low, high = fitted.confidence_interval("mu", 0.9)
    assert fitted.chi_square_.confidence_interval("mu", 0.9) == (low, high)
    for table in (
        fitted.confidence_interval(level=0.9),
        fitted.chi_square_.confidence_interval(level=0.9),
    ):
        assert list(table.columns) == ["value", "low", "high"]
        np.testing.assert_allclose(table.loc["mu"], [fitted.theta_[0], low, high], rtol=1e-6)
    with pytest.raises(ValueError, match=r"name=0.9: .* level=0.95"):
        fitted.confidence_interval(0.9)
