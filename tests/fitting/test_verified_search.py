"""A fit returns no θ that is worse than one it has evaluated, and tells of a second solution."""

import math

import numpy as np
import pytest

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.comparison.agreement import Agreement
from skdctr.comparison.classifier_objective import Evaluation
from skdctr.comparison.search import scan
from skdctr.exceptions import ConvergenceWarning
from skdctr.fitting.objectives import SearchRoute
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources
from skdctr.results.solution import Solution

LOW, HIGH = np.array([-1.0, 0.85]), np.array([1.0, 1.15])
SPACE = ParameterSpace(("m", "alpha"), np.array([0.0, 1.0]), LOW, HIGH)
TRUTH = (0.3, 1.04)
N, LOG_2 = 20_000, math.log(2)
# Deviation of an AUC at 1/2 by statistics, averaged over the two parts of a cross-fit.
AUC_ERROR = math.sqrt(1 / (6 * N))
CLASSIFIER = {"hidden_layer_sizes": 16, "batch_size": 500, "max_epochs": 10}


class Shift:
    """An objective of Gaussian shifts, whose AUC is known: d widths give 1/2 + d / (2 √π)."""

    n_folds = 2

    def __init__(self, centre, width):
        self.centre, self.width = np.array(centre), np.array(width)
        self.data_weight, self.names = np.ones(N), SPACE.names
        self.evaluations = []

    def __call__(self, theta):
        for known in self.evaluations:
            if np.array_equal(known.theta, theta):
                return known
        distance = float(np.sqrt(np.sum(((theta - self.centre) / self.width) ** 2)))
        self.evaluations.append(evaluation(theta, 0.5 + distance / (2 * math.sqrt(math.pi))))
        return self.evaluations[-1]

    def evaluate_all(self, points, n_jobs=None):
        return map(self, points)


def evaluation(theta, auc, auc_error=AUC_ERROR, n_effective=float(N), loss=LOG_2):
    nothing = np.empty(0, dtype=np.float32)
    return Evaluation(np.array(theta), auc, auc_error, loss, n_effective, 0.0, nothing, nothing)


def ending_at(*ends):
    """Make a search that ends at one θ after another."""
    remaining = list(ends)
    sources = Sources(data=np.diag([0.01, 0.001]) ** 2)

    def search(objective, kind, space, **options):
        return Solution(np.array(remaining.pop(0)), sources, converged=True)

    return search


def route(objective, search, *, resume=None, kind="auc", constraints=None):
    known = Constraints(constraints or {})
    return SearchRoute(objective, kind, SPACE, known, search, resume, None, lambda _: None)


# --- which θ is worse -------------------------------------------------------------------------


def test_a_corner_is_not_given_where_a_better_row_was_evaluated(monkeypatch):
    monkeypatch.setattr("skdctr.fitting.objectives.statistical_errors", errors)
    objective = Shift([0.2, 1.04], [1.0, 0.3])
    objective(np.array([0.18, 1.05]))
    found = route(objective, ending_at([1.0, 0.85])).solve()
    np.testing.assert_array_equal(found.theta, [0.18, 1.05])
    assert not found.converged
    assert "m = 1, alpha = 0.85" in found.messages[0]
    assert "worse than m = 0.18, alpha = 1.05" in found.messages[0]


def errors(objective, theta, space):
    return Sources(data=np.diag([0.01, 0.01]) ** 2), []


def test_a_search_that_can_go_on_does_so(monkeypatch):
    monkeypatch.setattr("skdctr.fitting.objectives.second_solutions", lambda *args: [])
    objective = Shift([0.2, 1.04], [1.0, 0.3])
    objective(np.array([0.18, 1.05]))
    found = route(objective, ending_at([1.0, 0.85]), resume=ending_at([0.2, 1.04])).solve()
    np.testing.assert_array_equal(found.theta, [0.2, 1.04])
    assert found.converged
    assert not found.messages


