"""SRGNFitter against Gaussians whose density ratio is known.

Fits use exact weights and small networks, so that their errors are those of the samples.
Statistical tolerances are four standard errors, at fixed seeds.
"""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.comparison.surrogate import surrogate
from skdctr.datasets import gaussian_log_weight, make_gaussian, make_gaussian_2d
from skdctr.exceptions import (
    ClosureFitWarning,
    ConvergenceWarning,
    ExtrapolationWarning,
    IdentifiabilityWarning,
    LowEffectiveSampleSizeWarning,
    NotFittedError,
    SkdctrWarning,
)
from skdctr.fitting.runs import combine_runs, outliers
from skdctr.fitting.verdict import Quality, doubtful_weights
from skdctr.parameters.space import ParameterSpace
from skdctr.results import FitResult
from skdctr.results.covariance import Sources
from skdctr.results.messages import UNKNOWN_WEIGHTS, Message, warn_of
from skdctr.reweighting.base import parameter_space

N = 4000
MU = 0.5
QUICK = {"max_epochs": 6, "batch_size": 500, "hidden_layer_sizes": 16, "random_state": 1}
TINY = {**QUICK, "max_epochs": 1, "max_evaluations": 4}
STOPPED = pytest.mark.filterwarnings(
    # These fits are cut short to be quick, or lost on purpose: what they find does not matter.
    "ignore::skdctr.exceptions.ConvergenceWarning",
    "ignore::skdctr.exceptions.IdentifiabilityWarning",
    "ignore::skdctr.exceptions.LowEffectiveSampleSizeWarning",
)


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N, mu=MU, random_state=1)


@pytest.fixture(scope="module")
def small():
    return make_gaussian(300, mu=MU, random_state=1)


@pytest.fixture
def exact():
    return AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])


@pytest.fixture(scope="module")
def fitted(toy):
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    return SRGNFitter(exact, **QUICK).fit(toy.sim_gen, toy.sim_reco, toy.data)


def pull(fitter, truth=MU, k=0):
    return (fitter.theta_[k] - truth) / fitter.result_.errors[k]


# --- the fit finds the truth ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["auc", "loss"])
@pytest.mark.parametrize(
    ("search", "options"),
    [
        ("surrogate", {}),
        ("powell", {"tol": 0.01, "max_evaluations": 40}),
        ("scan", {"n_points": 7, "bounds": {"mu": (-1, 2)}}),
    ],
)
@pytest.mark.filterwarnings("ignore:the error of one descent")  # what powell says of every fit
def test_every_objective_and_search_finds_the_mean(toy, exact, objective, search, options):
    fitter = SRGNFitter(exact, objective=objective, search=search, **QUICK, **options)
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert fitter.result_.valid
    assert abs(pull(fitter)) < 4
    # Data alone reach 1/√(n I) at best; a search that doubles that three times has failed.
    bound = 1 / np.sqrt(N * toy.fisher_information[0, 0])
    assert 0.9 * bound < fitter.result_.errors[0] < 8 * bound
    assert abs(fitter.auc_ - 0.5) < 4 * fitter.result_.auc_error
    assert fitter.result_.method == f"{objective} objective, {search} search"


def test_error_of_the_default_search_is_near_the_bound(toy, fitted):
    # Data and simulation contribute, the latter more, as its weights fluctuate.
    bound = 1 / np.sqrt(N * toy.fisher_information[0, 0])
    sources = fitted.result_.sources
    assert np.sqrt(sources["data"][0, 0]) == pytest.approx(bound, rel=0.1)
    assert bound < np.sqrt(sources["simulation"][0, 0]) < 2 * bound
    np.testing.assert_allclose(sum(sources.values()), fitted.covariance_)
    assert fitted.theta_names_ == ["mu"]


@pytest.mark.slow
def test_mean_and_width_together():
    toy = make_gaussian_2d(N, mu=-0.5, sigma=0.8, random_state=2)
    exact = AnalyticReweighter(
        toy.log_weight, {"mu": 0.0, "sigma": 1.0}, theta_bounds=[(-2, 2), (0.4, 1.3)]
    )
    fitter = SRGNFitter(exact, **{**QUICK, "max_epochs": 15})
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert fitter.result_.valid
    assert fitter.theta_names_ == ["mu", "sigma"]
    difference = fitter.theta_ - toy.theta_true
    chi2 = difference @ np.linalg.solve(fitter.covariance_, difference)
    assert chi2 < stats.chi2.isf(6e-5, 2)  # as rare as four standard errors
    # The Cramér-Rao bound of the data, to a factor of three for the finite simulation.
    bound = np.sqrt(np.diag(np.linalg.inv(N * toy.fisher_information)))
    assert (fitter.result_.errors > bound).all()
    assert (fitter.result_.errors < 3 * bound).all()


@pytest.mark.slow
def test_reweighter_is_learned_from_the_generator_sample(toy):
    reweighter = DCTRReweighter(max_epochs=12, batch_size=1000)
    n = 8000
    gen = make_gaussian(10, n_gen=n, random_state=3)
    theta = pd.DataFrame(gen.theta, columns=["mu"])
    fitter = SRGNFitter(reweighter, **QUICK)
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data, gen=gen.gen, theta=theta)
    assert fitter.theta_names_ == ["mu"]
    # The error of learned weights is not in the covariance: two classes of n generator events
    # add about 2/√n.
    error = np.hypot(fitter.result_.errors[0], 2 / np.sqrt(n))
    assert abs(fitter.theta_[0] - MU) < 4 * error
    assert not hasattr(reweighter, "net_")  # the one passed in stays as it was


