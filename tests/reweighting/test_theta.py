"""θ of a reweighter's sample: its range, its scale, and single values far from all others."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.exceptions import ExtrapolationWarning, OutlierWarning
from skdctr.networks import SeparableNetwork

N = 4_000
QUICK = {
    "module": SeparableNetwork,
    "max_epochs": 1,
    "batch_size": 1000,
    "refit": False,
    "random_state": 0,
    "device": "cpu",
}
# The refit alone learns an exponential family.
REFITTED = QUICK | {"refit": True, "max_epochs": 2}


def shifted(rng, low=-2.0, high=2.0, nominal=0.0, n=N):
    """Gaussians of mean θ."""
    theta = np.r_[np.full(n, nominal), rng.uniform(low, high, n)]
    return rng.normal(theta)[:, None], theta


def fractions(rng, low=0.0, high=0.5, n=N):
    """A peak of share θ over an exponential."""
    theta = np.r_[np.full(n, 0.2), rng.uniform(low, high, n)]
    peak = rng.random(2 * n) < theta
    return np.where(peak, rng.normal(2, 0.3, 2 * n), rng.exponential(1, 2 * n))[:, None], theta


def lifetimes(rng, low=0.5, high=1.8, n=N):
    """Exponentials of mean θ."""
    theta = np.r_[np.ones(n), rng.uniform(low, high, n)]
    return rng.exponential(theta)[:, None], theta


# --- far values -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("value", [1e9, 1e4, -999.0])
def test_a_far_theta_changes_nothing(value):
    """The mean at θ = 1 is that of the nominal events weighted exactly, up to what N events tell.

    Without the event's weight the same bits come out.
    """
    x, theta = shifted(np.random.default_rng(1))
    theta[-1] = value
    with pytest.warns(OutlierWarning, match="1 of 8000 events have theta far"):
        far = DCTRReweighter(**REFITTED).fit(x, theta)
    weight = np.r_[np.ones(2 * N - 1), 0.0]
    without = DCTRReweighter(**REFITTED).fit(x, theta, sample_weight=weight)
    nominal = x[:N]
    found = far.predict_weights(nominal, 1.0)
    np.testing.assert_array_equal(found, without.predict_weights(nominal, 1.0))
    assert abs(far.theta_bounds_).max() < 2
    exact = np.exp(nominal[:, 0] - 0.5)
    difference = np.average(nominal[:, 0], weights=found) - np.average(nominal[:, 0], weights=exact)
    # Four errors of the mean of as many events.
    assert abs(difference) < 4 / np.sqrt(N)


def test_a_far_theta_of_one_of_two_parameters(rng):
    x, theta = shifted(rng)
    theta = pd.DataFrame({"mu": theta, "b": rng.uniform(0, 1, 2 * N)})
    theta.loc[3, "b"] = 1e6
    with pytest.warns(OutlierWarning, match="1 of 8000 events have b far from"):
        fitted = DCTRReweighter({"mu": 0.0, "b": 0.5}, **QUICK).fit(x, theta)
    assert fitted.theta_bounds_[1].max() < 1


def test_a_far_theta_is_meant_where_the_range_is_declared(rng):
    x, theta = shifted(rng)
    theta[-1] = 100.0
    with pytest.raises(ValueError, match="1 of 8000 events have theta outside"):
        DCTRReweighter(theta_bounds=[(-2, 2)], **QUICK).fit(x, theta)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = DCTRReweighter(theta_bounds=[(-2, 100)], **QUICK).fit(x, theta)
    assert fitted.theta_bounds_.tolist() == [[-2, 100]]


@pytest.mark.slow
def test_a_far_theta_does_not_decide_a_score(rng):
    x, theta = shifted(rng)
    fitted = DCTRReweighter(**REFITTED).fit(x, theta)
    before = fitted.score(x, theta)
    theta[-1] = 1e9
    with pytest.warns(OutlierWarning):
        after = fitted.score(x, theta)
    assert abs(after - before) < 20 / len(x)


def test_a_far_theta_of_a_fit(rng):
    """The correction of weights by generator events leaves it out as well."""
    x, theta = shifted(rng)
    sim = x[:N]

    def bent(x, theta):
        return (
            x[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2 + 0.05 * x[:, 0] * theta[..., 0] ** 2
        )

    def fit(theta):
        exact = AnalyticReweighter(bent, theta_bounds=[(-2, 2)])
        fitter = SRGNFitter(
            exact, objective="optimal_observable", max_epochs=2, random_state=0, device="cpu"
        )
        return fitter.fit(sim, data=rng.normal(0.5, 1, (N, 1)), gen=x, theta=theta)

    state = rng.bit_generator.state
    plain = fit(theta)
    rng.bit_generator.state = state
    far = theta.copy()
    far[-1] = 1e9
    with pytest.warns(OutlierWarning):
        other = fit(far)
    # One of 8000 events may move θ by a few of its own shares.
    assert abs(other.theta_[0] - plain.theta_[0]) < 0.1 * plain.result_.errors[0]


def test_theta_of_absent_events_may_be_anything(rng):
    x, theta = lifetimes(rng)
    weight = np.ones(2 * N)
    theta[-5:], weight[-5:] = -1.0, 0.0
    fitted = DCTRReweighter(theta_scale="log", **QUICK).fit(x, theta, sample_weight=weight)
    assert fitted.theta_scale_ == {"theta": "log"}


# --- the range ------------------------------------------------------------------------------


def test_edges_of_an_even_sample_do_not_warn(rng):
    x, theta = fractions(rng)
    fitted = DCTRReweighter(0.2, **QUICK).fit(x, theta)
    assert 0 < fitted.theta_bounds_[0, 0] < fitted.theta_bounds_[0, 1] < 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(fitted.predict_log_weights(x[:10], 0.5)).all()
        assert np.isfinite(fitted.predict_log_weights(x[:10], 0.0)).all()
    with pytest.warns(ExtrapolationWarning, match=r"theta=0.51 is outside \[.*, 0.499.*\]"):
        fitted.predict_log_weights(x[:10], 0.51)


def test_declared_range(rng):
    x, theta = fractions(rng, 0.01, 0.45)
    bounds = {"theta": (0, 0.46)}
    fitted = DCTRReweighter(0.2, theta_bounds=bounds, **QUICK).fit(x, theta)
    assert fitted.theta_bounds_.tolist() == [[0, 0.46]]
    # Zero is in the range, so that the scale has to be one that it is on.
    assert fitted.theta_scale_ == {"theta": "linear"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(fitted.log_weight_gradient(x[:10], 0.0)).all()


@pytest.mark.slow
def test_a_fit_warns_once_with_the_number(rng):
    """A function of the user's that calls a reweighter has the same to say at each θ."""
    x, theta = shifted(rng, -0.5, 0.5)
    inner = DCTRReweighter(**REFITTED).fit(x, theta)

    def log_weight(x, theta):
        return inner.predict_log_weights(x, theta)

    outer = AnalyticReweighter(log_weight, theta_bounds=[(-1, 1)])
    fitter = SRGNFitter(outer, search="scan", n_points=5, max_epochs=1, random_state=0)
    sim, data = rng.normal(size=(2000, 1)), rng.normal(0.1, 1, (2000, 1))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fitter.fit(sim, data=data)
    messages = [str(each.message) for each in found if each.category is ExtrapolationWarning]
    said = [text for text in messages if text.startswith("Weights are extrapolated in θ")]
    assert len(said) == 1
    assert "theta=-1 is outside" in said[0] or "theta=1 is outside" in said[0]
    # At -1, -0.5 and 0.5, 1 of the scan, the outer two at least are outside.
    assert "This came up" in said[0]
    assert {each.filename for each in found} == {__file__}