def test_a_verified_search_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr("skdctr.fitting.objectives.second_solutions", lambda *args: [])
    objective = Shift([0.2, 1.04], [1.0, 0.3])
    # Better by what the noise of an AUC could be, and no more.
    objective(np.array([0.2, 1.04]))
    proposed = np.array([0.23, 1.04])
    found = route(objective, ending_at(proposed), resume=ending_at()).solve()
    np.testing.assert_array_equal(found.theta, proposed)
    assert len(objective.evaluations) == 2


@pytest.mark.parametrize("kind", ["auc", "loss"])
def test_distance_is_that_of_chi_square(kind):
    # A shift by d, with a constraint missed by 4 σ: χ² = N d² / 2 + 16, in units of the AUC.
    d, known = 0.1, Constraints(alpha=(1.0, 0.02))
    objective = Shift([0.0, 1.0], [1.0, 1.0])
    seen = evaluation([0.0, 1.08], 0.5 + d / (2 * math.sqrt(math.pi)), loss=LOG_2 - d**2 / 8)
    objective.evaluations.append(seen)
    distance = Agreement(objective, kind, SPACE.names, known).distance(seen)
    expected = math.sqrt((N / 2 * d**2 + 16) / (4 * math.pi * N / 2))
    assert distance == pytest.approx(expected, rel=1e-9)


def test_a_constraint_that_is_missed_counts():
    # No AUC tells these apart, but one of them is 20 σ from what is known.
    objective = Shift([0.0, 1.0], [1.0, 1.0])
    corner, centre = evaluation([1.0, 1.1], 0.5), evaluation([0.0, 1.0], 0.502)
    objective.evaluations += [corner, centre]
    known = Constraints(alpha=(1.0, 0.005))
    assert Agreement(objective, "auc", SPACE.names, known).better_than(corner) is centre
    assert Agreement(objective, "auc", SPACE.names, Constraints()).better_than(corner) is None


def test_few_effective_events_are_no_merit():
    # On a plateau at the edge few events carry the weight, so that no classifier can learn.
    objective = Shift([0.0, 1.0], [1.0, 1.0])
    proposed = evaluation([0.1, 1.0], 0.53)
    plateau = evaluation([1.0, 1.15], 0.501, auc_error=0.02, n_effective=200.0)
    found = evaluation([0.0, 1.0], 0.503)
    objective.evaluations += [proposed, plateau, found]
    agreement = Agreement(objective, "auc", SPACE.names, Constraints())
    assert agreement.better_than(found) is None
    assert agreement.better_than(proposed) is found
    # Far below 1/2 is a difference, too.
    assert agreement.better_than(evaluation([0.5, 1.0], 0.06)) is found


def test_scan_obeys_the_rule_with_a_constraint(monkeypatch):
    monkeypatch.setattr("skdctr.fitting.objectives.statistical_errors", errors)
    objective = Shift([0.2, 1.04], [1.0, 0.3])

    def off(*args, **options):
        """A scan whose parabola lies beside its lowest point."""
        found = scan(*args, n_points=5, **options)
        return Solution(np.array([-0.9, 1.14]), found.sources, converged=True)

    found = route(objective, off, constraints={"alpha": (1.0, 0.005)}).solve()
    assert not found.converged
    np.testing.assert_allclose(found.theta, [0.0, 1.0])  # the best point of the grid
    assert "constraints" in found.sources


# --- fits -------------------------------------------------------------------------------------


def two_parameters(coupling, nominal=(0.0, 1.0), n=3000):
    """Make samples of a mass, and of a scale that mostly moves the same feature; with log w."""
    rng = np.random.default_rng(1)

    def means(m, alpha):
        return np.stack([m + 3 * (alpha - 1), coupling * (alpha - 1)], axis=-1)

    def log_weight(x, theta):
        new, old = means(theta[..., 0], theta[..., 1]), means(*nominal)
        return (((x - old) ** 2 - (x - new) ** 2) / 2).sum(axis=1)

    simulated, data = (means(*theta) + rng.normal(size=(n, 2)) for theta in (nominal, TRUTH))
    smeared = [events + rng.normal(0, 0.3, events.shape) for events in (simulated, data)]
    theta_nominal = dict(zip(SPACE.names, nominal, strict=True))
    exact = AnalyticReweighter(
        log_weight, theta_nominal, theta_bounds=list(zip(LOW, HIGH, strict=True))
    )
    return exact, [simulated, *smeared]


