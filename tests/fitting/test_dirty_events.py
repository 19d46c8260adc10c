"""Fits to events as files have them: outliers, sentinels, tails and missing values.

The weights are exact, so that what is tested is the comparison of simulation with data.
"""

import numpy as np
import pandas as pd
import pytest

from skdctr import AnalyticReweighter, DCTRFitter, SRGNFitter
from skdctr.closure import classifier_test, closure_report
from skdctr.exceptions import FeatureWarning, OutlierWarning

N = 4000
MU = 0.3
N_SIGMA = 4
QUICK = {"max_epochs": 6, "batch_size": 500, "hidden_layer_sizes": 16, "random_state": 1}
OBJECTIVES = pytest.mark.parametrize("objective", ["auc", "optimal_observable"])


def log_weight(x, theta):
    return x[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2


@pytest.fixture
def exact():
    return AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])


@pytest.fixture
def samples(rng):
    """Generator features of the simulation, and two reconstructed ones of simulation and data."""
    gen, truth = rng.normal(size=(N, 1)), rng.normal(MU, 1, (N, 1))
    return gen, gen + rng.normal(0, 0.5, (N, 2)), truth + rng.normal(0, 0.5, (N, 2))


def assert_right(fitter):
    assert fitter.result_.valid
    assert abs(fitter.theta_[0] - MU) < N_SIGMA * fitter.result_.errors[0]


@pytest.mark.slow
@OBJECTIVES
@pytest.mark.parametrize(("which", "value"), [("sim", 1e5), ("data", -1e3)])
def test_one_bad_event_moves_nothing(exact, samples, objective, which, value):
    gen, sim, data = samples
    clean = SRGNFitter(exact, objective=objective, **QUICK).fit(gen, sim, data)
    {"sim": sim, "data": data}[which][3, 0] = value
    dirty = SRGNFitter(exact, objective=objective, **QUICK).fit(gen, sim, data)
    assert_right(dirty)
    # The classifiers are other ones, as one event of 8000 has changed; their noise is the limit.
    assert abs(dirty.theta_[0] - clean.theta_[0]) < 0.5 * clean.result_.errors[0]
    assert dirty.result_.errors[0] == pytest.approx(clean.result_.errors[0], rel=0.1)


@pytest.mark.slow
@OBJECTIVES
@pytest.mark.parametrize("value", [-99.0, np.nan])
def test_values_that_many_events_share_and_missing_ones(exact, samples, rng, objective, value):
    gen, sim, data = samples
    for sample in (sim, data):
        sample[rng.random(N) < 0.3, 1] = value
    assert_right(SRGNFitter(exact, objective=objective, **QUICK).fit(gen, sim, data))


@pytest.mark.slow
def test_lost_events_beside_missing_values(exact, samples, rng):
    gen, sim, data = samples
    for sample in (sim, data):
        sample[rng.random(N) < 0.3, 1] = np.nan
    lost = rng.random(N) < 0.2
    sim[lost] = np.nan
    data = data[rng.random(N) < 0.8]
    fitter = SRGNFitter(exact, objective="optimal_observable", **QUICK).fit(gen, sim, data)
    assert_right(fitter)
    assert fitter.result_.n_events["lost by the reconstruction"] == lost.sum()


@pytest.mark.slow
@OBJECTIVES
def test_a_detector_with_heavy_tails(exact, rng, objective):
    gen, truth = rng.normal(size=(N, 1)), rng.normal(MU, 1, (N, 1))
    sim, data = (x + 0.3 * rng.standard_cauchy((N, 1)) for x in (gen, truth))
    assert_right(SRGNFitter(exact, objective=objective, **QUICK).fit(gen, sim, data))


@pytest.mark.slow
def test_missing_values_at_generator_level(exact, rng):
    x = np.column_stack([rng.normal(size=N), np.where(rng.random(N) < 0.3, np.nan, 1.0)])
    data = np.column_stack([rng.normal(MU, 1, N), np.where(rng.random(N) < 0.3, np.nan, 1.0)])
    fitter = DCTRFitter(exact).fit(x, data=data)
    assert_right(fitter)
    assert 0.4 < fitter.score(x, data=data) < 0.55


