"""Fits do not depend on the unit of a parameter, nor on how far away its bounds are."""

import numpy as np
import pytest

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.datasets import (
    gaussian_2d_log_weight,
    gaussian_log_weight,
    make_gaussian,
    make_gaussian_2d,
)

N = 4000
UNITS = [1e-12, 1e-6, 1e3, 1e12]
# Bounds in units of the width of a Gaussian, a million errors at 10⁴ events among them.
BOUNDS = [1e4, None]
QUICK = {"max_epochs": 4, "random_state": 1}


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N, mu=0.3, n_sim=N, n_data=N, random_state=2)


def reweighter(unit=1.0, bound=2.0):
    def log_weight(x, theta):
        return gaussian_log_weight(x, theta / unit)

    bounds = None if bound is None else [(-bound * unit, bound * unit)]
    return AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds=bounds)


def fit(kind, toy, exact):
    if kind == "dctr":
        return DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    fitter = SRGNFitter(exact, objective=kind, **QUICK)
    return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)


@pytest.fixture(scope="module", params=["dctr", "optimal_observable", "auc"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def known(kind, toy):
    return fit(kind, toy, reweighter())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "bound"), [*((u, 2.0) for u in UNITS), *((1.0, b) for b in BOUNDS), (1e-6, None)]
)
def test_value_and_error_are_the_same_in_any_unit(kind, toy, known, unit, bound):
    found = fit(kind, toy, reweighter(unit, bound))
    error = known.result_.errors[0]
    # The solvers stop a small part of the error away from the solution.
    assert abs(found.theta_[0] / unit - known.theta_[0]) < 0.01 * error
    assert found.result_.errors[0] / unit == pytest.approx(error, rel=0.01)
    assert found.result_.valid
    for source, covariance in known.result_.sources.items():
        same = found.result_.sources[source] / unit**2
        np.testing.assert_allclose(same, covariance, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dctr", "optimal_observable", "auc"])
def test_two_parameters_of_units_far_apart(kind):
    toy = make_gaussian_2d(N, mu=0.3, sigma=1.1, n_sim=N, n_data=N, random_state=3)

    def fitted(units):
        def log_weight(x, theta):
            return gaussian_2d_log_weight(x, theta / units)

        bounds = np.array([(-2, 2), (0.5, 2)]) * units[:, None]
        nominal = {"mu": 0.0, "sigma": units[1]}
        return fit(kind, toy, AnalyticReweighter(log_weight, nominal, theta_bounds=bounds))

    known, units = fitted(np.ones(2)), np.array([1e-6, 1e5])
    found = fitted(units)
    assert (np.abs(found.theta_ / units - known.theta_) < 0.03 * known.result_.errors).all()
    np.testing.assert_allclose(
        found.covariance_ / np.outer(units, units), known.covariance_, rtol=0.05, atol=1e-6
    )


def test_gradients_are_those_of_the_formula_in_any_unit(toy):
    x = toy.sim_gen[:50]
    for unit in (*UNITS, 1.0):
        for bound in (2.0, *BOUNDS):
            exact = reweighter(unit, bound).fit(toy.sim_gen)
            gradient = exact.log_weight_gradient(x, 0.4 * unit)
            np.testing.assert_allclose(gradient * unit, x - 0.4, rtol=1e-6, atol=1e-8)


# At the ends of this range no nominal event is left, which does not matter at θ₀.
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SupportWarning")
def test_the_scale_is_the_inverse_of_the_scores_width(toy):
    rng = np.random.default_rng(4)
    theta = np.r_[np.zeros(N), rng.uniform(-20, 20, N)] * 1e-3
    x = rng.normal(theta / 1e-3)[:, None]
    learned = DCTRReweighter(max_epochs=3, random_state=0).fit(x, theta)
    exact = reweighter(1e-3, 20.0).fit(toy.sim_gen)
    for weights in (learned.bind(toy.sim_gen), exact.bind(toy.sim_gen)):
        # log w = xθ − θ²/2 of a Gaussian: a step of one width changes it by 1.
        assert weights.scale(np.zeros(1))[0] == pytest.approx(1e-3, rel=0.2)
        assert weights.subset(np.arange(100)).scale(np.zeros(1))[0] > 0


def test_a_parameter_without_effect_has_no_scale(toy):
    blind = AnalyticReweighter(lambda x, theta: np.zeros(len(x)), {"nu": 0.0}).fit(toy.sim_gen)
    assert blind.bind(toy.sim_gen).scale(np.zeros(1))[0] == np.inf
    np.testing.assert_array_equal(blind.log_weight_gradient(toy.sim_gen[:5], 0.3), np.zeros((5, 1)))


def test_a_formula_that_holds_in_a_narrow_range_is_not_left(toy):
    """A step beyond the range in which the density is positive would be no number."""

    def log_weight(x, theta):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(1 + theta[..., 0] * np.tanh(x[:, 0]))

    exact = AnalyticReweighter(log_weight, {"a": 0.0}).fit(toy.sim_gen)
    gradient = exact.log_weight_gradient(toy.sim_gen[:20], 0.2)
    t = np.tanh(toy.sim_gen[:20])
    np.testing.assert_allclose(gradient, t / (1 + 0.2 * t), rtol=1e-6)
