"""Weighted AUC, effective sample size and histogram chi-square against brute force and toys.

Statistical tolerances are four standard errors, at fixed seeds.
"""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from skdctr.metrics import (
    AUCPlacements,
    Chi2Result,
    auc_placements,
    effective_sample_size,
    histogram_chi2,
    pareto_tail_index,
    weighted_auc,
)


def brute_force_placements(positive, negative, w, v):
    above = positive[:, None] > negative[None, :]
    kernel = above + 0.5 * (positive[:, None] == negative[None, :])
    return (w @ kernel @ v) / (w.sum() * v.sum()), kernel @ v / v.sum(), w @ kernel / w.sum()


def brute_force_chi2(target, sample, w, v, edges):
    """Covariance from the influence of every event, inverted by the pseudo-inverse."""
    difference, covariance = 0.0, 0.0
    for x, weight, sign in ((target, w, 1.0), (sample, v, -1.0)):
        inside = (x >= edges[0]) & (x <= edges[-1])
        x, weight = x[inside], weight[inside]
        index = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        member = index[:, None] == np.arange(len(edges) - 1)
        fraction = weight @ member / weight.sum()
        influence = weight[:, None] * (member - fraction) / weight.sum()
        difference = difference + sign * fraction
        covariance = covariance + influence.T @ influence
    return difference @ np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ difference


# --- effective sample size ------------------------------------------------------------------


def test_ess_of_equal_weights_is_their_number():
    assert effective_sample_size(np.full(37, 0.2)) == pytest.approx(37)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_ess_does_not_depend_on_scale(scale):
    weights = np.array([1.0, 2.0, 3.0, -1.0])
    assert effective_sample_size(scale * weights) == pytest.approx(25 / 15, rel=1e-12)


def test_ess_of_a_gaussian_reweighting():
    # E[w²] = exp(μ²) for weights that shift a unit Gaussian by μ.
    x = np.random.default_rng(0).standard_normal(200_000)
    mu = 0.5
    weights = np.exp(mu * x - mu**2 / 2)
    fraction = effective_sample_size(weights) / len(x)
    influence = -(weights**2 - np.exp(mu**2) * (2 * weights - 1)) / np.exp(mu**2) ** 2
    error = np.std(influence) / np.sqrt(len(x))
    assert abs(fraction - np.exp(-(mu**2))) < 4 * error


# --- AUC ------------------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [None, 1], ids=["distinct", "ties"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_auc_agrees_with_sklearn(decimals, dtype):
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(0.5, 1, 700).astype(dtype), rng.normal(0, 1, 900).astype(dtype)
    if decimals is not None:
        positive, negative = positive.round(decimals), negative.round(decimals)
    w, v = rng.exponential(size=700), rng.uniform(size=900)
    labels = np.repeat([1, 0], [700, 900])
    scores, weights = np.concatenate([positive, negative]), np.concatenate([w, v])
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert weighted_auc(positive, negative, w, v) == pytest.approx(expected, abs=1e-12)
    expected = roc_auc_score(labels, scores)
    assert weighted_auc(positive, negative) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("decimals", [1, 8])
def test_auc_agrees_with_brute_force(signed, decimals):
    rng = np.random.default_rng(2)
    positive, negative = (
        rng.normal(0.3, 1, 83).round(decimals),
        rng.normal(0, 1, 61).round(decimals),
    )
    w, v = rng.uniform(size=83), rng.uniform(size=61)
    if signed:
        w, v = w * rng.choice([1, 1, 1, -1], size=83), v * rng.choice([1, 1, 1, -1], size=61)
    auc, p, q = brute_force_placements(positive, negative, w, v)
    variance = ((w / w.sum() * (p - auc)) ** 2).sum() + ((v / v.sum() * (q - auc)) ** 2).sum()

    placements = auc_placements(positive, negative, w, v)
    assert isinstance(placements, AUCPlacements)
    assert placements.auc == pytest.approx(auc, abs=1e-12)
    np.testing.assert_allclose(placements.positive, p, atol=1e-12)
    np.testing.assert_allclose(placements.negative, q, atol=1e-12)
    value, error = weighted_auc(positive, negative, w, v, return_error=True)
    assert value == pytest.approx(auc, abs=1e-12)
    assert error == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert weighted_auc(positive, negative, w, v) == value