def test_what_only_data_lack_is_refused(exact, samples):
    gen, sim, data = samples
    data[3, 1] = np.nan
    names = ["pt", "met"]
    with pytest.raises(ValueError, match=r"data are NaN in \['met'\] for some events"):
        SRGNFitter(exact, **QUICK).fit(
            gen, pd.DataFrame(sim, columns=names), pd.DataFrame(data, columns=names)
        )
    data[4] = np.nan
    with pytest.raises(ValueError, match="data contains NaN in every feature of event 4"):
        SRGNFitter(exact, **QUICK).fit(gen, sim, data)


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")
def test_an_angle_among_the_reconstructed_features_is_told_once(exact, rng):
    gen = rng.normal(size=(2000, 1))
    sim, data = (rng.uniform(-np.pi, np.pi, (2000, 1)) for _ in range(2))
    with pytest.warns(FeatureWarning, match="feature 0|x0") as warnings:
        SRGNFitter(exact, **{**QUICK, "max_epochs": 1, "max_evaluations": 3}).fit(gen, sim, data)
    assert sum(each.category is FeatureWarning for each in warnings) == 1


# --- closure tests ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e9, -999999.0])
def test_one_bad_value_does_not_blind_a_classifier(rng, value):
    target, sample = rng.normal(0.2, 1, (N, 2)), rng.normal(size=(N, 2))
    target[7, 1] = value
    assert classifier_test(target, sample, random_state=0).p_value < 1e-6


def test_a_closure_report_compares_what_is_missing(exact, rng):
    def events(mean, missing):
        second = np.where(rng.random(N) < missing, np.nan, rng.normal(size=N))
        return np.column_stack([rng.normal(mean, 1, N), second])

    nominal = events(0.0, 0.3)
    exact.fit(nominal)
    good = closure_report(exact, nominal, events(MU, 0.3), MU, random_state=0)
    assert good.passed
    assert {"feature 1", "feature 1 missing"} < good.chi2.keys()
    bad = closure_report(exact, nominal, events(MU, 0.4), MU, random_state=0)
    assert not bad.passed
    assert bad.chi2["feature 1 missing"].p_value < 1e-6
    assert bad.chi2["feature 1"].p_value > 1e-4


# --- single events that a formula would give any weight -----------------------------------------


def width_log_weight(x, theta):
    """Log-ratio of a Gaussian of width exp(θ), which grows as the square of x."""
    return x[:, 0] ** 2 / 2 * (1 - np.exp(-2 * theta[..., 0])) - theta[..., 0]


@pytest.mark.slow
@OBJECTIVES
@pytest.mark.parametrize("value", [1e5, -50.0])
def test_an_exact_weight_of_one_event_decides_nothing(rng, objective, value):
    exact = AnalyticReweighter(width_log_weight, {"log_s": 0.0}, theta_bounds=[(-0.5, 0.5)])
    x, data = rng.normal(size=(N, 1)), rng.normal(0, np.exp(0.1), (N, 1))
    x[5] = value
    fitter = SRGNFitter(exact, objective=objective, **QUICK)
    with pytest.warns(OutlierWarning, match="1 of 4000 events of X .sim_gen. have feature 0"):
        fitter.fit(x, data=data)
    assert fitter.result_.valid
    assert abs(fitter.theta_[0] - 0.1) < N_SIGMA * fitter.result_.errors[0]
    # Of a Gaussian's width, √(1/2n) in each sample.
    assert fitter.result_.errors[0] == pytest.approx(1 / np.sqrt(N), rel=0.3)


@pytest.mark.slow
def test_one_event_of_the_data_decides_nothing_in_a_fit_by_gradient(exact, rng):
    x, data = rng.normal(size=(N, 1)), rng.normal(MU, 1, (N, 1))
    clean = DCTRFitter(exact).fit(x, data=data)
    data[5] = 1e9
    with pytest.warns(OutlierWarning, match="1 of 4000 events of data have feature 0"):
        dirty = DCTRFitter(exact).fit(x, data=data)
    assert dirty.theta_[0] == pytest.approx(clean.theta_[0], abs=0.1 * clean.result_.errors[0])


def test_a_closure_report_leaves_lost_events_out(exact, rng):
    """The detector loses events of large x more often, as in the simulation so in the target."""

    def lost(x):
        return rng.random(N) < 0.5 / (1 + np.exp(-x[:, 0]))

    nominal, truth = rng.normal(size=(N, 1)), rng.normal(MU, 1, (N, 1))
    reco = np.where(lost(nominal)[:, None], np.nan, nominal)
    target = truth[~lost(truth)]
    exact.fit(nominal)
    report = closure_report(exact, nominal, target, MU, nominal_reco=reco, random_state=0)
    assert report.passed
    assert report.classifier.n_sample < N
    everything = closure_report(exact, nominal, target, MU, nominal_reco=nominal, random_state=0)
    assert not everything.passed
