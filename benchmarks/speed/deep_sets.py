"""Sets of particles packed one after the other, beside sets padded to 51 particles.

The same particle flow network, with the same weights, trains and predicts on both: packed as the
package keeps them, and padded with a mask as the papers' implementations do. Training is one epoch
of `skdctr.training.train`, prediction `predict_logits`; packed and padded take turns, and the
ratio is the median over the repetitions. Peak memory is that of a training step in a process of
its own, beyond what it has before, for jets of few and of many particles.

Jets have as many particles as a gamma-Poisson distribution of mean 22 and standard deviation 7.6
says, or come from Pythia with ``--source pythia``; those have 14 on average.

Usage: python benchmarks/speed/deep_sets.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdctr.events.scaling import Scaling
from skdctr.events.tensors import PackedTensors
from skdctr.networks import DeepSets
from skdctr.preprocessing import PackedEvents
from skdctr.training.batches import EventDataset
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import predict_logits
from skdctr.training.train import train

ROOM = 51
MEAN, DEVIATION = 22.0, 7.6
FEATURES = 3
TYPES = (211, -211, 22, 321, -321, 130, 2212, -2212, 2112, -2112, 11, -11)
NETWORKS = {
    "papers": {"phi_sizes": (100, 100, 128), "hidden_layer_sizes": (100, 100, 100)},
    "default": {"phi_sizes": (32, 32, 32), "hidden_layer_sizes": (32, 32), "activation": "silu"},
}
TARGET = 2.0


class Padded(nn.Module):
    """`DeepSets` on (n, particles, features + type + mask), every row of which passes Φ."""

    def __init__(self, network: DeepSets) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        """Map n padded sets and θ (n, 1) to one logit per event."""
        encoder = self.network.encoder
        features, types, mask = x[..., :FEATURES], x[..., FEATURES].long(), x[..., -1:]
        inputs = torch.cat([features, encoder.embedding.weight[types]], dim=2)
        latent = (encoder.phi(inputs) * mask).sum(dim=1)
        return self.network.from_functions((latent - encoder.shift) * encoder.inverse_scale, theta)


@dataclass
class Sample:
    """Jets in both forms, with a class and a θ each."""

    packed: PackedTensors
    padded: Tensor
    target: Tensor
    theta: Tensor

    @classmethod
    def of(cls, events: PackedEvents, device: str) -> Sample:
        """Scale events and pad them too."""
        scaled = Scaling.standard(events, np.ones(len(events)))(events)
        padded = torch.zeros(len(events), ROOM, FEATURES + 2)
        rows = torch.as_tensor(np.arange(ROOM) < events.counts[:, None])
        columns = [scaled.features, scaled.types[:, None], np.ones((len(scaled.features), 1))]
        padded[rows] = torch.as_tensor(np.concatenate(columns, axis=1)).float()
        generator = torch.Generator().manual_seed(0)
        return cls(
            scaled.to_torch(device),
            padded.to(device),
            (torch.arange(len(events)) % 2).float().to(device),
            (2 * torch.rand(len(events), 1, generator=generator) - 1).to(device),
        )


def toy_jets(n_jets: int, mean: float = MEAN) -> PackedEvents:
    """Draw jets with particles at random."""
    rng = np.random.default_rng(0)
    spread = max(DEVIATION**2 - MEAN, 1.0) / MEAN
    counts = rng.poisson(rng.gamma(mean / spread, spread, n_jets)).clip(1, ROOM)
    n = counts.sum()
    return PackedEvents(
        rng.standard_normal((n, FEATURES)).astype(np.float32),
        np.concatenate([[0], counts.cumsum()]),
        ("pt", "eta", "phi"),
        rng.choice(TYPES, n).astype(np.int32),
        "pid",
    )


def pythia_jets(n_jets: int) -> PackedEvents:
    """Take jets of the parton-shower example, but for the few that do not fit into the padding."""
    from skdctr.datasets import make_parton_shower

    jets = PackedEvents.from_events(make_parton_shower(n_jets, random_state=1).constituents)
    return jets[jets.counts <= ROOM]


def make_network(name: str, sample: Sample) -> DeepSets:
    """Make the network that both forms share."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - inside a fork of the generator's state
        network = DeepSets(
            FEATURES, 1, n_types=sample.packed.n_types, plain_sums=False, **NETWORKS[name]
        )
    network = network.to(sample.theta.device)
    network.standardise(sample.packed)
    return network


