"""AnalyticReweighter: weights of a formula, and of the exponential tilt.

Statistical tolerances are four standard errors, at fixed seeds.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skdctr import AnalyticReweighter
from skdctr.datasets import gaussian_2d_log_weight, gaussian_log_weight
from skdctr.exceptions import ExtrapolationWarning
from skdctr.reweighting.analytic import ExponentialTilt

N = 20_000


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(size=(N, 1))


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(2)
    return np.column_stack([rng.normal(3, 2, N), rng.exponential(0.5, N)])


# --- a formula --------------------------------------------------------------------------------


def test_weights_are_those_of_the_formula(x):
    exact = AnalyticReweighter(gaussian_log_weight).fit(x)
    for theta in (0.5, [0.5], np.array([0.5]), {"theta": 0.5}, pd.Series({"theta": 0.5})):
        np.testing.assert_array_equal(
            exact.predict_log_weights(x, theta), gaussian_log_weight(x, [0.5])
        )
    weights = exact.predict_weights(x, 0.5)
    np.testing.assert_allclose(weights, np.exp(0.5 * x[:, 0] - 0.125))
    # The mean of w is 1, and the variance of w is e^{θ²} − 1.
    assert abs(weights.mean() - 1) < 4 * np.sqrt(np.expm1(0.25) / N)
    assert exact.predict_weights(x, 0.5, normalize=True).mean() == pytest.approx(1)


def test_one_theta_per_event(x):
    exact = AnalyticReweighter(gaussian_log_weight).fit(x)
    theta = np.linspace(-1, 1, N)[:, None]
    rows = exact.predict_log_weights(x, theta)
    for k in (0, 77, N - 1):
        assert rows[k] == exact.predict_log_weights(x[k : k + 1], theta[k])[0]


def test_gradient(x):
    exact = AnalyticReweighter(gaussian_2d_log_weight, {"mu": 0.0, "sigma": 1.0}).fit(x)
    mu, sigma = 0.3, 0.8
    z = (x[:, 0] - mu) / sigma
    expected = np.column_stack([z / sigma, (z**2 - 1) / sigma])
    # Central differences with steps of 1e-5: truncation and cancellation both below 1e-8.
    np.testing.assert_allclose(
        exact.log_weight_gradient(x, [mu, sigma]), expected, rtol=1e-6, atol=1e-7
    )
    per_event = exact.log_weight_gradient(x, np.tile([mu, sigma], (N, 1)))
    np.testing.assert_allclose(per_event, expected, rtol=1e-6, atol=1e-7)


def test_names_come_from_the_dict(x):
    exact = AnalyticReweighter(
        gaussian_2d_log_weight, {"mu": 0.0, "sigma": 1.0}, theta_bounds={"sigma": (0.2, 2)}
    ).fit(x)
    assert exact.theta_names_ == ["mu", "sigma"]
    np.testing.assert_array_equal(exact.theta_nominal_, [0, 1])
    np.testing.assert_array_equal(exact.theta_bounds_, [[-np.inf, np.inf], [0.2, 2]])
    np.testing.assert_array_equal(
        exact.predict_weights(x, {"sigma": 0.8, "mu": 0.3}), exact.predict_weights(x, [0.3, 0.8])
    )
    with pytest.raises(ValueError, match="'sigm'; did you mean 'sigma'"):
        exact.predict_weights(x, {"sigm": 0.8, "mu": 0.3})
    with pytest.raises(ValueError, match="lacks the parameters"):
        exact.predict_weights(x, {"mu": 0.3})
    with pytest.raises(ValueError, match="theta is missing"):
        exact.predict_weights(x)
    unnamed = AnalyticReweighter(gaussian_2d_log_weight, [0.0, 1.0]).fit(x)
    assert unnamed.theta_names_ == ["theta_0", "theta_1"]


def test_outside_the_range_warns(x):
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-1, 1)]).fit(x)
    with pytest.warns(ExtrapolationWarning, match=r"mu=1.5 is outside \[-1, 1\]"):
        exact.predict_weights(x, 1.5)


@pytest.mark.parametrize(
    ("log_weight", "message"),
    [
        (lambda x, theta: x * theta, r"shape \(20000, 1\) for 20000 events"),
        (lambda x, theta: 0.0, r"shape \(\) for 20000 events"),
        (lambda x, theta: np.where(x[:, 0] > 1, np.nan, 0.0), "returned NaN or \\+inf"),
        (lambda x, theta: np.where(x[:, 0] > 1, np.inf, 0.0), "returned NaN or \\+inf"),
    ],
)
def test_bad_formulas(x, log_weight, message):
    exact = AnalyticReweighter(log_weight).fit(x)
    with pytest.raises(ValueError, match=message):
        exact.predict_log_weights(x, 0.5)


def test_vanishing_density_is_allowed(x):
    exact = AnalyticReweighter(lambda x, theta: np.where(x[:, 0] > theta[0], -np.inf, 0.0)).fit(x)
    np.testing.assert_array_equal(exact.predict_weights(x, 0.5), x[:, 0] <= 0.5)


def test_overflow_is_said(x):
    exact = AnalyticReweighter(lambda x, theta: np.full(len(x), 1000.0)).fit(x)
    with pytest.raises(ValueError, match="weights are not finite"):
        exact.predict_weights(x, 0.5)


def test_not_callable(x):
    with pytest.raises(TypeError, match="is not callable"):
        AnalyticReweighter("gaussian").fit(x)


@pytest.mark.parametrize(
    ("nominal", "message"),
    [
        (np.nan, "theta_nominal contains NaN or infinity"),
        ({"mu": np.inf}, "theta_nominal contains NaN or infinity"),
        ([0.0, -np.inf], "theta_nominal contains NaN or infinity"),
        (None, "theta_nominal is missing"),
        ("0.5", "theta_nominal='0.5' is not numeric"),
        (object, "is not numeric"),
        ({"mu": None}, "theta_nominal contains NaN"),
        ({"mu": [1.0, 2.0]}, r"theta_nominal has shape \(1, 2\), expected \(1,\)"),
        ([[0.0, 1.0]], r"theta_nominal has shape \(1, 2\), expected \(2,\)"),
        ([], r"theta_nominal has shape \(0,\)"),
        ({}, "expected one number per parameter"),
        ({0: 1.0}, "names as strings"),
    ],
)
def test_bad_nominal_parameters(x, nominal, message):
    with pytest.raises(ValueError, match=message):
        AnalyticReweighter(gaussian_log_weight, nominal).fit(x)


def test_not_fitted(x):
    with pytest.raises(NotFittedError):
        AnalyticReweighter(gaussian_log_weight).predict_weights(x, 0.5)


def test_failed_fit_leaves_it_as_it_was(x):
    exact = AnalyticReweighter(gaussian_log_weight).fit(x)
    state = dict(vars(exact))
    with pytest.raises(ValueError, match="NaN"):
        exact.fit(np.full((5, 2), np.nan))
    assert vars(exact) == state


def test_clone_and_pickle(x):
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}).fit(x)
    loaded = pickle.loads(pickle.dumps(exact))
    np.testing.assert_array_equal(loaded.predict_weights(x, 0.5), exact.predict_weights(x, 0.5))
    assert clone(exact).theta_nominal == {"mu": 0.0}
    assert not hasattr(clone(exact), "theta_names_")


# --- the exponential tilt ---------------------------------------------------------------------


def test_tilt_is_normalised_on_its_sample(features):
    tilt = AnalyticReweighter().fit(features)
    assert tilt.theta_names_ == ["theta_0", "theta_1"]
    np.testing.assert_array_equal(tilt.theta_nominal_, [0, 0])
    np.testing.assert_array_equal(tilt.theta_bounds_, [[-3, 3], [-3, 3]])
    np.testing.assert_array_equal(tilt.predict_log_weights(features, [0, 0]), np.zeros(N))
    for theta in ([1.0, 0.0], [-0.5, 0.3], [2.0, -2.0]):
        assert tilt.predict_weights(features, theta).mean() == pytest.approx(1, rel=1e-12)


def test_tilt_of_weighted_and_signed_events(features):
    weight = np.where(np.arange(N) % 7 == 0, -0.5, 1.5)
    tilt = AnalyticReweighter().fit(features, sample_weight=weight)
    mean = np.average(tilt.predict_weights(features, [0.5, -0.5]), weights=weight)
    assert mean == pytest.approx(1, rel=1e-12)
    twice = AnalyticReweighter().fit(features[:100], sample_weight=np.full(100, 2.0))
    once = AnalyticReweighter().fit(features[:100])
    np.testing.assert_allclose(
        twice.predict_log_weights(features, [0.5, -0.5]),
        once.predict_log_weights(features, [0.5, -0.5]),
        rtol=1e-12,
        atol=1e-12,
    )


def test_tilt_shifts_a_gaussian_by_widths(features):
    tilt = AnalyticReweighter().fit(features)
    theta = 0.5
    weights = tilt.predict_weights(features, [theta, 0.0])
    mean = np.average(features[:, 0], weights=weights)
    # The width is 2, and the variance of a weighted mean is ⟨w² z²⟩/N.
    error = 2 * np.sqrt(np.exp(theta**2) * (1 + theta**2) / N)
    assert abs(mean - (features[:, 0].mean() + 2 * theta)) < 4 * error


def test_tilt_gradient_and_rows(features):
    tilt = AnalyticReweighter().fit(features)
    theta = np.array([0.5, -0.3])
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = tilt.predict_weights(features, theta)
    expected = z - np.average(z, axis=0, weights=weights)
    np.testing.assert_allclose(
        tilt.log_weight_gradient(features, theta), expected, rtol=1e-6, atol=1e-7
    )
    rows = np.array([[0.5, -0.3], [0.1, 0.2], [0.0, 0.0]])
    np.testing.assert_allclose(
        tilt.predict_log_weights(features[:3], rows),
        [tilt.predict_log_weights(features[k : k + 1], rows[k])[0] for k in range(3)],
    )


@pytest.mark.parametrize("nominal", [np.nan, 0.5, [0.0, 0.1], [0.0], {"a": 0.0, "b": 1.0}])
def test_tilt_has_no_other_nominal_parameters(features, nominal):
    with pytest.raises(ValueError, match="theta_nominal"):
        AnalyticReweighter(theta_nominal=nominal).fit(features)
    named = AnalyticReweighter(theta_nominal={"a": 0.0, "b": 0.0}).fit(features)
    assert named.theta_names_ == ["a", "b"]


@pytest.mark.parametrize("n_features", [1, 2])
def test_tilt_at_one_theta_per_event_takes_linear_time(features, n_features, monkeypatch):
    rng = np.random.default_rng(5)
    X = features[:, :n_features]
    theta = rng.uniform(-0.5, 0.5, X.shape)
    tilt = AnalyticReweighter().fit(X)
    calls = []
    exact = ExponentialTilt._normaliser
    monkeypatch.setattr(
        ExponentialTilt, "_normaliser", lambda self, row: calls.append(1) or exact(self, row)
    )
    rows = tilt.predict_log_weights(X, theta)
    # One pass over the nominal sample for each event would make N passes.
    assert len(calls) < (100 if n_features == 1 else 2000)
    for k in (0, 77, N - 1):
        assert rows[k] == pytest.approx(
            tilt.predict_log_weights(X[k : k + 1], theta[k])[0], rel=0, abs=1e-11
        )
    # Where few values of θ occur many times each, there is one pass for each value.
    calls.clear()
    tilt.predict_log_weights(X, np.repeat(theta[:2], N // 2, axis=0))
    assert len(calls) == 2


def test_tilt_takes_the_names_of_the_columns(features):
    frame = pd.DataFrame(features, columns=["pt", "mass"])
    tilt = AnalyticReweighter().fit(frame)
    assert tilt.theta_names_ == ["pt", "mass"]
    np.testing.assert_array_equal(
        tilt.predict_weights(frame, {"mass": 0.5, "pt": 0.0}),
        tilt.predict_weights(frame, [0.0, 0.5]),
    )
    with pytest.raises(ValueError, match="feature names"):
        tilt.predict_weights(frame[["mass", "pt"]], [0.0, 0.5])
