"""Bias of learned weights over θ, against exact weights on the same events.

For each seed: `make_gaussian` afresh, `DCTRReweighter` with its defaults, and the weighted mean
of x_G over the nominal simulated events, once with learned and once with exact weights, at ten
values of μ. The events are the same, so the difference is the error of the network alone, free of
the statistical error of the sample. The width of x_G is 1.

Usage: python benchmarks/accuracy/reweighting_accuracy.py
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np
import torch
from tqdm import tqdm

from skdctr import DCTRReweighter
from skdctr.datasets import make_gaussian

MUS = np.linspace(-1.5, 1.5, 10)
LARGEST, AVERAGE, SECONDS = 0.006, 0.003, 90.0


def biases(n_events: int, seed: int) -> tuple[np.ndarray, float]:
    """Return E_w[x_G] − E_θ[x_G] at each μ, and the seconds of the fit."""
    bunch = make_gaussian(n_events, random_state=seed)
    start = time.perf_counter()
    reweighter = DCTRReweighter(random_state=seed).fit(bunch.gen, bunch.theta)
    seconds = time.perf_counter() - start
    x = bunch.sim_gen[:, 0]
    difference = [
        np.average(x, weights=reweighter.predict_weights(bunch.sim_gen, mu))
        - np.average(x, weights=np.exp(bunch.log_weight(bunch.sim_gen, mu)))
        for mu in MUS
    ]
    return np.array(difference), seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="of each class")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    # torch loads its optimizers at first use.
    biases(2000, seed=0)
    results = [
        biases(arguments.events, seed)
        for seed in tqdm(range(1, arguments.seeds + 1), unit="seed", leave=False)
    ]
    bias = np.abs([row for row, _ in results])
    print(
        f"{arguments.events} events a class, DCTRReweighter defaults, CPU "
        f"({torch.get_num_threads()} threads); Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
    print("|E_w[x_G] − E_μ[x_G]| in units of the width\n")
    print(f"{'μ':>8}" + "".join(f"{mu:>9.2f}" for mu in MUS) + f"{'largest':>10}{'fit/s':>8}")
    for k, (row, (_, seconds)) in enumerate(zip(bias, results, strict=True), start=1):
        print(
            f"{'seed ' + str(k):>8}"
            + "".join(f"{value:>9.4f}" for value in row)
            + f"{row.max():>10.4f}{seconds:>8.1f}"
        )
    print(f"{'average':>8}" + "".join(f"{value:>9.4f}" for value in bias.mean(axis=0)))
    slowest = max(seconds for _, seconds in results)
    for name, value, target in (
        ("largest value", bias.max(), LARGEST),
        ("largest average over seeds", bias.mean(axis=0).max(), AVERAGE),
        ("slowest fit in seconds", slowest, SECONDS),
    ):
        print(f"{name}: {value:.4g}, target {target:g}: {'met' if value <= target else 'MISSED'}")


if __name__ == "__main__":
    main()
