"""`DCTRReweighter` against exact density ratios.

A learned weight has the statistical error of the events it was learned from. Moments are compared
with those of exact weights on the same events, so that only this error remains; tolerances are four
of its standard deviations, at fixed seeds. scikit-learn's own checks are in
test_estimator_checks.py.
"""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skdctr import DCTRReweighter
from skdctr.datasets import gaussian_log_weight, make_gaussian, make_gaussian_2d
from skdctr.exceptions import ExtrapolationWarning, NominalWarning
from skdctr.networks import MLP, SeparableNetwork
from skdctr.reweighting.scoring import representative_theta

FAST = {
    "module": SeparableNetwork,
    "max_epochs": 10,
    "batch_size": 1000,
    "random_state": 0,
    # The same bits are promised on a processor only.
    "device": "cpu",
}
MUS = [-1.5, -0.5, 0.5, 1.5]
N_SIGMA = 4


class QuadraticNetwork(nn.Module):
    """A user's module: linear in 1, x, x² times 1, θ, θ², of the first parameter and feature."""

    def __init__(self, n_features, n_parameters, scale=1.0):
        super().__init__()
        self.linear = nn.Linear(9, 1)
        self.scale = scale

    def forward(self, x, theta):
        x, theta = x[:, :1], theta[:, :1]
        functions = torch.cat([torch.ones_like(x), x, x * x], dim=1)
        products = torch.cat([functions * theta**power for power in range(3)], dim=1)
        return self.scale * self.linear(products).squeeze(1)


LINEAR = FAST | {"module": QuadraticNetwork, "lr": 0.1, "max_epochs": 20, "batch_size": 500}


def assert_learned(reweighter, X, theta, log_weight, n_nominal, n_varied=None):
    """Compare mean weight and weighted ⟨x⟩, ⟨x²⟩ with the truth on the same events."""
    n_varied = n_nominal if n_varied is None else n_varied
    learned = reweighter.predict_weights(X, theta)
    exact = np.exp(log_weight)
    # The error is that of n_nominal events with these weights and of n_varied events.
    error = np.sqrt(np.var(exact) / n_nominal + 1 / n_varied)
    assert learned.mean() == pytest.approx(exact.mean(), abs=N_SIGMA * error)
    x = X[:, 0]
    for power in (1, 2):
        values = x**power
        mean = np.average(values, weights=exact)
        error = np.sqrt(
            np.mean((exact * (values - mean)) ** 2) / n_nominal
            + np.average((values - mean) ** 2, weights=exact) / n_varied
        )
        assert np.average(values, weights=learned) == pytest.approx(mean, abs=N_SIGMA * error)


@pytest.fixture(scope="module")
def fitted(gaussian):
    return DCTRReweighter(**FAST).fit(gaussian.gen, gaussian.theta)


@pytest.fixture(scope="module")
def small(gaussian):
    """Two hundred events of each class, for tests that do not look at the weights' precision."""
    rows = slice(9_800, 10_200)
    return gaussian.gen[rows], gaussian.theta[rows]


QUICK = FAST | {"max_epochs": 2, "batch_size": 100}


# --- the three ways to train ----------------------------------------------------------------


@pytest.mark.parametrize("mu", MUS)
def test_continuous_weights(fitted, gaussian, mu):
    log_weight = gaussian.log_weight(gaussian.sim_gen, mu)
    assert_learned(fitted, gaussian.sim_gen, mu, log_weight, 10_000)
    assert not fitted.discrete_
    np.testing.assert_array_equal(fitted.theta_nominal_, [0.0])


@pytest.mark.slow
def test_default_module(gaussian):
    """By default two networks are trained, and the better one is kept."""
    reweighter = DCTRReweighter(**FAST | {"module": None}).fit(gaussian.gen, gaussian.theta)
    for mu in MUS:
        log_weight = gaussian.log_weight(gaussian.sim_gen, mu)
        assert_learned(reweighter, gaussian.sim_gen, mu, log_weight, 10_000)


def test_weights_are_one_at_nominal(fitted, gaussian):
    np.testing.assert_array_equal(fitted.predict_weights(gaussian.sim_gen, 0.0), 1.0)


def two_values(n_nominal, n_varied, seed=0, mu=0.8):
    rng = np.random.default_rng(seed)
    theta = np.repeat([0.0, mu], [n_nominal, n_varied])
    return rng.normal(theta)[:, None], theta


@pytest.mark.slow
def test_discrete_weights(gaussian):
    x, theta = two_values(10_000, 10_000)
    reweighter = DCTRReweighter(**FAST, theta_nominal=0).fit(x, theta)
    assert reweighter.discrete_
    log_weight = gaussian_log_weight(gaussian.sim_gen, 0.8)
    assert_learned(reweighter, gaussian.sim_gen, None, log_weight, 10_000)
    # θ may be left out, or be one of the two.
    sample = gaussian.sim_gen[:100]
    given = reweighter.predict_log_weights(sample)
    np.testing.assert_array_equal(reweighter.predict_log_weights(sample, 0.8), given)
    np.testing.assert_array_equal(reweighter.predict_log_weights(sample, 0.0), 0.0)
    either = np.where(np.arange(100) % 2, 0.8, 0.0)[:, None]
    mixed = reweighter.predict_log_weights(sample, either)
    np.testing.assert_allclose(mixed, np.where(either[:, 0] > 0, given, 0.0), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"trained at the two values \[\[0.0\], \[0.8\]\] only"):
        reweighter.predict_weights(sample, 0.4)


@pytest.mark.slow
def test_two_values_are_discrete_whatever_their_shares():
    x, theta = two_values(100, 9_900)
    reweighter = DCTRReweighter(**QUICK, theta_nominal=0).fit(x, theta)
    assert reweighter.discrete_
    assert reweighter.predict_weights(x[:5]).shape == (5,)