# --- the scale ------------------------------------------------------------------------------


def scale_of(x, theta, nominal=None, **further):
    return DCTRReweighter(nominal, **QUICK | further).fit(x, theta).theta_scale_


@pytest.mark.slow
def test_a_lifetime_is_learned_by_its_logarithm(rng):
    assert scale_of(*lifetimes(rng)) == {"theta": "log"}


# The weights of a width that is trebled have no finite variance.
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SupportWarning")
@pytest.mark.slow
def test_a_width_beside_a_mean(rng):
    theta = np.r_[np.tile([0.0, 1.0], (N, 1)), rng.uniform([-2, 0.25], [2, 4], (N, 2))]
    x = rng.normal(*theta.T)[:, None]
    table = pd.DataFrame(theta, columns=["mu", "sigma"])
    assert scale_of(x, table) == {"mu": "linear", "sigma": "log"}


def test_a_fraction_from_zero_is_linear(rng):
    assert scale_of(*fractions(rng), 0.2) == {"theta": "linear"}


@pytest.mark.slow
@pytest.mark.parametrize("mixture", [False, True])
def test_held_out_events_decide(mixture):
    """log w = xθ − θ²/2 is a polynomial of θ, and none of log θ, where θ is small and large."""
    rng = np.random.default_rng(2)
    low, high = np.log([0.01, 3.0])
    theta = np.r_[np.ones(0 if mixture else N), np.exp(rng.uniform(low, high, N))]
    x = rng.normal(theta)[:, None]
    assert scale_of(x, theta, 1.0) == {"theta": "linear"}


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True])
def test_weights_take_part_in_the_choice(rng, signed):
    x, theta = lifetimes(rng)
    weight = np.where(rng.random(2 * N) < 0.1, -1.0 if signed else 0.0, 1.0)
    fitted = DCTRReweighter(**QUICK).fit(x, theta, sample_weight=weight)
    assert fitted.theta_scale_ == {"theta": "log"}


