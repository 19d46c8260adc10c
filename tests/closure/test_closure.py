"""Classifier test and closure report: known truths, toys under the null, and bad input.

Toys have fixed seeds; their limits are chosen so that a correct test passes with any of them.
"""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from _set_toy import generate, training_sample
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skdctr import AnalyticReweighter, DCTRReweighter
from skdctr.closure import ClassifierTestResult, ClosureReport, classifier_test, closure_report
from skdctr.closure import report_checks as checks
from skdctr.datasets import make_dependent_detector, make_gaussian


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(8000, mu=0.5, random_state=3)


@pytest.fixture(scope="module")
def exact(toy):
    return AnalyticReweighter(toy.log_weight, {"mu": 0.0}).fit(toy.sim_gen)


@pytest.fixture(scope="module")
def report(toy, exact):
    return closure_report(exact, toy.sim_gen, toy.data_gen, {"mu": 0.5}, random_state=0)


def failed(report):
    return set(report.checks.loc[~report.checks["passed"], "name"])


def small(seed, n=300, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)), rng.normal(shift, size=(n, 1))


# --- classifier test ------------------------------------------------------------------------


def null_p_values(weighted, n_toys):
    p_values = []
    for seed in range(n_toys):
        target, sample = small(seed)
        weight = None
        if weighted:
            target = target + 0.7
            weight = np.exp(0.7 * sample[:, 0] - 0.7**2 / 2)
        test = classifier_test(target, sample, weight_sample=weight, random_state=seed)
        p_values.append(test.p_value)
    return np.array(p_values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weighted", "n_toys"),
    # Folds taken as independent would give a spread of z near 1.3, which a hundred toys can tell;
    # the test below does so by the error itself.
    [(True, 16), pytest.param(False, 100, marks=pytest.mark.long)],
)
def test_p_values_are_uniform_where_the_samples_are_alike(weighted, n_toys):
    p_values = null_p_values(weighted, n_toys)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    z = stats.norm.isf(p_values)
    assert z.std() < 1 + 3.0 / np.sqrt(2 * n_toys)
    assert np.sum(p_values < 0.05) <= stats.binom.isf(1e-3, n_toys, 0.05)


def test_power():
    target, sample = small(0, n=3000, shift=0.3)
    test = classifier_test(target, sample, random_state=0)
    # The best AUC is Φ(0.3/√2) = 0.584.
    assert test.auc == pytest.approx(stats.norm.cdf(0.3 / np.sqrt(2)), abs=4 * test.error)
    assert test.p_value < 1e-5


@pytest.mark.slow
def test_weights_make_the_samples_alike(toy):
    weight = np.exp(toy.log_weight(toy.sim_gen, 0.5))
    right = classifier_test(toy.data_gen, toy.sim_gen, weight_sample=weight, random_state=0)
    wrong = classifier_test(toy.data_gen, toy.sim_gen, random_state=0)
    assert right.p_value > 1e-3
    assert wrong.p_value < 1e-6
    assert right.n_sample < wrong.n_sample == len(toy.sim_gen)


def test_sees_a_correlation_that_no_single_feature_shows():
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(3000, 2))
    target = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=3000)
    assert classifier_test(target, sample, random_state=0).p_value < 1e-6


def test_error_is_that_of_fully_correlated_halves():
    target, sample = small(1, n=1000)
    test = classifier_test(target, sample, random_state=0)
    # Two halves of 500 + 500 events: each has the variance (n + m + 1)/(12 n m).
    assert test.error == pytest.approx(np.sqrt(1001 / (12 * 500**2)), rel=0.05)
    assert test.z == pytest.approx((test.auc - 0.5) / test.error)


@pytest.mark.slow
def test_scale_of_weights_does_not_matter():
    target, sample = small(2)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(sample))
    one = classifier_test(target, sample, weight_sample=weight, random_state=0)
    two = classifier_test(target, sample, weight_sample=1e3 * weight, random_state=0)
    assert one.auc == pytest.approx(two.auc, abs=1e-4)


