"""The cases of `benchmarks/accuracy/cases.py`: exact log-ratios, bounds, resuming and tables."""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ACCURACY = Path(__file__).parents[2] / "benchmarks" / "accuracy"
PARTS = ("_densities", "_mixed_densities", "_case", "_cases", "_fisher", "_case_report", "cases")
N = 20_000
# The weights of these cases have no common support, no finite variance or a few events, and the
# ratio of "negative" has gaps: their densities are those of other cases, or tested below.
WITHOUT_MEANS = {"no_support", "endpoint", "negative", "few_effective", "infinite_variance"}


@pytest.fixture(scope="module")
def modules():
    """Import the script and its parts by name, which they do themselves too."""
    sys.path.insert(0, str(ACCURACY))
    try:
        yield {name: importlib.import_module(name) for name in PARTS}
    finally:
        sys.path.remove(str(ACCURACY))
        for name in PARTS:
            sys.modules.pop(name, None)


def moments(x, nominal):
    """Tabulate all products of two of the features' ranks among nominal events; bounded."""
    columns = zip(nominal.T, x.T, strict=True)
    ranks = [np.searchsorted(np.sort(a), b) / len(a) for a, b in columns]
    ranks.append(np.ones(len(x)))
    pairs = [(i, j) for i in range(len(ranks)) for j in range(i, len(ranks))]
    return np.stack([ranks[i] * ranks[j] for i, j in pairs], axis=1)


def test_forty_cases(modules):
    table = modules["_cases"]
    assert (len(table.CLEAN), len(table.BROKEN), len(table.CASES)) == (28, 12, 40)
    assert len(set(table.SUBSET)) == 12
    assert set(table.SUBSET) <= set(table.CASES)
    for case in table.CASES.values():
        assert case.is_clean == (case.group != "broken")


def test_weighted_moments_are_those_of_a_sample_at_theta(modules):
    """E_θ₀[w] = 1 and E_θ₀[w h] = E_θ[h] at the truth; five standard errors."""
    for name, case in modules["_cases"].CASES.items():
        if name in WITHOUT_MEANS:
            continue
        rng = np.random.default_rng(11)
        nominal, varied = case.at(case.nominal, N, rng), case.at(case.truth, N, rng)
        w = np.exp(case.log_ratio(nominal, case.truth))
        assert abs(w.mean() - 1) < 5 * w.std() / np.sqrt(N), name
        wanted = moments(varied, nominal)
        off = w[:, None] * (moments(nominal, nominal) - wanted.mean(axis=0))
        error = np.hypot(off.std(axis=0), wanted.std(axis=0)) / np.sqrt(N)
        # Ones have no spread; the tolerance of rounding is for them.
        assert (abs(off.mean(axis=0)) < 5 * error + 1e-9).all(), name


def test_ratio_holds_for_theta_of_each_event(modules):
    """E over x of θ, and over θ of the range, of 1/w is 1 where θ₀ and θ have the same support."""
    for case in modules["_cases"].CLEAN:
        rng = np.random.default_rng(12)
        # Half the way to the range's ends, so that the variance of 1/w is finite.
        low, high = (np.add(case.nominal, edge) / 2 for edge in (case.low, case.high))
        theta = (
            np.tile(case.truth, (N, 1))
            if case.two_samples
            else rng.uniform(low, high, (N, len(low)))
        )
        w = np.exp(-case.log_ratio(case.draw(theta, rng), theta))
        assert abs(w.mean() - 1) < 5 * w.std() / np.sqrt(N), case.name


def test_without_common_support_the_ratio_is_infinite_or_zero(modules):
    cases = modules["_cases"].CASES
    x = np.array([[0.5], [2.0]])
    np.testing.assert_allclose(cases["no_support"].log_ratio(x, [0.2]), [np.log(0.8), np.inf])
    x = np.array([[0.85], [0.95], [1.05]])
    found = cases["endpoint"].log_ratio(x, [0.9])
    np.testing.assert_allclose(found, [-np.log(0.9), -np.inf, np.nan])
    assert cases["endpoint"].log_ratio(x, [1.1])[2] == np.inf


