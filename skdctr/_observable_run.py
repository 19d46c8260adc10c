"""From the samples of `SRGNFitter` to a fit of the optimal observable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ._resolve import bind, parameter_space
from ._samples import Samples
from ._validation import FloatArray, check_sample, check_theta_rows
from ._weights import EventWeights
from .analytic import AnalyticReweighter
from .generator_sample import Correction, GeneratorSample
from .optimal_observable import (
    ObservableFit,
    ObservableProblem,
    differing_populations,
    fit_observable,
)
from .regression import RegressionOptions

__all__ = ["observable_problem", "run_observable"]

_NO_CORRECTION = (Correction(-1, 1.0),)
# Learned weights that do not know their error have a bias of first order in θ at the least.
_CORRECTIONS = (Correction(1, 1.0), Correction(2, 1.0))


def observable_problem(
    samples: Samples,
    weights: EventWeights,
    reweighter: Any,
    gen: Any,
    theta: Any,
    *,
    low: FloatArray,
    high: FloatArray,
    constraints: Mapping[str, tuple[float, float]],
    seed: int,
) -> ObservableProblem:
    """Put the samples of a fit together.

    Parameters
    ----------
    samples : Samples
        Simulation and data.
    weights : EventWeights
        Of the simulated events.
    reweighter : reweighter
        Fitted.
    gen, theta : array-like or None
        Generator sample.
    low, high : ndarray of shape (p,)
        Bounds.
    constraints : mapping of str to (float, float)
        What is known beforehand.
    seed : int
        Chooses the events of tables.
    """
    space = parameter_space(reweighter)
    n = len(samples.sim_gen)
    problem = ObservableProblem(
        weights=weights,
        sim_gen=samples.sim_gen,
        sim=samples.sim,
        passed=np.ones(n, dtype=bool) if samples.passed is None else samples.passed,
        same_level=samples.sim is samples.sim_gen,
        sim_weight=samples.sim_weight,
        data=samples.data,
        data_weight=samples.data_weight,
        gen=None,
        generator=None,
        names=list(space.names),
        low=low,
        high=high,
        constraints=constraints,
    )
    if gen is None:
        return problem
    events = check_sample(gen, name="gen")
    rows, _ = check_theta_rows(theta, len(events), name="theta")
    # By name where θ has names, which need not come in the reweighter's order.
    rows = space.point(
        theta if isinstance(theta, pd.DataFrame) else rows, n_events=len(events), name="theta"
    )
    generator = GeneratorSample(
        bind(reweighter, events),
        rows,
        np.ones(len(events)),
        space.nominal,
        np.random.default_rng(seed),
    )
    return replace(problem, gen=events, generator=generator)


def run_observable(
    problem: ObservableProblem,
    reweighter: Any,
    start: FloatArray,
    options: RegressionOptions,
    *,
    n_folds: int,
    seed: int,
) -> ObservableFit:
    """Fit θ, with the generator sample where it is of the simulation's population.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.
    reweighter : reweighter
        Fitted.
    start : ndarray of shape (p,)
        First θ.
    options : RegressionOptions
        Networks of the regressions.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of all that is random.
    """
    exact = isinstance(reweighter, AnalyticReweighter)
    notes = []
    difference = differing_populations(problem, parameter_space(reweighter).nominal)
    if difference is not None:
        notes.append(
            "another population: the simulation and the generator events at θ₀ differ, "
            f"{difference}. The generator events do not correct the weights; select both alike, "
            "and give events that the reconstruction lost as rows of NaN"
        )
        problem = replace(problem, gen=None, generator=None)
    corrections: tuple[Correction, ...] = _NO_CORRECTION if exact else _CORRECTIONS
    if problem.generator is not None and problem.generator.knows_weights:
        corrections = _NO_CORRECTION + _CORRECTIONS
    found = fit_observable(
        problem,
        start,
        options,
        corrections=corrections,
        n_folds=n_folds,
        seed=seed,
    )
    if not found.converged:
        notes.append(f"θ still moved after {len(found.references)} references")
    return replace(found, messages=[*found.messages, *notes])
