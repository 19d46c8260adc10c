"""Toys whose campaign is killed, meets another one, or has a full disk or a wrong clock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import _toy_job as job
import numpy as np
import pandas as pd
import pytest
from _faults import disk_of, flipped, run_clock_back

from skdctr.coverage import read_toys


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the job forks")
@pytest.mark.slow  # another process imports torch
@pytest.mark.parametrize("n", [12, pytest.param(60, marks=pytest.mark.long)])
def test_nothing_is_lost_or_mixed_by_kills_and_by_two_at_once(tmp_path, n):
    command = [sys.executable, str(Path(job.__file__)), "toys.jsonl", str(n), str(n // 3)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["lost"] == 0
    assert said["end"] == 0
    assert said["same"]
    assert said["lines"] == 1 + job.TOYS_PER_KILL * n
    # The kills came in between.
    assert 0 < said["kept"][-1] < job.TOYS_PER_KILL * n
    assert len(set(said["kept"])) > n // 2
    assert said["again"] <= n
    assert set(said["codes"]) <= {0, job.REFUSED}
    for first, second in zip(said["codes"][::2], said["codes"][1::2], strict=True):
        assert 0 in (first, second)
    assert said["lines of the race"] == 1 + 5 * (n // 3)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "toys.jsonl"


def same(first, second):
    pd.testing.assert_frame_equal(
        first.frame.drop(columns="seconds"), second.frame.drop(columns="seconds")
    )


@pytest.mark.parametrize("n", [12, pytest.param(60, marks=pytest.mark.long)])
def test_a_campaign_goes_on_when_the_disk_has_room_again(path, n):
    pytest.importorskip("resource")
    expected = job.campaign(path, 10)
    whole = path.read_bytes()
    path.unlink()
    for room in np.linspace(1, 0.8 * len(whole), n).astype(int):
        with disk_of(room), pytest.raises(OSError, match="File too large"):
            job.campaign(path, 10)
        assert path.stat().st_size <= room
        # No part of a line is left.
        assert path.read_bytes()[-1:] in (b"", b"\n")
    same(job.campaign(path, 10), expected)
    assert path.read_bytes().count(b"\n") == 11


@pytest.mark.parametrize("n", [12, pytest.param(1000, marks=pytest.mark.long)])
def test_toys_under_a_flipped_byte_are_made_again(path, n):
    expected = job.campaign(path, 10)
    for _ in flipped(path, n):
        with pytest.warns(UserWarning, match="damaged"):
            same(job.campaign(path, 10), expected)
        same(read_toys(path), expected)


def test_a_clock_that_runs_back_changes_nothing(path, monkeypatch):
    expected = job.campaign(None, 10)
    run_clock_back(monkeypatch)
    job.campaign(path, 4)
    found = job.campaign(path, 10)
    same(found, expected)
    assert (found.frame["seconds"] == 0).all()