@pytest.mark.slow
@pytest.mark.parametrize("nominal_share", [0.0, 0.03])
@pytest.mark.parametrize("options", [FAST, LINEAR], ids=["separable", "linear"])
def test_weights_without_a_nominal_class(gaussian, nominal_share, options):
    """Too few events are nominal to be a class: joint against marginal density is learned."""
    n = 16_000
    rng = np.random.default_rng(5)
    theta = np.where(rng.random(n) < nominal_share, 0.0, rng.uniform(-1, 1, n))
    x = rng.normal(theta)[:, None]
    reweighter = DCTRReweighter(**options, theta_nominal=0.0).fit(x, theta)
    np.testing.assert_array_equal(reweighter.theta_nominal_, [0.0])
    for mu in (-0.8, 0.5):
        log_weight = gaussian.log_weight(gaussian.sim_gen, mu)
        # Half of the events are within 1/2 of either θ.
        assert_learned(reweighter, gaussian.sim_gen, mu, log_weight, n // 2)
    np.testing.assert_array_equal(reweighter.predict_log_weights(gaussian.sim_gen[:9], 0.0), 0.0)


def test_nominal_is_the_median_where_no_value_makes_a_class(rng):
    """In float32 some values of θ repeat by chance."""
    theta = np.round(rng.uniform(1, 2, (2000, 2)), 3)
    x = rng.normal(theta)
    with pytest.warns(NominalWarning, match="median"):
        reweighter = DCTRReweighter(**QUICK, refit=False).fit(x, theta)
    np.testing.assert_allclose(reweighter.theta_nominal_, np.median(theta, axis=0))


@pytest.mark.slow
def test_nominal_is_the_most_frequent_value(rng):
    theta = rng.choice([0.25, 0.5, 0.75], p=[0.15, 0.7, 0.15], size=400)
    reweighter = DCTRReweighter(**QUICK).fit(rng.normal(theta)[:, None], theta)
    np.testing.assert_array_equal(reweighter.theta_nominal_, [0.5])
    np.testing.assert_array_equal(reweighter.theta_bounds_, [[0.25, 0.75]])


@pytest.mark.slow
def test_two_parameters():
    bunch = make_gaussian_2d(
        15_000, bounds={"mu": (-1, 1), "sigma": (0.75, 1.25)}, n_data=1, random_state=3
    )
    reweighter = DCTRReweighter(**FAST).fit(bunch.gen, bunch.theta)
    for point in ([0.5, 0.9], [-0.7, 1.1], [0.0, 0.8]):
        log_weight = bunch.log_weight(bunch.sim_gen, point)
        # All events share in a dozen functions of (μ, σ).
        assert_learned(reweighter, bunch.sim_gen, point, log_weight, 15_000, 15_000 // 12)


@pytest.mark.slow
def test_two_features(rng):
    """θ shifts the second feature only; the first one is noise on a large scale."""
    n = 10_000
    theta = np.where(np.arange(2 * n) % 2, rng.uniform(-1, 1, 2 * n), 0.0)
    x = np.stack([rng.normal(theta), 1e6 + 1e3 * rng.normal(size=2 * n)], axis=1)
    reweighter = DCTRReweighter(**FAST).fit(x, theta)
    nominal = x[theta == 0]
    assert_learned(reweighter, nominal, 0.7, gaussian_log_weight(nominal[:, :1], 0.7), n)


@pytest.mark.slow
def test_constant_feature_has_no_influence(gaussian):
    x = np.column_stack([gaussian.gen, np.full(len(gaussian.gen), 0.1)])
    reweighter = DCTRReweighter(**QUICK).fit(x[9_000:11_000], gaussian.theta[9_000:11_000])
    moved = x[:50] + np.array([0.0, 1e-12])
    plain = reweighter.predict_log_weights(x[:50], 1.0)
    np.testing.assert_allclose(
        reweighter.predict_log_weights(moved, 1.0), plain, rtol=1e-5, atol=1e-6
    )


# --- class prior and event weights ----------------------------------------------------------


@pytest.mark.slow
def test_prior_is_corrected_for(gaussian):
    """There are ten times more nominal events than varied ones."""
    bunch = make_gaussian(n_gen=20_000, n_sim=1, n_data=1, random_state=4)
    keep = np.r_[0:20_000, 20_000:22_000]
    reweighter = DCTRReweighter(**FAST).fit(bunch.gen[keep], bunch.theta[keep])
    for mu in (-1.0, 0.5):
        log_weight = gaussian.log_weight(gaussian.sim_gen, mu)
        assert_learned(reweighter, gaussian.sim_gen, mu, log_weight, 20_000, 2_000)


def signed_share(theta):
    return np.where(theta == 0, 0.1, 0.1 + 0.04 * (theta + 2))


def weights_of(kind, x, theta, rng):
    """Make event weights of some kind that leave p(x|θ) of the weighted sample as it is."""
    n = len(theta)
    if kind == "positive":
        return rng.exponential(size=n)
    if kind == "dependent on θ":
        return np.exp(theta / 2)
    return np.where(rng.random(n) < signed_share(theta), -1.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["positive", "dependent on θ", "signed"])
def test_event_weights(gaussian, kind):
    rng = np.random.default_rng(8)
    n = 10_000
    theta = np.where(np.arange(2 * n) % 2, rng.uniform(-2, 2, 2 * n), 0.0)
    x = rng.normal(theta)[:, None]
    weight = weights_of(kind, x, theta, rng)
    reweighter = DCTRReweighter(**FAST).fit(x, theta, sample_weight=weight)
    effective = [
        int(part.sum() ** 2 / (part @ part)) for part in (weight[theta == 0], weight[theta != 0])
    ]
    for mu in (-1.0, 0.5, 1.0):
        log_weight = gaussian.log_weight(gaussian.sim_gen, mu)
        assert_learned(reweighter, gaussian.sim_gen, mu, log_weight, *effective)


@pytest.mark.slow
def test_weights_that_depend_on_the_event_change_the_target(gaussian):
    """Weighted by exp(x/4), nominal and varied densities are Gaussians moved by 1/4."""
    weight = np.exp(gaussian.gen[:, 0] / 4)
    reweighter = DCTRReweighter(**FAST).fit(gaussian.gen, gaussian.theta, sample_weight=weight)
    log_weight = gaussian_log_weight(gaussian.sim_gen, 1.0)
    # E[(vw)²]/E[vw]² = exp(1.25²) for v = exp(x/4), w = exp(x); the test's own events have exp(1).
    effective = 10_000 / np.exp(1.25**2 - 1)
    assert_learned(reweighter, gaussian.sim_gen + 0.25, 1.0, log_weight, effective)


@pytest.mark.slow
def test_weights_count_as_repetition(gaussian):
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 4, size=len(gaussian.gen))
    weighted = DCTRReweighter(**FAST).fit(gaussian.gen, gaussian.theta, sample_weight=counts)
    rows = np.repeat(np.arange(len(counts)), counts)
    repeated = DCTRReweighter(**FAST).fit(gaussian.gen[rows], gaussian.theta[rows])
    for mu in MUS:
        exact = np.exp(gaussian.log_weight(gaussian.sim_gen, mu))
        first, second = (
            np.average(gaussian.sim_gen[:, 0], weights=r.predict_weights(gaussian.sim_gen, mu))
            for r in (weighted, repeated)
        )
        # The events are the same, and the fits differ by validation split and order only: the error
        # of one of them is a bound.
        error = np.sqrt(np.mean((exact * (gaussian.sim_gen[:, 0] - mu)) ** 2) / 10_000)
        assert first == pytest.approx(second, abs=N_SIGMA * error)


# --- θ in all its forms ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def named():
    bunch = make_gaussian_2d(
        300, bounds={"mu": (-1, 1), "sigma": (0.5, 2)}, n_data=1, as_frame=True, random_state=3
    )
    return bunch, DCTRReweighter(**QUICK, refit=False).fit(bunch.gen, bunch.theta)


def test_names_come_from_the_columns(named):
    bunch, reweighter = named
    assert reweighter.theta_names_ == ["mu", "sigma"]
    assert list(reweighter.feature_names_in_) == ["x"]
    assert reweighter.n_features_in_ == 1
    np.testing.assert_array_equal(reweighter.theta_nominal_, [0.0, 1.0])
    low, high = bunch.theta.min().to_numpy(), bunch.theta.max().to_numpy()
    np.testing.assert_array_equal(reweighter.theta_bounds_, np.stack([low, high], axis=1))


@pytest.mark.parametrize(
    "theta",
    [
        (0.5, 1.25),
        np.array([0.5, 1.25], dtype=np.float32),
        {"sigma": 1.25, "mu": 0.5},
        pd.Series({"sigma": 1.25, "mu": 0.5}),
        pd.Series([0.5, 1.25]),
        pd.DataFrame({"sigma": [1.25], "mu": [0.5]}).iloc[0],
    ],
)
def test_forms_of_one_theta(named, theta):
    bunch, reweighter = named
    expected = reweighter.predict_log_weights(bunch.sim_gen, [0.5, 1.25])
    np.testing.assert_array_equal(reweighter.predict_log_weights(bunch.sim_gen, theta), expected)


@pytest.mark.slow
def test_one_theta_per_event(named):
    bunch, reweighter = named
    rows = bunch.theta.iloc[300:500]
    x = bunch.sim_gen.iloc[:200]
    expected = np.concatenate(
        [
            reweighter.predict_log_weights(x.iloc[k : k + 1], rows.iloc[k].to_dict())
            for k in range(200)
        ]
    )
    for form in (rows, rows[["sigma", "mu"]], rows.to_numpy()):
        given = reweighter.predict_log_weights(x, form)
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ({"mu": 0.5, "sigm": 1.0}, r"unknown parameter 'sigm'; did you mean 'sigma'\?"),
        ({"mu": 0.5}, r"lacks the parameters \['sigma'\]"),
        (0.5, r"shape \(1,\), expected \(2,\) or \(600, 2\) for the parameters \['mu', 'sigma'\]"),
        ([0.5, 1.0, 2.0], r"shape \(3,\), expected \(2,\)"),
        (np.zeros((600, 3)), r"shape \(600, 3\), expected \(2,\) or \(600, 2\)"),
        (np.zeros((599, 2)), r"shape \(599, 2\)"),
        ([np.nan, 1.0], "NaN or infinity"),
        ([0.5, np.inf], "NaN or infinity"),
        (["a", "b"], "not numeric"),
        (None, r"theta is missing: give the parameters \['mu', 'sigma'\]"),
    ],
)
@pytest.mark.parametrize("method", ["predict_weights", "log_weight_gradient"])
def test_wrong_theta_is_explained(named, theta, message, method):
    bunch, reweighter = named
    with pytest.raises(ValueError, match=message):
        getattr(reweighter, method)(bunch.gen, theta)


