"""The samples of a fit, which are checked together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.numbers import format_apart
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.comparison.classifier_objective import ComparedSamples
from skdctr.events.chunks import is_mapped
from skdctr.events.frames import column_labels
from skdctr.events.kinds import Events, count_features, feature_table, holds_sets
from skdctr.events.lost import check_reco
from skdctr.events.validation import (
    check_estimator_events,
    check_like,
    check_same_columns,
    check_same_rows,
    check_sample,
    check_weights,
    feature_labels,
    has_missing,
    refuse_empty_events,
)
from skdctr.exceptions import ClosureFitWarning, ExtrapolationWarning
from skdctr.weights.event_weights import EventWeights

__all__ = ["GeneratorInput", "Samples", "check_fit_samples", "check_score_samples", "warn_closure"]

# Difference of the medians of data and simulation, in interquartile ranges of the narrower sample,
# that only another unit or another order of the columns explains.
_APART = 20.0


@dataclass(frozen=True, eq=False)
class Samples:
    """Simulation at both levels, and data.

    Attributes
    ----------
    sim_gen : ndarray of shape (n_sim, f) or PackedEvents
        Simulated events at generator level, which weights are computed from.
    sim : ndarray of shape (n_sim, m) or PackedEvents
        The same events at the level that is compared with data.
    data : ndarray of shape (n_data, m) or PackedEvents
        Data.
    sim_weight, data_weight : ndarray of shape (n_sim,), (n_data,)
        Event weights before any reweighting.
    columns : list of str or None
        Names of the features that are compared, where they came in a DataFrame.
    gen_columns : list of str or None
        Names of the features at generator level.
    passed : ndarray of bool of shape (n_sim,), or None
        Simulated events that the reconstruction kept; None means all.
    given_weight : ndarray of shape (n,), or None
        Weights of all simulated events that the user gave, those of weight zero, which are absent
        from all else, among them; None where all are present.
    """

    sim_gen: Events
    sim: Events
    data: Events
    sim_weight: FloatArray
    data_weight: FloatArray
    columns: list[str] | None = None
    gen_columns: list[str] | None = None
    passed: NDArray[np.bool_] | None = None
    given_weight: FloatArray | None = None

    @property
    def nominal_weight(self) -> FloatArray:
        """Weights of the nominal events as the user gave them, one for each."""
        return self.sim_weight if self.given_weight is None else self.given_weight

    def present(self) -> Samples:
        """Return the samples without events of weight zero, which are absent."""
        samples = self
        if not self.sim_weight.all():
            rows = np.flatnonzero(self.sim_weight)
            sim_gen = self.sim_gen[rows]
            samples = replace(
                samples,
                sim_gen=sim_gen,
                sim=sim_gen if self.at_generator_level else self.sim[rows],
                sim_weight=self.sim_weight[rows],
                passed=None if self.passed is None else self.passed[rows],
                given_weight=self.sim_weight,
            )
        if not self.data_weight.all():
            rows = np.flatnonzero(self.data_weight)
            samples = replace(samples, data=self.data[rows], data_weight=self.data_weight[rows])
        return samples

    def owned(self, given: Iterable[Any]) -> Samples:
        """Return the samples with copies of the arrays that look into those of the caller.

        What a caller changes later must not change a fit that is done. Mapped files and packed
        sets of particles are too large to be copied.

        Parameters
        ----------
        given : iterable
            What the caller gave.
        """
        theirs = [np.asarray(each) for each in given if _is_table(each)]
        copies: dict[int, Any] = {}
        for field in fields(self):
            array = getattr(self, field.name)
            if isinstance(array, np.ndarray) and not is_mapped(array):
                is_theirs = any(np.may_share_memory(array, each) for each in theirs)
                copies[id(array)] = array.copy() if is_theirs else array
        of = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: copies.get(id(value), value) for name, value in of.items()})

    @property
    def at_generator_level(self) -> bool:
        """Whether data are compared with the generator-level features themselves."""
        return self.sim is self.sim_gen

    def sizes(self) -> dict[str, int]:
        """Count the events of each sample, and those that the reconstruction lost, if any."""
        sizes = {"simulated": len(self.sim), "data": len(self.data)}
        if self.passed is not None:
            sizes["lost by the reconstruction"] = int((~self.passed).sum())
        return sizes

    def reconstructed(self) -> Samples:
        """Return the samples without the simulated events that the reconstruction lost."""
        if self.passed is None:
            return self
        rows = np.flatnonzero(self.passed)
        return replace(
            self,
            sim_gen=self.sim_gen[rows],
            sim=self.sim[rows],
            sim_weight=self.sim_weight[rows],
            passed=None,
        )

    def compared(self) -> ComparedSamples:
        """Return simulation and data for classifiers, which see reconstructed events only."""
        kept = self.reconstructed()
        return ComparedSamples(kept.sim, kept.data, kept.sim_weight, kept.data_weight, self.columns)

    def bound(self, weights: EventWeights) -> EventWeights:
        """Return the weights of the events that `reconstructed` keeps, given those of all."""
        return weights if self.passed is None else weights.subset(np.flatnonzero(self.passed))


def _is_table(given: Any) -> bool:
    """Say whether a caller's argument may own the memory of an array; ragged arrays are copied."""
    is_ragged = type(given).__module__.startswith(("awkward", __package__.partition(".")[0]))
    return hasattr(given, "__array__") and not is_ragged


