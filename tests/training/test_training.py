"""Batches, losses, schedules and seeds of the training.

Statistical tolerances are four standard errors, at fixed seeds.
"""

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skdctr import DCTRReweighter
from skdctr.networks import MLP, SeparableNetwork
from skdctr.training.batches import BatchLoader, EventDataset
from skdctr.training.losses import WeightedCrossEntropy
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import predict_logits, to_tensor
from skdctr.training.train import train

CPU = torch.device("cpu")


def events(n=2000, seed=0, shift=1.0):
    """Two classes of events with one feature, one width apart, and weights."""
    generator = torch.Generator().manual_seed(seed)
    target = (torch.arange(n) % 2).float()
    x = torch.randn(n, 1, generator=generator) + shift * target[:, None]
    weight = torch.rand(n, generator=generator) + 0.5
    return EventDataset(x, target, weight / weight.mean())


def network(hidden=(16,), n_features=1, n_parameters=0):
    with torch.random.fork_rng():
        torch.manual_seed(1)  # noqa: TID251 - inside a fork of the generator's state
        return MLP(n_features, n_parameters, hidden)


def fit(data, module=None, *, seed=0, valid=None, **options):
    module = network() if module is None else module
    options = TrainingOptions(**{"max_epochs": 3, "batch_size": 100} | options)
    return train(module, data, options, valid=valid, device=CPU, seed=seed)


def parameters(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()])


class Recorder(Callback):
    """What the training did, batch by batch and epoch by epoch."""

    def __init__(self):
        self.rates, self.states, self.thetas = [], [], []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        self.states.append(copy.deepcopy(net.module_.state_dict()))
        if dataset_train.theta is not None:
            self.thetas.append(dataset_train.theta.clone())


# --- batches --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 100, 70_000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_loader_visits_every_event_once_an_epoch_in_whole_batches(batch_size, shuffle):
    n = 1003 if batch_size < 1000 else 150_000
    index = torch.arange(n)
    data = EventDataset(index[:, None].float(), (index % 2).float(), index.double(), index[:, None])
    loader = BatchLoader(data, batch_size, shuffle=shuffle)
    orders = []
    for _ in range(2):
        batches = list(loader)
        sizes = [len(target) for _, target in batches]
        assert len(sizes) == len(loader)
        assert all(size == batch_size for size in sizes[:-1])
        assert sizes[-1] == n - batch_size * (len(sizes) - 1)
        x = torch.cat([inputs["x"][:, 0] for inputs, _ in batches])
        assert torch.equal(x.sort().values, index.float())
        # The columns stay together.
        for column in (
            torch.cat([inputs["theta"][:, 0] for inputs, _ in batches]),
            torch.cat([inputs["weight"] for inputs, _ in batches]),
        ):
            assert torch.equal(column.float(), x)
        assert torch.equal(torch.cat([target for _, target in batches]), x % 2)
        orders.append(x)
    if shuffle:
        assert not torch.equal(orders[0], orders[1])
        assert not torch.equal(orders[0], index.float())
    else:
        assert torch.equal(orders[0], index.float())


