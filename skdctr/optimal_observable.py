"""The optimal observable: θ from the score at reco level, with a doubly robust prediction of it.

No classifier is trained at any θ. The score s(x_S) of the reconstructed events is the locally
optimal observable; θ* is where the simulation predicts the mean that the data have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ._covariance import sandwich
from ._validation import Events, FloatArray
from ._weight_error import mean_covariance
from ._weights import EventWeights
from .generator_sample import (
    Correction,
    GeneratorPrediction,
    GeneratorSample,
    predict_generator,
)
from .metrics import effective_sample_size
from .regression import RegressionOptions, cross_fit, make_folds

__all__ = [
    "EstimatingEquation",
    "ObservableFit",
    "ObservableProblem",
    "differing_populations",
    "fit_observable",
    "reco_information",
]

_COARSE_ROWS = 60_000
# Least effective share of the simulation at a reference.
_LEAST_SHARE = 0.02
# Distance from the reference, in widths of the score of one event, within which the observable
# is as good as optimal: the information lost goes with its square.
_CLOSE = 0.1
_FAR = 0.3
_MAX_REFERENCES = 8
_STEP = 1e-3
# When the simulation and the generator events at θ₀ are two populations: in errors and in widths.
_DIFFERENT_AT = 6.0
_DIFFERENT_SHARE = 0.02
_LEAST_NOMINAL = 500


@dataclass(frozen=True, eq=False)
class ObservableProblem:
    """The samples of a fit.

    Attributes
    ----------
    weights : EventWeights
        Log-weights of the simulated events as a function of θ.
    sim_gen : ndarray of shape (n, f)
        Simulation at generator level.
    sim : ndarray of shape (n, m)
        Its reconstructed features; rows of events that are lost hold anything.
    passed : ndarray of bool of shape (n,)
        Events that the reconstruction kept.
    same_level : bool
        Whether `sim` is `sim_gen`: a fit without a detector.
    sim_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    data, data_weight : ndarray of shape (k, m), (k,)
        Data.
    gen : ndarray of shape (l, f), or None
        Generator events, with what is known of them in `generator`.
    generator : GeneratorSample or None
        Without one, the prediction relies on the weights alone.
    names : list of str
        Names of the parameters.
    low, high : ndarray of shape (p,)
        Bounds.
    constraints : mapping of str to (float, float)
        Mean and standard deviation of what is known of parameters beforehand.
    """

    weights: EventWeights
    sim_gen: Events
    sim: Events
    passed: NDArray[np.bool_]
    same_level: bool
    sim_weight: FloatArray
    data: Events
    data_weight: FloatArray
    gen: Events | None
    generator: GeneratorSample | None
    names: list[str]
    low: FloatArray
    high: FloatArray
    constraints: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def width(self) -> FloatArray:
        """Range of each parameter, (p,); 1 where there is none."""
        return np.where(np.isfinite(self.high - self.low), self.high - self.low, 1.0)

    def part(self, n: int, rng: np.random.Generator) -> ObservableProblem:
        """Return the same with at most n simulated events and n of data, and no generator."""
        rows = _some(len(self.sim_gen), n, rng)
        data = _some(len(self.data), n, rng)
        return replace(
            self,
            weights=self.weights.subset(rows),
            sim_gen=self.sim_gen[rows],
            sim=self.sim[rows],
            passed=self.passed[rows],
            sim_weight=self.sim_weight[rows],
            data=self.data[data],
            data_weight=self.data_weight[data],
            gen=None,
            generator=None,
        )

    def knowledge(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and inverse standard deviation of each parameter, (p,), 0 where unknown."""
        known = [self.constraints.get(name, (0.0, np.inf)) for name in self.names]
        mean, deviation = np.array(known, dtype=np.float64).T
        return mean, 1 / deviation

    def sim_weights(self, theta: FloatArray) -> FloatArray:
        """Return the weights of the simulated events at θ, (n,)."""
        weights: FloatArray = self.sim_weight * np.exp(self.weights.log_weights(theta))
        return weights


