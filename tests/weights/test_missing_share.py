"""Which share of a target a sample lacks, by exact weights of known shapes."""

import numpy as np
import pytest
from scipy.stats import norm

from skdctr.weights.missing_share import find_missing_share, missing_in_words

N = 10_000


def endpoint(rng, theta):
    """Events between 0 and θ; θ₀ = 1."""
    x = [scale * rng.random(N) for scale in (1.0, theta)]
    return x, lambda x: np.where(x < 1, -np.log(theta), np.inf), 1 - 1 / theta


def threshold(rng, theta):
    """An exponential above −θ; θ₀ = 0."""
    x = [rng.exponential(size=N) - shift for shift in (0.0, theta)]
    return x, lambda x: np.where(x > 0, -theta, np.inf), 1 - np.exp(-theta)


def new_peak(rng, fraction):
    """A far peak that the nominal sample does not have."""
    signal = rng.random(N) < fraction
    x = [rng.normal(size=N), np.where(signal, rng.normal(12, 1, N), rng.normal(size=N))]

    def log_weight(x):
        densities = norm.logpdf(x, 12, 1) - norm.logpdf(x)
        return np.logaddexp(np.log(1 - fraction), np.log(fraction) + densities)

    return x, log_weight, fraction


def narrow(rng, theta):
    """A peak narrower than its shift."""
    x = [rng.normal(mean, 0.05, N) for mean in (0.0, theta)]
    return x, lambda x: (x * theta - theta**2 / 2) / 0.05**2, 1.0


def find(x, log_weight, target_weight=None):
    sample, target = x
    return find_missing_share(log_weight(target), log_weight(sample), target_weight)


@pytest.mark.parametrize(
    ("case", "theta"),
    [(endpoint, 1.05), (endpoint, 1.3), (threshold, 0.2), (new_peak, 0.1), (narrow, 0.6)],
)
def test_missing_share_is_the_known_one(rng, case, theta):
    x, log_weight, share = case(rng, theta)
    missing = find(x, log_weight)
    # The share is known to its binomial error, and up to ten of 10⁴ events count as none.
    error = np.sqrt(share * (1 - share) / N)
    assert abs(missing.share - share) < 4 * error + 1e-3
    assert missing.rows.mean() == pytest.approx(missing.share)
    assert missing.n_events <= 10


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_tails_of_a_gaussian_are_no_lack_of_support(shift):
    """None of 300 samples is a rate of false alarms below 1%, with a confidence of 95%."""
    rng = np.random.default_rng(int(10 * shift))
    for _ in range(60):
        x = rng.normal(size=N), rng.normal(shift, size=N)
        assert find(x, lambda x: x * shift - shift**2 / 2) is None


@pytest.mark.parametrize("size", [0.01, 100.0])
def test_sizes_of_weights_do_not_count(rng, size):
    """A network that has hardly learned, or too much, still ranks the events."""
    x = rng.normal(size=N), rng.normal(1.5, size=N)
    assert find(x, lambda x: size * x) is None
    x = rng.random(N), 1.3 * rng.random(N)
    assert find(x, lambda x: size * x).share == pytest.approx(1 - 1 / 1.3, abs=0.02)


def test_overlap_that_is_as_good_as_none_is_found(rng):
    shift = 8.0
    x = rng.normal(size=N), rng.normal(shift, size=N)
    assert find(x, lambda x: x * shift - shift**2 / 2).share == pytest.approx(1.0, abs=0.01)


def test_a_few_nominal_events_of_the_signal_are_enough(rng):
    """A hundred of 10⁴ events carry a signal of 30%: their weights are large, but known."""
    x, log_weight, _ = new_peak(rng, 0.3)
    x[0][:100] = rng.normal(12, 1, 100)
    signal = norm.logpdf(x[0], 12, 1) > norm.logpdf(x[0])

    assert signal.sum() == pytest.approx(100, abs=1)
    assert find(x, log_weight) is None


def test_event_weights_count(rng):
    """Target events of the missing part with a tenth of the weight are a tenth of the share."""
    x, log_weight, share = endpoint(rng, 1.3)
    weight = np.where(x[1] > 1, 0.1, 1.0)
    missing = find(x, log_weight, weight)
    expected = 0.1 * share / (0.1 * share + 1 - share)
    assert missing.share == pytest.approx(expected, rel=0.1)


def test_small_samples_are_no_finding(rng):
    assert find((rng.random(5), 2 * rng.random(9)), lambda x: np.where(x < 1, 0.0, np.inf)) is None


def test_region_is_told_in_words(rng):
    x, log_weight, _ = endpoint(rng, 1.3)
    missing = find(x, log_weight)
    target, sample = (np.c_[rng.normal(size=N), values] for values in reversed(x))
    words = missing_in_words(missing, target, sample, ["y", "mass"], which="the simulation")
    assert words.startswith(
        f"{100 * missing.share:.0f}% lie where the simulation has next to no events ("
    )
    low, high = (float(end) for end in words.partition("mass in [")[2].partition("]")[0].split(","))
    # The central 90% between 1 and 1.3.
    assert low == pytest.approx(1.015, abs=0.01)
    assert high == pytest.approx(1.285, abs=0.01)
