"""From the samples of `SRGNFitter` to a fit of the optimal observable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.events.identity import are_seen
from skdctr.events.validation import check_sample, check_weights, feature_names
from skdctr.fitting.reweighter import bind, is_exact, parameter_space
from skdctr.fitting.samples import GeneratorInput, Samples
from skdctr.observable.fit import ObservableFit, fit_observable
from skdctr.observable.generator import Correction, GeneratorSample
from skdctr.observable.populations import differing_populations
from skdctr.observable.problem import GeneratorEvents, LearnedWeights, ObservableProblem
from skdctr.observable.regression import RegressionOptions
from skdctr.training.folds import make_folds
from skdctr.weights.event_weights import EventWeights, NetworkWeights

__all__ = ["observable_problem", "run_observable"]

_NO_CORRECTION = (Correction(-1, 1.0),)
# Learned weights that do not know their error have a bias of first order in θ at the least.
_CORRECTIONS = (Correction(1, 1.0), Correction(2, 1.0))


def observable_problem(
    samples: Samples,
    weights: EventWeights,
    reweighter: Any,
    gen: GeneratorInput,
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
    gen : GeneratorInput
        Generator sample.
    low, high : ndarray of shape (p,)
        Bounds.
    constraints : mapping of str to (float, float)
        What is known beforehand.
    seed : int
        Chooses the events of tables.
    """
    n, at_generator_level = len(samples.sim_gen), samples.sim is samples.sim_gen
    of_sim = _by_fold(weights)
    of_data: list[EventWeights | None] = [None] * len(of_sim)
    if at_generator_level:
        of_data = [*_by_fold(reweighter._bind(samples.data))]
    generator: list[GeneratorEvents | None] = [None] * len(of_sim)
    if gen.given:
        generator = [*_generator_events(reweighter, gen, len(of_sim), seed)]
    return ObservableProblem(
        parts=[LearnedWeights(*each) for each in zip(of_sim, of_data, generator, strict=True)],
        sim_gen=samples.sim_gen,
        sim=samples.sim,
        passed=np.ones(n, dtype=bool) if samples.passed is None else samples.passed,
        sim_weight=samples.sim_weight,
        data=samples.data,
        data_weight=samples.data_weight,
        names=list(parameter_space(reweighter).names),
        low=low,
        high=high,
        constraints=constraints,
    )


def _by_fold(weights: EventWeights) -> list[EventWeights]:
    return [*weights.by_fold()] if isinstance(weights, NetworkWeights) else [weights]


def _generator_events(
    reweighter: Any, gen: GeneratorInput, n_parts: int, seed: int
) -> list[GeneratorEvents]:
    """Give each part of a cross-fit the generator events that its networks have not seen."""
    space = parameter_space(reweighter)
    events = check_sample(gen.events, name="gen")
    rows = space.rows(gen.theta, len(events), name="theta")
    weight = check_weights(gen.weight, len(events), name="gen_weight")
    folds = np.zeros(len(events), dtype=np.intp)
    if n_parts > 1:
        folds = reweighter.folds_
        # What was fitted by a version that kept no sums is taken by its number.
        sums = getattr(reweighter, "_seen_sums", None)
        if len(folds) != len(events) or (sums is not None and not are_seen(events, sums)):
            # Other events than those that it was fitted on: no network has seen any.
            folds = make_folds(len(events), n_parts, np.random.default_rng(seed))
    found = []
    bound = bind(reweighter, events, feature_names(gen.events), called="gen")
    for k, of_part in enumerate(_by_fold(bound)):
        unseen = np.flatnonzero((folds == k) & (weight != 0))
        # A part that has all events is not copied.
        theirs, part = of_part, events
        if len(unseen) < len(events):
            theirs, part = of_part.subset(unseen), events[unseen]
        sample = GeneratorSample(
            theirs,
            rows[unseen],
            weight[unseen],
            space.nominal,
            np.random.default_rng(seed),
        )
        found.append(GeneratorEvents(part, theirs, sample))
    return found


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
    exact = is_exact(reweighter)
    notes = []
    difference = differing_populations(problem, parameter_space(reweighter).nominal)
    if difference is not None:
        notes.append(
            "another population: the simulation and the generator events at θ₀ differ, "
            f"{difference}. The generator events do not correct the weights; select both alike, "
            "give θ₀ of the simulation as the reweighter's theta_nominal, and events that the "
            "reconstruction lost as rows of NaN"
        )
        problem = problem.without_generator()
    corrections: tuple[Correction, ...] = _NO_CORRECTION if exact else _CORRECTIONS
    generator, n_parts = problem.parts[0].generator, len(problem.parts)
    if n_parts == 1 and generator is not None and generator.sample.knows_weights:
        # Events that have not been seen correct weights whatever these know of their error.
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