def test_negative_weights_leave_the_ratio_below_them(modules):
    """Weighted shares of events below and above 0.9; five standard errors."""
    case = modules["_cases"].CASES["negative"]
    sample = case.sample(N, [3])
    x, weight = sample.gen[N:, 0], sample.gen_weight[N:]
    ratio = np.exp(case.log_ratio(np.array([[0.5], [0.95]]), case.truth))
    below = x < 0.9
    share = weight[below].sum() / weight.sum()
    assert abs(share - 0.9 * ratio[0]) < 5 * np.sqrt(N * 0.1) * 2 / weight.sum()
    assert weight[~below].sum() < 0
    assert np.isnan(ratio[1])


def test_bounds_are_the_known_ones(modules):
    """Closed forms, within five standard errors of the mean of the squared score."""
    fisher, cases = modules["_fisher"], modules["_cases"].CASES
    wanted = {
        "gauss_shift": [1.0],
        "gauss_2d": [0.9, 0.9 / np.sqrt(2)],
        "lifetime": [1.2],
        "smeared": [np.sqrt(1.25)],
        "in_mev": [2000.0],
        "counts": [np.sqrt(5.6)],
    }
    for name, expected in wanted.items():
        found = fisher.least_errors(cases[name], 1)
        # The squared score of these has a relative spread of 2.8 at most (lifetime), and its mean
        # is over 200 000 events at least.
        np.testing.assert_allclose(found, expected, rtol=5 * 2.8 / 2 / np.sqrt(200_000))


def test_sample_follows_from_its_seed(modules):
    case = modules["_cases"].CASES["lossy"]
    first, again, other = (case.sample(500, [toy, 5]) for toy in (0, 0, 1))
    np.testing.assert_array_equal(first.sim_reco, again.sim_reco)
    assert not np.array_equal(first.gen, other.gen)
    assert len(first.data) < 500
    assert np.isnan(first.sim_reco).any()


def row(case, toy=0, *, log_w=0.1, off=1.0, error=1.0, warned=(), valid=True, failure=""):
    fit = {"theta": [0.6 + 0.01 * off], "errors": [0.01 * error], "pulls": [off / error]}
    told = {"warnings": dict.fromkeys(warned, 1), "failure": failure, "seconds": 1.0}
    return {
        "code": "a",
        "case": case,
        "toy": toy,
        "events": 100,
        "sample": f"{toy}",
        "truth": [0.6],
        "bound": [0.01],
        "learning": {"rms_log_w": log_w, "warnings": {}, "failure": "", "seconds": 1.0},
        "fits": {"auc": {**fit, **told, "valid": valid}},
    }


def test_file_goes_on_where_it_stopped(modules, tmp_path, monkeypatch):
    script = modules["cases"]
    made = []

    def run_toy(case, toy, n_events, objectives, bound):
        made.append((case.name, toy))
        return row(case.name, toy)

    monkeypatch.setattr(script, "run_toy", run_toy)
    monkeypatch.setattr(script, "code_of_package", lambda: "a")
    path = tmp_path / "toys.jsonl"
    path.touch()
    names = ["gauss_shift", "lifetime"]
    given = argparse.Namespace(
        path=path, cases=names, subset=False, toys=2, events=100, objectives=["auc"]
    )
    script.run(given)
    assert made == [("gauss_shift", 0), ("lifetime", 0), ("gauss_shift", 1), ("lifetime", 1)]
    # A kill tears the last line.
    path.write_text(path.read_text()[:-20])
    made.clear()
    script.run(given)
    assert made == [("lifetime", 1)]
    assert len(path.read_text().splitlines()) == 4
    monkeypatch.setattr(script, "code_of_package", lambda: "b")
    with pytest.raises(SystemExit, match="other code"):
        script.run(given)


