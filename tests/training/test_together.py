"""Networks trained at once, against the same networks trained one by one."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skdctr import DCTRReweighter
from skdctr.networks import MLP, DeepSets, SeparableNetwork
from skdctr.reweighting import training
from skdctr.training import together
from skdctr.training.batches import EventDataset
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import predict_logits
from skdctr.training.together import StackedDataset, StackedModule, train_together, trains_together
from skdctr.training.train import train

CPU = torch.device("cpu")


def events(seed, n=1000):
    generator = torch.Generator().manual_seed(seed)
    target = torch.arange(n) % 2 == 0
    x = torch.randn(n, 2, generator=generator) + target[:, None]
    return EventDataset(x, target, torch.ones(n))


def network(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - inside a fork of the generator's state
        return MLP(2, 0, (8, 8), "silu")


def by_both(valid=True, **options):
    """Train three networks together, and one by one."""
    options = TrainingOptions(**{"max_epochs": 6, "batch_size": 300} | options)
    seeds, logits = [1, 2, 3], [0.0, 0.1, -0.2]
    judges = [events(seed + 10, 400) for seed in seeds] if valid else None
    together = train_together(
        [network(seed) for seed in seeds],
        [events(seed) for seed in seeds],
        options,
        valid=judges,
        prior_logits=logits,
        device=CPU,
        seeds=seeds,
    )
    alone = [
        train(
            network(seed),
            events(seed),
            options,
            valid=judges[k] if judges else None,
            prior_logit=logits[k],
            device=CPU,
            seed=seed,
        )
        for k, seed in enumerate(seeds)
    ]
    return together, alone


@pytest.mark.parametrize(
    "options",
    [{}, {"lr_schedule": "constant", "optimizer": "SGD", "lr": 0.1}, {"valid": False}],
)
def test_together_is_as_alone(options):
    x = events(99).x
    for one, other in zip(*by_both(**options), strict=True):
        # Rounding of single precision, over 24 steps.
        torch.testing.assert_close(
            predict_logits(one.module_, x), predict_logits(other.module_, x), rtol=1e-3, atol=1e-5
        )
        for name in ("train_loss", "valid_loss"):
            if name in other.history[-1]:
                np.testing.assert_allclose(one.history[:, name], other.history[:, name], rtol=1e-4)
        assert len(one.history) == len(other.history)
        for row, expected in zip(one.history, other.history, strict=True):
            assert row.keys() == expected.keys() | {"batches"}
            assert [b.keys() for b in row["batches"]] == [b.keys() for b in expected["batches"]]
        losses, expected = (net.history[-1, "batches", :, "train_loss"] for net in (one, other))
        np.testing.assert_allclose(losses, expected, rtol=1e-3)
        assert one.history[:, "train_loss_best"] == other.history[:, "train_loss_best"]


def test_each_network_ends_by_its_own_patience():
    together, alone = by_both(patience=1, lr=0.5, lr_schedule="constant", max_epochs=20)
    lengths = [len(net.history) for net in alone]
    assert len(set(lengths)) > 1
    assert [len(net.history) for net in together] == lengths
    x = events(99).x
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(
            predict_logits(one.module_, x), predict_logits(other.module_, x), rtol=1e-2, atol=1e-3
        )


def test_stacked_networks_evaluate_each_on_its_own_events():
    modules = [network(seed) for seed in (1, 2)]
    x = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([module(batch) for module, batch in zip(modules, x, strict=True)])
    torch.testing.assert_close(StackedModule(modules)(x=x), expected)


def test_unequal_data_sets_are_refused():
    with pytest.raises(ValueError, match=r"data sets of \[10, 20\] events"):
        StackedDataset([events(1, 10), events(2, 20)])


@pytest.mark.parametrize("valid", [True, False])
def test_diverging_networks_are_refused(valid):
    with pytest.raises(ValueError, match="training diverged"):
        by_both(optimizer="SGD", lr=1e30, lr_schedule="constant", valid=valid)


@pytest.mark.parametrize(
    ("module", "options", "expected"),
    [
        (MLP(2), {}, True),
        (SeparableNetwork(2, 1, [0.0]), {"optimizer": torch.optim.AdamW}, True),
        (DeepSets(2), {}, False),
        (type("Own", (MLP,), {})(2), {}, False),
        (MLP(2), {"optimizer": "LBFGS"}, False),
        (MLP(2), {"callbacks": [Callback()]}, False),
        (MLP(2), {"accelerate": True}, False),
    ],
)
def test_what_trains_together(module, options, expected):
    assert trains_together(module, TrainingOptions(**options), torch.device("cuda")) is expected
    assert not trains_together(module, TrainingOptions(**options), CPU)


@pytest.mark.slow
@pytest.mark.parametrize("mixture", [False, True])
def test_an_ensemble_is_the_same_either_way(monkeypatch, mixture):
    rng = np.random.default_rng(5)
    theta = rng.uniform(-1, 1, 6000)
    if not mixture:
        theta[:3000] = 0.0
    x = rng.normal(theta)[:, None]
    trained, log_weights = [], []

    def counted(modules, *args, **named):
        trained.append(len(modules))
        return train_together(modules, *args, **named)

    monkeypatch.setattr(training, "train_together", counted)
    for at_once in (False, True):
        monkeypatch.setattr(training, "trains_together", lambda *_, v=at_once: v)
        reweighter = DCTRReweighter(
            theta_nominal=0.0, n_estimators=3, max_epochs=4, refit=False, random_state=1
        )
        log_weights.append(np.log(reweighter.fit(x, theta).predict_weights(x[:200], 0.7)))
    # Both default networks, three members each.
    assert trained == [3, 3]
    np.testing.assert_allclose(*log_weights, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_single_network_takes_the_usual_way(monkeypatch):
    monkeypatch.setattr(training, "trains_together", lambda *_: True)
    monkeypatch.setattr(together, "StackedModule", None)
    rng = np.random.default_rng(0)
    theta = np.repeat([0.0, 1.0], 300)
    DCTRReweighter(max_epochs=1, random_state=0).fit(rng.normal(theta)[:, None], theta)
