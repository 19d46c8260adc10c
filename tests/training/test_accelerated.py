"""One network trained by the processes of ``accelerate launch``: the same weights as by one."""

import os
import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian
from skdctr.networks import MLP

pytest.importorskip("accelerate")

# 100 does not divide the events, and 2 does not divide the last batch.
OPTIONS = {
    "batch_size": 100,
    "max_epochs": 5,
    "patience": 2,
    "hidden_layer_sizes": (8,),
    "random_state": 1,
}
N_EVENTS = 505
# The refit makes more of rounding, and every process does it alone, on all events.
SHARED = OPTIONS | {"refit": False}

JOB = f"""
import os
import numpy as np
from skdctr import DCTRReweighter
from skdctr.datasets import make_gaussian

toy = make_gaussian({N_EVENTS}, random_state=1)
reweighter = DCTRReweighter(device="accelerate", **{SHARED}).fit(toy.gen, toy.theta)
np.savez(
    f"rank{{os.environ['RANK']}}.npz",
    log_weights=reweighter.predict_log_weights(toy.sim_gen, 1.0),
    losses=reweighter.net_.history[:, ["train_loss", "valid_loss"]],
)
"""


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(N_EVENTS, random_state=1)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"module": MLP, "validation_fraction": 0.0}])
def test_one_process_gives_the_same_bits(toy, options, tmp_path):
    one = DCTRReweighter(**OPTIONS | options).fit(toy.gen, toy.theta)
    shared = DCTRReweighter(device="accelerate", **OPTIONS | options).fit(toy.gen, toy.theta)
    again = pickle.loads(pickle.dumps(shared))
    expected = one.predict_log_weights(toy.sim_gen, 1.0)
    for found in (shared, again):
        np.testing.assert_array_equal(found.predict_log_weights(toy.sim_gen, 1.0), expected)
    assert type(shared.net_.optimizer_) is torch.optim.Adam
    # What is left is a net of one process.
    probabilities = [
        each.net_.predict_proba(each.network_inputs(toy.sim_gen, 1.0)) for each in (one, shared)
    ]
    np.testing.assert_array_equal(*probabilities)
    shared.net_.save_params(f_params=str(tmp_path / "params"))
    one.net_.load_params(f_params=str(tmp_path / "params"))
    np.testing.assert_allclose(
        shared.net_.history[:, "train_loss"], one.net_.history[:, "train_loss"], rtol=1e-6
    )


@pytest.mark.slow  # two processes import torch
def test_two_processes_share_the_batches(tmp_path, toy):
    (tmp_path / "job.py").write_text(JOB)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    subprocess.run(
        [sys.executable, *launch, "job.py"],
        cwd=tmp_path,
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=180,
    )
    one = DCTRReweighter(device="cpu", **SHARED).fit(toy.gen, toy.theta)
    for rank in (0, 1):
        found = np.load(tmp_path / f"rank{rank}.npz")
        # The parts of a batch are summed in another order.
        np.testing.assert_allclose(
            found["log_weights"], one.predict_log_weights(toy.sim_gen, 1.0), atol=1e-4
        )
        losses = one.net_.history[:, ["train_loss", "valid_loss"]]
        np.testing.assert_allclose(found["losses"], losses, rtol=1e-5)


def test_small_networks_of_a_fit_are_not_shared(toy):
    with pytest.raises(ValueError, match="a fit trains many small ones: pass device='auto'"):
        SRGNFitter(device="accelerate").fit(toy.sim_gen, toy.sim_reco, toy.data)


def test_without_accelerate_it_says_what_to_install(toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"pip install \"skdctr\[accelerate\]\""):
        DCTRReweighter(device="accelerate").fit(toy.gen, toy.theta)