def finish(device: torch.device) -> float:
    """Wait for the device and read the clock."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(device: torch.device, function: Callable[[], Any]) -> float:
    """Time one call."""
    start = finish(device)
    function()
    return finish(device) - start


def one_epoch(module: nn.Module, x: Any, sample: Sample, batch_size: int) -> None:
    """Train over all jets once."""
    data = EventDataset(x, sample.target, torch.ones_like(sample.target), sample.theta)
    options = TrainingOptions(max_epochs=1, batch_size=batch_size, lr=1e-3, lr_schedule="constant")
    train(module, data, options, device=sample.theta.device)


def measure(name: str, form: str, sample: Sample, batch_size: int) -> tuple[float, float]:
    """Jets per second of one form, in training and in prediction."""
    device, n = sample.theta.device, len(sample.theta)
    network = make_network(name, sample)
    module: nn.Module = network
    x: Any = sample.packed
    chunk = None
    if form == "padded":
        module, x = Padded(network), sample.padded
        # As many rows at a time as particles of packed jets.
        chunk = (1 << (12 if device.type == "cpu" else 18)) // ROOM
    return (
        n / seconds(device, lambda: one_epoch(module, x, sample, batch_size)),
        n / seconds(device, lambda: predict_logits(module, x, sample.theta, batch_size=chunk)),
    )


def rates(name: str, sample: Sample, batch_size: int, repeats: int) -> dict[str, list[float]]:
    """Measure both forms in turns: each goes first every other time."""
    found: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):
        for form in ("padded", "packed")[:: 1 if repeat % 2 else -1]:
            values = measure(name, form, sample, batch_size)
            # The first round builds torch's kernels.
            for step, value in zip(("train", "predict"), values, strict=True) if repeat else ():
                found.setdefault(f"{step} {form}", []).append(value)
    return found


def check(sample: Sample) -> None:
    """Compare the logits of both forms."""
    network = make_network("papers", sample)
    first = predict_logits(network, sample.packed, sample.theta)
    second = predict_logits(Padded(network), sample.padded, sample.theta, batch_size=1000)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)


def memory(kind: str) -> int:
    """Read the memory of this process in bytes, now (VmRSS) or at its peak (VmHWM); Linux only."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(text.partition(kind + ":")[2].split()[0])


def peak_memory(name: str, form: str, mean: float, batch_size: int, device: str, pipe: Any) -> None:
    """Send the memory that a training step takes at its peak, and the number of particles."""
    sample = Sample.of(toy_jets(batch_size, mean), device)
    network = make_network(name, sample)
    module: nn.Module = network if form == "packed" else Padded(network)
    x: Any = sample.packed if form == "packed" else sample.padded

    def step(rows: slice) -> None:
        logit = module(x[rows], sample.theta[rows])
        nn.functional.binary_cross_entropy_with_logits(logit, sample.target[rows]).backward()

    step(slice(0, 10))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(slice(None))
        peak = torch.cuda.max_memory_allocated()
    else:
        # Sets the peak to what there is now.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = memory("VmRSS")
        step(slice(None))
        peak = memory("VmHWM")
    pipe.send((peak - before, len(sample.packed.features)))


def measure_memory(*arguments: Any) -> tuple[int, int]:
    """Do so in a process of its own, whose peak is not that of what was done before."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=peak_memory, args=(*arguments, sender))
    process.start()
    result: tuple[int, int] = receiver.recv()
    process.join()
    return result


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jets", type=int, default=50_000)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--source", choices=["toy", "pythia"], default="toy")
    parser.add_argument(
        "--memory-jets", type=int, default=10_000, help="of a batch, for the memory"
    )
    arguments = parser.parse_args()
    jets = {"toy": toy_jets, "pythia": pythia_jets}[arguments.source](arguments.jets)
    print(
        f"{len(jets)} jets ({arguments.source}), {jets.counts.mean():.1f} ± {jets.counts.std():.1f}"
        f" particles each, padded to {ROOM}; batches of {arguments.batch_size}, "
        f"{arguments.repeats} repetitions, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    head = ("device", "network", "step", "packed/s", "padded/s", "ratio", "target", "met")
    print("{:7}{:>9}{:>9}{:>11}{:>11}{:>8}{:>8}{:>6}".format(*head))
    for device in devices:
        sample = Sample.of(jets, device)
        check(Sample.of(jets[:2000], device))
        for name in NETWORKS:
            found = rates(name, sample, arguments.batch_size, arguments.repeats)
            for step in ("train", "predict"):
                packed, padded = found[f"{step} packed"], found[f"{step} padded"]
                ratio = median(a / b for a, b in zip(packed, padded, strict=True))
                print(
                    f"{device:7}{name:>9}{step:>9}{median(packed):>11.0f}{median(padded):>11.0f}"
                    f"{ratio:>8.2f}{TARGET:>8.1f}{'yes' if ratio >= TARGET else 'NO':>6}"
                )
    print("\nPeak memory of a training step, papers' network")
    head = ("device", "form", "particles/jet", "MB", "kB/particle")
    print("{:7}{:>9}{:>15}{:>9}{:>13}".format(*head))
    for device in devices:
        for form in ("packed", "padded"):
            for mean in (10.0, 20.0, 40.0):
                n_bytes, n = measure_memory("papers", form, mean, arguments.memory_jets, device)
                print(
                    f"{device:7}{form:>9}{n / arguments.memory_jets:>15.1f}{n_bytes / 1e6:>9.0f}"
                    f"{n_bytes / 1e3 / n:>13.2f}"
                )


if __name__ == "__main__":
    main()
