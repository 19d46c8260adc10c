"""`DCTRReweighter` on events as files have them: outliers, sentinels, tails, categories, gaps.

Means of reweighted events are compared with the truth; tolerances are four standard deviations of
the events that weights are learned from and applied to, at fixed seeds.
"""

import numpy as np
import pandas as pd
import pytest

from skdctr import AnalyticReweighter, DCTRReweighter
from skdctr.exceptions import ExtrapolationWarning, FeatureWarning
from skdctr.networks import MLP, SeparableNetwork

N = 5000
N_SIGMA = 4
FAST = {
    "module": SeparableNetwork,
    "max_epochs": 10,
    "batch_size": 1000,
    "random_state": 0,
    "device": "cpu",
}


def shifted(rng, n_features=2):
    """Nominal events, and as many with θ from -2 to 2; the mean of every feature is θ."""
    theta = np.r_[np.zeros(N), rng.uniform(-2, 2, N)]
    return rng.normal(theta[:, None], size=(2 * N, n_features)), theta


def assert_mean(values, weight, expected, width=1.0):
    """Compare a weighted mean over nominal events with the truth."""
    error = width * np.sqrt(np.sum(weight**2) / weight.sum() ** 2 + 1 / N)
    assert np.average(values, weights=weight) == pytest.approx(expected, abs=N_SIGMA * error)


# --- one bad event --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("value", [-999999.0, 1e300])
def test_one_bad_value_spoils_no_other_event(rng, value):
    x, theta = shifted(rng)
    clean = DCTRReweighter(**FAST).fit(x, theta)
    x[7, 1] = value
    reweighter = DCTRReweighter(**FAST).fit(x, theta)
    with pytest.warns(ExtrapolationWarning, match=f"1 of {N} events have feature 1 outside"):
        weight = reweighter.predict_weights(x[:N], 1.0)
    others = np.arange(N) != 7
    assert_mean(x[:N][others, 0], weight[others], 1.0)
    # One event of ten thousand changes the others by less than their error, some 1/√N.
    change = np.log(weight) - clean.predict_log_weights(np.where(others[:, None], x[:N], 0.0), 1.0)
    assert np.sqrt(np.mean(change[others] ** 2)) < 2 / np.sqrt(N)
    # Nor does it get a weight that no other event has.
    assert weight[7] < 10 * np.sort(weight)[-20:].mean()


@pytest.mark.slow
def test_the_tilt_is_in_units_of_the_width_whatever_one_event_has(rng):
    x = rng.normal(10.0, 2.0, (N, 1))
    x[3] = 1e9
    x[4] = np.nan
    x = np.hstack([x, rng.normal(size=(N, 1))])
    tilt = AnalyticReweighter().fit(x)
    weight = tilt.predict_weights(x, [0.5, 0.0])
    ordinary = np.arange(N) > 4
    assert_mean(x[ordinary, 0], weight[ordinary], 11.0, width=2.0)


def test_a_category_has_no_tilt(rng):
    types = pd.DataFrame({"pdgId": rng.choice([11, -11, 13, 211], N)})
    with pytest.raises(ValueError, match="pdgId is a category"):
        AnalyticReweighter().fit(types)


# --- values that many events share ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("value", [-1.0, -float(np.finfo(np.float32).max)])
def test_a_sentinel_leaves_the_rest_of_its_feature_alone(rng, value):
    """The energy of a jet that a third of the events do not have."""
    x = np.r_[rng.gamma(5.0, 1.0, N), rng.gamma(5.0, 1.25, N)]
    theta = np.repeat([0.0, 1.0], N)
    absent = rng.random(2 * N) < np.where(theta, 0.2, 0.3)
    x[absent] = value
    X = np.column_stack([x, rng.normal(size=2 * N)])
    weight = DCTRReweighter(**FAST).fit(X, theta).predict_weights(X[:N])
    real = ~absent[:N]
    width = 1.25 * np.sqrt(5.0)
    assert_mean(X[:N][real, 0], weight[real], 6.25, width / np.sqrt(0.7))
    assert_mean(absent[:N], weight, 0.2, 0.4)


@pytest.mark.slow
def test_particle_types_are_categories(rng):
    codes = np.array([11, -11, 211, -211])
    before, after = [0.1, 0.2, 0.4, 0.3], [0.3, 0.1, 0.2, 0.4]
    types = np.r_[rng.choice(codes, N, p=before), rng.choice(codes, N, p=after)]
    X = pd.DataFrame({"GenPart_pdgId": types, "pt": rng.exponential(size=2 * N)})
    reweighter = DCTRReweighter(**FAST).fit(X, np.repeat([0.0, 1.0], N))
    weight = reweighter.predict_weights(X[:N])
    for code, share in zip(codes, after, strict=True):
        assert_mean(types[:N] == code, weight, share, np.sqrt(share * (1 - share)))
    unknown = pd.DataFrame({"GenPart_pdgId": [11, 22], "pt": [1.0, 1.0]})
    with pytest.warns(ExtrapolationWarning, match="a value of GenPart_pdgId that no training"):
        reweighter.predict_weights(unknown)