@pytest.mark.slow
def test_permutations():
    target, sample = small(0, n=40, shift=2.0)
    test = classifier_test(target, sample, n_permutations=4, random_state=0)
    assert test.method == "permutation"
    assert test.p_value == pytest.approx(1 / 5)


def test_separated_samples():
    target, sample = small(0, n=200, shift=40.0)
    test = classifier_test(target, sample, random_state=0)
    assert test.auc == 1
    assert test.p_value == 0


@pytest.mark.slow
def test_same_seed_same_numbers():
    target, sample = small(0)
    one, two = (classifier_test(target, sample, random_state=5) for _ in range(2))
    assert (one.auc, one.p_value) == (two.auc, two.p_value)


def test_result_is_frozen_and_readable():
    result = ClassifierTestResult(0.51, 0.005, 0.0228, "normal", 100.0, 200.0)
    assert "auc=0.5100 ± 0.0050, p_value=0.0228" in repr(result)
    with pytest.raises(FrozenInstanceError):
        result.auc = 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": np.zeros((3, 1))}, r"target has 3 events, expected 4 at least"),
        ({"sample": np.zeros((30, 2))}, r"sample has 2 features, expected 1"),
        ({"sample": np.full((30, 1), np.nan)}, r"sample contains NaN"),
        ({"target": np.zeros((0, 1))}, r"0 sample"),
        ({"weight_target": np.ones(3)}, r"weight_target has shape \(3,\), expected \(30,\)"),
        ({"weight_sample": np.zeros(30)}, r"weight_sample sums to 0"),
        ({"n_folds": 1}, r"n_folds must be at least 2, got 1"),
        ({"n_permutations": 0}, r"n_permutations must be at least 1, got 0"),
        ({"n_permutations": 9, "weight_sample": np.ones(30)}, r"n_permutations was given with"),
        ({"device": "abacus"}, r"device='abacus'"),
    ],
)
def test_classifier_test_refuses(change, message):
    target, sample = small(0, n=30)
    with pytest.raises(ValueError, match=message):
        classifier_test(**{"target": target, "sample": sample, **change})


def test_classifier_test_refuses_swapped_columns():
    frame = pd.DataFrame(np.zeros((30, 2)), columns=["a", "b"])
    with pytest.raises(ValueError, match="columns of sample"):
        classifier_test(frame, frame[["b", "a"]])


def test_where_the_sample_has_no_events_is_told(rng):
    """A uniform feature whose end has moved: a fifth of the target lies above 1."""
    sample, target = rng.normal(size=(2, 3000, 2))
    sample[:, 1], target[:, 1] = rng.random(3000), 1.25 * rng.random(3000)
    names = ["pt", "mass"]
    test = classifier_test(
        pd.DataFrame(target, columns=names), pd.DataFrame(sample, columns=names), random_state=0
    )
    # The classifier knows the end to about a hundredth.
    assert test.missing_share == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 3000) + 0.01)
    assert "the sample has next to no events" in test.missing
    assert "mostly with mass in [1" in test.missing
    assert test.missing in repr(test)


# --- closure report -------------------------------------------------------------------------


def test_exact_weights_pass(report):
    assert report.passed
    assert failed(report) == set()
    assert report.theta == {"mu": 0.5}
    assert list(report.checks.columns) == ["name", "value", "expected", "p_value", "passed"]
    assert report.checks["name"].tolist() == [
        "weights not finite",
        "mean weight",
        "effective share of events",
        "largest share of one event",
        "AUC of a classifier",
        "share with no events",
        "χ² of feature 0",
    ]
    # Mean weight, classifier and one χ² share the level.
    assert report.p_value_limit == pytest.approx(0.001 / 3)
    assert not report.notes


@pytest.mark.parametrize("level", ["generator", "reconstructed"])
def test_target_where_nominal_has_no_events_fails_and_is_told(rng, level):
    """A signal of 30% that the nominal sample lacks, with the weights that are right elsewhere."""
    nominal, target = rng.normal(size=(2, 3000, 1))
    target[:900] -= 8

    def log_weight(X, theta):
        return np.full(len(X), np.log(0.7))

    reweighter = AnalyticReweighter(log_weight, {"f": 0.0}).fit(nominal)
    reco = None if level == "generator" else nominal + rng.normal(scale=0.3, size=(3000, 1))
    report = closure_report(reweighter, nominal, target, 0.3, nominal_reco=reco, random_state=0)
    assert "share with no events" in failed(report)
    share = report.checks.set_index("name")["value"]["share with no events"]
    # The classifier of each half ranks a few events of the signal below its last nominal event.
    assert share == pytest.approx(0.3, abs=0.03)
    note = next(note for note in report.notes if note.startswith("no common support"))
    assert "the nominal sample has next to no events" in note
    assert "mostly with feature 0 in [-9" in note


