"""The door for events that are sets of particles: every form is flattened and checked here."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skdctr._utils.arguments import shorten
from skdctr._utils.optional import is_awkward, require

__all__ = ["TYPE_NAMES", "flatten_events", "is_awkward_rows", "join_rows"]

# Names of the particle type, by which `particle_type="auto"` finds it.
TYPE_NAMES = ("pid", "pdgid", "pdgId", "pdg_id")
_FORMS = (
    "an awkward array of lists of records, or an array of shape (n, particles, features) in which "
    "padded particles are all NaN"
)

# No real particle is zero in all features. Events count as padded with zeros if more than such a
# share of them, and more than such a number, end in a particle of zeros.
_ZERO_PADDED, _LEAST_ZERO_PADDED = 0.1, 5

# Features, offsets, names of the features, types and their name, as `PackedEvents` takes them.
FlatEvents = tuple[
    NDArray[np.floating[Any]],
    NDArray[np.int64],
    tuple[str, ...] | None,
    NDArray[np.int32] | None,
    str | None,
]


def flatten_events(
    X: Any, *, particle_type: str | int | None, dtype: DTypeLike, name: str
) -> FlatEvents:
    """Flatten and check events.

    Parameters
    ----------
    X : awkward array or ndarray of shape (n, particles, f)
        Events.
    particle_type : str, int or None
        Name or position of the particle type; "auto" for a name of `TYPE_NAMES`.
    dtype : dtype
        Type of the numbers that the features are stored as.
    name : str
        What the caller calls the events, for messages.

    Returns
    -------
    features : ndarray of shape (m, f)
        Features of the particles of all events.
    offsets : ndarray of shape (n + 1,)
        Where the particles of each event begin and end.
    names : tuple of str, or None
        Names of the features.
    types : ndarray of shape (m,), or None
        Particle types.
    type_name : str or None
        Name of the particle type.

    Raises
    ------
    TypeError, ValueError
        If the events are not as `PackedEvents.from_events` describes.
    """
    X = join_rows(X)
    if is_awkward(X):
        columns, counts = _awkward_columns(X, name)
    else:
        columns, counts = _padded_columns(X, name)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    named = any(isinstance(key, str) for key in columns)
    key = _type_key(columns, particle_type, name)
    types = None if key is None else _types(columns.pop(key), key, offsets, name)
    if not columns:
        raise ValueError(
            f"{name} has no features but the particle type {key!r}; give at least one."
        )
    features = np.empty((int(offsets[-1]), len(columns)), dtype=dtype)
    # A number too large for float32 becomes infinite, which the check reports.
    with np.errstate(over="ignore"):
        for i, values in enumerate(columns.values()):
            features[:, i] = values
    _check_finite(features, list(columns), offsets, name)
    names = tuple(str(column) for column in columns) if named else None
    return features, offsets, names, types, str(key) if named and key is not None else None


def is_awkward_rows(X: Any) -> bool:
    """Say whether events are a list of rows of an awkward array.

    scikit-learn makes such lists when it splits: it takes rows one by one, as awkward arrays have
    no shape.
    """
    return isinstance(X, list) and bool(X) and is_awkward(X[0])


def join_rows(X: Any) -> Any:
    """Put an awkward array together again from a list of its rows.

    Parameters
    ----------
    X : list of awkward arrays or records, or any other events
        One array or record for each event.

    Returns
    -------
    awkward array
        All events, twenty times as fast as by awkward's own conversion of such lists. Events that
        are no such list are returned as they are.
    """
    if not is_awkward_rows(X):
        return X
    ak = require("awkward")

    def join(parts: list[Any]) -> Any:
        return ak.unflatten(ak.concatenate(parts), [len(part) for part in parts])

    if isinstance(X[0], ak.Record):
        return ak.Array({field: join([row[field] for row in X]) for field in X[0].fields})
    return join(X)


def _awkward_columns(X: Any, name: str) -> tuple[dict[Any, NDArray[Any]], NDArray[np.int64]]:
    """Flatten an awkward array: each feature of all particles, and the particles of each event."""
    ak = require("awkward")
    if not X.fields:
        return _unnamed_columns(ak, X, name)
    columns: dict[Any, NDArray[Any]] = {}
    counts: NDArray[np.int64] | None = None
    for field in X.fields:
        column = X[field]
        _check_lists(ak, column, 2, f"field {field!r} of {name}")
        n = ak.to_numpy(ak.num(column, axis=1))
        if counts is not None and (n != counts).any():
            event = int(np.flatnonzero(n != counts)[0])
            raise ValueError(
                f"field {field!r} of {name} has {n[event]} particles in event {event}, field "
                f"{X.fields[0]!r} has {counts[event]}; every feature needs the same particles."
            )
        counts = n
        columns[field] = _numbers(ak.flatten(column, axis=1), f"field {field!r} of {name}")
    return columns, np.zeros(len(X), dtype=np.int64) if counts is None else counts


def _unnamed_columns(
    ak: Any, X: Any, name: str
) -> tuple[dict[Any, NDArray[Any]], NDArray[np.int64]]:
    """Flatten an awkward array of lists of lists of numbers, whose features have no names."""
    _check_lists(ak, X, 3, name)
    counts = ak.to_numpy(ak.num(X, axis=1))
    widths = ak.to_numpy(ak.flatten(ak.num(X, axis=2), axis=1))
    if len(widths) and (widths != widths[0]).any():
        particle = int(np.flatnonzero(widths != widths[0])[0])
        event = int(np.searchsorted(np.cumsum(counts), particle, side="right"))
        raise ValueError(
            f"a particle in event {event} of {name} has {widths[particle]} features, the first "
            f"particle has {widths[0]}; every particle needs the same features."
        )
    if not len(widths):
        raise ValueError(
            f"{name} has no particles and no field names, so that its features are unknown; give "
            "an array of records."
        )
    flat = _numbers(ak.flatten(X, axis=None), name).reshape(len(widths), -1)
    return dict(enumerate(flat.T)), counts


def _check_lists(ak: Any, column: Any, ndim: int, name: str) -> None:
    """Refuse an awkward array that has not so many dimensions, or misses a value."""
    if column.fields or column.ndim != ndim:
        inner = "numbers" if ndim == 2 else "lists of numbers"
        raise ValueError(
            f"{name} is of type {column.type}; expected n_events lists of {inner}, one for each "
            "particle."
        )
    for axis in range(ndim):
        missing = ak.is_none(column, axis=axis)
        if ak.any(missing, axis=None):
            events = ak.any(missing, axis=-1) if axis == 1 else missing
            where = "" if axis == 2 else f" in event {int(np.argmax(ak.to_numpy(events)))}"
            raise ValueError(f"{name} has a missing value{where}; drop it, e.g. with ak.drop_none.")


def _numbers(values: Any, name: str) -> NDArray[Any]:
    """Make an array of real numbers, or refuse what has others."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {array.dtype}, expected real numbers.")
    return array


