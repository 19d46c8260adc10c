"""What `benchmarks/peers/peers.py` does without any peer: tasks, judge, resuming and tables."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks" / "peers"
MODULES = ("peers", "_tasks", "_judge", "_environments", "_report")


@pytest.fixture(scope="module")
def modules():
    """Import the script and its parts by name, which they do themselves too."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in MODULES:
            sys.modules.pop(name, None)


def record(method, *, features=1, events=1000, status="ok", **more):
    base = {"kind": "discrete", "method": method, "events": events, "features": features}
    base |= {"judged": 1000, "seed": 1, "threads": 1, "limit": 10.0, "status": status}
    figures = {"auc": 0.5, "auc_error": 0.01, "effective": 0.5, "log_error": 0.1}
    figures |= {"base": 2**20, "peak": 2**21}
    figures |= {f"{what}_{clock}": 1.0 for what in ("fit", "predict") for clock in ("cpu", "wall")}
    return {**base, **(figures if status == "ok" else {}), **more}


def fit_record(method, seconds, error, seed=1):
    return record(method, kind="fit", features=0, seed=seed, fit_cpu=seconds, error=error)


@pytest.mark.parametrize("n_features", [1, 5, 20])
def test_density_ratio_is_normalised(modules, n_features):
    """E₀[w] = 1 and E₁[1/w] = 1; tolerances are five standard errors."""
    tasks = modules["_tasks"]
    rng = np.random.default_rng(3)
    for target, sign in ((False, 1), (True, -1)):
        x = tasks.draw(50_000, n_features, target, rng)
        w = np.exp(sign * tasks.exact_log_weights(x))
        assert abs(w.mean() - 1) < 5 * w.std() / np.sqrt(len(w))


def test_reweighted_moments_are_those_of_the_target(modules):
    """Means and products of all features, and the dependence on a sine; six standard errors."""
    tasks = modules["_tasks"]
    rng = np.random.default_rng(4)
    nominal, target = (tasks.draw(50_000, 5, which, rng) for which in (False, True))

    def moments(x):
        products = [x[:, i] * x[:, j] for i in range(5) for j in range(i, 5)]
        return np.column_stack([x, *products, x[:, 2] * np.sin(2 * x[:, 1])])

    w = np.exp(tasks.exact_log_weights(nominal))[:, None]
    before, after = moments(nominal), moments(target)
    expected, found = after.mean(axis=0), (w * before).mean(axis=0)
    error = np.hypot((w * before).std(axis=0), after.std(axis=0)) / np.sqrt(len(before))
    assert (np.abs(found - expected) < 6 * error).all()
    # The bound can be missed: without weights most moments are far off.
    assert np.median(np.abs(before.mean(axis=0) - expected) / error) > 6


def test_exact_weights_have_a_finite_variance(modules):
    """2 Σ₁⁻¹ − Σ₀⁻¹ is positive definite; the gamma's and the mixture's ratios are tamer."""
    for k in (2, 17):
        covariance = [modules["_tasks"].gaussian_block(k, which)[1] for which in (False, True)]
        nominal, target = (np.linalg.inv(c) for c in covariance)
        assert np.linalg.eigvalsh(2 * target - nominal).min() > 0.1


def test_tasks_have_one_feature_or_all_kinds(modules):
    with pytest.raises(ValueError, match="n_features=3"):
        modules["_tasks"].draw(10, 3, False, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 5])
def test_judge_tells_exact_weights_from_none(modules, n_features):
    tasks, judge = modules["_tasks"], modules["_judge"].judge
    rng = np.random.default_rng(5)
    nominal, target = (tasks.draw(20_000, n_features, which, rng) for which in (False, True))
    log_exact = tasks.exact_log_weights(nominal)
    exact = judge(nominal, target, np.exp(log_exact), log_exact)
    none = judge(nominal, target, np.ones(len(nominal)), log_exact)
    assert abs(exact["auc"] - 0.5) < 4 * exact["auc_error"]
    assert none["auc"] - 0.5 > 10 * none["auc_error"]
    assert exact["log_error"] == pytest.approx(0, abs=1e-12)
    assert none["log_error"] > 0.3
    assert exact["effective"] < none["effective"] == 1


def test_judge_refuses_what_are_no_weights(modules):
    judge = modules["_judge"].judge
    x = np.zeros((4, 1))
    with pytest.raises(ValueError, match="1 not finite, 1 negative"):
        judge(x, x, np.array([1, np.nan, -1, 1]), np.zeros(4))
    with pytest.raises(ValueError, match="zero for all"):
        judge(x, x, np.zeros(4), np.zeros(4))


def test_log_error_leaves_a_constant_aside_and_sees_lost_events(modules):
    log_error = modules["_judge"].log_error
    log_exact = np.linspace(-1, 1, 100)
    assert log_error(3 * np.exp(log_exact), log_exact) == pytest.approx(0, abs=1e-12)
    weight = np.exp(log_exact)
    weight[:10] = 0
    assert np.isnan(log_error(weight, log_exact))


