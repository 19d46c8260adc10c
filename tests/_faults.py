"""Faults that tests inject: a full disk, flipped bytes, a clock that runs back."""

import datetime as dt
import os
import signal
import time
from contextlib import contextmanager

import numpy as np


@contextmanager
def disk_of(n_bytes):
    """Let no file grow beyond a size, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The signal would end the process where Python was told not to ignore it.
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def flipped(path, n, seed=1):
    """Write a file n times with one byte changed at random, then as it was; give the places."""
    whole = path.read_bytes()
    rng = np.random.default_rng(seed)
    # Each byte of a small file once, rather than some of them often.
    places = rng.permutation(len(whole))[:n]
    try:
        for place in places:
            content = bytearray(whole)
            content[place] ^= rng.integers(1, 256)
            path.write_bytes(content)
            os.utime(path)
            yield int(place)
    finally:
        path.write_bytes(whole)


def run_clock_back(monkeypatch):
    """Let all clocks go back by an hour at every look."""
    now = [time.time()]

    def earlier(*_):
        now[0] -= 3600
        return now[0]

    class Earlier(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(earlier(), tz)

    for name in ("time", "perf_counter", "monotonic"):
        monkeypatch.setattr(time, name, earlier)
    monkeypatch.setattr("skdctr.campaign.ensemble.datetime", Earlier)
