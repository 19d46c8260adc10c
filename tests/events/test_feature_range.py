"""Events outside of the training events' support: told where it is not by chance, not else."""

import warnings

import numpy as np
import pytest

from skdctr.events.coder import Coder
from skdctr.events.support import FeatureRange
from skdctr.exceptions import ExtrapolationWarning

N_EVENTS, N_SAMPLES = 20_000, 150
TAILS = {
    "Gaussian": lambda rng: rng.normal(size=N_EVENTS),
    "exponential": lambda rng: rng.exponential(size=N_EVENTS),
    "steep spectrum": lambda rng: 30 * (1 + rng.pareto(4, N_EVENTS)),
    "log-normal": lambda rng: rng.lognormal(size=N_EVENTS),
    "Student": lambda rng: rng.standard_t(3, N_EVENTS),
    "Cauchy": lambda rng: rng.standard_cauchy(N_EVENTS),
    "counts": lambda rng: rng.poisson(4, N_EVENTS).astype(float),
    "bounded": lambda rng: rng.uniform(-3, 5, N_EVENTS),
}


def support(x):
    X = np.asarray(x, dtype=float).reshape(len(x), -1)
    return FeatureRange.of(X, Coder.fit(X))


def n_told(found, x):
    return len(found.beyond_chance(np.asarray(x, dtype=float).reshape(len(x), -1)))


@pytest.mark.parametrize("tail", TAILS)
def test_fresh_events_of_the_same_distribution_are_told_of_in_one_sample_of_fifty_at_most(tail):
    rng, draw = np.random.default_rng(1), TAILS[tail]
    told = sum(n_told(support(draw(rng)), draw(rng)) for _ in range(N_SAMPLES))
    # The chance is 0.002 of both sides, 0.3 samples of 150: four or more come in 3 of 10 000 runs.
    assert told < 4


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_event_that_the_tail_cannot_reach_is_told(tail, sign):
    train, fresh = (TAILS[tail](np.random.default_rng(seed)) for seed in (1, 2))
    fresh[7] = sign * 1e12
    assert n_told(support(train), fresh) == 1


@pytest.mark.parametrize("tail", ["Gaussian", "exponential", "steep spectrum", "bounded", "counts"])
def test_another_unit_is_told(tail):
    train, fresh = (TAILS[tail](np.random.default_rng(seed)) for seed in (1, 2))
    assert n_told(support(train), 1000 * fresh) == 1


def test_an_odd_event_in_training_hides_no_odd_event_elsewhere():
    train, fresh = (TAILS["Gaussian"](np.random.default_rng(seed)) for seed in (1, 2))
    train[3] = 1e9
    found = support(train)
    assert found.high[0] == np.sort(train)[-2]
    assert n_told(found, fresh) == 0
    fresh[5] = 1e3
    assert n_told(found, fresh) == 1


def test_extremes_are_exact_and_far_from_zero_too():
    x = 1e9 + np.random.default_rng(3).integers(0, 1000, N_EVENTS) / 7
    found = support(x)
    assert (found.low[0], found.high[0]) == (x.min(), x.max())
    assert n_told(found, x) == 0


def test_few_events_and_constants_have_a_support():
    for x in ([1.0], [1.0, 2.0], [3.0] * 30):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert n_told(support(x), x) == 0
            assert n_told(support(x), [1e6]) == 1


def test_the_message_names_feature_range_and_count():
    x = np.random.default_rng(4).normal(size=N_EVENTS)
    with pytest.warns(ExtrapolationWarning, match=r"1 of 2 events have mass outside the range"):
        support(x).warn_if_outside(np.array([[0.0], [1e6]]), ["mass"])