@pytest.mark.parametrize("corner", [(-1.0, 1.15), (1.0, 0.85)])
def test_a_search_that_starts_in_a_corner_leaves_it(corner):
    exact, samples = two_parameters(3.0, nominal=corner)
    fitter = SRGNFitter(exact, constraints={"alpha": (1.0, 0.02)}, random_state=1, **CLASSIFIER)
    fitter.fit(*samples)
    pulls = (fitter.theta_ - TRUTH) / fitter.result_.errors
    # The truth of α is two errors off its constraint.
    assert (np.abs(pulls) < 4).all()
    assert abs(fitter.auc_ - 0.5) < 4 * fitter.result_.auc_error
    assert fitter.result_.valid


def test_a_parameter_that_its_constraint_alone_fixes():
    exact, samples = two_parameters(0.0)
    fitter = SRGNFitter(exact, constraints={"alpha": (1.0, 0.02)}, random_state=1, **CLASSIFIER)
    fitter.fit(*samples)
    # m + 3 (α − 1) = 0.42 is known, to the error of means of events of width 1.04.
    known = 1.04 * math.sqrt(2 / 3000)
    assert abs(fitter.theta_[1] - 1.0) < 0.005
    assert abs(fitter.theta_[0] + 3 * (fitter.theta_[1] - 1) - 0.42) < 4 * known
    assert fitter.result_.errors[1] == pytest.approx(0.02, rel=0.05)
    assert fitter.result_.errors[0] == pytest.approx(math.hypot(known, 0.06), rel=0.3)
    assert fitter.result_.valid


def even_samples(seed, linear, truth, nominal, n=4000):
    """Make N(linear c, √(1 + c²)), whose width is even in the coupling c; with its log w."""
    rng = np.random.default_rng(seed)

    def generate(c):
        return rng.normal(linear * c, math.hypot(1, c), (n, 1))

    def log_density(x, c):
        return -((x[:, 0] - linear * c) ** 2) / 2 / (1 + c * c) - np.log(1 + c * c) / 2

    def log_weight(x, theta):
        return log_density(x, theta[..., 0]) - log_density(x, nominal)

    simulated, data = generate(nominal), generate(truth)
    smeared = [events + rng.normal(0, 0.3, (n, 1)) for events in (simulated, data)]
    return AnalyticReweighter(log_weight, {"c": nominal}, theta_bounds=[(-1.5, 1.5)]), [
        simulated,
        *smeared,
    ]


@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
@pytest.mark.parametrize("nominal", [0.0, 0.3])
def test_weights_that_are_even_in_theta_have_two_solutions(objective, nominal):
    exact, samples = even_samples(1, 0.0, 0.7, nominal)
    fitter = SRGNFitter(exact, objective=objective, random_state=1, **CLASSIFIER)
    with pytest.warns(ConvergenceWarning, match="a second solution lies at c = "):
        fitter.fit(*samples)
    assert abs(abs(fitter.theta_[0]) - 0.7) < 4 * fitter.result_.errors[0]
    assert abs(fitter.auc_ - 0.5) < 4 * fitter.result_.auc_error
    told = next(message for message in fitter.result_.messages if "second" in message)
    other = float(told.split("c = ")[1].split()[0])
    assert other * fitter.theta_[0] < 0
    assert abs(other + fitter.theta_[0]) < 4 * fitter.result_.errors[0]


@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
def test_the_better_of_two_solutions_wins(objective):
    # The width has two solutions, and the mean tells that the one far from θ₀ is right.
    exact, samples = even_samples(1, 0.3, -0.7, 0.3)
    fitter = SRGNFitter(exact, objective=objective, random_state=1, **CLASSIFIER).fit(*samples)
    assert abs(fitter.theta_[0] + 0.7) < 4 * fitter.result_.errors[0]
    assert fitter.result_.valid
