"""The error of learned weights against what changed weights do, and against fresh samples."""

import numpy as np
import pytest

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.comparison.likelihood import Likelihood
from skdctr.datasets import make_gaussian
from skdctr.networks import MLP
from skdctr.observable.generator import Correction, GeneratorPrediction, GeneratorSample
from skdctr.weights.error import (
    Dependence,
    coupling_covariance,
    covariance_of_mean,
    mean_covariance,
)

FAST = {"hidden_layer_sizes": (8,), "max_epochs": 4, "device": "cpu", "random_state": 0}
THETA = np.array([0.7])


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(2_000, random_state=3)


@pytest.fixture(scope="module")
def reweighter(toy):
    fitted = DCTRReweighter(**FAST).fit(toy.gen, toy.theta)
    assert fitted.nets_[0].module_.coupling_covariance is not None
    return fitted


def by_small_changes(reweighter, evaluate):
    """Propagate the covariance of the couplings by changing one after another."""
    module = reweighter.nets_[0].module_
    covariance = module.coupling_covariance.numpy().astype(float)
    coupled = module.coupled_columns.tolist()
    before, columns = module.coupling.clone(), []
    for row in range(len(covariance) // len(coupled)):
        for column in coupled:
            values = []
            for step in (0.05, -0.05):
                module.coupling[row, column] += step
                values.append(evaluate())
                module.coupling.copy_(before)
            columns.append((values[0] - values[1]) / 0.1)
    slopes = np.stack(columns, axis=1)
    return slopes @ covariance @ slopes.T


@pytest.mark.slow
def test_of_means_is_that_of_changed_couplings(toy, reweighter, rng):
    values, event_weight = rng.normal(size=(2_000, 2)) + toy.sim_gen, rng.uniform(size=2_000)

    def means():
        weight = event_weight * reweighter.predict_weights(toy.sim_gen, 0.7)
        return weight @ values / weight.sum()

    found = mean_covariance(reweighter.bind(toy.sim_gen), values, event_weight, THETA)
    assert set(found) == {"generator"}
    expected = by_small_changes(reweighter, means)
    np.testing.assert_allclose(found["generator"], expected, rtol=0.02, atol=1e-3 * expected.max())


def test_of_the_gradient_is_that_of_changed_couplings(toy, reweighter):
    ones = np.ones(2_000)

    def likelihood():
        sim, data = reweighter.bind(toy.sim_gen), reweighter.bind(toy.data_gen)
        return Likelihood(sim, data, ones, ones)

    found = likelihood().weight_covariance(THETA, np.array([1e-2]))
    expected = by_small_changes(reweighter, lambda: likelihood().gradient(THETA))
    np.testing.assert_allclose(found["generator"], expected, rtol=0.02)


@pytest.mark.slow
def test_of_sums_of_means_under_the_mixture_is_that_of_changed_couplings(toy, reweighter, rng):
    theta, ones = np.asarray(toy.theta, dtype=float).reshape(-1, 1), np.ones(len(toy.gen))
    values = rng.normal(size=(len(toy.gen), 2)) + toy.gen
    points, combine = (
        np.array([[-1.0], [0.3], [1.4]]),
        np.array([[0.5, -1.0], [1.0, 0.2], [0.0, 2]]),
    )

    def sample():
        weights = reweighter.bind(toy.gen)
        return GeneratorSample(weights, theta, ones, np.zeros(1), np.random.default_rng(0))

    def sums():
        now = sample()
        means = np.stack([now.mixture_weights(point) @ values for point in points])
        return (combine * means).sum(axis=0)

    assert len(sample().mixture_rows) == len(values)
    found = sample().weight_covariance(values, points, combine)
    expected = by_small_changes(reweighter, sums)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3 * expected.max())


@pytest.mark.slow
@pytest.mark.parametrize("degree", [-1, 0, 1])
def test_of_a_corrected_mean_is_what_the_correction_leaves(toy, reweighter, degree):
    theta, ones = np.asarray(toy.theta, dtype=float).reshape(-1, 1), np.ones(len(toy.gen))

    def predict():
        weights = reweighter.bind(toy.gen)
        sample = GeneratorSample(weights, theta, ones, np.zeros(1), np.random.default_rng(0))
        return GeneratorPrediction(sample, toy.gen, THETA, np.eye(1), Correction(degree, 1.0))

    prediction = predict()
    expected = by_small_changes(reweighter, lambda: predict().mean(THETA))
    # Small changes of the weights also change how much events count in the correction, by a little.
    np.testing.assert_allclose(prediction.covariances(THETA)[1], expected, rtol=0.05)


def test_a_part_of_many_events_stands_for_all(reweighter):
    sample = make_gaussian(90_000, random_state=5)
    weights = reweighter.bind(sample.sim_gen)
    values, ones = np.tanh(sample.sim_gen), np.ones(90_000)
    weight = np.exp(weights.log_weights(THETA))
    share = weight / weight.sum()
    slopes = share[:, None] * (values - share @ values)
    every = coupling_covariance([Dependence(weights, THETA, slopes)])
    part = mean_covariance(weights, values, ones, THETA)["generator"]
    # The weighted sums of the 30 000 events fluctuate by a percent or two.
    np.testing.assert_allclose(part, every, rtol=0.1)