@pytest.mark.slow
@STOPPED
def test_default_with_a_generator_sample_is_learned(small):
    fitter = SRGNFitter(**TINY)
    args = (small.sim_gen, small.sim_reco, small.data)
    fitter.fit(*args, gen=small.gen, theta=small.theta[:, 0])
    assert isinstance(fitter.reweighter_, DCTRReweighter)
    assert fitter.theta_names_ == ["theta"]


@pytest.mark.slow
def test_fitted_and_frozen_reweighters_are_used_as_they_are(toy, small):
    gen = make_gaussian(10, n_gen=1000, random_state=3)
    reweighter = DCTRReweighter(max_epochs=1, random_state=0).fit(gen.gen, gen.theta)
    before = reweighter.predict_log_weights(toy.sim_gen, 0.5)
    first = SRGNFitter(reweighter, **TINY)
    second = SRGNFitter(FrozenEstimator(reweighter), **TINY)
    with pytest.warns(ConvergenceWarning):  # cut short
        first.fit(small.sim_gen, small.sim_reco, small.data)
    with pytest.warns(ConvergenceWarning):
        second.fit(small.sim_gen, small.sim_reco, small.data)
    assert first.reweighter_ is reweighter
    np.testing.assert_array_equal(first.theta_, second.theta_)
    np.testing.assert_array_equal(before, reweighter.predict_log_weights(toy.sim_gen, 0.5))


def test_default_is_the_exponential_tilt():
    # θ is in units of the width of sim_gen, whatever its scale, here 3, and its offset, here 10.
    toy = make_gaussian(N, mu=MU, random_state=1, as_frame=True)
    frames = [10 + 3 * frame for frame in (toy.sim_gen, toy.sim_reco, toy.data)]
    fitter = SRGNFitter(**QUICK).fit(*frames)
    assert fitter.theta_names_ == ["x"]
    # θ is counted from the mean of the sample, in its width: 1/√n each, on top.
    error = np.hypot(fitter.result_.errors[0], np.sqrt(1 + MU**2 / 2) / np.sqrt(N))
    assert abs(fitter.theta_[0] - MU) < 4 * error


def test_without_reco_the_fit_is_at_generator_level(toy, exact):
    fitter = SRGNFitter(exact, **QUICK).fit(toy.sim_gen, data=toy.data_gen)
    assert abs(pull(fitter)) < 4
    assert fitter.result_.errors[0] < np.sqrt(0.9 * (2 + MU**2) * 1.5 / N)


def test_without_data_the_fit_is_a_closure(toy, exact):
    with pytest.warns(ClosureFitWarning, match="fitted to itself"):
        fitter = SRGNFitter(exact, **QUICK).fit(toy.sim_gen, toy.sim_reco)
    # Data and simulation are the same events: no fluctuation between them is left.
    assert abs(pull(fitter, 0.0)) < 0.5
    with pytest.raises(ValueError, match="data_weight was given without data"):
        SRGNFitter(exact).fit(toy.sim_gen, toy.sim_reco, data_weight=np.ones(N))


@pytest.mark.slow
def test_errors_cover():
    """Pulls of 40 toys have mean 0 and width 1."""
    n_toys, n = 40, 2000
    pulls = []
    for seed in range(n_toys):
        toy = make_gaussian(n, mu=MU, random_state=100 + seed)
        exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
        fitter = SRGNFitter(exact, **{**QUICK, "random_state": seed})
        pulls.append(pull(fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)))
    pulls = np.array(pulls)
    assert abs(pulls.mean()) < 4 / np.sqrt(n_toys)
    # (n − 1) s² follows χ² with n − 1 degrees of freedom: two-sided at four standard errors,
    # which is 0.60 < s < 1.47 for 40 toys.
    s2 = pulls.var(ddof=1) * (n_toys - 1)
    assert stats.chi2.isf(1 - 3.2e-5, n_toys - 1) < s2 < stats.chi2.isf(3.2e-5, n_toys - 1)


# --- weights ----------------------------------------------------------------------------------


def test_data_weights_shift_the_data(toy, exact):
    data = make_gaussian(N, mu=0.0, random_state=5)
    weight = np.exp(gaussian_log_weight(data.data_gen, MU))
    fitter = SRGNFitter(exact, **QUICK)
    fitter.fit(toy.sim_gen, toy.sim_reco, data.data, data_weight=weight)
    assert abs(pull(fitter)) < 4


def test_simulation_weights_make_the_nominal_sample(toy, exact):
    # Events are simulated at 0.3 and weighted to 0.
    sim = make_gaussian(10, n_data=N, mu=0.3, random_state=5)
    weight = np.exp(-gaussian_log_weight(sim.data_gen, 0.3))
    fitter = SRGNFitter(exact, **QUICK)
    fitter.fit(sim.data_gen, sim.data, toy.data, sample_weight=weight)
    assert abs(pull(fitter)) < 4


def test_signed_weights(toy, exact):
    # A tenth of the events counts minus one: those are at 0 too, so that the density is the same.
    sign = np.where(np.arange(N) % 10 == 0, -1.0, 1.0)
    fitter = SRGNFitter(exact, **QUICK)
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data, sample_weight=sign)
    assert abs(pull(fitter)) < 4


@pytest.mark.slow
def test_weight_two_is_two_events(toy, exact):
    n = N // 2
    weight = np.where(np.arange(n) % 2 == 0, 2.0, 1.0)
    repeats = weight.astype(int)
    weighted = SRGNFitter(exact, **QUICK).fit(
        toy.sim_gen[:n], toy.sim_reco[:n], toy.data[:n], sample_weight=weight, data_weight=weight
    )
    repeated = SRGNFitter(exact, **QUICK).fit(
        *(
            np.repeat(sample[:n], repeats, axis=0)
            for sample in (toy.sim_gen, toy.sim_reco, toy.data)
        )
    )
    # The events are the same, so that only the noise of training is left.
    assert abs(weighted.theta_ - repeated.theta_) < weighted.result_.errors
    # Weights are no new events: the error is larger than that of as many independent ones.
    assert weighted.result_.errors[0] > 1.02 * repeated.result_.errors[0]


