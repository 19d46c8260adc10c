"""Files of records: any changed byte is noticed, and nothing is lost or mixed."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from _faults import disk_of, flipped

from skdctr._utils.record_file import RecordFile, claimed

SETTINGS = {"seed": 1, "data": "ndarray of shape (5,), 0123456789abcdef"}
ROWS = {k: {"toy": k, "theta": [k + 0.1234567], "text": "α\n"} for k in range(6)}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "toys.jsonl"
    file = RecordFile(path, "toy", SETTINGS)
    for row in ROWS.values():
        file.append(row)
    return path


def opened(path, settings=SETTINGS, **options):
    """Open a file; give it and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        file = RecordFile(path, "toy", settings, **options)
    return file, [str(one.message) for one in caught]


def test_lines_are_json_with_a_checksum(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] == {"format": "skdctr toys 2", **SETTINGS, "crc": lines[0]["crc"]}
    assert lines[3] == {**ROWS[2], "crc": lines[3]["crc"]}
    file, said = opened(path)
    assert (file.rows, file.settings, said) == (ROWS, SETTINGS, [])


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_every_flipped_byte_is_noticed_and_nothing_is_mixed(path, n):
    whole = path.read_bytes()
    for place in flipped(path, n):
        # Who reads only.
        if place > whole.index(b"\n"):
            file, said = opened(path, None)
            assert said, place
            assert file.rows.items() < ROWS.items()
        else:
            with pytest.raises(ValueError, match=r"line 1 is damaged|not a file of toys"):
                opened(path, None)
        # Who goes on: the first line comes back, what is in the others is made again.
        try:
            file, said = opened(path)
        except ValueError:
            assert place < whole.index(b"\n") + 1
            continue
        assert len(said) == 1
        assert file.rows.items() <= ROWS.items()
        assert len(file.rows) >= 4
        for toy in ROWS.keys() - file.rows.keys():
            file.append(ROWS[toy])
        again, said = opened(path)
        assert (again.rows, said) == (ROWS, [])


def test_a_damaged_first_line_comes_back_with_the_settings_of_its_records(path):
    whole = path.read_bytes()
    end = whole.index(b"\n") + 1
    for place in range(end):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        file, said = opened(path)
        assert len(said) == 1
        assert "line 1 is damaged. Its toys have the settings of this call" in said[0]
        assert file.rows == ROWS
        assert path.read_bytes() == whole
    damaged = whole.replace(b'"seed": 1', b'"seed": 7', 1)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"line 1 is damaged.*Make the call that wrote them again"):
        RecordFile(path, "toy", {**SETTINGS, "seed": 7})
    with pytest.raises(ValueError, match="line 1 is damaged"):
        RecordFile.read(path, "toy")
    assert path.read_bytes() == damaged


def test_lines_of_another_file_are_not_taken(path, tmp_path):
    other = tmp_path / "other.jsonl"
    RecordFile(other, "toy", {**SETTINGS, "seed": 2}).append({"toy": 9})
    with path.open("ab") as file:
        file.write(other.read_bytes())
    file, said = opened(path)
    assert file.rows == ROWS
    assert "damaged in line 8, 9" in said[0]
    assert opened(path)[1] == []


@pytest.mark.parametrize("n", [12, pytest.param(60, marks=pytest.mark.long)])
def test_a_file_that_ends_anywhere_is_one_of_fewer_records(path, n):
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in np.random.default_rng(1).integers(0, len(whole), n):
        path.write_bytes(whole[:length])
        if length >= first:
            assert opened(path, None)[1] == []
        file, said = opened(path)
        assert said == []
        assert file.rows.items() <= ROWS.items()
        assert len(file.rows) >= whole[:length].count(b"\n") - 1
        for toy in ROWS.keys() - file.rows.keys():
            file.append(ROWS[toy])
        assert path.read_bytes() == whole


def test_a_last_line_that_lacks_its_end_only_is_whole(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert opened(path)[0].rows == ROWS
    assert path.read_bytes() == whole


def test_line_ends_of_windows_change_nothing(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    file, said = opened(path)
    assert (file.rows, said) == (ROWS, [])


@pytest.mark.parametrize("n", [12, pytest.param(60, marks=pytest.mark.long)])
def test_a_full_disk_leaves_whole_lines(path, n):
    pytest.importorskip("resource")
    whole = path.read_bytes()
    row = {"toy": 6, "text": "a" * 200}
    for room in np.linspace(0, 200, n).astype(int):
        file, _ = opened(path)
        with disk_of(len(whole) + room), pytest.raises(OSError, match="File too large"):
            file.append(row)
        assert path.read_bytes() == whole
        assert 6 not in file.rows
    file.append(row)
    assert opened(path)[0].rows == {**ROWS, 6: row}


def old_file(path, **settings):
    first = {"format": "skdctr toys 1", "seed": 1, **settings}
    path.write_text("".join(json.dumps(row) + "\n" for row in (first, *ROWS.values())))


def test_format_1_is_read_and_gone_on_with_but_unchecked(tmp_path):
    path = tmp_path / "toys.jsonl"
    old_file(path, data="f(x)")
    file, said = opened(path, None)
    assert file.rows == ROWS
    assert len(said) == 1
    assert "earlier format without checksums: that its toys were made with the same" in said[0]
    file, said = opened(path, earlier={"data": "f(x)"})
    assert len(said) == 1
    file.append({"toy": 6})
    assert json.loads(path.read_text().splitlines()[-1]) == {"toy": 6}
    assert opened(path, earlier={"data": "f(x)"})[0].rows == {**ROWS, 6: {"toy": 6}}
    with (
        pytest.raises(ValueError, match=r"data='f\(x\)', not 'f\(y\)'"),
        pytest.warns(UserWarning, match="unchecked"),
    ):
        RecordFile(path, "toy", SETTINGS, earlier={"data": "f(y)"})
    with pytest.raises(ValueError, match="not a file of members"):
        RecordFile(path, "member", SETTINGS)


def test_fingerprints_of_format_1_are_not_compared(tmp_path):
    path = tmp_path / "toys.jsonl"
    old_file(path, data="ndarray of shape (5,), ffffffffffffffff")
    assert opened(path)[0].rows == ROWS
    with (
        pytest.raises(ValueError, match="seed=1, not 2"),
        pytest.warns(UserWarning, match="unchecked"),
    ):
        RecordFile(path, "toy", {**SETTINGS, "seed": 2})


def test_a_difference_in_contents_is_called_one(path):
    other = {**SETTINGS, "data": SETTINGS["data"].replace("0", "1")}
    with pytest.raises(ValueError, match="digits at the end tell contents apart"):
        RecordFile(path, "toy", other)


def test_settings_give_way_where_all_is_made_again(path):
    other = {**SETTINGS, "seed": 2}
    with pytest.raises(ValueError, match="seed=1, not 2"):
        RecordFile(path, "toy", other, again=lambda row: row["toy"] > 0)
    file = RecordFile(path, "toy", other, again=lambda row: True)
    assert (file.rows, file.settings) == ({}, other)


def test_another_process_keeps_the_file(path):
    pytest.importorskip("fcntl")
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'ab'); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('here', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as other:
        other.stdout.readline()
        with pytest.raises(RuntimeError, match="Another call is adding to"), claimed(path):
            pass
        other.kill()
    # A dead process keeps nothing.
    with claimed(path):
        pass
