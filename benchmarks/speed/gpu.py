"""Training, prediction and ensembles on a GPU beside the CPU of the same machine.

- training: events per second through `DCTRReweighter`'s two default networks, by batch size;
- kernels: share of the time of an epoch in which the GPU computes, from torch's profiler;
- prediction: events per second of `predict_log_weights`;
- refit: seconds of a whole fit with defaults, refit of the couplings included;
- ensemble: seconds of n_estimators=40 over those of 1;
- agreement: largest difference of the log-weights of one fit evaluated on either device.

The first line names the devices. Without a GPU the columns of the CPU are printed alone.

Usage: python benchmarks/speed/gpu.py [--events N] [--members M] [--json FILE]
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from skdctr import DCTRReweighter
from skdctr.networks import MLP, SeparableNetwork

BATCHES = (4_000, 40_000, 400_000)
NETWORKS = {"separable": SeparableNetwork, "mlp": MLP}
MEMBERS_TARGET, AGREEMENT_TARGET = 5.0, 1e-3


def sample(n_events: int, n_features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Draw Gaussian events, half nominal, half with a shift θ of the first feature."""
    rng = np.random.default_rng(0)
    theta = np.where(np.arange(n_events) % 2, rng.uniform(-1, 1, n_events), 0.0)
    x = rng.standard_normal((n_events, n_features))
    x[:, 0] += theta
    return x, theta


def seconds(task: Callable[[], Any], device: str) -> float:
    """Time a task until the device has done all of it."""
    start = time.perf_counter()
    task()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def reweighter(device: str, **settings: Any) -> DCTRReweighter:
    """Make one with a fixed seed."""
    return DCTRReweighter(device=device, random_state=1, **settings)


def training_rate(
    events: np.ndarray, theta: np.ndarray, network: str, batch_size: int, device: str
) -> float:
    """Return the events per second of an epoch: five epochs less one, so that set-up drops out."""
    settings = {"module": NETWORKS[network], "batch_size": batch_size, "refit": False}
    times = [
        seconds(lambda n=n: reweighter(device, max_epochs=n, **settings).fit(events, theta), device)
        for n in (1, 1, 5)
    ]
    return 4 * len(events) / (times[2] - times[1])


def kernel_share(events: np.ndarray, theta: np.ndarray, batch_size: int) -> float:
    """Return the share of a training in which the GPU computes."""
    fit = reweighter(
        "cuda", module=SeparableNetwork, batch_size=batch_size, refit=False, max_epochs=5
    )
    fit.fit(events[:4000], theta[:4000])
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        wall = seconds(lambda: fit.fit(events, theta), "cuda")
    busy = sum(
        event.self_device_time_total
        for event in profiler.key_averages()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    )
    return busy / 1e6 / wall


def measure(n_events: int, members: int, devices: list[str]) -> list[dict[str, Any]]:
    """Measure everything on each device; a row for each figure."""
    events, theta = sample(n_events)
    few = events[: n_events // 10], theta[: n_events // 10]
    rows: list[dict[str, Any]] = []

    def add(task: str, unit: str, figure: Callable[[str], float], on: list[str] = devices) -> None:
        row: dict[str, Any] = {"task": task, "unit": unit}
        for device in on:
            row[device] = figure(device)
        rows.append(row)
        show(row)

    for network in NETWORKS:
        for batch in BATCHES:
            if batch <= n_events:
                add(
                    f"training, {network}, batch {batch}",
                    "events/s",
                    lambda device, network=network, batch=batch: training_rate(
                        events, theta, network, batch, device
                    ),
                )
    fitted = reweighter("cpu", max_epochs=5).fit(*few)
    moved = {"cpu": fitted}
    if "cuda" in devices:
        moved["cuda"] = copy.deepcopy(fitted)
        moved["cuda"].net_.module_.to("cuda")
        add(
            "share of the time in kernels, batch 4000",
            "",
            lambda _: kernel_share(*few, 4000),
            ["cuda"],
        )
    add(
        "prediction",
        "events/s",
        lambda device: (
            n_events / seconds(lambda: moved[device].predict_log_weights(events, 0.5), device)
        ),
    )
    add(
        "fit with defaults",
        "s",
        lambda device: seconds(lambda: reweighter(device).fit(events, theta), device),
    )
    alone = {
        device: seconds(lambda device=device: reweighter(device, refit=False).fit(*few), device)
        for device in devices
    }
    add(
        f"{members} members over 1",
        "",
        lambda device: (
            seconds(lambda: reweighter(device, refit=False, n_estimators=members).fit(*few), device)
            / alone[device]
        ),
    )
    if "cuda" in devices:
        logs = [moved[device].predict_log_weights(few[0], 0.5) for device in ("cpu", "cuda")]
        add(
            "largest difference of log w",
            "",
            lambda _: float(np.abs(logs[0] - logs[1]).max()),
            ["cuda"],
        )
    return rows


def show(row: dict[str, Any]) -> None:
    """Print a row, with the ratio of the devices where there are two."""
    figures = "  ".join(
        f"{row[device]:>12.4g}" if device in row else " " * 12 for device in ("cpu", "cuda")
    )
    ratio = f"  {row['cuda'] / row['cpu']:8.3g}" if {"cpu", "cuda"} <= row.keys() else ""
    print(f"{row['task']:<42} {row['unit']:<9} {figures}{ratio}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=float, default=1e6)
    parser.add_argument("--members", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    gpu = torch.cuda.get_device_name() if "cuda" in devices else "no GPU"
    print(
        f"{gpu}; CPU {platform.processor() or platform.machine()}, {torch.get_num_threads()} "
        f"threads; torch {torch.__version__}; {int(given.events)} events"
    )
    print(f"{'':<42} {'unit':<9} {'  '.join(f'{device:>12}' for device in devices)}")
    rows = measure(int(given.events), given.members, devices)
    if "cuda" in devices:
        members = next(row for row in rows if row["task"].endswith("members over 1"))["cuda"]
        difference = rows[-1]["cuda"]
        for what, value, target in (
            ("members", members, MEMBERS_TARGET),
            ("agreement", difference, AGREEMENT_TARGET),
        ):
            print(
                f"{what}: {value:.3g}, target {target:g}: {'met' if value <= target else 'MISSED'}"
            )
    if given.json:
        given.json.write_text(json.dumps({"gpu": gpu, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
