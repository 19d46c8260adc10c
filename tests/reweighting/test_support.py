"""The reweighter measures which θ have events where the nominal sample has none, and says so."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skdctr import DCTRReweighter
from skdctr.exceptions import SupportWarning

N = 4000
QUICK = {
    "max_epochs": 8,
    "batch_size": 500,
    "hidden_layer_sizes": 16,
    "refit": False,
    "device": "cpu",
    "random_state": 1,
}


def sample(rng, nominal, low, high, draw, n=N):
    """Nominal events and as many at θ between two ends, (2n, 1), with their θ."""
    theta = np.r_[np.full(n, nominal), rng.uniform(low, high, n)]
    return draw(theta)[:, None], theta


def endpoint(rng, theta):
    return theta * rng.random(len(theta))


def new_peak(rng, theta):
    signal = rng.random(len(theta)) < theta
    return np.where(signal, rng.normal(-4, 0.3, len(theta)), rng.normal(1, 0.7, len(theta)))


def narrow(rng, theta):
    return rng.normal(theta, 0.05)


@pytest.mark.parametrize(
    ("draw", "nominal", "low", "high", "missing_at", "supported_at"),
    [
        (endpoint, 1.0, 0.8, 1.3, 1.28, 0.85),
        (new_peak, 0.0, 0.05, 0.4, 0.39, None),
        (narrow, 0.0, -1.0, 1.0, 0.9, 0.0),
    ],
)
def test_no_common_support_is_told_at_fit(rng, draw, nominal, low, high, missing_at, supported_at):
    x, theta = sample(rng, nominal, low, high, lambda theta: draw(rng, theta))
    frame = pd.DataFrame(x, columns=["mass"])
    with pytest.warns(SupportWarning, match=r"events near theta = .*, mostly with mass in \["):
        reweighter = DCTRReweighter(nominal, **QUICK).fit(frame, theta)
    assert "the nominal sample has" in reweighter.unsupported(np.array([missing_at]))
    if supported_at is not None:
        assert reweighter.unsupported(np.array([supported_at])) == ""


def test_share_that_is_told_is_the_known_one(rng):
    """At the highest cell of θ, of mean 1.27, the share 1 − 1/θ of the events lies above 1."""
    x, theta = sample(rng, 1.0, 0.8, 1.3, lambda theta: endpoint(rng, theta))
    with pytest.warns(SupportWarning):
        reweighter = DCTRReweighter(1.0, **QUICK).fit(x, theta)
    words = reweighter.unsupported(np.array([1.27]))
    share = float(words.partition("% lie")[0].rpartition(" ")[2]) / 100
    expected, n_cell = 1 - 1 / 1.27, N / 8
    # Some events below 1 score as high where hardly any nominal event is left: a hundredth.
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n_cell) + 0.01


@pytest.mark.parametrize("module_of_two", [False, True])
def test_two_samples(rng, module_of_two):
    """The discrete case, of two features, one of which alone lacks support."""
    x = rng.random((2 * N, 2))
    theta = np.repeat([0.0, 1.0], N)
    x[N:, 0] *= 1.25
    if module_of_two:
        x = x[:, ::-1]
    with pytest.warns(SupportWarning, match=f"feature {int(module_of_two)} in") as caught:
        DCTRReweighter(**QUICK).fit(x, theta)
    (message,) = (str(each.message) for each in caught if each.category is SupportWarning)
    share = float(message.partition("% lie")[0].rpartition(" ")[2])
    # A fifth lies above 1.
    assert share == pytest.approx(20, abs=4 * 100 * np.sqrt(0.2 * 0.8 / N) + 1)


def test_two_parameters(rng):
    """A signal that the nominal sample lacks, beside a parameter that it covers."""
    fraction = np.r_[np.zeros(N), rng.uniform(0.1, 0.5, N)]
    mean = np.r_[np.zeros(N), rng.uniform(-1, 1, N)]
    x = np.c_[new_peak(rng, fraction), rng.normal(mean)]
    theta = pd.DataFrame({"f": fraction, "mu": mean})
    with pytest.warns(SupportWarning, match=r"near f = .*, mu = .*feature 0 in \[-4.*7 other θ"):
        DCTRReweighter({"f": 0.0, "mu": 0.0}, **QUICK).fit(x, theta)


def test_sets_of_particles_are_judged_by_networks_that_have_not_seen_them(rng):
    theta = np.repeat([0.0, 1.0], 1500)
    counts = np.where(theta > 0, rng.integers(3, 9, 3000), rng.integers(3, 7, 3000))
    x = np.full((3000, 8, 2), np.nan)
    for row, count in zip(x, counts, strict=True):
        row[:count] = rng.normal(size=(count, 2))
    with pytest.warns(SupportWarning, match=r"number of particles in \[7, 8\]"):
        reweighter = DCTRReweighter(
            max_epochs=12, batch_size=200, device="cpu", random_state=1
        ).fit(x, theta)
    assert reweighter.folds_ is not None


@pytest.mark.parametrize(
    ("draw", "nominal", "low", "high"),
    [
        (lambda rng, theta: rng.normal(theta), 0.0, -2.0, 2.0),
        (lambda rng, theta: rng.exponential(theta), 1.0, 0.5, 1.8),
        (endpoint, 1.3, 0.8, 1.3),
        (new_peak, 0.1, 0.01, 0.4),
    ],
    ids=["Gaussian", "lifetime", "largest endpoint", "mixture with signal"],
)
def test_common_support_is_no_finding(rng, draw, nominal, low, high):
    x, theta = sample(rng, nominal, low, high, lambda theta: draw(rng, theta))
    with warnings.catch_warnings():
        warnings.simplefilter("error", SupportWarning)
        reweighter = DCTRReweighter(nominal, **QUICK).fit(x, theta)
    assert reweighter.unsupported(np.array([high])) == ""


def test_many_features_that_tell_nothing_are_no_finding(rng):
    """Networks that have learned the fluctuations of their own events must not see gaps there."""
    x = rng.normal(size=(2000, 40))
    theta = np.repeat([0.0, 1.0], 1000)
    x[1000:, 0] += 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error", SupportWarning)
        DCTRReweighter(**QUICK | {"max_epochs": 40}).fit(x, theta)


def test_a_mixture_as_reference_has_no_nominal_sample(rng):
    theta = rng.uniform(-1, 1, 2 * N)
    reweighter = DCTRReweighter(0.0, **QUICK).fit(narrow(rng, theta)[:, None], theta)
    assert reweighter.unsupported(np.array([0.9])) == ""


def test_an_ensemble_keeps_the_finding(rng):
    x, theta = sample(rng, 1.0, 0.8, 1.3, lambda theta: endpoint(rng, theta))
    options = QUICK | {"n_estimators": 2, "max_epochs": 4}
    with pytest.warns(SupportWarning):
        whole = DCTRReweighter(1.0, **options).fit(x, theta)
    inputs = {"X": x, "y": theta}
    with pytest.warns(SupportWarning):
        members = [whole.fit_member(k, seed, inputs) for k, seed in enumerate([1, 2])]
    assembled = DCTRReweighter(1.0, **options).assemble(members, inputs)
    assert assembled.unsupported(np.array([1.28])) != ""