def test_finished_results_are_not_done_again(modules, tmp_path):
    peers, path = modules["peers"], tmp_path / "peers.jsonl"
    tasks = [
        peers.Task("discrete", method, 200, 1, 400, 1, 1) for method in ("exact", "skdctr", "sbi")
    ]
    asked = []

    def run(method, folder, seed):
        asked.append(method)
        if method == "sbi":
            return {"status": "limit"}
        np.save(folder / "weights.npy", np.ones(400))
        return {"status": "ok", "fit_cpu": 1.0}

    first = peers.work(tasks, path, 10.0, run)
    assert [r["status"] for r in first] == ["ok", "ok", "limit"]
    assert asked == ["skdctr", "sbi"]
    assert peers.work(tasks, path, 10.0, run) == json.loads(
        "[" + ",".join(path.read_text().splitlines()) + "]"
    )
    assert asked == ["skdctr", "sbi"]
    # More time is a reason to try again; a line that was cut off neither ends the run nor stays.
    path.write_text(path.read_text().rstrip("\n")[:-5])
    peers.work(tasks, path, 20.0, run)
    assert asked == ["skdctr", "sbi", "sbi"]
    assert [r["status"] for r in peers.read_records(path)] == ["ok", "ok", "limit"]


def test_failure_is_kept_and_tried_again(modules, tmp_path):
    peers = modules["peers"]
    task = peers.Task("discrete", "hep_ml", 200, 1, 400, 1, 1)

    def negative(method, folder, seed):
        np.save(folder / "weights.npy", -np.ones(400))
        return {"status": "ok"}

    (failed,) = peers.work([task], tmp_path / "a.jsonl", 10.0, negative)
    assert failed["status"] == "failed"
    assert "negative" in failed["message"]
    assert not peers.finished([failed], task, 10.0)


def test_tables_name_what_has_no_result(modules):
    report = modules["_report"]
    records = [
        record("skdctr"),
        record("sbi", status="limit"),
        record("omnifold", status="not installable", message="no `x_` **for** this\\"),
        fit_record("skdctr, optimal observable", 10.0, 0.003),
        fit_record("skdctr, optimal observable", 10.0, -0.004, seed=2),
        record("SRGN protocol", kind="fit", features=0, status="failed", message="out of memory"),
    ]
    text = report.write_report(records, None)
    for wanted in ("> 10 s", "not installable: no x for this", "failed: out of memory"):
        assert wanted in text
    # √((0.003² + 0.004²)/2)
    assert "0.0035" in text


def test_the_last_record_of_a_task_counts(modules):
    report = modules["_report"]
    text = report.write_report([record("sbi", status="limit"), record("sbi", auc=0.5678)], None)
    assert "0.5678" in text
    assert "> 10 s" not in text


def test_verdicts_say_who_leads(modules):
    verdicts = modules["_report"].verdicts
    records = [record("skdctr", auc=0.52), record("hep_ml", auc=0.501, fit_cpu=30.0)]
    closure, _, time = verdicts(records)
    assert "hep_ml LEADS" in closure
    # Below 0.5 is no better than above, and what the errors allow is no lead.
    assert "level within the errors" in verdicts([record("skdctr", auc=0.4999), record("sbi")])[0]
    assert "sbi LEADS" in verdicts([record("skdctr", auc=0.48), record("sbi")])[0]
    assert "ours leads" in time
    fits = [
        fit_record("skdctr, optimal observable", 10.0, 0.002),
        fit_record("SRGN protocol", 499.0, -0.02),
    ]
    speed, precision = verdicts(fits)
    assert speed.endswith("MISSED")
    assert precision.endswith("met")


@pytest.mark.slow
def test_docs_get_tables_and_a_picture(modules, tmp_path):
    (tmp_path / "images").mkdir()
    records = [record("exact"), record("skdctr"), fit_record("SRGN protocol", 100.0, 0.01)]
    text = modules["_report"].write_report(records, tmp_path)
    assert text.startswith((tmp_path / "peers.inc").read_text())
    assert (tmp_path / "images" / "peers.png").stat().st_size > 1000


def test_environment_is_made_once_for_its_requirements(modules, tmp_path, monkeypatch):
    environments = modules["_environments"]
    commands = []

    def run(command, **settings):
        commands.append(command)
        Path(tmp_path, "hep_ml").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(environments.subprocess, "run", run)
    python = environments.interpreter("hep_ml", tmp_path)
    assert Path(python).parents[1] == tmp_path / "hep_ml"
    assert len(commands) == 2
    environments.interpreter("hep_ml", tmp_path)
    assert len(commands) == 2
    monkeypatch.setitem(environments.REQUIREMENTS, "hep_ml", ("hep_ml==0.7.3",))
    environments.interpreter("hep_ml", tmp_path)
    assert "--clear" in commands[2]
    assert environments.interpreter("skdctr", tmp_path) == sys.executable


def test_what_cannot_be_installed_is_a_result(modules, tmp_path, monkeypatch):
    environments = modules["_environments"]

    def run(command, **settings):
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution\n\n")

    monkeypatch.setattr(environments.subprocess, "run", run)
    result = environments.run_method(
        "sbi", tmp_path, 1, environments=tmp_path, threads=1, limit=1.0
    )
    assert result == {"status": "not installable", "message": "ERROR: No matching distribution"}


def test_packages_that_we_share_are_pinned_alike(modules):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    ours = dict(line.split("==") for line in lines if "==" in line)
    for requirements in modules["_environments"].REQUIREMENTS.values():
        theirs = dict(requirement.split("==") for requirement in requirements)
        assert theirs.items() <= {**theirs, **ours}.items()