@STOPPED
def test_scale_of_weights_does_not_matter(small, exact):
    weight = np.random.default_rng(0).uniform(0.5, 1.5, 300)
    args = (small.sim_gen, small.sim_reco, small.data)
    one = SRGNFitter(exact, **TINY).fit(*args, sample_weight=weight, data_weight=weight)
    # Powers of two are exact in floating point.
    other = SRGNFitter(exact, **TINY).fit(*args, sample_weight=4 * weight, data_weight=weight / 8)
    np.testing.assert_array_equal(one.theta_, other.theta_)
    np.testing.assert_array_equal(one.covariance_, other.covariance_)


# --- bounds -----------------------------------------------------------------------------------


@STOPPED
def test_bounds_by_name_and_by_order(small, exact):
    args = (small.sim_gen, small.sim_reco, small.data)
    fits = [
        SRGNFitter(exact, bounds=bounds, **TINY).fit(*args)
        for bounds in ({"mu": (-1, 1.5)}, [(-1, 1.5)], (-1, 1.5), np.array([[-1, 1.5]]))
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0].theta_, other.theta_)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"nu": (0, 1)}, "unknown parameter 'nu'; known are"),
        ({"mu": (1, 0)}, "low < high"),
        ({"mu": (0, np.inf)}, "finite"),
        ([(0, 1), (0, 1)], r"expected numbers of shape \(1, 2\)"),
    ],
)
def test_wrong_bounds(small, exact, bounds, message):
    with pytest.raises(ValueError, match=message):
        SRGNFitter(exact, bounds=bounds, **TINY).fit(small.sim_gen, small.sim_reco, small.data)


def test_start_outside_the_bounds(toy, exact):
    fitter = SRGNFitter(exact, bounds=[(0.2, 1.5)], **QUICK)
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert abs(pull(fitter)) < 4
    assert fitter.scan_["mu"].min() >= 0.2


def test_fit_at_the_bound_is_marked(toy, exact):
    fitter = SRGNFitter(exact, bounds=[(-2, 0.1)], **QUICK)
    with pytest.warns(ConvergenceWarning, match="mu = 0.1 is at a bound"):
        fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert not fitter.result_.valid
    assert "NOT VALID" in str(fitter.result_)
    assert fitter.theta_[0] == pytest.approx(0.1, abs=0.003)
    # A classifier tells data and simulation apart there.
    assert fitter.auc_ > 0.5 + 4 * fitter.result_.auc_error


@STOPPED
def test_fit_beyond_the_trained_range_warns(small):
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-0.1, 0.1)])
    fitter = SRGNFitter(exact, bounds=[(-2, 2)], **TINY)
    with pytest.warns(ExtrapolationWarning, match=r"mu=.* is outside \[-0.1, 0.1\]"):
        fitter.fit(small.sim_gen, small.sim_reco, small.data)


@pytest.mark.parametrize("search", ["powell", "scan"])
def test_searches_that_need_bounds_say_so(small, search):
    unlimited = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0})
    with pytest.raises(ValueError, match="needs finite bounds"):
        SRGNFitter(unlimited, search=search, **TINY).fit(small.sim_gen, small.sim_reco, small.data)


def test_surrogate_needs_no_bounds(toy):
    unlimited = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0})
    fitter = SRGNFitter(unlimited, **QUICK).fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert abs(pull(fitter)) < 4


@STOPPED
def test_few_effective_events_warn(toy):
    # Data five widths away: a handful of simulated events carries all the weight.
    far = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0})
    fitter = SRGNFitter(far, search="scan", n_points=3, bounds=[(3.5, 4.5)], **QUICK)
    with pytest.warns(LowEffectiveSampleSizeWarning, match="few effective events"):
        fitter.fit(toy.sim_gen, toy.sim_reco, toy.data + 4)


def test_weights_of_infinite_variance_are_reported(rng):
    # Width 1 reweighted to width 3: the effective size does not show what is missing.
    sim = rng.normal(size=(4_000, 1))
    weights = np.exp(sim[:, 0] ** 2 / 2 * (1 - 1 / 9))
    theta = np.array([3.0])
    space = parameter_space(AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}).fit(sim))
    quality = Quality.of_weights(weights)
    (message,) = doubtful_weights(theta, space, quality)
    with pytest.warns(LowEffectiveSampleSizeWarning, match="heavy tail"):
        warn_of([message])
    assert doubtful_weights(theta, space, replace(quality, tail_index=0.5)) == []


@pytest.mark.slow
def test_parameter_without_effect_is_not_identified(toy):
    def log_weight(x, theta):
        return gaussian_log_weight(x, theta[..., :1])

    blind = AnalyticReweighter(log_weight, {"mu": 0.0, "nu": 0.0}, theta_bounds=[(-2, 2), (-1, 1)])
    with pytest.warns(IdentifiabilityWarning, match="nu"):
        fitter = SRGNFitter(blind, **QUICK).fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert not fitter.result_.valid
    assert np.isnan(fitter.result_.errors[1])
    assert abs(pull(fitter)) < 4


# --- ensembles and bookkeeping ----------------------------------------------------------------