def test_code_is_known_without_its_comments(modules, tmp_path, monkeypatch):
    script, source = modules["cases"], tmp_path / "__init__.py"
    monkeypatch.setattr(script.skdctr, "__file__", str(source))
    found = []
    texts = ["x = 1\n", '"""A docstring."""\n\nx = 1  # a comment\n', "x = 2\n"]
    for text in texts:
        source.write_text(text)
        found.append(script.code_of_package())
    assert found[0] == found[1] != found[2]


def test_tables_count_pulls_distances_and_alarms(modules):
    rows = [
        row("gauss_shift", 0, off=0.5),
        row("gauss_shift", 1, off=1.5, warned=["ExtrapolationWarning"]),
        row("lifetime", 0, off=3.0, error=2.0),
        row("lifetime", 1, off=np.nan, error=np.nan, valid=False),
        row("mismatch", 0),
        row("mismatch", 1, warned=["ModelMismatchWarning"]),
        row("few_effective", 0, off=20.0),
        row("few_effective", 1, off=1.0),
        row("few_effective", 2, off=20.0, valid=False),
    ]
    text = modules["_case_report"].report(rows)
    assert "4 toys of 2 clean cases and 5 of 2 broken ones" in text
    # Distances 0.5, 1.5, 3; pulls 0.5, 1.5, 1.5; the last toy has none.
    assert "| auc | 4 | 3 | 1.96 ± 0.80 (1.50) | 1.26 ± 0.51 | 33.3 ± 27.2% |" in text
    assert "| ExtrapolationWarning | 0.0 ± 17.7% | 25.0 ± 21.7% | gauss_shift 1 |" in text
    assert "| not valid | 0.0 ± 17.7% | 25.0 ± 21.7% | lifetime 1 |" in text
    assert "| mismatch | ModelMismatchWarning | missed 1, told 1 |" in text
    few = "| few_effective | LowEffectiveSampleSizeWarning | missed 1, right 1, not valid 1 |"
    assert few in text
    assert "| **missed** |  | 40.0 ± 21.9% |" in text


def test_report_refuses_several_states_of_the_code(modules):
    with pytest.raises(ValueError, match="several states"):
        modules["_case_report"].report([row("lifetime"), {**row("lifetime", 1), "code": "b"}])


def test_comparison_is_paired(modules):
    old = [row("gauss_shift", toy, log_w=0.1, off=2.0) for toy in range(3)]
    new = [row("gauss_shift", toy, log_w=0.2, off=1.0) for toy in range(4)]
    text = modules["_case_report"].compare(old, new)
    assert "3 toys of 1 clean cases in both" in text
    assert "| log w | 3 | 0.03 | 0.12 | 4.000 ± 0.000 | 4.000 ± 0.000 |" in text
    assert "| θ by auc | 3 | 12 | 3 | 0.250 ± 0.000 | 0.250 ± 0.000 |" in text
    new[1]["fits"]["auc"]["valid"] = False
    text = modules["_case_report"].compare(old, new)
    assert "| log w | 3 |" in text
    assert "| θ by auc | 2 | 8 | 2 |" in text
    assert "fits by auc that are valid: 3 before, 2 after" in text
    new[0]["sample"] = "changed"
    assert "1 toys left out" in modules["_case_report"].compare(old, new)


def test_torn_line_is_left_out_and_a_damaged_one_refused(modules, tmp_path):
    path = tmp_path / "toys.jsonl"
    line = json.dumps(row("lifetime")) + "\n"
    path.write_text(line + line[:30])
    assert len(modules["_case_report"].read_toys(path)) == 1
    path.write_text(line[:30] + "\n" + line)
    with pytest.raises(ValueError, match="line 1 is damaged"):
        modules["_case_report"].read_toys(path)
