"""Whether the simulation and the generator events at θ₀ are of one population."""

from __future__ import annotations

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.observable.problem import ObservableProblem

__all__ = ["differing_populations"]

# When they are two: in errors and in widths.
_DIFFERENT_AT = 6.0
_DIFFERENT_SHARE = 0.02
_LEAST_NOMINAL = 500


def differing_populations(problem: ObservableProblem) -> str | None:
    """Compare the simulation with the generator events at θ₀, which must be one population.

    A simulation that was selected otherwise, such as by what passed the reconstruction, must not
    be corrected by the generator events.

    Parameters
    ----------
    problem : ObservableProblem
        The samples.

    Returns
    -------
    str or None
        What differs.
    """
    part, nominal = problem.parts[0], problem.space.nominal
    if part.generator is None:
        return None
    sample = part.generator.sample
    rows = sample.mixture_rows
    at_nominal = (sample.theta[rows] == nominal).all(axis=1)
    share = sample.mixture_weights(nominal)
    if at_nominal.sum() >= _LEAST_NOMINAL:
        share = np.where(at_nominal, sample.event_weight[rows], 0.0)
        share = share / share.sum()
    ours = problem.sim_weight / problem.sim_weight.sum()
    scores = part.sim.gradient(nominal), sample.weights.gradient(nominal)
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
        for name, pull, relative in zip(problem.space.names, pulls, off / spread, strict=True):
            if pull > _DIFFERENT_AT and relative > _DIFFERENT_SHARE:
                worst = f"their scores in {name} differ by {relative:.2g} widths, {pull:.0f} errors"
    return worst or None


def _moment(
    values: FloatArray, share: FloatArray, *, single: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Weighted mean, and its variance or that of a single event."""
    mean = share @ values
    return mean, (share if single else share**2) @ (values - mean) ** 2
