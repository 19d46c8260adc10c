"""How well simulation reweighted to θ matches the data: AUC and loss of a classifier at one θ.

A classifier g learns to tell data (class 1) from simulation with weights w(x_G; θ) (class 0).
Every event is judged by a classifier that neither trained on it nor stopped on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from skdctr._utils.device import torch_seed
from skdctr._utils.parallel import run_jobs
from skdctr._utils.torch_state import default_torch
from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier import Classifier
from skdctr.events.coding import EventCoder
from skdctr.events.kinds import Events
from skdctr.events.tensors import join_events
from skdctr.metrics import auc_placements, effective_sample_size, pareto_tail_index
from skdctr.training.batches import EventDataset
from skdctr.training.prediction import predict_logits, to_tensor
from skdctr.training.train import train
from skdctr.weights.event_weights import EventWeights
from skdctr.weights.noise import expected_auc

__all__ = ["ClassifierObjective", "ComparedSamples", "Evaluation", "Placements"]

IndexArray = NDArray[np.intp]
# Seven digits are far below the statistical error of a placement, at half the memory.
Placements = NDArray[np.float32]

# Simulated events from which the steps of a search are computed, at most.
_COARSE_ROWS = 50_000
# |AUC − 1/2| from which on a classifier has learned more than noise, in standard errors.
_LEARNED_AT = 5.0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one trained classifier says of one θ.

    Attributes
    ----------
    theta : ndarray of shape (p,)
        The θ that the simulation was reweighted to.
    auc, auc_error : float
        Pr[g(data) > g(simulation)] (SRGN Eq. 5) on events that g has not seen, and its standard
        error over data and simulation.
    loss : float
        Mean cross-entropy on those events (SRGN Eq. 4, both classes of equal weight); log 2 where
        nothing can be told apart.
    effective_sample_size, tail_index : float
        Effective number of events of the reweighted simulation, and the Pareto index of the tail
        of its weights.
    sim_placement : ndarray of shape (n_sim,)
        Share of the data that g ranks above each simulated event. Its mean over the simulation
        weighted to any θ' is the AUC that this same classifier has at θ'. The shape is (0,) where
        placements are not kept.
    data_placement : ndarray of shape (n_data,)
        Rank of each data event among the data, from 0 to 1. The shape is (0,) where placements are
        not kept.
    """

    theta: FloatArray
    auc: float
    auc_error: float
    loss: float
    effective_sample_size: float
    tail_index: float
    sim_placement: Placements
    data_placement: Placements

    @property
    def has_placements(self) -> bool:
        """Whether the placement of every event is kept."""
        return self.sim_placement.size > 0

    @property
    def has_learned(self) -> bool:
        """Whether the classifier tells the samples apart by more than noise."""
        return abs(self.auc - 0.5) > _LEARNED_AT * self.auc_error

    def without_placements(self) -> Evaluation:
        """Return the evaluation without its placements, which take memory for every event."""
        none = np.empty(0, dtype=np.float32)
        return replace(self, sim_placement=none, data_placement=none)


@dataclass(frozen=True, eq=False)
class ComparedSamples:
    """Simulation and data on the level on which they are compared.

    Attributes
    ----------
    sim : ndarray of shape (n_sim, m) or PackedEvents
        Simulated events.
    data : ndarray of shape (n_data, m) or PackedEvents
        Data.
    sim_weight, data_weight : ndarray of shape (n_sim,), (n_data,)
        Event weights before any reweighting.
    columns : sequence of str, or None
        Names of the features, where they have some.
    """

    sim: Events
    data: Events
    sim_weight: FloatArray
    data_weight: FloatArray
    columns: Sequence[str] | None = None

    def coder(self) -> EventCoder:
        """Find one code for both samples, on the scale of the one that does not change with θ."""
        return EventCoder.fit(
            self.data, self.data_weight, self.columns, other=(self.sim, self.sim_weight)
        )


