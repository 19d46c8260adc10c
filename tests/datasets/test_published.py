"""The loader of the papers' files, on files of their form, with no network."""

import hashlib
import sys
import types

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdctr._utils import optional
from skdctr.datasets import fetch_published, jet_observables
from skdctr.datasets.jets import published
from skdctr.preprocessing import PackedEvents

COUNTS = [4, 51, 0, 7]
THETA = ["alphaS", "aLund", "probStoUD"]


@pytest.fixture
def ak():
    return pytest.importorskip("awkward")


@pytest.fixture
def jets(rng):
    """As published: zeros for missing particles, θ repeated for every particle."""
    array = np.zeros((4, 51, 7))
    for i, n in enumerate(COUNTS):
        array[i, :n, 0] = rng.exponential(2, n) + 0.01
        array[i, :n, 1:3] = rng.normal(0, 0.3, (n, 2))
        array[i, :n, 3] = rng.choice([211, -321, 22, 130], n)
        array[i, :n, 4:] = [0.1 + 0.01 * i, 0.68, 0.217]
    return array


@pytest.fixture
def train(jets):
    return {"X": jets, "Y": np.array([0, 1, 1, 0])}


@pytest.fixture
def test_sample(jets):
    return {
        "jet": jets,
        "multiplicity": np.array(COUNTS),
        "number_of_kaons": np.arange(4),
        "nsubs": np.arange(8.0).reshape(4, 2),
    }


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def put(home, file, arrays, record="3518708"):
    directory = home / "zenodo" / record
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / file, **arrays)
    return directory / file


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Let no test download anything."""

    def create(**kwargs):
        raise OSError("no network")

    monkeypatch.setitem(sys.modules, "pooch", types.SimpleNamespace(create=create))


# What comes back


def test_training_file(ak, home, train, jets):
    path = put(home, "1D_alphaS_train.npz", train)
    bunch = fetch_published("1D_alphaS_train", data_home=home)
    assert bunch.constituents.fields == ["pt", "eta", "phi", "pid"]
    assert_array_equal(ak.num(bunch.constituents), COUNTS)
    real = jets[..., 0] > 0
    for k, name in enumerate(("pt", "eta", "phi", "pid")):
        assert_array_equal(
            ak.flatten(bunch.constituents[name]), jets[real][:, k].astype(np.float32)
        )
    assert list(bunch.theta) == THETA
    assert_array_equal(bunch.theta["alphaS"], [0.1, 0.11, np.nan, 0.13])
    assert_array_equal(bunch.theta.iloc[[0, 1, 3], 1:], [[0.68, 0.217]] * 3)
    assert_array_equal(bunch.y, [0, 1, 1, 0])
    assert bunch.observables is bunch.features is None
    assert bunch.path == path
    assert "1907.08209" in bunch.DESCR
    # The package's forms: into sets and observables as they are.
    assert_array_equal(PackedEvents.from_events(bunch.constituents).counts, COUNTS)
    found = jet_observables(bunch.constituents, ["multiplicity", "n_kaons"])
    assert_array_equal(found["multiplicity"], COUNTS)
    assert_array_equal(found["n_kaons"], np.isin(np.abs(jets[..., 3]), [321, 130]).sum(axis=1))


def test_padded_form(home, train, jets):
    put(home, "3D_train.npz", train)
    bunch = fetch_published("3D_train.npz", form="padded", data_home=home)
    assert bunch.constituents.shape == (4, 51, 4)
    assert bunch.constituents.dtype == np.float32
    missing = np.isnan(bunch.constituents)
    assert_array_equal(missing.all(axis=2), missing.any(axis=2))
    assert_array_equal((~missing[..., 0]).sum(axis=1), COUNTS)
    assert_array_equal(np.nan_to_num(bunch.constituents), jets[..., :4].astype(np.float32))
    packed = PackedEvents.from_events(bunch.constituents, particle_type=3)
    assert set(packed.types) <= {211, -321, 22, 130}


def test_test_file(ak, home, test_sample):
    put(home, "test1D_default.npz", test_sample)
    bunch = fetch_published("test1D_default", data_home=home)
    assert list(bunch.observables) == ["multiplicity", "number_of_kaons", "nsubs_0", "nsubs_1"]
    assert_array_equal(bunch.observables["multiplicity"], COUNTS)
    assert_array_equal(bunch.observables["nsubs_1"], [1, 3, 5, 7])
    assert bunch.y is None
    assert list(bunch.theta) == THETA


def test_jets_without_parameters(ak, home, jets):
    put(home, "a.npz", {"jet": jets[..., :4]})
    bunch = fetch_published("a", data_home=home)
    assert bunch.theta is None
    assert len(bunch.constituents) == 4


def test_top_mass_file(home, rng):
    X = rng.normal(170, 10, (6, 5))
    put(home, "DCTR_Mt_train.npz", {"X": X, "Y": np.arange(6) % 2}, record="4067673")
    bunch = fetch_published("DCTR_Mt_train", record="top_mass", data_home=home)
    assert isinstance(bunch.features, pd.DataFrame)
    assert_array_equal(bunch.features, X)
    assert bunch.constituents is bunch.theta is None
    assert "2010.03569" in bunch.DESCR


def test_first_events(ak, home, train, test_sample):
    put(home, "a.npz", {**test_sample, "Y": train["Y"]})
    bunch = fetch_published("a", n_events=2, data_home=home)
    assert [len(bunch[key]) for key in ("constituents", "theta", "y", "observables")] == [2] * 4
    assert len(fetch_published("a", n_events=9, data_home=home).observables) == 4


def test_directory_of_the_environment(home, train, monkeypatch):
    put(home, "a.npz", train)
    monkeypatch.setenv("SKDCTR_DATA", str(home))
    assert len(fetch_published("a", form="padded").y) == 4


# Checksum


def test_checksum_is_kept(home, train):
    path = put(home, "a.npz", train)
    bunch = fetch_published("a", form="padded", data_home=home)
    assert bunch.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    record = path.with_name("a.npz.sha256")
    assert record.read_text() == f"{bunch.sha256}  a.npz\n"
    assert fetch_published("a", form="padded", data_home=home).sha256 == bunch.sha256
    put(home, "a.npz", {**train, "Y": np.ones(4)})
    with pytest.raises(ValueError, match=r"a.npz has changed: .*Delete both files to download"):
        fetch_published("a", data_home=home)
    record.write_text("")
    with pytest.raises(ValueError, match=r"a.npz.sha256 has none"):
        fetch_published("a", data_home=home)


# Download


def fake_pooch(monkeypatch, source):
    """A pooch whose record holds the files of a directory."""
    calls = []

    class Pooch:
        def __init__(self, path, base_url, retry_if_failed):
            self.path, self.base_url, self.registry = path, base_url, {}

        def load_registry_from_doi(self):
            self.registry = dict.fromkeys((file.name for file in source.iterdir()), "md5:0")

        def fetch(self, name, progressbar):
            calls.append((self.base_url, name, progressbar))
            (self.path / name).write_bytes((source / name).read_bytes())

    monkeypatch.setitem(sys.modules, "pooch", types.SimpleNamespace(create=Pooch))
    return calls


def test_download_once(home, train, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    np.savez(source / "3D_train.npz", **train)
    calls = fake_pooch(monkeypatch, source)
    for _ in range(2):
        bunch = fetch_published("3D_train", form="padded", data_home=home, verbose=1)
    assert calls == [("doi:10.5281/zenodo.3518708/", "3D_train.npz", True)]
    assert bunch.path == home / "zenodo" / "3518708" / "3D_train.npz"
    with pytest.raises(ValueError, match=r"no file '3d_train.npz'; did you mean '3D_train.npz'\?"):
        fetch_published("3d_train", data_home=home)
    assert not (home / "zenodo" / "3518708" / "3d_train.npz").exists()


def test_offline(home):
    with pytest.raises(ConnectionError, match=r"3D_train.npz .*no network.*put it into .*3518708"):
        fetch_published("3D_train", data_home=home)
    with pytest.raises(FileNotFoundError, match=r"3D_train.npz does not exist. Pass download_if"):
        fetch_published("3D_train", data_home=home, download_if_missing=False)


def test_real_pooch(home, train, tmp_path, monkeypatch):
    """The calls of pooch are as pooch has them: only the answers of the network are made up."""
    monkeypatch.delitem(sys.modules, "pooch")
    pytest.importorskip("pooch")
    requests = pytest.importorskip("requests")
    np.savez(tmp_path / "a.npz", **train)
    content = (tmp_path / "a.npz").read_bytes()
    md5 = [hashlib.md5(content).hexdigest()]

    class Response:
        status_code = 200
        url = "https://zenodo.org/records/3518708"
        headers = {"content-length": str(len(content))}

        def json(self):
            link = {"self": "https://zenodo.org/a.npz"}
            return {"files": [{"key": "a.npz", "checksum": f"md5:{md5[0]}", "links": link}]}

        def raise_for_status(self):
            pass

        def iter_content(self, chunk_size):
            yield content

        def close(self):
            pass

    monkeypatch.setattr(requests, "get", lambda *args, **kwargs: Response())
    assert_array_equal(fetch_published("a", form="padded", data_home=home).y, train["Y"])
    with pytest.raises(ValueError, match=r"no file 'b.npz'.*Its files are \['a.npz'\]"):
        fetch_published("b", data_home=home)
    md5[0] = "0" * 32
    with pytest.raises(ConnectionError, match="could not be downloaded"):
        fetch_published("a", data_home=tmp_path / "other")


def test_without_pooch(home, monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optional, "importlib", types.SimpleNamespace(import_module=import_module))
    with pytest.raises(ImportError, match=r'pooch.*pip install "skdctr\[download\]"'):
        fetch_published("3D_train", data_home=home)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"record": "parton"}, ValueError, "record is 'parton'; did you mean 'parton_shower'"),
        ({"form": "dense"}, ValueError, "form is 'dense'; known are"),
        ({"file": "../a"}, ValueError, r"file is '../a'; expected the name of a file"),
        ({"file": ""}, ValueError, "file is ''"),
        ({"file": 3}, ValueError, "file is 3"),
        ({"n_events": 0}, ValueError, "n_events must be at least 1"),
    ],
)
def test_bad_input(arguments, error, match, home):
    with pytest.raises(error, match=match):
        fetch_published(**{"file": "a", "data_home": home, **arguments})


def test_bad_files(home, jets):
    path = put(home, "a.npz", {"X": jets, "Y": np.ones(3)})
    with pytest.raises(ValueError, match=r"have \{'X': 4, 'Y': 3\} rows; expected"):
        fetch_published("a", data_home=home)
    put(home, "b.npz", {"X": jets[..., :6]})
    with pytest.raises(ValueError, match=r"shape \(4, 51, 6\); expected 4 features"):
        fetch_published("b", data_home=home)
    path.with_name("c.npz").write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match=r"c.npz is no npz file of numbers"):
        fetch_published("c", data_home=home)
    assert not path.with_name("c.npz.sha256").exists()
    np.save(path.with_name("d.npy"), jets)
    path.with_name("d.npy").rename(path.with_name("d.npz"))
    with pytest.raises(ValueError, match=r"d.npz is no npz file"):
        fetch_published("d", data_home=home)


def test_names_of_the_records():
    assert list(published.RECORDS) == ["parton_shower", "top_mass"]