def test_auc_error_is_delongs_for_unit_weights():
    rng = np.random.default_rng(3)
    positive, negative = rng.normal(0.5, 1, 50), rng.normal(0, 1, 80)
    _, p, q = brute_force_placements(positive, negative, np.ones(50), np.ones(80))
    _, error = weighted_auc(positive, negative, return_error=True)
    # DeLong's variance divides by n - 1 in place of n.
    assert error**2 == pytest.approx(np.var(p) / 50 + np.var(q) / 80)


def test_auc_of_two_gaussians():
    rng = np.random.default_rng(4)
    auc, error = weighted_auc(
        rng.normal(1, 1, 100_000), rng.normal(0, 1, 100_000), return_error=True
    )
    assert abs(auc - stats.norm.cdf(1 / np.sqrt(2))) < 4 * error


def test_auc_of_a_reweighted_sample():
    # Weighted to the positive class, the negative one cannot be told from it.
    rng = np.random.default_rng(5)
    positive, negative = rng.normal(1, 1, 50_000), rng.normal(0, 1, 50_000)
    weights = np.exp(negative - 0.5)
    auc, error = weighted_auc(positive, negative, None, weights, return_error=True)
    assert abs(auc - 0.5) < 4 * error
    assert weighted_auc(positive, negative) > 0.7


@pytest.mark.parametrize("signed", [False, True])
def test_auc_error_is_the_spread_over_toys(signed):
    rng = np.random.default_rng(6)
    n_toys, values, errors = 500, [], []
    for _ in range(n_toys):
        positive, negative = rng.normal(0.4, 1, 400), rng.normal(0, 1, 300)
        w = rng.choice([1.0, -1.0], p=[0.85, 0.15], size=400) if signed else np.ones(400)
        # The weights depend on the observable, as those of a reweighting do.
        v = np.exp(0.5 * negative)
        value, error = weighted_auc(positive, negative, w, v, return_error=True)
        values.append(value)
        errors.append(error)
    # The spread of n toys is known to 1/sqrt(2n) of itself.
    ratio = np.std(values, ddof=1) / np.mean(errors)
    assert abs(ratio - 1) < 4 / np.sqrt(2 * n_toys)
    expected = stats.norm.cdf((0.4 - 0.5) / np.sqrt(2))
    # Ratio estimators are biased by O(1/n), a few percent of the error of one toy.
    tolerance = 4 / np.sqrt(n_toys) + 0.05
    assert abs(np.mean(values) - expected) < tolerance * np.mean(errors)


def test_auc_of_swapped_classes_and_of_scaled_weights():
    rng = np.random.default_rng(7)
    positive, negative = rng.normal(0.4, 1, 200).round(1), rng.normal(0, 1, 300).round(1)
    w, v = rng.uniform(size=200), rng.uniform(size=300)
    auc, error = weighted_auc(positive, negative, w, v, return_error=True)
    swapped = weighted_auc(negative, positive, v, w, return_error=True)
    assert swapped == pytest.approx((1 - auc, error))
    scaled = weighted_auc(positive, negative, 1e-3 * w, 1e180 * v, return_error=True)
    assert scaled == pytest.approx((auc, error))


def test_auc_at_its_limits():
    assert weighted_auc([2.0, 3.0], [0.0, 1.0], return_error=True) == (1.0, 0.0)
    assert weighted_auc([0.0], [1.0]) == 0.0
    assert weighted_auc([1.0, 1.0], [1.0, 1.0, 1.0], return_error=True) == (0.5, 0.0)


def test_placements_keep_the_order_of_events():
    placements = auc_placements([3.0, 1.0, 2.0], [2.0, 0.0])
    assert placements.positive.tolist() == [1.0, 0.5, 0.75]
    assert placements.negative.tolist() == [0.5, 1.0]


