"""The optimal observable on Gaussians with a Gaussian detector, where all is known exactly.

Statistical tolerances are four standard errors of what the fit quotes, at fixed seeds; the quoted
errors themselves are compared with those that the samples allow.
"""

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian, make_gaussian_2d
from skdctr.exceptions import (
    ClosureFitWarning,
    IdentifiabilityWarning,
    ModelMismatchWarning,
    PopulationWarning,
)
from skdctr.networks import SeparableNetwork
from skdctr.observable.equation import EstimatingEquation
from skdctr.observable.problem import LearnedWeights, ObservableProblem
from skdctr.observable.regression import RegressionOptions
from skdctr.parameters.space import ParameterSpace
from skdctr.training.settings import NetworkSettings

N = 20_000
N_SIGMA = 4
FAST = {"objective": "optimal_observable", "max_epochs": 4, "batch_size": 1000, "device": "cpu"}


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N, random_state=3)


@pytest.fixture(scope="module")
def exact(toy):
    return AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])


QUICK = {
    "module": SeparableNetwork,
    "max_epochs": 5,
    "batch_size": 1000,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def learned(toy):
    return DCTRReweighter(**QUICK).fit(toy.gen, pd.DataFrame({"mu": np.ravel(toy.theta)}))


def fit(reweighter, toy, **options):
    given = {key: options.pop(key) for key in ("gen", "theta") if key in options}
    fitter = SRGNFitter(reweighter, **FAST | {"random_state": 0} | options)
    return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data, **given)


def pull(fitter, truth, k=0):
    return (fitter.theta_[k] - truth) / np.sqrt(fitter.covariance_[k, k])


@pytest.fixture(scope="module")
def alone(exact, toy):
    """Fit without generator events; tests share the fit, as no question changes it."""
    return fit(exact, toy)


@pytest.fixture(scope="module")
def together(exact, toy):
    return fit(exact, toy, gen=toy.gen, theta=toy.theta)


# --- value and error ------------------------------------------------------------------------


@pytest.mark.slow
def test_finds_the_mean_with_the_error_that_the_samples_allow(alone):
    assert abs(pull(alone, 1.0)) < N_SIGMA
    result = alone.result_
    assert result.valid
    # Data: √(1 + ε²) / √N for a score that is linear in x_S. Simulation: of nominal events with
    # weights e^x, whose squares have mean e and average (x_S − μ)² at x_G = 2μ.
    data, simulation = (np.sqrt(result.sources[key][0, 0]) for key in ("data", "simulation"))
    assert data == pytest.approx(np.sqrt(1.25 / N), rel=0.05)
    assert simulation == pytest.approx(np.sqrt(np.e * (1 + 1 + 0.25) / N), rel=0.25)
    assert set(result.sources) == {"data", "simulation"}


@pytest.mark.slow
def test_generator_events_take_the_place_of_the_simulations_fluctuation(alone, together):
    without = alone.result_
    assert abs(pull(together, 1.0)) < N_SIGMA
    sources = together.result_.sources
    # Only the detector's smearing is left of the simulation's error: 0.25 of 2.25.
    assert sources["simulation"][0, 0] < 0.3 * without.sources["simulation"][0, 0]
    assert together.covariance_[0, 0] < without.covariance[0, 0]
    assert sources["generator"][0, 0] > 0


@pytest.mark.slow
def test_learned_weights_with_the_generator_sample(learned, toy):
    fitter = fit(clone(learned), toy, gen=toy.gen, theta=pd.DataFrame({"mu": np.ravel(toy.theta)}))
    assert fitter.theta_names_ == ["mu"]
    assert abs(pull(fitter, 1.0)) < N_SIGMA
    assert set(fitter.result_.sources) == {"data", "simulation", "generator"}


@pytest.mark.slow
def test_the_generator_sample_mends_wrong_weights(toy):
    """The weights are for a width of 1.3 where it is 1, and wrong at first order in μ."""

    def wrong(x, theta):
        return (x[:, 0] * theta[0] - theta[0] ** 2 / 2) / 1.3**2

    reweighter = AnalyticReweighter(wrong, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelMismatchWarning)
        alone = fit(reweighter, toy)
    assert abs(pull(alone, 1.0)) > 10
    samples = _problem(reweighter.fit(toy.sim_gen), toy)
    found = _solve(samples, degree=2)
    error = np.sqrt(sum(found.sources.values())[0, 0])
    assert abs(found.theta[0] - 1.0) < N_SIGMA * error
    assert error < 3 * np.sqrt(1.25 / N)


