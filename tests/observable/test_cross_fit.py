"""Reweighters whose networks each leave a part of the events out, and fits that use these parts."""

import pickle
from functools import partial

import numpy as np
import pytest
from _set_toy import generate, training_sample
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.campaign import fit_ensemble
from skdctr.fitting.observable_problem import observable_problem
from skdctr.fitting.samples import GeneratorInput, Samples
from skdctr.parameters.constraints import Constraints
from skdctr.reweighting.base import parameter_space
from skdctr.weights.error import Dependence, coupling_covariance

N = 3_000
N_SIGMA = 4.0
quick = partial(DCTRReweighter, max_epochs=3, batch_size=500, random_state=0, device="cpu")


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(1)
    theta = np.where(np.arange(N) % 2, rng.uniform(-1, 1, N), 0.0)
    return rng.normal(theta)[:, None], theta


@pytest.mark.slow
def test_events_are_dealt_evenly(sample):
    reweighter = quick(n_folds=3, n_estimators=2, refit=False).fit(*sample)
    assert_array_equal(np.bincount(reweighter.folds_), [N / 3] * 3)
    assert len(reweighter.nets_) == 6
    assert reweighter.net_ is reweighter.nets_[0]
    weights = reweighter.bind(sample[0])
    at = np.array([0.5])
    parts = [part.log_weights(at) for part in weights.by_fold()]
    assert_allclose(np.mean(parts, axis=0), weights.log_weights(at), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_networks_have_not_seen_their_part(sample):
    """The networks of a part stay the same to the bit if its events are given other θ."""
    x, theta = sample
    first = quick(n_folds=2).fit(x, theta)
    other = theta.copy()
    varied = np.flatnonzero((first.folds_ == 0) & (theta != 0))
    other[varied] = theta[varied[::-1]]
    second = quick(n_folds=2).fit(x, other)
    at = np.array([0.5])
    pairs = zip(first.bind(x).by_fold(), second.bind(x).by_fold(), strict=True)
    same = [np.array_equal(a.log_weights(at), b.log_weights(at)) for a, b in pairs]
    assert same == [True, False]


@pytest.mark.slow
def test_one_part_by_default_two_of_sets(sample):
    trained = partial(quick, refit=False)
    assert trained().fit(*sample).folds_ is None
    events, theta = training_sample(600, np.random.default_rng(2))
    assert_array_equal(np.bincount(trained().fit(events, theta).folds_), [300, 300])
    assert trained(n_folds=1).fit(events, theta).folds_ is None


@pytest.mark.parametrize("n_folds", [0, -1, 1.5, "all"])
def test_wrong_number_of_parts(sample, n_folds):
    with pytest.raises(ValueError, match="'n_folds' parameter of DCTRReweighter"):
        quick(n_folds=n_folds).fit(*sample)


def test_too_few_events_for_the_parts():
    with pytest.raises(ValueError, match=r"n_folds=4: without the events of a part.*n_folds=1"):
        quick(n_folds=4).fit([[0.0], [1.0], [0.5]], [0.0, 1.0, 0.0])


@pytest.mark.slow
def test_copies_and_campaigns_keep_the_parts(sample, tmp_path):
    reweighter = quick(n_folds=2, n_estimators=2).fit(*sample)
    expected = reweighter.predict_log_weights(sample[0], 0.5)
    copied = pickle.loads(pickle.dumps(reweighter))
    in_turn = fit_ensemble(quick(n_folds=2, n_estimators=2), *sample, path=tmp_path)
    for other in (copied, clone(reweighter).fit(*sample), in_turn):
        assert_array_equal(other.folds_, reweighter.folds_)
        # Other numbers of threads may sum in another order.
        assert_allclose(other.predict_log_weights(sample[0], 0.5), expected, atol=1e-5)


@pytest.mark.slow
def test_error_of_the_mean_of_parts(sample):
    """Halves share no events, so that the mean of two has half the variance of each."""
    weights = quick(n_folds=2).fit(*sample).bind(sample[0])
    slopes = np.full((N, 1), 1 / N) * sample[0]
    at = np.array([0.5])
    each = [coupling_covariance([Dependence(part, at, slopes)])[0, 0] for part in weights.by_fold()]
    together = coupling_covariance([Dependence(weights, at, slopes)])[0, 0]
    assert together == pytest.approx(np.mean(each) / 2)


def _problem(reweighter, gen, theta, sim, data):
    return observable_problem(
        Samples(sim, sim, data, np.ones(len(sim)), np.ones(len(data))),
        reweighter.bind(sim),
        reweighter,
        GeneratorInput(gen, theta),
        space=parameter_space(reweighter).within([(-1.0, 1.0)]),
        constraints=Constraints(),
        seed=0,
    )


@pytest.mark.slow
def test_each_part_is_corrected_by_what_it_has_not_seen(sample, rng):
    x, theta = sample
    reweighter = FrozenEstimator(quick(n_folds=3).fit(x, theta))
    sim, data = rng.normal(size=(500, 1)), rng.normal(0.4, size=(400, 1))
    problem = _problem(reweighter, x, theta, sim, data)
    for k, part in enumerate(problem.parts):
        rows = np.flatnonzero(reweighter.folds_ == k)
        assert_array_equal(part.generator.events, x[rows])
        assert_array_equal(part.generator.sample.theta[:, 0], theta[rows])
        expected = reweighter.bind(x[rows]).by_fold()[k].log_weights(np.array([0.3]))
        assert_allclose(part.generator.weights.log_weights(np.array([0.3])), expected, atol=1e-6)
    # No network has seen fresh events, so that each of them takes part once.
    fresh = rng.normal(size=(1_000, 1))
    problem = _problem(reweighter, fresh, np.where(np.arange(1_000) % 2, 0.5, 0.0), sim, data)
    dealt = np.concatenate([part.generator.events for part in problem.parts])
    assert_array_equal(np.sort(dealt, axis=0), np.sort(fresh, axis=0))


@pytest.mark.slow
def test_fit_of_sets_with_weights_that_have_learned_noise(rng):
    """θ moves the sets so little that networks learn mostly noise; many epochs make it worse."""
    strength, n, truth = 0.2, 4_000, 0.5
    theta = np.where(np.arange(2 * n) % 2, rng.uniform(-1, 1, 2 * n), 0.0)
    gen, sim = generate(strength * theta, rng), generate(np.zeros(n), rng)
    data = generate(np.full(n, strength * truth), rng)
    reweighter = DCTRReweighter(max_epochs=40, batch_size=500, random_state=0, device="cpu")
    fitter = SRGNFitter(
        reweighter, objective="optimal_observable", max_epochs=2, random_state=0, device="cpu"
    )
    fitter.fit(sim, data=data, gen=gen, theta=theta)
    error = fitter.covariance_[0, 0] ** 0.5
    assert abs(fitter.theta_[0] - truth) < N_SIGMA * error
    # σ of one event is 1 at strength 1; generator events, of which half are nominal, add as much.
    assert error < 3 * np.sqrt(2 / n) / strength
    assert fitter.result_.sources.keys() == {"data", "simulation", "generator"}
    # θ* solves the equation, and a frozen reweighter gives the same θ*.
    assert fitter.chi_square_(fitter.theta_) < 1e-3
    frozen = clone(fitter).set_params(reweighter=FrozenEstimator(fitter.reweighter_))
    again = frozen.fit(sim, data=data, gen=gen, theta=theta)
    assert_allclose(again.theta_, fitter.theta_, atol=0.02 * error)


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1])
def test_parts_that_do_not_know_the_same(sample, rng, part):
    """Where one part has no error of its couplings, the fit has none, and says so."""
    reweighter = quick(n_folds=2).fit(*sample)
    reweighter.nets_[part].module_.coupling_covariance = None
    sim, data = rng.normal(size=(500, 1)), rng.normal(0.3, size=(400, 1))
    fitter = SRGNFitter(reweighter, objective="optimal_observable", max_epochs=1, random_state=0)
    result = fitter.fit(sim, data=data).result_
    assert np.isnan(result.sources["generator"]).all()
    assert any("error of the learned weights is not" in text for text in result.messages)


@pytest.mark.slow
def test_generator_events_are_recognised(sample, rng):
    """Events of the fit go to their parts, others to random ones; another order is refused."""
    x, theta = sample
    trained = partial(quick, n_folds=2, refit=False)
    single = trained().fit(x.astype(np.float32), theta.astype(np.float32))
    sim, data = rng.normal(size=(500, 1)), rng.normal(0.4, size=(400, 1))
    for reweighter in (trained().fit(x, theta), single):
        problem = _problem(FrozenEstimator(reweighter), x, theta, sim, data)
        for part, k in zip(problem.parts, range(2), strict=True):
            assert_array_equal(part.generator.events, x[reweighter.folds_ == k])
        with pytest.raises(ValueError, match="in another order"):
            _problem(FrozenEstimator(reweighter), x[::-1], theta[::-1], sim, data)
        # These are as many other events, of the same θ in another order.
        other = rng.normal(theta[::-1])[:, None]
        problem = _problem(FrozenEstimator(reweighter), other, theta[::-1], sim, data)
        assert sum(len(part.generator.events) for part in problem.parts) == N
