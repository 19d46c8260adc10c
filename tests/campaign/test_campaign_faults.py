"""Campaigns of ensembles under faults, and manifests that somebody else has written."""

import hashlib
import json
import os
import pickle

import joblib
import numpy as np
import pytest
from _faults import disk_of, flipped, run_clock_back
from skorch.callbacks import Callback

from skdctr import DCTRReweighter
from skdctr._utils.record_file import RecordFile
from skdctr.campaign import fit_ensemble, read_manifest
from skdctr.campaign.ensemble import _received
from skdctr.campaign.member_files import intact_members

TINY = {"max_epochs": 1, "batch_size": 100, "hidden_layer_sizes": (4,), "refit": False}
N_MEMBERS = 3


class Evil:
    """What runs when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def sample():
    theta = np.repeat([0.0, 1.0], 100)
    return np.random.default_rng(1).normal(theta)[:, None], theta


def train(sample, path, n=N_MEMBERS, **options):
    reweighter = DCTRReweighter(n_estimators=n, random_state=1, **TINY)
    return fit_ensemble(reweighter, *sample, path=path, **options)


def weights(reweighter):
    return reweighter.predict_log_weights(np.linspace(-1, 1, 5)[:, None], 1.0)


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory):
    """The files of a finished campaign by their names, and its weights."""
    path = tmp_path_factory.mktemp("members")
    found = weights(train(sample, path))
    return {file.name: file.read_bytes() for file in path.iterdir()}, found


@pytest.fixture
def path(tmp_path, trained):
    path = tmp_path / "members"
    path.mkdir()
    for name, content in trained[0].items():
        (path / name).write_bytes(content)
    return path


def rewrite(path, **changes):
    """Write the first member's line as a stranger would who knows the format."""
    lines = (path / "manifest.jsonl").read_bytes().splitlines()
    settings = json.loads(lines[0])
    rows = [json.loads(line) for line in lines[1:]]
    rows[0] |= changes
    (path / "manifest.jsonl").unlink()
    hidden = {"format", "crc"}
    file = RecordFile(
        path / "manifest.jsonl", "member", {k: v for k, v in settings.items() if k not in hidden}
    )
    for row in rows:
        file.append({k: v for k, v in row.items() if k != "crc"})


def test_members_are_unpickled_with_consent_only(path, sample, trained):
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(ValueError, match=r"has 3 members of an earlier call.*allow_pickle=True"):
        train(sample, path)
    with pytest.raises(ValueError, match="choose another path"):
        train(sample, path, n=5)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert len(read_manifest(path)) == N_MEMBERS
    np.testing.assert_array_equal(weights(train(sample, path, allow_pickle=True)), trained[1])


def test_reading_a_manifest_runs_nothing(path, tmp_path):
    mark = tmp_path / "ran"
    (path / "member-0000.pickle").write_bytes(pickle.dumps(Evil(mark)))
    read_manifest(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.pickle",
        "/{}/evil.pickle",
        "sub/evil.pickle",
        "..\\evil.pickle",
        "evil.pickle",
        "member-0001.pickle",
        "member-0000.pickle\0",
        "",
        None,
        ["member-0000.pickle"],
    ],
)
def test_a_manifest_names_the_files_of_its_members_only(path, tmp_path, sample, name):
    mark = tmp_path / "ran"
    content = pickle.dumps(Evil(mark))
    (path / "sub").mkdir()
    for place in (tmp_path, path, path / "sub"):
        (place / "evil.pickle").write_bytes(content)
    name = name.format(tmp_path) if isinstance(name, str) else name
    rewrite(path, file=name, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ValueError, match=r"names the file .* for member 0, where"):
        train(sample, path, allow_pickle=True)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["member-0000.pickle", "manifest.jsonl"])
def test_links_are_not_followed(path, tmp_path, sample, name):
    (path / name).rename(tmp_path / "elsewhere")
    (path / name).symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    with pytest.raises(OSError, match="links are not followed here"):
        train(sample, path, allow_pickle=True)
    assert (tmp_path / "elsewhere").read_bytes() == before


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_every_flipped_byte_of_a_file_is_noticed(path, sample, n, tmp_path):
    rows = RecordFile.read(path / "manifest.jsonl", "member").rows
    for _ in flipped(path / "member-0001.pickle", n):
        with pytest.warns(UserWarning, match="damaged: member 1 is trained again"):
            assert intact_members(path, rows, N_MEMBERS) == [0, 2]
    first_line = (path / "manifest.jsonl").read_bytes().index(b"\n")
    for place in flipped(path / "manifest.jsonl", n):
        if place <= first_line:
            with pytest.raises(ValueError, match=r"line 1 is damaged|not a file of members"):
                read_manifest(path)
        else:
            with pytest.warns(UserWarning, match="manifest.jsonl is damaged in line"):
                assert len(read_manifest(path)) < N_MEMBERS
    inputs = tmp_path / "inputs.joblib"
    joblib.dump({"X": sample[0]}, inputs)
    known = hashlib.sha256(inputs.read_bytes()).hexdigest()
    for _ in flipped(inputs, n):
        with pytest.raises(RuntimeError, match=r"inputs\.joblib is damaged"):
            _received(inputs, known)
    np.testing.assert_array_equal(_received(inputs, known)["X"], sample[0])


