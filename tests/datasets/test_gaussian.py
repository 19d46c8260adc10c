"""The Gaussian data sets against their densities.

Statistical tolerances are four standard errors, at fixed seeds.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate, stats

from skdctr.datasets import (
    dependent_detector_log_weight,
    dependent_detector_log_weight_primary,
    gaussian_2d_log_weight,
    gaussian_log_weight,
    make_dependent_detector,
    make_gaussian,
    make_gaussian_2d,
)

MAKERS = [make_gaussian, make_gaussian_2d, make_dependent_detector]
LOG_WEIGHTS = [
    (gaussian_log_weight, 1, [[-1.5], [0.0], [0.7]]),
    (gaussian_2d_log_weight, 1, [[-1.5, 0.3], [0.0, 1.0], [1.0, 2.5]]),
    (dependent_detector_log_weight, 2, [[-1.5], [0.0], [1.5]]),
    (dependent_detector_log_weight_primary, 2, [[-1.5], [0.0], [1.5]]),
]
SAMPLES = ["gen", "theta", "sim_gen", "sim_reco", "data", "data_gen"]


def weighted_mean(values, log_weight):
    """Self-normalised mean and its standard error."""
    weight = np.exp(log_weight)
    weight /= weight.sum()
    mean = weight @ values
    return mean, np.linalg.norm(weight * (values - mean))


def nu(mu):
    return (0.7 + 0.2 * mu) ** 2


# --- samples --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maker", "n_features", "names"),
    [
        (make_gaussian, 1, ["mu"]),
        (make_gaussian_2d, 1, ["mu", "sigma"]),
        (make_dependent_detector, 2, ["mu"]),
    ],
)
def test_shapes_and_names(maker, n_features, names):
    bunch = maker(10, n_gen=20, n_sim=30, n_data=40, random_state=0)
    p = len(names)
    assert bunch.gen.shape == (40, n_features)
    assert bunch.theta.shape == (40, p)
    assert bunch.sim_gen.shape == (30, n_features)
    assert bunch.sim_reco.shape == (30, 1)
    assert bunch.data.shape == (40, 1)
    assert bunch.data_gen.shape == (40, n_features)
    assert all(bunch[name].dtype == np.float64 for name in SAMPLES)
    assert bunch.theta_names == names
    assert bunch.theta_nominal.shape == bunch.theta_true.shape == (p,)
    assert list(bunch.bounds) == names
    np.testing.assert_array_equal(bunch.theta[:20], np.tile(bunch.theta_nominal, (20, 1)))
    assert len(np.unique(bunch.theta[20:], axis=0)) == 20


def test_default_sizes_follow_n_events():
    bunch = make_gaussian(12, random_state=0)
    assert [len(bunch[name]) for name in SAMPLES] == [24, 24, 12, 12, 12, 12]


@pytest.mark.parametrize("maker", MAKERS)
def test_frames_hold_the_same_numbers(maker):
    arrays = maker(10, random_state=0)
    frames = maker(10, as_frame=True, random_state=0)
    features = ["x0", "x1"] if maker is make_dependent_detector else ["x"]
    for name in SAMPLES:
        assert isinstance(frames[name], pd.DataFrame)
        np.testing.assert_array_equal(frames[name].to_numpy(), arrays[name])
    for name in ("gen", "sim_gen", "data_gen"):
        assert list(frames[name].columns) == features
    assert list(frames.sim_reco.columns) == list(frames.data.columns) == ["x"]
    assert list(frames.theta.columns) == frames.theta_names
    np.testing.assert_array_equal(
        frames.log_weight(frames.gen, frames.theta), arrays.log_weight(arrays.gen, arrays.theta)
    )


@pytest.mark.parametrize("maker", MAKERS)
def test_samples_are_independent_streams(maker):
    first = maker(50, random_state=3)
    groups = {
        "n_gen": ["gen", "theta"],
        "n_sim": ["sim_gen", "sim_reco"],
        "n_data": ["data", "data_gen"],
    }
    for size, changed in groups.items():
        second = maker(50, **{size: 70}, random_state=3)
        for name in SAMPLES:
            same = np.array_equal(first[name], second[name])
            assert same is (name not in changed)
    # Not one stream used three times.
    nominal = maker(50, mu=0.0, random_state=3)
    assert not np.isin(nominal.data_gen, nominal.sim_gen).any()
    assert not np.isin(nominal.gen, nominal.sim_gen).any()


@pytest.mark.parametrize("maker", MAKERS)
def test_seeds(maker):
    first, second, other = (maker(20, random_state=seed) for seed in (1, 1, 2))
    for name in set(SAMPLES) - {"theta"}:
        np.testing.assert_array_equal(first[name], second[name])
        assert not np.isin(first[name], other[name]).any()
    generator = np.random.RandomState(1)
    np.testing.assert_array_equal(maker(20, random_state=generator).gen, first.gen)
    assert not np.isin(maker(20, random_state=generator).gen, first.gen).any()
    maker(20)


def test_gaussian_distributions():
    n = 20_000
    bunch = make_gaussian(n, mu=0.8, epsilon=0.3, bounds=(-1, 2), random_state=4)
    varied = bunch.theta[n:, 0]
    reco = np.hypot(1, 0.3)
    for values, expected in (
        (bunch.gen[:n, 0], stats.norm()),
        (varied, stats.uniform(-1, 3)),
        (bunch.gen[n:, 0] - varied, stats.norm()),
        (bunch.sim_gen[:, 0], stats.norm()),
        (bunch.sim_reco[:, 0] - bunch.sim_gen[:, 0], stats.norm(0, 0.3)),
        (bunch.sim_reco[:, 0], stats.norm(0, reco)),
        (bunch.data_gen[:, 0], stats.norm(0.8)),
        (bunch.data[:, 0], stats.norm(0.8, reco)),
    ):
        assert stats.kstest(values, expected.cdf).pvalue > 1e-3


def test_gaussian_2d_distributions():
    n = 20_000
    bunch = make_gaussian_2d(n, mu=-0.5, sigma=0.6, epsilon=0.4, random_state=5)
    mu, sigma = bunch.theta[n:].T
    for values, expected in (
        (bunch.gen[:n, 0], stats.norm()),
        (mu, stats.uniform(-2, 4)),
        (sigma, stats.uniform(0.25, 3.75)),
        ((bunch.gen[n:, 0] - mu) / sigma, stats.norm()),
        (bunch.sim_reco[:, 0], stats.norm(0, np.hypot(1, 0.4))),
        (bunch.data_gen[:, 0], stats.norm(-0.5, 0.6)),
        (bunch.data[:, 0], stats.norm(-0.5, np.hypot(0.6, 0.4))),
    ):
        assert stats.kstest(values, expected.cdf).pvalue > 1e-3
    # Mean and width are drawn independently of each other.
    assert abs(np.corrcoef(mu, sigma)[0, 1]) < 4 / np.sqrt(n)


def test_dependent_detector_distributions():
    n = 20_000
    bunch = make_dependent_detector(n, mu=1.2, random_state=6)
    varied = bunch.theta[n:, 0]
    noise = bunch.data[:, 0] - bunch.data_gen[:, 0]
    secondary = bunch.data_gen[:, 1]
    for values, expected in (
        (bunch.gen[:n, 0], stats.norm()),
        (bunch.gen[:n, 1], stats.norm(0, nu(0))),
        (bunch.gen[n:, 0] - varied, stats.norm()),
        (bunch.gen[n:, 1] / nu(varied), stats.norm()),
        (bunch.data_gen[:, 0], stats.norm(1.2)),
        (secondary, stats.norm(0, nu(1.2))),
        ((noise - 4 * abs(secondary)) / secondary**2, stats.norm()),
    ):
        assert stats.kstest(values, expected.cdf).pvalue > 1e-3
    assert bunch.fisher_information is None


def test_without_detector_both_levels_agree():
    bunch = make_gaussian(10, epsilon=0, random_state=0)
    np.testing.assert_array_equal(bunch.sim_reco, bunch.sim_gen)
    np.testing.assert_array_equal(bunch.data, bunch.data_gen)
    assert bunch.fisher_information.tolist() == [[1.0]]


def test_truth_may_lie_outside_bounds():
    bunch = make_gaussian(10, mu=5, bounds={"mu": (0, 1)}, random_state=0)
    assert bunch.theta_true.tolist() == [5.0]
    assert bunch.bounds == {"mu": (0.0, 1.0)}


# --- exact weights --------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [-1.7, 0.0, 0.4])
def test_gaussian_log_weight_is_the_ratio_of_densities(theta):
    x = np.linspace(-4, 4, 33)
    expected = stats.norm.logpdf(x, theta) - stats.norm.logpdf(x)
    np.testing.assert_allclose(gaussian_log_weight(x[:, None], theta), expected, atol=1e-13)


@pytest.mark.parametrize("theta", [(-1.7, 0.3), (0.0, 1.0), (1.0, 3.0)])
def test_gaussian_2d_log_weight_is_the_ratio_of_densities(theta):
    x = np.linspace(-4, 4, 33)
    expected = stats.norm.logpdf(x, *theta) - stats.norm.logpdf(x)
    np.testing.assert_allclose(gaussian_2d_log_weight(x[:, None], theta), expected, atol=1e-12)


@pytest.mark.parametrize("mu", [-1.7, 0.0, 1.5])
def test_dependent_detector_log_weight_is_the_ratio_of_densities(mu):
    X = np.random.default_rng(0).normal(size=(50, 2))
    primary = stats.norm.logpdf(X[:, 0], mu) - stats.norm.logpdf(X[:, 0])
    secondary = stats.norm.logpdf(X[:, 1], 0, nu(mu)) - stats.norm.logpdf(X[:, 1], 0, nu(0))
    both = dependent_detector_log_weight(X, mu)
    np.testing.assert_allclose(both, primary + secondary, rtol=1e-12, atol=1e-12)
    for columns in (X, X[:, :1]):
        alone = dependent_detector_log_weight_primary(columns, mu)
        np.testing.assert_allclose(alone, primary, atol=1e-13)


@pytest.mark.parametrize(("log_weight", "n_features", "thetas"), LOG_WEIGHTS)
def test_log_weight_with_a_row_of_theta_per_event(log_weight, n_features, thetas):
    X = np.random.default_rng(1).normal(size=(3, n_features))
    together = log_weight(X, thetas)
    one_by_one = [log_weight(X[i : i + 1], thetas[i])[0] for i in range(3)]
    np.testing.assert_array_equal(together, one_by_one)
    assert together.shape == (3,)
    # The nominal parameters leave every weight at one.
    assert together[1] == 0


@pytest.mark.parametrize(("log_weight", "n_features", "thetas"), LOG_WEIGHTS)
def test_log_weight_of_tensors(log_weight, n_features, thetas):
    X = np.random.default_rng(2).normal(size=(3, n_features))
    expected = log_weight(X, thetas)
    events, parameters = torch.tensor(X), torch.tensor(thetas, dtype=torch.float64)
    for arguments in ((events, parameters), (events, thetas), (X, parameters)):
        result = log_weight(*arguments)
        assert isinstance(result, torch.Tensor)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13, atol=1e-14)
    assert log_weight(events.float(), thetas).dtype == torch.float32
    # The array behind a DataFrame may be read-only, of which torch would warn.
    frame = pd.DataFrame(X)
    torch.testing.assert_close(log_weight(frame, parameters), log_weight(events, parameters))

    events.requires_grad_(True)
    parameters.requires_grad_(True)
    assert torch.autograd.gradcheck(log_weight, (events, parameters))


def test_score_by_autograd_is_the_analytic_one():
    x = torch.tensor([[0.3], [-1.2]], dtype=torch.float64)
    theta = torch.tensor([[0.5, 0.8], [-1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(gaussian_2d_log_weight(x, theta).sum(), theta)
    mu, sigma = theta.detach().T
    pull = (x[:, 0] - mu) / sigma
    expected = torch.stack([pull / sigma, (pull**2 - 1) / sigma], dim=1)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("maker", MAKERS)
def test_bunches_and_weights_are_picklable(maker):
    bunch = pickle.loads(pickle.dumps(maker(5, random_state=0)))
    assert np.isfinite(bunch.log_weight(bunch.gen, bunch.theta)).all()
    assert pickle.loads(pickle.dumps(bunch.log_weight)) is bunch.log_weight


def test_gaussian_reweighting_moves_the_simulation():
    bunch = make_gaussian(10, n_sim=100_000, random_state=7)
    x, y = bunch.sim_gen[:, 0], bunch.sim_reco[:, 0]
    for mu in (-1.0, 0.5, 1.0):
        log_weight = bunch.log_weight(bunch.sim_gen, mu)
        for values, expected in (
            (x, mu),
            ((x - mu) ** 2, 1.0),
            (y, mu),
            ((y - mu) ** 2, 1.25),
        ):
            mean, error = weighted_mean(values, log_weight)
            assert abs(mean - expected) < 4 * error


def test_gaussian_2d_reweighting_moves_the_simulation():
    bunch = make_gaussian_2d(10, n_sim=100_000, random_state=8)
    x, y = bunch.sim_gen[:, 0], bunch.sim_reco[:, 0]
    for mu, sigma in ((-1.0, 0.75), (0.5, 1.2)):
        log_weight = bunch.log_weight(bunch.sim_gen, (mu, sigma))
        for values, expected in (
            (x, mu),
            ((x - mu) ** 2, sigma**2),
            (y, mu),
            ((y - mu) ** 2, sigma**2 + 0.25),
        ):
            mean, error = weighted_mean(values, log_weight)
            assert abs(mean - expected) < 4 * error


def test_dependent_detector_needs_the_full_phase_space():
    # Fig. 4 of the SRGN paper: the primary feature alone fails at reco level.
    bunch = make_dependent_detector(10, mu=1.0, n_sim=100_000, n_data=100_000, random_state=9)
    reco, data = bunch.sim_reco[:, 0], bunch.data[:, 0]
    full = bunch.log_weight(bunch.sim_gen, 1.0)
    primary = bunch.log_weight_primary(bunch.sim_gen, 1.0)
    for function in (np.positive, lambda x: x > 6):
        expected = function(data).mean()
        error_data = function(data).std() / np.sqrt(len(data))
        mean, error = weighted_mean(function(reco), full)
        assert abs(mean - expected) < 4 * np.hypot(error, error_data)
        mean, error = weighted_mean(function(reco), primary)
        assert abs(mean - expected) > 10 * np.hypot(error, error_data)
    # E[X_S] = μ + 4 E|x₁|, and the primary weights keep the nominal ν.
    mean, error = weighted_mean(reco, primary)
    assert abs(mean - (1 + 4 * nu(0) * np.sqrt(2 / np.pi))) < 4 * error


# --- Fisher information ---------------------------------------------------------------------


def numerical_information(log_density, theta, step=1e-4):
    """E[∇ log p ∇ log pᵀ] by central differences and quadrature."""
    shifts = step * np.eye(len(theta))

    def score(x):
        return [
            (log_density(x, theta + shift) - log_density(x, theta - shift)) / (2 * step)
            for shift in shifts
        ]

    def element(i, j):
        def integrand(x):
            gradient = score(x)
            return np.exp(log_density(x, theta)) * gradient[i] * gradient[j]

        return integrate.quad(integrand, -20, 20, points=[theta[0]], limit=200)[0]

    return [[element(i, j) for j in range(len(theta))] for i in range(len(theta))]


@pytest.mark.parametrize(("mu", "epsilon"), [(1.0, 0.5), (-0.3, 2.0)])
def test_gaussian_information(mu, epsilon):
    bunch = make_gaussian(2, mu=mu, epsilon=epsilon, random_state=0)
    expected = numerical_information(
        lambda x, theta: stats.norm.logpdf(x, theta[0], np.hypot(1, epsilon)), bunch.theta_true
    )
    np.testing.assert_allclose(bunch.fisher_information, expected, rtol=1e-6)


@pytest.mark.parametrize(("mu", "sigma", "epsilon"), [(-1.0, 0.75, 0.5), (0.4, 1.3, 0.0)])
def test_gaussian_2d_information(mu, sigma, epsilon):
    bunch = make_gaussian_2d(2, mu=mu, sigma=sigma, epsilon=epsilon, random_state=0)
    expected = numerical_information(
        lambda x, theta: stats.norm.logpdf(x, theta[0], np.hypot(theta[1], epsilon)),
        bunch.theta_true,
    )
    np.testing.assert_allclose(bunch.fisher_information, expected, rtol=1e-6, atol=1e-8)


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"n_events": 0}, ValueError, "n_events must be at least 1, got 0"),
        ({"n_events": 10.0}, TypeError, r"n_events must be an int, got 10\.0; pass a number of"),
        ({"n_gen": -1}, ValueError, "n_gen must be at least 1"),
        ({"n_sim": True}, TypeError, "n_sim must be an int, got True"),
        ({"n_data": "many"}, TypeError, "n_data must be an int, got 'many'"),
        ({"mu": "large"}, TypeError, "mu must be a real number, got 'large'"),
        ({"mu": np.nan}, ValueError, "mu must be finite"),
        ({"mu": [1.0]}, TypeError, "mu must be a real number"),
        ({"as_frame": "yes"}, TypeError, "as_frame must be a bool"),
        ({"bounds": {"nu": (0, 1)}}, ValueError, r"bounds has the parameters \['nu'\]"),
        ({"bounds": 3}, TypeError, "bounds.* must be a"),
        ({"random_state": "seed"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_arguments(maker, options, error, match):
    with pytest.raises(error, match=match):
        maker(**{"n_events": 5, **options})


@pytest.mark.parametrize(
    ("maker", "options", "error", "match"),
    [
        (make_gaussian, {"epsilon": -0.1}, ValueError, "epsilon must be at least 0"),
        (make_gaussian, {"bounds": (1, 1)}, ValueError, "bounds of mu must increase"),
        (make_gaussian, {"bounds": (0, np.inf)}, ValueError, "bounds of mu must be finite"),
        (make_gaussian, {"bounds": (0, 1, 2)}, TypeError, "bounds of mu must be a pair"),
        (make_gaussian, {"bounds": ("a", "b")}, TypeError, "bounds of mu must be a real"),
        (make_gaussian_2d, {"sigma": 0}, ValueError, "sigma must be above 0, got 0"),
        (make_gaussian_2d, {"epsilon": None}, TypeError, "epsilon must be a real number"),
        (make_gaussian_2d, {"bounds": (0, 1)}, TypeError, "bounds must be a mapping"),
        (make_gaussian_2d, {"bounds": {"mu": (0, 1)}}, ValueError, "bounds has the parameters"),
        (
            make_gaussian_2d,
            {"bounds": {"mu": (0, 1), "sigma": (0, 1)}},
            ValueError,
            "bounds of sigma must be above 0",
        ),
        (make_dependent_detector, {"mu": -3.5}, ValueError, "mu must be above -3.5"),
        (make_dependent_detector, {"bounds": (-4, 0)}, ValueError, "bounds of mu must be above"),
    ],
)
def test_bad_arguments_of_one(maker, options, error, match):
    with pytest.raises(error, match=match):
        maker(5, **options)


@pytest.mark.parametrize(
    ("log_weight", "X", "theta", "match"),
    [
        (gaussian_log_weight, [0.0, 1.0], 0.5, r"X has shape \(2,\), expected \(n, 1\)"),
        (gaussian_log_weight, [[0.0, 1.0]], 0.5, r"X has shape \(1, 2\)"),
        (gaussian_log_weight, [[0.0], [1.0]], [0.5, 0.6], r"theta has shape \(2,\)"),
        (gaussian_2d_log_weight, [[0.0]], 0.5, r"theta has shape \(\), expected \(2,\)"),
        (gaussian_2d_log_weight, [[0.0]], [[0.5, 1.0]] * 2, r"theta has shape \(2, 2\)"),
        (gaussian_2d_log_weight, [[0.0]], [0.5, -1.0], "sigma = -1, expected values above 0"),
        (dependent_detector_log_weight, [[0.0]], 0.5, r"expected \(n, 2\)"),
        (dependent_detector_log_weight, [[0.0, 1.0]], -3.6, "mu = -3.6, expected values above"),
        (dependent_detector_log_weight_primary, [[0.0] * 3], 0.5, r"expected \(n, 1 or 2\)"),
        (gaussian_2d_log_weight, torch.zeros(2, 1), torch.tensor([0.0, 0.0]), "sigma = 0"),
        (gaussian_log_weight, torch.zeros(2), 0.0, r"X has shape \(2,\)"),
    ],
)
def test_bad_events_and_parameters(log_weight, X, theta, match):
    with pytest.raises(ValueError, match=match):
        log_weight(X, theta)