def test_one_column_of_theta_per_event_has_a_hint(fitted, gaussian):
    with pytest.raises(ValueError, match=r"For one value per event use theta.reshape\(-1, 1\)"):
        fitted.predict_weights(gaussian.sim_gen[:5], np.zeros(5))


@pytest.mark.slow
def test_positive_parameter_cannot_be_negative(rng):
    theta = np.where(np.arange(400) % 2, rng.uniform(0.2, 2, 400), 1.0)
    reweighter = DCTRReweighter(**QUICK).fit(rng.normal(scale=theta)[:, None], theta)
    with (
        pytest.raises(ValueError, match="cannot be zero or negative"),
        pytest.warns(ExtrapolationWarning),
    ):
        reweighter.predict_weights([[0.1]], -1.0)


@pytest.mark.slow
@pytest.mark.parametrize("theta_nominal", [0.0, [0.0], {"mu": 0.0}])
def test_forms_of_theta_nominal(small, theta_nominal):
    x, theta = small
    frame = pd.DataFrame(theta, columns=["mu"])
    reweighter = DCTRReweighter(theta_nominal, **QUICK).fit(x, frame)
    np.testing.assert_array_equal(reweighter.theta_nominal_, [0.0])


@pytest.mark.slow
def test_float32_theta_finds_its_nominal_value(rng):
    theta = np.where(np.arange(400) % 2, 0.7, 0.1).astype(np.float32)
    x = rng.normal(theta)[:, None]
    reweighter = DCTRReweighter(theta_nominal=0.1, **QUICK).fit(x, theta)
    assert reweighter.discrete_
    np.testing.assert_array_equal(reweighter.predict_weights(x, 0.1), 1.0)
    np.testing.assert_array_equal(
        reweighter.predict_weights(x), reweighter.predict_weights(x, theta[1])
    )


# --- gradient -------------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[FAST, FAST | {"module": MLP}, LINEAR],
    ids=["separable", "mlp", "linear"],
)
def of_module(request, gaussian):
    if request.param is FAST:
        return request.getfixturevalue("fitted")
    return DCTRReweighter(**request.param).fit(gaussian.gen, gaussian.theta)


