"""Negative event weights: right where the density is positive, told and bounded where it is not."""

import re
import warnings

import numpy as np
import pytest
from scipy.stats import norm

from skdctr import DCTRReweighter
from skdctr._utils.device import spawn_seeds
from skdctr.exceptions import NegativeDensityWarning
from skdctr.networks import MLP, SeparableDeepSets, SeparableNetwork
from skdctr.preprocessing import PackedEvents
from skdctr.reweighting.sign_model import mean_sign
from skdctr.reweighting.signed import SignedSums, positive_weights

FAST = {
    "module": SeparableNetwork,
    "max_epochs": 10,
    "batch_size": 1000,
    "random_state": 0,
    "device": "cpu",
}
N_SIGMA = 4


def signs(mean, rng):
    """Draw weights ±1 of such a mean."""
    return np.where(rng.random(len(mean)) < (1 - mean) / 2, -1.0, 1.0)


def learned(x, weight, theta=None):
    theta = np.empty((len(x), 0)) if theta is None else theta
    return mean_sign(x, theta, weight)


def positive(x, theta, weight, folds=None):
    varied = theta[:, 0] != 0
    return positive_weights(
        x,
        theta,
        weight,
        varied=varied,
        reference=~varied,
        folds=folds,
        names=["theta"],
        feature_names=None,
    )


# --- the mean weight --------------------------------------------------------------------------


def test_mean_sign_is_that_of_the_signed_weights():
    """E[w|x]/E[|w||x] is known; k effective parameters of n events have an error of √(k/n)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    exact = 0.5 + 0.4 * np.tanh(x[:, 1])
    weight = signs(exact, rng) * rng.exponential(size=len(x))
    mean = learned(x, weight)
    # Exponential sizes double the variance; about 20 of the splines and products count.
    error = np.sqrt(2 * 20 / len(x))
    for value in (mean.value, mean.unseen):
        assert np.sqrt(np.mean((value - exact) ** 2)) < error
    # Sums of functions that it is made of are those of the signed weights, but for the penalty.
    for function in (np.ones(len(x)), x[:, 0], x[:, 1], x[:, 0] * x[:, 1]):
        signed, replaced = (v @ function / weight.sum() for v in (weight, abs(weight) * mean.value))
        fluctuation = np.sqrt(np.sum((weight * function) ** 2)) / weight.sum()
        assert replaced == pytest.approx(signed, abs=0.25 * fluctuation)


def test_mean_sign_follows_two_features_at_once():
    """The share of negative events changes with the quadrant: no sum of single features has it."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(10_000, 2))
    exact = np.where(x[:, 0] * x[:, 1] > 0, 0.9, 0.1)
    mean = learned(x, signs(exact, rng))
    # Without products and trees it would be 0.5 everywhere, off by 0.4; products alone leave 0.2.
    assert np.sqrt(np.mean((mean.value - exact) ** 2)) < 0.15


def test_mean_sign_follows_theta():
    rng = np.random.default_rng(2)
    theta = rng.uniform(-1, 1, (20_000, 1))
    x = rng.normal(theta)
    exact = np.where(theta[:, 0] > 0, 0.2 + 0.6 / (1 + np.exp(-2 * x[:, 0])), 0.9)
    mean = learned(x, signs(exact, rng), theta)
    assert np.sqrt(np.mean((mean.value - exact) ** 2)) < 0.06


def test_few_negative_weights_give_their_share():
    weight = np.ones(1000)
    weight[:5] = -2.0
    mean = learned(np.random.default_rng(0).normal(size=(1000, 1)), weight)
    np.testing.assert_allclose(mean.value, (995 - 10) / (995 + 10))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x * 1e-9 + 3,
        lambda x: np.sinh(5 * x),
        lambda x: np.where(np.arange(len(x))[:, None] == 7, -1e6, x),
    ],
    ids=["unit", "tails", "outlier"],
)
def test_mean_sign_depends_on_the_order_of_values_only(change):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5000, 1))
    weight = signs(0.5 + 0.4 * np.tanh(x[:, 0]), rng)
    first, second = learned(x, weight), learned(change(x), weight)
    assert np.median(np.abs(first.value - second.value)) < 0.02