def _problem(reweighter, toy):
    from skdctr.fitting.observable_problem import observable_problem
    from skdctr.fitting.samples import GeneratorInput, Samples
    from skdctr.parameters.constraints import Constraints
    from skdctr.reweighting.base import parameter_space

    samples = Samples(toy.sim_gen, toy.sim_reco, toy.data, np.ones(N), np.ones(len(toy.data)))
    return observable_problem(
        samples,
        reweighter.bind(toy.sim_gen),
        reweighter,
        GeneratorInput(toy.gen, toy.theta),
        space=parameter_space(reweighter).within([(-2.0, 2.0)]),
        constraints=Constraints(),
        seed=0,
    )


def _solve(problem, degree):
    from skdctr.observable.fit import fit_observable
    from skdctr.observable.generator import Correction

    options = RegressionOptions.of(NetworkSettings.of(SRGNFitter(**FAST)))
    return fit_observable(problem, options, corrections=[Correction(degree, 1.0)], seed=0)


def test_theta_of_the_generator_sample_is_checked(exact, toy):
    theta = np.ravel(toy.theta)
    for given, message in (
        (np.column_stack([theta, theta]), r"theta has shape .* for the parameters \['mu'\]"),
        (pd.DataFrame({"mv": theta}), "unknown parameter 'mv'"),
        (theta[:-1], "theta has .* rows for .* events"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(exact, toy, gen=toy.gen, theta=given)


@pytest.mark.slow
def test_two_parameters(learned):
    toy = make_gaussian_2d(N, random_state=5)
    reweighter = AnalyticReweighter(
        toy.log_weight, {"mu": 0.0, "sigma": 1.0}, theta_bounds=list(toy.bounds.values())
    )
    fitter = fit(reweighter, toy, gen=toy.gen, theta=toy.theta)
    for k, truth in enumerate((-1.0, 0.75)):
        assert abs(pull(fitter, truth, k)) < N_SIGMA
    # x_S has the variance σ² + ε², so that Var μ̂ = (σ² + ε²)/N and Var σ̂ = (σ² + ε²)²/(2 N σ²).
    variance = 0.75**2 + 0.25
    bound = np.sqrt([variance / N, variance**2 / (2 * N * 0.75**2)])
    data = np.sqrt(np.diag(fitter.result_.sources["data"]))
    assert (data > 0.95 * bound).all()
    assert (data < 1.25 * bound).all()


def test_at_generator_level(exact, toy):
    data = np.random.default_rng(1).normal(1.0, 1.0, (N, 1))
    fitter = SRGNFitter(exact, random_state=0, **FAST)
    fitter.fit(toy.sim_gen, None, data, gen=toy.gen, theta=toy.theta)
    assert abs(pull(fitter, 1.0)) < N_SIGMA
    assert fitter.result_.sources["simulation"][0, 0] == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_from_far_away(toy):
    """Data 1.9 widths from nominal: the first step goes as far as the simulation reaches."""
    far = make_gaussian(N, mu=1.9, random_state=8)
    exact = AnalyticReweighter(far.log_weight, {"mu": 0.0}, theta_bounds=[(-2.5, 2.5)])
    fitter = fit(exact, far, gen=far.gen, theta=far.theta)
    assert abs(pull(fitter, 1.9)) < N_SIGMA
    assert fitter.result_.converged


@pytest.mark.slow
def test_event_weights(exact, toy, alone):
    """Half of the events of data and simulation have weight 2: 2.25/2.5 of them are effective."""
    weight = np.where(np.arange(N) % 2, 1.0, 2.0)
    fitter = SRGNFitter(exact, random_state=0, **FAST).fit(
        toy.sim_gen, toy.sim_reco, toy.data, sample_weight=weight, data_weight=weight
    )
    assert abs(pull(fitter, 1.0)) < N_SIGMA
    plain = alone.result_.sources["data"][0, 0]
    assert fitter.result_.sources["data"][0, 0] == pytest.approx(plain * 2.5 / 2.25, rel=0.05)


@pytest.mark.slow
def test_same_seed_same_bits(exact, toy, together):
    again = fit(exact, toy, gen=toy.gen, theta=toy.theta)
    np.testing.assert_array_equal(again.theta_, together.theta_)
    np.testing.assert_array_equal(again.covariance_, together.covariance_)


# --- events that are lost -------------------------------------------------------------------


def lose(x, reco, rng):
    lost = rng.random(len(x)) > 1 / (1 + np.exp(-(x[:, 0] + 0.5)))
    return np.where(lost[:, None], np.nan, reco)


@pytest.mark.slow
@pytest.mark.parametrize("with_generator", [False, True])
def test_acceptance_that_depends_on_the_event_does_not_bias(exact, with_generator):
    rng = np.random.default_rng(11)
    toy = make_gaussian(2 * N, random_state=11)
    data_gen = rng.normal(1.0, 1.0, (2 * N, 1))
    data = lose(data_gen, data_gen + rng.normal(0, 0.5, data_gen.shape), rng)
    reco = lose(toy.sim_gen, toy.sim_reco, rng)
    fitter = SRGNFitter(exact, random_state=0, **FAST)
    given = {"gen": toy.gen, "theta": toy.theta} if with_generator else {}
    fitter.fit(toy.sim_gen, reco, data[~np.isnan(data[:, 0])], **given)
    assert abs(pull(fitter, 1.0)) < N_SIGMA
    assert fitter.result_.p_value > 1e-4


@pytest.mark.slow
def test_a_simulation_without_its_lost_events_is_noticed(exact, toy):
    rng = np.random.default_rng(12)
    reco = lose(toy.sim_gen, toy.sim_reco, rng)
    kept = ~np.isnan(reco[:, 0])
    data_gen = rng.normal(1.0, 1.0, (N, 1))
    data = lose(data_gen, data_gen + rng.normal(0, 0.5, data_gen.shape), rng)
    data = data[~np.isnan(data[:, 0])]
    fitter = SRGNFitter(exact, random_state=0, **FAST)
    with pytest.warns(PopulationWarning, match="another population"):
        fitter.fit(toy.sim_gen[kept], reco[kept], data, gen=toy.gen, theta=toy.theta)
    assert "generator" not in fitter.result_.sources
    # The weights themselves are right for any selection that θ does not enter.
    assert abs(pull(fitter, 1.0)) < N_SIGMA


@pytest.mark.slow
def test_the_auc_leaves_lost_events_out(exact, toy):
    rng = np.random.default_rng(13)
    data_gen = rng.normal(1.0, 1.0, (N, 1))
    data = lose(data_gen, data_gen + rng.normal(0, 0.5, data_gen.shape), rng)
    reco = lose(toy.sim_gen, toy.sim_reco, rng)
    fitter = SRGNFitter(exact, max_epochs=4, random_state=0, device="cpu")
    data = data[~np.isnan(data[:, 0])]
    fitter.fit(toy.sim_gen, reco, data)
    assert abs(pull(fitter, 1.0)) < N_SIGMA
    n_lost = int(np.isnan(reco[:, 0]).sum())
    assert fitter.result_.n_events == {
        "simulated": N,
        "data": len(data),
        "lost by the reconstruction": n_lost,
    }
    assert 0.4 < fitter.score(toy.sim_gen, reco, data) < 0.55


def test_a_reconstruction_that_loses_all_events_is_an_error(exact, toy):
    with pytest.raises(ValueError, match="all NaN"):
        SRGNFitter(exact, **FAST).fit(toy.sim_gen, np.full_like(toy.sim_reco, np.nan), toy.data)


def test_steps_are_measured_where_the_score_is_the_narrower():
    """A fit must not stop because weights are flat where its last score was taken."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1_000, 1))
    slope = {0.0: 3.0, 1.0: 0.1}
    weights = SimpleNamespace(
        log_weights=lambda theta: np.zeros(len(x)),
        gradient=lambda theta: slope[float(theta[0])] * x,
    )
    space = ParameterSpace(("mu",), np.array([0.0]), np.array([-1.0]), np.array([2.0]))
    problem = ObservableProblem(
        parts=[LearnedWeights(weights, data=weights)],
        sim_gen=x,
        sim=x,
        passed=np.ones(len(x), dtype=bool),
        sim_weight=np.ones(len(x)),
        data=x,
        data_weight=np.ones(len(x)),
        space=space,
    )
    options = RegressionOptions.of(NetworkSettings.of(SRGNFitter(**FAST)))
    for start, end in ((0.0, 1.0), (1.0, 0.0)):
        equation = EstimatingEquation(problem, np.array([start]), options, corrections=())
        assert equation.distance(np.array([end])) == pytest.approx(3.0 * x.std())


# --- what the fit cannot know ---------------------------------------------------------------


@pytest.mark.slow
def test_frozen_weights_without_a_refit_say_that_their_error_is_missing(toy):
    fitter = fit(DCTRReweighter(**QUICK, refit=False).fit(toy.gen, toy.theta), toy)
    assert any("error of the learned weights" in note for note in fitter.result_.messages)
    assert set(fitter.result_.sources) == {"data", "simulation", "generator"}
    assert np.isnan(fitter.covariance_).all()


@pytest.mark.slow
def test_an_ensemble_without_a_refit_estimates_the_error_of_the_weights(toy):
    ensemble = DCTRReweighter(**QUICK, n_estimators=3, refit=False).fit(toy.gen, toy.theta)
    fitter = fit(ensemble, toy)
    assert fitter.result_.sources["training"][0, 0] > 0
    assert not any("error of the learned" in note for note in fitter.result_.messages)


@pytest.mark.slow
def test_a_parameter_that_changes_nothing_is_not_identified(toy):
    def log_weight(x, theta):
        return x[:, 0] * theta[0] - theta[0] ** 2 / 2 + 0 * theta[1]

    reweighter = AnalyticReweighter(
        log_weight, {"mu": 0.0, "idle": 0.0}, theta_bounds=[(-2, 2), (-1, 1)]
    )
    with pytest.warns(IdentifiabilityWarning, match="idle"):
        fitter = fit(reweighter, toy)
    assert abs(pull(fitter, 1.0)) < N_SIGMA
    assert np.isnan(fitter.covariance_[1, 1])
    assert not fitter.result_.valid


@pytest.mark.slow
def test_data_that_no_theta_describes_are_reported(exact, toy):
    data = np.random.default_rng(2).normal(1.0, 0.6, (N, 1))
    fitter = SRGNFitter(exact, random_state=0, device="cpu", objective="optimal_observable")
    with pytest.warns(ModelMismatchWarning, match="no θ describes the data"):
        fitter.fit(toy.sim_gen, toy.sim_reco, data)
    assert fitter.result_.p_value < 1e-4


@pytest.mark.slow
def test_closure_fit_gives_nominal_back(exact, toy):
    fitter = SRGNFitter(exact, random_state=0, **FAST)
    with pytest.warns(ClosureFitWarning):
        fitter.fit(toy.sim_gen, toy.sim_reco)
    # One side is cross-fitted, the other not: the same events cancel but for networks' noise.
    assert abs(fitter.theta_[0]) < np.sqrt(fitter.covariance_[0, 0])


# --- intervals, constraints, expectations ---------------------------------------------------


def test_intervals_are_those_of_the_covariance_where_chi2_is_a_parabola(together):
    table = together.confidence_interval(level=0.6827)
    error = np.sqrt(together.covariance_[0, 0])
    low, high = table.loc[together.theta_names_[0], ["low", "high"]]
    assert low == pytest.approx(together.theta_[0] - error, abs=0.1 * error)
    assert high == pytest.approx(together.theta_[0] + error, abs=0.1 * error)
    assert together.chi_square_(together.theta_) == pytest.approx(0, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
def test_constraints_enter_as_gaussians(request, exact, toy, objective):
    options = FAST | {"objective": objective}
    make = partial(SRGNFitter, exact, random_state=0, **options)
    if objective == FAST["objective"]:
        free = request.getfixturevalue("alone")
    else:
        free = make().fit(toy.sim_gen, toy.sim_reco, toy.data)
    variance = free.covariance_[0, 0]
    mean, deviation = free.theta_[0] + 0.02, np.sqrt(variance)
    held = make(constraints={"mu": (mean, deviation)}).fit(toy.sim_gen, toy.sim_reco, toy.data)
    # Two measurements of equal error: their mean, with half of the variance.
    assert held.theta_[0] == pytest.approx(free.theta_[0] + 0.01, abs=0.15 * deviation)
    assert held.covariance_[0, 0] == pytest.approx(variance / 2, rel=0.05)
    assert held.result_.sources["constraints"][0, 0] == pytest.approx(variance / 4, rel=0.1)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"nu": (0, 1)}, "unknown parameter 'nu'"),
        ({"mu": (0, 0)}, "the latter positive"),
        ({"mu": 1.0}, "expected \\(mean, σ\\)"),
        ({"mu": (np.nan, 1)}, "finite"),
    ],
)
def test_constraints_are_checked(exact, toy, constraints, message):
    with pytest.raises(ValueError, match=message):
        SRGNFitter(exact, constraints=constraints, **FAST).fit(toy.sim_gen, toy.sim_reco, toy.data)


def test_expected_covariance_is_that_of_the_data(alone):
    expected = alone.expected_covariance({"mu": 1.0}, 10 * N)
    assert expected.loc["mu", "mu"] == pytest.approx(1.25 / (10 * N), rel=0.1)
    with pytest.raises(ValueError, match="n_events must be above 0"):
        alone.expected_covariance([1.0], 0)


@pytest.mark.slow
def test_an_ensemble_of_fits(exact, toy):
    fitter = fit(exact, toy, n_runs=3)
    assert len(fitter.runs_) == 3
    assert "training" in fitter.result_.sources
    # The χ² of an ensemble is the parabola of its covariance.
    interval = fitter.confidence_interval()
    assert interval.loc["mu", "high"] - fitter.theta_[0] == pytest.approx(
        np.sqrt(fitter.covariance_[0, 0]), rel=0.01
    )