def test_auc_takes_lists_series_and_integers():
    expected = weighted_auc(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    assert weighted_auc([1, 2], pd.Series([0, 1]), pd.Series([1, 2])) == expected


# --- histogram chi-square -------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("edges", [np.linspace(-3, 3, 9), np.linspace(-1, 2, 4)])
def test_chi2_agrees_with_brute_force(signed, edges):
    rng = np.random.default_rng(8)
    target, sample = rng.normal(0, 1, 300), rng.normal(0.2, 1.1, 250)
    w, v = rng.exponential(size=300), rng.uniform(0.5, 1.5, size=250)
    if signed:
        w = w * rng.choice([1, 1, 1, 1, -1], size=300)
    result = histogram_chi2(target, sample, weight_target=w, weight_sample=v, bins=edges)
    assert result.chi2 == pytest.approx(brute_force_chi2(target, sample, w, v, edges), rel=1e-8)
    assert result.ndf == len(edges) - 2
    assert result.p_value == pytest.approx(stats.chi2.sf(result.chi2, result.ndf))


def test_chi2_errors_are_binomial_for_unit_weights():
    rng = np.random.default_rng(9)
    target, sample = rng.normal(size=400), rng.normal(size=500)
    result = histogram_chi2(target, sample, bins=5)
    for fraction, error, n in (
        (result.target, result.target_error, 400),
        (result.sample, result.sample_error, 500),
    ):
        assert fraction.sum() == pytest.approx(1)
        np.testing.assert_allclose(error, np.sqrt(fraction * (1 - fraction) / n))
    np.testing.assert_allclose(result.target, 0.2, atol=1e-12)
    assert result.min_bin_events == pytest.approx(min(80, 500 * result.sample.min()))


def draw_unweighted(rng):
    return rng.normal(size=1500), None, rng.normal(size=2000), None


def draw_reweighted(rng):
    sample = rng.normal(0.4, 1, size=3000)
    weight_sample = np.exp(-0.4 * sample + 0.08)
    return rng.normal(size=2000), rng.exponential(size=2000), sample, weight_sample


def draw_signed(rng):
    sign = rng.choice([1.0, -1.0], p=[0.85, 0.15], size=4000)
    return rng.normal(size=2000), None, rng.normal(size=4000), sign


def draw_multiplicity(rng):
    return rng.poisson(6, size=2000), None, rng.poisson(6, size=1500), None


@pytest.mark.slow
@pytest.mark.parametrize("quantiles", [True, False])
@pytest.mark.parametrize(
    ("draw", "edges"),
    [
        (draw_unweighted, [-2, -1, 0, 1, 2]),
        (draw_reweighted, [-2, -1, 0, 1, 2]),
        (draw_signed, [-2, -1, 0, 1, 2]),
        (draw_multiplicity, [2, 4, 6, 8, 10]),
    ],
)
def test_chi2_p_values_are_uniform_over_toys(draw, edges, quantiles):
    rng = np.random.default_rng(10)
    n_toys, p_values, chi2, ndf = 300, [], [], []
    for _ in range(n_toys):
        target, w, sample, v = draw(rng)
        bins = 10 if quantiles else edges
        result = histogram_chi2(target, sample, weight_target=w, weight_sample=v, bins=bins)
        p_values.append(result.p_value)
        chi2.append(result.chi2)
        ndf.append(result.ndf)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    # The mean of chi² is ndf, its variance 2 ndf.
    assert abs(np.mean(chi2) - np.mean(ndf)) < 4 * np.sqrt(2 * np.mean(ndf) / n_toys)


def test_chi2_notices_a_difference_and_a_reweighting_mends_it():
    rng = np.random.default_rng(11)
    target, sample = rng.normal(0.2, 1, 5000), rng.normal(0, 1, 5000)
    assert histogram_chi2(target, sample).p_value < 1e-6
    weights = np.exp(0.2 * sample - 0.02)
    assert histogram_chi2(target, sample, weight_sample=weights).p_value > 1e-3


def test_chi2_does_not_depend_on_scales_or_on_the_order_of_samples():
    rng = np.random.default_rng(12)
    target, sample = rng.normal(size=300), rng.normal(size=300)
    w, v = rng.uniform(size=300), rng.uniform(size=300)
    edges = [-2.0, -1.0, 0.0, 0.5, 2.0]
    first = histogram_chi2(target, sample, weight_target=w, weight_sample=v, bins=edges)
    second = histogram_chi2(
        sample, target, weight_target=1e3 * v, weight_sample=1e-9 * w, bins=edges
    )
    assert second.chi2 == pytest.approx(first.chi2)


def test_chi2_of_a_sample_with_itself_is_zero():
    x = np.random.default_rng(13).normal(size=200)
    result = histogram_chi2(x, x)
    assert result.chi2 == pytest.approx(0, abs=1e-20)
    assert result.p_value == pytest.approx(1)


def test_chi2_bins_do_not_cut_between_equal_values():
    rng = np.random.default_rng(14)
    target, sample = rng.poisson(3, 2000), rng.poisson(3, 1000)
    edges = histogram_chi2(target, sample, bins=20).edges
    np.testing.assert_array_equal(edges[1:-1] % 1, 0.5)
    assert np.all(np.diff(edges) > 0)
    assert edges[0] == 0
    assert edges[-1] == max(target.max(), sample.max())


def test_chi2_bins_between_neighbouring_floats():
    low, high = 1.0, np.nextafter(1.0, 2.0)
    result = histogram_chi2([low, low, high], [low, high, high])
    assert result.target == pytest.approx([2 / 3, 1 / 3])
    assert result.sample == pytest.approx([1 / 3, 2 / 3])


def test_chi2_bins_hold_equal_weights_of_the_target():
    rng = np.random.default_rng(15)
    target, weights = rng.normal(size=20_000), rng.exponential(size=20_000)
    result = histogram_chi2(target, rng.normal(size=500), weight_target=weights, bins=10)
    # An edge is off its quantile by at most half the weight of one event.
    np.testing.assert_allclose(result.target, 0.1, atol=weights.max() / weights.sum())


def test_chi2_bins_reach_as_far_as_both_samples():
    result = histogram_chi2([0.0, 1.0, 2.0, 3.0], [-5.0, 1.0, 2.0, 9.0], bins=2)
    assert result.edges.tolist() == [-5.0, 1.5, 9.0]
    assert result.sample.tolist() == [0.5, 0.5]


def test_chi2_range_leaves_events_out():
    rng = np.random.default_rng(16)
    target, sample = rng.normal(size=500), rng.normal(size=500)
    result = histogram_chi2(target, sample, bins=4, range=(-1, 1))
    expected = histogram_chi2(target[abs(target) <= 1], sample[abs(sample) <= 1], bins=4)
    assert result.chi2 == expected.chi2
    assert result.edges.tolist() == expected.edges.tolist()


def test_chi2_does_not_count_empty_bins():
    rng = np.random.default_rng(17)
    target, sample = rng.uniform(size=200), rng.uniform(size=200)
    full = histogram_chi2(target, sample, bins=[0, 0.3, 0.6, 1])
    padded = histogram_chi2(target, sample, bins=[-2, -1, 0, 0.3, 0.6, 1, 5])
    assert padded.ndf == full.ndf == 2
    assert padded.chi2 == pytest.approx(full.chi2)
    assert padded.min_bin_events == full.min_bin_events > 0


def test_chi2_of_samples_without_common_bin():
    result = histogram_chi2([0.1, 0.2, 1.1], [2.1, 2.2], bins=[0, 1, 2, 3])
    assert (result.chi2, result.p_value, result.ndf) == (np.inf, 0.0, 2)
    assert result.min_bin_events == 0


def test_chi2_result_is_frozen_and_shows_itself():
    rng = np.random.default_rng(18)
    result = histogram_chi2(rng.normal(size=100), rng.normal(size=100), bins=4)
    assert isinstance(result, Chi2Result)
    assert repr(result).startswith("Chi2Result(chi2=")
    assert "ndf=3" in repr(result)
    assert "min_bin_events=" in repr(result)
    with pytest.raises(FrozenInstanceError):
        result.chi2 = 0.0


# --- bad input ------------------------------------------------------------------------------

BAD_VECTORS = [
    ([], ValueError, "is empty"),
    ([[1.0, 2.0], [3.0, 4.0]], ValueError, r"one-dimensional, got shape \(2, 2\)"),
    (1.0, ValueError, r"one-dimensional, got shape \(\)"),
    ([1.0, np.nan], ValueError, "must be finite.* nan at index 1"),
    ([np.inf, 1.0], ValueError, "must be finite.* inf at index 0"),
    (["a", "b"], TypeError, "must hold real numbers"),
    (["1", "2"], TypeError, "must hold real numbers"),
    ([1.0, {}], TypeError, "must hold real numbers"),
    ([1j, 2.0], TypeError, "must hold real numbers"),
]
GOOD = [1.0, 2.0]


@pytest.mark.parametrize(("bad", "error", "match"), BAD_VECTORS)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("weights", effective_sample_size),
        ("score_positive", lambda x: weighted_auc(x, GOOD)),
        ("score_negative", lambda x: weighted_auc(GOOD, x)),
        ("weight_positive", lambda x: weighted_auc(GOOD, GOOD, x)),
        ("weight_negative", lambda x: auc_placements(GOOD, GOOD, None, x)),
        ("target", lambda x: histogram_chi2(x, GOOD)),
        ("sample", lambda x: histogram_chi2(GOOD, x)),
        ("weight_target", lambda x: histogram_chi2(GOOD, GOOD, weight_target=x)),
        ("weight_sample", lambda x: histogram_chi2(GOOD, GOOD, weight_sample=x)),
    ],
)
def test_bad_vectors_are_named(name, call, bad, error, match):
    with pytest.raises(error, match=f"^{name} .*{match}|^{name} {match}"):
        call(bad)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: weighted_auc(GOOD, GOOD, [1.0]), "weight_positive has 1 entries and score_pos"),
        (lambda: weighted_auc(GOOD, GOOD, None, [1.0]), "weight_negative has 1 entries"),
        (lambda: histogram_chi2(GOOD, GOOD, weight_target=[1.0]), "weight_target has 1 entries"),
        (lambda: histogram_chi2(GOOD, GOOD, weight_sample=[1.0]), "weight_sample has 1 entries"),
    ],
)
def test_unequal_lengths(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, -1.0], [-1.0, -1.0]])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("weights", effective_sample_size),
        ("weight_positive", lambda w: weighted_auc(GOOD, GOOD, w)),
        ("weight_negative", lambda w: weighted_auc(GOOD, GOOD, None, w)),
        ("weight_target", lambda w: histogram_chi2(GOOD, GOOD, weight_target=w)),
        ("weight_sample", lambda w: histogram_chi2(GOOD, GOOD, weight_sample=w)),
    ],
)
def test_weights_without_positive_sum(name, call, bad):
    with pytest.raises(ValueError, match=f"{name} sums to .* expected a positive"):
        call(bad)