def test_missing_values_have_a_mean_of_their_own():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(10_000, 2))
    x[rng.random(len(x)) < 0.3, 1] = np.nan
    missing = np.isnan(x[:, 1])
    mean = learned(x, signs(np.where(missing, 0.2, 0.9), rng))
    assert mean.value[missing].mean() == pytest.approx(0.2, abs=N_SIGMA / np.sqrt(3000))
    assert mean.value[~missing].mean() == pytest.approx(0.9, abs=N_SIGMA * 0.44 / np.sqrt(7000))


def test_columns_without_a_value_or_with_one_alone_do_not_count():
    rng = np.random.default_rng(16)
    x = rng.normal(size=(2000, 1))
    weight = signs(0.5 + 0.4 * np.tanh(x[:, 0]), rng)
    further = np.column_stack([x, np.full(len(x), np.nan), np.full(len(x), 3.0)])
    np.testing.assert_allclose(learned(x, weight).value, learned(further, weight).value, atol=1e-3)


def test_rows_beyond_the_limit_are_predicted(monkeypatch):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(12_000, 1))
    exact = 0.5 + 0.4 * np.tanh(x[:, 0])
    monkeypatch.setattr("skdctr.reweighting.sign_model._MOST_ROWS", 8000)
    mean = learned(x, signs(exact, rng))
    assert np.sqrt(np.mean((mean.value - exact) ** 2)) < np.sqrt(10 / 8000)


# --- positive weights of each class -----------------------------------------------------------


def test_positive_weights_are_left_alone():
    theta = np.repeat([0.0, 1.0], 10)[:, None]
    weight = np.random.default_rng(0).exponential(size=20)
    result, sums = positive(theta, theta, weight)
    assert result is weight
    assert sums == SignedSums()


def test_a_class_without_negative_weights_is_left_alone():
    rng = np.random.default_rng(6)
    theta = np.repeat([0.0, 1.0], 1000)[:, None]
    weight = np.where(theta[:, 0] == 0, rng.exponential(size=2000), signs(np.full(2000, 0.5), rng))
    result, sums = positive(rng.normal(theta), theta, weight)
    nominal = theta[:, 0] == 0
    np.testing.assert_array_equal(result[nominal], weight[nominal])
    assert (result > 0).all()
    # Errors are those of Σw², of which the positive weights of the varied class show a quarter.
    squares = [np.square(each).sum() for each in (weight, result)]
    assert sums.inflation == pytest.approx(squares[0] / squares[1])
    # Sums agree but for the few events whose mean is not known to be positive.
    assert sums.log_excess == pytest.approx(0.0, abs=0.01)


def test_parts_of_a_cross_fit_learn_by_themselves():
    """The weights of a part do not depend on the signs in the other."""
    rng = np.random.default_rng(7)
    theta = np.repeat([0.0, 1.0], 400)[:, None]
    x, folds = rng.normal(theta), np.arange(800) % 2
    weight = signs(np.full(800, 0.5), rng)
    other = np.where(folds == 0, weight, signs(np.full(800, 0.8), rng))
    first, second = (positive(x, theta, each, folds)[0] for each in (weight, other))
    np.testing.assert_array_equal(first[folds == 0], second[folds == 0])
    assert (first[folds == 1] != second[folds == 1]).any()


def sets_of_particles(rng, n):
    """Make events of up to six particles, and a mean sign that depends on how many there are."""
    counts = rng.integers(0, 7, n)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    features = rng.normal(size=(offsets[-1], 1)).astype(np.float32)
    types = rng.choice([11, 22], offsets[-1]).astype(np.int32)
    return PackedEvents(features, offsets, ("pt",), types, "pid"), np.where(counts < 3, 0.8, 0.2)


