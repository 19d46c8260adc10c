"""skorch's contract: each of its callbacks, the history that they read, the net that is kept."""

import pickle
import re
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import _set_toy
import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.base import clone
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from skorch import NeuralNet
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.campaign import fit_ensemble
from skdctr.datasets import make_gaussian
from skdctr.networks import MLP, SeparableNetwork
from skdctr.reweighting import training
from skdctr.training import train
from skdctr.training.event_net import ClassifierNet

# Half of 1200 events judge: enough of them that by default two networks are trained and compared.
QUICK = {
    "random_state": 1,
    "max_epochs": 3,
    "batch_size": 200,
    "validation_fraction": 0.5,
    "hidden_layer_sizes": 8,
    "refit": False,
}
KINDS = {"default": {}, "MLP": {"module": MLP}, "sets": {}}
# Networks that each kind trains: two for a choice, or one for each part of a cross-fit.
N_TRAINED = {"default": 2, "MLP": 1, "sets": 2}


class Witness(Callback):
    """The nets that a fit has trained, and their validation events."""

    def __init__(self):
        self.nets_, self.valid_ = [], []

    def on_train_begin(self, net, **kwargs):
        self.nets_.append(net)

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        if len(self.valid_) < len(self.nets_):
            self.valid_.append(dataset_valid)


@pytest.fixture(scope="module")
def samples():
    toy = make_gaussian(600, random_state=1)
    return {
        "default": (toy.gen, toy.theta),
        "MLP": (toy.gen, toy.theta),
        "sets": _set_toy.training_sample(400, np.random.default_rng(1)),
    }


def fitted(samples, kind, callbacks, **options):
    return DCTRReweighter(**QUICK | KINDS[kind] | options, callbacks=callbacks).fit(*samples[kind])


def state(path):
    return torch.load(path, weights_only=True)


def same_state(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0)


def column(reweighter, name):
    return reweighter.net_.history[:, name]


# --- the callbacks --------------------------------------------------------------------------


def check_checkpoint(reweighter, kind, folder):
    net, best = reweighter.net_, np.argmin(column(reweighter, "valid_loss"))
    assert column(reweighter, "event_cp") == column(reweighter, "valid_loss_best")
    same_state(state(folder / "params.pt"), net.module_.state_dict())
    assert (folder / "optimizer.pt").exists()
    history = net.history
    net.load_params(checkpoint=dict(net.callbacks_)["Checkpoint"])
    assert net.history == history[: best + 1]


def check_train_end(reweighter, kind, folder):
    for number, net in enumerate(reweighter.nets_):
        prefix = f"network{number + 1}_" if number else ""
        found = state(folder / f"train_end_{prefix}params.pt")
        same_state(found, net.module_.state_dict())
    assert len(list(folder.glob("*_params.pt"))) == len(reweighter.nets_)


def check_same_names(reweighter, *names):
    for name in names:
        values = column(reweighter, name)
        assert len(values) == len(reweighter.net_.history)
        assert np.isfinite(values).all()


def check_scores(reweighter, kind, folder):
    check_same_names(reweighter, "roc_auc", "accuracy", "neg_log_loss", "f1")
    witness = dict(reweighter.net_.callbacks_)["Witness"]
    net, valid = reweighter.net_, witness.valid_[0]
    best = int(np.argmin(column(reweighter, "valid_loss")))
    truth = valid.target.numpy()
    expected = roc_auc_score(truth, net.predict_proba(valid)[:, 1])
    assert net.history[best, "roc_auc"] == pytest.approx(expected)
    assert net.history[best, "accuracy"] == accuracy_score(truth, net.predict(valid))
    weighted = roc_auc_score(truth, net.predict_proba(valid)[:, 1], sample_weight=valid.weight)
    assert net.history[best, "weighted"] == pytest.approx(weighted)
    for name in ("roc_auc", "accuracy"):
        assert column(reweighter, name + "_again") == pytest.approx(column(reweighter, name))
    check_same_names(reweighter, "score", "accuracy_score", "train_auc", "average_precision")


def weighted_auc(net, X, y):
    return roc_auc_score(y, net.predict_proba(X)[:, 1], sample_weight=X.weight)