def test_loader_repeats_itself_with_the_same_seed_only():
    first, second, other = (
        torch.cat([inputs["x"] for inputs, _ in BatchLoader(events(), 64, True, seed)])
        for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_loader_without_shuffling_keeps_theta():
    data = with_artificial_theta(100, torch.tensor([[1.0], [2.0]]))
    list(BatchLoader(data, 10, shuffle=False))
    assert bool((data.theta == 0).all())


# --- artificial θ ---------------------------------------------------------------------------


def with_artificial_theta(n, pool, pool_weight=None):
    """Nominal events (even rows) with θ to be drawn, and varied events (odd rows) with θ = 0."""
    varied = torch.arange(n) % 2 == 1
    return EventDataset(
        torch.zeros(n, 1),
        varied.float(),
        torch.full((n,), 2.0),
        torch.zeros(n, pool.shape[1]),
        redraw=~varied,
        pool=pool,
        pool_weight=pool_weight,
    )


def test_theta_of_nominal_events_is_drawn_anew_every_epoch():
    pool = torch.arange(1.0, 5.0)[:, None]
    recorder = Recorder()
    data = with_artificial_theta(4000, pool)
    fit(data, network(n_parameters=1), callbacks=[recorder], max_epochs=3)
    for theta in recorder.thetas:
        assert bool((theta[1::2] == 0).all())
        counts = torch.bincount(theta[::2, 0].long(), minlength=5)[1:]
        # Binomial: 2000 draws at 1/4.
        assert float((counts - 500).abs().max()) < 4 * np.sqrt(2000 * 0.25 * 0.75)
    first, second = recorder.thetas[:2]
    same = int((first[::2] == second[::2]).sum())
    assert abs(same - 500) < 4 * np.sqrt(2000 * 0.25 * 0.75)


def test_rows_of_theta_stay_together():
    pool = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    data = with_artificial_theta(600, pool)
    data.start_epoch(torch.Generator().manual_seed(0))
    assert torch.equal(data.theta[::2, 1], 10 * data.theta[::2, 0])


def test_theta_is_drawn_by_weight():
    weight = torch.tensor([0.0, 1.0, 5.0, 0.0, 2.0])
    data = with_artificial_theta(20_000, torch.arange(5.0)[:, None], weight)
    data.start_epoch(torch.Generator().manual_seed(0))
    counts = torch.bincount(data.theta[::2, 0].long(), minlength=5).numpy()
    share = (weight / weight.sum()).numpy()
    error = np.sqrt(10_000 * share * (1 - share))
    assert (np.abs(counts - 10_000 * share) <= 4 * error).all()
    assert bool((data.weight == 2).all())


def test_negative_weights_draw_the_signed_distribution_of_theta():
    """Each θ of the pool gets its signed share of the nominal weight, and no other event any."""
    weight = torch.tensor([3.0, -1.0, 2.0])
    given = with_artificial_theta(60_000, torch.tensor([[0.0], [0.0], [1.0]]), weight)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        given.start_epoch(generator)
    nominal, theta = given.weight[::2], given.theta[::2, 0]
    for value in (0.0, 1.0):
        share = nominal * (theta == value) / (2 * len(nominal))
        # Both are half of the signed sum.
        assert abs(float(share.sum()) - 0.5) < 4 * np.sqrt(len(nominal)) * float(share.std())
    assert bool((given.weight[1::2] == 2).all())


# --- loss -----------------------------------------------------------------------------------


def test_weighted_loss_equals_repetition(rng):
    logit = torch.tensor(rng.normal(size=50)).requires_grad_()
    target = torch.tensor((np.arange(50) % 2).astype(float))
    counts = torch.tensor(rng.integers(1, 5, size=50))
    criterion = WeightedCrossEntropy(prior_logit=0.3)
    weighted = criterion(logit, target, counts / counts.double().mean())
    rows = torch.arange(50).repeat_interleave(counts)
    repeated = criterion(logit[rows], target[rows], torch.ones(len(rows)))
    torch.testing.assert_close(weighted, repeated)
    slopes = [torch.autograd.grad(loss, logit)[0] for loss in (weighted, repeated)]
    torch.testing.assert_close(*slopes)


def test_prior_is_added_to_the_logit():
    """A network that says nothing then predicts the share of each class."""
    logit, target = torch.zeros(4), torch.tensor([1.0, 0.0, 0.0, 0.0])
    loss = WeightedCrossEntropy(prior_logit=float(np.log(1 / 3)))(logit, target, torch.ones(4))
    assert float(loss) == pytest.approx(-(np.log(0.25) + 3 * np.log(0.75)) / 4)


def test_losses_of_an_epoch_are_weighted_means():
    """With a step too small to move anything, of train and validation events and all batches."""
    data, valid = events(), events(seed=1)
    net = fit(data, valid=valid, optimizer="SGD", lr=1e-12, lr_schedule="constant", batch_size=300)
    for name, sample in (("train_loss", data), ("valid_loss", valid)):
        logit = predict_logits(net.module_, sample.x)
        expected = nn.functional.binary_cross_entropy_with_logits(
            logit, sample.target, weight=sample.weight
        )
        assert net.history[0, name] == pytest.approx(float(expected), rel=1e-5)


def test_network_learns_the_density_ratio():
    """Two Gaussians one width apart, nine nominal events for each varied one."""
    generator = torch.Generator().manual_seed(2)
    target = (torch.arange(40_000) % 10 == 0).float()
    x = torch.randn(40_000, 1, generator=generator) + target[:, None]
    net = train(
        network((16, 16)),
        EventDataset(x, target, torch.ones(40_000)),
        TrainingOptions(max_epochs=10, batch_size=500),
        prior_logit=float(np.log(1 / 9)),
        device=CPU,
    )
    weight = predict_logits(net.module_, x[target == 0]).exp()
    # Errors of both means from the 4000 varied events, which the nominal ones are fitted to.
    assert float(weight.mean()) == pytest.approx(1.0, abs=4 / np.sqrt(4000))
    mean = float((weight * x[target == 0, 0]).sum() / weight.sum())
    assert mean == pytest.approx(1.0, abs=4 / np.sqrt(4000))


# --- seeds ----------------------------------------------------------------------------------


def test_same_seed_same_bits():
    first, second, other = (fit(events(), seed=seed) for seed in (7, 7, 8))
    assert torch.equal(parameters(first), parameters(second))
    assert not torch.equal(parameters(first), parameters(other))


def test_seed_rules_dropout_too_and_the_global_generator_nothing():
    def dropping():
        return nn.Sequential(network((64,)).layers[:-1], nn.Dropout(0.5), nn.Linear(64, 1))

    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(1)  # noqa: TID251 - inside a fork of the generator's state
                self.layers = dropping()

        def forward(self, x):
            return self.layers(x).squeeze(1)

    before = torch.get_rng_state()
    first = fit(events(), Dropping(), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.rand(17)
        second = fit(events(), Dropping(), seed=3)
    assert torch.equal(parameters(first), parameters(second))
    # Left in evaluation mode: predictions do not drop anything.
    x = events().x
    assert torch.equal(predict_logits(first.module_, x), predict_logits(first.module_, x))


# --- schedule and stopping ------------------------------------------------------------------


def test_one_cycle_rises_for_a_quarter_and_decays_to_nothing():
    recorder = Recorder()
    fit(events(), callbacks=[recorder], max_epochs=4, lr=0.02, lr_schedule="one_cycle")
    rates = np.array(recorder.rates)
    assert len(rates) == 80
    assert rates.max() == pytest.approx(0.02, rel=1e-2)
    assert rates.argmax() == pytest.approx(20, abs=1)
    assert (np.diff(rates[:19]) > 0).all()
    assert (np.diff(rates[21:]) < 0).all()
    assert rates[-1] < 1e-3 * rates.max()


def test_constant_schedule_stays():
    recorder = Recorder()
    fit(events(), callbacks=[recorder], lr=0.02, lr_schedule="constant")
    assert set(recorder.rates) == {0.02}


@pytest.mark.parametrize("n_steps", range(1, 9))
def test_one_cycle_of_few_steps(n_steps):
    recorder = Recorder()
    fit(events(10 * n_steps), max_epochs=1, batch_size=10, lr=0.02, callbacks=[recorder])
    assert len(recorder.rates) == n_steps
    assert 0 < min(recorder.rates) <= max(recorder.rates) <= 0.02


def overfitting():
    """Few events to train on and a large network: the validation loss falls, then rises."""
    return events(60, shift=0.5), events(2000, seed=5, shift=0.5), network((64, 64))


@pytest.mark.parametrize("patience", [None, 4])
def test_best_weights_are_restored(patience):
    data, valid, module = overfitting()
    recorder = Recorder()
    net = fit(
        data,
        module,
        valid=valid,
        max_epochs=40,
        batch_size=20,
        patience=patience,
        lr_schedule="constant",
        callbacks=[recorder],
    )
    losses = net.history[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert losses[-1] > losses[best]
    assert len(losses) == (40 if patience is None else best + 1 + patience)
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, recorder.states[best][name]), name
    assert not torch.equal(
        recorder.states[best]["layers.0.weight"], recorder.states[-1]["layers.0.weight"]
    )


def test_without_validation_the_last_weights_stay():
    data, _, module = overfitting()
    recorder = Recorder()
    net = fit(data, module, max_epochs=5, batch_size=20, callbacks=[recorder])
    assert "valid_loss" not in net.history[-1]
    torch.testing.assert_close(net.module_.state_dict(), recorder.states[-1], rtol=0, atol=0)


class Interrupting(nn.Module):
    """A network in whose fifth call someone presses Ctrl-C."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls = network(), 0

    def forward(self, x):
        self.calls += 1
        if self.calls == 5:
            raise KeyboardInterrupt
        return self.inner(x)


@pytest.mark.parametrize("verbose", [0, 1])
def test_ctrl_c_ends_the_fit(verbose, capfd):
    with pytest.raises(KeyboardInterrupt):
        fit(events(), Interrupting(), verbose=verbose)


def test_callbacks_may_stop_the_training():
    """skorch's way to do so is to raise KeyboardInterrupt."""

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    assert len(fit(events(), callbacks=[Stop()], max_epochs=5).history) == 2


def test_diverged_training_is_an_error():
    with pytest.raises(ValueError, match=r"training diverged.*Lower lr=1e\+30"):
        fit(events(), optimizer="SGD", lr=1e30, lr_schedule="constant")


# --- arguments ------------------------------------------------------------------------------


def test_optimizer_and_its_arguments():
    net = fit(events(), optimizer="SGD", optimizer_params={"momentum": 0.9})
    assert isinstance(net.optimizer_, torch.optim.SGD)
    assert net.optimizer_.param_groups[0]["momentum"] == 0.9
    net = fit(events(), optimizer=torch.optim.AdamW, optimizer_params={"weight_decay": 0.25})
    assert isinstance(net.optimizer_, torch.optim.AdamW)
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.25


def test_optimizer_with_several_evaluations_a_step():
    net = fit(events(), optimizer="LBFGS", lr=0.1, lr_schedule="constant", batch_size=2000)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < losses[0]


def test_one_cycle_takes_optimizers_without_momentum():
    losses = fit(events(), optimizer="Adagrad", lr=0.1, max_epochs=5).history[:, "train_loss"]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_prefixed_arguments_reach_module_and_optimizer(gaussian):
    reweighter = DCTRReweighter(
        max_epochs=1,
        batch_size=1000,
        optimizer="SGD",
        optimizer__momentum=0.5,
        optimizer__nesterov=True,
        module__rank=2,
        random_state=0,
    ).fit(gaussian.gen, gaussian.theta)
    group = reweighter.net_.optimizer_.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.5, True)
    assert reweighter.net_.module_.rank == 2


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("batchsize", "batch_size"),
        ("max_epoch", "max_epochs"),
    ],
)
def test_misspelt_argument_names_the_right_one(argument, meant):
    with pytest.raises(TypeError, match=rf"no parameter '{argument}'; did you mean '{meant}'\?"):
        DCTRReweighter(**{argument: 1})


