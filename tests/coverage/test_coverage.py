"""Toys of a mean with a known error: what they say, how they fail, and how they go on."""

import json
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.utils import Bunch

from skdctr.coverage import read_toys, run_toys

N = 50


def simulate(theta, random_state):
    return np.random.default_rng(random_state).normal(theta, 1.0, size=(N, len(theta)))


def fit(sample, random_state):
    p = sample.shape[1]
    return SimpleNamespace(
        theta=sample.mean(axis=0), covariance=np.eye(p) / N, names=["mu", "nu"][:p]
    )


def scaled_fit(sample, random_state, scale):
    found = fit(sample, random_state)
    return SimpleNamespace(**(vars(found) | {"covariance": found.covariance * scale**2}))


def toys(**changes):
    arguments = {"simulate": simulate, "fit": fit, "n_toys": 12, "theta": 0.5, "random_state": 1}
    return run_toys(**(arguments | changes))


def same(first, second):
    """Whether two results agree but for the time that they took."""
    pd.testing.assert_frame_equal(
        first.frame.drop(columns="seconds"), second.frame.drop(columns="seconds")
    )
    np.testing.assert_array_equal(first.covariance, second.covariance)
    assert first.names == second.names
    assert first.seed == second.seed


class Interrupted:
    """A fit that a user stops in the k-th call; how many are left is no part of what it does."""

    def __init__(self, k):
        self.left = k

    def __getstate__(self):
        return {}

    def __call__(self, sample, random_state):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return fit(sample, random_state)


def test_exact_errors_cover():
    result = toys(n_toys=600, theta=[0.5, -1.0])
    table = result.to_frame()
    assert list(table.index) == ["mu", "nu"]
    for _, row in table.iterrows():
        assert row["n"] == 600
        assert abs(row["bias"]) < 3 * row["bias_error"]
        assert row["spread"] == pytest.approx(N**-0.5, abs=3 * row["spread_error"])
        assert row["quoted"] == pytest.approx(N**-0.5)
        assert abs(row["pull_mean"]) < 3 * row["pull_mean_error"]
        assert row["pull_width"] == pytest.approx(1, abs=3 * row["pull_width_error"])
        for column, level in (("coverage_68", 0.6827), ("coverage_95", 0.9545)):
            error = np.sqrt(level * (1 - level) / 600)
            assert abs(row[column] - level) < 3 * error
            width = row[f"{column}_high"] - row[f"{column}_low"]
            assert width == pytest.approx(2 * error, rel=0.25)
    joint = result.joint()
    assert abs(joint["coverage_68"] - 0.6827) < 3 * np.sqrt(0.6827 * 0.3173 / 600)
    assert joint["uniformity"] > 0.01


def test_numbers_are_those_of_the_frame():
    result = toys(n_toys=20)
    frame, row = result.frame, result.to_frame().loc["mu"]
    off = frame["mu"] - frame["mu_true"]
    assert row["bias"] == pytest.approx(off.mean())
    assert row["bias_error"] == pytest.approx(off.std() / np.sqrt(20))
    assert row["spread"] == pytest.approx(off.std())
    np.testing.assert_allclose(frame["mu_pull"], off / frame["mu_error"])
    inside = int((frame["mu_pull"].abs() <= 1).sum())
    assert row["coverage_68"] == inside / 20
    low, high = stats.beta.ppf([0.1587, 0.8413], [inside, inside + 1], [21 - inside, 20 - inside])
    assert row["coverage_68_low"] == pytest.approx(low, abs=1e-3)
    assert row["coverage_68_high"] == pytest.approx(high, abs=1e-3)


@pytest.mark.parametrize(("scale", "wide"), [(0.5, True), (2.0, False)])
def test_wrong_errors_show(scale, wide):
    row = toys(n_toys=200, fit=partial(scaled_fit, scale=scale)).to_frame().loc["mu"]
    assert (row["pull_width"] > 1.5) == wide
    assert (row["coverage_68"] < 0.5) == wide


def test_text_and_html_show_all():
    result = toys(n_toys=30, theta=[0.5, -1.0])
    text = str(result)
    for part in ("30 toys, 0 failed", "mu: bias", "pull width", "of 68.27%", "jointly", "seed 1"):
        assert part in text
    assert repr(result) == text
    html = result._repr_html_()
    assert "<table" in html
    assert "pull_width" in html


@pytest.mark.slow  # each process imports torch
def test_two_processes_make_the_same_toys():
    def own(sample, random_state):
        return fit(sample, random_state)

    same(toys(fit=own, n_jobs=2), toys(fit=own))


