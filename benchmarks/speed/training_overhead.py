"""What training and prediction cost beside a bare torch loop and stock skorch.

One epoch of a (128, 128) relu network on weighted events of two classes with two features, then
its logits for all events, in five ways:

- ours: `skdctr.training.train` and `predict_logits`, as every estimator calls them;
- bare: what a good user writes, Adam over a permutation indexed batch by batch;
- stock: skorch's NeuralNetBinaryClassifier, on fewer rows and scaled up, as it takes minutes.

Ours and bare alternate within one run; the ratio is the median over the repetitions. Bare
prediction is done at the batch size and in one piece, and the faster one counts. The last lines
are `DCTRReweighter.fit` and `predict_log_weights` with the same network on one feature and θ:
what the preparation of events adds.

Usage: python benchmarks/speed/training_overhead.py
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import skorch
import torch
from skorch import NeuralNetBinaryClassifier
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from skdctr import DCTRReweighter
from skdctr.networks import MLP
from skdctr.training.batches import EventDataset
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import predict_logits
from skdctr.training.train import train

HIDDEN = (128, 128)
FIT_TARGET = {1_000: 1.3, 10_000: 1.1, 100_000: 1.1}
PREDICT_TARGET = 1.2


@dataclass
class Sample:
    """Two classes of events, one unit apart, with weights around one."""

    x: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def draw(cls, rows: int) -> Sample:
        """Draw events, the classes in turn."""
        generator = torch.Generator().manual_seed(0)
        target = (torch.arange(rows) % 2).float()
        x = torch.randn(rows, 2, generator=generator) + target[:, None]
        weight = torch.rand(rows, generator=generator) + 0.5
        return cls(x, target, weight / weight.mean())


@dataclass
class Times:
    """Seconds of each repetition."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of ours over bare."""
        return median(a / b for a, b in zip(self.ours, self.bare, strict=True))


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Time one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def new_network() -> nn.Module:
    """Make the network that all train."""
    return MLP(2, hidden_layer_sizes=HIDDEN, activation="relu")


def fit_ours(sample: Sample, batch_size: int) -> nn.Module:
    """Train as the package does."""
    data = EventDataset(sample.x, sample.target, sample.weight)
    options = TrainingOptions(max_epochs=1, batch_size=batch_size, lr=1e-3, lr_schedule="constant")
    module: nn.Module = train(new_network(), data, options, device=torch.device("cpu")).module_
    return module


def fit_bare(sample: Sample, batch_size: int) -> nn.Module:
    """Train as a good user would."""
    module = new_network()
    optimizer = torch.optim.Adam(module.parameters())
    permutation = torch.randperm(len(sample.x))
    for start in range(0, len(permutation), batch_size):
        rows = permutation[start : start + batch_size]
        optimizer.zero_grad()
        logit = module(sample.x[rows])
        loss = functional.binary_cross_entropy_with_logits(
            logit, sample.target[rows], weight=sample.weight[rows]
        )
        loss.backward()
        optimizer.step()
    return module


@torch.no_grad()
def predict_bare(module: nn.Module, x: Tensor, batch_size: int) -> Tensor:
    """Predict as a good user would."""
    return torch.cat([module(rows) for rows in x.split(batch_size)])


def time_stock(sample: Sample, batch_size: int) -> tuple[float, float]:
    """Seconds to fit and to predict."""
    net = NeuralNetBinaryClassifier(
        MLP,
        module__n_features=2,
        module__hidden_layer_sizes=HIDDEN,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=1,
        batch_size=batch_size,
        train_split=None,
        verbose=0,
    )
    x, target = sample.x.numpy(), sample.target.numpy()
    return seconds(net.fit, x, target), seconds(net.predict_proba, x)


def time_reweighter(rows: int, batch_size: int) -> tuple[float, float]:
    """Seconds to fit and to predict, with one feature and one parameter."""
    rng = np.random.default_rng(0)
    theta = np.where(np.arange(rows) % 2, rng.uniform(-2, 2, rows), 0.0)
    x = rng.normal(theta)[:, None]
    reweighter = DCTRReweighter(
        hidden_layer_sizes=HIDDEN,
        activation="relu",
        module=MLP,
        max_epochs=1,
        batch_size=batch_size,
        lr_schedule="constant",
        lr=1e-3,
        validation_fraction=0,
        random_state=0,
        device="cpu",
    )
    fit = seconds(reweighter.fit, x, theta)
    return fit, seconds(reweighter.predict_log_weights, x, 1.0)


def measure(sample: Sample, batch_size: int, repeats: int, bar: Any) -> tuple[Times, Times]:
    """Time ours and bare in turns: each goes first every other time."""
    fit, predict = Times(), Times()
    for repeat in range(repeats):
        for step in (1, 0) if repeat % 2 else (0, 1):
            times, function = ((fit.ours, fit_ours), (fit.bare, fit_bare))[step]
            times.append(seconds(function, sample, batch_size))
        module = new_network()
        ours, bare = [], []
        for size in (batch_size, len(sample.x)):
            ours.append(seconds(predict_logits, module, sample.x))
            bare.append(seconds(predict_bare, module, sample.x, size))
        predict.ours.append(min(ours))
        predict.bare.append(min(bare))
        bar.update()
    return fit, predict


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=sorted(FIT_TARGET))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stock-share", type=float, default=0.1, help="of the rows, for skorch")
    arguments = parser.parse_args()
    sample = Sample.draw(arguments.rows)
    few = Sample.draw(max(1000, int(arguments.stock_share * arguments.rows)))
    # torch loads its optimizers and builds its kernels at first use.
    warm = Sample.draw(20_000)
    (
        fit_ours(warm, 1000),
        fit_bare(warm, 1000),
        time_stock(warm, 1000),
        time_reweighter(20_000, 1000),
    )

    print(
        f"{arguments.rows} rows × 2, network {HIDDEN} relu, Adam, one epoch, CPU "
        f"({torch.get_num_threads()} threads), {arguments.repeats} repetitions; "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"skorch {skorch.__version__}"
    )
    print(f"stock skorch ran on {len(few.x)} rows; its seconds are scaled to {arguments.rows}")
    lines = []
    with tqdm(total=len(arguments.batch_sizes) * (arguments.repeats + 2), leave=False) as bar:
        for batch_size in arguments.batch_sizes:
            fit, predict = measure(sample, batch_size, arguments.repeats, bar)
            scale = arguments.rows / len(few.x)
            stock = [scale * value for value in time_stock(few, batch_size)]
            bar.update()
            reweighter = time_reweighter(arguments.rows, batch_size)
            bar.update()
            targets = (FIT_TARGET.get(batch_size), PREDICT_TARGET)
            for step, times, other, public, target in zip(
                ("fit", "predict"), (fit, predict), stock, reweighter, targets, strict=True
            ):
                met = "" if target is None else "yes" if times.ratio <= target else "NO"
                lines.append(
                    f"{step:8}{batch_size:>8}{median(times.ours):>9.2f}{median(times.bare):>9.2f}"
                    f"{times.ratio:>8.2f}{target or '':>8}{met:>6}{other:>9.1f}{public:>13.2f}"
                )
    print(
        f"{'':8}{'batch':>8}{'ours/s':>9}{'bare/s':>9}{'ratio':>8}{'target':>8}{'met':>6}"
        f"{'stock/s':>9}{'reweighter/s':>13}"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