def test_outliers_are_those_of_the_papers():
    space = ParameterSpace(("a",), np.zeros(1), np.array([0.0]), np.array([1.0]))
    theta = np.array([0.5, 0.51, 0.49, 0.5, 0.52, 0.48, 0.5, 0.505, 0.8, 0.02, 0.97])[:, None]
    expected = [False] * 8 + [True] * 3
    assert outliers(theta, space).tolist() == expected


def run_result(theta, **changes):
    return FitResult(
        theta=np.array([theta]),
        names=["mu"],
        covariance=np.array([[0.01]]),
        sources=changes.get("sources", Sources(data=np.array([[0.01]]))),
        auc=0.5,
        auc_error=0.01,
        n_evaluations=7,
        effective_sample_size=100.0,
        n_events={"simulated": 100, "data": 100},
        converged=changes.get("converged", True),
        method="",
        messages=changes.get("messages", []),
        expected_auc=changes.get("expected_auc", 0.5),
    )


def test_runs_left_out_say_nothing_of_the_result():
    space = ParameterSpace(("a",), np.zeros(1), np.array([-1.0]), np.array([1.0]))
    lost = run_result(0.99, converged=False, messages=[Message("mu = 0.99 is at a bound")])
    kept = [run_result(0.1, expected_auc=0.51), run_result(0.2, expected_auc=0.53)]
    combined, runs = combine_runs([*kept, lost], space, trained_weights=False)
    assert combined.expected_auc == pytest.approx(0.52)
    assert runs["outlier"].tolist() == [False, False, True]
    assert combined.converged
    assert combined.messages == ["1 of 3 runs are outliers, left out"]
    assert combined.n_evaluations == 21
    # Where no run would be left, all of them are averaged.
    combined, _ = combine_runs([lost, run_result(-0.99)], space, trained_weights=False)
    assert not combined.converged
    assert combined.messages == [
        *lost.messages,
        "every run is an outlier: their plain mean is given",
    ]
    # A kept run that did not converge counts.
    unsure = run_result(0.2, converged=False)
    combined, _ = combine_runs([run_result(0.1), unsure], space, trained_weights=False)
    assert not combined.converged


def test_runs_with_weights_in_common_keep_what_these_do_not_know():
    space = ParameterSpace(("a",), np.zeros(1), np.array([-1.0]), np.array([1.0]))
    unknown = Sources(data=np.array([[0.01]]), generator=np.array([[np.nan]]))
    runs = [
        run_result(theta, messages=[UNKNOWN_WEIGHTS], sources=unknown) for theta in (0.1, 0.2, 0.15)
    ]
    spread = np.var([0.1, 0.2, 0.15], ddof=1) / 3
    shared, _ = combine_runs(runs, space, trained_weights=False)
    assert shared.messages == [UNKNOWN_WEIGHTS]
    assert shared.sources["training"][0, 0] == pytest.approx(spread)
    assert np.isnan(shared.covariance[0, 0])
    # Where each run has weights of its own, their error is in the spread.
    own = combine_runs(runs, space, trained_weights=True)[0]
    assert own.messages == []
    assert own.covariance[0, 0] == pytest.approx(own.sources["data"][0, 0] + spread)
    # The error that an ensemble knows of weights in common is no part of the spread.
    known = [replace(run, sources=Sources(training=np.array([[0.3]])), messages=[]) for run in runs]
    shared, _ = combine_runs(known, space, trained_weights=False)
    assert shared.sources["training"][0, 0] == pytest.approx(0.3 + spread)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 0, np.random.RandomState(0)])
def test_every_run_trains_another_reweighter_whatever_its_seed(small, monkeypatch, seed):
    quick = DCTRReweighter(max_epochs=1, random_state=seed, device="cpu")
    fitter = SRGNFitter(quick, **{**QUICK, "n_runs": 3, "max_epochs": 1})
    seen, fit = [], DCTRReweighter.fit

    def note(reweighter, *args, **options):
        seen.append(reweighter.random_state)
        return fit(reweighter, *args, **options)

    monkeypatch.setattr(DCTRReweighter, "fit", note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkdctrWarning)
        fitter.fit(small.sim_gen, small.sim_reco, small.data, gen=small.gen, theta=small.theta)
    assert len({id(one) if one is seed else one for one in seen}) == 3
    # The first run has the seed of a fit of one run.
    if isinstance(seed, int):
        assert seen[0] == seed


def test_ensemble(toy, exact):
    options = {**QUICK, "max_epochs": 2, "n_runs": 3}
    fitter = SRGNFitter(exact, **options).fit(toy.sim_gen, toy.sim_reco, toy.data)
    runs = fitter.runs_
    assert len(runs) == 3
    assert list(runs.columns) == ["mu", "mu_error", "auc", "converged", "outlier"]
    assert runs["mu"].nunique() == 3
    kept = runs.loc[~runs["outlier"], "mu"]
    assert fitter.theta_[0] == pytest.approx(kept.mean())
    assert fitter.result_.sources["training"][0, 0] == pytest.approx(kept.var(ddof=1) / len(kept))
    assert set(fitter.scan_["run"]) == {0, 1, 2}
    assert len(fitter.scan_) == fitter.result_.n_evaluations


