"""DCTRFitter against Gaussians whose density ratio is known, without detector.

Statistical tolerances are four standard errors, at fixed seeds.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter
from skdctr.datasets import gaussian_2d_log_weight, gaussian_log_weight, make_gaussian
from skdctr.datasets import make_gaussian_2d as make_2d
from skdctr.exceptions import (
    ClosureFitWarning,
    ConvergenceWarning,
    ExtrapolationWarning,
    IdentifiabilityWarning,
    NotFittedError,
)

N = 20_000
MU = 0.5
BOUNDS_2D = [(-2, 2), (0.4, 1.3)]


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N, mu=MU, random_state=1)


@pytest.fixture(scope="module")
def toy_2d():
    return make_2d(N, mu=-0.5, sigma=0.8, random_state=2)


@pytest.fixture
def exact():
    return AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])


@pytest.fixture
def exact_2d():
    return AnalyticReweighter(
        gaussian_2d_log_weight, {"mu": 0.0, "sigma": 1.0}, theta_bounds=BOUNDS_2D
    )


def test_both_solvers_find_the_mean(toy, exact):
    fits = [
        DCTRFitter(exact, solver=solver).fit(toy.sim_gen, data=toy.data_gen)
        for solver in ("lbfgs", "adam")
    ]
    for fitter in fits:
        error = fitter.result_.errors[0]
        assert fitter.result_.valid
        assert abs(fitter.theta_[0] - MU) < 4 * error
        # Eq. 3 is not the likelihood, but near θ₀ not far from its bound 1/√n.
        assert 1 / np.sqrt(N) < error < 2.5 / np.sqrt(N)
        assert fitter.n_iter_ == fitter.result_.n_evaluations
        assert fitter.theta_names_ == ["mu"]
    # Both find the same minimum, up to a gradient of 1e-6, far below the statistical error.
    assert abs(fits[0].theta_ - fits[1].theta_) < 0.01 * fits[0].result_.errors
    assert fits[0].result_.method == "DCTR, lbfgs"


@pytest.mark.slow
def test_both_solvers_find_mean_and_width(toy_2d, exact_2d):
    fits = [
        DCTRFitter(exact_2d, solver=solver, max_iter=400).fit(toy_2d.sim_gen, data=toy_2d.data_gen)
        for solver in ("lbfgs", "adam")
    ]
    for fitter in fits:
        difference = fitter.theta_ - toy_2d.theta_true
        chi2 = difference @ np.linalg.solve(fitter.covariance_, difference)
        assert chi2 < stats.chi2.isf(6e-5, 2)  # as rare as four standard errors
    assert (np.abs(fits[0].theta_ - fits[1].theta_) < 0.02 * fits[0].result_.errors).all()


@pytest.mark.slow
def test_learned_weights(toy):
    gen = make_gaussian(10, n_gen=N, random_state=3)
    fitter = DCTRFitter(random_state=0).fit(
        toy.sim_gen, data=toy.data_gen, gen=gen.gen, theta=pd.DataFrame(gen.theta, columns=["mu"])
    )
    assert isinstance(fitter.reweighter_, DCTRReweighter)
    assert fitter.theta_names_ == ["mu"]
    # Learned weights add the error of their two classes of generator events, about 2/√n.
    assert abs(fitter.theta_[0] - MU) < 4 * np.hypot(fitter.result_.errors[0], 2 / np.sqrt(N))


def test_errors_cover(exact):
    """Pulls of 40 toys have mean 0 and width 1."""
    n_toys, n = 40, 1000
    pulls = []
    for seed in range(n_toys):
        toy = make_gaussian(n, mu=MU, random_state=100 + seed)
        fitter = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
        pulls.append((fitter.theta_[0] - MU) / fitter.result_.errors[0])
    pulls = np.array(pulls)
    assert abs(pulls.mean()) < 4 / np.sqrt(n_toys)
    # (n − 1) s² follows χ² with n − 1 degrees of freedom: two-sided at four standard errors.
    s2 = pulls.var(ddof=1) * (n_toys - 1)
    assert stats.chi2.isf(1 - 3.2e-5, n_toys - 1) < s2 < stats.chi2.isf(3.2e-5, n_toys - 1)


def test_sources_of_the_error(toy, exact):
    fitter = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    sources = fitter.result_.sources
    assert set(sources) == {"data", "simulation"}
    np.testing.assert_allclose(sum(sources.values()), fitter.covariance_)
    assert fitter.hessian_.shape == (1, 1)
    assert fitter.hessian_[0, 0] > 0
    assert np.isnan(fitter.result_.auc)
    # A tenth of the data: ten times their variance, to 4/√(2n) of a variance's own error.
    fewer = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen[: N // 10])
    ratio = fewer.result_.sources["data"] / sources["data"]
    assert ratio[0, 0] == pytest.approx(10, rel=0.2)


# --- bounds and what cannot be fitted ---------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_fit_at_the_bound_is_marked(toy, exact, solver):
    fitter = DCTRFitter(exact, solver=solver, bounds={"mu": (-2, 0.1)})
    with pytest.warns(ConvergenceWarning, match="mu = 0.1 is at a bound"):
        fitter.fit(toy.sim_gen, data=toy.data_gen)
    assert fitter.theta_[0] == pytest.approx(0.1, abs=1e-6)
    assert not fitter.result_.valid
    assert "NOT VALID" in str(fitter.result_)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_start_outside_the_bounds(toy, exact, solver):
    fitter = DCTRFitter(exact, solver=solver, bounds=[(0.2, 1.5)])
    fitter.fit(toy.sim_gen, data=toy.data_gen)
    assert abs(fitter.theta_[0] - MU) < 4 * fitter.result_.errors[0]


def test_a_minimum_at_the_end_of_the_range_does_not_attract_the_start():
    """The mean turns at θ = 0.34 and at 0.84, and rises again towards the bound."""

    def mean(theta):
        return -0.1 * np.cos(2 * np.pi * theta + 1.0)

    def log_weight(x, theta):
        here, nominal = mean(theta[0]), mean(0.0)
        return x[:, 0] * (here - nominal) - (here**2 - nominal**2) / 2

    rng = np.random.default_rng(0)
    sim, data = (rng.normal(mean(theta), 1.0, (20_000, 1)) for theta in (0.0, 0.24))
    exact = AnalyticReweighter(log_weight, {"t": 0.0}, theta_bounds=[(-0.04, 1.1)]).fit(sim)
    found = DCTRFitter(exact).fit(sim, data=data).theta_[0]
    # Four errors of the difference of two means; at the bound it is 0.07 off.
    assert abs(mean(found) - mean(0.24)) < 4 * np.sqrt(2 / 20_000)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_no_bounds_at_all(toy, solver):
    unlimited = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0})
    fitter = DCTRFitter(unlimited, solver=solver, max_iter=400)
    fitter.fit(toy.sim_gen, data=toy.data_gen)
    assert abs(fitter.theta_[0] - MU) < 4 * fitter.result_.errors[0]


def test_wrong_bounds(toy, exact):
    with pytest.raises(ValueError, match="unknown parameter 'nu'; known are"):
        DCTRFitter(exact, bounds={"nu": (0, 1)}).fit(toy.sim_gen, data=toy.data_gen)
    with pytest.raises(ValueError, match="low < high"):
        DCTRFitter(exact, bounds=[(1, 0)]).fit(toy.sim_gen, data=toy.data_gen)


def test_fit_beyond_the_trained_range_warns(toy):
    narrow = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-0.1, 0.1)])
    with pytest.warns(ExtrapolationWarning, match=r"outside \[-0.1, 0.1\]"):
        DCTRFitter(narrow, bounds=[(-2, 2)]).fit(toy.sim_gen, data=toy.data_gen)


def test_parameter_without_effect_is_not_identified(toy, exact):
    def log_weight(x, theta):
        return gaussian_log_weight(x, theta[..., :1])

    blind = AnalyticReweighter(log_weight, {"mu": 0.0, "nu": 0.0}, theta_bounds=[(-2, 2), (-1, 1)])
    with pytest.warns(IdentifiabilityWarning, match=r"^not identified: \['nu'\]$"):
        fitter = DCTRFitter(blind).fit(toy.sim_gen, data=toy.data_gen)
    assert not fitter.result_.valid
    assert "not identified: ['nu']" in fitter.result_.messages
    # The other parameter keeps the error of the fit without this one.
    alone = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    assert fitter.covariance_[0, 0] == pytest.approx(alone.covariance_[0, 0], rel=1e-4)
    assert np.isnan(fitter.covariance_[1]).all()
    assert np.isnan(fitter.covariance_[:, 1]).all()


def test_parameters_that_only_count_in_sum_are_both_not_identified(toy, exact):
    def log_weight(x, theta):
        return gaussian_log_weight(x, theta.sum(axis=-1, keepdims=True))

    twice = AnalyticReweighter(log_weight, {"a": 0.0, "b": 0.0}, theta_bounds=[(-2, 2), (-2, 2)])
    with pytest.warns(IdentifiabilityWarning, match=r"not identified: \['a', 'b'\]"):
        fitter = DCTRFitter(twice).fit(toy.sim_gen, data=toy.data_gen)
    assert np.isnan(fitter.covariance_).all()
    # The sum of the two is the fit of one parameter, to well below its statistical error.
    alone = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    assert abs(fitter.theta_.sum() - alone.theta_[0]) < 0.01 * alone.result_.errors[0]


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_stopped_early_is_said(toy_2d, exact_2d, solver):
    fitter = DCTRFitter(exact_2d, solver=solver, max_iter=2)
    with pytest.warns(ConvergenceWarning, match="stopped"):
        fitter.fit(toy_2d.sim_gen, data=toy_2d.data_gen)
    assert not fitter.result_.valid


# --- samples and weights ----------------------------------------------------------------------


def test_closure(toy, exact):
    with pytest.warns(ClosureFitWarning, match="fitted to itself"):
        fitter = DCTRFitter(exact).fit(toy.sim_gen)
    # The same events are on both sides, so that the gradient at θ₀ vanishes.
    assert fitter.theta_[0] == pytest.approx(0, abs=1e-6)


def test_y_is_ignored_where_there_are_no_data(toy, exact):
    with pytest.warns(ClosureFitWarning):
        fitter = DCTRFitter(exact).fit(toy.sim_gen, np.full(N, np.nan))
    np.testing.assert_allclose(fitter.theta_, 0.0, atol=1e-6)


def test_weight_two_is_two_events(toy, exact):
    repeats = 1 + np.arange(N) % 2
    weighted = DCTRFitter(exact).fit(
        toy.sim_gen, data=toy.data_gen, sample_weight=repeats, data_weight=4 * repeats
    )
    repeated = DCTRFitter(exact).fit(
        np.repeat(toy.sim_gen, repeats, axis=0), data=np.repeat(toy.data_gen, repeats, axis=0)
    )
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, rtol=1e-5)
    # But it is one event, and the error larger: by √(10/9) for weights of 1 and 2.
    ratio = weighted.result_.errors[0] / repeated.result_.errors[0]
    assert ratio == pytest.approx(np.sqrt(5 / 3), rel=0.02)


def test_data_weights_shift_the_data(toy, exact):
    data = make_gaussian(N, mu=0.0, random_state=5)
    weight = np.exp(gaussian_log_weight(data.data_gen, MU))
    fitter = DCTRFitter(exact).fit(toy.sim_gen, data=data.data_gen, data_weight=weight)
    assert abs(fitter.theta_[0] - MU) < 4 * fitter.result_.errors[0]


def test_inputs_of_any_kind_give_the_same_result(toy, exact):
    samples = [np.round(4 * toy.sim_gen[:500]), np.round(4 * toy.data_gen[:500])]
    reference = DCTRFitter(exact).fit(samples[0], data=samples[1])

    def read_only(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    for convert in (
        lambda a: a.astype(np.float32),
        lambda a: a.astype(int),
        pd.DataFrame,
        np.asfortranarray,
        read_only,
    ):
        other = DCTRFitter(exact).fit(convert(samples[0]), data=convert(samples[1]))
        np.testing.assert_array_equal(reference.theta_, other.theta_)


def test_bad_input(toy, exact):
    x, data = toy.sim_gen[:100], toy.data_gen[:100]
    fitter = DCTRFitter(exact)
    for bad, message in ((np.nan, "NaN"), (np.inf, "infinity")):
        with pytest.raises(ValueError, match=message):
            fitter.fit(np.where(x > 1, bad, x), data=data)
        with pytest.raises(ValueError, match=message):
            fitter.fit(x, data=np.where(data > 1, bad, data))
    with pytest.raises(ValueError, match="data has 2 features, expected 1"):
        fitter.fit(x, data=np.hstack([data, data]))
    with pytest.raises(ValueError, match="0 sample"):
        fitter.fit(x, data=data[:0])
    with pytest.raises(ValueError, match="non-zero"):
        fitter.fit(x, data=data, data_weight=np.zeros(100))
    with pytest.raises(NotFittedError, match="gen=gen, theta=theta"):
        DCTRFitter(DCTRReweighter()).fit(x, data=data)
    with pytest.raises(ValueError, match="gen was given without theta"):
        DCTRFitter().fit(x, data=data, gen=x)
    with pytest.raises(ValueError, match="solver"):
        DCTRFitter(exact, solver="newton").fit(x, data=data)
    assert not [name for name in vars(fitter) if name.endswith("_")]


def test_failed_fit_keeps_the_earlier_one(toy, exact):
    fitter = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    state = dict(vars(fitter))
    with pytest.raises(ValueError, match="features"):
        fitter.fit(np.hstack([toy.sim_gen, toy.sim_gen]), data=toy.data_gen)
    assert all(vars(fitter)[name] is value for name, value in state.items())


# --- scikit-learn's conventions ---------------------------------------------------------------


def test_verbose(toy, exact, capfd):
    DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    assert capfd.readouterr() == ("", "")
    DCTRFitter(exact, verbose=1).fit(toy.sim_gen, data=toy.data_gen)
    assert "DCTR fit" in capfd.readouterr().err


def test_clone_and_pickle(toy, exact):
    fitter = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    loaded = pickle.loads(pickle.dumps(fitter))
    np.testing.assert_array_equal(loaded.theta_, fitter.theta_)
    assert not hasattr(clone(fitter), "theta_")
    assert clone(fitter).set_params(reweighter__theta_nominal=1.0).reweighter.theta_nominal == 1.0


def test_score_needs_events_for_every_fold(toy, exact):
    fitter = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen[:3])
    message = "has 3 events; score needs 4 at least"
    with pytest.raises(ValueError, match=r"X \(sim_gen\) " + message):
        fitter.score(toy.sim_gen[:3], data=toy.data_gen)
    # The data are those of the fit, which needs fewer events.
    with pytest.raises(ValueError, match=f"data {message}"):
        fitter.score(toy.sim_gen)


@pytest.mark.slow
def test_score_and_model_selection():
    n = 4000
    toy = make_gaussian(n, mu=MU, random_state=1)
    frozen = FrozenEstimator(
        AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)]).fit(
            toy.sim_gen
        )
    )
    # The AUC of two samples of k events fluctuates by 1/√(6 k), more where weights do.
    error = 1.3 / np.sqrt(6 * n / 2)
    scores = cross_validate(
        DCTRFitter(frozen), toy.sim_gen, cv=2, params={"data": toy.data_gen[: n // 2]}
    )
    assert (np.abs(scores["test_score"] - 0.5) < 4 * error).all()
    grid = GridSearchCV(DCTRFitter(frozen, solver="adam", lr=0.2), {"max_iter": [1, 100]}, cv=2)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        grid.fit(toy.sim_gen, data=toy.data_gen)
    assert grid.best_params_ == {"max_iter": 100}


def test_a_descent_that_leaps_away_gives_its_start():
    toy = make_gaussian(2000, mu=0.5, random_state=1)
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    fitter = DCTRFitter(exact, solver="adam", lr=50.0, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="loss is larger than at its start"):
        fitter.fit(toy.sim_gen, data=toy.data_gen)
    assert not fitter.result_.valid
    # The nearest of the values that are tried first: θ₀ and eight steps over the range.
    assert fitter.theta_[0] == pytest.approx(0.5, abs=0.25)