def test_truth_may_vary():
    truths = np.linspace(-1, 1, 12).reshape(-1, 1)
    result = toys(theta=truths)
    np.testing.assert_array_equal(result.frame["mu_true"], truths[:, 0])
    drawn = toys(theta=lambda rng: rng.uniform(-1, 1))
    assert drawn.frame["mu_true"].between(-1, 1).all()
    assert drawn.frame["mu_true"].nunique() == 12
    same(drawn, toys(theta=lambda rng: rng.uniform(-1, 1)))


def test_truth_by_name_orders_the_fit():
    def crossed(sample, random_state):
        return SimpleNamespace(theta=[1.0, 2.0], covariance=[[1, 0.5], [0.5, 4]], names=["b", "a"])

    result = toys(fit=crossed, theta={"a": 2.0, "b": 1.0})
    assert result.names == ["a", "b"]
    assert (result.frame[["a", "b"]] == [2.0, 1.0]).all(axis=None)
    np.testing.assert_array_equal(result.covariance[0], [[4, 0.5], [0.5, 1]])
    table = pd.DataFrame({"a": np.arange(12.0), "b": 0.0})
    assert toys(fit=crossed, theta=table).frame["a_true"].tolist() == list(range(12))


@pytest.mark.parametrize("kind", [Bunch, SimpleNamespace])
def test_truth_of_the_sample(kind):
    def own(theta, random_state):
        assert theta is None
        return kind(x=np.full((N, 1), 0.3), theta_true=np.array([0.25]))

    result = toys(simulate=own, fit=lambda sample, seed: fit(sample.x, seed), theta=None)
    assert (result.frame["mu_true"] == 0.25).all()


def test_an_estimator_is_read_with_its_validity():
    def fitter(sample, random_state):
        found = fit(sample, random_state)
        return SimpleNamespace(
            theta_=found.theta,
            covariance_=found.covariance,
            theta_names_=found.names,
            result_=SimpleNamespace(valid=False),
        )

    result = toys(fit=fitter)
    assert not result.frame["valid"].any()
    assert "12 of 12 fits are not valid" in str(result)
    same(replace(result, frame=result.frame.assign(valid=True)), toys())


def test_failing_toys_are_recorded_and_counted(tmp_path):
    def sometimes(sample, random_state):
        if sample[0, 0] < 0.5:
            raise RuntimeError("no minimum\nfound")
        return fit(sample, random_state)

    result = toys(fit=sometimes, n_toys=40, path=tmp_path / "toys.jsonl")
    assert 5 < result.n_failed < 35
    failed = result.frame["failure"] != ""
    assert set(result.frame.loc[failed, "failure"]) == {"RuntimeError: no minimum found"}
    assert result.frame.loc[failed, "mu"].isna().all()
    assert (result.frame["mu_true"] == 0.5).all()
    assert result.to_frame().loc["mu", "n"] == 40 - result.n_failed
    assert f"{result.n_failed} failed: RuntimeError: no minimum found" in str(result)
    same(read_toys(tmp_path / "toys.jsonl"), result)


class Moody:
    """A fit that fails in some toys until the trouble is over, as on a full disk."""

    def __init__(self, trouble, toys=()):
        self.trouble, self.toys = trouble, toys

    def __call__(self, sample, random_state):
        if self.trouble.exists() and (not self.toys or sample[0, 0] < self.toys):
            raise OSError("disk full")
        return fit(sample, random_state)


def test_failed_toys_are_made_again_on_request(tmp_path):
    path, trouble = tmp_path / "toys.jsonl", tmp_path / "trouble"
    trouble.touch()
    moody = Moody(trouble, 0.5)
    first = toys(fit=moody, path=path)
    assert 1 < first.n_failed < 11
    trouble.unlink()
    assert toys(fit=moody, path=path).n_failed == first.n_failed
    before = path.read_bytes()
    again = toys(fit=moody, path=path, retry_failed=True)
    same(again, toys())
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == 13 + first.n_failed
    same(read_toys(path), again)
    same(toys(fit=moody, path=path), again)


def test_toys_that_all_fail_are_an_error(tmp_path):
    path, trouble = tmp_path / "toys.jsonl", tmp_path / "trouble"
    trouble.touch()
    with pytest.raises(RuntimeError, match="All 12 toys failed, toy 0 with 'OSError: disk full'"):
        toys(fit=Moody(trouble))
    with pytest.raises(RuntimeError, match=r"retry_failed=True to go on in .*toys\.jsonl"):
        toys(fit=Moody(trouble), path=path)
    # The file says what happened.
    failed = read_toys(path)
    assert failed.n_failed == failed.n_toys == 12
    assert failed.to_frame()["n"].tolist() == [0]
    assert "12 failed: OSError: disk full" in str(failed)
    assert "<li>" in failed._repr_html_()
    # No toy was fitted otherwise, so that a mended fit may take the place of the one that failed.
    with pytest.raises(ValueError, match="made with fit='Moody"):
        toys(path=path)
    same(toys(path=path, retry_failed=True), toys())