@pytest.mark.parametrize("n_runs", [1, 3])
def test_only_a_single_descent_is_called_rough(small, exact, n_runs):
    options = {**TINY, "max_evaluations": 12, "n_runs": n_runs}
    fitter = SRGNFitter(exact, search="powell", **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fitter.fit(small.sim_gen, small.sim_reco, small.data)
    shown = [str(w.message) for w in caught] + fitter.result_.messages
    rough = [text for text in shown if "one descent is a rough estimate" in text]
    assert len(rough) == (2 if n_runs == 1 else 0)
    assert ("training" in fitter.result_.sources) == (n_runs > 1)


@STOPPED
@pytest.mark.slow  # each process imports torch
def test_parallel_runs_give_the_same_numbers(small, exact):
    args = (small.sim_gen, small.sim_reco, small.data)
    one = SRGNFitter(exact, n_runs=3, **TINY).fit(*args)
    two = SRGNFitter(exact, n_runs=3, n_jobs=2, **TINY).fit(*args)
    pd.testing.assert_frame_equal(one.runs_, two.runs_)
    pd.testing.assert_frame_equal(one.scan_, two.scan_)
    np.testing.assert_array_equal(one.covariance_, two.covariance_)


@STOPPED
@pytest.mark.slow  # each process imports torch
def test_parallel_scan_gives_the_same_numbers(small, exact):
    args = (small.sim_gen, small.sim_reco, small.data)
    options = TINY | {"search": "scan", "n_points": 5, "max_evaluations": 6}
    one = SRGNFitter(exact, **options).fit(*args)
    two = SRGNFitter(exact, n_jobs=2, **options).fit(*args)
    assert len(one.scan_) == 6
    pd.testing.assert_frame_equal(one.scan_, two.scan_)
    np.testing.assert_array_equal(one.covariance_, two.covariance_)


def test_scan_holds_every_theta(fitted):
    assert len(fitted.scan_) == fitted.result_.n_evaluations
    assert list(fitted.scan_.columns) == [
        "mu",
        "auc",
        "auc_error",
        "loss",
        "effective_sample_size",
        "run",
    ]
    assert not fitted.scan_["mu"].duplicated().any()
    last = fitted.scan_.iloc[-1]
    assert last["mu"] == fitted.theta_[0]
    assert last["auc"] == fitted.auc_


@STOPPED
@pytest.mark.parametrize(
    ("search", "options"),
    [("surrogate", {}), ("powell", {}), ("scan", {"n_points": 4})],
)
def test_max_evaluations_is_the_limit(small, exact, search, options):
    fitter = SRGNFitter(exact, search=search, **{**TINY, "max_evaluations": 5}, **options)
    fitter.fit(small.sim_gen, small.sim_reco, small.data)
    assert fitter.result_.n_evaluations <= 5


@STOPPED
@pytest.mark.parametrize(
    ("objective", "limit", "formula"),
    [("auc", 16, "8 + 4 p for"), ("loss", 32, "8 + 4 p + 4 p² with the loss")],
)
def test_default_limit_is_the_documented_one(monkeypatch, objective, limit, formula):
    given = []

    def spy(*args, max_evaluations, **further):
        given.append(max_evaluations)
        return surrogate(*args, max_evaluations=3, **further)

    monkeypatch.setattr("skdctr.fitting.searches.surrogate", spy)
    toy = make_gaussian_2d(100, random_state=1)
    exact = AnalyticReweighter(toy.log_weight, [0.0, 1.0], theta_bounds=[(-2, 2), (0.4, 1.3)])
    options = {**TINY, "max_evaluations": None, "objective": objective}
    SRGNFitter(exact, **options).fit(toy.sim_gen, toy.sim_reco, toy.data)
    # The limit is that of two parameters; the fitted θ is one evaluation more.
    assert given == [limit - 1]
    assert formula in SRGNFitter.__doc__


def test_stopped_early_is_said(small, exact):
    fitter = SRGNFitter(exact, **{**TINY, "max_evaluations": 2})
    with pytest.warns(ConvergenceWarning, match="raise max_evaluations"):
        fitter.fit(small.sim_gen, small.sim_reco, small.data)
    assert not fitter.result_.valid
    fitter = SRGNFitter(exact, search="scan", n_points=9, **TINY)
    with pytest.raises(ValueError, match="lower n_points"):
        fitter.fit(small.sim_gen, small.sim_reco, small.data)


@STOPPED
def test_verbose(small, exact, capfd):
    args = (small.sim_gen, small.sim_reco, small.data)
    SRGNFitter(exact, verbose=0, **TINY).fit(*args)
    assert capfd.readouterr() == ("", "")
    SRGNFitter(exact, verbose=1, **TINY).fit(*args)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "auc surrogate" in shown.err
    assert "AUC = 0." in shown.err


@pytest.mark.slow
@STOPPED
def test_random_state_gives_the_same_bits(small):
    gen = make_gaussian(10, n_gen=500, random_state=3)

    def fit(random_state):
        reweighter = DCTRReweighter(max_epochs=1)
        fitter = SRGNFitter(reweighter, **{**TINY, "random_state": random_state})
        args = (small.sim_gen, small.sim_reco, small.data)
        return fitter.fit(*args, gen=gen.gen, theta=gen.theta)

    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second, other = fit(7), fit(7), fit(8)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(first.theta_, second.theta_)
    pd.testing.assert_frame_equal(first.scan_, second.scan_)
    assert first.theta_ != other.theta_


# --- bad input --------------------------------------------------------------------------------


def test_unfitted_reweighter_names_both_ways_out(small):
    args = (small.sim_gen, small.sim_reco, small.data)
    with pytest.raises(NotFittedError, match=r"fit\(gen, theta\)[\s\S]*gen=gen, theta=theta"):
        SRGNFitter(DCTRReweighter()).fit(*args)
    with pytest.raises(ValueError, match="gen was given without theta"):
        SRGNFitter(DCTRReweighter()).fit(*args, gen=small.gen)
    with pytest.raises(ValueError, match="theta was given without gen"):
        SRGNFitter(DCTRReweighter()).fit(*args, theta=small.theta)


def test_bad_generator_samples_are_named(small):
    args = (small.sim_gen, small.sim_reco, small.data)
    gen = small.gen.copy()
    gen[3] = np.nan
    for bad in ({"gen": gen, "theta": small.theta}, {"gen": small.gen, "theta": small.theta[1:]}):
        with pytest.raises(ValueError, match="gen, theta"):
            SRGNFitter(DCTRReweighter()).fit(*args, **bad)


def test_unfitted_fitter_does_not_score(small):
    with pytest.raises(SklearnNotFittedError, match="not fitted"):
        SRGNFitter().score(small.sim_gen)


def bad(sample, value):
    sample = sample.copy()
    sample[3] = value
    return sample


@pytest.mark.parametrize("which", ["sim_gen", "sim_reco", "data"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: bad(s, np.nan), "NaN"),
        (lambda s: bad(s, np.inf), "infinity"),
        (lambda s: s[:0], "0 sample|0 events"),
        (lambda s: s[:, None], "sets of particles"),
        (lambda s: s.astype(str).astype(object) + "a", "could not convert|string"),
    ],
)
def test_bad_samples(small, exact, which, change, message):
    samples = {name: small[name] for name in ("sim_gen", "sim_reco", "data")}
    samples[which] = change(samples[which])
    if which == "sim_reco" and message == "NaN":
        # Two features are needed: an event whose only feature is NaN counts as lost.
        samples["sim_reco"] = np.column_stack([small.sim_reco, samples["sim_reco"]])
    fitter = SRGNFitter(exact, **TINY)
    with pytest.raises((ValueError, TypeError), match=message):
        fitter.fit(samples["sim_gen"], samples["sim_reco"], samples["data"])
    assert not [name for name in vars(fitter) if name.endswith("_")]