def test_unknown_argument_of_module_and_of_optimizer(gaussian):
    few = slice(9_900, 10_100)
    x, theta = gaussian.gen[few], gaussian.theta[few]
    with pytest.raises(TypeError, match=r"SeparableNetwork could not be made.*'ranks'"):
        DCTRReweighter(module__ranks=2).fit(x, theta)
    with pytest.raises(TypeError, match="momentums"):
        DCTRReweighter(optimizer="SGD", optimizer__momentums=2).fit(x, theta)
    with pytest.raises(ValueError, match=r"'Adamm' is not in torch.optim; did you mean 'Adam'"):
        DCTRReweighter(optimizer="Adamm").fit(x, theta)


@pytest.mark.slow
def test_callbacks_of_the_user_are_called(gaussian):
    recorder = Recorder()
    DCTRReweighter(
        module=SeparableNetwork, max_epochs=3, batch_size=2000, callbacks=[recorder]
    ).fit(gaussian.gen, gaussian.theta)
    assert len(recorder.states) == 3
    assert len(recorder.rates) == 3 * 9  # 18 000 of the 20 000 events are for training


# --- what the user sees ---------------------------------------------------------------------


def test_silent_by_default(capfd):
    fit(events(), valid=events(seed=1), verbose=0)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_one_bar_with_both_losses(capfd):
    net = fit(events(), valid=events(seed=1), verbose=1, description="learning", max_epochs=4)
    out, err = capfd.readouterr()
    assert out == ""
    assert "learning" in err
    assert "4/4" in err
    assert f"valid_loss={net.history[-1, 'valid_loss']:.5f}" in err
    assert "train_loss" in err