SCORES = [
    Witness,
    *(
        EpochScoring(name, lower_is_better=False)
        for name in ("roc_auc", "accuracy", "neg_log_loss", "f1", "average_precision")
    ),
    EpochScoring(weighted_auc, lower_is_better=False, name="weighted"),
    *(
        EpochScoring(name, lower_is_better=False, use_caching=False, name=name + "_again")
        for name in ("roc_auc", "accuracy")
    ),
    EpochScoring(None, lower_is_better=False),
    EpochScoring(accuracy_score, lower_is_better=False),
    EpochScoring("roc_auc", lower_is_better=False, on_train=True, name="train_auc"),
]


def check_batch_scores(reweighter, kind, folder):
    check_same_names(reweighter, "accuracy", "uncached", "train_accuracy")
    assert column(reweighter, "uncached") == pytest.approx(column(reweighter, "accuracy"))
    scores = reweighter.net_.history[-1, "batches", :, "train_accuracy"]
    assert len(scores) == reweighter.net_.history[-1, "train_batch_count"]


def check_passthrough(reweighter, kind, folder):
    # The callbacks average the same losses of batches, in double precision.
    for name in ("train_loss", "valid_loss"):
        batches = reweighter.net_.history[
            -1, "batches", :, (name, name.replace("loss", "batch_size"))
        ]
        losses, sizes = zip(*batches, strict=True)
        expected = np.average(losses, weights=sizes)
        assert column(reweighter, name)[-1] == pytest.approx(expected, rel=1e-6)


def check_stopped(reweighter, kind, folder):
    assert len(reweighter.net_.history) == 2


def check_rates(rates, reweighter, kind, folder):
    assert column(reweighter, "event_lr") == pytest.approx(rates)


def check_frozen(reweighter, kind, folder):
    named = dict(reweighter.net_.module_.named_parameters())
    trained = [name for name, parameter in named.items() if parameter.requires_grad]
    assert trained == [name for name in named if ".0." not in name]
    assert trained != list(named)


def check_unfrozen(reweighter, kind, folder):
    assert all(p.requires_grad for p in reweighter.net_.module_.parameters())


def check_history(reweighter, kind, folder):
    net = reweighter.net_
    for row in net.history:
        best = {"train_loss_best", "valid_loss_best"}
        assert {"epoch", "train_loss", "valid_loss", "dur", "event_lr", "batches"} | best <= set(
            row
        )
        assert row["dur"] > 0
        assert len(row["batches"]) == row["train_batch_count"] + row["valid_batch_count"]
    losses = np.array(column(reweighter, "valid_loss"))
    is_best = np.append(True, losses[1:] < np.minimum.accumulate(losses)[:-1])
    assert column(reweighter, "valid_loss_best") == is_best.tolist()


def halve(parameter):
    with torch.no_grad():
        parameter.mul_(0.5)


