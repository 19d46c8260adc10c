"""Tables of events read a part at a time."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdctr import DCTRReweighter
from skdctr.datasets import events_to_npy, iterate_events, read_events
from skdctr.exceptions import UnitWarning


def write(frame, path):
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        # Groups of rows that are no multiple of a part.
        frame.to_parquet(path, row_group_size=70)
    else:
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            file.mktree("events", dict(frame.dtypes.items()))
            for start in range(0, len(frame), 70):
                part = frame[start : start + 70]
                file["events"].extend({name: part[name].to_numpy() for name in part})
    return path


@pytest.fixture
def table():
    rng = np.random.default_rng(3)
    theta = np.where(np.arange(1000) % 2, rng.uniform(-1, 1, 1000), 0)
    return pd.DataFrame(
        {"x": rng.normal(theta), "theta": theta, "z": np.arange(1000, dtype=np.float32)}
    ).assign(passed=lambda frame: frame["x"] > 0)


@pytest.fixture(params=[".parquet", ".root"])
def file(request, table, tmp_path):
    return write(table, tmp_path / f"events{request.param}")


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 300, 1000, 10_000])
def test_parts_are_the_whole(file, table, chunk_size):
    if chunk_size == 1:
        table = table[:140]
        file = write(table, file.with_name("few" + file.suffix))
    parts = list(iterate_events(file, chunk_size=chunk_size))
    assert max(map(len, parts)) <= chunk_size
    assert len(parts) >= len(table) / chunk_size
    pd.testing.assert_frame_equal(pd.concat(parts), read_events(file))


def test_columns_and_several_files(file, table, tmp_path):
    other = write(table.iloc[:10, ::-1], tmp_path / f"other{file.suffix}")
    parts = list(iterate_events([file, other], {"z": "p", "x": "q"}, chunk_size=400))
    found = pd.concat(parts)
    assert list(found) == ["p", "q"]
    assert_array_equal(found.index, np.arange(1010))
    assert_array_equal(found["q"], np.r_[table["x"], table["x"][:10]])
    # The order is that of the first file.
    every = pd.concat(iterate_events([file, other]))
    assert list(every) == list(table)
    assert_array_equal(every["z"], np.r_[table["z"], table["z"][:10]])


def test_what_is_wrong_is_said_before_the_first_part(file, table, tmp_path):
    other = write(table[["x"]], tmp_path / f"other{file.suffix}")
    with pytest.raises(ValueError, match=r"other.* lacks the columns \['theta'\]"):
        iterate_events([file, other], ["x", "theta"])
    with pytest.raises(ValueError, match=r"other.* lacks the columns"):
        iterate_events([file, other])
    with pytest.raises(FileNotFoundError, match="is no file"):
        iterate_events([file, tmp_path / "third.root"])
    for chunk_size in (0, -1):
        with pytest.raises(ValueError, match="chunk_size must be at least 1"):
            iterate_events(file, chunk_size=chunk_size)
    for chunk_size in (0.5, None):
        with pytest.raises(TypeError, match="chunk_size must be an int"):
            iterate_events(file, chunk_size=chunk_size)
    with pytest.raises(ValueError, match="path is an empty sequence"):
        iterate_events([])


def test_units_are_warned_of_once(tmp_path):
    file = write(pd.DataFrame({"pt": np.full(500, 5e4)}), tmp_path / "mev.parquet")
    with pytest.warns(UnitWarning) as warned:
        assert len(list(iterate_events(file, chunk_size=100))) >= 5
    assert len(warned) == 1


@pytest.mark.parametrize("dtype", ["float32", np.float64])
def test_events_to_npy(file, table, tmp_path, dtype):
    mapped = events_to_npy(
        [file, file], tmp_path / "e.npy", ["theta", "x", "passed"], dtype=dtype, chunk_size=300
    )
    assert isinstance(mapped, np.memmap)
    assert mapped.mode == "r"
    expected = table[["theta", "x", "passed"]].to_numpy(dtype=dtype)
    assert_array_equal(mapped, np.concatenate([expected, expected]))
    assert_array_equal(np.load(tmp_path / "e.npy"), mapped)
    assert not list(tmp_path.glob("*.part"))


def test_events_to_npy_that_fails_leaves_what_was_there(file, tmp_path, monkeypatch):
    target = tmp_path / "e.npy"
    np.save(target, np.ones(3))

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skdctr.datasets.files.streams._warn_of_rounding", stop)
    with pytest.raises(KeyboardInterrupt):
        events_to_npy(file, target)
    assert_array_equal(np.load(target), np.ones(3))
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(ValueError, match=r"output ends in '\.dat'"):
        events_to_npy(file, tmp_path / "e.dat")
    with pytest.raises(ValueError, match="dtype='int32'"):
        events_to_npy(file, target, dtype="int32")


@pytest.mark.slow
def test_from_file_to_weights(file, table, tmp_path):
    """Training on columns of a mapped table, prediction part by part: the same as in memory."""
    mapped = events_to_npy(file, tmp_path / "e.npy", ["x", "theta"], dtype=np.float64)
    settings = {"random_state": 1, "max_epochs": 2, "refit": False}
    streamed = DCTRReweighter(**settings).fit(mapped[:, :1], mapped[:, 1])
    whole = DCTRReweighter(**settings).fit(table[["x"]].to_numpy(), table["theta"].to_numpy())
    weights = np.concatenate(
        [
            streamed.predict_weights(part.to_numpy(), 0.5)
            for part in iterate_events(file, ["x"], chunk_size=300)
        ]
    )
    expected = whole.predict_weights(table[["x"]].to_numpy(), 0.5)
    # Rounding in float32, which a batch of other rows may do otherwise.
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