@pytest.mark.slow
def test_effective_share_is_the_known_one(report):
    values = report.checks.set_index("name")["value"]
    assert values["effective share of events"] == pytest.approx(np.exp(-0.25), abs=0.03)


@pytest.mark.slow
def test_wrong_weights_fail(toy):
    def log_weight(X, theta):
        return toy.log_weight(X, 0.5 * np.asarray(theta))

    wrong = AnalyticReweighter(log_weight, {"mu": 0.0}).fit(toy.sim_gen)
    report = closure_report(wrong, toy.sim_gen, toy.data_gen, 0.5, random_state=0)
    assert not report.passed
    assert failed(report) == {"AUC of a classifier", "χ² of feature 0"}


@pytest.mark.slow
def test_wrong_normalisation_fails_the_mean_weight_only(toy):
    def log_weight(X, theta):
        return toy.log_weight(X, theta) + 0.1

    wrong = AnalyticReweighter(log_weight, {"mu": 0.0}).fit(toy.sim_gen)
    report = closure_report(wrong, toy.sim_gen, toy.data_gen, 0.5, random_state=0)
    assert failed(report) == {"mean weight"}


def scaled(toy, shift):
    """Weights that are exact but for a factor 1 + shift."""

    def log_weight(X, theta):
        return toy.log_weight(X, theta) + np.log1p(shift)

    return AnalyticReweighter(log_weight, {"mu": 0.0}).fit(toy.sim_gen)


@pytest.fixture
def _no_classifier(monkeypatch):
    """Replace the classifier test, for tests of the other checks of a report."""
    found = ClassifierTestResult(0.5, 0.01, 0.5, "normal", 8000, 8000)
    monkeypatch.setattr(checks, "classifier_test", lambda *args, **further: found)


def mean_check(reweighter, events, target, **options):
    report = closure_report(reweighter, events, target, 0.5, random_state=0, **options)
    return report.checks.set_index("name").loc["mean weight"], report


@pytest.mark.usefixtures("_no_classifier")
def test_mean_weight_is_judged_by_its_error_and_the_tolerance(toy, exact):
    events, target = toy.sim_gen[:1000], toy.data_gen[:1000]
    ratio = exact.predict_weights(events, 0.5)
    error = ratio.std() / np.sqrt(len(ratio))
    for tolerance in (0.0, 0.01, 0.03):
        for shift in (-0.04, 0.0, 0.02):
            row, _ = mean_check(scaled(toy, shift), events, target, mean_tolerance=tolerance)
            off, s = abs((1 + shift) * ratio.mean() - 1), (1 + shift) * error
            expected = stats.norm.sf((off - tolerance) / s) + stats.norm.sf((off + tolerance) / s)
            assert row["p_value"] == pytest.approx(expected, rel=1e-6)
    row, _ = mean_check(exact, events, target)
    assert row["expected"] == f"1 ± {error:.2g} (stat.) ± 0.01"


@pytest.mark.usefixtures("_no_classifier")
def test_tolerated_factor_passes_and_is_noted(toy):
    many = make_gaussian(10, mu=0.5, n_sim=400_000, random_state=8)
    # The mean of 4·10⁵ weights has an error of √(e^0.25 − 1)/√(4·10⁵) = 0.00084.
    learned = scaled(toy, 0.006)
    few = {"observables": {}, "n_bins": 5}
    row, report = mean_check(learned, many.sim_gen, toy.data_gen, **few)
    assert row["passed"]
    assert len(report.notes) == 1
    assert "the mean weight differs from 1 by +0.00" in report.notes[0]
    row, report = mean_check(learned, many.sim_gen, toy.data_gen, mean_tolerance=0.0, **few)
    assert not row["passed"]
    assert not report.notes
    row, report = mean_check(scaled(toy, 0.02), many.sim_gen, toy.data_gen, **few)
    assert not row["passed"]