def test_sign_of_sets_follows_the_number_of_particles():
    rng = np.random.default_rng(8)
    packed, exact = sets_of_particles(rng, 4000)
    theta = np.repeat([0.0, 1.0], 2000)[:, None]
    weight = np.where(theta[:, 0] == 0, 1.0, signs(exact, rng))
    result, _ = positive(packed, theta, weight)
    for share in (0.2, 0.8):
        rows = (exact == share) & (theta[:, 0] == 1)
        assert result[rows].mean() == pytest.approx(share, abs=N_SIGMA / np.sqrt(rows.sum()))


# --- regions without a density ----------------------------------------------------------------


def uniform(share_above, rng, n=8000):
    """Target weights are -1 for 10% of events below 0.9, and for some share above it."""
    theta = np.repeat([0.0, 1.0], n)
    x = rng.random((2 * n, 1))
    share = np.where(x[:, 0] < 0.9, 0.1, share_above)
    weight = np.where(theta == 1, signs(1 - 2 * share, rng), 1.0)
    return x, theta, weight


@pytest.mark.parametrize("share_above", [0.5, 0.6])
@pytest.mark.parametrize("swapped", [False, True])
def test_region_without_a_density_is_named(share_above, swapped):
    x, theta, weight = uniform(share_above, np.random.default_rng(9))
    in_class = theta == 1
    theta = 1 - theta if swapped else theta
    name = "nominal" if swapped else "varied"
    with pytest.warns(NegativeDensityWarning, match=f"density of the {name} events") as told:
        result, _ = positive(x, theta[:, None], weight)
    (message,) = (str(each.message) for each in told)
    share, low, high = map(
        float, re.search(r"for (.*)% of them, with feature 0 in \[(.*), (.*)\]", message).groups()
    )
    assert low == pytest.approx(0.9, abs=0.02)
    assert high == pytest.approx(1.0, abs=0.02)
    assert share == pytest.approx(10, abs=4)
    # In the region next to nothing is left, and nothing is lost of the density below it, 0.8.
    inside = in_class & (x[:, 0] > 0.92)
    assert 0 < result[inside].mean() < N_SIGMA / np.sqrt(inside.sum())
    below = in_class & (x[:, 0] < 0.85)
    assert result[below].mean() == pytest.approx(0.8, abs=N_SIGMA * 0.6 / np.sqrt(below.sum()))


@pytest.mark.slow
@pytest.mark.parametrize(("share_above", "swapped"), [(0.5, False), (0.6, True)])
def test_weights_are_right_beside_the_region_and_bounded_in_it(share_above, swapped):
    """The exact ratio below 0.9 is 0.8/(0.9·0.8 + 0.1·(1 - 2·share)), normalised by signed sums."""
    x, theta, weight = uniform(share_above, np.random.default_rng(10))
    sign = -1.0 if swapped else 1.0
    # A step is learned by a perceptron; the functions of a separable network ring next to it.
    reweighter = DCTRReweighter(0.0, **(FAST | {"module": MLP, "max_epochs": 40}))
    with pytest.warns(NegativeDensityWarning, match=r"feature 0 in \[0\.[89]"):
        reweighter.fit(x, 1 - theta if swapped else theta, weight)
    points = np.linspace(0.02, 0.98, 97)[:, None]
    log_weight = sign * reweighter.predict_log_weights(points, 1.0)
    exact = np.log(0.8 / (0.72 + 0.1 * (1 - 2 * share_above)))
    # Near the edge a smooth network is off by more than its error, that of about ten parameters.
    below, effective = points[:, 0] < 0.8, np.array([1.0, 0.8**2]) * len(x) / 2
    error = np.sqrt(10 * (1 / effective).sum())
    assert np.sqrt(np.mean((log_weight[below] - exact) ** 2)) < error
    above = log_weight[points[:, 0] > 0.93]
    assert (above < -1).all()
    assert (above > -8).all()


