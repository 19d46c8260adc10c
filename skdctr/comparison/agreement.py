"""Which of the evaluated θ describe the data worse than others, beyond the noise of the AUC."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.comparison.classifier_objective import ClassifierObjective, Evaluation
from skdctr.metrics import effective_sample_size
from skdctr.parameters.constraints import Constraints

__all__ = ["Agreement", "label"]

# Difference of two evaluations, in standard errors, from which on one is worse.
_WORSE_AT = 3.0


class Agreement:
    """How far each evaluated θ is from a description of data and constraints, in units of the AUC.

    An AUC near 1/2 is a χ²: a shift by d widths of the score, small in itself, gives AUC = 1/2 +
    d / (2 √π), and with N = n_data n_sim / (n_data + n_sim) effective events χ² = N d², so that
    χ² = 4 π N (AUC − 1/2)². The loss has log 2 − loss = d² / 8. The constraints add their own χ²,
    and the root of the sum, back in units of the AUC, has about the AUC's error. An AUC below 1/2
    is a difference, too; a loss above log 2 is none. N is the same for all θ: an AUC must not
    look better because few effective events are left.

    Parameters
    ----------
    objective : ClassifierObjective
        The evaluations.
    kind : {"auc", "loss"}
        What θ is read from.
    names : sequence of str
        Names of the parameters.
    constraints : Constraints
        Mean and standard deviation of some parameters.
    """

    def __init__(
        self,
        objective: ClassifierObjective,
        kind: str,
        names: Sequence[str],
        constraints: Constraints,
    ) -> None:
        self._objective, self._kind = objective, kind
        self._mean, self._deviation = constraints.arrays(names)

    def better_than(self, proposed: Evaluation) -> Evaluation | None:
        """Return the best evaluation if one is better than the proposed one, and otherwise None."""
        value, error = self._distance(proposed)
        others = [(e, *self._distance(e)) for e in self._objective.evaluations]
        better = [e for e, v, s in others if value - v > _WORSE_AT * math.hypot(error, s)]
        # Few effective events are no merit, as an AUC near 1/2 by chance would be.
        return min(better, key=lambda e: sum(self._distance(e))) if better else None

    def distance(self, evaluation: Evaluation) -> float:
        """Return how far an evaluated θ is from a description of data and constraints."""
        return self._distance(evaluation)[0]

    def _distance(self, evaluation: Evaluation) -> tuple[float, float]:
        """Return the distance of an evaluated θ from a perfect match, and its error."""
        objective = self._objective
        n_sim = max(e.effective_sample_size for e in objective.evaluations)
        n_data = effective_sample_size(objective.data_weight)
        n_events = n_data * n_sim / (n_data + n_sim)
        apart = abs(evaluation.auc - 0.5)
        if self._kind == "loss":
            apart = math.sqrt(2 / math.pi * max(math.log(2) - evaluation.loss, 0.0))
        # The folds' classifiers see the same events: averaging them gains nothing.
        error = evaluation.auc_error * math.sqrt(objective.n_folds)
        pull = self._penalty(evaluation.theta) / (4 * math.pi * n_events)
        distance = math.sqrt(apart**2 + pull)
        # What the constraints add has no error.
        share = min((apart + error) / distance, 1.0) if distance > 0 else 1.0
        return distance, error * share

    def _penalty(self, theta: FloatArray) -> float:
        """Compute χ² of the constraints."""
        return float(np.sum(((theta - self._mean) / self._deviation) ** 2))


def label(evaluation: Evaluation, names: Sequence[str], kind: str = "auc") -> str:
    """Name an evaluated θ with its AUC or loss, for messages."""
    values = ", ".join(
        f"{name} = {value:.6g}" for name, value in zip(names, evaluation.theta, strict=True)
    )
    if kind == "loss":
        return f"{values} (loss = {evaluation.loss:.5f})"
    return f"{values} (AUC = {evaluation.auc:.4f} ± {evaluation.auc_error:.4f})"
