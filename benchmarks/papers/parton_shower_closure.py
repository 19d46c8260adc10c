"""Closure of weights learned from all particles of Pythia's jets, over the range of αs.

The nominal simulation is reweighted to αs and compared with jets generated there: histograms of
observables that the network was not told of, and a classifier that has not seen the events. χ² and
the p-value of the classifier are given twice, for the events alone and with the error that the
weights know of themselves.

Usage: python benchmarks/papers/parton_shower_closure.py [--jets N] [--gen-jets N]
           [--values A [A ...]] [--rank R] [--epochs E] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _parton_shower import prepare
from _tables import row, table_head, verdict
from scipy.stats import chi2, norm
from tqdm import tqdm

from skdctr import DCTRReweighter
from skdctr.closure import classifier_test
from skdctr.datasets import PARAMETERS, make_parton_shower, make_parton_shower_tuning
from skdctr.fitting.choose_reweighter import bind
from skdctr.metrics import histogram_chi2
from skdctr.weights.error import mean_covariance

OBSERVABLES = ("multiplicity", "n_kaons", "tau32", "ecf3")
VALUES = (0.105, 0.12, 0.15, 0.16, 0.175)
LEAST_P = 1e-3
LARGEST_CHI2 = 2.0


def with_weights(found: Any, values: np.ndarray, weights: Any, theta: np.ndarray) -> float:
    """Compute χ² with the covariance that learned weights give to the fractions in bins."""
    bins = np.clip(np.searchsorted(found.edges, values, side="right") - 1, 0, len(found.target) - 1)
    inside = np.eye(len(found.target))[bins]
    known = mean_covariance(weights, inside, np.ones(len(values)), theta).get("generator", 0.0)
    covariance = np.zeros((len(found.target),) * 2)
    for fraction, error in (
        (found.target, found.target_error),
        (found.sample, found.sample_error),
    ):
        # Of weighted events of a fixed sum, nearly.
        n_effective = (fraction * (1 - fraction)).sum() / np.square(error).sum()
        covariance += (np.diag(fraction) - np.outer(fraction, fraction)) / n_effective
    off = found.target - found.sample
    return float(off @ np.linalg.pinv(covariance + known, rcond=1e-10, hermitian=True) @ off)


def compare(
    reweighter: DCTRReweighter, simulation: Any, value: float, jets: int, seed: int, jobs: int
) -> dict[str, Any]:
    """Reweight the simulation to a value of αs and compare it with jets generated there."""
    target = make_parton_shower(
        jets,
        alphaS=value,
        observables=OBSERVABLES,
        random_state=seed,
        n_jobs=jobs,
        verbose=1,
    )
    particles, observables = simulation
    theta = np.array([value])
    weights = bind(reweighter, particles)
    weight = np.exp(weights.log_weights(theta))
    found: dict[str, Any] = {"alphaS": value, "mean_weight": float(weight.mean())}
    for name in OBSERVABLES:
        ours, theirs = (
            frame[name].to_numpy(dtype=float) for frame in (observables, target.observables)
        )
        keep, wanted = np.isfinite(ours), theirs[np.isfinite(theirs)]
        part = weights.subset(np.flatnonzero(keep))
        result = histogram_chi2(wanted, ours[keep], weight_sample=weight[keep])
        before = histogram_chi2(wanted, ours[keep], bins=result.edges)
        both = with_weights(result, ours[keep], part, theta)
        found[name] = {
            "before": before.chi2 / before.ndf,
            "chi2": result.chi2 / result.ndf,
            "p": result.p_value,
            "with weights": both / result.ndf,
            "p with weights": float(chi2.sf(both, result.ndf)),
        }
    test = classifier_test(
        prepare(target.constituents), particles, weight_sample=weight, random_state=seed
    )
    expected = reweighter.expected_auc(particles, theta)
    found |= {
        "auc": test.auc,
        "auc_error": test.error,
        "p_of_auc": test.p_value,
        "expected_auc": expected,
        "p_of_auc with weights": float(norm.sf((test.auc - expected) / test.error)),
    }
    return found


def table(results: list[dict[str, Any]]) -> list[str]:
    """Print what was found, and hold it against what is wanted."""
    head = "αs, observable, χ²/ndf unweighted, χ²/ndf, p, χ²/ndf with the error of the weights, p"
    lines, verdicts = table_head(head), []
    for found in results:
        for name in OBSERVABLES:
            one = found[name]
            lines.append(
                row(
                    f"{found['alphaS']:g}",
                    name,
                    f"{one['before']:.1f}",
                    f"{one['chi2']:.2f}",
                    f"{one['p']:.2g}",
                    f"{one['with weights']:.2f}",
                    f"{one['p with weights']:.2g}",
                )
            )
            title = f"αs = {found['alphaS']:g}, {name}: p-value with the error of the weights"
            verdicts.append(verdict(title, one["p with weights"], LEAST_P, 1.0))
        lines.append(
            row(
                f"{found['alphaS']:g}",
                "all particles",
                "",
                f"AUC {found['auc']:.4f} ± {found['auc_error']:.4f}",
                f"{found['p_of_auc']:.2g}",
                f"up to {found['expected_auc']:.4f}",
                f"{found['p_of_auc with weights']:.2g}",
            )
        )
        title = f"αs = {found['alphaS']:g}: p-value of the classifier test"
        for kind, key in (
            ("", "p_of_auc"),
            (" with the noise of the weights", "p_of_auc with weights"),
        ):
            verdicts.append(verdict(title + kind, found[key], LEAST_P, 1.0))
    return [*lines, "", *verdicts]


def main() -> None:
    """Learn the weights, and compare at every value."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jets", type=int, default=200_000, help="of each sample")
    parser.add_argument("--gen-jets", type=int, help="that the weights learn from; default: --jets")
    parser.add_argument("--rank", type=int, default=4, help="learned functions of the weights")
    parser.add_argument("--epochs", type=int, help="of the weights; default: theirs")
    parser.add_argument("--values", type=float, nargs="+", default=list(VALUES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=None, help="processes that generate jets")
    parser.add_argument("--json", type=Path, help="write all numbers to this file too")
    given = parser.parse_args()
    bunch = make_parton_shower_tuning(
        given.jets,
        n_gen=given.gen_jets,
        vary=["alphaS"],
        target={"alphaS": PARAMETERS["alphaS"].target},
        observables=OBSERVABLES,
        constituents=True,
        n_jobs=given.jobs,
        random_state=given.seed,
        verbose=1,
    )
    reweighter = DCTRReweighter(
        module__rank=given.rank, max_epochs=given.epochs or "auto", random_state=given.seed
    ).fit(prepare(bunch.gen_constituents), bunch.theta)
    simulation = (prepare(bunch.sim_gen_constituents), pd.DataFrame(bunch.sim_gen))
    results = []
    for k, value in enumerate(given.values):
        found = compare(
            reweighter, simulation, value, given.jets, 1000 + given.seed * 100 + k, given.jobs
        )
        tqdm.write(json.dumps(found))
        results.append(found)
        if given.json is not None:
            given.json.write_text(json.dumps(results, indent=1))
    print(*table(results), sep="\n")


if __name__ == "__main__":
    main()
