"""Means at any θ from a mixture of generator events, against Gaussians of known mean.

Statistical tolerances are four standard errors at fixed seeds.
"""

import numpy as np
import pytest

from skdctr import AnalyticReweighter
from skdctr.observable.generator import (
    Correction,
    GeneratorPrediction,
    GeneratorSample,
    predict_generator,
)
from skdctr.parameters.cells import theta_cells

NOMINAL = np.array([0.0])
INFORMATION = np.eye(1)
AT = np.array([1.0])
N_SIGMA = 4


def log_weight(x, theta):
    return x[:, 0] * theta[0] - theta[0] ** 2 / 2


def bent(x, theta):
    """Return weights of events of mean θ + 0.1 θ², an error that the mixture alone halves."""
    return log_weight(x, [theta[0] + 0.1 * theta[0] ** 2])


def draw(seed, n=2_000, points=None):
    """Draw events at θ₀ and as many at θ uniform in [-2, 2], or at given points."""
    rng = np.random.default_rng(seed)
    varied = rng.uniform(-2, 2, n) if points is None else rng.choice(points, n)
    theta = np.concatenate([np.zeros(n), varied])[:, None]
    return rng.normal(theta), theta


def make(x, theta, ratio=log_weight, weight=None):
    reweighter = AnalyticReweighter(ratio, NOMINAL, theta_bounds=[(-2, 2)]).fit(x)
    weight = np.ones(len(x)) if weight is None else weight
    return GeneratorSample(reweighter.bind(x), theta, weight, NOMINAL, np.random.default_rng(0))


def predict(x, theta, degree, share=1.0, ratio=log_weight, values=None, weight=None):
    sample = make(x, theta, ratio, weight)
    values = x if values is None else values
    return GeneratorPrediction(sample, values, AT, INFORMATION, Correction(degree, share))


def error(prediction, theta=AT):
    return np.sqrt((prediction.influence(theta) ** 2).sum(axis=0))


@pytest.mark.slow
def test_signed_events_have_the_density_of_their_sums():
    """In 100 samples every fourth event of varied θ counts negatively, and none at θ₀ does."""
    means = []
    for seed in range(100):
        x, theta = draw(seed)
        sign = np.ones(len(x))
        sign[len(x) // 2 :: 4] = -1.0
        means.append(predict(x, theta, degree=-1, weight=sign).mean(AT)[0])
    assert abs(np.mean(means) - AT[0]) < 4 * np.std(means, ddof=1) / np.sqrt(len(means))


@pytest.mark.slow
@pytest.mark.parametrize(("degree", "share"), [(-1, 1.0), (1, 1.0), (2, 1.0), (2, 0.6)])
def test_error_is_the_spread_over_samples(degree, share):
    """With 60 samples the ratio of spread and error has a relative error of 1/√120."""
    found = [predict(*draw(seed), degree, share) for seed in range(60)]
    means = np.array([prediction.mean(AT)[0] for prediction in found])
    errors = np.array([error(prediction)[0] for prediction in found])
    assert abs(means.mean() - 1.0) < N_SIGMA * means.std() / np.sqrt(60)
    ratio = means.std(ddof=1) / np.sqrt((errors**2).mean())
    assert abs(np.log(ratio)) < N_SIGMA / np.sqrt(120)


def test_the_mixture_is_better_than_the_nominal_events_alone():
    x, theta = draw(1)
    nominal = x[theta[:, 0] == 0, 0]
    weight = np.exp(nominal - 0.5)
    alone = np.sqrt(np.sum((weight * (nominal - 1)) ** 2)) / weight.sum()
    assert error(predict(x, theta, -1))[0] < 0.6 * alone


def test_wrong_weights_are_mended_by_the_polynomial():
    x, theta = draw(2, n=20_000)
    wrong = predict(x, theta, -1, ratio=bent)
    assert abs(wrong.mean(AT)[0] - 1.0) > 1.5 * N_SIGMA * error(wrong)[0]
    right = predict(x, theta, 2, ratio=bent)
    assert abs(right.mean(AT)[0] - 1.0) < N_SIGMA * error(right)[0]


def test_the_stiffest_correction_that_does_is_chosen():
    corrections = [Correction(-1, 1.0), Correction(2, 1.0)]
    x, theta = draw(3, n=20_000)
    chosen = [
        predict_generator(
            make(x, theta, ratio), x, AT, INFORMATION, corrections, np.eye(1)
        ).correction
        for ratio in (log_weight, bent)
    ]
    assert chosen == corrections


def test_few_values_of_theta():
    points = np.array([-1.5, -0.75, 0.75, 1.25, 2.0])
    x, theta = draw(4, n=20_000, points=points)
    for degree in (-1, 1, 2):
        prediction = predict(x, theta, degree)
        assert abs(prediction.mean(AT)[0] - 1.0) < N_SIGMA * error(prediction)[0]
    # The nodes are the values themselves, so that nothing is interpolated.
    np.testing.assert_array_equal(np.sort(prediction.sample.nodes[:, 0]), np.sort([0, *points]))


def test_corrections_that_the_values_of_theta_do_not_determine_are_left_out():
    x, theta = draw(5, points=np.array([1.0]))
    corrections = [Correction(1, 1.0), Correction(5, 1.0)]
    sample = make(x, theta)
    found = predict_generator(sample, x, AT, INFORMATION, corrections, np.eye(1))
    assert found.correction.degree == 1


def test_event_weights_count_as_repetition():
    x, theta = draw(6)
    counts = np.arange(len(x)) % 3 + 1
    weighted = predict(x, theta, 1, weight=counts.astype(float))
    repeated = predict(np.repeat(x, counts, axis=0), np.repeat(theta, counts, axis=0), 1)
    # Nodes are means of cells that may divide a little differently.
    assert weighted.mean(AT)[0] == pytest.approx(repeated.mean(AT)[0], abs=2e-3)


def test_several_functions_at_once():
    x, theta = draw(7, n=20_000)
    both = predict(x, theta, 2, values=np.column_stack([x, x**2]))
    mean, errors = both.mean(AT), error(both)
    assert (np.abs(mean - [1.0, 2.0]) < N_SIGMA * errors).all()
    alone = predict(x, theta, 2)
    assert mean[0] == pytest.approx(alone.mean(AT)[0], abs=1e-5)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_cells_hold_equal_numbers(p):
    theta = np.random.default_rng(p).uniform(-1, 1, (10_000, p))
    means, totals = theta_cells(theta, np.ones(10_000), 128)
    assert means.shape == (128, p)
    assert totals.sum() == 10_000
    assert totals.max() - totals.min() <= 8
    # No cell is far from where its events are.
    np.testing.assert_allclose(np.average(means, axis=0, weights=totals), theta.mean(axis=0))
