"""What a user's script would do with a Dask cluster; the tests start, kill and repeat it.

python _campaign_job.py cluster           prints the scheduler's address, lives until stdin ends
python _campaign_job.py campaign ADDRESS  trains an ensemble, fits bootstrap replicas, scans θ;
                                          all that is written is in the working directory
"""

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from skorch.callbacks import Callback

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.campaign import fit_ensemble
from skdctr.coverage import run_toys
from skdctr.datasets import make_gaussian

N_MEMBERS = N_REPLICAS = 40


class Diary(Callback):
    """Note who trains what."""

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, **kwargs):
        with Path(self.path).open("a") as diary:
            diary.write(f"{os.getpid()} {net.iterator_train__seed}\n")
        # A member takes so long that a kill comes in between.
        time.sleep(0.1)


def ensemble(**options):
    return DCTRReweighter(
        n_estimators=N_MEMBERS,
        max_epochs=1,
        batch_size=100,
        hidden_layer_sizes=(4,),
        refit=False,
        random_state=1,
        **options,
    )


def generator_sample():
    theta = np.repeat([0.0, 1.0], 100)
    return np.random.default_rng(1).normal(theta)[:, None], theta


def replicas(deadly=None, path=None):
    """Fit bootstrap replicas of a sample; the first one kills its process, once."""
    data = np.random.default_rng(2).normal(0.5, 1.0, size=200)

    def resample(theta, random_state):
        if deadly is not None and not deadly.exists():
            deadly.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.random.default_rng(random_state).choice(data, size=len(data))

    def fit(sample, random_state):
        error = sample.std() / len(sample) ** 0.5
        return SimpleNamespace(theta=[sample.mean()], covariance=[[error**2]], names=["mu"])

    return run_toys(resample, fit, n_toys=N_REPLICAS, theta=data.mean(), random_state=1, path=path)


def scan():
    toy = make_gaussian(500, mu=0.5, random_state=1)
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-1, 1)])
    fitter = SRGNFitter(exact, search="scan", n_points=5, max_epochs=1, random_state=1)
    with warnings.catch_warnings():
        # So few events and epochs determine nothing.
        warnings.simplefilter("ignore")
        return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data).scan_


def campaign(address):
    from distributed import Client
    from joblib import parallel_config

    here = Path.cwd()
    with Client(address), parallel_config("dask"):
        reweighter = ensemble(callbacks=[Diary(str(here / "diary"))])
        x, theta = generator_sample()
        fit_ensemble(reweighter, x, theta, path="members", allow_pickle=True)
        np.save("log_weights.npy", reweighter.predict_log_weights(x, 1.0))
        replicas(here / "deadly", "replicas.jsonl")
        scan().to_pickle("scan.pickle")


def cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        print(made.scheduler_address, flush=True)  # noqa: T201 - for who started it
        sys.stdin.read()


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    {"cluster": cluster, "campaign": campaign}[task](*arguments)
