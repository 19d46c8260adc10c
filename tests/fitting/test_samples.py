"""Inputs of the fitters: generator samples with weights, rows and columns in another order."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.frozen import FrozenEstimator

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian
from skdctr.exceptions import (
    ExtrapolationWarning,
    LowEffectiveSampleSizeWarning,
    NominalWarning,
    SkdctrWarning,
    SupportWarning,
)

N = 4_000
MU = 0.4
N_SIGMA = 4.0
QUICK = {"max_epochs": 3, "batch_size": 500, "hidden_layer_sizes": 16, "random_state": 1}
exact_fit = {"objective": "optimal_observable", **QUICK}
# For tests that do not look at the weights.
TRAINED = {"max_epochs": 1, "device": "cpu", "refit": False}


def log_weight(x, theta):
    return x[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2


@pytest.fixture
def exact():
    return AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])


@pytest.fixture(scope="module")
def toy():
    """Columns a, which θ moves, and b, which it does not; simulation, data and generator events."""
    rng = np.random.default_rng(5)

    def frame(mean):
        a, b = rng.normal(mean), rng.normal(size=N)
        return pd.DataFrame({"a": a, "b": b})

    theta = np.where(np.arange(N) % 2, rng.uniform(-1, 1, N), 0.0)
    return frame(np.zeros(N)), frame(np.full(N, MU)), frame(theta), pd.Series(theta, name="mu")


# --- weights of the generator sample --------------------------------------------------------


@pytest.fixture(scope="module")
def wide(toy):
    """Generator events of width 1.2, and the weights that make them those of width 1."""
    rng = np.random.default_rng(6)
    theta = toy[3].to_numpy()
    off = rng.normal(0, 1.2, N)
    weight = 1.2 * np.exp(-(off**2) / 2 * (1 - 1 / 1.2**2))
    return (theta + off)[:, None], theta, weight


def test_weights_of_generator_events_count(toy, exact, wide):
    sim, data = toy[0][["a"]].to_numpy(), toy[1][["a"]].to_numpy()
    gen, theta, weight = wide
    fit = SRGNFitter(exact, **exact_fit).fit(
        sim, data=data, gen=gen, theta=theta, gen_weight=weight
    )
    assert abs(fit.theta_[0] - MU) < N_SIGMA * fit.result_.errors[0]
    # An event of weight 0 counts as no event.
    index = np.arange(N) % 3 > 0
    some = SRGNFitter(exact, **exact_fit)
    some.fit(sim, data=data, gen=gen, theta=theta, gen_weight=np.where(index, weight, 0.0))
    only = SRGNFitter(exact, **exact_fit)
    only.fit(sim, data=data, gen=gen[index], theta=theta[index], gen_weight=weight[index])
    assert some.theta_ == pytest.approx(only.theta_, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("fitter", [SRGNFitter, DCTRFitter])
def test_reweighter_learns_with_the_weights_of_generator_events(toy, wide, fitter):
    sim, data = toy[0][["a"]].to_numpy(), toy[1][["a"]].to_numpy()
    gen, theta, weight = wide
    learn = DCTRReweighter(max_epochs=2, random_state=0, device="cpu")
    options = {"random_state": 1} if fitter is DCTRFitter else QUICK
    own = fitter(learn, **options).fit(sim, data=data, gen=gen, theta=theta, gen_weight=weight)
    by_hand = learn.fit(gen, theta, sample_weight=weight)
    at = np.array([0.3])
    np.testing.assert_array_equal(
        own.reweighter_.predict_log_weights(sim, at), by_hand.predict_log_weights(sim, at)
    )


def test_bad_weights_of_generator_events(toy, exact, wide):
    sim, data = toy[0][["a"]].to_numpy(), toy[1][["a"]].to_numpy()
    gen, theta, weight = wide
    fitter = SRGNFitter(exact, **exact_fit)
    with pytest.raises(ValueError, match="gen_weight was given without gen"):
        fitter.fit(sim, data=data, gen_weight=weight)
    with pytest.raises(ValueError, match=r"gen_weight has shape \(3,\)"):
        fitter.fit(sim, data=data, gen=gen, theta=theta, gen_weight=weight[:3])


# --- rows and columns -----------------------------------------------------------------------


def test_columns_of_gen_are_those_of_the_reweighter(toy, exact):
    sim, data, gen, theta = toy
    fitter = SRGNFitter(exact, **exact_fit)
    with pytest.raises(ValueError, match=r"The columns of gen are \['b', 'a'\]"):
        fitter.fit(sim, data=data, gen=gen[["b", "a"]], theta=theta)


def test_rows_in_another_order_by_their_index(toy, exact):
    sim, data, gen, theta = toy
    shuffled = sim.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match=r"index of y \(sim_reco\) is that of X"):
        SRGNFitter(exact, **QUICK).fit(sim, shuffled, data)
    with pytest.raises(ValueError, match="index of theta is that of gen in another order"):
        SRGNFitter(exact, **exact_fit).fit(sim, data=data, gen=gen, theta=theta.iloc[::-1])
    with pytest.raises(ValueError, match="index of y is that of X in another order"):
        DCTRReweighter().fit(gen, theta.iloc[::-1])
    weight = pd.Series(np.arange(N), index=data.index)
    with pytest.raises(ValueError, match="index of data_weight is that of data in another order"):
        SRGNFitter(exact, **QUICK).fit(sim, sim, data, data_weight=weight.iloc[::-1])
    # An index of other labels says nothing of the order.
    of_jets = pd.MultiIndex.from_arrays([np.arange(N), np.zeros(N)])
    for index in (np.arange(N) + 7, np.zeros(N), of_jets):
        SRGNFitter(exact, **exact_fit).fit(sim, sim.set_axis(index), data)


def test_theta_to_score_is_read_by_name():
    rng = np.random.default_rng(3)
    varied = rng.uniform(-1, 1, (2_000, 2)) * (np.arange(2_000) % 2)[:, None]
    theta = pd.DataFrame(varied, columns=["p", "q"])
    x = rng.normal(varied)
    options = {"max_epochs": 2, "random_state": 0, "device": "cpu", "refit": False}
    reweighter = DCTRReweighter(**options).fit(x, theta)
    assert reweighter.score(x, theta) == reweighter.score(x, theta[["q", "p"]])


def test_two_levels_are_not_for_the_gradient_fit(toy, exact):
    sim, data, _, _ = toy
    with pytest.raises(ValueError, match=r"no use for y \(sim_reco\)"):
        DCTRFitter(exact).fit(sim, sim + 1, data)


@pytest.mark.slow
@pytest.mark.parametrize("fitter", [SRGNFitter, DCTRFitter])
def test_weights_of_data_need_data(toy, exact, fitter):
    sim, data, _, _ = toy
    fitted = fitter(exact, random_state=0).fit(sim, data=data)
    with pytest.raises(ValueError, match="data_weight was given without data"):
        fitted.score(sim, data_weight=np.ones(N))


# --- reweighters ----------------------------------------------------------------------------


@pytest.mark.parametrize("fitter", [SRGNFitter, DCTRFitter])
def test_two_values_of_theta_are_not_enough(toy, fitter):
    sim, data, _, _ = toy
    two = DCTRReweighter(**TRAINED).fit(pd.concat([sim, data]), np.repeat([0.0, 1.0], N))
    for given in ({"reweighter": two}, {"reweighter": FrozenEstimator(two)}):
        with pytest.raises(ValueError, match="two values of θ only"):
            fitter(**given).fit(sim, data=data)
    gen = {"gen": pd.concat([sim, data]), "theta": np.repeat([0.0, 1.0], N)}
    with pytest.raises(ValueError, match="two values of θ only"):
        fitter(DCTRReweighter(**TRAINED)).fit(sim, data=data, **gen)


def test_frozen_formula_is_exact_too(toy, exact):
    sim, data, gen, theta = toy
    plain, frozen = (
        SRGNFitter(each, **exact_fit).fit(sim, data=data, gen=gen, theta=theta).result_
        for each in (exact, FrozenEstimator(exact.fit(sim)))
    )
    np.testing.assert_array_equal(plain.covariance, frozen.covariance)


@pytest.mark.parametrize(
    ("counts", "nominal", "reason"),
    [
        ([900, 600], -1.0, "900 of 1500 events have it, 600 have"),
        ([400, 400, 400], -1.0, r"400 of 1200 events have it, 400 have \{'theta': 0.0\}"),
        ([400, 401, 400], 0.0, r"401 of 1201 events have it, 400 have \{'theta': -1.0\}"),
    ],
)
def test_nominal_value_that_is_a_guess_is_told(counts, nominal, reason):
    theta = np.repeat([-1.0, 0.0, 1.0][: len(counts)], counts)
    x = np.random.default_rng(0).normal(theta)[:, None]
    with pytest.warns(NominalWarning, match=reason) as record:
        reweighter = DCTRReweighter(**TRAINED).fit(x, theta)
    assert record[0].filename == __file__
    assert reweighter.theta_nominal_ == [nominal]
    # There is no warning where the user gives it.
    DCTRReweighter(0.0, **TRAINED).fit(x, theta)


def test_median_as_the_nominal_value_is_told():
    theta = np.random.default_rng(0).uniform(size=500)
    with pytest.warns(NominalWarning, match="no row of θ makes up 5%"):
        DCTRReweighter(**TRAINED).fit(theta[:, None], theta)


# The feature is θ itself, so that no two classes have anything in common.
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SupportWarning")
@pytest.mark.parametrize(
    ("counts", "nominal"),
    # The second case has two values alike but for chance, as a fold of a sample has.
    # In the last one 0 is nominal by its label.
    [([400, 400], 0.0), ([390, 410], 0.0), ([400, 200, 150], 0.0), ([100, 900], 0.0)],
)
def test_clear_nominal_value_is_no_guess(counts, nominal):
    theta = np.repeat([0.0, 1.0, 2.0][: len(counts)], counts)
    reweighter = DCTRReweighter(**TRAINED).fit(theta[:, None] + 0.1, theta)
    assert reweighter.theta_nominal_ == [nominal]


# --- scales and units -----------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1.0, 1e-12])
@pytest.mark.parametrize("options", [exact_fit, QUICK])
def test_positive_parameter_of_any_unit_and_range(unit, options):
    """A lifetime whose range spans decades, or that is given in seconds."""
    rng = np.random.default_rng(8)

    def ratio(x, theta):
        tau = theta[..., 0] / unit
        assert np.all(tau > 0)
        return x[:, 0] * (1 - 1 / tau) - np.log(tau)

    sim, data = rng.exponential(1.0, (N, 1)), rng.exponential(0.8, (N, 1))
    formula = AnalyticReweighter(ratio, {"tau": unit}, theta_bounds=[(0.01 * unit, 1.5 * unit)])
    for fitter in (SRGNFitter(formula, **options), DCTRFitter(formula)):
        fitter.fit(sim, data=data)
        assert abs(fitter.theta_[0] - 0.8 * unit) < N_SIGMA * fitter.result_.errors[0]
        assert fitter.result_.errors[0] < 0.1 * unit


# --- what a fit says ------------------------------------------------------------------------


def test_gradient_fit_tells_of_few_effective_events(toy):
    sim, data, _, _ = toy
    formula = AnalyticReweighter(log_weight, {"mu": 0.0})
    with (
        pytest.warns(LowEffectiveSampleSizeWarning, match="few effective events"),
        pytest.warns(SupportWarning, match="of the data, 82% lie where the simulation has next"),
    ):
        DCTRFitter(formula).fit(sim[["a"]].to_numpy(), data=data[["a"]].to_numpy() + 4)


@pytest.mark.slow
def test_gradient_fit_counts_the_training_of_an_ensemble(toy):
    sim, data, gen, theta = toy
    options = {
        "refit": False,
        "max_epochs": 8,
        "batch_size": 200,
        "random_state": 0,
        "device": "cpu",
    }
    several = DCTRReweighter(n_estimators=3, **options).fit(gen, theta)
    result = DCTRFitter(several).fit(sim, data=data).result_
    assert result.sources["training"][0, 0] > 0
    assert result.messages == []
    # The variance of the mean of three follows from the fits of each.
    each = []
    for net in several.nets_:
        one = DCTRReweighter(**options).fit(gen, theta)
        one.nets_, one.net_ = [net], net
        each.append(DCTRFitter(one).fit(sim, data=data).theta_[0])
    ratio = result.sources["training"][0, 0] / (np.var(each, ddof=1) / 3)
    # Three networks differ so much that fits are not linear in the differences.
    assert abs(ratio - 1) < 0.5


def test_expected_covariance_where_weights_are_not_to_be_relied_on(toy):
    sim, data, _, _ = toy
    narrow = AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds=[(-0.8, 0.8)])
    fitter = SRGNFitter(narrow, **exact_fit).fit(sim, data=data)
    with pytest.warns(ExtrapolationWarning, match="mu=0.9 is outside"):
        fitter.expected_covariance(0.9, 1_000)
    with pytest.raises(ValueError, match="weights of the simulation there are all zero"):
        fitter.expected_covariance(1e4, 1_000)
    with pytest.raises(TypeError, match="n_events must be a real number"):
        fitter.expected_covariance(0.5, [1_000, 2_000])


def test_callers_line_is_what_warnings_point_to(toy, exact):
    reweighter = exact.fit(toy[0])
    for predict in (
        reweighter.predict_weights,
        reweighter.predict_log_weights,
        reweighter.log_weight_gradient,
    ):
        with pytest.warns(SkdctrWarning) as record:
            predict(toy[0], 3.0)
        assert record[0].filename == __file__


# --- constraints and bounds -----------------------------------------------------------------


def test_constraint_beyond_the_bounds(toy):
    sim, data, _, _ = toy
    narrow = AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds=[(-1, 1)])
    fitter = SRGNFitter(narrow, constraints={"mu": (1.1, 0.001)}, **QUICK)
    with pytest.warns(SkdctrWarning, match="at a bound"):
        fitter.fit(sim, data=data)
    assert fitter.theta_[0] == pytest.approx(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkdctrWarning)
        fitter.confidence_interval()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": {"mu": "ab"}}, r"bounds\['mu'\]='ab'; expected two finite numbers"),
        ({"bounds": [("a", "b")]}, r"bounds=\[\('a', 'b'\)\] .* expected numbers of shape"),
        ({"constraints": {"mu": ("a", "b")}}, r"constraints\['mu'\]=\('a', 'b'\); expected"),
    ],
)
def test_words_for_numbers(toy, exact, options, message):
    sim, data, _, _ = toy
    with pytest.raises(ValueError, match=message):
        SRGNFitter(exact, **options, **QUICK).fit(sim, data=data)


def test_other_words_for_numbers(toy):
    sim, data, _, _ = toy
    with pytest.raises(ValueError, match="y holds strings: θ must be numbers"):
        DCTRReweighter().fit(pd.concat([sim, data]), np.repeat(["pythia", "herwig"], N))
    with pytest.raises(ValueError, match=r"theta_nominal=5.0: .* outside"):
        AnalyticReweighter(log_weight, 5.0, theta_bounds=[(-1, 1)]).fit(sim)
    with pytest.raises(ValueError, match=r"data holds no events: 0 sample\(s\)"):
        SRGNFitter(**QUICK).fit(sim, data=data[:0])


def test_scale_near_the_lower_end_of_decades_is_no_bound():
    rng = np.random.default_rng(9)
    sim, data = rng.exponential(1.0, (N, 1)), rng.exponential(0.8, (N, 1))
    formula = AnalyticReweighter(
        lambda x, theta: x[:, 0] * (1 - 1 / theta[..., 0]) - np.log(theta[..., 0]),
        {"tau": 1.0},
        theta_bounds=[(0.01, 1000)],
    )
    for fitter in (DCTRFitter(formula), SRGNFitter(formula, **exact_fit)):
        assert fitter.fit(sim, data=data).result_.valid
    # Derivatives stay within the positive numbers.
    tiny = AnalyticReweighter(formula.log_weight, {"tau": 1.0}, theta_bounds=[(1e-6, 2)]).fit(sim)
    assert np.isfinite(tiny.log_weight_gradient(sim, 5e-6)).all()


# --- events of weight zero --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["auc", "optimal_observable", "dctr", "tilt"])
def test_events_of_weight_zero_are_absent(exact, kind):
    """One of them lies where its weight would overflow."""
    toy = make_gaussian(2000, mu=0.4, n_sim=2000, n_data=2000, random_state=2)
    n, m = len(toy.sim_gen), len(toy.data)
    gen = np.vstack([toy.sim_gen, np.full((50, 1), 9000.0)])
    reco = np.vstack([toy.sim_reco, np.full((50, 1), 9000.0)])
    weight = np.r_[np.ones(n), np.zeros(50)]
    data = np.vstack([toy.data, np.full((20, 1), -9000.0)])
    data_weight = np.r_[np.ones(m), np.zeros(20)]

    def fit(sim_gen, sim_reco, data, **weights):
        if kind == "dctr":
            return DCTRFitter(exact).fit(sim_gen, data=data, **weights)
        objective = "optimal_observable" if kind == "tilt" else kind
        fitter = SRGNFitter(
            None if kind == "tilt" else exact,
            objective=objective,
            max_epochs=2,
            random_state=1,
        )
        return fitter.fit(sim_gen, sim_reco, data, **weights)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = fit(toy.sim_gen, toy.sim_reco, toy.data)
        found = fit(gen, reco, data, sample_weight=weight, data_weight=data_weight)
    np.testing.assert_allclose(found.theta_, clean.theta_, rtol=1e-9)
    np.testing.assert_allclose(found.covariance_, clean.covariance_, rtol=1e-9)
    assert found.result_.n_events == clean.result_.n_events
    more = {"sample_weight": weight, "data_weight": data_weight}
    arguments = (gen,) if kind == "dctr" else (gen, reco)
    assert 0 < found.score(*arguments, data=data, **more) <= 0.6


def test_lost_events_come_in_any_table():
    """A row of missing values in a table of Arrow, or in a dict of columns, is a lost event."""
    rng = np.random.default_rng(3)
    gen, data = rng.normal(size=(400, 1)), rng.normal(size=300)
    seen = np.where(np.arange(400) % 4 == 0, np.nan, gen[:, 0])
    for reco in ({"x": seen}, pa.table({"x": pa.array(seen, from_pandas=True)})):
        fitter = SRGNFitter(max_epochs=1, random_state=0, objective="optimal_observable")
        fitter.fit(gen, reco, {"x": data})
        assert fitter.result_.n_events["lost by the reconstruction"] == 100