@pytest.mark.slow
def test_event_weights_before_reweighting(toy, exact):
    # Events with x > 0 are in the sample twice, with weight 1/2, which leaves the density as it is.
    half = np.where(toy.sim_gen[:, 0] > 0, 0.5, 1.0)
    again = toy.sim_gen[:, 0] > 0
    nominal = np.concatenate([toy.sim_gen, toy.sim_gen[again]])
    weight = np.concatenate([half, half[again]])
    report = closure_report(
        exact, nominal, toy.data_gen, 0.5, weight_nominal=weight, random_state=0
    )
    assert report.passed
    assert not closure_report(exact, nominal, toy.data_gen, 0.5, random_state=0).passed


def test_weighted_target(toy, exact):
    weight = np.exp(toy.log_weight(toy.sim_gen, 0.5))
    nominal, target = toy.sim_gen[:4000], toy.sim_gen[4000:]
    report = closure_report(
        exact, nominal, target, 0.5, weight_target=weight[4000:], random_state=0
    )
    assert report.passed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("log_weight", "passes"),
    [("log_weight", True), ("log_weight_primary", False)],
)
def test_full_phase_space_closes_at_reco_level_and_one_feature_does_not(log_weight, passes):
    """Fig. 4 of the SRGN paper."""
    bunch = make_dependent_detector(20_000, mu=0.7, random_state=0)
    reweighter = AnalyticReweighter(bunch[log_weight], {"mu": 0.0}).fit(bunch.sim_gen)
    report = closure_report(
        reweighter,
        bunch.sim_gen,
        bunch.data,
        0.7,
        nominal_reco=bunch.sim_reco,
        random_state=0,
    )
    assert report.passed is passes
    assert ("AUC of a classifier" in failed(report)) is not passes


@pytest.mark.slow
def test_one_feature_closes_in_that_feature():
    bunch = make_dependent_detector(8000, mu=0.7, as_frame=True, random_state=1)
    primary = AnalyticReweighter(bunch.log_weight_primary, {"mu": 0.0}).fit(bunch.sim_gen)
    report = closure_report(primary, bunch.sim_gen, bunch.data_gen, 0.7, random_state=0)
    assert "χ² of x0" not in failed(report)
    assert {"χ² of x1", "AUC of a classifier"} <= failed(report)


@pytest.mark.slow
def test_observables_as_mapping_and_frames(toy, exact):
    x, y = toy.sim_gen[:, 0], toy.data_gen[:, 0]
    mapping = {"square": (x**2, y**2), "rounded": (np.round(x), np.round(y))}
    frames = tuple(pd.DataFrame({"square": v**2, "rounded": np.round(v)}) for v in (x, y))
    one, two = (
        closure_report(exact, toy.sim_gen, toy.data_gen, 0.5, observables=given, random_state=0)
        for given in (mapping, frames)
    )
    assert one.passed
    assert list(one.chi2) == ["square", "rounded"]
    pd.testing.assert_frame_equal(one.checks, two.checks)


@pytest.mark.slow
def test_few_effective_events_fail(toy, exact):
    report = closure_report(
        exact, toy.sim_gen, toy.data_gen, 0.5, min_effective_share=0.95, random_state=0
    )
    assert failed(report) == {"effective share of events"}


@pytest.mark.slow
def test_one_heavy_event_fails(toy, exact):
    weight = np.ones(len(toy.sim_gen))
    weight[np.argmin(np.abs(toy.sim_gen[:, 0] - 0.5))] = 2000
    report = closure_report(
        exact, toy.sim_gen, toy.data_gen, 0.5, weight_nominal=weight, random_state=0
    )
    assert "largest share of one event" in failed(report)


