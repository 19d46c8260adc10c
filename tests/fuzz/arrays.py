"""The malformed forms of arrays, tables and tensors, and what each is allowed to give.

A kind is *same* if it is another layout of the same values, which gives the same result; *refused*
if no result can be right, so that an error or a warning has to tell; *any* if a finite result is
right, and one that is not finite has to be told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse
import torch

SAME, REFUSED, ANY = "same", "refused", "any"

Kinds = dict[str, tuple[str, Callable[[Any], Any]]]


@dataclass(frozen=True)
class Given:
    """A well-formed argument, and the malformed forms that it is tried in.

    Attributes
    ----------
    value : object
        The well-formed value.
    kinds : mapping of str to (str, callable)
        What is allowed to come of a form, and how it is made from the value, by its name.
    names : tuple of str
        What messages may call the argument beside its own name.
    """

    value: Any
    kinds: Kinds
    names: tuple[str, ...] = ()

    def without(self, *kinds: str) -> Given:
        """Leave kinds out, whose result is documented to be right."""
        missing = set(kinds) - set(self.kinds)
        if missing:
            raise ValueError(f"no such kinds: {sorted(missing)}")
        kept = {name: kind for name, kind in self.kinds.items() if name not in kinds}
        return Given(self.value, kept, self.names)

    def allowing(self, *kinds: str) -> Given:
        """Let any finite result of some kinds be right, as documented."""
        changed = {name: (ANY, self.kinds[name][1]) for name in kinds}
        return Given(self.value, {**self.kinds, **changed}, self.names)

    def refusing(self, *kinds: str) -> Given:
        """Let no result of some kinds be right."""
        changed = {name: (REFUSED, self.kinds[name][1]) for name in kinds}
        return Given(self.value, {**self.kinds, **changed}, self.names)

    def called(self, *names: str) -> Given:
        """Say what else messages may call the argument."""
        return Given(self.value, self.kinds, (*self.names, *names))


class Unknown:
    """An object that is nothing of what is expected."""

    def __repr__(self) -> str:
        return "<an object>"


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def _every_second(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=0)[::2]


def _with(value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(x: np.ndarray) -> np.ndarray:
        x = np.array(x, dtype=np.float64)
        x.reshape(-1)[len(x.reshape(-1)) // 2] = value
        return x

    return change


def _object_with(value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(x: np.ndarray) -> np.ndarray:
        x = x.astype(object)
        x.reshape(-1)[0] = value
        return x

    return change


def _ragged(x: np.ndarray) -> list[Any]:
    rows = x.tolist()
    return [[rows[0], rows[0]], *rows[1:]]


def _masked(x: np.ndarray, *, some: bool) -> np.ma.MaskedArray:
    mask = np.zeros(x.shape, dtype=bool)
    mask.reshape(-1)[: 3 if some else 0] = True
    return np.ma.MaskedArray(x, mask)


def _columns(x: np.ndarray) -> dict[str, np.ndarray]:
    return {f"c{k}": column for k, column in enumerate(x.reshape(len(x), -1).T)}


def _frame_of_duplicates(x: np.ndarray) -> pd.DataFrame:
    x = x.reshape(len(x), -1)
    return pd.DataFrame(np.concatenate([x, x], axis=1), columns=["a"] * (2 * x.shape[1]))


# What is no array of numbers at all, whatever is expected of one.
_NO_ARRAY: Kinds = {
    "an object": (REFUSED, lambda x: Unknown()),
    "a string": (REFUSED, lambda x: "abc"),
    "a function": (REFUSED, lambda x: len),
    "a set": (REFUSED, lambda x: {1.0, 2.0}),
    "a generator": (REFUSED, lambda x: (row for row in x)),
    "bytes": (REFUSED, lambda x: b"abc"),
    "a date": (REFUSED, lambda x: dt.datetime(2020, 1, 1)),
    "an empty list": (REFUSED, lambda x: []),
    "an empty array": (REFUSED, lambda x: x[:0]),
    "strings": (REFUSED, lambda x: np.full(x.shape, "abc")),
    "object strings": (REFUSED, lambda x: np.full(x.shape, "abc", dtype=object)),
    "one string among numbers": (REFUSED, _object_with("abc")),
    "one object among numbers": (REFUSED, _object_with(Unknown())),
    "complex": (REFUSED, lambda x: x + 1j),
    "datetimes": (REFUSED, lambda x: np.full(x.shape, "2020-01-01", dtype="datetime64[D]")),
    "timedeltas": (REFUSED, lambda x: np.full(x.shape, 3, dtype="timedelta64[s]")),
    "ragged": (REFUSED, _ragged),
    "sparse": (REFUSED, lambda x: scipy.sparse.csr_matrix(x.reshape(len(x), -1))),
    "four-dimensional": (REFUSED, lambda x: x.reshape(*x.shape, *(1,) * (4 - x.ndim))),
    "infinite": (REFUSED, _with(np.inf)),
    "minus infinite": (REFUSED, _with(-np.inf)),
    "0-d": (REFUSED, lambda x: np.array(x.reshape(-1)[0])),
    "a number": (REFUSED, lambda x: float(x.reshape(-1)[0])),
}

# The same values in another layout.
_LAYOUTS: Kinds = {
    "read-only": (SAME, _read_only),
    "non-contiguous": (SAME, _every_second),
    "Fortran order": (SAME, np.asfortranarray),
    "big-endian": (SAME, lambda x: x.astype(x.dtype.newbyteorder(">"))),
    "object numbers": (SAME, lambda x: x.astype(object)),
    "list": (SAME, lambda x: x.tolist()),
    "tuple": (SAME, lambda x: tuple(x.tolist())),
    "masked without mask": (SAME, lambda x: _masked(x, some=False)),
    "tensor": (SAME, torch.tensor),
    "long double": (SAME, lambda x: x.astype(np.longdouble)),
}

_SIZES: Kinds = {
    "huge": (ANY, lambda x: x * 1e300),
    "tiny": (ANY, lambda x: x * 1e-300),
    "single precision": (ANY, lambda x: x.astype(np.float32)),
    "half precision": (ANY, lambda x: x.astype(np.float16)),
    "integers": (ANY, lambda x: (10 * x).astype(np.int64)),
    "booleans": (ANY, lambda x: x > x.mean()),
    "constant": (ANY, lambda x: np.full(x.shape, x.reshape(-1)[0])),
    "zeros": (ANY, np.zeros_like),
}

_FRAMES: Kinds = {
    "pandas": (ANY, lambda x: pd.DataFrame(_columns(x))),
    "polars": (ANY, lambda x: pl.DataFrame(_columns(x))),
    "polars, lazy": (REFUSED, lambda x: pl.DataFrame(_columns(x)).lazy()),
    "duplicate names": (REFUSED, _frame_of_duplicates),
    "no columns": (REFUSED, lambda x: pd.DataFrame(index=range(len(x)))),
    "dict": (ANY, _columns),
    "dict of ragged columns": (REFUSED, lambda x: {"a": x[:, 0], "b": x[:-1, 0]}),
    "records": (ANY, lambda x: pd.DataFrame(_columns(x)).to_records(index=False)),
    "awkward": (ANY, lambda x: ak.Array(_columns(x))),
    "pandas with a string column": (REFUSED, lambda x: pd.DataFrame({"a": x[:, 0], "b": "abc"})),
    "pandas of dates": (
        REFUSED,
        lambda x: pd.DataFrame({"a": pd.date_range("2020", periods=len(x))}),
    ),
    "pandas of categories": (
        REFUSED,
        lambda x: pd.DataFrame({"a": pd.Categorical(["abc"] * len(x))}),
    ),
}


def events(value: np.ndarray, *, paired: bool = True, missing: bool = True) -> Given:
    """Rows of features, (n, f); NaN is a missing value where `missing`.

    `paired` rows are those of another sample, or have its features.
    """
    wrong = REFUSED if paired else ANY
    kinds: Kinds = {
        **_NO_ARRAY,
        **_LAYOUTS,
        **_SIZES,
        **_FRAMES,
        "None": (REFUSED, lambda x: None),
        "one NaN": (ANY if missing else REFUSED, _with(np.nan)),
        "all NaN": (REFUSED, lambda x: np.full(x.shape, np.nan)),
        "masked": (ANY if missing else REFUSED, lambda x: _masked(x, some=True)),
        "one None": (ANY if missing else REFUSED, _object_with(None)),
        "one row": (wrong, lambda x: x[:1]),
        "two rows": (wrong, lambda x: x[:2]),
        "fewer rows": (wrong, lambda x: x[:-3]),
        "a column more": (wrong, lambda x: np.concatenate([x, x[:, :1]], axis=1)),
        "no features": (REFUSED, lambda x: x[:, :0]),
    }
    # A feature by its name is as good as the argument.
    return Given(value, kinds, ("x0", "feature 0"))


def known_events(value: np.ndarray, **options: Any) -> Given:
    """Rows of features for a method of what has been fitted: any number of rows, same features."""
    given = events(value, **options)
    return given.allowing("one row", "two rows", "fewer rows")


def vector(value: np.ndarray, *, paired: bool = False) -> Given:
    """One finite number per event, (n,)."""
    wrong = REFUSED if paired else ANY
    kinds: Kinds = {
        **_NO_ARRAY,
        **_LAYOUTS,
        **_SIZES,
        "None": (REFUSED, lambda x: None),
        "one NaN": (REFUSED, _with(np.nan)),
        "all NaN": (REFUSED, lambda x: np.full(x.shape, np.nan)),
        "masked": (REFUSED, lambda x: _masked(x, some=True)),
        "one None": (REFUSED, _object_with(None)),
        "one row": (wrong, lambda x: x[:1]),
        "two rows": (wrong, lambda x: x[:2]),
        "fewer rows": (wrong, lambda x: x[:-3]),
        "two columns": (REFUSED, lambda x: np.stack([x, x], axis=1)),
        "pandas Series": (SAME, pd.Series),
        "polars Series": (SAME, pl.Series),
        "dict": (REFUSED, lambda x: {"a": x}),
    }
    return Given(value, kinds)


def weights(value: np.ndarray, *, optional: bool = True) -> Given:
    """Weights of the events of a sample, (n,), with a positive sum."""
    given = vector(value, paired=True)
    kinds: Kinds = {
        **given.kinds,
        "None": (ANY if optional else REFUSED, lambda x: None),
        "negative": (REFUSED, lambda x: -x),
        "zeros": (REFUSED, np.zeros_like),
        "one negative": (ANY, _with(-0.5)),
        "strictly cancelling": (REFUSED, lambda x: np.where(np.arange(len(x)) % 2, 1.0, -1.0)),
        # One column of weights is one weight per event.
        "dict": (ANY, lambda x: {"a": x}),
    }
    return Given(value, kinds)


def theta_rows(value: np.ndarray) -> Given:
    """θ of each event of a generator sample, (n, p)."""
    given = events(value, missing=False)
    kinds: Kinds = {
        **given.kinds,
        "constant": (REFUSED, lambda x: np.full(x.shape, 0.5)),
        "zeros": (REFUSED, np.zeros_like),
        # Another parameter, and another scale of it, are other physics, which no door can see.
        "a column more": (ANY, given.kinds["a column more"][1]),
        "number strings": (REFUSED, lambda x: x.astype(str)),
    }
    return Given(value, kinds)


def point(value: np.ndarray, name: str, *, rows: int | None = None) -> Given:
    """One θ, (p,), by order or by name."""
    kinds: Kinds = {
        **{k: v for k, v in _NO_ARRAY.items() if k not in ("0-d", "a number")},
        **{k: v for k, v in _LAYOUTS.items() if k != "non-contiguous"},
        "None": (REFUSED, lambda x: None),
        "a plain number": (SAME if len(value) == 1 else REFUSED, lambda x: float(x[0])),
        "0-d": (SAME if len(value) == 1 else REFUSED, lambda x: np.array(x[0])),
        "one NaN": (REFUSED, _with(np.nan)),
        "masked": (REFUSED, lambda x: _masked(x, some=True)),
        "one None": (REFUSED, _object_with(None)),
        "huge": (REFUSED, lambda x: np.full(x.shape, 1e300)),
        "far away": (REFUSED, lambda x: x + 1e6),
        "one more": (REFUSED, lambda x: np.append(x, x)),
        "two rows": (REFUSED, lambda x: np.stack([x, x])),
        "unknown name": (REFUSED, lambda x: {"nonsense": 0.5}),
        "another name": (REFUSED, lambda x: {"nonsense": 0.5, name: 0.5}),
        "empty dict": (REFUSED, lambda x: {}),
        "dict of a string": (REFUSED, lambda x: {name: "abc"}),
        "dict of None": (REFUSED, lambda x: {name: None}),
        "dict of a list": (REFUSED, lambda x: {name: [0.5, 0.6]}),
        "Series without the name": (REFUSED, lambda x: pd.Series({"nonsense": 0.5})),
        "frame of duplicate names": (
            REFUSED,
            lambda x: pd.DataFrame([[0.5, 0.5]], columns=[name, name]),
        ),
        "a number string": (REFUSED, lambda x: "0.5"),
    }
    return Given(value, kinds)


def sets(value: np.ndarray, *, paired: bool = True, fitted: bool = False) -> Given:
    """Sets of particles as (n, particles, f) with padding of NaN.

    Where something is fitted to them, a feature more is other physics, which no door can see.
    """
    wrong = REFUSED if paired else ANY

    def infinite(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[*np.argwhere(~np.isnan(x))[0]] = np.inf
        return x

    def half_missing(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[*np.argwhere(~np.isnan(x))[0]] = np.nan
        return x

    def records(x: np.ndarray) -> ak.Array:
        fields = {f"f{k}": ak.from_regular(ak.Array(x[..., k])) for k in range(x.shape[2])}
        return ak.zip(fields)

    no_array = {k: v for k, v in _NO_ARRAY.items() if k not in ("infinite", "minus infinite")}
    kinds: Kinds = {
        **{k: v for k, v in no_array.items() if k not in ("sparse", "0-d", "a number")},
        **{k: v for k, v in _LAYOUTS.items() if k != "long double"},
        "None": (REFUSED, lambda x: None),
        "infinite": (REFUSED, infinite),
        "a feature missing": (REFUSED, half_missing),
        # Events may have no particles.
        "all padding": (ANY, lambda x: np.full(x.shape, np.nan)),
        "one event": (wrong, lambda x: x[:1]),
        "fewer events": (wrong, lambda x: x[:-3]),
        "a feature more": (
            ANY if fitted else REFUSED,
            lambda x: np.concatenate([x, x[..., :1]], axis=2),
        ),
        "no features": (REFUSED, lambda x: x[..., :0]),
        "no particles": (ANY, lambda x: x[:, :0]),
        "rows": (REFUSED, lambda x: x[:, 0]),
        "huge": (REFUSED, lambda x: x * 1e300),
        "tiny": (ANY, lambda x: x * 1e-300),
        "constant": (ANY, lambda x: np.where(np.isnan(x), x, 1.0)),
        "records with NaN": (REFUSED, records),
        "awkward without records": (REFUSED, lambda x: ak.Array([[1.0, 2.0], [3.0]] * len(x))),
        "awkward of strings": (REFUSED, lambda x: ak.Array([[{"a": "abc"}]] * len(x))),
        "awkward with None": (REFUSED, lambda x: ak.Array([None, [{"a": 1.0}]] * (len(x) // 2))),
        "awkward of records of lists": (REFUSED, lambda x: ak.Array([[{"a": [1.0]}]] * len(x))),
    }
    return Given(value, kinds)


def tensor(value: torch.Tensor) -> Given:
    """A tensor that a network is given; values that are not finite are its user's."""
    kinds: Kinds = {
        "None": (REFUSED, lambda x: None),
        "an object": (REFUSED, lambda x: Unknown()),
        "a list": (ANY, lambda x: x.tolist()),
        "an array": (ANY, lambda x: x.numpy()),
        "0-d": (REFUSED, lambda x: x.reshape(-1)[0]),
        "flat": (REFUSED, lambda x: x.reshape(-1)),
        "a dimension more": (REFUSED, lambda x: x[None]),
        "a column more": (REFUSED, lambda x: torch.cat([x, x[:, :1]], dim=1)),
        "fewer rows": (ANY, lambda x: x[:-1]),
        "double precision": (ANY, lambda x: x.double()),
        "integers": (ANY, lambda x: x.long()),
        "complex": (REFUSED, lambda x: x + 1j),
        "non-contiguous": (SAME, lambda x: x.repeat_interleave(2, dim=0)[::2]),
    }
    return Given(value, kinds)
