"""Conditional means by cross-fitted regression, against means that are known."""

import numpy as np
import pytest
import torch

from skdctr.observable.regression import RegressionOptions, cross_fit
from skdctr.training.folds import make_folds
from skdctr.training.options import TrainingOptions

N = 8_000


def options(**changes):
    given = {
        "layers": {"hidden_layer_sizes": (32, 32), "activation": "silu"},
        "training": lambda n: TrainingOptions(max_epochs=12, batch_size=500, lr=0.01),
        "max_rows": 10**6,
        "device": torch.device("cpu"),
    }
    return RegressionOptions(**given | changes)


@pytest.fixture(scope="module")
def sample():
    """Targets 3 + 2x and x², with noise of 0.5."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 1))
    mean = np.column_stack([3 + 2 * x[:, 0], x[:, 0] ** 2])
    return x, mean, mean + rng.normal(0, 0.5, mean.shape)


def test_finds_the_conditional_mean(sample):
    x, mean, target = sample
    folds = make_folds(N, 2, np.random.default_rng(1))
    fitted = cross_fit(x, target, np.ones(N), folds, options(), seed=0)
    for values in (fitted.out_of_fold(x, folds), fitted(x)):
        off = np.sqrt(np.mean((values - mean) ** 2, axis=0))
        # Fifty effective parameters of noise 0.5 on half of the events.
        assert (off < 3 * 0.5 * np.sqrt(50 / (N / 2))).all()


def test_no_event_is_judged_by_its_own_noise():
    """With hardly any events a network learns them by heart, but not the others."""
    rng = np.random.default_rng(2)
    x, target = rng.normal(size=(60, 4)), rng.normal(size=(60, 1))
    folds = make_folds(60, 2, rng)
    training = RegressionOptions(
        **vars(options())
        | {"training": lambda n: TrainingOptions(max_epochs=200, batch_size=30, lr=0.02)}
    )
    fitted = cross_fit(x, target, np.ones(60), folds, training, seed=0)
    own = np.corrcoef(fitted(x)[:, 0], target[:, 0])[0, 1]
    others = np.corrcoef(fitted.out_of_fold(x, folds)[:, 0], target[:, 0])[0, 1]
    assert own > 4 / np.sqrt(60)
    assert abs(others) < 4 / np.sqrt(60)


def test_weights_move_the_mean():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 1))
    target = rng.choice([0.0, 1.0], (N, 1))
    weight = np.where(target[:, 0] == 1, 3.0, 1.0)
    folds = make_folds(N, 2, rng)
    fitted = cross_fit(x, target, weight, folds, options(), seed=0)
    assert fitted(x).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.25 / N))


def test_negative_weights_do_not_take_part():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2_000, 1))
    weight = np.where(rng.random(2_000) < 0.2, -1.0, 1.0)
    # Negative events would pull the mean from 1 to (0.8 · 1 − 0.2 · 3)/0.6 = 1/3, or to 1.4.
    target = np.where(weight < 0, 3.0, 1.0)[:, None] + 0.1 * x
    folds = make_folds(2_000, 2, rng)
    fitted = cross_fit(x, target, weight, folds, options(), seed=0)
    assert np.abs(fitted(x)[:, 0] - 1 - 0.1 * x[:, 0]).mean() < 0.1


def test_at_most_so_many_rows(sample):
    x, _, target = sample
    seen = []

    def training(n):
        seen.append(n)
        return TrainingOptions(max_epochs=1, batch_size=500)

    folds = make_folds(N, 4, np.random.default_rng(5))
    cross_fit(x, target, np.ones(N), folds, options(training=training, max_rows=1_000), seed=0)
    assert seen == [1_000] * 4


def test_same_seed_same_bits(sample):
    x, _, target = sample
    folds = make_folds(N, 2, np.random.default_rng(6))
    quick = options(training=lambda n: TrainingOptions(max_epochs=1, batch_size=500))
    first, second = (cross_fit(x, target, np.ones(N), folds, quick, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first(x), second(x))


def test_folds_are_of_equal_size():
    folds = make_folds(1003, 4, np.random.default_rng(7))
    assert np.ptp(np.bincount(folds)) == 1
