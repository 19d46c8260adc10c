"""Whether the simulation and the generator events at θ₀ are of one population."""

from __future__ import annotations

import numpy as np

from skdctr._utils.typing import FloatArray
from skdctr.observable.problem import ObservableProblem

__all__ = ["differing_populations"]

# Difference of the means of a score, or of its square, from which on the populations are two: in
# standard errors, and in widths of the score, as large samples show differences that do not matter.
_DIFFERENT_AT, _DIFFERENT_SHARE = 6.0, 0.02
# Generator events at θ₀ that are enough to be compared by themselves; with fewer all of them are
# weighted to θ₀.
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
        A phrase that says what differs; None where nothing does.
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
    sim_share = problem.sim_weight / problem.sim_weight.sum()
    sim_score, generator_score = part.sim.gradient(nominal), sample.weights.gradient(nominal)
    difference: str | None = None
    for power in (1, 2):
        mean, variance = _moment(sim_score**power, sim_share)
        generator_mean, generator_variance = _moment(generator_score**power, share)
        width = np.sqrt(_moment(sim_score**power, sim_share, single=True)[1])
        distance = np.abs(mean - generator_mean)
        with np.errstate(invalid="ignore", divide="ignore"):
            pulls = distance / np.sqrt(variance + generator_variance)
        for name, pull, relative in zip(problem.space.names, pulls, distance / width, strict=True):
            if pull > _DIFFERENT_AT and relative > _DIFFERENT_SHARE:
                difference = (
                    f"their scores in {name} differ by {relative:.2g} widths, {pull:.0f} errors"
                )
    return difference


def _moment(
    values: FloatArray, share: FloatArray, *, single: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Compute a weighted mean, (p,), and its variance or, with `single`, that of one event."""
    mean = share @ values
    return mean, (share if single else share**2) @ (values - mean) ** 2
