"""The AUC that the error of learned weights explains, against the weights' true error."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian
from skdctr.metrics import weighted_auc
from skdctr.networks import MLP
from skdctr.weights.event_weights import EventWeights
from skdctr.weights.noise import expected_auc

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 5, "device": "cpu"}
TRAINED_MLP = {"module": MLP, "max_epochs": 30, "batch_size": 500}
THETA = np.array([1.0])
N_TOYS, N_DRAWS = 16, 400


def variance(auc):
    """Turn an AUC into the variance of a Gaussian log-ratio."""
    return 2 * norm.ppf(auc) ** 2


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(4_000, random_state=1)


@pytest.fixture(scope="module")
def reweighter(toy):
    return DCTRReweighter(**SMALL, random_state=1).fit(toy.gen, toy.theta)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({**TRAINED_MLP, "n_folds": 2}, marks=pytest.mark.long),
        pytest.param({**TRAINED_MLP, "n_folds": 3, "n_estimators": 2}, marks=pytest.mark.long),
    ],
    ids=["couplings", "two parts", "three parts of two members"],
)
def test_is_that_of_the_spread_over_samples(toy, options):
    # The noise alone is compared: weights cannot know what all of them have wrong alike.
    exact = np.exp(toy.log_weight(toy.sim_gen, THETA))
    share = exact / exact.sum()
    of_toys, found = [], []
    for seed in range(N_TOYS):
        fresh = make_gaussian(4_000, random_state=100 + seed)
        fitted = DCTRReweighter(**SMALL | options, random_state=seed).fit(fresh.gen, fresh.theta)
        log_weight = fitted.predict_log_weights(toy.sim_gen, 1.0)
        of_toys.append(log_weight - share @ log_weight)
        found.append(variance(fitted.expected_auc(toy.sim_gen, 1.0)))
    true = (of_toys - np.mean(of_toys, axis=0)) ** 2 @ share * (N_TOYS / (N_TOYS - 1))
    ratio = true.mean() / np.mean(found)
    error = np.std(true - ratio * np.array(found), ddof=1) / np.mean(found) / math.sqrt(N_TOYS)
    # Sixteen samples determine the ratio to a third or so.
    assert error < 0.5
    assert abs(ratio - 1) < 4 * error


@pytest.mark.slow
def test_is_that_of_couplings_drawn_from_their_posterior(toy, reweighter):
    weights = reweighter.bind(toy.sim_gen)
    module = reweighter.net_.module_
    before, columns = module.coupling.clone(), module.coupled_columns
    covariance = module.coupling_covariance.numpy().astype(float)
    exact = weights.log_weights(THETA)
    share = np.exp(exact) / np.exp(exact).sum()
    rng, drawn = np.random.default_rng(0), []
    for change in rng.multivariate_normal(np.zeros(len(covariance)), covariance, N_DRAWS):
        shaped = change.reshape(-1, len(columns))
        module.coupling[: len(shaped), columns] += before.new_tensor(shaped)
        off = weights.log_weights(THETA) - exact
        drawn.append(share @ (off - share @ off) ** 2)
        module.coupling.copy_(before)
    error = np.std(drawn, ddof=1) / math.sqrt(N_DRAWS)
    found = variance(expected_auc(weights, np.ones(len(exact)), THETA))
    assert abs(np.mean(drawn) - found) < 4 * error


def test_of_parts_is_the_auc_of_half_their_difference(toy):
    options = {**SMALL, "module": MLP, "n_folds": 2, "random_state": 1}
    fitted = DCTRReweighter(**options).fit(toy.gen, toy.theta)
    one, other = fitted.bind(toy.sim_gen).member_log_weights(THETA)
    known = np.cov((one - other) / 2, aweights=np.exp((one + other) / 2), ddof=0)
    found = variance(fitted.expected_auc(toy.sim_gen, 1.0))
    assert found == pytest.approx(known, rel=1e-6)


@pytest.mark.slow
def test_parts_that_agree_by_chance_have_the_error_of_their_couplings(toy):
    fitted = DCTRReweighter(**SMALL, n_folds=2, random_state=1).fit(toy.gen, toy.theta)
    weights = fitted.bind(toy.sim_gen)
    weights.networks[1] = weights.networks[0]
    one, ones = weights.by_fold()[0], np.ones(4_000)
    # The mean of two halves without common events has half of the variance of each.
    expected = variance(expected_auc(one, ones, THETA)) / 2
    assert variance(expected_auc(weights, ones, THETA)) == pytest.approx(expected, rel=1e-6)


class _Halves(EventWeights):
    """Weights of two parts that differ from the truth, 1, by opposite errors."""

    n_folds = 2

    def __init__(self, off):
        self.off = off

    def log_weights(self, theta):
        return np.zeros(len(self.off))

    def gradient(self, theta):
        raise NotImplementedError

    def subset(self, rows):
        return _Halves(self.off[rows])

    def member_log_weights(self, theta):
        return np.stack([self.off, -self.off])


def test_is_the_auc_between_weights_that_differ_by_gaussian_noise(rng):
    noise = rng.normal(0, 0.2, 40_000)
    found = expected_auc(_Halves(noise), np.ones(len(noise)), THETA)
    auc, error = weighted_auc(noise, noise, np.exp(noise), np.ones(len(noise)), return_error=True)
    assert abs(auc - found) < 4 * error


@pytest.mark.slow
def test_unweighted_members_that_agree_leave_what_the_events_leave(toy, reweighter):
    two = DCTRReweighter(**SMALL, random_state=1, n_estimators=2).fit(toy.gen, toy.theta)
    weights = two.bind(toy.sim_gen)
    assert expected_auc(weights, np.ones(4_000), THETA) > 0.5
    weights.networks[1] = weights.networks[0]
    assert expected_auc(weights, np.ones(4_000), THETA) == pytest.approx(
        reweighter.expected_auc(toy.sim_gen, 1.0), abs=1e-3
    )


@pytest.mark.slow
def test_events_without_weight_are_not_looked_at(reweighter, rng):
    # There are twice as many events with a weight as are looked at, and every other has none.
    events, weight = rng.normal(size=(160_000, 1)), np.tile([0.0, 1.0], 80_000)
    some = reweighter.expected_auc(events[1::2], 1.0)
    assert reweighter.expected_auc(events, 1.0, weight) == pytest.approx(some, abs=2e-4)


def test_unknown_errors_are_none(toy):
    plain = DCTRReweighter(**SMALL, module=MLP, random_state=1).fit(toy.gen, toy.theta)
    assert plain.expected_auc(toy.sim_gen, 1.0) == 0.5


@pytest.mark.slow
def test_two_values_of_theta_need_not_be_named(rng):
    theta = np.repeat([0.0, 1.0], 1_000)
    events = rng.normal(theta)[:, None]
    fitted = DCTRReweighter(**SMALL, random_state=1).fit(events, theta)
    assert fitted.expected_auc(events) == fitted.expected_auc(events, 1.0) > 0.5


def test_event_weights_count(toy, reweighter):
    weight = np.where(toy.sim_gen[:, 0] > 0, 1.0, 0.0)
    kept = toy.sim_gen[weight > 0]
    assert reweighter.expected_auc(toy.sim_gen, 1.0, weight) == pytest.approx(
        reweighter.expected_auc(kept, 1.0), rel=1e-6
    )


def test_one_theta_is_expected(toy, reweighter):
    with pytest.raises(ValueError, match=r"theta has shape \(4000, 1\), expected \(1,\)"):
        reweighter.expected_auc(toy.sim_gen, np.ones((4_000, 1)))


@pytest.mark.slow
def test_fits_say_what_the_weights_explain(toy, reweighter):
    fitter = SRGNFitter(reweighter, device="cpu", max_epochs=2, random_state=0)
    result = fitter.fit(toy.sim_gen, toy.sim_reco, toy.data).result_
    at_fit = reweighter.expected_auc(toy.sim_gen, result.theta)
    assert result.expected_auc == pytest.approx(at_fit, rel=1e-6)
    assert result.p_value == pytest.approx(
        norm.sf((result.auc - result.expected_auc) / result.auc_error)
    )
    assert f"up to {result.expected_auc:.4f} expected" in str(result)


def test_exact_weights_explain_nothing(toy):
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    fitter = SRGNFitter(exact, device="cpu", max_epochs=2, random_state=0)
    result = fitter.fit(toy.sim_gen, toy.sim_reco, toy.data).result_
    assert result.expected_auc == 0.5
    assert "expected" not in str(result)
