"""Fits of data that lie where the simulation has no events are not valid, and say where that is."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.exceptions import SupportWarning

N = 4000
QUICK = {"max_epochs": 8, "batch_size": 500, "hidden_layer_sizes": 16, "random_state": 1}
FRACTION = 0.3
# What else these fits find does not matter: they are lost.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::skdctr.exceptions.{name}Warning")
    for name in ("Convergence", "Identifiability", "LowEffectiveSampleSize", "ModelMismatch")
]


def peak_over_background(rng, fraction):
    signal = rng.random(len(fraction)) < fraction
    return np.where(signal, rng.normal(-6, 0.5, len(fraction)), rng.normal(size=len(fraction)))


def log_weight(x, theta):
    """Log-ratio to a sample without signal."""
    theta = np.asarray(theta)[..., 0]
    ratio = norm.logpdf(x[:, 0], -6, 0.5) - norm.logpdf(x[:, 0])
    return np.logaddexp(np.log1p(-theta), np.log(theta) + ratio)


def samples(rng, fraction=FRACTION):
    sim, data = (peak_over_background(rng, np.full(N, f))[:, None] for f in (0.0, fraction))
    return pd.DataFrame(sim, columns=["m"]), pd.DataFrame(data, columns=["m"])


def said(result):
    (message,) = (m for m in result.messages if m.category is SupportWarning)
    return message


def share_of(message):
    return float(message.partition("% lie")[0].rpartition(" ")[2]) / 100


def exact():
    return AnalyticReweighter(log_weight, {"f": 1e-3}, theta_bounds=[(1e-3, 0.9)])


def test_gradient_fit_with_exact_weights(rng):
    sim, data = samples(rng)
    with pytest.warns(SupportWarning, match="no common support: of the data, "):
        result = DCTRFitter(exact()).fit(sim, data=data).result_
    assert not result.valid
    assert str(result).splitlines()[1].startswith("  ! no common support")
    error = np.sqrt(FRACTION * (1 - FRACTION) / N)
    assert abs(share_of(said(result)) - FRACTION) < 4 * error + 0.005
    assert "mostly with m in [-6." in said(result)


def test_search_with_exact_weights_behind_a_detector(rng):
    sim, data = samples(rng)
    noise = rng.normal(scale=0.3, size=(2, N, 1))
    fitter = SRGNFitter(exact(), max_evaluations=3, **QUICK)
    with pytest.warns(SupportWarning, match="of the data, .* where the simulation has"):
        result = fitter.fit(sim, sim + noise[0], data + noise[1]).result_
    assert not result.valid
    assert abs(share_of(said(result)) - FRACTION) < 0.04


def endpoint(rng, theta):
    return (theta * rng.random(len(theta)))[:, None]


def test_gap_that_the_detector_smears_over_is_known_from_the_training(rng):
    """Behind a resolution as wide as the whole range no classifier sees the endpoint."""
    theta = np.r_[np.ones(N), rng.uniform(0.8, 1.3, N)]
    reweighter = DCTRReweighter(1.0, refit=False, device="cpu", **QUICK)
    with pytest.warns(SupportWarning, match="No common support: of the events near theta"):
        reweighter.fit(endpoint(rng, theta), theta)
    sim, data = endpoint(rng, np.ones(N)), endpoint(rng, np.full(N, 1.25))
    sim_reco, reco = sim + rng.normal(size=(N, 1)), data + rng.normal(size=(N, 1))
    fitter = SRGNFitter(reweighter, max_evaluations=3, bounds=[(1.2, 1.3)], **QUICK)
    with pytest.warns(SupportWarning, match="of the events near theta = 1"):
        result = fitter.fit(sim, sim_reco, reco).result_
    assert not result.valid
    assert "simulate at a θ₀ whose events cover the data" in said(result)


def test_simulation_too_far_from_the_data_where_there_was_no_nominal_class(rng):
    """A reweighter trained against the mixture of all θ, and peaks far apart."""
    theta = rng.uniform(-1, 1, 2 * N)
    reweighter = DCTRReweighter(0.0, refit=False, device="cpu", **QUICK)
    reweighter.fit(rng.normal(theta, 0.1)[:, None], theta)
    sim, data = (rng.normal(mean, 0.1, (N, 1)) for mean in (0.0, 0.8))
    with pytest.warns(SupportWarning):
        result = DCTRFitter(reweighter).fit(sim, data=data).result_
    assert not result.valid
    assert share_of(said(result)) > 0.95


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_tails_do_not_make_a_fit_invalid(rng, shift):
    """Gaussians of unit width, apart by up to two widths."""

    def gaussian(x, theta):
        return x[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2

    reweighter = AnalyticReweighter(gaussian, {"mu": 0.0}, theta_bounds=[(-3, 3)])
    for _ in range(10):
        sim, data = rng.normal(size=(N, 1)), rng.normal(shift, size=(N, 1))
        fitter = DCTRFitter(reweighter).fit(sim, data=data)
        assert not any(m.category is SupportWarning for m in fitter.result_.messages)