class ClassifierObjective:
    """AUC and loss as functions of θ, every evaluation trained from the same start and counted.

    Parameters
    ----------
    weights : EventWeights
        Log-weights of the simulated events as a function of θ.
    samples : ComparedSamples
        Simulation and data, as the classifier sees them.
    classifier : Classifier
        How classifiers are built, trained and cross-fitted.
    names : sequence of str
        Names of the parameters.
    seed : int
        Seed of the folds, the initial weights and the order of events; the same at every θ, so
        that the objective is a function of θ.
    n_placements : int or None, default=None
        Evaluations that keep their placements, which take 4 bytes per event each: those whose
        classifiers learned something and whose AUC is nearest to 1/2. None keeps all.

    Attributes
    ----------
    evaluations : list of Evaluation
        All evaluations, in their order in time.
    coarse_rows : ndarray of int of shape (m,)
        Simulated events, drawn at random, that are enough for the steps of a search.
    """

    def __init__(
        self,
        weights: EventWeights,
        samples: ComparedSamples,
        classifier: Classifier,
        *,
        names: Sequence[str],
        seed: int,
        n_placements: int | None = None,
    ) -> None:
        self.weights, self.names = weights, names
        self.classifier, self.device = classifier, classifier.device
        self.n_folds, self.n_placements = classifier.n_folds, n_placements
        self.sim_weight, self.data_weight = samples.sim_weight, samples.data_weight
        self.seed = seed
        coder = samples.coder()
        with default_torch():
            self.sim = to_tensor(coder(samples.sim), self.device)
            self.data = to_tensor(coder(samples.data), self.device)
        # The same draw for both: in a closure fit an event and its copy stay in one fold.
        self.sim_fold = self._folds(len(samples.sim))
        self.data_fold = self._folds(len(samples.data))
        order = np.random.default_rng(seed).permutation(len(samples.sim))
        self.coarse_rows = np.sort(order[:_COARSE_ROWS])
        self._coarse = weights.subset(self.coarse_rows)
        self.evaluations: list[Evaluation] = []
        # Number of the evaluation at each θ.
        self._number_at: dict[bytes, int] = {}

    def _folds(self, n_events: int) -> IndexArray:
        """Deal events to the folds; samples of the same size are dealt alike."""
        order = np.random.default_rng(self.seed).permutation(n_events)
        fold = np.empty(n_events, dtype=np.intp)
        fold[order] = np.arange(n_events) % self.n_folds
        return fold

    def log_weights(self, theta: FloatArray, *, coarse: bool = False) -> FloatArray:
        """Return the log-weights of the simulation, or of its `coarse_rows`, at θ."""
        return (self._coarse if coarse else self.weights).log_weights(theta)

    def sim_weights(self, theta: FloatArray, *, coarse: bool = False) -> FloatArray:
        """Return the weights of the simulation at θ, (n_sim,), on a scale that cannot overflow.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            The θ that the simulation is reweighted to.
        coarse : bool, default=False
            Whether the weights of the `coarse_rows` only are returned.

        Raises
        ------
        ValueError
            If a log-weight is NaN, or all are minus infinity.
        """
        log_weights = self.log_weights(theta, coarse=coarse)
        largest = log_weights.max()
        if not np.isfinite(largest):
            raise ValueError(
                f"The log-weights at θ = {theta.tolist()} are not finite: keep θ within the range "
                "that the reweighter was made for, by bounds."
            )
        sim_weight = self.sim_weight[self.coarse_rows] if coarse else self.sim_weight
        weights: FloatArray = sim_weight * np.exp(log_weights - largest)
        return weights

    def expected_auc(self, theta: FloatArray) -> float:
        """Return the AUC that the weights' own error gives a perfect classifier at θ."""
        return expected_auc(self.weights, self.sim_weight, theta)

    def __call__(self, theta: FloatArray) -> Evaluation:
        """Return the evaluation at θ, which is made and kept where there is none yet."""
        theta = np.asarray(theta, dtype=np.float64)
        key = theta.tobytes()
        if key not in self._number_at:
            self._keep(self.evaluate(theta))
        return self.evaluations[self._number_at[key]]

    def evaluate_all(
        self, points: Sequence[FloatArray], n_jobs: int | None = None
    ) -> Iterator[Evaluation]:
        """Evaluate several θ that have no evaluation yet, in parallel where joblib is told so.

        Parameters
        ----------
        points : sequence of ndarray of shape (p,)
            The values of θ.
        n_jobs : int or None, default=None
            Processes; None is one, or the backend of ``joblib.parallel_config``.

        Yields
        ------
        Evaluation
            One for each θ, in order, as soon as it is kept.
        """
        jobs = (partial(self.evaluate, point) for point in points)
        with run_jobs(jobs, n_jobs, ordered=True, batch_size=1) as evaluations:
            for evaluation in evaluations:
                self._keep(evaluation)
                yield evaluation

    def _keep(self, evaluation: Evaluation) -> None:
        self._number_at[evaluation.theta.tobytes()] = len(self.evaluations)
        self.evaluations.append(evaluation)
        self._drop_placements()

    def _drop_placements(self) -> None:
        """Drop the placements of the evaluation that is of least use, where there are too many."""
        holders = [k for k, e in enumerate(self.evaluations) if e.has_placements]
        if self.n_placements is None or len(holders) <= self.n_placements:
            return

        def rank(k: int) -> tuple[bool, float]:
            evaluation = self.evaluations[k]
            return not evaluation.has_learned, abs(evaluation.auc - 0.5)

        worst = max(holders, key=rank)
        self.evaluations[worst] = self.evaluations[worst].without_placements()

    def evaluate(self, theta: FloatArray) -> Evaluation:
        """Train classifiers at θ, (p,), and judge every event by one that has not seen it.

        Neither earlier evaluations are looked up nor is this one kept.
        """
        weight = self.sim_weights(theta)
        sim_placement = np.empty(len(weight), dtype=np.float32)
        data_placement = np.empty(len(self.data), dtype=np.float32)
        auc = variance = loss = total = 0.0
        for fold in range(self.n_folds):
            sim_rows = np.flatnonzero(self.sim_fold == fold)
            data_rows = np.flatnonzero(self.data_fold == fold)
            sim_logit, data_logit = self._cross_fit(fold, weight, sim_rows, data_rows)
            sim_weight, data_weight = weight[sim_rows], self.data_weight[data_rows]
            part = auc_placements(data_logit, sim_logit, data_weight, sim_weight)
            sim_placement[sim_rows] = part.negative
            data_placement[data_rows] = _ranks(data_logit, data_weight)
            share = float(data_weight.sum())
            total += share
            auc += share * part.auc
            variance += share**2 * (
                _variance(part.positive, data_weight) + _variance(part.negative, sim_weight)
            )
            loss += share * (
                np.average(np.logaddexp(0, -data_logit), weights=data_weight)
                + np.average(np.logaddexp(0, sim_logit), weights=sim_weight)
            )
        return Evaluation(
            theta=theta,
            auc=auc / total,
            auc_error=math.sqrt(variance) / total,
            loss=loss / total / 2,
            effective_sample_size=effective_sample_size(weight),
            tail_index=pareto_tail_index(weight),
            sim_placement=sim_placement,
            data_placement=data_placement,
        )

    @default_torch()
    def _cross_fit(
        self, fold: int, weight: FloatArray, sim_rows: IndexArray, data_rows: IndexArray
    ) -> tuple[FloatArray, FloatArray]:
        """Train on the other folds; return the logits of simulation and data of this fold."""
        generator = np.random.default_rng([self.seed, fold])
        sim_train = generator.permutation(np.flatnonzero(self.sim_fold != fold))
        data_train = generator.permutation(np.flatnonzero(self.data_fold != fold))
        max_rows = self.classifier.max_rows
        if max_rows is not None:
            sim_train = sim_train[: max_rows // 2]
            data_train = data_train[: max_rows // 2]
        x = join_events([self.data[data_train], self.sim[sim_train]])
        target = torch.zeros(len(x), device=self.device)
        target[: len(data_train)] = 1.0
        # Each class gets half of the total weight, with mean 1 over the events.
        half = len(x) / 2
        sample_weight = np.concatenate(
            [
                self.data_weight[data_train] * (half / self.data_weight[data_train].sum()),
                weight[sim_train] * (half / weight[sim_train].sum()),
            ]
        )
        dataset = EventDataset(x, target, to_tensor(sample_weight, self.device))
        with torch_seed(self.seed, self.device):
            module = self.classifier.build(x).to(self.device)
        options = self.classifier.options(len(x))
        train(module, dataset, options, device=self.device, seed=self.seed)
        return (
            predict_logits(module, self.sim[sim_rows]).double().cpu().numpy(),
            predict_logits(module, self.data[data_rows]).double().cpu().numpy(),
        )


def _variance(values: FloatArray, weight: FloatArray) -> float:
    """Compute the variance of a weighted mean of values, the weights' fluctuation included."""
    centred = values - np.average(values, weights=weight)
    return float(np.sum((weight * centred) ** 2) / weight.sum() ** 2)


def _ranks(scores: FloatArray, weight: FloatArray) -> FloatArray:
    """Compute the weighted share of a sample below each of its own events, ties counted half."""
    return auc_placements(scores, scores, weight, weight).positive
