"""From the samples of a fit to the problem that the optimal observable solves."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdctr.events.frames import column_labels
from skdctr.events.validation import check_sample, check_weights
from skdctr.fitting.samples import GeneratorInput, Samples
from skdctr.observable.generator import GeneratorSample
from skdctr.observable.problem import GeneratorEvents, LearnedWeights, ObservableProblem
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.space import ParameterSpace
from skdctr.training.folds import make_folds
from skdctr.weights.event_weights import EventWeights

__all__ = ["observable_problem"]


def observable_problem(
    samples: Samples,
    weights: EventWeights,
    reweighter: Any,
    gen: GeneratorInput,
    *,
    space: ParameterSpace,
    constraints: Constraints,
    seed: int,
) -> ObservableProblem:
    """Put the samples of a fit together.

    Parameters
    ----------
    samples : Samples
        Simulation and data.
    weights : EventWeights
        Log-weights of the simulated events.
    reweighter : reweighter
        The fitted reweighter that they come from.
    gen : GeneratorInput
        Generator sample.
    space : ParameterSpace
        The range that is searched.
    constraints : Constraints
        What is known of parameters beforehand.
    seed : int
        Seed of the choice of events of tables.
    """
    of_sim = weights.by_fold()
    of_data: list[EventWeights | None] = [None] * len(of_sim)
    if samples.at_generator_level:
        of_data = [*reweighter.bind(samples.data, name="data").by_fold()]
    generator: list[GeneratorEvents | None] = [None] * len(of_sim)
    if gen.given:
        generator = [*_generator_events(reweighter, gen, space, len(of_sim), seed)]
    n = len(samples.sim_gen)
    return ObservableProblem(
        parts=[LearnedWeights(*each) for each in zip(of_sim, of_data, generator, strict=True)],
        sim_gen=samples.sim_gen,
        sim=samples.sim,
        passed=np.ones(n, dtype=bool) if samples.passed is None else samples.passed,
        sim_weight=samples.sim_weight,
        data=samples.data,
        data_weight=samples.data_weight,
        space=space,
        constraints=constraints,
    )


def _generator_events(
    reweighter: Any, gen: GeneratorInput, space: ParameterSpace, n_parts: int, seed: int
) -> list[GeneratorEvents]:
    """Give each part of a cross-fit the generator events that its networks have not seen."""
    events = check_sample(gen.events, name="gen")
    rows = space.rows(gen.theta, len(events), name="theta")
    weight = check_weights(gen.weight, len(events), name="gen_weight")
    folds = np.zeros(len(events), dtype=np.intp)
    if n_parts > 1:
        known = reweighter.unseen_folds(events)
        if known is None:
            # Other events than those that it was fitted on: no network has seen any.
            known = make_folds(len(events), n_parts, np.random.default_rng(seed))
        folds = known
    found = []
    bound = reweighter.bind(events, name="gen", feature_names=column_labels(gen.events))
    for k, of_part in enumerate(bound.by_fold()):
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
