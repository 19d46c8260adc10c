"""The observables of a closure test, as pairs of values of nominal and of target events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skdctr.events.frames import column_labels
from skdctr.events.kinds import Events, event_columns
from skdctr.events.validation import check_same_columns, feature_labels

__all__ = ["pair_observables"]


def pair_observables(
    observables: Any, nominal: Events, target: Events, *, given: Any
) -> dict[str, tuple[Any, Any]]:
    """Pair the values of nominal and of target events, by the name of the observable.

    Parameters
    ----------
    observables : pair of DataFrames, mapping or None
        As `closure_report` takes them.
    nominal, target : ndarray of shape (n, m) or PackedEvents
        Checked events, whose features are the observables where the user gives none. Sets have no
        values to be compared event by event.
    given : array-like
        The nominal events as the user gave them, which may name the features.

    Returns
    -------
    dict of str to (array-like of shape (n_nominal,), array-like of shape (n_target,))

    Raises
    ------
    TypeError
        If `observables` is neither a pair of DataFrames nor a mapping.
    ValueError
        If columns differ, or there is not one value for each event.
    """
    if observables is None:
        columns = zip(event_columns(nominal), event_columns(target), strict=True)
        names = feature_labels(nominal, column_labels(given))
        return dict(zip(names, columns, strict=False))
    pairs = _read_pairs(observables)
    for name, pair in pairs.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"observables[{name!r}] must be a pair (values of nominal, values of target), got "
                f"a {type(pair).__name__}."
            )
        for values, sample, events in zip(
            pair, ("nominal", "target"), (nominal, target), strict=True
        ):
            if np.shape(values) != (len(events),):
                raise ValueError(
                    f"observables[{name!r}] of {sample} has shape {np.shape(values)}, expected "
                    f"({len(events)},): one value per event."
                )
    return pairs


def _read_pairs(observables: Any) -> dict[str, Any]:
    """Read a mapping, or two DataFrames column by column."""
    if isinstance(observables, Mapping):
        return {str(name): pair for name, pair in observables.items()}
    if not (
        isinstance(observables, (tuple, list))
        and len(observables) == 2
        and all(isinstance(table, pd.DataFrame) for table in observables)
    ):
        raise TypeError(
            f"observables is a {type(observables).__name__}, expected a pair of DataFrames "
            "(nominal, target) or a mapping {name: (values of nominal, values of target)}."
        )
    first, second = observables
    check_same_columns(second, first, name="observables[1]", reference_name="observables[0]")
    if list(first.columns) != list(second.columns):
        raise ValueError(
            f"observables have the columns {list(first.columns)} and {list(second.columns)}, "
            "expected the same ones: rename or reorder them."
        )
    return {str(name): (first[name], second[name]) for name in first.columns}