def test_weights_with_infinite_sum():
    with pytest.raises(ValueError, match="weights sums to inf, expected a positive finite sum"):
        effective_sample_size([1.7e308, 1.7e308])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"bins": 1}, "bins must be at least 2, got 1"),
        ({"bins": [0.0, 1.0]}, "at least three increasing edges"),
        ({"bins": [0.0, 2.0, 1.0]}, "at least three increasing edges"),
        ({"bins": [0.0, 1.0, 1.0]}, "at least three increasing edges"),
        ({"bins": [0.0, np.nan, 1.0]}, "bins must be finite"),
        ({"range": (1.0, 0.0)}, "low < high"),
        ({"range": (0.0, 1.0, 2.0)}, "low < high"),
        ({"range": (0.0, 5.0), "bins": [0.0, 1.0, 2.0]}, "pass one of the two"),
        ({"range": (5.0, 6.0)}, "target has no events in range"),
        ({"range": (1.0, 2.0)}, "sample has no events in range"),
        ({"bins": [5.0, 6.0, 7.0]}, "weight_target sums to 0 over the 0 events of target"),
        ({"bins": [0.0, 5.0, 10.0]}, "at least two"),
        ({"range": (0.5, 1.2), "target": [1.0, 1.0], "sample": [1.0]}, "target has the one value"),
    ],
)
def test_bad_bins(options, match):
    arguments = {"target": [1.0, 2.0, 3.0], "sample": [3.0, 4.0], **options}
    with pytest.raises(ValueError, match=match):
        histogram_chi2(**arguments)


