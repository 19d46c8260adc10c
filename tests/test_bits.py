"""Equal bits of equal fits in other processes, and nearly equal numbers with other threads."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

FIT = """
import json, sys, warnings
import numpy as np
import torch
from skdctr import DCTRReweighter, SRGNFitter

warnings.simplefilter("ignore")
n, n_threads, settings = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
# The environment alone gives no more threads than there are cores.
torch.set_num_threads(n_threads)
rng = np.random.default_rng(0)
mu = np.repeat([0.0, 1.0], n) * rng.uniform(-1.5, 1.5, 2 * n)
gen = np.c_[rng.normal(mu), rng.normal(size=2 * n)]
sim = np.c_[rng.normal(size=n), rng.normal(size=n)]
reco = sim + rng.normal(scale=0.3, size=sim.shape)
data = np.c_[rng.normal(0.5, 1, n), rng.normal(size=n)] + rng.normal(scale=0.3, size=(n, 2))
common = {"random_state": 0, "device": "cpu", **settings}
fitter = SRGNFitter(DCTRReweighter(0.0, **common), objective="optimal_observable", **common)
fitter.fit(sim, reco, data, gen=gen, theta=mu)
log_w = fitter.reweighter_.predict_log_weights(sim[:1000], 1.0)
print(json.dumps({
    "threads": torch.get_num_threads(), "log_w": log_w.tolist(),
    "theta": fitter.theta_.tolist(), "error": fitter.result_.errors.tolist(),
}))
"""


def fit(n_events, n_threads, **settings):
    """Fit in another process with a number of torch's threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(n_threads))
    command = [sys.executable, "-c", FIT, str(n_events), str(n_threads), json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)
    assert found.pop("threads") == n_threads
    return found


def nearly_same(one, other):
    """As `random_state` promises for other numbers of threads."""
    np.testing.assert_allclose(one["log_w"], other["log_w"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(one["theta"], other["theta"], rtol=0, atol=0.02 * other["error"][0])


@pytest.mark.long
def test_processes_give_the_same_bits_and_two_threads_nearly():
    one, again, other = (fit(1000, n_threads, max_epochs=2) for n_threads in (1, 1, 2))
    assert one == again
    nearly_same(one, other)


@pytest.mark.long
def test_other_numbers_of_threads_round_otherwise():
    alone = fit(10_000, 1)
    for n_threads in (2, 4):
        nearly_same(fit(10_000, n_threads), alone)