def test_of_an_ensemble_that_does_not_know_its_error_the_members_spread(toy):
    options = FAST | {"n_estimators": 3, "module": MLP}
    reweighter = DCTRReweighter(**options).fit(toy.gen, toy.theta)
    weights = reweighter.bind(toy.sim_gen)
    found = mean_covariance(weights, toy.sim_gen, np.ones(2_000), THETA)
    means = [
        np.average(toy.sim_gen[:, 0], weights=np.exp(row))
        for row in weights.member_log_weights(THETA)
    ]
    np.testing.assert_allclose(found["training"], [[np.var(means, ddof=1) / 3]], rtol=1e-6)


def test_exact_weights_have_none(toy):
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}).fit(toy.sim_gen).bind(toy.sim_gen)
    assert mean_covariance(exact, toy.sim_gen, np.ones(2_000), THETA) == {}
    assert coupling_covariance([Dependence(exact, THETA, toy.sim_gen)]) is None


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
@pytest.mark.parametrize("known", [True, False])
def test_fits_have_it_as_a_source_or_say_that_it_lacks(toy, objective, known):
    reweighter = DCTRReweighter(**FAST | {"batch_size": 100}, refit=known).fit(toy.gen, toy.theta)
    fitter = SRGNFitter(reweighter, objective=objective, device="cpu", random_state=0)
    result = fitter.fit(toy.sim_gen, toy.sim_reco, toy.data).result_
    assert np.isfinite(result.sources["generator"]).all() == known
    # What is not known is not left out of the sum.
    assert np.isfinite(result.errors).all() == known
    assert any("error of the learned weights" in note for note in result.messages) != known


def test_dctr_fits_have_it_too(toy, reweighter):
    result = DCTRFitter(reweighter).fit(toy.sim_gen, data=toy.data_gen).result_
    assert result.sources["generator"][0, 0] > 0
    assert not any("error of the learned weights" in note for note in result.messages)


@pytest.mark.long  # a campaign of eight reweighters; benchmarks/accuracy has pulls over full toys
def test_spread_over_generator_samples_is_what_fits_quote():
    """The gradient fit is quick: sixteen generator samples with one simulation and its data."""
    fixed = make_gaussian(20_000, random_state=99)
    found = []
    for seed in range(16):
        sample = make_gaussian(1_000, n_gen=2_000, random_state=seed)
        fitted = DCTRReweighter(device="cpu", random_state=seed, max_epochs=20)
        fitter = DCTRFitter(fitted.fit(sample.gen, sample.theta)).fit(
            fixed.sim_gen, data=fixed.data_gen
        )
        found.append((fitter.theta_[0], fitter.result_.sources["generator"][0, 0]))
    theta, variance = np.array(found).T
    ratio = np.var(theta, ddof=1) / np.mean(variance)
    # χ² of 15 degrees of freedom, divided by them: between its quantiles of 0.1% and 99.9%.
    assert 0.23 < ratio < 2.51


@pytest.mark.parametrize("n_folds", [1, 2, 5])
def test_error_of_the_mean_over_parts_with_events_in_common(n_folds):
    """Each part leaves a share of the events out; without parts, members share none."""
    rng = np.random.default_rng(4)
    means, known = [], []
    for _ in range(600):
        parts = rng.normal(size=(n_folds if n_folds > 1 else 4, 2))
        estimates = parts
        if n_folds > 1:
            left = [np.delete(parts, k, axis=0).mean(axis=0) for k in range(n_folds)]
            estimates = np.stack(left)
        means.append(estimates.mean(axis=0))
        known.append(np.diag(covariance_of_mean(estimates, n_folds)))
    ratio = np.mean(known, axis=0) / np.var(means, axis=0, ddof=1)
    # These are variances of 600 values and, in the worst case, of as many differences of two.
    assert np.all(np.abs(ratio - 1) < 4 * np.sqrt(2 / 600 + 2 / 600))


def test_noise_of_training_of_many_parts_is_told_by_several_members():
    """Parts have events in common and networks noise; the relative error is √(2/600 + 2/600)."""
    rng = np.random.default_rng(5)
    n_folds, n_members, means, known = 5, 3, [], []
    for _ in range(600):
        parts = rng.normal(size=(n_folds, 2))
        left = np.stack([np.delete(parts, k, axis=0).mean(axis=0) for k in range(n_folds)])
        estimates = left.repeat(n_members, axis=0) + rng.normal(0, 0.3, (n_folds * n_members, 2))
        means.append(estimates.mean(axis=0))
        known.append(np.diag(covariance_of_mean(estimates, n_folds)))
    ratio = np.mean(known, axis=0) / np.var(means, axis=0, ddof=1)
    assert np.all(np.abs(ratio - 1) < 4 * np.sqrt(2 / 600 + 2 / 600))
