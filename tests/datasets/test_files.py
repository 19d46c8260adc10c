"""Tables in files as the world has them: many, far away, empty, odd, and of many branches."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdctr.datasets import events_to_npy, iterate_events, read_events
from skdctr.datasets.files import readers
from skdctr.exceptions import UnitWarning

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "n": np.array([1, 2, 3], dtype=np.int32)})
MORE = FRAME + np.array([10, 10])


@pytest.fixture(scope="session")
def uproot():
    return pytest.importorskip("uproot")


@pytest.fixture(scope="session")
def ak():
    return pytest.importorskip("awkward")


@pytest.fixture(scope="session")
def memory():
    """A file system in memory, with what was written to it."""
    pytest.importorskip("pyarrow")
    return pytest.importorskip("fsspec").filesystem("memory")


def write_root(path, trees):
    """Write trees; one of the same name as before is a further cycle."""
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(path) as file:
        for name, table in trees:
            file.mktree(name, dict(table.dtypes.items()))
            if len(table):
                file[name].extend({column: table[column].to_numpy() for column in table})
    return path


def write(path, table=FRAME, tree="events"):
    if path.suffix == ".root":
        return write_root(path, [(tree, table)])
    pytest.importorskip("pyarrow")
    table.to_parquet(path)
    return path


def copy(memory, path, address):
    memory.pipe_file(address, path.read_bytes())
    return f"memory:/{address}"


# Which files


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_patterns(suffix, tmp_path):
    for k in (10, 2, 1):
        write(tmp_path / f"part.{k}{suffix}", FRAME.assign(x=float(k)))
    write(tmp_path / f"other{suffix}")
    (tmp_path / "part.notes").touch()
    found = read_events(tmp_path / f"part.*{suffix}", ["x"])
    # Numbers are sorted as such.
    assert_array_equal(found["x"], np.repeat([1.0, 2.0, 10.0], 3))
    assert_array_equal(found.index, np.arange(9))
    parts = list(iterate_events(f"{tmp_path}/part.?{suffix}", ["x"], chunk_size=2))
    assert [len(part) for part in parts] == [2, 1, 2, 1]
    assert len(read_events(f"{tmp_path}/**/*{suffix}")) == 12
    assert len(events_to_npy(tmp_path / f"part.[12]{suffix}", tmp_path / "a.npy")) == 6
    with pytest.raises(FileNotFoundError, match=r"matches no file: .*prt\.\*"):
        read_events(tmp_path / f"prt.*{suffix}")


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path):
    for name in ("a[1].parquet", "b*.parquet", "ttγ→μν 2.parquet"):
        file = write(tmp_path / name)
        pd.testing.assert_frame_equal(read_events(file), FRAME)
        pd.testing.assert_frame_equal(read_events(file.as_uri()), FRAME)
    pd.testing.assert_frame_equal(read_events(write(tmp_path / "ttγ→μν 2.root")), FRAME)


@pytest.mark.parametrize("name", ["a.parq", "a.pq", "a.PARQUET", "part-00000", "a.parquet.1"])
def test_other_names_of_parquet(name, tmp_path):
    FRAME.to_parquet(tmp_path / name)
    pd.testing.assert_frame_equal(read_events(tmp_path / name), FRAME)


def test_names_of_the_grid(tmp_path):
    file = write(tmp_path / "a.root").rename(tmp_path / "DAOD.1._000001.pool.root.1")
    pd.testing.assert_frame_equal(read_events(file), FRAME)
    pd.testing.assert_frame_equal(read_events(f"{file}:events"), FRAME)
    pd.testing.assert_frame_equal(read_events(file.rename(tmp_path / "bare")), FRAME)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("a.lhe.gz", "read_lhe"), ("a.hepmc", "read_hepmc"), ("a.npy", "mmap_mode"), ("a", "pandas")],
)
def test_what_is_no_table(name, hint, tmp_path):
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=rf"expected one of .*\.parq.*{hint}"):
        read_events(tmp_path / name)


def test_trees_behind_names(tmp_path):
    file = write_root(
        tmp_path / "a.root",
        [("events", FRAME), ("events", MORE), ("dir/events", MORE[:1]), ("b", FRAME[:2])],
    )
    assert_array_equal(read_events(f"{file}:events")["x"], MORE["x"])
    assert_array_equal(read_events(f"{file}:events;1")["x"], FRAME["x"])
    assert_array_equal(read_events(file, tree="events;2")["x"], MORE["x"])
    assert_array_equal(read_events(Path(f"{file}:dir/events"))["x"], MORE["x"][:1])
    assert_array_equal(read_events(f"{file}:/dir/events")["x"], MORE["x"][:1])
    assert_array_equal(read_events(f"{tmp_path}/*.root:b")["x"], FRAME["x"][:2])
    assert_array_equal(read_events({file: "b"})["x"], FRAME["x"][:2])
    both = pd.concat(iterate_events([f"{file}:b", f"{file}:dir/events"]))
    assert_array_equal(both["x"], [1.0, 2.0, 11.0])
    assert_array_equal(read_events(f"{file}:b", tree="b")["x"], FRAME["x"][:2])
    with pytest.raises(ValueError, match=r"name the trees \['b', 'events'\]"):
        read_events(f"{file}:b", tree="events")
    with pytest.raises(ValueError, match=r"no tree 'events;3'; did you mean 'events;[12]'"):
        read_events(f"{file}:events;3")
    with pytest.raises(ValueError, match=r"3 trees, \['events', 'dir/events', 'b'\]"):
        read_events(file)


def test_a_file_with_a_colon(tmp_path):
    file = write(tmp_path / "a.root:b.root")
    pd.testing.assert_frame_equal(read_events(file), FRAME)


def test_directories(tmp_path):
    write(tmp_path / "part-10.parquet", MORE)
    write(tmp_path / "part-9.parquet", FRAME)
    for name in ("_SUCCESS", "_metadata", ".part-9.parquet.crc", "README"):
        (tmp_path / name).write_text("no table")
    (tmp_path / "_temporary").mkdir()
    write(tmp_path / "_temporary" / "part-1.parquet")
    expected = pd.concat([FRAME, MORE], ignore_index=True)
    pd.testing.assert_frame_equal(read_events(tmp_path), expected)
    pd.testing.assert_frame_equal(read_events(f"{tmp_path}/"), expected)
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "a.root")
    with pytest.raises(ValueError, match="directory with both parquet and ROOT"):
        read_events(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no parquet and no ROOT file: .* has \[\]"):
        read_events(tmp_path / "empty")


def test_directories_named_after_values(tmp_path):
    for mt, table in (("172.5", FRAME), ("175", MORE), ("__HIVE_DEFAULT_PARTITION__", FRAME)):
        (tmp_path / f"mt={mt}" / "tune=A14" / "run=2018_01").mkdir(parents=True)
        write(tmp_path / f"mt={mt}" / "tune=A14" / "run=2018_01" / "a.parquet", table)
    found = read_events(tmp_path, ["x", "mt"])
    assert_array_equal(found["mt"], np.repeat([172.5, 175.0, np.nan], 3))
    assert_array_equal(found["x"], [1, 2, 3, 11, 12, 13, 1, 2, 3])
    parts = list(iterate_events(tmp_path, ["mt"], chunk_size=2))
    assert [len(part) for part in parts] == [2, 1] * 3
    assert {str(part["mt"].dtype) for part in parts} == {"float64"}
    with pytest.raises(
        ValueError, match=r"'tune': 'A14', 'run': '2018_01'.*columns=\['x', 'n', 'mt'\]"
    ):
        read_events(tmp_path)


def test_links(tmp_path):
    if os.name == "nt":
        pytest.skip("links need a privilege there")
    (tmp_path / "store").mkdir()
    (tmp_path / "links").mkdir()
    write(tmp_path / "store" / "a.parquet")
    (tmp_path / "links" / "a.parquet").symlink_to(tmp_path / "store" / "a.parquet")
    (tmp_path / "links" / "more").symlink_to(tmp_path / "store")
    (tmp_path / "links" / "round").symlink_to(tmp_path / "links")
    assert len(read_events(tmp_path / "links")) == 6
    (tmp_path / "links" / "gone.parquet").symlink_to(tmp_path / "nothing")
    for path in ("links/gone.parquet", "links/*.parquet", "links"):
        with pytest.raises(FileNotFoundError, match=r"gone.parquet; it is a link to .*nothing, wh"):
            read_events(tmp_path / path)


def test_files_that_would_count_twice(tmp_path):
    file = write(tmp_path / "a.parquet")
    for paths in ([file, tmp_path / "*.parquet"], [tmp_path, file], [tmp_path, f"{tmp_path}/*"]):
        with pytest.raises(ValueError, match=r"names .*a\.parquet twice, once by a pattern or"):
            read_events(paths)
    # Who names one twice means it.
    assert len(read_events([file, file])) == 6


def test_what_is_no_path(tmp_path):
    for path in (None, 3, FRAME, [3.0], [None]):
        with pytest.raises(TypeError, match=r"path is or holds a \w+; expected the name"):
            iterate_events(path)
    file = write(tmp_path / "a.parquet")
    other = write(tmp_path / "b.parquet", MORE)
    assert_array_equal(read_events({other, file})["x"], [1, 2, 3, 11, 12, 13])
    assert len(read_events(each for each in (file, other))) == 6
    with pytest.raises(FileNotFoundError, match="taken a slash out of it; give it as str"):
        read_events(Path("root://host//store/a.root"))


# Files far away


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_files_in_memory(suffix, memory, tmp_path):
    local = write(tmp_path / f"a{suffix}")
    address = copy(memory, local, f"/{suffix[1:]}s/part.10{suffix}")
    copy(memory, write(tmp_path / f"b{suffix}", MORE), f"/{suffix[1:]}s/part.2{suffix}")
    pd.testing.assert_frame_equal(read_events(address), FRAME)
    parts = pd.concat(iterate_events(address, ["n", "x"], chunk_size=2))
    pd.testing.assert_frame_equal(parts, FRAME[["n", "x"]])
    for several in (f"memory://{suffix[1:]}s/*{suffix}", f"memory://{suffix[1:]}s"):
        found = read_events(several)
        assert_array_equal(found["x"], [11, 12, 13, 1, 2, 3])
    mapped = events_to_npy([local, address], tmp_path / "a.npy", ["x"])
    assert_array_equal(mapped[:, 0], [1, 2, 3, 1, 2, 3])
    with pytest.raises(FileNotFoundError, match=r"path is no file: memory://.*gone"):
        read_events(f"memory://gone/a{suffix}")
    with pytest.raises(FileNotFoundError, match="matches no file: memory://"):
        read_events(f"memory://gone/*{suffix}")
    # A branch that is not there is found without reading.
    with pytest.raises(ValueError, match=r"memory://.* lacks the columns \['y'\]"):
        read_events(address, ["y"])


def test_trees_in_memory(memory, tmp_path):
    file = write_root(tmp_path / "a.root", [("one", FRAME), ("two", MORE)])
    address = copy(memory, file, "/trees/a.root")
    assert_array_equal(read_events(f"{address}:two")["x"], MORE["x"])
    assert_array_equal(read_events("memory://trees/*.root:two")["x"], MORE["x"])
    assert_array_equal(read_events(address, tree="one")["x"], FRAME["x"])


def test_directories_in_memory(memory, tmp_path):
    for mt in ("172.5", "175"):
        copy(memory, write(tmp_path / "a.parquet"), f"/far/mt={mt}/a.parquet")
    memory.pipe_file("/far/_SUCCESS", b"")
    assert_array_equal(read_events("memory://far/", ["mt"])["mt"], np.repeat([172.5, 175.0], 3))


def test_chained_addresses(memory, tmp_path):
    import zipfile

    names = ("a.parquet", "b.parquet", "a.root")
    for name in names:
        write(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / name, name)
    archive = f"file://{tmp_path}/all.zip"
    pd.testing.assert_frame_equal(read_events(f"zip://a.parquet::{archive}"), FRAME)
    assert len(read_events(f"zip://*.parquet::{archive}")) == 6
    assert len(read_events(f"zip://*.root::{archive}", tree="events")) == 3


@pytest.mark.parametrize(
    ("address", "error", "match"),
    [
        ("nosuch://a/*.parquet", ValueError, "nosuch://.*fsspec refuses.*Protocol not known"),
        ("memory://a/b.csv", ValueError, "path ends in none of"),
        ("memory://a/b", ValueError, "path ends in none of"),
    ],
)
def test_addresses_that_are_refused(address, error, match, memory):
    with pytest.raises(error, match=match):
        read_events(address)


def test_the_tree_of_an_address_is_no_port(monkeypatch, uproot):
    seen = []

    def stop(path, **_):
        seen.append(path)
        raise SystemExit

    monkeypatch.setattr(uproot, "open", stop)
    for address in ("root://a.root:1094//store/a.root", "root://h//store/a.root:dir/t"):
        with pytest.raises(SystemExit):
            read_events(address)
    assert seen == [{"root://a.root:1094//store/a.root": None}, {"root://h//store/a.root": None}]


def test_a_missing_package_for_addresses(uproot, monkeypatch):
    def fail(*_, **__):
        raise ImportError("Install fsspec-xrootd to access xrootd storage system")

    monkeypatch.setattr(uproot, "open", fail)
    with pytest.raises(ImportError, match=r"root://h//a.root needs a package .*fsspec-xrootd"):
        read_events("root://h//a.root")


# Files without events, and files that differ


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_files_without_events_add_none(suffix, place, tmp_path):
    files = [write(tmp_path / f"a{suffix}"), write(tmp_path / f"b{suffix}", MORE)]
    files.insert(place, write(tmp_path / f"empty{suffix}", FRAME[:0][["n"]]))
    found = read_events(files)
    pd.testing.assert_frame_equal(found, pd.concat([FRAME, MORE], ignore_index=True))
    assert_array_equal(
        np.concatenate(list(iterate_events(files, ["x"], chunk_size=2)))[:, 0], found["x"]
    )
    assert events_to_npy(files, tmp_path / "a.npy").shape == (6, 2)
    with pytest.raises(ValueError, match=r"empty.* holds no events; check how"):
        read_events(files[place])
    with pytest.raises(ValueError, match=r"empty.* and the 1 other files hold no events"):
        read_events([files[place]] * 2, ["x"])


def test_a_file_of_zero_bytes_is_named(tmp_path):
    file = write(tmp_path / "a.root")
    (tmp_path / "b.root").touch()
    with pytest.raises(ValueError, match=r"b\.root cannot be read as ROOT"):
        iterate_events([file, tmp_path / "b.root"])


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_one_type_for_a_column_of_several_files(suffix, tmp_path):
    first = write(tmp_path / f"a{suffix}", FRAME)
    second = write(tmp_path / f"b{suffix}", MORE.astype({"x": "float32", "n": "float64"}) / 4)
    parts = list(iterate_events([first, second]))
    assert [dict(part.dtypes.astype(str)) for part in parts] == [
        {"x": "float64", "n": "float64"}
    ] * 2
    assert_array_equal(pd.concat(parts)["n"], [1, 2, 3, 2.75, 3, 3.25])
    assert_array_equal(pd.concat(parts)["x"], [1, 2, 3, 2.75, 3, 3.25])


def test_columns_that_only_one_file_has(tmp_path):
    first = write(tmp_path / "a.parquet")
    second = write(tmp_path / "b.parquet", MORE.assign(w=1.0))
    with pytest.warns(UserWarning, match=r"b\.parquet has the columns \['w'\], which .*a\.parquet"):
        found = read_events([first, second])
    assert list(found) == ["x", "n"]
    assert list(read_events([first, second], ["n"])) == ["n"]
    with pytest.raises(ValueError, match=r"a\.parquet lacks the columns \['w'\]"):
        read_events([second, first])
    third = write(tmp_path / "c.parquet", FRAME.assign(x=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"c\.parquet: columns with something else.*'x'"):
        iterate_events([first, third])


def test_units_of_each_file_and_once(tmp_path):
    gev = write(tmp_path / "gev.parquet", pd.DataFrame({"jet.pt": [50.0, 60.0]}))
    mev = [write(tmp_path / f"mev{k}.parquet", pd.DataFrame({"jet.pt": [5e4] * 4})) for k in (1, 2)]
    with pytest.warns(UnitWarning, match=r"'jet\.pt' of mev1\.parquet") as warned:
        list(iterate_events([gev, *mev], chunk_size=2))
    assert len(warned) == 1


def test_a_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    files = [write(tmp_path / f"{k}.parquet") for k in (1, 2)]
    monkeypatch.setattr(readers, "_OPEN_FILES", 1)
    parts = iterate_events(files)
    next(parts)
    write(files[1], FRAME[:2])
    with pytest.raises(ValueError, match=r"2\.parquet had 3 events a moment ago and has 2 now"):
        next(parts)


# Which columns


@pytest.mark.parametrize("index", [None, "event", ["run", "event"]])
def test_an_index_is_no_feature(index, tmp_path):
    # Rows that a cut or a shuffle has left have numbers that pandas writes.
    table = FRAME.assign(run=1, event=[7, 8, 10]).set_axis([5, 1, 2])
    table = table if index is None else table.set_index(index)
    file = write(tmp_path / "a.parquet", table)
    found = read_events(file)
    assert list(found) == list(table)
    hidden = "__index_level_0__" if index is None else "event"
    assert_array_equal(
        read_events(file, [hidden])[hidden], [5, 1, 2] if index is None else [7, 8, 10]
    )


def test_an_index_that_another_tool_wrote_on(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"x": [1.0], "__index_level_0__": [5], "__null_dask_index__": [5]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert list(read_events(tmp_path / "a.parquet")) == ["x"]


def test_numbers_of_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import decimal

    import pyarrow.parquet as pq

    columns = {
        "flags": pa.array([255, 0, 128], pa.uint8()),
        "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")]),
        "coded": pa.array([5.0, 6.0, 5.0]).dictionary_encode(),
        "none": pa.nulls(3),
        "half": pa.array(np.array([0.5, 1, 2], dtype=np.float16)),
        "a.b": pa.array([1, None, 3]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    for found in (
        read_events(tmp_path / "a.parquet"),
        pd.concat(iterate_events(tmp_path / "a.parquet", chunk_size=2)),
    ):
        assert found["flags"].tolist() == [255, 0, 128]
        assert_array_equal(found["decimal"], [1.25, np.nan, -3.5])
        assert_array_equal(found["coded"], [5, 6, 5])
        assert found["none"].isna().all()
        assert_array_equal(found["half"], [0.5, 1, 2])
        assert_array_equal(found["a.b"], [1, np.nan, 3])
        assert all(dtype.kind in "biuf" for dtype in found.dtypes)


def test_two_columns_of_one_name(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.Table.from_arrays(
        [pa.array([1.0]), pa.array([2.0]), pa.array([3.0])], ["x", "x", "y"]
    )
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"'x': 2 columns of this name.*columns=\['y'\]"):
        read_events(tmp_path / "a.parquet")
    assert read_events(tmp_path / "a.parquet", ["y"])["y"].tolist() == [3.0]


def test_columns_asked_for(tmp_path):
    file = write(tmp_path / "a.parquet")
    for columns in (["x", "x"], {"x": "a", "n": "a"}, []):
        with pytest.raises(
            ValueError, match="columns must name at least one column and none twice"
        ):
            read_events(file, columns)
    with pytest.raises(TypeError, match="columns is a set"):
        read_events(file, {"x", "n"})
    with pytest.raises(TypeError, match="columns names 0, which is no str"):
        read_events(file, [0])
    assert list(read_events(file, pd.Index(["n", "x"]))) == ["n", "x"]


@pytest.fixture
def delphes(uproot, ak, tmp_path):
    jets = ak.zip({"PT": ak.Array([[50.0, 20.0], [], [30.0]])})
    with uproot.recreate(tmp_path / "delphes.root") as file:
        file.mktree(
            "Delphes",
            {
                "Jet": 'var * {"PT": float64}',
                "MET": "float32",
                "flags": "uint8",
                "cov": np.dtype(("f8", (3,))),
                "tag": "string",
            },
            counter_name=lambda name: f"{name}_size",
            field_name=lambda outer, inner: f"{outer}.{inner}",
        )
        file["Delphes"].extend(
            {
                "Jet": jets,
                "MET": np.array([1, 2, 3], dtype=np.float32),
                "flags": np.array([255, 0, 128], dtype=np.uint8),
                "cov": np.ones((3, 3)),
                "tag": ak.Array(["a", "b", "c"]),
            }
        )
    return tmp_path / "delphes.root"


def test_counters_are_no_features(delphes):
    match = r"'Jet\.PT': double\[\], 'cov': double\[3\], 'tag': char\*.*columns=\['MET', 'flags'\]"
    with pytest.raises(ValueError, match=match):
        read_events(delphes)
    # They are by their names.
    found = read_events(delphes, ["Jet_size", "flags", "MET"])
    assert_array_equal(found, [[2, 255, 1], [0, 0, 2], [1, 128, 3]])
    assert str(found["flags"].dtype) == "uint8"
    for name in ("Jet.PT", "cov", "tag"):
        with pytest.raises(ValueError, match=rf"{name}.*with awkward"):
            read_events(delphes, ["MET", name])


@pytest.mark.parametrize("address", [False, True])
def test_unreadable_branches(address, uproot, memory, tmp_path, monkeypatch):
    file = write(tmp_path / "a.root", FRAME.assign(y=[4.0, 5.0, 6.0]))
    path = copy(memory, file, "/odd/a.root") if address else file
    unknown = uproot.interpretation.identify.UnknownInterpretation("no streamer", "a", "y")
    branch = uproot.behaviors.TBranch.TBranch
    known = branch.interpretation.fget
    odd = property(lambda self: unknown if self.name == "y" else known(self))
    monkeypatch.setattr(branch, "interpretation", odd)
    with pytest.warns(UserWarning, match=r"a\.root: .*cannot read the branches \['y'\].*no stream"):
        found = read_events(path)
    pd.testing.assert_frame_equal(found, FRAME)
    with pytest.warns(UserWarning, match="left out") as warned:
        list(iterate_events([path, path], chunk_size=1))
    assert len(warned) == 1
    pd.testing.assert_frame_equal(read_events(path, ["x", "n"]), FRAME)
    with pytest.raises(ValueError, match=r"'y': unreadable: no streamer.*columns=\['x'\]"):
        read_events(path, ["x", "y"])


@pytest.mark.parametrize("address", [False, True])
def test_a_damaged_branch_is_named(address, uproot, memory, tmp_path):
    file = write(tmp_path / "a.root", pd.DataFrame({"x": np.arange(9.0), "y": np.full(9, 7.25)}))
    with uproot.open(file) as opened:
        basket = opened["events"]["y"].member("fBasketSeek")[0]
    damaged = bytearray(file.read_bytes())
    damaged[basket : basket + 60] = b"\xff" * 60
    file.write_bytes(damaged)
    path = copy(memory, file, "/damaged/a.root") if address else file
    with pytest.raises(ValueError, match=r"a\.root cannot be read as ROOT: branch 'y'"):
        read_events(path)
    assert_array_equal(read_events(path, ["x"])["x"], np.arange(9.0))


def test_branches_within_branches(uproot, monkeypatch, tmp_path):
    """Sub-branches by their path, or by their last name where one has it."""
    from skdctr.datasets.files import tables

    file = write(tmp_path / "a.root", FRAME.assign(y=0.5))
    nested = {"x": 1, "n": 1, "y": 2, "a/y": 1, "b/y": 1}
    monkeypatch.setattr(tables._RootTable, "_nested", property(lambda self: nested))
    with pytest.raises(ValueError, match=r"'y': one of \['a/y', 'b/y'\]: give the whole path"):
        read_events(file, ["y"])
    assert list(read_events(file, ["x"])) == ["x"]


def test_the_numbers_of_an_ntuple(uproot, ak, tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        columns = {
            "flags": np.array([255, 0], dtype=np.uint8),
            "passed": np.array([True, False]),
            "jets": ak.Array([[1.0], [2.0, 3.0]]),
            "tag": ak.Array(["a", "b"]),
        }
        file.mkrntuple("events", columns)
    found = read_events(tmp_path / "a.root", ["passed", "flags"])
    assert found.to_dict("list") == {"passed": [True, False], "flags": [255, 0]}
    with pytest.raises(ValueError, match=r"'jets': std::vector.*'tag': std::string.*columns=\['fl"):
        read_events(tmp_path / "a.root")


# How often and how precisely


@pytest.mark.parametrize("function", ["read", "iterate", "npy"])
@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_each_file_is_opened_once(function, suffix, uproot, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    files = [write(tmp_path / f"{k}{suffix}") for k in range(3)]
    opened = []
    root, parquet = uproot.open, pq.ParquetFile
    monkeypatch.setattr(uproot, "open", lambda p, **k: opened.append(p) or root(p, **k))
    monkeypatch.setattr(pq, "ParquetFile", lambda p, **k: opened.append(p) or parquet(p, **k))
    if function == "read":
        read_events(files)
    elif function == "iterate":
        assert len(list(iterate_events(files, chunk_size=2))) == 6
    else:
        events_to_npy(files, tmp_path / "a.npy")
    assert len(opened) == 3


def test_many_files_do_not_stay_open(tmp_path, monkeypatch):
    files = [write(tmp_path / f"{k}.parquet", FRAME + k) for k in range(5)]
    monkeypatch.setattr(readers, "_OPEN_FILES", 2)
    tables = readers.survey(files, None, None)
    assert [table is not None for _, table, _ in tables.files] == [True, True, False, False, False]
    assert_array_equal(
        pd.concat(tables.parts(2))["x"], np.concatenate([FRAME["x"] + k for k in range(5)])
    )


def test_numbers_that_float32_does_not_hold(tmp_path):
    table = pd.DataFrame(
        {"event": [1, 2**24 + 1], "big": [1.0, 1e39], "x": [0.1, 0.2], "passed": [True, False]}
    )
    file = write(tmp_path / "a.parquet", table)
    with pytest.warns(UserWarning, match="which float32 does not: pass dtype") as warned:
        events_to_npy([file, file], tmp_path / "a.npy")
    texts = [str(each.message) for each in warned]
    assert len(texts) == 2
    assert "'event' holds integers above 16777216" in texts[0]
    assert "'big' holds numbers above 3.4e38" in texts[1]
    assert_array_equal(events_to_npy(file, tmp_path / "b.npy", dtype="float64"), table)
