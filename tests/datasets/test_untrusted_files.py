"""Files that claim too much, links in place of files, full disks, and who may read a cache."""

import gzip
import io
import os
import sys
import types
import zipfile

import numpy as np
import pandas as pd
import pytest
from _faults import disk_of, flipped

from skdctr.datasets import events_to_npy, fetch_published, read_hepmc, read_lhe
from skdctr.datasets.files import archives, cache


@pytest.fixture
def small_limit(monkeypatch):
    """Let the limits begin at a megabyte, lest tests write gigabytes."""
    monkeypatch.setattr(archives, "_ALWAYS_ALLOWED", 1 << 20)


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "zenodo" / "3518708" / "a.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, X=np.ones((4, 51, 7)), Y=np.zeros(4))
    return path


def fetch(path):
    return fetch_published("a", form="padded", data_home=path.parents[2])


def bomb(path, n_members=1):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(n_members):
            with archive.open(f"x{k}.npy", "w") as stream:
                np.lib.format.write_array(stream, np.zeros((4 << 20) // 8 // n_members))


def lying(path, shape):
    """Write an archive whose array claims another shape than it has."""
    content = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", content.getvalue() + bytes(64))


@pytest.mark.parametrize("n_members", [1, 100])
def test_an_archive_that_unpacks_to_too_much_is_refused_by_size(small_limit, published, n_members):
    bomb(published, n_members)
    assert published.stat().st_size < 40_000
    with pytest.raises(ValueError, match=r"would unpack to 4\d{6}, more than the \d+ that are"):
        fetch(published)
    path = published.with_name("cache.npz")
    bomb(path, n_members)
    with pytest.warns(UserWarning, match="damaged .*would unpack to"):
        assert cache.read_cache(path, "request", ["x0"]) is None


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6, 10**6), (-8,), (7,), (2**61,)])
def test_an_array_that_claims_another_size_is_refused(published, shape):
    lying(published, shape)
    with pytest.raises(ValueError, match=r"not as large as it claims|no npz file"):
        fetch(published)
    lying(published, (8,))
    with zipfile.ZipFile(published) as archive:
        np.testing.assert_array_equal(archives.read_array(archive, "X"), np.zeros(8))


def test_objects_in_an_archive_are_not_unpickled(published):
    np.savez(published, X=np.array([print, 1], dtype=object))
    with pytest.raises(ValueError, match="X is no array of numbers"):
        fetch(published)


def test_archives_that_are_large_but_honest_are_read(small_limit, published):
    rng = np.random.default_rng(1)
    jets = rng.uniform(size=(2000, 51, 7))
    np.savez(published, X=jets)
    assert len(fetch(published).theta) == 2000


@pytest.mark.parametrize(("reader", "package"), [(read_lhe, "pylhe"), (read_hepmc, "pyhepmc")])
def test_compressed_events_that_unpack_to_too_much_are_refused(
    small_limit, tmp_path, reader, package
):
    pytest.importorskip(package)
    path = tmp_path / "events.gz"
    head, line = {
        "pylhe": (b"<LesHouchesEvents version='3.0'>\n<init>\n", b"# comment\n"),
        "pyhepmc": (
            b"HepMC::Version 3.02.05\nHepMC::Asciiv3-START_EVENT_LISTING\n",
            b"E 1 0 0\nU GEV MM\n",
        ),
    }[package]
    path.write_bytes(gzip.compress(head + line * 200_000))
    with pytest.raises(ValueError, match="unpacks to more than 1048576"):
        reader(path, form="table")
    with gzip.open(path) as packed, path.open("rb") as stream:
        content = io.BufferedReader(archives.Unpacked(packed, stream))
        with pytest.raises(ValueError, match="unpacks to more than 1"):
            content.read()


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_every_flipped_byte_of_a_cache_is_noticed(tmp_path, n):
    path = tmp_path / "events.npz"
    arrays = {"x": np.arange(50.0), "y": np.arange(3)}
    cache.write_cache(path, "request", arrays)
    for _ in flipped(path, n):
        with pytest.warns(UserWarning, match="they are generated anew"):
            assert cache.read_cache(path, "request", ["x", "y"]) is None
    found = cache.read_cache(path, "request", ["x", "y"])
    np.testing.assert_array_equal(found["x"], arrays["x"])
    with np.load(path) as content:
        np.testing.assert_array_equal(content["y"], arrays["y"])