@pytest.mark.slow
@pytest.mark.parametrize("mu", [-1.0, 0.0, 0.7])
def test_gradient_is_the_derivative_of_log_weights(of_module, gaussian, mu):
    x = gaussian.sim_gen[:2000]
    step = 0.01
    up, down = (of_module.predict_log_weights(x, mu + shift) for shift in (step, -step))
    gradient = of_module.log_weight_gradient(x, mu)
    assert gradient.shape == (2000, 1)
    assert gradient.dtype == np.float64
    # Log-weights of order one in float32 have errors of 1e-6, here over a step of 0.02.
    np.testing.assert_allclose(gradient[:, 0], (up - down) / (2 * step), rtol=1e-2, atol=5e-3)


def test_gradient_moves_the_mean(fitted, gaussian):
    """∂E_w[x]/∂μ is the covariance of gradient and x, exactly 1."""
    x = gaussian.sim_gen[:, 0]
    for mu in (-0.5, 0.5):
        weight = fitted.predict_weights(gaussian.sim_gen, mu)
        gradient = fitted.log_weight_gradient(gaussian.sim_gen, mu)[:, 0]
        exact = np.exp(gaussian.log_weight(gaussian.sim_gen, mu))
        slope, true = (
            np.cov(g, x, aweights=w)[0, 1] for g, w in ((gradient, weight), (x - mu, exact))
        )
        # A slope is the difference of two means one unit of μ apart, of 10⁴ events a class each.
        error = np.sqrt(2 * (np.mean((exact * (x - mu)) ** 2) + 1) / 10_000)
        assert slope == pytest.approx(true, abs=N_SIGMA * error)


def test_gradient_of_exponential_family_is_the_score(fitted, gaussian):
    """∇ log w = x − μ, event by event, where most events are."""
    x = gaussian.sim_gen[np.abs(gaussian.sim_gen[:, 0]) < 1.5]
    gradient = fitted.log_weight_gradient(x, 0.5)[:, 0]
    # Offset and slope each have the error of a mean of 10⁴ events a class; the slope counts times
    # the largest x.
    error = np.sqrt(2 / 10_000) * (1 + 1.5)
    assert np.abs(gradient - (x[:, 0] - 0.5)).max() < N_SIGMA * error


# A width that doubles leaves a tail in which one of these few nominal events is left.
@pytest.mark.filterwarnings("ignore:No common support:skdctr.exceptions.SupportWarning")
@pytest.mark.parametrize("module", [SeparableNetwork, MLP, QuadraticNetwork])
@pytest.mark.parametrize("nominal_share", [0.0, 0.5])
def test_gradient_in_several_parameters_per_event(rng, module, nominal_share):
    """It holds with σ on a logarithmic scale, in both ways to train, and for ensembles."""
    n = 2000
    theta = np.stack([rng.uniform(-1, 1, n), rng.uniform(0.5, 2, n)], axis=1)
    theta[rng.random(n) < nominal_share] = [0.0, 1.0]
    x = rng.normal(theta[:, :1], theta[:, 1:])
    reweighter = DCTRReweighter(
        [0.0, 1.0], n_estimators=2, refit=False, **FAST | {"module": module, "max_epochs": 3}
    ).fit(x, theta)
    points = np.stack([rng.uniform(-0.9, 0.9, 50), rng.uniform(0.6, 1.9, 50)], axis=1)
    gradient = reweighter.log_weight_gradient(x[:50], points)
    assert gradient.shape == (50, 2)
    step = 0.01
    for k in range(2):
        shift = step * np.eye(2)[k]
        up, down = (reweighter.predict_log_weights(x[:50], points + s) for s in (shift, -shift))
        np.testing.assert_allclose(gradient[:, k], (up - down) / (2 * step), rtol=1e-2, atol=5e-3)
    one = reweighter.log_weight_gradient(x[:50], points[0])
    np.testing.assert_allclose(one[0], gradient[0], rtol=1e-4, atol=1e-5)


# --- checks of the verb that scikit-learn does not know --------------------------------------


@pytest.mark.parametrize("per_event", [False, True])
@pytest.mark.parametrize("method", ["predict_weights", "predict_log_weights"])
def test_weights_do_not_depend_on_other_events(of_module, gaussian, per_event, method):
    rng = np.random.default_rng(0)
    # The rows are more than one chunk.
    x = gaussian.sim_gen[:40_000]
    theta = rng.uniform(-1, 1, (len(x), 1)) if per_event else np.array([0.7])
    predict = getattr(of_module, method)
    every = predict(x, theta)
    assert every.shape == (len(x),)
    assert every.dtype == np.float64
    for rows in (rng.permutation(len(x)), np.arange(100, 117), [39_999], np.full(40, 7)):
        part = predict(x[rows], theta[rows] if per_event else theta)
        # They agree to single precision, as a matrix product rounds by its shape.
        np.testing.assert_allclose(part, every[rows], rtol=2e-5, atol=2e-6)


