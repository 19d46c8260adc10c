"""The problem that the optimal observable solves, made from the samples of a fit."""

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
from skdctr.parameters.trained_range import without_lone_theta
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
    """Put the samples of a fit and the weights of each part of a cross-fit together.

    Parameters
    ----------
    samples : Samples
        Simulation and data.
    weights : EventWeights
        Log-weights of the simulated events.
    reweighter : reweighter
        The fitted reweighter that the weights come from.
    gen : GeneratorInput
        Generator sample.
    space : ParameterSpace
        The range that is searched.
    constraints : Constraints
        Mean and standard deviation of some parameters.
    seed : int
        Seed of the choice of generator events that are tabulated, and of the parts of a cross-fit
        where these are not those of the fit.

    Returns
    -------
    ObservableProblem
    """
    sim_weights = weights.by_fold()
    n_parts = len(sim_weights)
    data_weights: list[EventWeights | None] = [None] * n_parts
    if samples.at_generator_level:
        data_weights = [*reweighter.bind(samples.data, name="data").by_fold()]
    generator: list[GeneratorEvents | None] = [None] * n_parts
    if gen.given:
        generator = [*_generator_events(reweighter, gen, space, n_parts, seed)]
    n = len(samples.sim_gen)
    by_part = zip(sim_weights, data_weights, generator, strict=True)
    return ObservableProblem(
        parts=[LearnedWeights(*learned) for learned in by_part],
        sim_gen=samples.sim_gen,
        sim=samples.sim,
        passed=np.ones(n, dtype=bool) if samples.passed is None else samples.passed,
        sim_weight=samples.sim_weight,
        data=samples.data,
        data_weight=samples.data_weight,
        space=space,
        constraints=constraints,
        gen_columns=samples.gen_columns,
        columns=samples.columns,
    )


def _generator_events(
    reweighter: Any, gen: GeneratorInput, space: ParameterSpace, n_parts: int, seed: int
) -> list[GeneratorEvents]:
    """Give each part of a cross-fit the generator events that its networks have not seen."""
    events = check_sample(gen.events, name="gen")
    rows = space.rows(gen.theta, len(events), name="theta", of="gen")
    weight = check_weights(gen.weight, len(events), name="gen_weight", of="gen")
    weight = without_lone_theta(rows, space.names, weight, keep=space.nominal)
    folds = np.zeros(len(events), dtype=np.intp)
    if n_parts > 1:
        folds = reweighter.unseen_folds(events)
        if folds is None:
            # These are not the events that it was fitted on, so that no network has seen any.
            folds = make_folds(len(events), n_parts, np.random.default_rng(seed))
    parts = []
    bound = reweighter.bind(events, name="gen", feature_names=column_labels(gen.events))
    for k, weights in enumerate(bound.by_fold()):
        unseen = np.flatnonzero((folds == k) & (weight != 0))
        # A part that has all events is not copied.
        unseen_weights, unseen_events = weights, events
        if len(unseen) < len(events):
            unseen_weights, unseen_events = weights.subset(unseen), events[unseen]
        sample = GeneratorSample(
            unseen_weights,
            rows[unseen],
            weight[unseen],
            space.nominal,
            np.random.default_rng(seed),
        )
        parts.append(GeneratorEvents(unseen_events, unseen_weights, sample))
    return parts