# --- what remains ---------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, 1])
def test_fitted_net_does_not_carry_the_events(verbose, capfd):
    sizes = [
        len(pickle.dumps(fit(events(n), valid=events(n), verbose=verbose, batch_size=n)))
        # Of one batch each: the history has a few numbers of every batch.
        for n in (100, 4000)
    ]
    assert sizes[1] < sizes[0] + 1000


def test_training_leaves_the_given_tensors(rng):
    array = rng.normal(size=(20, 1))
    tensor = to_tensor(array, CPU)
    tensor[:] = 0
    assert array.any()
    weight = torch.ones(20)
    data = EventDataset(
        torch.zeros(20, 1),
        torch.zeros(20),
        weight,
        torch.zeros(20, 1),
        redraw=torch.ones(20, dtype=torch.bool),
        pool=torch.zeros(2, 1),
        pool_weight=torch.tensor([2.0, -1.0]),
    )
    data.start_epoch(torch.Generator().manual_seed(0))
    assert bool((weight == 1).all())
    assert not bool((data.weight == 1).any())


# --- prediction -----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1, 10, 1000])
def test_prediction_is_the_same_in_any_batches(batch_size):
    generator = torch.Generator().manual_seed(0)
    x, theta = (torch.randn(103, k, generator=generator) for k in (2, 1))
    module = network((8,), 2, 1)
    with torch.no_grad():
        expected = module(x, theta)
    torch.testing.assert_close(predict_logits(module, x, theta, batch_size=batch_size), expected)
    one = predict_logits(module, x, theta[:1], batch_size=batch_size)
    each = predict_logits(module, x, theta[:1].expand(103, -1), batch_size=batch_size)
    torch.testing.assert_close(one, each)
    assert not one.requires_grad