def test_prediction_repeats_itself(of_module, gaussian):
    first, second = (of_module.predict_weights(gaussian.sim_gen[:1000], 0.7) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_weights_are_the_exponential_of_log_weights(fitted, gaussian):
    x = gaussian.sim_gen[:1000]
    np.testing.assert_array_equal(
        fitted.predict_weights(x, 0.7), np.exp(fitted.predict_log_weights(x, 0.7))
    )


def test_normalize_divides_by_the_mean(fitted, gaussian):
    x = gaussian.sim_gen[:1000]
    plain = fitted.predict_weights(x, 0.7)
    normalized = fitted.predict_weights(x, 0.7, normalize=True)
    assert normalized.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(normalized, plain / plain.mean())
    assert abs(plain.mean() - 1) > 1e-6


def test_overflowing_weights_are_an_error_that_counts_them(fitted):
    fitted = copy.deepcopy(fitted)
    coupling = fitted.net_.module_.coupling
    coupling.zero_()
    # This coupling makes log w the product of x and θ.
    coupling[1, 0] = 1.0
    with (
        pytest.raises(ValueError, match=r"1 of 2 weights are not finite .*predict_log_weights"),
        pytest.warns(ExtrapolationWarning),
    ):
        fitted.predict_weights([[0.0], [1e4]], 1.0)
    with pytest.warns(ExtrapolationWarning):
        assert fitted.predict_log_weights([[1e4]], 1.0) > 709


# --- seeds and refits -----------------------------------------------------------------------


@pytest.mark.slow
def test_same_seed_same_bits_also_in_a_refit(small, gaussian):
    x, theta = small
    x_new = gaussian.sim_gen[:500]
    reweighter = DCTRReweighter(**QUICK)
    first = reweighter.fit(x, theta).predict_weights(x_new, 0.9)
    again = reweighter.fit(x, theta).predict_weights(x_new, 0.9)
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(
        clone(reweighter).fit(x, theta).predict_weights(x_new, 0.9), first
    )
    other = reweighter.set_params(random_state=1).fit(x, theta).predict_weights(x_new, 0.9)
    assert not np.array_equal(other, first)


@pytest.mark.slow
def test_random_state_instance_moves_on(small):
    x, theta = small
    reweighter = DCTRReweighter(**QUICK | {"random_state": np.random.RandomState(0)})
    first, second = (reweighter.fit(x, theta).predict_weights(x, 0.9) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.slow
def test_refit_forgets_the_first_fit(small, rng):
    x, theta = small
    reweighter = DCTRReweighter(**QUICK).fit(x, theta)
    wide = rng.normal(size=(400, 3))
    frame = pd.DataFrame({"a": 5 + theta[:, 0], "b": rng.uniform(size=400)})
    # The first fit has refitted couplings, of which the second, which has none, must know nothing.
    with pytest.warns(NominalWarning):
        reweighter.set_params(refit=False).fit(wide, frame)
    assert reweighter.n_features_in_ == 3
    assert reweighter.theta_names_ == ["a", "b"]
    with pytest.warns(NominalWarning):
        fresh = DCTRReweighter(**QUICK, refit=False).fit(wide, frame)
    point = frame.iloc[-1].to_dict()
    np.testing.assert_array_equal(
        reweighter.predict_weights(wide, point), fresh.predict_weights(wide, point)
    )


class Failing(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("disk full")


@pytest.mark.slow
@pytest.mark.parametrize("failure", ["callback", "data", "arguments"])
def test_failed_fit_leaves_the_estimator_as_it_was(small, failure):
    x, theta = small
    wide = np.column_stack([x, x])

    def fail(reweighter):
        if failure == "callback":
            reweighter.callbacks = [Failing()]
            with pytest.raises(RuntimeError, match="disk full"):
                reweighter.fit(wide, theta)
        elif failure == "data":
            with pytest.raises(ValueError, match="400 events"):
                reweighter.fit(wide, theta[:-1])
        else:
            reweighter.max_epochs = -1
            with pytest.raises(ValueError, match="max_epochs"):
                reweighter.fit(wide, theta)

    first = DCTRReweighter(**QUICK)
    attributes = set(vars(first))
    fail(first)
    assert set(vars(first)) == attributes
    with pytest.raises(NotFittedError):
        first.predict_weights(x, 0.5)

    reweighter = DCTRReweighter(**QUICK).fit(x, theta)
    before = reweighter.predict_weights(x, 0.5)
    fail(reweighter)
    assert reweighter.n_features_in_ == 1
    np.testing.assert_array_equal(reweighter.predict_weights(x, 0.5), before)


# --- score and model selection --------------------------------------------------------------


@pytest.mark.slow
def test_score_is_minus_the_cross_entropy():
    """In the discrete case every nominal event has the same partner, so that this is exact."""
    x, theta = two_values(3000, 1000)
    reweighter = DCTRReweighter(**QUICK, theta_nominal=0).fit(x, theta)
    log_ratio = reweighter.predict_log_weights(x)
    p = 1 / (1 + np.exp(-(log_ratio + np.log(1 / 3))))
    expected = np.mean(np.log(np.where(theta > 0, p, 1 - p)))
    # The share of classes in training is that of all events but the validation ones.
    assert reweighter.score(x, theta) == pytest.approx(expected, abs=1e-4)
    weight = np.where(theta > 0, 2.0, 0.5)
    weighted = np.average(np.log(np.where(theta > 0, p, 1 - p)), weights=weight)
    assert reweighter.score(x, theta, sample_weight=weight) == pytest.approx(weighted, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_score_prefers_the_better_network(share):
    """Of two networks one was hardly trained; fresh events tell."""
    rng = np.random.default_rng(9)
    theta = np.where(rng.random(20_000) < share, 0.0, rng.uniform(-2, 2, 20_000))
    x = rng.normal(theta)[:, None]
    half = slice(None, 10_000), slice(10_000, None)
    good, poor = (
        DCTRReweighter(0.0, refit=False, **FAST | {"lr": lr, "max_epochs": 5}).fit(
            x[half[0]], theta[half[0]]
        )
        for lr in (0.01, 1e-5)
    )
    scores = [reweighter.score(x[half[1]], theta[half[1]]) for reweighter in (good, poor)]
    # Scores are means over 10⁴ events of terms that differ by less than 1 between the networks.
    assert scores[0] - scores[1] > N_SIGMA / np.sqrt(10_000)


def test_score_pairs_with_theta_of_all_training_events():
    """The pool stands for all θ, also where events come sorted by θ, and by weights."""
    theta = np.linspace(0, 1, 200_000)[:, None]
    rows, sign = representative_theta(theta, np.ones(200_000))
    np.testing.assert_allclose(np.quantile(rows, [0, 0.5, 1]), [0, 0.5, 1], atol=1e-3)
    assert (sign == 1).all()
    rows, _ = representative_theta(theta, theta[:, 0])
    assert rows.mean() == pytest.approx(2 / 3, abs=1e-3)
    rows, sign = representative_theta(theta, np.where(np.arange(200_000) % 4 == 0, -1.0, 1.0))
    # The share of negative ones is seldom a quarter exactly.
    assert sign.mean() == pytest.approx(1.0, abs=N_SIGMA * sign.std() / np.sqrt(len(sign)))


@pytest.fixture(scope="module")
def folds():
    # Nominal events come first in these samples, so that folds have to be shuffled.
    return KFold(2, shuffle=True, random_state=0)


@pytest.mark.slow
def test_cross_validate_in_a_pipeline(gaussian, folds):
    rows = slice(8_000, 12_000)
    pipeline = make_pipeline(StandardScaler(), DCTRReweighter(**QUICK))
    result = cross_validate(
        pipeline, gaussian.gen[rows], gaussian.theta[rows], cv=folds, error_score="raise"
    )
    assert np.isfinite(result["test_score"]).all()
    assert (result["test_score"] < 0).all()


@pytest.mark.slow
def test_unshuffled_folds_are_refused(gaussian):
    """Nominal events come first, so that a fold of them has one class."""
    rows = slice(9_500, 10_500)
    x, theta = gaussian.gen[rows], gaussian.theta[rows]
    cure = r"KFold\(shuffle=True\).*StratifiedKFold\(shuffle=True\)"
    with pytest.raises(ValueError, match=f"All 250 events to be scored are nominal.*{cure}"):
        cross_validate(DCTRReweighter(0.0, **QUICK), x, theta, cv=KFold(4), error_score="raise")
    reweighter = DCTRReweighter(**QUICK).fit(x, theta)
    with pytest.raises(ValueError, match=f"All 500 events to be scored are varied.*{cure}"):
        reweighter.score(x[500:], theta[500:])
    stratified = StratifiedKFold(2, shuffle=True, random_state=0).split(x, theta[:, 0] == 0)
    found = cross_validate(reweighter, x, theta, cv=list(stratified), error_score="raise")
    assert np.isfinite(found["test_score"]).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.NominalWarning")
def test_score_at_theta_beyond_training_warns(rng):
    """Events come ordered by θ, without a class of nominal events and with one."""
    theta = np.linspace(-1, 1, 600)
    x = rng.normal(theta)[:, None]
    for known in (theta, np.where(np.arange(600) % 2 == 0, 0.0, theta)):
        reweighter = DCTRReweighter(**QUICK).fit(x[:450], known[:450])
        with pytest.warns(
            ExtrapolationWarning, match=r"have theta outside the .*KFold\(shuffle=True\)"
        ):
            reweighter.score(x[450:], known[450:])
    mixture = DCTRReweighter(**QUICK).fit(x, theta)
    with pytest.raises(ValueError, match=r"at θ = \[0.5\]: of one class alone"):
        mixture.score(x, np.full(600, 0.5))


@pytest.mark.slow
def test_pipeline_weights(fitted, gaussian):
    pipeline = make_pipeline(StandardScaler(), DCTRReweighter(**FAST))
    pipeline.fit(gaussian.gen, gaussian.theta)
    scaled = pipeline[:-1].transform(gaussian.sim_gen)
    learned = pipeline[-1].predict_weights(scaled, 0.5)
    # The reweighter standardises anyway, so that both networks are the same but for float32.
    np.testing.assert_allclose(learned, fitted.predict_weights(gaussian.sim_gen, 0.5), rtol=0.02)


def test_grid_search_takes_the_better_network(gaussian, folds):
    rows = slice(7_000, 13_000)
    search = GridSearchCV(
        DCTRReweighter(**FAST | {"refit": False, "max_epochs": 4}),
        {"lr": [1e-5, 0.01], "module__rank": [4]},
        cv=folds,
        error_score="raise",
    ).fit(gaussian.gen[rows], gaussian.theta[rows])
    assert search.best_params_ == {"lr": 0.01, "module__rank": 4}
    assert search.best_estimator_.predict_weights(gaussian.sim_gen[:3], 0.5).shape == (3,)


@pytest.mark.slow
def test_metadata_routing_hands_weights_on(gaussian, folds):
    rows = slice(9_000, 11_000)
    weight = np.exp(gaussian.theta[rows, 0])
    with config_context(enable_metadata_routing=True):
        reweighter = (
            DCTRReweighter(**QUICK)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True)
        )
        routed, without = (
            cross_validate(
                reweighter,
                gaussian.gen[rows],
                gaussian.theta[rows],
                cv=folds,
                params=params,
                error_score="raise",
            )["test_score"]
            for params in ({"sample_weight": weight}, {})
        )
    assert (routed != without).all()


# --- ensembles ------------------------------------------------------------------------------


@pytest.mark.slow
def test_ensemble_is_the_mean_of_its_members(small, gaussian):
    x, theta = small
    x_new = gaussian.sim_gen[:500]
    reweighter = DCTRReweighter(n_estimators=3, **QUICK).fit(x, theta)
    assert len(reweighter.nets_) == 3
    assert reweighter.net_ is reweighter.nets_[0]
    single = clone(reweighter).set_params(n_estimators=1).fit(x, theta)
    alone = single.predict_log_weights(x_new, 0.9)
    members = []
    for net in reweighter.nets_:
        single.nets_ = [net]
        members.append(single.predict_log_weights(x_new, 0.9))
    np.testing.assert_allclose(
        reweighter.predict_log_weights(x_new, 0.9), np.mean(members, axis=0), rtol=1e-6
    )
    np.testing.assert_allclose(
        reweighter.predict_log_weight_spread(x_new, 0.9), np.std(members, axis=0, ddof=1), rtol=1e-6
    )
    assert reweighter.predict_log_weight_spread(x_new, 0.9).min() > 0
    # The first member is what a single network with that seed is.
    np.testing.assert_array_equal(members[0], alone)


def test_one_network_has_no_spread(fitted):
    with pytest.raises(ValueError, match="fit with n_estimators of 2 or more"):
        fitted.predict_log_weight_spread([[0.0]], 0.5)


# --- extrapolation --------------------------------------------------------------------------


def test_theta_outside_its_range_is_named(named):
    bunch, reweighter = named
    low, high = reweighter.theta_bounds_[1]
    message = rf"sigma=2.5 is outside \[{low:g}, {high:g}\], the trained range"
    with pytest.warns(ExtrapolationWarning, match=message):
        reweighter.predict_weights(bunch.gen, {"mu": 0.0, "sigma": 2.5})
    with pytest.warns(ExtrapolationWarning, match="mu=-3 is outside.*; sigma=2.5 is outside"):
        reweighter.log_weight_gradient(bunch.gen, [-3, 2.5])
    rows = bunch.theta.to_numpy().copy()
    rows[17, 0] = 4.0
    with pytest.warns(ExtrapolationWarning, match="mu=4 is outside"):
        reweighter.predict_weights(bunch.gen, rows)


def test_no_warning_at_the_edge_of_the_range(named):
    bunch, reweighter = named
    for point in reweighter.theta_bounds_.T:
        reweighter.predict_weights(bunch.gen, point)


def test_nominal_outside_the_range_of_theta_is_named(small):
    x, theta = small
    with pytest.warns(ExtrapolationWarning, match="theta=5 is outside"):
        DCTRReweighter(5.0, **QUICK).fit(x, theta)


def test_features_outside_their_range_are_named(named):
    bunch, reweighter = named
    far = bunch.sim_gen + 3.0
    n_outside = int((far["x"] > bunch.gen["x"].max()).sum())
    with pytest.warns(ExtrapolationWarning, match=rf"{n_outside} of 300 events have x outside"):
        reweighter.predict_weights(far, [0.0, 1.0])


def test_a_single_event_far_outside_is_named(fitted, gaussian):
    x = gaussian.sim_gen[:10].copy()
    x[3] = 50.0
    with pytest.warns(ExtrapolationWarning, match="1 of 10 events have feature 0 outside"):
        fitted.predict_log_weights(x, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_fresh_events_of_the_same_distribution_are_no_extrapolation(seed):
    """There are ten times as many, with a tail: some fall beyond the extremes of training."""
    rng = np.random.default_rng(seed)
    theta = np.where(np.arange(1000) % 2, rng.uniform(-0.5, 0.5, 1000), 0.0)
    x = rng.exponential(np.exp(theta))[:, None]
    reweighter = DCTRReweighter(**QUICK | {"max_epochs": 1}).fit(x, theta)
    fresh = rng.exponential(size=(10_000, 1))
    assert fresh.max() > x[theta == 0].max()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reweighter.predict_weights(fresh, 0.2)


# --- copies and files -----------------------------------------------------------------------


def test_clone_keeps_parameters_and_drops_the_fit(fitted):
    fitted.set_params(optimizer__weight_decay=0.0)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert copy.get_params()["optimizer__weight_decay"] == 0.0
    with pytest.raises(NotFittedError):
        copy.predict_weights([[0.0]], 0.5)


@pytest.mark.slow
def test_pickle_carries_the_weights_and_not_the_events(gaussian, capfd):
    sizes = []
    for n in (200, 10_000):
        rows = slice(10_000 - n, 10_000 + n)
        reweighter = DCTRReweighter(**QUICK | {"batch_size": n}, verbose=1)
        reweighter.fit(gaussian.gen[rows], gaussian.theta[rows])
        file = pickle.dumps(reweighter)
        sizes.append(len(file))
        x = gaussian.sim_gen[:100]
        np.testing.assert_array_equal(
            pickle.loads(file).predict_weights(x, 0.5), reweighter.predict_weights(x, 0.5)
        )
    # Only the θ that `score` pairs nominal events with are kept of the events, 4096 rows at most.
    assert sizes[1] - sizes[0] < 2 * 4096 * 8
    assert sizes[1] < 250_000


def test_frozen_reweighter_keeps_its_fit(fitted, gaussian):
    frozen = clone(FrozenEstimator(fitted)).fit(gaussian.gen[:10], gaussian.theta[:10])
    x = gaussian.sim_gen[:100]
    np.testing.assert_array_equal(frozen.predict_weights(x, 0.5), fitted.predict_weights(x, 0.5))


def test_html_and_text_show_what_was_changed():
    assert repr(DCTRReweighter(lr=0.5, module__rank=8)) == "DCTRReweighter(lr=0.5, module__rank=8)"


# --- kinds of input -------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    # A refit of three features in two parameters takes ten seconds, and sees the same tensors.
    params=[False, pytest.param(True, marks=pytest.mark.long)],
    ids=["trained", "refitted"],
)
def of_plain_arrays(request):
    rng = np.random.default_rng(20201)
    theta = np.where(np.arange(400)[:, None] % 2, rng.uniform(-1, 1, (400, 2)), 0.0)
    x = np.column_stack([rng.normal(theta), rng.normal(size=400)])
    for array in (x, theta):
        array.flags.writeable = False
    reweighter = DCTRReweighter(**QUICK, refit=request.param)
    return x, theta, reweighter, clone(reweighter).fit(x, theta).predict_weights(x, theta)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: pd.DataFrame(a, columns=list("abc")[: a.shape[1]]),
        lambda a: a.tolist(),
        lambda a: a.astype(object),
    ],
    ids=["fortran", "strided", "pandas", "list", "object"],
)
def test_kinds_of_input_give_the_same_bits(of_plain_arrays, change):
    x, theta, reweighter, expected = of_plain_arrays
    weights = clone(reweighter).fit(change(x), change(theta))
    np.testing.assert_array_equal(weights.predict_weights(change(x), change(theta)), expected)


@pytest.mark.slow
def test_integers(rng):
    theta = np.maximum(rng.integers(-3, 4, size=2000), 0)
    x = rng.poisson(3 + theta)[:, None]
    reweighter = DCTRReweighter(**QUICK).fit(x, theta)
    as_floats = DCTRReweighter(**QUICK).fit(x.astype(float), theta.astype(float))
    np.testing.assert_array_equal(
        reweighter.predict_weights(x, 2), as_floats.predict_weights(x.astype(float), 2.0)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    # Without a refit only rounding differs. With it rounding may tip which couplings are kept; the
    # change must stay well below the statistical error of a log-weight, 1/√200.
    ("refit", "tolerance"),
    [(False, 1e-4), (True, 0.5 / np.sqrt(200))],
)
def test_float32_events(small, refit, tolerance):
    x, theta = small
    single = DCTRReweighter(**QUICK, refit=refit).fit(x.astype(np.float32), theta)
    weights = single.predict_weights(x.astype(np.float32), 0.5)
    assert weights.dtype == np.float64
    double = DCTRReweighter(**QUICK, refit=refit).fit(x, theta)
    np.testing.assert_allclose(weights, double.predict_weights(x, 0.5), rtol=tolerance)


@pytest.mark.slow
def test_theta_as_series_or_column(small):
    x, theta = small
    column = DCTRReweighter(**QUICK).fit(x, theta)
    flat = DCTRReweighter(**QUICK).fit(x, theta[:, 0])
    series = DCTRReweighter(**QUICK).fit(x, pd.Series(theta[:, 0], name="mu"))
    assert [r.theta_names_ for r in (column, flat, series)] == [["theta"], ["theta"], ["mu"]]
    expected = column.predict_weights(x, 0.5)
    np.testing.assert_array_equal(flat.predict_weights(x, 0.5), expected)
    np.testing.assert_array_equal(series.predict_weights(x, {"mu": 0.5}), expected)


# --- bad input ------------------------------------------------------------------------------


def replaced(array, value):
    changed = np.array(array, dtype=float)
    changed[7] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, t: (replaced(x, np.nan), t), "X contains NaN"),
        (lambda x, t: (replaced(x, np.inf), t), "X contains infinity"),
        (lambda x, t: (x, replaced(t, np.nan)), "y contains NaN"),
        (lambda x, t: (x, replaced(t, -np.inf)), "y contains infinity"),
        (lambda x, t: (x[:0], t[:0]), "0 sample"),
        (lambda x, t: (x[:, :0], t), "0 feature"),
        (lambda x, t: (x, np.zeros(len(t))), "y has one class only.*events at one other θ"),
        (lambda x, t: (x, np.column_stack([t, np.ones(len(t))])), "does not vary in .*theta_1"),
        (lambda x, t: (x, t[:-1]), "y has 399 rows for 400 events"),
        (lambda x, t: (x, t.T), "y has 1 rows for 400 events"),
        (lambda x, t: (x[:, 0], t), "Expected 2D array, got 1D array"),
        (lambda x, t: (x[:, :, None], t), "takes rows of features, the events are sets"),
        (lambda x, t: (x[:, :, None, None], t), "dim 4"),
        (lambda x, t: (x, t[:, :, None]), r"y has shape \(400, 1, 1\)"),
        (lambda x, t: (x, None), "requires y"),
        (lambda x, t: (x.astype(str) + "a", t), "could not convert string"),
    ],
)
def test_bad_events_and_theta(small, change, message):
    with pytest.raises(ValueError, match=message):
        DCTRReweighter(**QUICK).fit(*change(*small))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (lambda t: np.ones(399), r"sample_weight has shape \(399,\), expected \(400,\)"),
        (lambda t: np.ones((400, 2)), r"shape \(400, 2\), expected \(400,\): one weight per event"),
        (np.ones_like, r"shape \(400, 1\), expected \(400,\)"),
        (lambda t: replaced(np.ones(400), np.nan), "sample_weight contains NaN"),
        (lambda t: replaced(np.ones(400), np.inf), "sample_weight contains infinity"),
        (lambda t: np.zeros(400), "sums to 0.*non-zero"),
        (lambda t: np.where(np.arange(400) % 2, 1.0, -1.0), "sums to 0.*positive sum"),
        (lambda t: -np.ones(400), "sums to -400"),
        (lambda t: (t[:, 0] == 0) * 1.0, "zero or less over the events away from θ₀"),
        (lambda t: np.where(t[:, 0] == 0, -0.5, 1.0), "zero or less over the events at θ₀"),
    ],
)
def test_bad_weights(small, weight, message):
    x, theta = small
    with pytest.raises(ValueError, match=message):
        DCTRReweighter(**QUICK).fit(x, theta, sample_weight=weight(theta))