def test_what_looks_like_a_code_or_an_angle_is_told_once(rng):
    X = pd.DataFrame(
        {
            "PID of the lepton": rng.choice([11, -11, 13, -13], 2000),
            "phi": rng.uniform(-np.pi, np.pi, 2000),
        }
    )
    theta = np.arange(2000) % 2
    cheap = DCTRReweighter(**{**FAST, "max_epochs": 1, "n_estimators": 2, "refit": False})
    with pytest.warns(FeatureWarning) as warnings:
        cheap.fit(X, theta)
    told = [str(each.message) for each in warnings if each.category is FeatureWarning]
    assert len(told) == 2
    assert "PID of the lepton looks like PDG codes" in told[0]
    assert "phi fills (-π, π]" in told[1]


# --- heavy tails ------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_feature_with_a_power_law_has_no_wild_weights(rng):
    """The true log-weight of the second feature, of a shifted Cauchy density, stays below one."""
    theta = np.r_[np.zeros(N), rng.uniform(-1.1, 1.1, N)]
    X = np.column_stack([rng.normal(theta), rng.standard_cauchy(2 * N) + theta])
    reweighter = DCTRReweighter(**FAST).fit(X, theta)
    log_weight = reweighter.predict_log_weights(X[:N], 1.0)
    x, y = X[:N].T
    exact = x - 0.5 + np.log((1 + y**2) / (1 + (y - 1) ** 2))
    assert_mean(x, np.exp(log_weight), 1.0)
    # No event decides: weights are no larger than exact ones are, but for their error.
    assert np.exp(log_weight).max() < 3 * np.exp(exact).max()


# --- missing values ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_missing_value_is_a_value(rng):
    """The second jet is there more often at larger θ, and its energy depends on θ, too."""

    def absent(theta):
        return 1 / (1 + np.exp(1 + 0.5 * theta))

    X, theta = shifted(rng)
    missing = rng.random(2 * N) < absent(theta)
    X[missing, 1] = np.nan
    reweighter = DCTRReweighter(**FAST).fit(X, theta)
    assert reweighter.__sklearn_tags__().input_tags.allow_nan
    weight = reweighter.predict_weights(X[:N], 1.0)
    there = ~missing[:N]
    assert_mean(X[:N, 0], weight, 1.0)
    assert_mean(X[:N][there, 1], weight[there], 1.0, 1 / np.sqrt(1 - absent(0.0)))
    share = absent(1.0)
    assert_mean(missing[:N], weight, share, np.sqrt(share * (1 - share)))


def test_what_is_missing_now_and_then_only_is_refused_where_it_never_was(rng):
    X, theta = shifted(rng)
    reweighter = DCTRReweighter(**{**FAST, "max_epochs": 1, "refit": False}).fit(X, theta)
    gap = X[:10].copy()
    gap[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"x1 is missing \(NaN\) in event 3"):
        reweighter.predict_weights(gap, 1.0)
    gap[3] = np.nan
    with pytest.raises(ValueError, match="NaN in every feature of event 3"):
        reweighter.predict_weights(gap, 1.0)
    with pytest.raises(ValueError, match="NaN in every feature of event 3"):
        DCTRReweighter().fit(np.r_[gap, X], np.r_[theta[:10], theta])


# --- too many features ------------------------------------------------------------------------


def test_more_features_than_the_default_network_has_terms_for_are_told(rng):
    X, theta = rng.normal(size=(200, 100)), np.arange(200) % 2
    cheap = {"max_epochs": 1, "refit": False, "device": "cpu", "hidden_layer_sizes": 4}
    with pytest.warns(FeatureWarning, match="100 columns of features are more than"):
        DCTRReweighter(**cheap).fit(X, theta)
    DCTRReweighter(**cheap, module=MLP).fit(X, theta)
    DCTRReweighter(**cheap).fit(X[:, :90], theta)


# --- modules of the user ------------------------------------------------------------------------


class Passing(MLP):
    """It passes all that it does not name on to its base."""

    def __init__(self, n_features, **kwargs):
        super().__init__(n_features, **kwargs)


class Plain(MLP):
    """It has no setting at all."""

    def __init__(self, n_features, n_parameters):
        super().__init__(n_features, n_parameters, (3,), "tanh")


class Anything(MLP):
    """It takes arguments by ``**kwargs`` only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)


@pytest.mark.parametrize("module", [Passing, Anything])
def test_settings_reach_modules_that_take_any_argument(rng, module):
    X, theta = shifted(rng, 1)
    cheap = {"max_epochs": 1, "device": "cpu", "module": module, "hidden_layer_sizes": (5, 7)}
    network = DCTRReweighter(**cheap, activation="relu").fit(X, theta).net_.module_
    layers = [each for each in network.modules() if hasattr(each, "out_features")]
    assert [each.out_features for each in layers] == [5, 7, 1]
    assert "ReLU" in repr(network)


@pytest.mark.parametrize("setting", [{"hidden_layer_sizes": (5,)}, {"activation": "relu"}])
def test_settings_that_a_module_does_not_take_are_refused(rng, setting):
    X, theta = shifted(rng, 1)
    cheap = {"max_epochs": 1, "device": "cpu", "module": Plain}
    DCTRReweighter(**cheap).fit(X, theta)
    with pytest.raises(TypeError, match=f"{next(iter(setting))}=.* was set, but Plain takes no"):
        DCTRReweighter(**cheap, **setting).fit(X, theta)