@pytest.mark.parametrize("which", ["sample_weight", "data_weight"])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(300), "at least one non-zero number"),
        (-np.ones(300), "a positive sum"),
        (np.ones(299), r"expected \(300,\)"),
        (np.full(300, np.nan), "NaN"),
        (np.full(300, np.inf), "infinity"),
    ],
)
def test_bad_weights(small, exact, which, weight, message):
    fitter = SRGNFitter(exact, **TINY)
    with pytest.raises(ValueError, match=message):
        fitter.fit(small.sim_gen, small.sim_reco, small.data, **{which: weight})


@pytest.mark.slow
def test_lengths_and_features_that_do_not_match(small, exact):
    x, y, data = small.sim_gen, small.sim_reco, small.data
    two = np.hstack([data, data])
    with pytest.raises(ValueError, match="the same events at two levels"):
        SRGNFitter(exact).fit(x, y[:-1], data)
    with pytest.raises(ValueError, match="data has 2 features, expected 1"):
        SRGNFitter(exact).fit(x, y, two)
    with pytest.raises(ValueError, match="rows for"):
        SRGNFitter().fit(x, y, data, gen=small.gen, theta=small.theta[:-1])
    gen = make_gaussian(10, n_gen=200, random_state=3)
    reweighter = DCTRReweighter(max_epochs=1, random_state=0).fit(gen.gen, gen.theta)
    with pytest.raises(ValueError, match="has 2 features, the reweighter was fitted on 1"):
        SRGNFitter(reweighter).fit(np.hstack([x, x]), y, data)
    with pytest.raises(ValueError, match="data has 3 events; the fit needs 4"):
        SRGNFitter(exact).fit(x, y, data[:3])
    with pytest.raises(TypeError, match="is not a reweighter"):
        SRGNFitter(NotAReweighter().fit(x)).fit(x, y, data)


class NotAReweighter(BaseEstimator):
    def fit(self, X):
        self.fitted_ = True
        return self

    def predict_log_weights(self, X, theta):
        return np.zeros(len(X))


@pytest.mark.slow
@STOPPED
def test_columns_that_do_not_match(small):
    def frame(*columns):
        x = np.random.default_rng(0).normal(size=(300, 2))
        return pd.DataFrame(x, columns=columns)

    with pytest.raises(ValueError, match="columns of data"):
        SRGNFitter(**TINY).fit(frame("a", "b"), frame("pt", "eta"), frame("eta", "pt"))
    with pytest.raises(ValueError, match="columns of data"):
        SRGNFitter(**TINY).fit(frame("a", "b"), data=frame("b", "a"))
    theta = np.repeat([0.0, 1.0, 2.0], [150, 75, 75])
    reweighter = DCTRReweighter(max_epochs=1, random_state=0).fit(frame("a", "b"), theta)
    with pytest.raises(ValueError, match="the reweighter was fitted on"):
        SRGNFitter(reweighter, **TINY).fit(frame("b", "a"), data=frame("b", "a"))
    one = frame("a", "b")
    fitter = SRGNFitter(**TINY).fit(one, frame("pt", "eta"), frame("pt", "eta"))
    with pytest.raises(ValueError, match="columns of y"):
        fitter.score(one, frame("eta", "pt"))
    with pytest.raises(ValueError, match="columns of data"):
        fitter.score(one, frame("pt", "eta"), frame("eta", "pt"))