def _some(n_all: int, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.arange(n_all) if n_all <= n else np.sort(rng.choice(n_all, n, replace=False))


class EstimatingEquation:
    """U(θ) = E_θ[h] with h = (s − s̄)·1[passed]: zero where simulation predicts the data's mean s̄.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.
    reference : ndarray of shape (p,)
        θ at which s is the score.
    options : RegressionOptions
        Networks of the regressions.
    corrections : sequence of Correction
        Of the weights by the generator sample, of which the best one is taken.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of folds and networks.

    Attributes
    ----------
    information : ndarray of shape (p, p)
        Fisher information of one generator-level event at the reference, under the weights.
    """

    def __init__(
        self,
        problem: ObservableProblem,
        reference: FloatArray,
        options: RegressionOptions,
        *,
        corrections: Sequence[Correction],
        n_folds: int = 2,
        seed: int = 0,
    ) -> None:
        self.problem, self.reference = problem, reference
        weight, score = _score(problem, reference)
        self.information = _information(weight, score)
        folds = make_folds(len(score), n_folds, np.random.default_rng(seed))
        passed, data = problem.passed, problem.data_weight
        observable = cross_fit(
            problem.sim[passed], score[passed], weight[passed], folds[passed], options, seed=seed
        )
        data_score = observable(problem.data)
        self.data_mean: FloatArray = np.average(data_score, axis=0, weights=data)
        centred = data_score - self.data_mean
        scatter = centred * data[:, None]
        self.data_covariance: FloatArray = scatter.T @ scatter / data.sum() ** 2
        self.h = np.zeros_like(score)
        self.h[passed] = observable.out_of_fold(problem.sim[passed], folds[passed]) - self.data_mean
        self.generator: GeneratorPrediction | None = None
        self.expected: FloatArray = np.zeros_like(score)
        if problem.generator is None or problem.gen is None:
            return
        if problem.same_level:
            self.expected = self.h
            generated = observable(problem.gen) - self.data_mean
        else:
            regression = cross_fit(problem.sim_gen, self.h, weight, folds, options, seed=seed)
            self.expected = regression.out_of_fold(problem.sim_gen, folds)
            generated = regression(problem.gen)
        self.generator = predict_generator(
            problem.generator,
            generated,
            reference,
            self.information,
            corrections,
            np.linalg.pinv(self.data_covariance, hermitian=True),
        )

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Evaluate U(θ), (p,)."""
        weight = self.problem.sim_weights(theta)
        value: FloatArray = weight @ (self.h - self.expected) / weight.sum()
        return value if self.generator is None else value + self.generator.mean(theta)

    def covariance(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Compute the covariance of U(θ) by source, each (p, p)."""
        weight = self.problem.sim_weights(theta)
        share = weight / weight.sum()
        efficiency = float(share @ self.problem.passed)
        difference = self.h - self.expected
        scatter = share[:, None] * (difference - share @ difference)
        sources = {
            "data": efficiency**2 * self.data_covariance,
            "simulation": scatter.T @ scatter,
        }
        if self.generator is not None:
            return sources | {"generator": self.generator.covariance(theta)}
        problem = self.problem
        return sources | mean_covariance(problem.weights, self.h, problem.sim_weight, theta)

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Compute ∂U/∂θ, (p, p), by central differences."""
        columns = []
        for k, step in enumerate(_STEP * self.problem.width):
            shift = np.zeros(len(theta))
            shift[k] = step
            columns.append((self(theta + shift) - self(theta - shift)) / (2 * step))
        return np.stack(columns, axis=1)

    def solve(self, start: FloatArray) -> FloatArray:
        """Find the θ within bounds where χ² of U and of the constraints is smallest, (p,)."""
        problem, width = self.problem, self.problem.width
        total = sum(self.covariance(start).values(), np.zeros((len(start), len(start))))
        values, vectors = np.linalg.eigh(np.linalg.pinv(total, hermitian=True))
        whiten = (vectors * np.sqrt(values.clip(min=0))).T
        mean, known = problem.knowledge()

        def target(z: FloatArray) -> FloatArray:
            theta = start + z * width
            return np.concatenate([whiten @ self(theta), (theta - mean) * known])

        def slope(z: FloatArray) -> FloatArray:
            derivative = whiten @ self.jacobian(start + z * width)
            return np.vstack([derivative, np.diag(known)]) * width

        found = least_squares(
            target,
            np.zeros(len(start)),
            jac=slope,
            bounds=((problem.low - start) / width - 1e-9, (problem.high - start) / width + 1e-9),
            xtol=1e-7,
            max_nfev=40,
        )
        theta: FloatArray = np.clip(start + found.x * width, problem.low, problem.high)
        return theta


@dataclass(frozen=True, eq=False)
class ObservableFit:
    """Where U vanishes, and its error.

    Attributes
    ----------
    theta : ndarray of shape (p,)
        θ*.
    sources : dict of str to ndarray of shape (p, p)
        Covariance by source.
    equation : EstimatingEquation
        The last one.
    references : list of ndarray of shape (p,)
        Where scores were taken, in order.
    converged : bool
        Whether the last reference was near enough to θ*.
    messages : list of str
        What the user should know.
    """

    theta: FloatArray
    sources: dict[str, FloatArray]
    equation: EstimatingEquation
    references: list[FloatArray]
    converged: bool
    messages: list[str] = field(default_factory=list)


def fit_observable(
    problem: ObservableProblem,
    start: FloatArray,
    options: RegressionOptions,
    *,
    corrections: Sequence[Correction],
    n_folds: int = 2,
    seed: int = 0,
) -> ObservableFit:
    """Fit θ: first on a part of the events, until the reference is near θ*, then on all.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.
    start : ndarray of shape (p,)
        First reference.
    options : RegressionOptions
        Networks of the regressions.
    corrections : sequence of Correction
        Of the weights by the generator sample, of which the best one is taken.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of all that is random.
    """
    rng = np.random.default_rng(seed)
    coarse = problem.part(_COARSE_ROWS, rng)
    theta, references = start, [start]
    for _ in range(_MAX_REFERENCES):
        equation = EstimatingEquation(
            coarse, theta, options, corrections=corrections, n_folds=n_folds, seed=seed
        )
        solved = equation.solve(theta)
        theta = _reachable(coarse, theta, solved)
        references.append(theta)
        if _distance(equation, theta) < _FAR:
            break
    converged = False
    for _ in range(_MAX_REFERENCES - 1):
        equation = EstimatingEquation(
            problem, theta, options, corrections=corrections, n_folds=n_folds, seed=seed
        )
        theta = equation.solve(theta)
        converged = _distance(equation, theta) < _CLOSE
        if converged:
            break
        references.append(theta)
    width = problem.width
    slope = equation.jacobian(theta) * width
    by_source = equation.covariance(theta)
    # In whitened equations the curvature is that of χ², which tells what is not identified.
    total = sum(by_source.values(), np.zeros_like(slope))
    combine = slope.T @ np.linalg.pinv(total, hermitian=True)
    scatter = {source: combine @ covariance @ combine.T for source, covariance in by_source.items()}
    curvature = combine @ slope
    if problem.constraints:
        scatter["constraints"] = np.diag((problem.knowledge()[1] * width) ** 2)
        curvature = curvature + scatter["constraints"]
    sources, messages = sandwich(curvature, scatter, width, problem.names)
    return ObservableFit(theta, sources, equation, references, converged, messages)


def _score(problem: ObservableProblem, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weights of the simulation at θ, (n,), and its centred score, (n, p)."""
    weight, score = problem.sim_weights(theta), problem.weights.gradient(theta)
    return weight, score - np.average(score, axis=0, weights=weight)


def _information(weight: FloatArray, score: FloatArray) -> FloatArray:
    """Fisher information of one event, (p, p), of weights and centred scores."""
    information: FloatArray = (score * weight[:, None]).T @ score / weight.sum()
    return information


def _distance(equation: EstimatingEquation, theta: FloatArray) -> float:
    """Length of the step from the reference to θ, in widths of the score.

    Of the score at either end, whichever is the narrower: where weights flatten, as they may at
    the edge of what was trained, any step looks short.
    """
    step = theta - equation.reference
    there = _information(*_score(equation.problem, theta))
    longest = max(float(step @ known @ step) for known in (equation.information, there))
    return float(np.sqrt(max(longest, 0.0)))


def _reachable(problem: ObservableProblem, start: FloatArray, end: FloatArray) -> FloatArray:
    """Go towards a point as far as the simulation has events left."""
    step = end - start
    for _ in range(10):
        weights = problem.sim_weights(start + step)
        if effective_sample_size(weights) >= _LEAST_SHARE * len(weights):
            return np.asarray(start + step)
        step = step / 2
    return start


def differing_populations(problem: ObservableProblem, nominal: FloatArray) -> str | None:
    """Compare the simulation with the generator events at θ₀, which must be one population.

    A simulation that was selected otherwise, such as by what passed the reconstruction, must not
    be corrected by the generator events.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.
    nominal : ndarray of shape (p,)
        θ₀.

    Returns
    -------
    str or None
        What differs.
    """
    generator = problem.generator
    if generator is None:
        return None
    rows = generator.mixture_rows
    at_nominal = (generator.theta[rows] == nominal).all(axis=1)
    share = generator.mixture_weights(nominal)
    if at_nominal.sum() >= _LEAST_NOMINAL:
        share = np.where(at_nominal, generator.event_weight[rows], 0.0)
        share = share / share.sum()
    ours = problem.sim_weight / problem.sim_weight.sum()
    scores = problem.weights.gradient(nominal), generator.weights.gradient(nominal)
    worst = ""
    for power in (1, 2):
        (mean, variance), (other, other_variance) = (
            _moment(score**power, weight)
            for score, weight in zip(scores, (ours, share), strict=True)
        )
        spread = np.sqrt(_moment(scores[0] ** power, ours, single=True)[1])
        off = np.abs(mean - other)
        with np.errstate(invalid="ignore", divide="ignore"):
            pulls = off / np.sqrt(variance + other_variance)
        for name, pull, relative in zip(problem.names, pulls, off / spread, strict=True):
            if pull > _DIFFERENT_AT and relative > _DIFFERENT_SHARE:
                worst = f"their scores in {name} differ by {relative:.2g} widths, {pull:.0f} errors"
    return worst or None


def _moment(
    values: FloatArray, share: FloatArray, *, single: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Weighted mean, and its variance or that of a single event."""
    mean = share @ values
    return mean, (share if single else share**2) @ (values - mean) ** 2


def reco_information(
    weights: EventWeights,
    sim: Events,
    sim_weight: FloatArray,
    theta: FloatArray,
    options: RegressionOptions,
    *,
    n_folds: int = 2,
    seed: int = 0,
) -> FloatArray:
    """Compute the Fisher information of one reconstructed event, (p, p).

    As far as a regression finds it: that of the mean of the cross-fitted score.

    Parameters
    ----------
    weights : EventWeights
        Log-weights of the reconstructed events.
    sim : ndarray of shape (n, m) or PackedEvents
        Their reconstructed features.
    sim_weight : ndarray of shape (n,)
        Event weights before any reweighting.
    theta : ndarray of shape (p,)
        Where.
    options : RegressionOptions
        Networks of the regression.
    n_folds : int
        Parts of the cross-fit.
    seed : int
        Seed of folds and networks.
    """
    weight = sim_weight * np.exp(weights.log_weights(theta))
    score = weights.gradient(theta)
    score = score - np.average(score, axis=0, weights=weight)
    folds = make_folds(len(score), n_folds, np.random.default_rng(seed))
    observable = cross_fit(sim, score, weight, folds, options, seed=seed).out_of_fold(sim, folds)
    observable = observable - np.average(observable, axis=0, weights=weight)
    slope = (observable * weight[:, None]).T @ score / weight.sum()
    scatter = (observable * weight[:, None]).T @ observable / weight.sum()
    information: FloatArray = slope.T @ np.linalg.pinv(scatter, hermitian=True) @ slope
    return information