def test_other_ranges_are_linear(rng):
    assert scale_of(*shifted(rng)) == {"theta": "linear"}
    assert scale_of(*lifetimes(rng, 0.9, 1.2)) == {"theta": "linear"}


def test_two_values_have_any_scale(rng):
    theta = np.repeat([1.0, 5.0], N)
    assert scale_of(rng.exponential(theta)[:, None], theta, 1.0) == {"theta": "linear"}


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_scale_is_a_setting(rng, scale):
    x, theta = lifetimes(rng)
    assert scale_of(x, theta, theta_scale=scale) == {"theta": scale}
    assert scale_of(x, theta, theta_scale={"theta": scale}) == {"theta": scale}


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_both_scales_learn_a_lifetime(scale):
    """The mean at τ = 0.7 is that of the nominal events weighted exactly, and so is the slope."""
    x, theta = lifetimes(np.random.default_rng(3))
    fitted = DCTRReweighter(theta_scale=scale, **REFITTED).fit(x, theta)
    nominal, tau = x[:N, 0], 0.7
    weight = fitted.predict_weights(x[:N], tau)
    exact = np.exp(-nominal * (1 / tau - 1)) / tau
    found, wanted = (np.average(nominal, weights=each) for each in (weight, exact))
    # Four errors of the mean of as many events.
    assert abs(found - wanted) < 4 * tau / np.sqrt(N)
    step = 1e-2
    up, down = (fitted.predict_log_weights(x[:50], tau + s) for s in (step, -step))
    gradient = fitted.log_weight_gradient(x[:50], tau)[:, 0]
    np.testing.assert_allclose((up - down) / (2 * step), gradient, atol=2e-2)


def test_a_logarithm_of_what_may_be_zero_is_refused_at_fit(rng):
    x, theta = lifetimes(rng)
    with (
        pytest.raises(ValueError, match=r"theta is to be mapped by its logarithm, but .* 0.0"),
        pytest.warns(ExtrapolationWarning, match="theta_bounds"),
    ):
        scale_of(x, theta, theta_scale="log", theta_bounds=[(0, 1.8)])
    with (
        pytest.raises(ValueError, match=r"begins at -1\.0"),
        pytest.warns(ExtrapolationWarning),
    ):
        scale_of(x, theta, -1.0, theta_scale="log")


@pytest.mark.parametrize("setting", ["root", 3, None])
def test_settings_that_are_none(rng, setting):
    with pytest.raises(ValueError, match="theta_scale"):
        scale_of(*lifetimes(rng), theta_scale=setting)