def _warn_if_apart(data: Events, sim: Events, names: list[str] | None, level_name: str) -> None:
    """Warn of features that differ so much in the two samples that their units must differ."""
    if holds_sets(sim):
        return
    quartiles = [_quartiles(feature_table(each)) for each in (data, sim)]
    data_median, sim_median = (values[1] for values in quartiles)
    width = np.min([values[2] - values[0] for values in quartiles], axis=0)
    labels = feature_labels(sim, names)
    for k in np.flatnonzero((width > 0) & (np.abs(data_median - sim_median) > _APART * width)):
        in_data, in_sim = format_apart(data_median[k], sim_median[k])
        warn_user(
            f"data and {level_name} are far apart: the median of {labels[k]} is "
            f"{in_data} in data, {in_sim} in {level_name}. Check the units and "
            "the order of the columns.",
            ExtrapolationWarning,
        )


def _quartiles(X: FloatArray) -> FloatArray:
    """Compute the quartiles of each feature, (3, f), of the events that have it."""
    present = [column[~np.isnan(column)] for column in X.T]
    return np.stack(
        [np.quantile(x, [0.25, 0.5, 0.75]) if len(x) else np.zeros(3) for x in present],
        axis=1,
    )


def _refuse_missing_in_data(
    data: Events, sim: Events, names: list[str] | None, level_name: str
) -> None:
    """Refuse features that data lack in some events, and the simulation in none."""
    odd = np.flatnonzero(has_missing(data) & ~has_missing(sim))
    if len(odd):
        labels = feature_labels(sim, names)
        raise ValueError(
            f"data are NaN in {[labels[k] for k in odd]} for some events, {level_name} for none, "
            "so that no simulated event says what such data mean: drop these events from data, "
            "or leave the feature out of both."
        )


def _check_pairs(X: Any, y: Any, data: Any, sample_weight: Any, data_weight: Any) -> None:
    """Refuse weights without their sample, and rows whose index has another order."""
    if data is None and data_weight is not None:
        raise ValueError("data_weight was given without data: pass data=... as well.")
    check_same_rows(y, X, name="y (sim_reco)", reference_name="X (sim_gen)")
    check_same_rows(sample_weight, X, name="sample_weight", reference_name="X (sim_gen)")
    check_same_rows(data_weight, data, name="data_weight", reference_name="data")


