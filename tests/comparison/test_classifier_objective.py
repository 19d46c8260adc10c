"""The AUC and the loss of a classifier at one θ.

Statistical tolerances are four standard errors, at fixed seeds.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.comparison.classifier import Classifier
from skdctr.comparison.classifier_objective import ClassifierObjective, ComparedSamples
from skdctr.datasets import gaussian_log_weight, make_gaussian
from skdctr.metrics import effective_sample_size
from skdctr.training.settings import NetworkSettings

N = 4000
QUICK = {"max_epochs": 6, "batch_size": 500, "hidden_layer_sizes": 16}


def make(sim_gen, sim, data, *, sim_weight=None, data_weight=None, seed=1, **options):
    sim_weight = np.ones(len(sim)) if sim_weight is None else sim_weight
    data_weight = np.ones(len(data)) if data_weight is None else data_weight
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}).fit(sim_gen)
    samples = ComparedSamples(sim, data, sim_weight, data_weight)
    fitter = SRGNFitter(**{**QUICK, **options})
    classifier = Classifier.of(NetworkSettings.of(fitter), fitter.n_folds)
    weights = exact.bind(sim_gen)
    return ClassifierObjective(weights, samples, classifier, names=["mu"], seed=seed)


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N, mu=0.5, random_state=1)


@pytest.fixture(scope="module")
def objective(toy):
    return make(toy.sim_gen, toy.sim_reco, toy.data)


@pytest.fixture(scope="module")
def away(objective):
    return objective(np.array([-0.5]))


def test_one_theta_is_evaluated_once(toy):
    objective = make(toy.sim_gen, toy.sim_reco, toy.data, max_epochs=1)
    first = objective(np.array([0.3]))
    assert objective(np.array([0.3])) is first
    assert objective([0.3]) is first
    assert len(objective.evaluations) == 1
    objective(np.array([0.4]))
    assert [e.theta[0] for e in objective.evaluations] == [0.3, 0.4]


@pytest.mark.slow
def test_placements_of_far_evaluations_are_dropped(toy):
    """A long descent holds 4 bytes per event for some classifiers, not 8 for every one."""
    points = np.linspace(-1.5, 1.9, 9)[:, None]
    everything, bounded = (make(toy.sim_gen, toy.sim_reco, toy.data) for _ in range(2))
    bounded.n_placements = 4
    for theta in points:
        everything(theta)
        bounded(theta)

    def held(objective):
        return sum(e.sim_placement.nbytes + e.data_placement.nbytes for e in objective.evaluations)

    assert held(everything) == len(points) * 4 * 2 * N
    assert held(bounded) == 4 * 4 * 2 * N
    assert [e.auc for e in bounded.evaluations] == [e.auc for e in everything.evaluations]
    # The nearest of those that learned something are kept; a second call trains nothing.
    learned = sorted((e for e in everything.evaluations if e.has_learned), key=lambda e: e.auc)
    kept = {e.auc for e in bounded.evaluations if e.has_placements}
    assert kept == {e.auc for e in learned[:4]}
    bounded.evaluate = None
    assert bounded(points[0]) is bounded.evaluations[0]
    assert not bounded(points[0]).has_placements


def test_common_random_numbers(toy):
    objective = make(toy.sim_gen, toy.sim_reco, toy.data)
    before = torch.get_rng_state()
    first, second = (objective.evaluate(np.array([0.3])) for _ in range(2))
    assert (first.auc, first.loss) == (second.auc, second.loss)
    np.testing.assert_array_equal(first.sim_placement, second.sim_placement)
    assert torch.equal(before, torch.get_rng_state())
    # A function of θ: a step of a thousandth moves the AUC by its slope, 0.25 per unit, and not
    # by the noise of another training, which is that of its error.
    near = objective.evaluate(np.array([0.301]))
    assert 0 < abs(near.auc - first.auc) < first.auc_error
    other = make(toy.sim_gen, toy.sim_reco, toy.data, seed=2).evaluate(np.array([0.3]))
    assert other.auc != first.auc


def test_orientation_and_size(objective, away):
    # Data are the positive class: whichever side θ is on, a classifier gets above one half.
    above = objective(np.array([1.5]))
    # The best separation of two Gaussians one apart behind the detector.
    best = stats.norm.cdf(1 / np.sqrt(2 * 1.25))
    for evaluation in (above, away):
        assert evaluation.auc > 0.5
        assert abs(evaluation.auc - best) < 4 * evaluation.auc_error
        assert evaluation.loss < np.log(2)
    at_truth = objective(np.array([0.5]))
    assert abs(at_truth.auc - 0.5) < 4 * at_truth.auc_error
    assert at_truth.loss == pytest.approx(np.log(2), abs=0.002)
    assert away.effective_sample_size == pytest.approx(
        effective_sample_size(np.exp(gaussian_log_weight(objective.weights.X, -0.5)))
    )


@pytest.mark.slow
def test_cross_fit_does_not_leak():
    """The samples are noise in ten dimensions, and the network could learn all events by heart."""
    rng = np.random.default_rng(3)
    n = 500
    sim, data = rng.normal(size=(n, 10)), rng.normal(size=(n, 10))
    for n_folds in (2, 5):
        objective = make(
            sim[:, :1],
            sim,
            data,
            max_epochs=60,
            batch_size=50,
            hidden_layer_sizes=64,
            n_folds=n_folds,
        )
        evaluation = objective(np.array([0.0]))
        assert abs(evaluation.auc - 0.5) < 4 * evaluation.auc_error
        # It did learn by heart, and is punished for it.
        assert evaluation.loss > np.log(2) + 0.05


def test_closure_sample_stays_in_one_fold(toy):
    objective = make(toy.sim_gen, toy.sim_reco, toy.sim_reco)
    np.testing.assert_array_equal(objective.sim_fold, objective.data_fold)
    # The same events are on both sides, so that the AUC at θ₀ is exactly one half.
    assert objective(np.array([0.0])).auc == pytest.approx(0.5, abs=1e-12)


def test_placements_give_the_auc(toy, objective, away):
    weight = np.exp(gaussian_log_weight(toy.sim_gen, -0.5))
    total = 0.0
    for fold in range(2):
        rows = objective.sim_fold == fold
        total += np.average(away.sim_placement[rows], weights=weight[rows]) / 2
        ranks = away.data_placement[objective.data_fold == fold]
        assert ranks.mean() == pytest.approx(0.5)
    assert total == pytest.approx(away.auc)
    assert away.sim_placement.min() >= 0
    assert away.sim_placement.max() <= 1
    # There is one normalisation in place of one per fold, which differ by fluctuations squared.
    together = np.average(away.sim_placement, weights=weight)
    assert together == pytest.approx(away.auc, abs=0.2 * away.auc_error)


@pytest.mark.slow
def test_auc_error_is_the_spread_of_toys():
    n_toys, n = 40, 400
    found = []
    for seed in range(n_toys):
        toy = make_gaussian(n, mu=0.5, random_state=200 + seed)
        objective = make(toy.sim_gen, toy.sim_reco, toy.data, max_epochs=3, batch_size=100)
        evaluation = objective(np.array([-0.5]))
        found.append([evaluation.auc, evaluation.auc_error])
    auc, error = np.transpose(found)
    # Training scatters the AUC a little too, so that only the χ² limits for 40 toys hold.
    s2 = np.sum((auc - auc.mean()) ** 2 / error**2)
    assert stats.chi2.isf(1 - 3.2e-5, n_toys - 1) < s2 < stats.chi2.isf(3.2e-5, n_toys - 1)


def test_weights_that_overflow_are_rescaled(toy):
    objective = make(toy.sim_gen, toy.sim_reco, toy.data)
    weight = objective.sim_weights(np.array([1000.0]))
    assert weight.max() == 1
    assert np.isfinite(weight).all()


def test_no_finite_weight_is_refused(toy):
    gone = AnalyticReweighter(lambda x, theta: np.full(len(x), -np.inf)).fit(toy.sim_gen)
    objective = make(toy.sim_gen, toy.sim_reco, toy.data)
    objective.weights = gone.bind(toy.sim_gen)
    with pytest.raises(ValueError, match="not finite: keep θ within the range"):
        objective(np.array([0.3]))


def test_max_rows_limits_training(toy):
    objective = make(toy.sim_gen, toy.sim_reco, toy.data)
    seen = []
    options = objective.classifier.options
    objective.classifier = replace(
        objective.classifier,
        max_rows=600,
        options=lambda n_events: seen.append(n_events) or options(n_events),
    )
    objective(np.array([0.3]))
    assert seen == [600, 600]