@pytest.mark.parametrize("bins", [True, 2.5, "auto"])
def test_bins_that_are_no_number(bins):
    with pytest.raises(TypeError, match=r"bins must be an int, got .*or an array of edges"):
        histogram_chi2([1.0, 2.0, 3.0], [3.0, 4.0], bins=bins)


# --- tail of the weights ----------------------------------------------------------------------


@pytest.mark.parametrize("index", [0.2, 0.5, 0.9])
def test_tail_index_of_a_pareto_distribution(index):
    weights = np.random.default_rng(0).pareto(1 / index, 200_000)
    # Error of a maximum-likelihood estimate, (1 + k)/√n, of the 1341 largest; four of them.
    assert abs(pareto_tail_index(weights) - index) < 4 * (1 + index) / np.sqrt(1341)
    assert pareto_tail_index(-7.0 * weights) == pytest.approx(pareto_tail_index(weights))


def test_tail_index_of_bounded_weights_is_not_positive(rng):
    assert pareto_tail_index(rng.uniform(size=10_000)) < -0.5
    assert pareto_tail_index(np.ones(10_000)) == -np.inf
    assert np.isnan(pareto_tail_index(np.ones(90)))


def test_tail_index_of_reweighted_gaussians(rng):
    """Infinite variance where the width in the weights is more than √2 of that in the sample."""
    x = rng.normal(size=100_000)
    shift = pareto_tail_index(np.exp(0.5 * x))
    wider = pareto_tail_index(np.exp(x**2 / 2 * (1 - 1 / 2.0**2)))
    # (1 − 1/σ²) in the limit of the largest; 0.06 is four errors of an estimate near it.
    assert shift < 0.4
    assert wider == pytest.approx(0.75, abs=0.2)
