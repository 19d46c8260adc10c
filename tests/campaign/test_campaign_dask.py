"""A campaign on a Dask cluster of this machine, a scheduler and two workers, killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import _campaign_job as job
import numpy as np
import pandas as pd
import pytest

from skdctr._utils.device import spawn_seeds
from skdctr.campaign import read_manifest
from skdctr.coverage import read_toys

pytest.importorskip("distributed")

pytestmark = pytest.mark.long  # fault injection; test_campaign.py has a cluster left alone

PATIENCE = 180.0


def start(*arguments, **options):
    command = [sys.executable, str(Path(job.__file__)), *arguments]
    return subprocess.Popen(command, **options)


def lines(file):
    """Read the whole lines: the last one may be torn."""
    text = file.read_text() if file.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the campaign does not get on"
        time.sleep(0.02)


def settled(file):
    """Read a file that somebody may still be at, when it has stopped growing."""
    before, now = None, lines(file)
    while now != before:
        time.sleep(1.0)
        before, now = now, lines(file)
    return now


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Kill a worker and the main process in the middle of 40 members, and start it again."""
    path = tmp_path_factory.mktemp("campaign")
    manifest, diary = path / "members" / "manifest.jsonl", path / "diary"
    with start("cluster", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cluster:
        address = cluster.stdout.readline().decode().strip()
        with start("campaign", address, cwd=path) as main:
            wait_for(lambda: len(lines(manifest)) > 8)
            os.kill(int(lines(diary)[-1].split()[0]), signal.SIGKILL)
            wait_for(lambda: len(lines(manifest)) > 20)
            main.kill()
        assert main.returncode == -signal.SIGKILL
        before = lines(manifest)
        begun = settled(diary)
        with start("campaign", address, cwd=path) as main:
            assert main.wait(PATIENCE) == 0
        cluster.stdin.close()
        cluster.wait(PATIENCE)
    return SimpleNamespace(path=path, before=before, begun=begun)


def test_no_member_is_lost_or_trained_twice(campaign):
    seeds = spawn_seeds(1, job.N_MEMBERS)
    assert 20 < len(campaign.before) < 41
    after = lines(campaign.path / "members" / "manifest.jsonl")
    assert after[: len(campaign.before)] == campaign.before
    assert len(after) == 1 + job.N_MEMBERS
    manifest = read_manifest(campaign.path / "members")
    assert manifest.sort_index()["seed"].tolist() == seeds
    kept = {json.loads(line)["seed"] for line in campaign.before[1:]}
    now = lines(campaign.path / "diary")[len(campaign.begun) :]
    trained = [int(line.split()[1]) for line in now]
    assert sorted(trained) == sorted(set(seeds) - kept)


def test_the_numbers_are_those_of_one_fit(campaign):
    x, theta = job.generator_sample()
    expected = job.ensemble().fit(x, theta).predict_log_weights(x, 1.0)
    # Another number of threads may sum in another order.
    np.testing.assert_allclose(np.load(campaign.path / "log_weights.npy"), expected, atol=1e-5)


def test_replicas_survive_a_killed_worker(campaign):
    assert (campaign.path / "deadly").exists()
    found, expected = read_toys(campaign.path / "replicas.jsonl"), job.replicas()
    assert len(lines(campaign.path / "replicas.jsonl")) == 1 + job.N_REPLICAS
    pd.testing.assert_frame_equal(
        found.frame.drop(columns="seconds"), expected.frame.drop(columns="seconds")
    )
    # The spread of bootstrap replicas is the error of the mean.
    row = found.to_frame().loc["mu"]
    assert row["spread"] == pytest.approx(row["quoted"], abs=4 * row["spread_error"])


def test_a_scan_is_that_of_one_process(campaign):
    found = pd.read_pickle(campaign.path / "scan.pickle")
    pd.testing.assert_frame_equal(found, job.scan())
