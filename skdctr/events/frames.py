"""The one door for tables: whatever a user has in hand becomes an array, or a DataFrame with names.

Frames of any library come in by narwhals (pandas, polars, pyarrow, …), and so do dictionaries of
columns, structured arrays, flat awkward records and tensors. Columns keep their names, by which
samples are compared; what has no rows yet, such as a generator or a lazy frame, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy.sparse import issparse

from skdctr._utils.arguments import check_real_dtype
from skdctr._utils.optional import is_awkward

__all__ = ["as_table", "column_labels", "is_flat_awkward"]


def as_table(X: Any, *, name: str) -> Any:
    """Turn a table in any of its forms into an ndarray, or into pandas where columns have names.

    Parameters
    ----------
    X : table or array-like
        One row per event. Sets of particles have a door of their own, `PackedEvents.from_events`.
    name : str
        What the caller calls the argument, for messages.

    Returns
    -------
    ndarray, DataFrame, Series or list
        Without missing values but NaN. Arrays, pandas and lists come back as they are.

    Raises
    ------
    TypeError
        If X has no rows yet: a Python generator, a lazy frame, a collection of Dask.
    ValueError
        If columns differ in length or are no columns, two have the same name or one holds no
        numbers, or a structured array is masked.
    """
    if isinstance(X, np.ma.MaskedArray):
        return _unmasked(X, name)
    if isinstance(X, np.ndarray):
        if X.dtype.names is not None:
            return _from_columns(_fields(X), name)
        check_real_dtype(X, name)
        return X
    if isinstance(X, (pd.DataFrame, pd.Series)):
        _refuse_no_numbers(X, name)
        return _without_nulls(X)
    if is_flat_awkward(X):
        return _from_awkward(X, name)
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        return X.detach().cpu().numpy()
    # A sparse matrix, which scikit-learn refuses, may be a dictionary too.
    if isinstance(X, Mapping) and not issparse(X):
        return _from_columns(dict(X), name)
    _refuse_unread(X, name)
    frame = nw.from_native(X, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(f"{name} is a lazy frame, which has no rows yet: pass {name}.collect().")
    if isinstance(frame, (nw.DataFrame, nw.Series)):
        table = frame.to_pandas()
        _refuse_no_numbers(table, name)
        return _without_nulls(table)
    return X


def column_labels(X: Any) -> list[str] | None:
    """Return the names of the columns that a user's table has.

    Parameters
    ----------
    X : table or array-like
        As `as_table` takes it.

    Returns
    -------
    list of str, or None
        None where there are none: of arrays, and of DataFrames that have only numbered columns in
        order. Labels that are no strings are written as such.
    """
    if is_flat_awkward(X):
        return list(X[0].fields if isinstance(X, list) else X.fields) or None
    if X is None or isinstance(X, (list, tuple)):
        return None
    if isinstance(X, np.ndarray):
        return None if X.dtype.names is None else list(X.dtype.names)
    if isinstance(X, pd.Series):
        return [X.name] if isinstance(X.name, str) else None
    if isinstance(X, pd.DataFrame):
        numbers: list[Any] = list(range(X.shape[1]))
        if list(X.columns) == numbers:
            return None
        return [_label(column) for column in X.columns]
    if isinstance(X, Mapping) and not issparse(X):
        return [_label(column) for column in X]
    frame = nw.from_native(X, allow_series=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return [_label(column) for column in frame.columns]
    if isinstance(frame, nw.Series):
        return [frame.name] if frame.name else None
    return None


def is_flat_awkward(X: Any) -> bool:
    """Say whether X is an awkward array of one number, or one record of numbers, for each event.

    A list of such records, which scikit-learn makes of the rows that it splits, is one too.
    """
    if isinstance(X, list) and X and is_awkward(X[0]):
        return bool(X[0].fields) and all(np.ndim(X[0][field]) == 0 for field in X[0].fields)
    if not is_awkward(X) or X.ndim != 1:
        return False
    return all(X[field].ndim == 1 and not X[field].fields for field in X.fields)


def _label(column: Any) -> str:
    """Write a label as a string; those of several levels are joined by a dot."""
    if isinstance(column, tuple):
        return ".".join(map(str, column))
    return str(column)


def _fields(X: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {field: X[field] for field in X.dtype.names or ()}


def _from_columns(columns: Mapping[Any, Any], name: str) -> pd.DataFrame:
    """Put columns side by side, each of one number per event."""
    arrays = {_label(key): np.asarray(as_table(each, name=name)) for key, each in columns.items()}
    shapes = {key: each.shape for key, each in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        raise ValueError(
            f"{name} has columns of the shapes {shapes}; expected one number per event in each, "
            "and as many in all of them."
        )
    return pd.DataFrame(arrays)


def _unmasked(X: np.ma.MaskedArray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Fill what is masked with NaN; of integers there is none."""
    if X.dtype.names is not None:
        raise ValueError(f"{name} is a masked structured array: give its columns as a dict.")
    check_real_dtype(X.data, name)
    if not np.ma.getmaskarray(X).any():
        return np.asarray(X.data)
    values = np.array(X.data, dtype=np.float64)
    values[np.ma.getmaskarray(X)] = np.nan
    return values