def _padded_columns(X: Any, name: str) -> tuple[dict[Any, NDArray[Any]], NDArray[np.int64]]:
    """Flatten an array of shape (n, particles, f) and leave its padding out."""
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"{name} is ragged; expected {_FORMS}.") from error
    if array.ndim != 3:
        kind = f"an array of shape {array.shape}" if array.ndim else type(X).__name__
        raise ValueError(f"{name} is {kind}; expected {_FORMS}.")
    if array.shape[2] == 0:
        raise ValueError(f"{name} has shape {array.shape}: no features; give at least one.")
    array = _numbers(array, name)
    real = (
        ~np.isnan(array).all(axis=2) if array.dtype.kind == "f" else np.ones(array.shape[:2], bool)
    )
    if real.all() and array.shape[2] > 1 and array.shape[1] > 1:
        n_ending = int((array[:, -1] == 0).all(axis=1).sum())
        if n_ending > max(_ZERO_PADDED * len(array), _LEAST_ZERO_PADDED):
            raise ValueError(
                f"{name} looks padded with zeros: the last particle of {n_ending} of {len(array)} "
                "events is 0 in all features. Padding must be NaN: "
                f"{name} = {name}.astype(float); {name}[({name} == 0).all(axis=2)] = np.nan."
            )
    return dict(enumerate(array[real].T)), real.sum(axis=1)


def _type_key(
    columns: Mapping[Any, NDArray[Any]], particle_type: str | int | None, name: str
) -> str | int | None:
    """Find the key of the column that holds the particle types, if one does."""
    if particle_type is None:
        return None
    if particle_type == "auto":
        known = [key for key in TYPE_NAMES if key in columns and columns[key].dtype.kind in "iu"]
        return known[0] if known else None
    keys = list(columns)
    if isinstance(particle_type, str):
        if particle_type not in keys:
            raise ValueError(
                f"particle_type is {particle_type!r}, but {name} has the features {keys}; give the "
                "name of a field of an awkward array, or the position of a column."
            )
        return particle_type
    if isinstance(particle_type, bool) or not isinstance(particle_type, Integral):
        raise TypeError(
            f"particle_type={shorten(particle_type)}; expected the name or the position of a "
            "feature, 'auto' or None."
        )
    if not -len(keys) <= particle_type < len(keys):
        raise ValueError(f"particle_type is {particle_type}, but {name} has {len(keys)} features.")
    key: str | int = keys[particle_type]
    return key


def _types(
    values: NDArray[Any], key: str | int, offsets: NDArray[np.int64], name: str
) -> NDArray[np.int32]:
    """Check that particle types are integers, and store them as such."""
    limits = np.iinfo(np.int32)
    # NaN fails every comparison.
    good = (values >= limits.min) & (values <= limits.max)
    good &= values == np.rint(values) if values.dtype.kind == "f" else True
    if not good.all():
        particle = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f"{name} has the particle type {values[particle]} ({_shown(key)}) in event "
            f"{_event(offsets, particle)}; expected an integer such as a PDG code."
        )
    return values.astype(np.int32)


def _check_finite(
    features: NDArray[np.floating[Any]],
    keys: list[Any],
    offsets: NDArray[np.int64],
    name: str,
) -> None:
    """Refuse NaN and infinity among the features of particles, and say where they are."""
    # The sum needs no mask in memory, and it is nearly always finite.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(features.sum(dtype=np.float64)):
            return
    bad = ~np.isfinite(features)
    if not bad.any():
        return
    particle, column = (int(i) for i in np.argwhere(bad)[0])
    event = _event(offsets, particle)
    value = features[particle, column]
    what = "NaN" if np.isnan(value) else f"an infinite or too large value ({value})"
    hint = " Only a particle whose features are all NaN is padding." if np.isnan(value) else ""
    raise ValueError(
        f"{name} has {what} in {_shown(keys[column])} of particle "
        f"{particle - int(offsets[event])} of event {event}; drop the particle or mend its value."
        f"{hint}"
    )


def _event(offsets: NDArray[np.int64], particle: int) -> int:
    """Find the number of the event that a particle belongs to."""
    return int(np.searchsorted(offsets, particle, side="right")) - 1


def _shown(key: str | int) -> str:
    """Name a feature in a message."""
    return repr(key) if isinstance(key, str) else f"feature {key}"
