"""Ctrl-C at any time ends a fit by KeyboardInterrupt, and leaves the estimator as it was."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from skorch.callbacks import Callback

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.networks import MLP

N = 1000
HOOKS = [
    *("on_train_begin", "on_epoch_begin", "on_batch_begin", "on_grad_computed"),
    *("on_batch_end", "on_epoch_end", "on_train_end"),
]


@pytest.fixture(autouse=True)
def _keyboard():
    """Python's own handler, which a shell takes from what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class PressCtrlC(Callback):
    """Ctrl-C within one hook, in the second epoch where the hook belongs to epochs."""

    def __init__(self, hook):
        self.hook = hook

    def press(self, net, hook):
        if hook == self.hook and ("train" in hook or len(net.history) == 2):
            signal.raise_signal(signal.SIGINT)


for name in HOOKS:
    setattr(PressCtrlC, name, lambda self, net, *_, _hook=name, **__: self.press(net, _hook))


def generator_sample(seed=0):
    rng = np.random.default_rng(seed)
    theta = np.repeat([0.0, 1.0], N) * rng.uniform(-1, 1, 2 * N)
    return rng.normal(theta)[:, None], theta


def fit_samples():
    sim = np.random.default_rng(1).normal(size=(N, 1))
    return sim, sim + 0.1, sim[::2] + 0.3


@pytest.mark.parametrize("module", [None, MLP])
@pytest.mark.parametrize("hook", HOOKS)
def test_in_a_callback_of_a_first_fit_and_of_a_second(hook, module):
    settings = {"module": module, "max_epochs": 3, "random_state": 0, "device": "cpu"}
    X, theta = generator_sample()
    fitted = DCTRReweighter(0.0, **settings).fit(X, theta)
    expected = fitted.predict_log_weights(X, 0.5)
    for estimator in (DCTRReweighter(0.0, **settings), fitted):
        estimator.set_params(callbacks=[PressCtrlC(hook)])
        before = dict(vars(estimator))
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(*generator_sample(seed=3))
        assert vars(estimator) == before
        assert signal.getsignal(signal.SIGINT) is handler
    np.testing.assert_array_equal(fitted.predict_log_weights(X, 0.5), expected)


def test_a_callback_that_ends_the_training_after_an_earlier_ctrl_c_is_no_ctrl_c():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    settings = {"max_epochs": 5, "module": MLP, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        DCTRReweighter(0.0, callbacks=[PressCtrlC("on_epoch_end")], **settings).fit(
            *generator_sample()
        )
    made = DCTRReweighter(0.0, callbacks=[Stop()], **settings).fit(*generator_sample())
    assert len(made.net_.history) == 2


def test_a_handler_of_the_programs_own_is_called_and_stays():
    class AskedError(Exception):
        pass

    def handler(number, frame):
        raise AskedError

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(AskedError):
            DCTRReweighter(0.0, callbacks=[PressCtrlC("on_epoch_end")], max_epochs=3).fit(
                *generator_sample()
            )
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def press_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")
@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
@pytest.mark.parametrize(
    "n_points", [6, pytest.param(30, marks=pytest.mark.long)], ids=["few", "many"]
)
def test_at_random_points_of_a_fit(objective, n_points):
    """Of training, refit, search and verdict; two objectives make twice as many points."""
    X, theta = generator_sample()
    fitter = SRGNFitter(
        DCTRReweighter(0.0, max_epochs=3, random_state=0, device="cpu"),
        objective=objective,
        max_evaluations=5,
        max_epochs=3,
        random_state=0,
        device="cpu",
    )
    durations = []
    for _ in range(2):
        start = time.perf_counter()
        fitter.fit(*fit_samples(), gen=X, theta=theta)
        durations.append(time.perf_counter() - start)
    # The first fit of a process takes longer.
    duration, expected = min(durations), fitter.theta_
    rng, n_interrupted = np.random.default_rng(4), 0
    for wait in duration * (np.arange(n_points) + rng.random(n_points)) / n_points:
        before = dict(vars(fitter))
        finished = False
        press_after(wait)
        try:
            fitter.fit(*fit_samples(), gen=X, theta=theta)
            finished = True
            time.sleep(60)
        except KeyboardInterrupt:
            n_interrupted += not finished
        assert finished or vars(fitter) == before
        np.testing.assert_array_equal(fitter.theta_, expected)
    # Of a fit that is quicker than those before, the last points come too late.
    assert n_interrupted > n_points / 4