def _from_awkward(X: Any, name: str) -> Any:
    """Read one number, or one record of numbers, for each event; what is missing becomes NaN."""
    if isinstance(X, list):
        return _from_columns({field: [row[field] for row in X] for field in X[0].fields}, name)
    if X.fields:
        return _from_columns({field: X[field] for field in X.fields}, name)
    masked = X.to_numpy(allow_missing=True)
    return _unmasked(masked, name) if isinstance(masked, np.ma.MaskedArray) else masked


def _without_nulls(X: Any) -> Any:
    """Turn the missing values of nullable columns into NaN, and labels into strings."""
    if isinstance(X, pd.Series):
        return X if _is_plain(X.dtype) else X.astype(np.float64)
    nullable = [k for k, dtype in enumerate(X.dtypes) if not _is_plain(dtype)]
    labels = column_labels(X)
    renamed = labels is not None and labels != list(X.columns)
    if not nullable and not renamed:
        return X
    X = X.copy(deep=False)
    if renamed:
        X.columns = labels
    converted = {k: X.iloc[:, k].to_numpy(dtype=np.float64, na_value=np.nan) for k in nullable}
    arrays = [converted.get(k, X.iloc[:, k]) for k in range(X.shape[1])]
    return pd.DataFrame(
        {k: np.asarray(each) for k, each in enumerate(arrays)}, index=X.index
    ).set_axis(X.columns, axis=1)


def _refuse_no_numbers(X: Any, name: str) -> None:
    """Refuse frames without columns, with a name twice, or with columns that hold no numbers."""
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if not X.shape[1]:
        raise ValueError(
            f"{name} is a table without columns: Found array with 0 feature(s) "
            f"(shape={X.shape}) while a minimum of 1 is required."
        )
    if not X.columns.is_unique:
        twice = sorted({_label(column) for column in X.columns[X.columns.duplicated()]})
        raise ValueError(
            f"{name} has more than one column of the name {twice}, expected each name once: rename "
            "or drop the others."
        )
    for k, (column, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if getattr(dtype, "kind", "O") in "biuf":
            continue
        # Objects and categories may be numbers, and nullable columns are.
        is_date = getattr(dtype, "kind", "O") in "cMm"
        try:
            good = not is_date and X.iloc[:, k].to_numpy(dtype=np.float64, na_value=np.nan).ndim > 0
        except (TypeError, ValueError):
            good = False
        if not good:
            raise ValueError(
                f"{name} has the column {_label(column)!r} of type {dtype}, which could not convert"
                " to numbers; expected numbers: code it, or leave it out."
            )


def _is_plain(dtype: Any) -> bool:
    """Say whether a column is one of NumPy's, or of strings that nothing could convert."""
    return isinstance(dtype, np.dtype) or not getattr(dtype, "_is_numeric", False)


def _refuse_unread(X: Any, name: str) -> None:
    """Refuse what has no rows yet."""
    if isinstance(X, Iterator):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which gives its rows once only: pass a list or an "
            f"array, e.g. np.stack(list({name}))."
        )
    if hasattr(X, "__dask_graph__"):
        raise TypeError(f"{name} is a collection of Dask, not computed yet: {name}.compute().")
