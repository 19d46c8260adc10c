"""The two classes that a reweighter learns from: which is nominal, and what their weights count."""

import re
import warnings

import numpy as np
import pytest

from skdctr import DCTRReweighter
from skdctr.exceptions import (
    ExtrapolationWarning,
    LowEffectiveSampleSizeWarning,
    NominalWarning,
)
from skdctr.reweighting.classes import per_class

QUICK = {"max_epochs": 2, "refit": False, "hidden_layer_sizes": 4, "random_state": 0}


def fitted(theta, sample_weight=None, x=None, **options):
    theta = np.asarray(theta)
    if x is None:
        x = np.random.default_rng(1).normal(theta.astype(float))[:, None]
    return DCTRReweighter(**(QUICK | options)).fit(x, theta, sample_weight)


def two_values(first, n_first, second, n_second):
    return np.repeat([first, second], [n_first, n_second])


# --- which is nominal -------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [(0, 1), (False, True), (0.0, 1.0), (1, 0)])
@pytest.mark.parametrize("numbers", [(100, 500), (500, 100), (300, 300), (5, 3000)])
def test_of_labels_zero_is_nominal_however_often_it_occurs(labels, numbers):
    """Everybody labels the nominal sample by 0; by number the weights would be inverted."""
    reweighter = fitted(two_values(labels[0], numbers[0], labels[1], numbers[1]))
    assert reweighter.theta_nominal_.tolist() == [0.0]


def test_weights_of_a_larger_target_are_not_inverted():
    rng = np.random.default_rng(2)
    theta = two_values(0, 1000, 1, 5000)
    reweighter = fitted(theta, max_epochs=20, refit=True, hidden_layer_sizes=None)
    x = rng.normal(size=(4000, 1))
    # The sample has 1000 nominal events, whose mean is known to 1/√1000.
    weights = reweighter.predict_weights(x)
    assert abs(np.average(x[:, 0], weights=weights) - 1.0) < 4 / np.sqrt(1000)


@pytest.mark.parametrize(
    ("values", "nominal", "warned"),
    [
        ((0.0, 100, 0.5, 500), 0.5, True),
        ((1.0, 300, 2.0, 500), 2.0, True),
        ((1.0, 500, 2.0, 490), 1.0, True),
        ((1.0, 50, 2.0, 500), 2.0, False),
        ((0.0, 3000, 0.5, 200), 0.0, False),
    ],
)
def test_of_two_other_values_the_more_frequent_is_nominal(values, nominal, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reweighter = fitted(two_values(*values))
    assert reweighter.theta_nominal_.tolist() == [nominal]
    assert [one.category for one in caught] == [NominalWarning] * warned


# --- what weights count -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-6, 1e6, 1e12])
@pytest.mark.parametrize("mixture", [False, True])
def test_the_scale_of_a_sample_does_not_matter(scale, mixture):
    rng = np.random.default_rng(3)
    theta = np.where(np.arange(600) % 2, rng.uniform(-1, 1, 600), 0.0)
    if mixture:
        theta = rng.uniform(-1, 1, 600)
    weight = rng.gamma(5.0, size=600)
    other = np.where(mixture | (theta != 0), scale, 1.0) * weight
    x = np.linspace(-2, 2, 20)[:, None]
    options = {"theta_nominal": 0.0, "max_epochs": 8}
    found = [fitted(theta, w, **options) for w in (weight, other)]
    first, second = (each.predict_log_weights(x, 0.7) for each in found)
    assert np.abs(first).max() > 0.05
    # The weights differ by rounding.
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5)


def test_each_class_has_a_mean_weight_of_one():
    weight = np.array([1.0, 3.0, 100.0, 300.0, 50.0, 0.0])
    varied = np.array([False, False, True, True, True, False])
    reference = np.array([True, True, False, False, False, False])
    normalised = per_class(weight, varied, reference)
    assert normalised[varied].mean() == normalised[reference].mean() == 1.0
    assert normalised[5] == 0.0


def test_an_event_of_weight_zero_is_absent():
    rng = np.random.default_rng(4)
    theta = np.r_[np.zeros(500), np.full(1100, 0.9), rng.uniform(-1, 1, 500), np.full(50, 5.0)]
    weight = np.r_[np.ones(500), np.zeros(1100), np.ones(500), np.zeros(50)]
    x = rng.normal(theta)[:, None]
    x[600] = 900.0
    reweighter = fitted(theta, weight, x)
    # Neither the most frequent θ, nor the range, nor the support is that of absent events.
    assert reweighter.theta_nominal_.tolist() == [0.0]
    assert np.abs(reweighter.theta_bounds_).max() < 1
    with pytest.warns(ExtrapolationWarning, match="theta=3"):
        reweighter.predict_weights(x[:5], 3.0)
    with pytest.warns(ExtrapolationWarning, match="feature 0 outside the range"):
        reweighter.predict_log_weights([[900.0]], 0.5)


def outlier(n):
    weight = np.ones(n)
    weight[n // 2 + 3] = 1e5
    return weight


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (outlier(2000), r"the 1000 varied events are worth 1\.0\d by their sample_weight"),
        (np.exp(3 * np.random.default_rng(5).normal(size=2000)), "nominal events are worth"),
        (np.r_[np.ones(50), np.full(47, 1e-3), [1.0, 1.0, 1.0]], r"the 50 varied .* worth 3\.\d+"),
    ],
    ids=["one outlier", "log-normal", "few of few"],
)
def test_few_effective_events_are_told_when_they_are_learned_from(weight, message):
    theta = np.repeat([0.0, 1.0], len(weight) // 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted(theta, weight)
    said = [str(one.message) for one in caught]
    assert {one.category for one in caught} == {LowEffectiveSampleSizeWarning}
    assert any(re.search(message, text) for text in said), said


@pytest.mark.parametrize(
    "weight",
    [
        np.ones(20),
        np.random.default_rng(6).gamma(2.0, size=1000),
        np.where(np.random.default_rng(7).random(2000) < 0.3, -1.0, 1.0),
    ],
    ids=["few events", "moderate", "signed"],
)
def test_ordinary_weights_are_no_reason_to_warn(weight):
    fitted(np.repeat([0.0, 1.0], len(weight) // 2), weight)