def test_small_but_positive_density_is_no_region():
    x, theta, weight = uniform(0.3, np.random.default_rng(10), 4000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        positive(x, theta[:, None], weight)


def test_region_in_the_second_of_two_features_is_named():
    rng = np.random.default_rng(11)
    theta = np.repeat([0.0, 1.0], 5000)[:, None]
    x = np.column_stack([rng.random((10_000, 2)), np.full(10_000, np.nan)])
    weight = np.where(theta[:, 0] == 1, signs(np.where(x[:, 1] < 0.2, -0.3, 0.7), rng), 1.0)
    with pytest.warns(NegativeDensityWarning, match=r"with feature 1 in \[0\.0\d*, 0\.[12]"):
        result, sums = positive(x, theta, weight)
    assert (result > 0).all()
    # Positive weights of 0.7 in 80% of events, signed ones of -0.3 in the others.
    assert sums.log_excess == pytest.approx(np.log(0.56 / (0.56 - 0.06)), abs=0.06)


# --- what is learned --------------------------------------------------------------------------


def signal_weights(mass, share, width):
    """Compute sWeights of a Gaussian peak in [-1, 1] over a flat background."""
    peak, flat = norm.pdf(mass, 0, width), np.full(len(mass), 0.5)
    total = share * peak + (1 - share) * flat
    pairs = np.stack([peak, flat]) / total
    covariance = np.linalg.inv(pairs @ pairs.T)
    return covariance[0] @ pairs


def peak_over_background(shift, rng, n=2000, share=0.43, width=0.15):
    """Draw events with their sWeights; signal is N(shift, 1), background N(1, 1)."""
    signal = rng.random(n) < share
    mass = np.where(signal, rng.normal(0, width, n), rng.uniform(-1, 1, n))
    x = np.where(signal, rng.normal(shift, 1, n), rng.normal(1, 1, n))
    return x, signal_weights(mass, share, width)


def fit_signal(seed):
    rng = np.random.default_rng(seed)
    (x0, w0), (x1, w1) = (peak_over_background(shift, rng) for shift in (0.0, 0.5))
    theta = np.repeat([0.0, 1.0], [len(x0), len(x1)])
    reweighter = DCTRReweighter(0.0, **FAST)
    reweighter.fit(np.r_[x0, x1][:, None], theta, np.r_[w0, w1])
    x = np.random.default_rng(1).normal(size=(20_000, 1))
    log_weight = reweighter.predict_log_weights(x, 1.0)
    mean = np.average(x[:, 0], weights=np.exp(log_weight))
    return mean, log_weight - (0.5 * x[:, 0] - 0.125)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_signal_weights(seed):
    """4000 events with sWeights, of which 38% are negative, are worth 2·530."""
    mean, error = fit_signal(seed)
    assert mean == pytest.approx(0.5, abs=N_SIGMA * np.sqrt(2 / 530))
    assert error.std() < N_SIGMA * np.sqrt(2 / 530)


@pytest.mark.long
def test_signal_weights_never_diverge():
    """A hundred samples: all are bounded, and their rms error is what the effective number says.

    Shrinkage where the density is not known to be positive leaves a bias of half an error: with it
    the rms is larger by a factor 1.12.
    """
    fits = [fit_signal(seed) for seed in range(100)]
    means = np.array([mean for mean, _ in fits])
    assert max(np.abs(error).max() for _, error in fits) < 5
    # The error of an rms of 100 is 7%.
    assert np.sqrt(np.mean((means - 0.5) ** 2)) < np.sqrt(2 / 530) * 1.12 * (1 + 2 * 0.07)


def gaussian(kind, rng, n=5000):
    """Draw nominal and varied events of N(θ, 1), with signs that leave these densities as they are.

    Of events with mean sign g the weights are ±1/g, which makes E[w|x] = 1.
    """
    theta = np.r_[np.zeros(n), rng.uniform(-1, 1, n)]
    x = rng.normal(theta)
    mean = {
        "at random": np.full(2 * n, 0.5),
        "nominal": np.where(theta == 0, 0.5, 1.0),
        "by θ and x": np.where(theta == 0, 1.0, 0.3 + 0.7 / (1 + np.exp(-x - 2 * theta))),
    }[kind]
    return x[:, None], theta, signs(mean, rng) / mean


def mean_at(reweighter, theta):
    """Reweight events of N(0, 1), whose mean is zero exactly, to θ."""
    x = np.random.default_rng(1).normal(size=20_000)
    x = (x - x.mean())[:, None]
    return np.average(x[:, 0], weights=reweighter.predict_weights(x, theta))


def error_at(theta, n_nominal, n_varied):
    """Compute the error of a mean: of the nominal sample, and of a line through the varied ones.

    The variance of x is 1, that of θ in [-1, 1] is 1/3.
    """
    return np.sqrt(1 / n_nominal + (1 + 3 * theta**2) / n_varied)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["at random", "nominal", "by θ and x"])