def test_overflowing_weights_fail_and_say_so():
    def log_weight(X, theta):
        return 1000 * X[:, 0] * theta[..., 0]

    x = np.linspace(-1, 1, 50)[:, None]
    reweighter = AnalyticReweighter(log_weight, 0.0).fit(x)
    report = closure_report(reweighter, x, x, 1.0)
    assert not report.passed
    assert failed(report) == {"weights not finite"}
    assert report.classifier is None
    assert "closer to the nominal" in str(report)


def test_vanishing_weights_fail():
    reweighter = AnalyticReweighter(lambda X, theta: np.full(len(X), -np.inf), 0.0)
    x = np.linspace(-1, 1, 50)[:, None]
    report = closure_report(reweighter.fit(x), x, x, 1.0)
    assert failed(report) == {"sum of weights"}


def test_coarse_histograms_are_noted(toy, exact):
    report = closure_report(
        exact, toy.sim_gen[:100], toy.data_gen[:100], 0.5, n_bins=30, random_state=0
    )
    assert any("rough" in note for note in report.notes)
    assert "rough" in str(report)


@pytest.mark.slow
def test_frozen_reweighter_gives_the_same(toy, exact, report):
    frozen = closure_report(FrozenEstimator(exact), toy.sim_gen, toy.data_gen, 0.5, random_state=0)
    pd.testing.assert_frame_equal(frozen.checks, report.checks)


def test_report_reads_well(report):
    assert str(report).startswith("Closure at mu = 0.5: PASSED")
    assert "mean weight" in str(report)
    assert repr(report) == ("ClosureReport(passed=True, theta={'mu': 0.5}, n_checks=7, failed=[])")
    page = report._repr_html_()
    assert page.count("<tr") == 1 + len(report.checks)
    with pytest.raises(FrozenInstanceError):
        report.passed = False


def test_failed_report_says_so():
    checks = pd.DataFrame(
        {
            "name": ["a < b"],
            "value": [1.0],
            "expected": ["0"],
            "p_value": [np.nan],
            "passed": [False],
        }
    )
    report = ClosureReport(False, checks, {"mu": 1.0}, 0.001, notes=("a < b",))
    assert "FAILED 1 of 1 checks" in str(report)
    assert "a &lt; b" in report._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": None}, "theta is missing"),
        ({"theta": {"nu": 1.0}}, "unknown parameter 'nu'"),
        ({"theta": [0.5, 0.5]}, "theta has shape"),
        ({"theta": np.nan}, "theta contains NaN"),
        ({"nominal": np.zeros((0, 1))}, "0 sample"),
        ({"nominal": np.full((30, 1), np.inf)}, "nominal contains infinity"),
        ({"target": np.zeros((30, 2))}, "target has 2 features, expected 1"),
        ({"target": np.zeros((3, 1))}, "target has 3 events"),
        ({"weight_nominal": np.ones(3)}, "weight_nominal has shape"),
        ({"weight_target": -np.ones(30)}, "weight_target sums to -30"),
        ({"nominal_reco": np.zeros((4, 1))}, "nominal_reco has 4 events, nominal has 30"),
        ({"observables": {"x": np.zeros(30)}}, "must be a pair"),
        ({"observables": {"x": (np.zeros(3), np.zeros(30))}}, r"of nominal has shape \(3,\)"),
        ({"observables": {"x": (np.zeros(30), np.zeros(30))}}, "No histogram of 'x'"),
        ({"n_bins": 1}, "n_bins must be"),
        ({"level": 0.0}, "level=0.0; expected a number between 0 and 1"),
        ({"mean_tolerance": -0.1}, "mean_tolerance=-0.1; expected a number between 0 and 1"),
        ({"min_effective_share": 2.0}, "min_effective_share=2.0"),
        ({"max_weight_share": "5%"}, "max_weight_share='5%'"),
    ],
)
def test_closure_report_refuses(exact, change, message):
    target, nominal = small(0, n=30)
    given = {"nominal": nominal, "target": target, "theta": 0.5, **change}
    with pytest.raises(ValueError, match=message):
        closure_report(exact, **given)


def test_closure_report_refuses_frames_with_other_columns(exact):
    target, nominal = small(0, n=30)
    frames = (pd.DataFrame({"a": nominal[:, 0]}), pd.DataFrame({"b": target[:, 0]}))
    with pytest.raises(ValueError, match="columns"):
        closure_report(exact, nominal, target, 0.5, observables=frames)


