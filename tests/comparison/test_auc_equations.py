"""Solutions of the classifiers' equations, from starts on the bounds of the range."""

import numpy as np
import pytest

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.comparison import auc_equations
from skdctr.comparison.auc_equations import AUCEquations, errors, solve
from skdctr.comparison.classifier import Classifier
from skdctr.comparison.classifier_objective import ClassifierObjective, ComparedSamples
from skdctr.parameters.space import ParameterSpace
from skdctr.training.settings import NetworkSettings

N = 2000
TRUTH = np.array([0.3, 1.04])
SPACE = ParameterSpace(
    ("m", "alpha"), np.array([0.0, 1.0]), np.array([-1.0, 0.85]), np.array([1.0, 1.15])
)
SCALE = np.array([1.0, 0.3])
# A design that surrounds the truth as far as the range goes, as searches make it.
DESIGN = [(-0.1, 1.02), (1.0, 0.94), (1.0, 1.15), (0.74, 0.85)]


@pytest.fixture(scope="module")
def equations():
    def means(m, alpha):
        return np.stack([m + 3 * (alpha - 1), 0.5 * (alpha - 1)], axis=-1)

    def log_weight(x, theta):
        new = means(theta[..., 0], theta[..., 1])
        return (x * new - new**2 / 2).sum(axis=1)

    rng = np.random.default_rng(1)
    simulated, data = (means(*theta) + rng.normal(size=(N, 2)) for theta in ((0.0, 1.0), TRUTH))
    exact = AnalyticReweighter(log_weight, {"m": 0.0, "alpha": 1.0}).fit(simulated)
    fitter = SRGNFitter(max_epochs=4, batch_size=500, hidden_layer_sizes=16)
    classifier = Classifier.of(NetworkSettings.of(fitter), fitter.n_folds)
    samples = ComparedSamples(simulated, data, np.ones(N), np.ones(N))
    objective = ClassifierObjective(
        exact.bind(simulated), samples, classifier, names=list(SPACE.names), seed=1
    )
    return AUCEquations(objective, [objective(np.array(theta)) for theta in DESIGN])


@pytest.mark.parametrize(
    "start", [(1.0, 0.98), (-1.0, 0.85), (-1.0, 1.0), (1.0, 1.15), (0.3, 0.85)]
)
def test_solution_does_not_depend_on_a_start_on_the_bounds(equations, start, monkeypatch):
    # No other starts are tried.
    monkeypatch.setattr(auc_equations, "_BAD_BELOW", 0.0)
    centre = solve(equations, np.array([0.0, 1.0]), SPACE, SCALE, stiffness=1e-3)
    sources, _ = errors(equations, centre, 1e-3 * SCALE, SPACE)
    covariance = sources.total(2)
    step = solve(equations, np.array(start), SPACE, SCALE, stiffness=1e-3) - centre
    # Starts differ in the covariance that weighs the equations, which is worth less than an error.
    assert step @ np.linalg.solve(covariance, step) < 1
    off = centre - TRUTH
    assert off @ np.linalg.solve(covariance, off) < 16