def test_warnings_are_recorded_not_shown():
    def warning(sample, random_state):
        warnings.warn("at a bound", UserWarning, stacklevel=1)
        return fit(sample, random_state)

    result = toys(fit=warning)
    assert set(result.frame["warnings"]) == {"at a bound"}
    assert "12 warned: at a bound" in str(result)


def test_fits_without_an_error_are_left_out():
    def unknown(sample, random_state):
        return SimpleNamespace(theta=[0.0], covariance=[[np.nan]], names=["mu"])

    result = toys(fit=unknown)
    assert result.to_frame().loc["mu", "n"] == 0
    assert "12 of 12 fits have no error of mu" in str(result)


def test_interrupted_toys_go_on_where_they_were(tmp_path):
    path = tmp_path / "deep" / "toys.jsonl"
    with pytest.raises(KeyboardInterrupt):
        toys(fit=Interrupted(5), path=path)
    assert len(read_toys(path).frame) == 5
    count = Interrupted(7)
    same(toys(fit=count, path=path), toys())
    assert count.left == 0
    same(toys(fit=Interrupted(0), path=path), toys())


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_last_line_is_made_again(tmp_path, cut):
    path = tmp_path / "toys.jsonl"
    expected = toys(path=path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert len(read_toys(path).frame) == (12 if cut == 1 else 11)
    same(toys(path=path), expected)
    assert path.read_bytes().count(b"\n") == 13
    path.write_bytes(whole[:7])
    same(toys(path=path), expected)


def test_more_toys_keep_those_that_are_there(tmp_path):
    path = tmp_path / "toys.jsonl"
    toys(n_toys=5, fit=Interrupted(5), path=path)
    count = Interrupted(7)
    same(toys(fit=count, path=path), toys())
    same(toys(n_toys=5, fit=Interrupted(0), path=path), toys(n_toys=5))


def test_without_a_seed_that_of_the_file_counts(tmp_path):
    path = tmp_path / "toys.jsonl"
    first = toys(n_toys=5, random_state=None, path=path)
    again = toys(random_state=None, path=path)
    assert again.seed == first.seed
    np.testing.assert_array_equal(again.frame["mu"][:5], first.frame["mu"])
    assert toys(random_state=None).seed != first.seed
    random = toys(random_state=np.random.RandomState(4))
    same(random, toys(random_state=np.random.RandomState(4)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"random_state": 2}, "made with seed=1, not 2"),
        ({"theta": 0.6}, r"toy 0 with theta=\[0\.5\], not \[0\.6\]"),
        (
            {"fit": partial(scaled_fit, scale=2.0)},
            r"fit='fit, \w{16}', not 'scaled_fit\(scale=2\.0\), ",
        ),
        ({"simulate": lambda theta, seed: None}, "made with simulate='simulate, "),
    ],
)
def test_other_settings_are_refused(tmp_path, changes, message):
    path = tmp_path / "toys.jsonl"
    toys(n_toys=2, path=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        toys(path=path, **changes)
    assert path.read_bytes() == before


def test_foreign_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "toys.jsonl"
    for text in ("my notes", "my notes\n\n", '{"a": 1}\n', "[1]\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"not a file of toys|damaged"):
            toys(path=path)
        assert path.read_text() == text
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no file of toys"):
        read_toys(path)
    toys(path=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "{", *lines[3:]]) + "\n")
    with pytest.warns(UserWarning, match="damaged in line 4"):
        same(toys(path=path), toys())
    same(read_toys(path), toys())
    path.write_text(lines[0] + "\n")
    with pytest.raises(ValueError, match="no toys yet"):
        read_toys(path)


def write_format_1(path, n=12):
    """Write toys as earlier versions did."""
    toys(n_toys=n, path=path)
    first, *rows = [json.loads(line) for line in path.read_text().splitlines()]
    first |= {"format": "skdctr toys 1", "simulate": "simulate", "fit": "fit"}
    lines = [{k: v for k, v in row.items() if k != "crc"} for row in (first, *rows)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lines


def test_files_of_format_1_go_on_with_a_warning(tmp_path):
    path = tmp_path / "toys.jsonl"
    write_format_1(path, n=5)
    with pytest.warns(UserWarning, match="same functions and data.*unchecked") as caught:
        same(read_toys(path), toys(n_toys=5))
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="unchecked") as caught:
        same(toys(path=path), toys())
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with (
        pytest.raises(ValueError, match=r"fit='fit', not 'scaled_fit\(scale=2\.0\)'"),
        pytest.warns(UserWarning, match="unchecked"),
    ):
        toys(path=path, fit=partial(scaled_fit, scale=2.0))