def check_fit_samples(
    estimator: Any,
    X: Any,
    y: Any,
    data: Any,
    sample_weight: Any,
    data_weight: Any,
    *,
    least_events: int,
) -> Samples:
    """Check the samples of a fit, and set the estimator's feature names and number.

    Parameters
    ----------
    estimator : estimator
        The fitter.
    X, y, data, sample_weight, data_weight
        As in `SRGNFitter.fit`.
    least_events : int
        Events that each sample needs.

    Returns
    -------
    Samples
        Simulation and data; without data the simulation is fitted to itself.

    Raises
    ------
    ValueError
        If the samples do not fit together or are not finite, or data lack a feature in some events
        that the simulation always has.

    Warns
    -----
    ClosureFitWarning
        If there are no data.
    ExtrapolationWarning
        If features of data and simulation seem to have different units.
    FeatureWarning
        If a reconstructed feature looks like an angle, or like codes of particle types.
    """
    _check_pairs(X, y, data, sample_weight, data_weight)
    sim_gen = check_estimator_events(estimator, X, ensure_min_samples=least_events, allow_nan=True)
    refuse_empty_events(sim_gen, name="X (sim_gen)")
    gen_columns = column_labels(X)
    sim_weight = check_weights(sample_weight, len(sim_gen), name="sample_weight")
    passed = None
    if y is None:
        sim, level, level_name = sim_gen, X, "X (sim_gen)"
    else:
        sim, passed = check_reco(y, name="y")
        level, level_name = y, "y (sim_reco)"
        if len(sim) != len(sim_gen):
            raise ValueError(
                f"y (sim_reco) has {len(sim)} events, X (sim_gen) has {len(sim_gen)}: they are "
                "the same events at two levels, row by row."
            )
    if data is None:
        warn_closure()
        kept = slice(None) if passed is None else np.flatnonzero(passed)
        columns = column_labels(level)
        data_weight = sim_weight[kept]
        closure = Samples(
            sim_gen, sim, sim[kept], sim_weight, data_weight, columns, gen_columns, passed
        )
        return closure.present().owned((X, y, sample_weight))
    check_same_columns(data, level, name="data", reference_name=level_name)
    events = check_sample(data, name="data")
    compared = f"{level_name}, with which data are compared as y is None"
    check_like(events, sim, name="data", reference_name=compared if y is None else level_name)
    if len(events) < least_events:
        raise ValueError(f"data has {len(events)} events; the fit needs {least_events} at least.")
    weight = check_weights(data_weight, len(events), name="data_weight", of="data")
    columns = column_labels(level) or column_labels(data)
    if passed is not None and passed.sum() < least_events:
        raise ValueError(
            f"y (sim_reco) has {int(passed.sum())} events that are not NaN; the fit needs "
            f"{least_events} at least."
        )
    reconstructed = sim if passed is None else sim[np.flatnonzero(passed)]
    _refuse_missing_in_data(events, reconstructed, columns, level_name)
    _warn_if_apart(events, reconstructed, columns, level_name)
    checked = Samples(sim_gen, sim, events, sim_weight, weight, columns, gen_columns, passed)
    present = checked.present().owned((X, y, data, sample_weight, data_weight))
    if not present.at_generator_level:
        # The reweighter tells of the features at generator level when it learns.
        present.compared().coder().warn()
    return present