@pytest.mark.parametrize(
    ("theta_nominal", "message"),
    [
        ({"theta": 0.0, "mu": 1.0}, "theta_nominal names an unknown parameter 'mu'"),
        ({"theta_": 0.0}, r"did you mean 'theta'\?"),
        ([0.0, 1.0], r"theta_nominal has shape \(2,\), expected \(1,\)"),
        (np.nan, "NaN or infinity"),
    ],
)
def test_bad_theta_nominal(small, theta_nominal, message):
    with pytest.raises(ValueError, match=message):
        DCTRReweighter(theta_nominal, **QUICK).fit(*small)


@pytest.mark.parametrize(
    "parameters",
    [
        {"lr": 0},
        {"lr": "fast"},
        {"batch_size": 0},
        {"max_epochs": "all"},
        {"n_estimators": 0},
        {"validation_fraction": 1.0},
        {"patience": 0},
        {"activation": "sigmoid"},
        {"lr_schedule": "cosine"},
        {"hidden_layer_sizes": (8, 0)},
        {"device": "gpu"},
        {"module": MLP(1)},
    ],
    ids=str,
)
def test_bad_parameters_are_named(small, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=name):
        DCTRReweighter(**QUICK | parameters).fit(*small)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, x: r.predict_weights(np.column_stack([x, x]), 0.5), "X has 2 features"),
        (lambda r, x: r.predict_weights(x[:, 0], 0.5), "Expected 2D array"),
        (lambda r, x: r.predict_weights(replaced(x, np.nan), 0.5), "X contains NaN"),
        (lambda r, x: r.predict_weights(x[:0], 0.5), "0 sample"),
        (lambda r, x: r.score(x, np.zeros(3)), "y has 3 rows"),
        (lambda r, x: r.score(x, np.zeros((len(x), 2))), r"expected \(1,\) or"),
        (lambda r, x: r.score(x, np.zeros(len(x)), sample_weight=np.zeros(len(x))), "sums to 0"),
    ],
)
def test_bad_input_after_the_fit(fitted, small, call, message):
    with pytest.raises(ValueError, match=message):
        call(fitted, small[0])


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.predict_weights([[0.0]], 1.0),
        lambda r: r.predict_log_weights([[0.0]], 1.0),
        lambda r: r.log_weight_gradient([[0.0]], 1.0),
        lambda r: r.predict_log_weight_spread([[0.0]], 1.0),
        lambda r: r.score([[0.0]], [1.0]),
    ],
)
def test_unfitted(call):
    with pytest.raises(NotFittedError, match="DCTRReweighter instance is not fitted yet"):
        call(DCTRReweighter())


@pytest.mark.slow
def test_reordered_columns_are_refused(rng):
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["pt", "eta"])
    theta = np.maximum(np.arange(200) % 4 - 1, 0)
    reweighter = DCTRReweighter(**QUICK).fit(frame, theta)
    with pytest.raises(ValueError, match="feature names should match"):
        reweighter.predict_weights(frame[["eta", "pt"]], 1.0)
