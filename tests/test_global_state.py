"""Fits and predictions give the same bits whatever a program has set for itself, and leave it so.

Torch's default dtype and device, inference mode, autocast and disabled gradients, numpy's treatment
of floating-point errors, scikit-learn's configuration; also in threads, several at once.
"""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
import sklearn
import torch

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr._utils.torch_state import default_torch
from skdctr.closure import classifier_test

N = 600
CHEAP = {"max_epochs": 3, "random_state": 0, "device": "cpu"}


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)  # noqa: TID251 - as a user's program does
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)  # noqa: TID251 - as a user's program does


@contextmanager
def default_device():
    torch.set_default_device("meta")  # noqa: TID251 - as a user's program does
    try:
        yield
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)  # noqa: TID251 - as a user's program does


SETTINGS = {
    "default_dtype": default_dtype,
    "default_device": default_device,
    "device block": lambda: torch.device("meta"),
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "numpy errors": lambda: np.errstate(all="raise"),
    "pandas output": lambda: sklearn.config_context(transform_output="pandas"),
    "metadata routing": lambda: sklearn.config_context(enable_metadata_routing=True),
}


def gaussian_tilt(X, theta):
    return X[:, 0] * theta[..., 0] - theta[..., 0] ** 2 / 2


def generator_sample():
    rng = np.random.default_rng(0)
    theta = np.repeat([0.0, 1.0], N) * rng.uniform(-1, 1, 2 * N)
    return np.c_[rng.normal(theta), rng.normal(size=2 * N)], theta


def sets():
    rng = np.random.default_rng(1)
    theta = np.repeat([0.0, 1.0], N) * rng.uniform(-1, 1, 2 * N)
    return rng.normal(theta[:, None, None], size=(2 * N, 4, 2)), theta


def fit_samples():
    rng = np.random.default_rng(2)
    sim = rng.normal(size=(2 * N, 1))
    return sim, sim + rng.normal(scale=0.3, size=sim.shape), rng.normal(0.3, 1.05, (N, 1))


def fit_fitter(fitter, reco):
    sim, seen, data = fit_samples()
    fitter.fit(sim, seen if reco else None, data)
    result = fitter.result_
    return [fitter.theta_, result.covariance, [fitter.score(sim, seen if reco else None, data)]]


def fit_reweighter(sample, theta, **settings):
    made = DCTRReweighter(0.0, **CHEAP | settings).fit(sample, theta)
    return [
        made.predict_log_weights(sample[:50], 0.4),
        made.log_weight_gradient(sample[:50], 0.4),
        [made.score(sample, theta), made.expected_auc(sample[:N], 0.4)],
    ]


def exact():
    return AnalyticReweighter(gaussian_tilt, theta_bounds={"theta": (-1, 1)})


FITS = {
    "table": lambda: fit_reweighter(*generator_sample()),
    "ensemble": lambda: fit_reweighter(*generator_sample(), n_estimators=2, n_folds=2, refit=False),
    "sets": lambda: fit_reweighter(*sets(), module__phi_sizes=(8,), hidden_layer_sizes=(8,)),
    "auc": lambda: fit_fitter(SRGNFitter(exact(), max_evaluations=6, **CHEAP), reco=True),
    "optimal_observable": lambda: fit_fitter(
        SRGNFitter(exact(), objective="optimal_observable", **CHEAP), reco=True
    ),
    "lbfgs": lambda: fit_fitter(DCTRFitter(exact()), reco=False),
    "adam": lambda: fit_fitter(DCTRFitter(exact(), solver="adam", max_iter=20), reco=False),
    "classifier_test": lambda: [[told_apart(generator_sample()[0])]],
}
# Every setting meets the fit of each kind of code; these alone go with all of them.
THROUGHOUT = ("table", "optimal_observable")
PAIRS = [
    (name, setting)
    for name in FITS
    for setting in SETTINGS
    if name in THROUGHOUT or setting in ("default_dtype", "inference_mode")
]


def told_apart(sample):
    return classifier_test(sample[:N], sample[N:], random_state=0, device="cpu").auc


@pytest.fixture(scope="module")
def plain():
    """Results in a program that has set nothing, each made once."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = FITS[name]()
        return made[name]

    return find


def same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")
@pytest.mark.parametrize(("name", "setting"), PAIRS)
def test_what_a_program_has_set_changes_no_bit_and_stays(name, setting, plain):
    expected = plain(name)
    with SETTINGS[setting]():
        found = FITS[name]()
    same_bits(found, expected)


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")
@pytest.mark.parametrize("name", ["table", "sets", "auc"])
def test_fits_in_threads_give_the_bits_of_one_alone_and_leave_the_generator(name, plain):
    expected, found = plain(name), []
    generator = torch.get_rng_state()
    threads = [threading.Thread(target=lambda: found.append(FITS[name]())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for each in found:
        same_bits(each, expected)
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")
def test_a_function_of_the_users_sees_the_users_settings():
    seen = set()

    def log_weight(X, theta):
        seen.add((torch.get_default_dtype(), torch.is_inference_mode_enabled()))
        return gaussian_tilt(X, theta)

    with default_dtype(), torch.inference_mode():
        fitter = DCTRFitter(AnalyticReweighter(log_weight, theta_bounds={"theta": (-1, 1)}))
        fit_fitter(fitter, reco=False)
    assert seen == {(torch.float64, True)}


def test_a_fit_that_fails_gives_the_settings_back():
    sample, theta = generator_sample()
    with default_dtype(), torch.inference_mode():
        with pytest.raises(ValueError, match="diverged"):
            DCTRReweighter(0.0, lr=1e30, **CHEAP).fit(sample, theta)
        assert torch.is_inference_mode_enabled()


def test_blocks_in_several_threads_end_in_any_order():
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with default_torch():
            entered.set()
            leave.wait()

    with default_dtype():
        with default_torch():
            thread = threading.Thread(target=hold)
            thread.start()
            entered.wait()
        assert torch.get_default_dtype() == torch.float32
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64
