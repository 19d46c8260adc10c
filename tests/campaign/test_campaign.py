"""Ensembles trained member by member: the numbers of one fit, whatever happens on the way."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from skorch.callbacks import Callback

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr._utils.device import spawn_seeds
from skdctr._utils.fingerprint import describe, fingerprint
from skdctr._utils.parallel import run_jobs
from skdctr._utils.record_file import claimed
from skdctr.campaign import fit_ensemble, read_manifest
from skdctr.datasets import make_gaussian
from skdctr.exceptions import ClosureFitWarning
from skdctr.preprocessing import PackedEvents

N_MEMBERS = 5
TINY = {
    "max_epochs": 1,
    "batch_size": 100,
    "hidden_layer_sizes": (4,),
    "refit": False,
    "random_state": 1,
}


# The campaigns of these tests are their own.
train = partial(fit_ensemble, allow_pickle=True)


class Tally:
    """How many trainings this process has begun, and which one is to fail; no part of a setting."""

    count = 0
    stop_at = None

    def __getstate__(self):
        return {}


TALLY = Tally()


class Trained(Callback):
    """Count the trainings of this process, and end one with an exception."""

    def on_train_begin(self, net, **kwargs):
        if TALLY.count == TALLY.stop_at:
            raise RuntimeError("disk full")
        TALLY.count += 1


class KillsItself(Callback):
    """End the process that trains the member of a seed, once."""

    def __init__(self, seed, mark):
        self.seed, self.mark = seed, mark

    def on_train_begin(self, net, **kwargs):
        if net.iterator_train__seed == self.seed and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def _start_at_zero():
    TALLY.count, TALLY.stop_at = 0, None


@pytest.fixture(scope="module")
def sample():
    theta = np.repeat([0.0, 1.0], 100)
    x = np.random.default_rng(1).normal(theta)[:, None]
    return x, theta


def ensemble(**changes):
    options = {"n_estimators": N_MEMBERS, "callbacks": [Trained()]} | TINY
    return DCTRReweighter(**(options | changes))


@pytest.fixture(scope="module")
def expected(sample):
    return ensemble().fit(*sample)


def same_nets(first, second):
    for one, other in zip(first, second, strict=True):
        for value, known in zip(one.module_.parameters(), other.module_.parameters(), strict=True):
            # Another number of threads may sum in another order.
            torch.testing.assert_close(value, known, rtol=1e-5, atol=1e-6)


def same(first, second):
    same_nets(first.nets_, second.nets_)
    x = np.linspace(-1, 1, 7)[:, None]
    np.testing.assert_allclose(
        first.predict_log_weights(x, 1.0), second.predict_log_weights(x, 1.0), atol=1e-5
    )


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_members_make_the_ensemble_of_one_fit(tmp_path, sample, expected):
    reweighter = ensemble()
    assert train(reweighter, *sample, path=tmp_path / "a" / "b") is reweighter
    same(reweighter, expected)
    assert vars(reweighter).keys() == vars(expected).keys()
    np.testing.assert_array_equal(reweighter.theta_bounds_, expected.theta_bounds_)
    spread = reweighter.predict_log_weight_spread(sample[0], 1.0)
    assert (spread > 0).all()
    by_name = train(ensemble(), X=sample[0], y=sample[1], sample_weight=None, path=tmp_path / "c")
    same(by_name, expected)


def test_manifest_says_what_was_trained(tmp_path, sample):
    train(ensemble(), *sample, path=tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest.index.tolist() == list(range(N_MEMBERS))
    assert manifest["seed"].tolist() == spawn_seeds(1, N_MEMBERS)
    assert set(manifest["torch"]) == {torch.__version__}
    assert (manifest["seconds"] > 0).all()
    assert manifest["sha256"].nunique() == N_MEMBERS
    settings = manifest.attrs["settings"]
    assert (settings["estimator"], settings["random_state"]) == ("DCTRReweighter", 1)
    assert settings["batch_size"] == 100
    assert settings["X"].startswith("ndarray of shape (200, 1), ")
    assert contents(tmp_path).keys() == {"manifest.jsonl", *manifest["file"]}
    member = pickle.loads((tmp_path / manifest.loc[3, "file"]).read_bytes())
    assert len(member.nets_) == 1
    with pytest.raises(FileNotFoundError, match="no file of members"):
        read_manifest(tmp_path / "elsewhere")


def test_an_interrupted_campaign_trains_what_is_missing(tmp_path, sample, expected):
    TALLY.stop_at = 2
    with pytest.raises(RuntimeError, match="disk full"):
        train(ensemble(), *sample, path=tmp_path)
    assert read_manifest(tmp_path).index.tolist() == [0, 1]
    kept = contents(tmp_path)
    TALLY.stop_at = None
    same(train(ensemble(), *sample, path=tmp_path), expected)
    assert TALLY.count == N_MEMBERS
    now = contents(tmp_path)
    assert now["manifest.jsonl"].startswith(kept.pop("manifest.jsonl"))
    assert kept.items() <= now.items()
    same(train(ensemble(), *sample, path=tmp_path), expected)
    assert TALLY.count == N_MEMBERS


def test_a_larger_ensemble_keeps_its_members(tmp_path, sample, expected):
    smaller = train(ensemble(n_estimators=2), *sample, path=tmp_path)
    assert TALLY.count == len(smaller.nets_) == 2
    same(train(ensemble(), *sample, path=tmp_path), expected)
    assert TALLY.count == N_MEMBERS
    same(train(ensemble(n_estimators=2, verbose=0), *sample, path=tmp_path), smaller)
    assert TALLY.count == N_MEMBERS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.02}, r"members made with lr=0\.01, not 0\.02: go on with the same"),
        ({"hidden_layer_sizes": (4, 4)}, r"hidden_layer_sizes=\[4\], not \[4, 4\]"),
        ({"module__rank": 2}, "module__rank=None, not 2"),
        ({"random_state": 2}, "random_state=1, not 2"),
        ({"callbacks": [KillsItself(1, None)]}, r"callbacks=\['Trained, [0-9a-f]{16}'\]"),
        ({"X": np.ones((200, 1))}, r"X='ndarray of shape \(200, 1\), [0-9a-f]{16}', not"),
        ({"y": np.repeat([0.0, 2.0], 100)}, r"y='ndarray of shape \(200,\)"),
        ({"sample_weight": np.ones(200)}, "sample_weight=None, not 'ndarray"),
    ],
)
def test_other_settings_and_data_are_refused(tmp_path, sample, changes, message):
    inputs = dict(zip(("X", "y"), sample, strict=True))
    train(ensemble(n_estimators=1), **inputs, path=tmp_path)
    before = contents(tmp_path)
    other = {key: changes[key] for key in ("X", "y", "sample_weight") if key in changes}
    settings = {key: changes[key] for key in changes.keys() - other.keys()}
    with pytest.raises(ValueError, match=message):
        train(ensemble(n_estimators=1, **settings), **inputs | other, path=tmp_path)
    assert contents(tmp_path) == before


def test_without_a_seed_that_of_the_directory_counts(tmp_path, sample):
    first = train(ensemble(n_estimators=1, random_state=None), *sample, path=tmp_path)
    again = train(ensemble(n_estimators=2, random_state=None), *sample, path=tmp_path)
    assert TALLY.count == 2
    same_nets(again.nets_[:1], first.nets_)
    seed = read_manifest(tmp_path).attrs["settings"]["random_state"]
    same_nets(ensemble(n_estimators=2, random_state=seed).fit(*sample).nets_, again.nets_)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_member_is_trained_again(tmp_path, sample, expected, damage):
    train(ensemble(), *sample, path=tmp_path)
    file = tmp_path / read_manifest(tmp_path).loc[2, "file"]
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-9])
    with pytest.warns(UserWarning, match="missing or damaged: member 2 is trained again"):
        same(train(ensemble(), *sample, path=tmp_path), expected)
    assert TALLY.count == N_MEMBERS + 1
    same(train(ensemble(), *sample, path=tmp_path), expected)
    assert TALLY.count == N_MEMBERS + 1


def test_a_torn_line_of_the_manifest_is_made_again(tmp_path, sample, expected):
    train(ensemble(), *sample, path=tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    assert len(read_manifest(tmp_path)) == N_MEMBERS - 1
    same(train(ensemble(), *sample, path=tmp_path), expected)
    assert TALLY.count == N_MEMBERS + 1


def test_a_mistake_before_the_first_member_leaves_the_directory_free(tmp_path, sample, expected):
    x, theta = sample
    for wrong, message in ((np.full_like(x, np.nan), "NaN"), (x[1:], "200")):
        with pytest.raises(ValueError, match=message):
            train(ensemble(), wrong, theta, path=tmp_path)
    assert read_manifest(tmp_path).empty
    same(train(ensemble(), x, theta, path=tmp_path), expected)


def test_two_calls_do_not_work_in_one_directory(tmp_path, sample, expected):
    pytest.importorskip("fcntl")
    with (
        claimed(tmp_path / "manifest.jsonl"),
        pytest.raises(RuntimeError, match="Another call is adding to"),
    ):
        train(ensemble(), *sample, path=tmp_path)
    same(train(ensemble(), *sample, path=tmp_path), expected)


def test_what_has_no_members_is_refused(tmp_path, sample):
    with pytest.raises(TypeError, match="AnalyticReweighter has no members"):
        train(AnalyticReweighter(), *sample, path=tmp_path)
    with pytest.raises(TypeError, match=r"DCTRReweighter\.fit does not take this: .*'y'"):
        train(ensemble(), sample[0], path=tmp_path)
    with pytest.raises(ValueError, match="n_estimators"):
        train(ensemble(n_estimators=0), *sample, path=tmp_path)
    assert not list(tmp_path.iterdir())


def test_runs_of_a_fit_are_members(tmp_path):
    toy = make_gaussian(500, random_state=1)
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-1, 1)])
    options = {"max_evaluations": 4, "max_epochs": 1, "n_runs": 3, "random_state": 1}
    options |= {"callbacks": [Trained()]}
    inputs = {"X": toy.sim_gen, "y": toy.sim_reco}

    def shown(fit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitter = fit()
        return fitter, sorted({str(one.message) for one in caught}), caught

    expected, texts, _ = shown(lambda: SRGNFitter(exact, **options).fit(**inputs))
    n = TALLY.count
    for n_trained in (n, 0):
        TALLY.count = 0
        fitter, again, caught = shown(
            lambda: train(SRGNFitter(exact, **options), **inputs, path=tmp_path)
        )
        assert TALLY.count == n_trained
        # Without data the fit is one of the simulation to itself, of which it warns.
        assert again == texts
        assert len(caught) == len(texts)
        assert ClosureFitWarning in {one.category for one in caught}
        pd.testing.assert_frame_equal(fitter.runs_, expected.runs_)
        pd.testing.assert_frame_equal(fitter.scan_, expected.scan_)
        np.testing.assert_array_equal(fitter.covariance_, expected.covariance_)
    assert fitter.score(**inputs) == expected.score(**inputs)
    assert len(read_manifest(tmp_path)) == 3


def test_what_a_reweighter_has_learned_is_a_setting(tmp_path, sample):
    x = sample[0]
    theta = np.resize([0.0, 0.0, 0.5, 1.0], len(x))
    first, second = (ensemble(n_estimators=1, random_state=seed).fit(x, theta) for seed in (1, 2))
    options = {"max_evaluations": 4, "max_epochs": 1, "random_state": 1}

    def fit(reweighter):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            train(SRGNFitter(reweighter, **options), x, data=x[100:], path=tmp_path)

    fit(first)
    fit(pickle.loads(pickle.dumps(first)))
    with pytest.raises(ValueError, match="reweighter='DCTRReweighter, "):
        fit(second)


@pytest.mark.long  # fault injection
def test_a_killed_process_costs_the_member_that_it_was_at(tmp_path, sample, expected):
    path = tmp_path / "members"
    killer = KillsItself(spawn_seeds(1, N_MEMBERS)[3], tmp_path / "killed")
    with pytest.raises(TerminatedWorkerError):
        train(ensemble(callbacks=[killer]), *sample, path=path, n_jobs=2)
    kept = read_manifest(path)
    assert 3 not in kept.index
    same(train(ensemble(callbacks=[killer]), *sample, path=path), expected)
    manifest = read_manifest(path)
    assert sorted(manifest.index) == list(range(N_MEMBERS))
    pd.testing.assert_frame_equal(manifest.loc[kept.index], kept)
    assert not (path / "inputs.joblib").exists()


@pytest.mark.slow  # each process imports torch
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["float32", "frame", "sets"])
def test_inputs_of_all_kinds_reach_other_processes(tmp_path, kind):
    theta = np.repeat([0.0, 1.0], 100)
    x = np.random.default_rng(1).normal(theta)[:, None]
    if kind == "float32":
        x, theta = x.astype(np.float32), theta.astype(np.float32)
    elif kind == "frame":
        x, theta = pd.DataFrame(x, columns=["x"]), pd.DataFrame({"mu": theta})
    else:
        x = PackedEvents.from_events(np.stack([x, x + 1], axis=1))
    options = {"n_estimators": 2, "callbacks": None}
    expected = ensemble(**options).fit(x, theta)
    found = train(ensemble(**options), x, theta, path=tmp_path, n_jobs=2)
    same_nets(found.nets_, expected.nets_)
    assert found.theta_names_ == expected.theta_names_


@pytest.mark.slow  # starts a cluster
def test_the_workers_of_a_dask_cluster_train_the_same(tmp_path, sample, expected):
    """A cluster of two that is left alone; one whose workers are killed is in the long tier."""
    distributed = pytest.importorskip("distributed")
    # joblib would run the jobs of a single worker here.
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    here = TALLY.count
    with distributed.Client(**local), parallel_config("dask"):
        found = train(ensemble(), *sample, path=tmp_path)
    same(found, expected)
    assert TALLY.count == here
    assert sorted(read_manifest(tmp_path).index) == list(range(N_MEMBERS))


def test_a_job_in_another_thread_of_the_process_waits():
    busy = []

    def job():
        busy.append(1)
        time.sleep(0.1)
        alone = len(busy) == 1
        busy.pop()
        return alone

    with parallel_config("threading", n_jobs=2), run_jobs([job] * 4, None, batch_size=1) as results:
        assert list(results) == [True] * 4


# --- fingerprints -----------------------------------------------------------------------------


def things():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    return {
        "array": np.arange(6.0).reshape(2, 3),
        "other shape": np.arange(6.0).reshape(3, 2),
        "other type": np.arange(6).reshape(2, 3),
        "other value": np.arange(6.0).reshape(2, 3) + 1e-12,
        "frame": frame,
        "renamed": frame.rename(columns={"a": "c"}),
        "tensor": torch.arange(3),
        "module": torch.nn.BatchNorm1d(3),
        "list": [[1], 2],
        "other list": [[1, 2]],
        "partial": partial(max, 1),
        "other partial": partial(max, 2),
        "dict": {"a": 1, "b": [2]},
        "estimator": ensemble(),
        "other estimator": ensemble(lr=0.5),
        "scalar": np.array(1.0),
        "none": np.empty((0, 3)),
        "random": np.random.RandomState(1),
    }


def test_fingerprints_tell_things_apart_and_know_them_again():
    marks = {name: fingerprint(thing) for name, thing in things().items()}
    assert len(set(marks.values())) == len(marks)
    again = {name: fingerprint(pickle.loads(pickle.dumps(t))) for name, t in things().items()}
    assert again == marks
    assert fingerprint({"b": [2], "a": 1}) == marks["dict"]
    assert fingerprint(ensemble(verbose=1)) == marks["estimator"]
    strided = np.arange(12.0).reshape(2, 6)[:, ::2]
    assert fingerprint(strided) == fingerprint(strided.copy())
    loop = SimpleNamespace()
    loop.itself = loop
    assert len(fingerprint(loop)) == 16


def test_fingerprints_of_awkward_arrays_are_those_of_their_content():
    ak = pytest.importorskip("awkward")
    events = ak.Array([[1.0], [2.0, 3.0], [], [4.0]])
    assert fingerprint(events[1:3]) == fingerprint(ak.Array([[2.0, 3.0], []]))
    assert fingerprint(events) != fingerprint(ak.Array([[1.0, 2.0], [3.0], [], [4.0]]))


@pytest.mark.slow  # another process imports torch
def test_fingerprints_are_those_of_other_processes():
    thing = "{'b': {*'abcdefgh'}, 'a': [np.ones(3), DCTRReweighter(), np.mean]}"
    code = (
        "import numpy as np; from skdctr import DCTRReweighter; "
        f"from skdctr._utils.fingerprint import fingerprint; print(fingerprint({thing}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = {"b": {*"abcdefgh"}, "a": [np.ones(3), DCTRReweighter(), np.mean]}
    assert found.stdout.strip() == fingerprint(here)


def test_descriptions_can_be_read():
    described = describe({"lr": np.float32(0.5), "module": torch.nn.Linear, "sizes": (4, 4)})
    assert described == {"lr": 0.5, "module": "torch.nn.modules.linear.Linear", "sizes": [4, 4]}
    assert json.loads(json.dumps(describe([None, True, "a", np.mean]))) == [
        None,
        True,
        "a",
        "numpy.mean",
    ]