def test_toys_of_other_parameters_do_not_mix(tmp_path):
    path = tmp_path / "toys.jsonl"
    first, row, *_ = write_format_1(path)
    other = {**row, "toy": 1, "names": ["sigma"]}
    path.write_text("".join(json.dumps(line) + "\n" for line in (first, row, other)))
    with (
        pytest.raises(ValueError, match="differ in the names"),
        pytest.warns(UserWarning, match="unchecked"),
    ):
        read_toys(path)


RESULTS = Path(__file__).parents[2] / "benchmarks" / "accuracy" / "results"


@pytest.mark.parametrize("file", ["gaussian.jsonl", "discrete.jsonl", "angular.jsonl"])
def test_the_toys_of_the_benchmarks_are_read(file):
    with pytest.warns(UserWarning, match="earlier format"):
        result = read_toys(RESULTS / file)
    assert result.n_toys == len((RESULTS / file).read_text().splitlines()) - 1
    assert "coverage" in str(result)


def drawing(data):
    def simulate(theta, random_state):
        return np.random.default_rng(random_state).normal(theta, 1.0, size=(N, 1)) + float(data[0])

    return simulate


class Detector:
    def __init__(self, data):
        self.data = data

    def simulate(self, theta, random_state):
        return drawing(self.data)(theta, random_state)

    __call__ = simulate


def shifted(theta, random_state, data=None):
    return drawing(data)(theta, random_state)


def with_default(data):
    def simulate(theta, random_state, data=data):
        return drawing(data)(theta, random_state)

    return simulate


MAKERS = {
    "partial": lambda data: partial(shifted, data=data),
    "closure": drawing,
    "default": with_default,
    "method": lambda data: Detector(data).simulate,
    "callable": Detector,
    "nested": lambda data: partial(Detector({0: data}[0]).simulate),
}


@pytest.mark.parametrize("kind", ["array", "frame", "polars", "tensor"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_other_data_are_not_mixed_in(tmp_path, make, kind):
    """Data that differ in the middle, where a repr leaves them out."""
    path = tmp_path / "toys.jsonl"

    def simulation(value):
        data = np.zeros(5000)
        data[2500] = value
        if kind == "frame":
            data = pd.DataFrame({"x": data})["x"]
        elif kind == "polars":
            data = pytest.importorskip("polars").Series("x", data)
        elif kind == "tensor":
            data = torch.as_tensor(data)
        return make(data)

    toys(n_toys=1, simulate=simulation(1.0), path=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"made with simulate=.*digits at the end tell contents"):
        toys(n_toys=2, simulate=simulation(2.0), path=path)
    assert path.read_bytes() == before
    toys(n_toys=2, simulate=simulation(1.0), path=path)


def test_what_cannot_be_compared_is_refused_where_there_is_a_file(tmp_path):
    simulation = partial(shifted, data=[0.0], notes=(k for k in range(3)))
    with pytest.raises(TypeError, match=r"simulate holds .* generator .*'notes'"):
        toys(simulate=simulation, path=tmp_path / "toys.jsonl")
    assert not list(tmp_path.iterdir())
    # Without a file there is nothing to compare.
    assert toys(simulate=partial(tolerant, notes=(k for k in range(3)))).n_toys == 12


def tolerant(theta, random_state, notes):
    return simulate(theta, random_state)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_toys": 0}, ValueError, "n_toys must be at least 1, got 0"),
        ({"n_toys": 1.5}, TypeError, "n_toys must be an int, got 1.5"),
        ({"theta": np.zeros((3, 1))}, ValueError, r"shape \(3, 1\); expected \(p,\).*\(12, p\)"),
        ({"theta": np.zeros((12, 1, 1))}, ValueError, r"shape \(12, 1, 1\)"),
        ({"theta": [np.nan]}, ValueError, "NaN or infinity"),
        ({"theta": lambda rng: np.zeros((2, 2))}, ValueError, r"returned shape \(2, 2\)"),
        ({"theta": None}, TypeError, "give theta"),
        ({"random_state": -1}, ValueError, "not negative"),
        ({"fit": lambda sample, seed: None}, TypeError, r"NoneType without \['theta', 'cov"),
        ({"fit": lambda sample, seed: fit(np.zeros((2, 2)), 0)}, ValueError, "came with shapes"),
        ({"theta": {"sigma": 1.0}}, ValueError, r"truth of \['sigma'\], the fit has \['mu'\]"),
    ],
)
def test_mistakes_end_the_campaign(changes, error, message):
    simulate_any = {"simulate": lambda theta, seed: np.zeros((N, 1))}
    with pytest.raises(error, match=message):
        toys(**(simulate_any | changes))


def test_progress_is_shown_on_request(capsys):
    toys()
    assert capsys.readouterr().err == ""
    toys(verbose=1)
    assert "12/12" in capsys.readouterr().err
