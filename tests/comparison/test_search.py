"""Searches over θ, mostly on an objective without noise."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.comparison.classifier import Classifier
from skdctr.comparison.classifier_objective import ClassifierObjective, ComparedSamples, Evaluation
from skdctr.comparison.search import distance, powell, quadratic_minimum, scan
from skdctr.comparison.surrogate import NEAREST, statistical_errors, surrogate
from skdctr.datasets import gaussian_log_weight, make_gaussian
from skdctr.parameters.space import ParameterSpace
from skdctr.training.settings import NetworkSettings

LOW, HIGH = np.array([-1.0, -2.0]), np.array([2.0, 2.0])
PLANE = ParameterSpace(("a", "b"), np.zeros(2), LOW, HIGH)
LINE = ParameterSpace(("mu",), np.zeros(1), LOW[:1], HIGH[:1])


class Analytic:
    """An objective whose (AUC − 1/2)² is a quadratic form, or whose loss is."""

    def __init__(self, centre, curvature=None, noise=0.0):
        self.centre = np.asarray(centre, dtype=float)
        p = len(self.centre)
        self.curvature = 0.01 * np.eye(p) if curvature is None else np.asarray(curvature)
        self.noise, self.rng = noise, np.random.default_rng(1)
        self.evaluations = []

    def __call__(self, theta):
        off = np.asarray(theta) - self.centre
        square = off @ self.curvature @ off
        square = abs(square + self.noise * self.rng.normal()) if self.noise else square
        evaluation = Evaluation(
            theta=np.array(theta, dtype=float),
            auc=0.5 + np.sqrt(square),
            auc_error=0.001,
            loss=np.log(2) - square,
            effective_sample_size=100.0,
            tail_index=0.0,
            sim_placement=np.empty(0),
            data_placement=np.empty(0),
        )
        self.evaluations.append(evaluation)
        return evaluation

    def evaluate_all(self, points, n_jobs=None):
        return map(self, points)


# --- the quadratic form -----------------------------------------------------------------------


def form(p, rng):
    root = rng.normal(size=(p, p))
    return root @ root.T + 0.5 * np.eye(p), rng.normal(size=p)


def n_terms(p):
    return 1 + p + p * (p + 1) // 2


@pytest.mark.parametrize("p", [1, 2, 3])
def test_minimum_of_a_form_without_noise_is_exact(p, rng):
    curvature, centre = form(p, rng)
    for n_points in (n_terms(p), n_terms(p) + 5):
        theta = centre + rng.normal(size=(n_points, p))
        off = theta - centre
        values = 0.3 + np.einsum("ni,ij,nj->n", off, curvature, off)
        found, covariance = quadratic_minimum(theta, values, np.full(p, 0.7))
        np.testing.assert_allclose(found, centre, atol=1e-9)
        if n_points == n_terms(p):
            assert np.isnan(covariance).all()  # nothing to judge the scatter by
        else:
            np.testing.assert_allclose(covariance, 0, atol=1e-15)


@pytest.mark.parametrize("p", [1, 2])
def test_error_of_the_minimum_is_the_spread_of_toys(p, rng):
    curvature, centre = form(p, rng)
    theta = np.array(list(itertools.product(np.linspace(-1, 1, 7), repeat=p))) + centre + 0.2
    off = theta - centre
    values = np.einsum("ni,ij,nj->n", off, curvature, off)
    n_toys = 400
    pulls = []
    for _ in range(n_toys):
        noisy = values + 0.02 * rng.normal(size=len(values))
        found, covariance = quadratic_minimum(theta, noisy, np.ones(p))
        pulls.append((found - centre) / np.sqrt(np.diag(covariance)))
    pulls = np.array(pulls)
    # The variance comes from k = points − terms residuals: Student's t with k degrees of freedom.
    spare = len(theta) - n_terms(p)
    width = stats.t.std(spare)
    kurtosis = stats.t.stats(spare, moments="k") if spare > 4 else np.inf
    assert (np.abs(pulls.mean(axis=0)) < 4 * width / np.sqrt(n_toys)).all()
    if np.isfinite(kurtosis):
        error = np.sqrt((kurtosis + 2) / n_toys)
        assert (np.abs(pulls.var(axis=0, ddof=1) / width**2 - 1) < 4 * error).all()
    else:
        # Its fourth moment is infinite: compare the share within one unit.
        share = (np.abs(pulls) < 1).mean()
        expected = stats.t.cdf(1, spare) - stats.t.cdf(-1, spare)
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n_toys)


def test_no_minimum_is_none():
    theta = np.linspace(-1, 1, 6)[:, None]
    one = np.ones(1)
    assert quadratic_minimum(theta, -(theta[:, 0] ** 2), one) is None  # a maximum
    assert quadratic_minimum(theta[:2], theta[:2, 0] ** 2, one) is None  # too few
    assert quadratic_minimum(np.repeat(theta[:2], 3, axis=0), np.arange(6.0), one) is None
    saddle = np.random.default_rng(0).normal(size=(10, 2))
    assert quadratic_minimum(saddle, saddle[:, 0] ** 2 - saddle[:, 1] ** 2, np.ones(2)) is None


def test_distance():
    evaluation = Analytic([0.0])([2.0])
    assert distance(evaluation, "auc") == pytest.approx(0.04)
    assert distance(evaluation, "loss") == pytest.approx(0.04)
    below = Analytic([0.0])([2.0])
    object.__setattr__(below, "auc", 0.3)
    assert distance(below, "auc") == pytest.approx(0.04)  # below one half is no reward


# --- powell and scan --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["auc", "loss"])
def test_powell(kind):
    objective = Analytic([0.7, -0.4], [[0.01, 0.004], [0.004, 0.02]])
    found = powell(objective, kind, PLANE, max_iter=100, tol=1e-6)
    np.testing.assert_allclose(found.theta, [0.7, -0.4], atol=0.01)
    assert found.converged
    assert found.sources["search"].shape == (2, 2)


def test_powell_keeps_its_bounds():
    objective = Analytic([5.0, 0.0])
    found = powell(objective, "auc", PLANE)
    assert found.theta[0] == pytest.approx(2.0, abs=1e-3)
    tried = np.stack([e.theta for e in objective.evaluations])
    assert ((tried >= LOW) & (tried <= HIGH)).all()


@pytest.mark.parametrize("options", [{"max_iter": 1}, {"max_evaluations": 8}])
def test_powell_that_stops_early_says_so(options):
    objective = Analytic([0.7, -0.4], [[0.01, 0.009], [0.009, 0.02]])
    reported = []
    found = powell(objective, "auc", PLANE, report=reported.append, **options)
    assert not found.converged
    assert found.messages[0].startswith("Powell stopped early")
    assert reported == objective.evaluations
    assert len(reported) <= options.get("max_evaluations", 200)


@pytest.mark.parametrize("kind", ["auc", "loss"])
def test_scan_reads_the_parabola(kind):
    reported = []
    objective = Analytic([0.7, -0.4], [[0.01, 0.004], [0.004, 0.02]])
    found = scan(objective, kind, PLANE, n_points=5, report=reported.append)
    assert len(reported) == 25
    np.testing.assert_allclose(found.theta, [0.7, -0.4], atol=1e-9)
    assert found.converged
    assert not found.messages


@pytest.mark.parametrize("kind", ["auc", "loss"])
def test_scan_of_as_many_points_as_a_parabola_needs_does_not_know_its_error(kind):
    found = scan(Analytic([0.7]), kind, LINE, n_points=3)
    assert found.theta == pytest.approx([0.7])
    assert np.isnan(found.sources["search"]).all()
    assert not found.converged
    assert "raise n_points" in found.messages[0]
    assert scan(Analytic([0.7]), kind, LINE, n_points=4).converged


def test_scan_of_noise():
    objective = Analytic([0.7], noise=1e-4)
    found = scan(objective, "auc", LINE, n_points=15)
    assert abs(found.theta[0] - 0.7) < 4 * np.sqrt(found.sources["search"][0, 0])


def test_scan_without_a_parabola_gives_the_lowest_point():
    class Slope(Analytic):
        def __call__(self, theta):
            evaluation = super().__call__(theta)
            object.__setattr__(evaluation, "auc", 0.5 + 0.1 * np.sqrt(theta[0] + 1.1))
            return evaluation

    found = scan(Slope([0.0]), "auc", LINE, n_points=7)
    assert not found.converged
    np.testing.assert_array_equal(found.theta, LOW[:1])
    assert "no parabola" in found.messages[0]


# --- surrogate --------------------------------------------------------------------------------


N = 3000


@pytest.fixture(scope="module")
def gaussian_objective():
    toy = make_gaussian(N, mu=0.5, random_state=1)
    exact = AnalyticReweighter(gaussian_log_weight, {"mu": 0.0}).fit(toy.sim_gen)
    ones = np.ones(N)
    fitter = SRGNFitter(max_epochs=5, batch_size=500, hidden_layer_sizes=16)
    samples = ComparedSamples(toy.sim_reco, toy.data, ones, ones)
    classifier = Classifier.of(NetworkSettings.of(fitter), fitter.n_folds)
    weights = exact.bind(toy.sim_gen)
    return lambda: ClassifierObjective(weights, samples, classifier, names=["mu"], seed=1)


def test_surrogate_solves_without_training(gaussian_objective):
    objective = gaussian_objective()
    trained = []
    evaluate = objective.evaluate
    objective.evaluate = lambda theta: trained.append(theta) or evaluate(theta)
    reported = []
    found = surrogate(
        objective,
        "auc",
        LINE,
        max_evaluations=11,
        report=reported.append,
    )
    assert len(trained) == len(objective.evaluations) == len(reported) <= 11
    # θ is none of the points at which classifiers were trained.
    assert not any(np.array_equal(theta, found.theta) for theta in trained)
    error = np.sqrt(sum(found.sources.values())[0, 0])
    assert abs(found.theta[0] - 0.5) < 4 * error
    # The same classifiers give about the same error.
    sources, messages = statistical_errors(objective, found.theta, LINE)
    assert not messages
    assert np.sqrt(sum(sources.values())[0, 0]) == pytest.approx(error, rel=0.3)


@pytest.mark.slow
def test_errors_need_the_nearest_placements_only(gaussian_objective):
    everything, bounded = gaussian_objective(), gaussian_objective()
    bounded.n_placements = NEAREST
    for theta in np.linspace(-1, 2, 9):
        everything(np.array([theta]))
        bounded(np.array([theta]))
    args = (np.array([0.5]), LINE)
    (all_kept, _), (few_kept, _) = (statistical_errors(o, *args) for o in (everything, bounded))
    # The classifiers nearest in AUC are the ones nearest in θ, so that only the order differs.
    for source, covariance in all_kept.items():
        np.testing.assert_allclose(few_kept[source], covariance, rtol=1e-6)


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_surrogate_stops_at_the_limit(gaussian_objective, limit):
    objective = gaussian_objective()
    found = surrogate(objective, "auc", LINE, max_evaluations=limit)
    assert len(objective.evaluations) <= limit
    if not found.converged:
        assert "raise max_evaluations" in found.messages[-1]
    assert found.converged or limit < 5


def test_surrogate_that_goes_round_ends(gaussian_objective, monkeypatch):
    """Between two bounds, where every θ of the designs has been tried."""
    ends = itertools.cycle([LOW[:1], LOW[:1], HIGH[:1], HIGH[:1]])
    monkeypatch.setattr("skdctr.comparison.surrogate.solve", lambda *_, **__: next(ends))
    objective = gaussian_objective()
    found = surrogate(objective, "auc", LINE, max_evaluations=1000)
    assert not found.converged
    assert "widen the bounds" in found.messages[-1]
    assert len(objective.evaluations) < 15


@pytest.mark.parametrize("start", [-1.0, 2.0])
def test_surrogate_from_either_bound(gaussian_objective, start):
    found = surrogate(
        gaussian_objective(), "auc", replace(LINE, nominal=np.array([start])), max_evaluations=11
    )
    error = np.sqrt(sum(found.sources.values())[0, 0])
    assert abs(found.theta[0] - 0.5) < 4 * error