@pytest.mark.parametrize("line", [0, 2])
def test_a_damaged_line_costs_no_more_than_its_member(path, sample, trained, line):
    manifest = path / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"1", b"2", 1)
    manifest.write_bytes(b"".join(lines))
    said = "settings of this call" if line == 0 else "damaged in line 3"
    with pytest.warns(UserWarning, match=said):
        found = train(sample, path, allow_pickle=True)
    np.testing.assert_array_equal(weights(found), trained[1])
    np.testing.assert_array_equal(weights(train(sample, path, allow_pickle=True)), trained[1])


@pytest.mark.parametrize("room", [1000, 5000])
def test_a_full_disk_leaves_no_draft_and_loses_no_member(tmp_path, sample, trained, room):
    """There is room for a part of the manifest, or of the first member."""
    pytest.importorskip("resource")
    assert room < len(trained[0]["member-0000.pickle"])
    path = tmp_path / "members"
    with disk_of(room), pytest.raises(OSError, match="File too large"):
        train(sample, path)
    assert [file.name for file in path.iterdir()] == ["manifest.jsonl"]
    np.testing.assert_array_equal(weights(train(sample, path)), trained[1])


def test_drafts_that_a_kill_left_are_removed(path, sample):
    (path / "member-0002.pickle.0123abcd.part").write_bytes(b"half")
    train(sample, path, allow_pickle=True)
    assert not list(path.glob("*.part"))


def test_a_clock_that_runs_back_changes_nothing(tmp_path, sample, trained, monkeypatch):
    run_clock_back(monkeypatch)
    np.testing.assert_array_equal(weights(train(sample, tmp_path / "members")), trained[1])
    assert (read_manifest(tmp_path / "members")["seconds"] == 0).all()


def test_manifests_of_format_1_go_on_with_a_warning(path, sample, trained):
    rows = [json.loads(line) for line in (path / "manifest.jsonl").read_text().splitlines()]
    rows[0] |= {"format": "skdctr members 1", "X": "ndarray of shape (200, 1), 0000000000000000"}
    lines = [json.dumps({k: v for k, v in row.items() if k != "crc"}) for row in rows]
    (path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="its members were made .* is unchecked"):
        assert len(read_manifest(path)) == N_MEMBERS
    with pytest.warns(UserWarning, match="unchecked"):
        found = train(sample, path, allow_pickle=True)
    np.testing.assert_array_equal(weights(found), trained[1])


class Noting(Callback):
    """A callback with a function of the user's."""

    def __init__(self, function):
        self.function = function


def returning(value):
    def function():
        return value

    return function


class Holder:
    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


@pytest.mark.parametrize("make", [returning, lambda k: Holder(k).method], ids=["closure", "method"])
def test_other_functions_are_refused(tmp_path, sample, make):
    def call(k, **options):
        reweighter = DCTRReweighter(random_state=1, callbacks=[Noting(make(k))], **TINY)
        return fit_ensemble(reweighter, *sample, path=tmp_path, **options)

    call(1)
    with pytest.raises(ValueError, match=r"made with callbacks=\['Noting, \w{16}'\], not"):
        call(2)
    call(1, allow_pickle=True)


def test_other_data_of_polars_are_refused(tmp_path, sample):
    polars = pytest.importorskip("polars")
    x = polars.DataFrame(sample[0], schema=["x"])
    train((x, sample[1]), tmp_path, n=1)
    other = x.with_columns(polars.when(polars.col("x") > 0).then(0.5).otherwise("x").alias("x"))
    with pytest.raises(ValueError, match=r"made with X='DataFrame of shape \(200, 1\), "):
        train((other, sample[1]), tmp_path, n=1)
    with pytest.raises(TypeError, match=r"X is .* LazyFrame.*collect\(\)"):
        train((x.lazy(), sample[1]), tmp_path, n=1)