def test_closure_report_refuses_what_is_none(toy):
    target, nominal = small(0, n=30)
    with pytest.raises(TypeError, match="reweighter: str is not a reweighter"):
        closure_report("exact", nominal, target, 0.5)
    with pytest.raises(NotFittedError):
        closure_report(AnalyticReweighter(toy.log_weight), nominal, target, 0.5)
    exact = AnalyticReweighter(toy.log_weight).fit(nominal)
    with pytest.raises(TypeError, match="observables is a list"):
        closure_report(exact, nominal, target, 0.5, observables=["x"])


# --- what the weights' own noise explains ------------------------------------------------------


@pytest.mark.parametrize(
    ("z", "expected", "noted"),
    [
        (8.0, 0.58, True),
        # No note: more than the noise explains, no noise known, and nothing to explain.
        (20.0, 0.51, False),
        (3.9, 0.5, False),
        (2.0, 0.58, False),
    ],
)
def test_noise_of_the_weights_is_noted_where_it_explains_the_auc(
    monkeypatch, toy, exact, z, expected, noted
):
    found = ClassifierTestResult(0.5 + z * 0.01, 0.01, stats.norm.sf(z), "normal", 8000, 8000)
    monkeypatch.setattr(checks, "classifier_test", lambda *args, **further: found)
    monkeypatch.setattr(checks, "_expected_auc", lambda *args: expected)
    report = closure_report(exact, toy.sim_gen, toy.data_gen, 0.5, random_state=0)
    assert any(f"AUC of up to {expected:.4f}" in note for note in report.notes) is noted
    assert ("AUC of a classifier" in failed(report)) is (z > 3.5)


def test_samples_that_are_wholly_apart_fail_with_no_note(monkeypatch, toy, exact):
    # There is no error of such an AUC.
    found = ClassifierTestResult(1.0, 0.0, 0.0, "normal", 8000, 8000)
    monkeypatch.setattr(checks, "classifier_test", lambda *args, **further: found)
    monkeypatch.setattr(checks, "_expected_auc", lambda *args: 0.51)
    report = closure_report(exact, toy.sim_gen, toy.data_gen, 0.5, random_state=0)
    assert "AUC of a classifier" in failed(report)
    assert not any("AUC of up to" in note for note in report.notes)


@pytest.mark.slow
def test_noise_of_frozen_weights_is_known(monkeypatch, toy):
    found = ClassifierTestResult(0.502, 0.0001, 0.0, "normal", 8000, 8000)
    monkeypatch.setattr(checks, "classifier_test", lambda *args, **further: found)
    small = {"hidden_layer_sizes": (8,), "max_epochs": 2, "device": "cpu", "random_state": 0}
    reweighter = DCTRReweighter(**small).fit(toy.gen[::4], toy.theta[::4])
    expected = reweighter.expected_auc(toy.sim_gen, 0.5)
    assert expected > 0.502
    report = closure_report(
        FrozenEstimator(reweighter), toy.sim_gen, toy.data_gen, 0.5, random_state=0
    )
    assert any(f"{expected:.4f}" in note for note in report.notes)


@pytest.mark.slow
def test_report_of_sets_of_particles():
    events, theta = training_sample(2_000, np.random.default_rng(1))
    reweighter = DCTRReweighter(max_epochs=3, random_state=0, device="cpu").fit(events, theta)
    rng = np.random.default_rng(2)
    nominal, target = generate(np.zeros(1_000), rng), generate(np.full(900, 0.3), rng)
    report = closure_report(reweighter, nominal, target, 0.3, random_state=0)
    assert report.chi2 == {}
    numbers = {"multiplicity": (nominal.counts, target.counts)}
    report = closure_report(
        reweighter,
        nominal,
        target,
        0.3,
        observables=numbers,
        random_state=0,
        level=np.float32(0.01),
    )
    assert list(report.chi2) == ["multiplicity"]
    with pytest.raises(ValueError, match="same form"):
        closure_report(reweighter, nominal, np.zeros((5, 2)), 0.3)
