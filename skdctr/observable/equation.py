"""The estimating equation of the optimal observable, with a doubly robust prediction of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.least_squares import bounded_least_squares
from skdctr._utils.linear import pseudo_inverse, whitening
from skdctr._utils.typing import FloatArray
from skdctr.metrics import effective_sample_size
from skdctr.observable.generator import Correction, GeneratorPrediction, predict_generator
from skdctr.observable.problem import LearnedWeights, ObservableProblem, centred
from skdctr.observable.regression import RegressionOptions, cross_fit
from skdctr.parameters.derivatives import central_differences, positive_steps
from skdctr.results.covariance import Sources
from skdctr.training.folds import make_folds
from skdctr.weights.error import common_share, mean_covariance
from skdctr.weights.event_weights import EventWeights

__all__ = ["LEAST_SHARE", "EstimatingEquation"]

# Least effective share of the simulation at a reference, and at a solution.
LEAST_SHARE = 0.02
# Step of ∂U/∂θ, as a share of the unit of each parameter.
_STEP = 1e-3


class EstimatingEquation:
    """U(θ) = E_θ[h] with h = (s − s̄)·1[passed]: zero where simulation predicts the data's mean s̄.

    With several parts of a cross-fit U is the mean of theirs: weights and score of each come from
    other events than those that correct them, and all generator events take part.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.
    reference : ndarray of shape (p,)
        θ at which s is the score.
    options : RegressionOptions
        Networks of the regressions.
    corrections : sequence of Correction
        Corrections of the weights by the generator sample, of which the best one is taken.
    n_folds : int
        Parts of the cross-fit of the regressions.
    seed : int
        Seed of folds and networks.

    References
    ----------
    V. Chernozhukov et al., Econom. J. 21, C1 (2018), for the cross-fit.
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
        self._parts = [
            _PartEquation(problem, learned, reference, options, corrections, n_folds, seed)
            for learned in problem.parts
        ]

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Evaluate U(θ), (p,)."""
        value: FloatArray = np.mean([part(theta) for part in self._parts], axis=0)
        return value

    def covariance(self, theta: FloatArray) -> Sources:
        """Compute the covariance of U(θ) by source, each (p, p)."""
        n_parts = len(self._parts)
        covariance = Sources()
        # Data and simulation are the same for all parts, generator events are not.
        influences = [part.influence(theta) for part in self._parts]
        for source in influences[0]:
            influence = np.mean([by_source[source] for by_source in influences], axis=0)
            covariance[source] = influence.T @ influence
        common = common_share(n_parts)
        predictions = [part.generator for part in self._parts if part.generator is not None]
        if len(predictions) == n_parts:
            pairs = [prediction.covariances(theta) for prediction in predictions]
            event_covariance, weight_covariance = np.mean(pairs, axis=0)
            covariance["generator"] = event_covariance / n_parts + common * weight_covariance
            return covariance
        by_part = [part.weight_covariance(theta) for part in self._parts]
        for source in by_part[0]:
            if all(source in by_source for by_source in by_part):
                mean = np.mean([by_source[source] for by_source in by_part], axis=0)
                covariance[source] = common * mean
        return covariance

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Compute ∂U/∂θ, (p, p), by central differences."""
        space = self.problem.space
        step = positive_steps(theta, _STEP * space.unit, space.low)
        return central_differences(self, theta, step)

    def distance(self, theta: FloatArray) -> float:
        """Compute the length of the step from the reference to θ, in widths of the score.

        The score is taken at both ends, and the narrower one counts: where weights flatten, as
        they may at the edge of what was trained, any step looks short.
        """
        step = theta - self.reference
        squares = [
            float(step @ information @ step)
            for part in self._parts
            for information in (
                part.information,
                _information(*self.problem.score(part.learned, theta)),
            )
        ]
        return float(np.sqrt(max(*squares, 0.0)))

    def is_supported(self, theta: FloatArray) -> bool:
        """Say whether enough of the simulation carries the weight at θ, by every part."""
        for part in self.problem.parts:
            log_weights = part.sim.log_weights(theta)
            # Only ratios count, and far from θ₀ all weights may be too small for a number.
            weight = self.problem.sim_weight * np.exp(log_weights - log_weights.max())
            if not weight.sum() > 0 or effective_sample_size(weight) < LEAST_SHARE * len(weight):
                return False
        return True

    def solve(self, start: FloatArray) -> FloatArray:
        """Find the θ within bounds where χ² of U and of the constraints is smallest, (p,)."""
        problem, space = self.problem, self.problem.space
        width = space.unit
        total = self.covariance(start).total(len(start))
        whiten = whitening(total)
        mean, inverse_deviation = problem.knowledge()

        def target(z: FloatArray) -> FloatArray:
            theta = start + z * width
            return np.concatenate([whiten @ self(theta), (theta - mean) * inverse_deviation])

        def slope(z: FloatArray) -> FloatArray:
            derivative = whiten @ self.jacobian(start + z * width)
            return np.vstack([derivative, np.diag(inverse_deviation)]) * width

        solution = bounded_least_squares(
            target,
            slope,
            bounds=((space.low - start) / width, (space.high - start) / width),
            slack=1e-9,
            xtol=1e-7,
            max_steps=40,
        )
        return space.clip(start + solution * width)