def test_caches_of_earlier_versions_are_read(tmp_path):
    path = tmp_path / "events.npz"
    np.savez(path, request=np.array("request"), x=np.arange(3))
    np.testing.assert_array_equal(cache.read_cache(path, "request", ["x"])["x"], np.arange(3))


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_every_flipped_byte_of_a_published_file_and_its_sum_is_noticed(published, n):
    fetch(published)
    for file in (published, published.with_name("a.npz.sha256")):
        for _ in flipped(file, n):
            with pytest.raises(ValueError, match=r"a\.npz has changed: its SHA-256 sum is"):
                fetch(published)
    fetch(published)


# --- links ------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "events.parquet"
    pd.DataFrame({"x": np.arange(5000.0), "y": 1.0}).to_parquet(path)
    return path


@pytest.mark.parametrize("dangling", [False, True])
def test_events_to_npy_does_not_follow_links(table, tmp_path, dangling):
    target, link = tmp_path / "precious", tmp_path / "events.npy"
    if not dangling:
        target.write_text("precious")
    link.symlink_to(target)
    with pytest.raises(OSError, match=r"links are not followed here.*events\.npy"):
        events_to_npy(table, link)
    assert link.is_symlink()
    assert target.exists() != dangling
    assert dangling or target.read_text() == "precious"


@pytest.mark.parametrize("dangling", [False, True])
def test_the_file_of_a_checksum_is_no_link(published, tmp_path, dangling):
    secret, link = tmp_path / "secret", published.with_name("a.npz.sha256")
    if not dangling:
        secret.write_text("swordfish")
    link.symlink_to(secret)
    with pytest.raises(ValueError, match="is a link, which is not followed") as said:
        fetch(published)
    assert "swordfish" not in str(said.value)
    assert secret.exists() != dangling


def test_a_cache_that_is_a_link_is_not_written(tmp_path):
    target, link = tmp_path / "precious", tmp_path / "events.npz"
    target.write_text("precious")
    link.symlink_to(target)
    with pytest.warns(UserWarning, match="could not be cached"):
        cache.write_cache(link, "request", {"x": np.zeros(3)})
    assert target.read_text() == "precious"


# --- full disks -------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [50, 128, 5000, 30_000])
def test_events_to_npy_leaves_nothing_on_a_full_disk(table, tmp_path, room):
    pytest.importorskip("resource")
    target = tmp_path / "events.npy"
    np.save(target, np.ones(3))
    with disk_of(room), pytest.raises(OSError, match="File too large"):
        events_to_npy(table, target, chunk_size=100)
    assert sorted(tmp_path.iterdir()) == [target, table]
    np.testing.assert_array_equal(np.load(target), np.ones(3))
    assert events_to_npy(table, target, chunk_size=100).shape == (5000, 2)


@pytest.mark.parametrize("room", [10, 1000, 20_000])
def test_a_cache_leaves_nothing_on_a_full_disk(tmp_path, room):
    pytest.importorskip("resource")
    with disk_of(room), pytest.warns(UserWarning, match="could not be cached"):
        cache.write_cache(tmp_path / "events.npz", "request", {"x": np.zeros(5000)})
    assert not list(tmp_path.iterdir())


# --- permissions ------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_umask_decides_who_may_read_a_cache(tmp_path, monkeypatch, table, umask):
    class Pooch:
        """It makes files that nobody but their owner may read, as the real one does."""

        registry = {"a.npz": "md5:0"}

        def __init__(self, path):
            self.path = path

        def load_registry_from_doi(self):
            pass

        def fetch(self, name, progressbar):
            np.savez(self.path / name, X=np.ones((4, 51, 7)))
            (self.path / name).chmod(0o600)

    monkeypatch.setitem(
        sys.modules, "pooch", types.SimpleNamespace(create=lambda path, **_: Pooch(path))
    )
    before = os.umask(umask)
    try:
        path = fetch_published("a", form="padded", data_home=tmp_path / "home").path
        cache.write_cache(tmp_path / "home" / "events.npz", "request", {"x": np.zeros(3)})
        events_to_npy(table, tmp_path / "home" / "events.npy")
    finally:
        os.umask(before)
    files = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert {file.name for file in files} == {"a.npz", "a.npz.sha256", "events.npz", "events.npy"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~umask}
    assert not list(path.parent.glob("*.part"))