def check_score_samples(
    estimator: Any,
    X: Any,
    y: Any,
    data: Any,
    sample_weight: Any,
    data_weight: Any,
    *,
    fitted: Samples,
    n_folds: int,
) -> Samples:
    """Check the samples of `score`; without data, those of the fit are taken.

    Parameters
    ----------
    estimator : estimator
        The fitter.
    X, y, data, sample_weight, data_weight
        As in `SRGNFitter.score`.
    fitted : Samples
        The samples of the fit.
    n_folds : int
        Parts of the cross-fit of the classifier.

    Returns
    -------
    Samples

    Raises
    ------
    ValueError
        If the samples do not fit together or to those of the fit, are not finite, or have fewer
        than two events for each part of the cross-fit.
    """
    _check_pairs(X, y, data, sample_weight, data_weight)
    for sample, name in ((y, "y (sim_reco)"), (data, "data")):
        columns = column_labels(sample)
        if columns is not None and fitted.columns is not None and columns != fitted.columns:
            raise ValueError(
                f"The columns of {name} are {columns}, those of the fit were {fitted.columns}: "
                "reorder or rename them."
            )
    sim_gen = check_estimator_events(estimator, X, reset=False, allow_nan=True)
    refuse_empty_events(sim_gen, name="X (sim_gen)")
    sim, passed = (sim_gen, None) if y is None else check_reco(y, name="y")
    width = None if holds_sets(fitted.data) else count_features(fitted.data)
    if len(sim) != len(sim_gen) or (not holds_sets(sim) and count_features(sim) != width):
        expected = "sets of particles" if width is None else f"({len(sim_gen)}, {width})"
        raise ValueError(
            f"y (sim_reco) has shape {sim.shape}; expected {expected}: the events of X, of which "
            f"there are {len(sim_gen)}, with the features that were fitted."
        )
    sim_name = "X (sim_gen)" if y is None else "y (sim_reco)"
    check_like(sim, fitted.data, name=sim_name, reference_name="the data of the fit")
    events = fitted.data
    if data is not None:
        events = check_sample(data, name="data")
        check_like(events, sim, name="data", reference_name=sim_name)
    for sample, name in ((sim, "X (sim_gen)"), (events, "data")):
        if len(sample) < 2 * n_folds:
            raise ValueError(
                f"{name} has {len(sample)} events; score needs {2 * n_folds} at least, two for "
                f"each of the {n_folds} parts of its cross-fit: give more events, or take fewer "
                "folds in cross-validation."
            )
    sim_weight = check_weights(sample_weight, len(sim_gen), name="sample_weight")
    if data is None:
        weight = fitted.data_weight
    else:
        weight = check_weights(data_weight, len(events), name="data_weight", of="data")
    columns, gen_columns = fitted.columns, fitted.gen_columns
    checked = Samples(sim_gen, sim, events, sim_weight, weight, columns, gen_columns, passed)
    return checked.present()


@dataclass(frozen=True, eq=False)
class GeneratorInput:
    """A generator sample as the user gave it, or none.

    Attributes
    ----------
    events : array-like of shape (n, f), n sets of particles, or None
        ``gen``.
    theta : array-like of shape (n,) or (n, p), or None
        ``theta``, the parameters that each was generated with.
    weight : array-like of shape (n,), or None
        ``gen_weight``.
    """

    events: Any = None
    theta: Any = None
    weight: Any = None

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.events is not None

    def check_complete(self) -> None:
        """Refuse a sample that lacks a part, and rows whose index has another order.

        Raises
        ------
        ValueError
            If there are events without θ, θ without events, or weights without events, or the
            indices of DataFrames differ.
        """
        if (self.events is None) != (self.theta is None):
            given, missing = ("gen", "theta") if self.theta is None else ("theta", "gen")
            raise ValueError(
                f"{given} was given without {missing}: the generator sample needs its events (gen) "
                "and the parameters of each (theta)."
            )
        if self.weight is not None and not self.given:
            raise ValueError("gen_weight was given without gen: pass gen and theta as well.")
        check_same_rows(self.theta, self.events, name="theta", reference_name="gen")
        check_same_rows(self.weight, self.events, name="gen_weight", reference_name="gen")


def warn_closure() -> None:
    """Warn that the simulation is fitted to itself."""
    warn_user(
        "data is None: the simulation is fitted to itself, which gives θ₀ back if all is well "
        "(a closure or Asimov fit). Pass data=... to fit data.",
        ClosureFitWarning,
    )