@STOPPED
def test_inputs_of_any_kind_give_the_same_result(small, exact):
    # Values that float32 and integers hold exactly.
    samples = [np.round(4 * s) for s in (small.sim_gen, small.sim_reco, small.data)]
    samples = [np.hstack([s, s % 3]) for s in samples]

    def log_weight(x, theta):
        return gaussian_log_weight(x[:, :1] / 4, theta)

    def read_only(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    reweighter = AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    reference = SRGNFitter(reweighter, **TINY).fit(*samples)
    for convert in (
        lambda a: a.astype(np.float32),
        lambda a: a.astype(int),
        pd.DataFrame,
        np.asfortranarray,
        read_only,
        lambda a: a.tolist(),
        lambda a: np.repeat(a, 2, axis=0)[::2],
    ):
        given = [convert(s) for s in samples]
        other = SRGNFitter(reweighter, **TINY).fit(*given)
        np.testing.assert_array_equal(reference.theta_, other.theta_)
        for sample, copy in zip(samples, given, strict=True):
            np.testing.assert_array_equal(sample, np.asarray(copy))


@STOPPED
def test_one_dimensional_reco(small, exact):
    two = SRGNFitter(exact, **TINY).fit(small.sim_gen, small.sim_reco, small.data)
    one = SRGNFitter(exact, **TINY).fit(small.sim_gen, small.sim_reco[:, 0], small.data[:, 0])
    np.testing.assert_array_equal(one.theta_, two.theta_)


class Failing:
    """A log-weight that fails half way."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x, theta):
        self.calls += 1
        if self.calls > 5:
            raise RuntimeError("half way")
        return gaussian_log_weight(x[:, :1], theta)


@STOPPED
def test_failed_fit_leaves_the_estimator_as_it_was(small, exact):
    args = (small.sim_gen, small.sim_reco, small.data)
    fitter = SRGNFitter(AnalyticReweighter(Failing(), {"mu": 0.0}), **TINY)
    before = set(vars(fitter))
    with pytest.raises(RuntimeError, match="half way"):
        fitter.fit(*args)
    assert set(vars(fitter)) == before
    fitter.set_params(reweighter=exact).fit(*args)
    state = dict(vars(fitter))
    failing = AnalyticReweighter(Failing(), {"mu": 0.0})
    fitter.set_params(reweighter=failing)
    wide = np.hstack([small.sim_gen, small.sim_gen])
    with pytest.raises(RuntimeError, match="half way"):
        fitter.fit(wide, small.sim_reco, small.data)
    state["reweighter"] = failing
    assert vars(fitter).keys() == state.keys()
    assert all(vars(fitter)[name] is value for name, value in state.items())
    assert fitter.score(small.sim_gen, small.sim_reco) > 0.3


# --- scikit-learn's conventions ---------------------------------------------------------------


@STOPPED
def test_clone_pickle_and_parameters(small):
    fitter = SRGNFitter(
        DCTRReweighter(lr=0.02, module__rank=3),
        module__activation="tanh",
        optimizer__weight_decay=0.1,
        **TINY,
    )
    params = fitter.get_params()
    assert params["optimizer__weight_decay"] == 0.1
    assert params["reweighter__lr"] == 0.02
    assert params["reweighter__module__rank"] == 3
    copy = clone(fitter)
    assert copy.get_params(deep=False).keys() == fitter.get_params(deep=False).keys()
    assert copy.optimizer__weight_decay == 0.1
    copy.set_params(reweighter__lr=0.5, optimizer__weight_decay=0.2, lr=0.1)
    assert (copy.reweighter.lr, fitter.reweighter.lr) == (0.5, 0.02)
    assert (copy.optimizer__weight_decay, fitter.optimizer__weight_decay) == (0.2, 0.1)
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    fitted = SRGNFitter(exact, **TINY).fit(small.sim_gen, small.sim_reco, small.data)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.theta_, fitted.theta_)
    assert loaded.score(small.sim_gen, small.sim_reco) == fitted.score(
        small.sim_gen, small.sim_reco
    )


@STOPPED
def test_optimizer_and_module_arguments_arrive(small, exact):
    args = (small.sim_gen, small.sim_reco, small.data)
    plain = SRGNFitter(exact, optimizer="SGD", **TINY).fit(*args)
    decaying = SRGNFitter(exact, optimizer="SGD", optimizer__weight_decay=10.0, **TINY).fit(*args)
    assert plain.scan_["loss"][0] != decaying.scan_["loss"][0]
    own = SRGNFitter(exact, module=Linear, module__bias=False, **TINY).fit(*args)
    assert np.isfinite(own.theta_).all()


class Linear(torch.nn.Module):
    def __init__(self, n_features, bias=True):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, 1, bias=bias)

    def forward(self, x):
        return self.layer(x)[:, 0]


def test_mistyped_arguments(small, exact):
    with pytest.raises(TypeError, match="did you mean 'max_epochs'"):
        SRGNFitter(max_epoch=3)
    for wrong in ({"objective": "area"}, {"search": "grid"}, {"n_folds": 1}, {"lr": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SRGNFitter(exact, **{**TINY, **wrong}).fit(small.sim_gen, data=small.data)
    with pytest.raises(ValueError, match="did you mean 'Adam'"):
        SRGNFitter(exact, optimizer="Adm", **TINY).fit(small.sim_gen, data=small.data)


# --- score ------------------------------------------------------------------------------------


def at(fitter, mu):
    """Return a copy of a fit with another θ*."""
    moved = pickle.loads(pickle.dumps(fitter))
    moved.theta_ = np.array([mu])
    return moved


@pytest.mark.slow
def test_score_judges_theta(toy, fitted):
    held_out = make_gaussian(N, mu=MU, random_state=9)
    args = (held_out.sim_gen, held_out.sim_reco)
    # Two samples of N events: the AUC fluctuates by 1/√(6 N), more where weights do.
    error = 1.3 / np.sqrt(6 * N)
    score = fitted.score(*args, held_out.data)
    assert abs(score - 0.5) < 4 * error
    wrong = [at(fitted, mu).score(*args, held_out.data) for mu in (MU - 0.6, MU + 0.6, MU + 1.0)]
    assert max(wrong) < 0.5 - 4 * error
    assert wrong[2] < wrong[1]
    # The truth is the best separation of two Gaussians 0.6 apart behind the detector.
    best = stats.norm.cdf(0.6 / np.sqrt(2 * 1.25))
    assert wrong[0] == pytest.approx(1 - best, abs=4 * error)


@pytest.mark.slow
def test_score_takes_the_data_of_the_fit(toy, fitted):
    assert fitted.score(toy.sim_gen, toy.sim_reco) == fitted.score(
        toy.sim_gen, toy.sim_reco, toy.data
    )
    weight = np.full(N, 2.0)
    assert fitted.score(
        toy.sim_gen, toy.sim_reco, toy.data, sample_weight=weight, data_weight=weight
    ) == fitted.score(toy.sim_gen, toy.sim_reco)
    with pytest.raises(ValueError, match="y \\(sim_reco\\) has shape"):
        fitted.score(toy.sim_gen, toy.sim_reco[:-1])


@pytest.mark.parametrize("n_sim", [1, 3])
def test_score_needs_events_for_every_fold(toy, fitted, n_sim):
    message = f"has {n_sim} events; score needs 4 at least, two for each of the 2 parts"
    with pytest.raises(ValueError, match=r"X \(sim_gen\) " + message):
        fitted.score(toy.sim_gen[:n_sim], toy.sim_reco[:n_sim])
    with pytest.raises(ValueError, match=f"data {message}"):
        fitted.score(toy.sim_gen, toy.sim_reco, toy.data[:n_sim])
    assert np.isfinite(fitted.score(toy.sim_gen[:4], toy.sim_reco[:4], toy.data[:4]))


GRID = {"bounds": [[(-2, -0.5)], [(-2, 2)]]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.ConvergenceWarning")  # the worse fit's bound
def test_grid_search_picks_the_better_fit(toy):
    gen = make_gaussian(10, n_gen=4000, random_state=3)
    learned = DCTRReweighter(max_epochs=10, random_state=0).fit(gen.gen, gen.theta)
    grid = GridSearchCV(SRGNFitter(FrozenEstimator(learned), **QUICK), GRID, cv=2)
    # As many data as simulated events, which scikit-learn splits alongside.
    grid.fit(toy.sim_gen, toy.sim_reco, data=toy.data)
    assert grid.best_params_ == {"bounds": [(-2, 2)]}
    assert grid.best_estimator_.result_.n_events == {"simulated": N, "data": N}
    assert abs(grid.best_estimator_.theta_[0] - MU) < 0.15
    # A clone of a fitted reweighter is not fitted, and the fit says so.
    unfrozen = GridSearchCV(SRGNFitter(learned, **QUICK), GRID, cv=2, error_score="raise")
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        unfrozen.fit(toy.sim_gen, toy.sim_reco, data=toy.data[:-1])


# The weak classifier sees nothing and its search is lost, hence these warnings.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.ModelMismatchWarning")
def test_grid_search_is_not_won_by_a_weak_classifier(toy, exact):
    # A classifier that learns at a rate of 1e-9 sees no difference anywhere; the judge does.
    weak = {"lr": [1e-9, 0.005]}
    grid = GridSearchCV(SRGNFitter(exact, search="scan", n_points=7, **QUICK), weak, cv=2)
    grid.fit(toy.sim_gen, toy.sim_reco, data=toy.data)
    assert grid.best_params_ == {"lr": 0.005}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.ConvergenceWarning")  # few events, few steps
def test_cross_validate(toy, exact):
    scores = cross_validate(
        SRGNFitter(exact, **QUICK),
        toy.sim_gen,
        toy.sim_reco,
        cv=2,
        params={"data": toy.data[: N // 2]},
        return_estimator=True,
    )
    error = 1.3 / np.sqrt(6 * N / 2)
    assert (np.abs(scores["test_score"] - 0.5) < 4 * error).all()
    assert all(abs(pull(fitter)) < 4 for fitter in scores["estimator"])


@pytest.mark.slow
def test_pipeline(toy):
    shifted = 5 + 2 * toy.sim_gen
    pipeline = make_pipeline(StandardScaler(), SRGNFitter(**QUICK))
    pipeline.fit(shifted, toy.sim_reco, srgnfitter__data=toy.data)
    fitter = pipeline[-1]
    error = np.hypot(fitter.result_.errors[0], np.sqrt(1 + MU**2 / 2) / np.sqrt(N))
    assert abs(fitter.theta_[0] - MU) < 4 * error
    assert abs(pipeline.score(shifted, toy.sim_reco) - 0.5) < 4 * 1.3 / np.sqrt(6 * N)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.ConvergenceWarning")  # few events, few steps
def test_metadata_routing(toy):
    with config_context(enable_metadata_routing=True):
        fitter = SRGNFitter(**QUICK).set_fit_request(data=True).set_score_request(data=True)
        pipeline = make_pipeline(StandardScaler(), fitter)
        pipeline.fit(toy.sim_gen, toy.sim_reco, data=toy.data)
        score = pipeline.score(toy.sim_gen, toy.sim_reco, data=toy.data)
        assert abs(score - 0.5) < 4 * 1.3 / np.sqrt(6 * N)
        scores = cross_validate(
            pipeline, toy.sim_gen, toy.sim_reco, cv=2, params={"data": toy.data[:3000]}
        )
        assert (np.abs(scores["test_score"] - 0.5) < 4 * 1.3 / np.sqrt(6 * N / 2)).all()
        search = GridSearchCV(fitter, {"max_epochs": [4, 6]}, cv=2)
        search.fit(toy.sim_gen, toy.sim_reco, data=toy.data)
        assert search.best_estimator_.result_.n_events["data"] == N