class _PartEquation:
    """U(θ) by the weights of one part of a cross-fit.

    Parameters
    ----------
    learned : LearnedWeights
        The weights that this part has learned.
    problem, reference, options, corrections, n_folds, seed
        As for `EstimatingEquation`.

    Attributes
    ----------
    information : ndarray of shape (p, p)
        Fisher information of one generator-level event at the reference, under the weights.
    h : ndarray of shape (n, p)
        h of the simulated events; zero where the reconstruction lost them.
    expected : ndarray of shape (n, p)
        E[h | x_G] of the simulated events; zero where no generator events predict its mean.
    generator : GeneratorPrediction or None
        Prediction of the mean of E[h | x_G] from the generator events; None where there are none.
    """

    def __init__(
        self,
        problem: ObservableProblem,
        learned: LearnedWeights,
        reference: FloatArray,
        options: RegressionOptions,
        corrections: Sequence[Correction],
        n_folds: int,
        seed: int,
    ) -> None:
        self.problem, self.learned = problem, learned
        weight, gradient = problem.sim_weights(learned, reference), learned.sim.gradient(reference)
        score = centred(gradient, weight)
        self.information = _information(weight, score)
        folds = make_folds(len(score), n_folds, np.random.default_rng(seed))
        if learned.data is None:
            self._learn_observable(score, weight, folds, options, seed)
        else:
            self._centre(_known_score(learned.data, reference))
            self.h = gradient - self.data_mean
        self.generator: GeneratorPrediction | None = None
        self.expected: FloatArray = np.zeros_like(score)
        if learned.generator is None:
            return
        if learned.data is None:
            regression = cross_fit(
                problem.sim_gen,
                self.h,
                weight,
                folds,
                options,
                seed=seed,
                names=problem.gen_columns,
            )
            self.expected = regression.out_of_fold(problem.sim_gen, folds)
            generated = regression(learned.generator.events)
        else:
            # Nothing stands between x_S and x_G.
            self.expected = self.h
            generated = _known_score(learned.generator.weights, reference) - self.data_mean
        data_covariance: FloatArray = self.data_scatter.T @ self.data_scatter
        self.generator = predict_generator(
            learned.generator.sample,
            generated,
            reference,
            self.information,
            corrections,
            pseudo_inverse(data_covariance),
        )

    def _learn_observable(
        self,
        score: FloatArray,
        weight: FloatArray,
        folds: NDArray[np.intp],
        options: RegressionOptions,
        seed: int,
    ) -> None:
        """Learn the score of reconstructed events, and set h and the mean of the data."""
        problem, passed = self.problem, self.problem.passed
        observable = cross_fit(
            problem.sim[passed],
            score[passed],
            weight[passed],
            folds[passed],
            options,
            seed=seed,
            names=problem.columns,
        )
        self._centre(observable(problem.data))
        self.h = np.zeros_like(score)
        self.h[passed] = observable.out_of_fold(problem.sim[passed], folds[passed])
        self.h[passed] -= self.data_mean

    def _centre(self, data_score: FloatArray) -> None:
        """Set the mean score of the data, (p,), and what each event adds to its error, (k, p)."""
        data_weight = self.problem.data_weight
        self.data_mean: FloatArray = np.average(data_score, axis=0, weights=data_weight)
        share = data_weight / data_weight.sum()
        self.data_scatter: FloatArray = share[:, None] * (data_score - self.data_mean)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Evaluate U(θ), (p,)."""
        weight = self.problem.sim_weights(self.learned, theta)
        value: FloatArray = weight @ (self.h - self.expected) / weight.sum()
        return value if self.generator is None else value + self.generator.mean(theta)

    def influence(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return what each event of data, (k, p), and simulation, (n, p), adds to its error."""
        weight = self.problem.sim_weights(self.learned, theta)
        share = weight / weight.sum()
        efficiency = float(share @ self.problem.passed)
        difference = self.h - self.expected
        return {
            "data": efficiency * self.data_scatter,
            "simulation": share[:, None] * (difference - share @ difference),
        }

    def weight_covariance(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Compute the covariance of U(θ) that the weights give it, by source."""
        return mean_covariance(self.learned.sim, self.h, self.problem.sim_weight, theta)


def _known_score(weights: EventWeights, theta: FloatArray) -> FloatArray:
    """Return the score of events at generator level, (n, p), which the weights know.

    Raises
    ------
    ValueError
        If the score of an event is not finite.
    """
    score = weights.gradient(theta)
    n_bad = int((~np.isfinite(score)).any(axis=1).sum())
    if n_bad:
        raise ValueError(
            f"The log-weights of {n_bad} of {len(score)} events have no finite derivative at θ = "
            f"{theta.tolist()}: the density ratio must be positive for all events of data and gen."
        )
    return score


def _information(weight: FloatArray, score: FloatArray) -> FloatArray:
    """Compute the Fisher information of one event, (p, p), from weights and centred scores."""
    information: FloatArray = (score * weight[:, None]).T @ score / weight.sum()
    return information