CASES = {
    "BatchScoring": (
        lambda folder: [
            BatchScoring("accuracy", lower_is_better=False),
            BatchScoring("accuracy", lower_is_better=False, use_caching=False, name="uncached"),
            BatchScoring("accuracy", False, on_train=True, name="train_accuracy"),
        ],
        check_batch_scores,
    ),
    "Checkpoint": (lambda folder: [Checkpoint(dirname=str(folder))], check_checkpoint),
    "EarlyStopping": (
        lambda folder: [EarlyStopping("epoch", patience=1, sink=str)],
        check_stopped,
    ),
    "EpochScoring": (lambda folder: SCORES, check_scores),
    "EpochTimer": (lambda folder: [EpochTimer], check_history),
    "Freezer": (lambda folder: [Freezer("*.0.*")], check_frozen),
    "GradientNormClipping": (lambda folder: [GradientNormClipping(1e-3)], check_history),
    "Initializer": (
        lambda folder: [Initializer("*", fn=partial(torch.nn.init.uniform_, a=-0.1, b=0.1))],
        check_history,
    ),
    "InputShapeSetter": (lambda folder: [InputShapeSetter("n_features")], check_history),
    "LRScheduler": (
        lambda folder: [LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)],
        partial(check_rates, [0.01, 0.005, 0.0025]),
    ),
    "ReduceLROnPlateau": (
        lambda folder: [LRScheduler("ReduceLROnPlateau", monitor="epoch", patience=0, factor=0.1)],
        partial(check_rates, [0.01, 0.01, 0.001]),
    ),
    "WarmRestartLR": (
        lambda folder: [LRScheduler(WarmRestartLR, min_lr=0.002, max_lr=0.004, base_period=2)],
        partial(check_rates, [0.004, 0.003, 0.002]),
    ),
    "ParamMapper": (lambda folder: [ParamMapper("*", fn=halve, at=2)], check_history),
    "PassthroughScoring": (
        lambda folder: [
            PassthroughScoring("valid_loss"),
            PassthroughScoring("train_loss", on_train=True),
        ],
        check_passthrough,
    ),
    "TrainEndCheckpoint": (
        lambda folder: [TrainEndCheckpoint(dirname=str(folder))],
        check_train_end,
    ),
    "Unfreezer": (lambda folder: [Freezer("*.0.*"), Unfreezer("*.0.*", at=2)], check_unfrozen),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_callback(samples, tmp_path, capfd, kind, case):
    make, check = CASES[case]
    reweighter = fitted(samples, kind, make(tmp_path))
    check(reweighter, kind, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_history_has_the_usual_keys_without_any_callback(samples, kind):
    check_history(fitted(samples, kind, None), kind, None)


def test_callbacks_that_only_look_on_change_no_bit(samples):
    looking = [
        *SCORES,
        PassthroughScoring("valid_loss"),
        BatchScoring("accuracy", lower_is_better=False),
        EpochTimer(),
        PrintLog(sink=str),
    ]
    x, _ = samples["default"]
    one, other = (fitted(samples, "default", callbacks) for callbacks in (None, looking))
    np.testing.assert_array_equal(
        one.predict_log_weights(x, 0.5), other.predict_log_weights(x, 0.5)
    )


def test_frozen_parameters_stay(samples):
    class Start(Callback):
        def on_train_begin(self, net, **kwargs):
            self.values_ = [p.detach().clone() for p in net.module_.parameters()]

    start = Start()
    reweighter = fitted(samples, "MLP", [start, Freezer("*.0.*")])
    moved = [
        not torch.equal(before, p.detach())
        for before, p in zip(start.values_, reweighter.net_.module_.parameters(), strict=True)
    ]
    names = [name for name, _ in reweighter.net_.module_.named_parameters()]
    assert moved == [".0." not in name for name in names]
    assert not all(moved)


@pytest.mark.parametrize("kind", KINDS)
def test_progress_bar(samples, capfd, kind):
    class Shown(ProgressBar):
        def on_batch_end(self, net, training=False, **kwargs):
            super().on_batch_end(net, training=training, **kwargs)
            assert ("train_loss=" if training else "valid_loss=") in self.pbar_.postfix

    fitted(samples, kind, [Shown()])
    out, err = capfd.readouterr()
    assert out == ""
    n_batches = 2 if kind == "sets" else 4  # three of training, of 200 events, one of validation
    assert f"0/{n_batches} " in err


TABLE = r" *epoch +train_loss +valid_loss +lr +dur\n[- ]+\n"


@pytest.mark.parametrize("kind", KINDS)
def test_print_log(samples, capfd, kind):
    lines = []
    fitted(samples, kind, [PrintLog(sink=lines.append)])
    assert re.match(TABLE, "\n".join(lines[:3]))
    assert len(lines) == N_TRAINED[kind] * QUICK["max_epochs"] + 2 * N_TRAINED[kind]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("callbacks", [None, [PrintLog()]])
def test_verbose_of_two_prints_the_table_once(samples, capfd, kind, callbacks):
    fitted(samples, kind, callbacks, verbose=2)
    out, err = capfd.readouterr()
    assert err == ""
    assert len(re.findall(TABLE, out)) == N_TRAINED[kind]
    rows = N_TRAINED[kind] * (QUICK["max_epochs"] + 2)
    assert len(out.splitlines()) == rows


# --- those who follow experiments -----------------------------------------------------------


class Client:
    """Stands for a run of Neptune, W&B, Sacred, MLflow or a writer of TensorBoard."""

    def __init__(self, folder):
        self.dir, self.info = str(folder), SimpleNamespace(run_id="1")
        self.metrics, self.n_ends, self.artifacts, self.path = [], 0, {}, ""

    def record(self, name, value=None):
        if self.n_ends:
            raise RuntimeError(f"{name} came after the end")
        self.metrics.append((name, value))

    def __getitem__(self, name):
        child = Client(self.dir)
        child.__dict__, child.path = dict(self.__dict__), f"{self.path}/{name}"
        child.parent = getattr(self, "parent", self)
        return child

    def __setitem__(self, name, value):
        self.record(f"{self.path}/{name}", value)

    def append(self, value):
        self.parent.record(self.path, value)

    def add_scalar(self, tag, scalar_value, global_step):
        self.record(tag, scalar_value)

    def log_scalar(self, name, value, step=None):
        self.record(name, value)

    def log(self, values):
        for name, value in values.items():
            self.record(name, value)

    def log_metric(self, run_id, name, value, step):
        self.record(name, value)

    def log_artifact(self, run_id, path):
        if path.name == "params.pth":
            self.artifacts[path.name] = state(path)

    def watch(self, module):
        pass

    def stop(self, *args):
        self.n_ends += 1

    close = set_terminated = stop


LOGGERS = {
    "NeptuneLogger": (lambda client: NeptuneLogger(client, log_on_batch_end=True), True),
    "WandbLogger": (WandbLogger, False),
    "SacredLogger": (lambda client: SacredLogger(client, log_on_batch_end=True), False),
    "MlflowLogger": (lambda client: MlflowLogger(client, client, log_on_batch_end=True), True),
    "TensorBoard": (TensorBoard, True),
}


@pytest.fixture
def neptune(monkeypatch):
    """The two names that skorch takes from the package."""
    for name in ("neptune", "neptune.handler", "neptune.types"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["neptune.handler"].Handler = type("Handler", (), {})
    sys.modules["neptune.types"].File = SimpleNamespace(from_content=lambda text, extension: text)


@pytest.mark.usefixtures("neptune")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("logger", LOGGERS)
def test_logger(samples, tmp_path, kind, logger):
    make, ends = LOGGERS[logger]
    client = Client(tmp_path)
    reweighter = fitted(samples, kind, [make(client)])
    names = [name for name, _ in client.metrics]
    assert len(names) >= N_TRAINED[kind] * 3 * QUICK["max_epochs"]
    assert any(re.search("valid(ation)?[/_]", name) for name in names)
    # A run that is stopped takes nothing more, and the fit is what it follows.
    assert client.n_ends == int(ends)
    kept = reweighter.net_.module_.state_dict()
    if logger == "MlflowLogger":
        same_state(client.artifacts["params.pth"], kept)
    if logger == "WandbLogger":
        same_state(state(tmp_path / "best_model.pth"), kept)


def test_no_callback_of_skorch_is_left_out():
    tested = {*CASES, *LOGGERS, "LoadInitState", "PrintLog", "ProgressBar", "Callback"}
    assert set(skorch.callbacks.__all__) <= tested


# --- which network is kept ------------------------------------------------------------------


@pytest.fixture(params=["first", "second", "joined"])
def kept(request, monkeypatch):
    """What becomes of the two networks: losses of so few events would leave it to chance."""
    # In turn: the refit of the first, its comparison with the second, the refit of the joined
    # network, its comparison with the second.
    excess = iter({"first": [0, 0], "second": [0, 9, 0, 9], "joined": [0, 9, 0, 0]}[request.param])
    monkeypatch.setattr(training, "_excess", lambda difference: next(excess))
    return request.param


@pytest.mark.slow
def test_files_have_the_network_that_is_kept_after_its_refit(samples, tmp_path, kept):
    callbacks = [
        Checkpoint(f_params="epoch{last_epoch[epoch]}.pt", dirname=str(tmp_path)),
        TrainEndCheckpoint(dirname=str(tmp_path)),
    ]
    reweighter = fitted(samples, "default", callbacks, refit=True)
    net = reweighter.net_
    assert isinstance(net.module_, MLP if kept == "second" else SeparableNetwork)
    found = state(tmp_path / "train_end_params.pt")
    same_state(found, net.module_.state_dict())
    # The last checkpoint as well, under the name of its epoch.
    best = 1 + int(np.flatnonzero(column(reweighter, "event_cp"))[-1])
    same_state(state(tmp_path / f"epoch{best}.pt"), found)
    # Those of the second network have names of their own.
    assert list(tmp_path.glob("MLP_epoch*.pt"))
    x, _ = samples["default"]
    before = reweighter.predict_log_weights(x, 0.5)
    with torch.no_grad():
        for parameter in net.module_.parameters():
            parameter.zero_()
    net.load_params(checkpoint=callbacks[0])
    np.testing.assert_array_equal(reweighter.predict_log_weights(x, 0.5), before)


class Started(Callback):
    """What each network is when its training begins."""

    def __init__(self):
        self.states_, self.n_epochs_ = [], []

    def on_train_begin(self, net, **kwargs):
        self.states_.append({k: v.clone() for k, v in net.module_.state_dict().items()})
        self.n_epochs_.append(len(net.history))


def resumed(saves, folder):
    checkpoint = saves(dirname=str(folder))
    return [checkpoint, LoadInitState(checkpoint), Started()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("saves", [Checkpoint, TrainEndCheckpoint])
def test_training_goes_on_from_the_networks_that_were_kept(samples, tmp_path, kind, saves):
    first = fitted(samples, kind, resumed(saves, tmp_path))
    callbacks = resumed(saves, tmp_path)
    second = fitted(samples, kind, callbacks)
    started = callbacks[-1]
    # Each part of a cross-fit goes on from its own network, which has not seen its events either.
    for number, net in enumerate(first.nets_):
        same_state(started.states_[number], net.module_.state_dict())
    assert len(second.net_.history) == started.n_epochs_[0] + QUICK["max_epochs"]


@pytest.mark.slow
def test_training_goes_on_from_a_refitted_network(samples, tmp_path):
    options = {"module": SeparableNetwork, "module__rank": 1}
    first = fitted(samples, "default", resumed(TrainEndCheckpoint, tmp_path), **options, refit=True)
    assert first.net_.module_.coupling_covariance is not None
    callbacks = resumed(TrainEndCheckpoint, tmp_path)
    second = fitted(samples, "default", callbacks, **options)
    same_state(callbacks[-1].states_[0], first.net_.module_.state_dict())
    # Their covariance was that of a network from which training has moved on.
    assert second.net_.module_.coupling_covariance is None


@pytest.mark.parametrize("why", ["class", "nominal"])
def test_state_of_another_network_is_not_loaded(samples, tmp_path, why):
    x, theta = samples["default"]
    fitted(samples, "default", resumed(TrainEndCheckpoint, tmp_path), module=SeparableNetwork)
    options = {"module": MLP} if why == "class" else {"module": SeparableNetwork}
    if why == "nominal":
        theta = theta + 0.5 * (theta > 0)
    anew, plain = (
        DCTRReweighter(**QUICK | options, callbacks=callbacks)
        for callbacks in (resumed(TrainEndCheckpoint, tmp_path / "same"), None)
    )
    for name in ("params.pt", "history.json", "optimizer.pt", "criterion.pt"):
        target = tmp_path / "same" / f"train_end_{name}"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((tmp_path / f"train_end_{name}").read_bytes())
    with pytest.warns(UserWarning, match="begins anew, as a callback has loaded files of another"):
        anew.fit(x, theta)
    plain.fit(x, theta)
    assert len(anew.net_.history) == QUICK["max_epochs"]
    np.testing.assert_array_equal(
        anew.predict_log_weights(x, 0.5), plain.predict_log_weights(x, 0.5)
    )
    # Of a user who loads it, it is an error, and the network stays as it is.
    with pytest.raises((RuntimeError, ValueError)):
        plain.net_.load_params(f_params=str(tmp_path / "train_end_params.pt"))
    np.testing.assert_array_equal(
        anew.predict_log_weights(x, 0.5), plain.predict_log_weights(x, 0.5)
    )


@pytest.mark.parametrize("at_once", [True, False])
def test_files_of_the_members_of_an_ensemble(samples, tmp_path, at_once):
    reweighter = DCTRReweighter(
        **QUICK,
        n_estimators=2,
        n_folds=2,
        module=MLP,
        callbacks=[TrainEndCheckpoint(dirname=str(tmp_path))],
    )
    if at_once:
        reweighter.fit(*samples["default"])
    else:
        reweighter = fit_ensemble(reweighter, *samples["default"], path=tmp_path / "members")
    assert len(reweighter.nets_) == 4
    check_train_end(reweighter, "default", tmp_path)


# --- the net that is kept -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_net_predicts_what_the_weights_are_made_of(samples, kind):
    x, theta = samples[kind]
    reweighter = fitted(samples, kind, None)
    inputs = reweighter.network_inputs(x, 0.5)
    net = reweighter.net_
    assert isinstance(net, NeuralNet)
    log_ratio = np.mean([each.forward(inputs).numpy() for each in reweighter.nets_], axis=0)
    # Rounding of single precision.
    np.testing.assert_allclose(log_ratio, reweighter.predict_log_weights(x, 0.5), atol=1e-5)
    probability = net.predict_proba(inputs)
    assert probability.shape == (len(x), 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    prior = net.criterion_.prior_logit
    odds = np.exp(net.forward(inputs).double().numpy() + prior)
    np.testing.assert_allclose(probability[:, 1], odds / (1 + odds))
    np.testing.assert_array_equal(net.predict(inputs), probability[:, 1] > 0.5)
    label = (theta > 0).astype(int)
    assert net.score(inputs, label) == accuracy_score(label, net.predict(inputs))
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict_proba(inputs), probability)


def test_net_saves_and_loads(samples, tmp_path):
    reweighter = fitted(samples, "MLP", None)
    net, files = reweighter.net_, {}
    for name in ("params", "optimizer", "criterion", "history"):
        files["f_" + name] = str(tmp_path / name)
    net.save_params(**files)
    x, _ = samples["MLP"]
    before, history = reweighter.predict_log_weights(x, 0.5), net.history
    with torch.no_grad():
        next(net.module_.parameters()).zero_()
    net.load_params(**files)
    np.testing.assert_array_equal(reweighter.predict_log_weights(x, 0.5), before)
    assert net.history == history


def test_net_says_what_it_takes(samples):
    reweighter = fitted(samples, "MLP", None)
    net, (x, _) = reweighter.net_, samples["MLP"]
    with pytest.raises(TypeError, match=r"X is ndarray.*DCTRReweighter.network_inputs\(X, theta\)"):
        net.predict(x)
    with pytest.raises(ValueError, match=r"X has \['events'\]; expected 'x'"):
        net.predict({"events": x})
    with pytest.raises(ValueError, match=r"'theta' has 1 events, 'x' has 1200"):
        net.predict({"x": x, "theta": [[0.5]]})


# --- as they are given ----------------------------------------------------------------------


def test_schedule_of_the_user_takes_the_place_of_the_default_one(samples):
    step = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    for callbacks in ([step], [("halved", step)]):
        reweighter = fitted(samples, "MLP", callbacks)
        assert column(reweighter, "event_lr") == pytest.approx([0.01, 0.005, 0.0025])
    assert [name for name, _ in reweighter.net_.callbacks_] == [
        "epoch_timer",
        "keep_best",
        "halved",
    ]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (EarlyStopping, "EarlyStopping"),
        (("stop", EarlyStopping), "stop"),
        (EarlyStopping(patience=7), "EarlyStopping"),
        (["stop", EarlyStopping(patience=7)], "stop"),
    ],
)
def test_callbacks_as_skorch_takes_them_and_their_parameters(samples, given, name):
    options = {f"callbacks__{name}__{key}": v for key, v in (("monitor", "epoch"), ("patience", 1))}
    reweighter = DCTRReweighter(**QUICK, module=MLP, callbacks=[given]).set_params(**options)
    assert reweighter.get_params()[f"callbacks__{name}__patience"] == 1
    copied = clone(reweighter).fit(*samples["MLP"])
    assert len(copied.net_.history) == 2
    assert clone(copied).fit(*samples["MLP"]).net_.history[-1]["epoch"] == 2
    # None switches a callback off.
    off = copied.set_params(**{f"callbacks__{name}": None, f"callbacks__{name}__monitor": "epoch"})
    with pytest.raises(ValueError, match="parameter for callback"):
        off.fit(*samples["MLP"])


def test_grid_search_over_a_parameter_of_a_callback(samples):
    x, theta = samples["MLP"]
    reweighter = DCTRReweighter(
        **QUICK, module=MLP, callbacks=[("stop", EarlyStopping("epoch", sink=str))]
    )
    search = GridSearchCV(
        reweighter, {"callbacks__stop__patience": [1, 5]}, cv=ShuffleSplit(1, random_state=1)
    ).fit(x, theta)
    assert search.best_params_ == {"callbacks__stop__patience": 5}
    assert len(search.best_estimator_.net_.history) == QUICK["max_epochs"]


def test_fitted_estimator_with_callbacks_is_pickled(samples):
    callbacks = [
        EpochScoring("roc_auc"),
        ProgressBar(),
        Freezer("*.0.*"),
        Checkpoint(f_params=None),
    ]
    callbacks[-1].set_params(f_optimizer=None, f_criterion=None, f_history=None)
    x, _ = samples["default"]
    reweighter = fitted(samples, "default", callbacks)
    again = pickle.loads(pickle.dumps(reweighter))
    np.testing.assert_array_equal(
        again.predict_log_weights(x, 0.5), reweighter.predict_log_weights(x, 0.5)
    )
    assert column(again, "roc_auc") == column(reweighter, "roc_auc")


def test_callback_may_set_attributes_of_the_net(samples):
    class Marks(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.last_epoch_ = net.history[-1]["epoch"]

    assert fitted(samples, "default", [Marks()]).net_.last_epoch_ == QUICK["max_epochs"]


def test_what_is_no_callback_is_refused(samples):
    for wrong in (print, "EpochTimer", ("stop", 3), ("a", EpochTimer, 2)):
        with pytest.raises(TypeError, match=r"callbacks has .*; expected callbacks of skorch"):
            fitted(samples, "MLP", [wrong])
    with pytest.raises(ValueError, match=r"no callback 'stopp'; did you mean 'stop'\?"):
        fitted(samples, "MLP", [("stop", EarlyStopping())], callbacks__stopp__patience=1)


def test_network_is_not_made_again(samples):
    with pytest.raises(ValueError, match=r"module__input_dim=.*param_name='n_features'"):
        fitted(samples, "MLP", [InputShapeSetter()])


def test_checkpoint_without_validation_events_says_so(samples, tmp_path):
    with pytest.raises(Exception, match="Make sure you have validation data"):
        fitted(samples, "MLP", [Checkpoint(dirname=str(tmp_path))], validation_fraction=0.0)


@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")  # two epochs, few events
def test_callbacks_of_the_networks_of_a_fit(objective):
    toy = make_gaussian(300, n_sim=300, n_data=300, random_state=1)
    name = "roc_auc" if objective == "auc" else "neg_mean_squared_error"
    score = EpochScoring(name, lower_is_better=False, on_train=True)
    seen = []

    class Scores(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, name])

    analytic = AnalyticReweighter(lambda x, t: x[:, 0] * t[0] - t[0] ** 2 / 2, theta_nominal=0.0)
    fitter = SRGNFitter(
        analytic,
        objective=objective,
        search="scan",
        n_points=3,
        max_epochs=2,
        bounds=[(-1, 1)],
        callbacks=[score, Scores()],
        random_state=1,
    )
    fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
    assert len(seen) >= 4
    assert np.isfinite(seen).all()


def test_losses_of_batches_are_the_same_where_a_gpu_is_not_waited_for(samples, monkeypatch):
    class Waits(ClassifierNet):
        reads_batches_ = property(lambda net: False, lambda net, value: None)

    one = fitted(samples, "MLP", None)
    monkeypatch.setattr(train, "ClassifierNet", Waits)
    other = fitted(samples, "MLP", None)
    for name in ("train_loss", "valid_loss"):
        found, expected = (each.net_.history[:, "batches", :, name] for each in (other, one))
        assert found == expected