def test_signs_that_leave_the_densities_alone(kind):
    x, theta, weight = gaussian(kind, np.random.default_rng(12))
    reweighter = DCTRReweighter(0.0, **FAST).fit(x, theta, weight)
    effective = [
        each.sum() ** 2 / (each @ each) for each in (weight[theta == 0], weight[theta != 0])
    ]
    for at in (-0.7, 0.5):
        assert mean_at(reweighter, at) == pytest.approx(at, abs=N_SIGMA * error_at(at, *effective))


@pytest.mark.long
def test_negative_weights_cost_what_the_effective_number_says():
    """A quarter of ±1 is negative: n events are worth n/4, and no fit is worse than one to these.

    The rms of 30 errors is known to 13%, its ratio to that of another 30 to 18%.
    """
    rms = {}
    for kind, n in (("at random", 5000), ("none", 1250)):
        errors = []
        for seed in range(30):
            rng = np.random.default_rng(100 + seed)
            gen, theta, weight = gaussian("at random", rng, n)
            given = weight if kind == "at random" else None
            reweighter = DCTRReweighter(0.0, **FAST).fit(gen, theta, given)
            errors.append(mean_at(reweighter, 0.5) - 0.5)
        rms[kind] = np.sqrt(np.mean(np.square(errors)))
    assert rms["at random"] < rms["none"] * (1 + 2 * 0.18)


@pytest.mark.slow
def test_mixture_of_all_theta_takes_signed_events():
    rng = np.random.default_rng(13)
    theta = rng.uniform(-1, 1, 10_000)
    x = rng.normal(theta)[:, None]
    weight = signs(0.6 + 0.3 * np.tanh(x[:, 0]), rng) / (0.6 + 0.3 * np.tanh(x[:, 0]))
    reweighter = DCTRReweighter(0.0, **FAST).fit(x, theta, weight)
    effective = weight.sum() ** 2 / (weight @ weight)
    error = error_at(0.5, effective, effective)
    assert mean_at(reweighter, 0.5) == pytest.approx(0.5, abs=N_SIGMA * error)


def test_sets_of_signed_events_can_be_fitted():
    rng = np.random.default_rng(14)
    packed, exact = sets_of_particles(rng, 1000)
    theta = np.repeat([0.0, 1.0], 500)
    options = {"module": SeparableDeepSets, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    reweighter = DCTRReweighter(0.0, **options).fit(packed, theta, signs(exact, rng))
    assert np.abs(reweighter.predict_log_weights(packed, 1.0)).max() < 5


@pytest.mark.slow
def test_members_of_an_ensemble_learn_from_the_same_weights():
    x, theta, weight = gaussian("at random", np.random.default_rng(15), 1000)
    options = FAST | {"max_epochs": 2, "n_estimators": 2, "refit": False}
    reweighter = DCTRReweighter(0.0, **options)
    whole = DCTRReweighter(0.0, **options).fit(x, theta, weight)
    inputs = {"X": x, "y": theta, "sample_weight": weight}
    seeds = spawn_seeds(0, 2)
    members = [reweighter.fit_member(k, seed, inputs) for k, seed in enumerate(seeds)]
    joined = reweighter.assemble(members, inputs)
    np.testing.assert_array_equal(
        whole.predict_log_weights(x, 0.5), joined.predict_log_weights(x, 0.5)
    )
