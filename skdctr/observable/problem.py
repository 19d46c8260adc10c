"""The samples of a fit by the optimal observable, and the weights that each part of it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.events.kinds import Events
from skdctr.observable.generator import GeneratorSample
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.space import ParameterSpace
from skdctr.weights.event_weights import EventWeights

__all__ = ["GeneratorEvents", "LearnedWeights", "ObservableProblem", "centred"]


@dataclass(frozen=True, eq=False)
class GeneratorEvents:
    """Generator events that correct weights.

    Attributes
    ----------
    events : ndarray of shape (l, f) or PackedEvents
        Their features.
    weights : EventWeights
        Their weights as a function of θ.
    sample : GeneratorSample
        The mixture of θ that they are, tabulated.
    """

    events: Events
    weights: EventWeights
    sample: GeneratorSample


@dataclass(frozen=True, eq=False)
class LearnedWeights:
    """The weights that one part of a cross-fit has learned, or all events where there are no parts.

    Attributes
    ----------
    sim : EventWeights
        Weights of the simulated events.
    data : EventWeights or None
        Weights of the data, where these are at generator level.
    generator : GeneratorEvents or None
        Generator events that correct the weights; without them the prediction relies on the
        weights alone.
    """

    sim: EventWeights
    data: EventWeights | None = None
    generator: GeneratorEvents | None = None


@dataclass(frozen=True, eq=False)
class ObservableProblem:
    """The samples of a fit.

    Attributes
    ----------
    parts : sequence of LearnedWeights
        One, or those of a cross-fit, each with the generator events that it has not seen.
    sim_gen : ndarray of shape (n, f) or PackedEvents
        Simulation at generator level.
    sim : ndarray of shape (n, m) or PackedEvents
        Its reconstructed features; rows of events that are lost hold anything.
    passed : ndarray of bool of shape (n,)
        Events that the reconstruction kept.
    sim_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    data : ndarray of shape (k, m) or PackedEvents
        Data.
    data_weight : ndarray of shape (k,)
        Event weights of the data.
    space : ParameterSpace
        Names of the parameters, θ₀, and the range that is searched.
    constraints : Constraints
        Mean and standard deviation of some parameters.
    gen_columns, columns : sequence of str, or None
        Names of the features of `sim_gen`, and of `sim` and `data`, where they have some.
    """

    parts: Sequence[LearnedWeights]
    sim_gen: Events
    sim: Events
    passed: NDArray[np.bool_]
    sim_weight: FloatArray
    data: Events
    data_weight: FloatArray
    space: ParameterSpace
    constraints: Constraints = field(default_factory=Constraints)
    gen_columns: Sequence[str] | None = None
    columns: Sequence[str] | None = None

    def without_generator(self) -> ObservableProblem:
        """Return the problem without generator events."""
        return replace(self, parts=[replace(part, generator=None) for part in self.parts])

    def some(self, n: int, rng: np.random.Generator) -> ObservableProblem:
        """Return the problem with at most n simulated events and n data, drawn at random.

        It has no generator events.
        """
        rows = _some(len(self.sim_gen), n, rng)
        data = _some(len(self.data), n, rng)
        parts = [
            LearnedWeights(
                part.sim.subset(rows), None if part.data is None else part.data.subset(data)
            )
            for part in self.parts
        ]
        return replace(
            self,
            parts=parts,
            sim_gen=self.sim_gen[rows],
            sim=self.sim[rows],
            passed=self.passed[rows],
            sim_weight=self.sim_weight[rows],
            data=self.data[data],
            data_weight=self.data_weight[data],
        )

    def knowledge(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and inverse standard deviation by the constraints, (p,), 0 without one."""
        mean, deviation = self.constraints.arrays(self.space.names)
        return mean, 1 / deviation

    def sim_weights(self, part: LearnedWeights, theta: FloatArray) -> FloatArray:
        """Return the weights of the simulated events at θ, (n,)."""
        weights: FloatArray = self.sim_weight * np.exp(part.sim.log_weights(theta))
        return weights

    def score(self, part: LearnedWeights, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the weights of the simulation at θ, (n,), and its centred score, (n, p)."""
        weight = self.sim_weights(part, theta)
        return weight, centred(part.sim.gradient(theta), weight)


def centred(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Subtract the weighted mean of each column."""
    deviation: FloatArray = values - np.average(values, axis=0, weights=weight)
    return deviation


def _some(n_all: int, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw at most n of the numbers below `n_all`, in ascending order."""
    return np.arange(n_all) if n_all <= n else np.sort(rng.choice(n_all, n, replace=False))
