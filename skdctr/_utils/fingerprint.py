"""Fingerprints of the contents of settings, data and functions.

A campaign recognises its own by them. What has no contents that could be compared is refused: in
its place something else could come without being noticed.
"""

from __future__ import annotations

import copyreg
import hashlib
import math
from collections.abc import Iterable
from enum import Enum
from functools import partial
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback

from skdctr._utils.code import (
    Parts,
    class_parts,
    code_parts,
    function_parts,
    is_importable,
    qualified_name,
)
from skdctr._utils.optional import is_awkward, require

__all__ = ["describe", "fingerprint"]

_CHUNK_BYTES = 1 << 24
# Lists and dictionaries with more entries are not spelled out.
_LONGEST = 20
# Attributes that change how a fit runs, but not what it finds.
_IMMATERIAL = {"n_jobs", "verbose"}
# Attributes that every torch module has.
_OF_MODULES = vars(torch.nn.Module()).keys()
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))


class _OpaqueError(Exception):
    """Something has no contents that could be compared.

    Parameters
    ----------
    value : object
        It.
    mend : str
        What to do about it.
    """

    def __init__(self, value: Any, mend: str) -> None:
        self.what, self.mend = type(value).__qualname__, mend
        self.trail: list[str] = []


def describe(value: Any, name: str = "value") -> Any:
    """Describe a setting so that a file of JSON can hold it.

    Parameters
    ----------
    value : object
        Any setting or data.
    name : str, default="value"
        What the caller calls it, for messages.

    Returns
    -------
    object
        Finite numbers, texts, and short lists and dictionaries of such stay as they are; classes
        and functions of installed packages become their names. Everything else becomes a text with
        its class or name, its shape and its fingerprint, which tells whether two are the same.

    Raises
    ------
    TypeError
        If it has no contents that could be compared.
    """
    value = _plain_number(value)
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST:
        return [describe(item, f"{name}[{k}]") for k, item in enumerate(value)]
    short = isinstance(value, dict) and len(value) <= _LONGEST
    if short and all(isinstance(key, str) for key in value):
        return {key: describe(item, f"{name}[{key!r}]") for key, item in value.items()}
    mark = fingerprint(value, name)
    return qualified_name(value) if is_importable(value) else f"{_label(value)}, {mark}"


def fingerprint(value: Any, name: str = "value") -> str:
    """Compute 16 hexadecimal digits that tell a value from others, the same in every process.

    Parameters
    ----------
    value : object
        Arrays, tables, tensors, networks and estimators count by their content, other objects by
        what pickle would keep of them; functions and classes as `skdctr._utils.code` has it.
        Neither the order of a dictionary nor the device of a tensor counts.
    name : str, default="value"
        What the caller calls it, for messages.

    Returns
    -------
    str
        The first 16 digits of a SHA-256 sum.

    Raises
    ------
    TypeError
        If the value or a part of it has no contents that could be compared: generators, open
        files, locks, lazy frames, collections of Dask.
    """
    try:
        return _sum("value", _Content().digest(value)).hex()[:16]
    except _OpaqueError as error:
        trail = ", ".join(dict.fromkeys(reversed(error.trail)))
        raise TypeError(
            f"{name} {'holds' if trail else 'is'} an object of the class {error.what}"
            f"{f' ({trail})' if trail else ''}, whose contents cannot be compared, so that "
            f"something else in its place would go unnoticed in the file: {error.mend}."
        ) from None


def _plain_number(value: Any) -> Any:
    """Make a Python number or text of one of NumPy's that is nothing more."""
    return (
        value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufcUS" else value
    )


def _label(value: Any) -> str:
    """Name a value for people."""
    value = _plain_number(value)
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, partial):
        bound = [_label(item) for item in value.args]
        bound += [f"{key}={_label(item)}" for key, item in sorted(value.keywords.items())]
        return f"{_label(value.func)}({', '.join(bound)})"
    if isinstance(value, (type, FunctionType, MethodType)):
        return qualified_name(value)
    shape = getattr(value, "shape", None)
    size = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{type(value).__qualname__}{size}"


class _Content:
    """Sums of contents, each object's once; the sum of a whole is made of those of its parts."""

    def __init__(self) -> None:
        # The object is kept with its sum, lest another one take its address.
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._around: list[int] = []

    def digest(self, value: Any) -> bytes:
        """Compute the sum of a value."""
        value = _plain_number(value)
        if isinstance(value, _ATOMS) and type(value) in _ATOMS:
            return f"{type(value).__name__}:{value!r}".encode()
        key = id(value)
        if key in self._around:
            # An object may contain itself.
            return _sum("above", len(self._around) - self._around.index(key))
        if key not in self._known:
            self._around.append(key)
            self._known[key] = (value, self._compound(value))
            self._around.pop()
        return self._known[key][1]

    def _all(self, kind: str, parts: Iterable[tuple[str, Any]]) -> bytes:
        """Compute the sum of parts in order; where one is opaque, say how to get to it."""
        digests = []
        for words, part in parts:
            try:
                digests.append(self.digest(part))
            except _OpaqueError as error:
                error.trail.append(words)
                raise
        return _sum(kind, *digests)

    def _unordered(self, kind: str, items: Iterable[Iterable[tuple[str, Any]]]) -> bytes:
        """Compute the sum of items whose order does not count, each of them made of parts."""
        return _sum(kind, *sorted(self._all("item", item) for item in items))

    def _compound(self, value: Any) -> bytes:
        """Compute the sum of something that has parts."""
        kind = type(value)
        if kind in (list, tuple):
            return self._all(kind.__name__, ((f"[{k}]", item) for k, item in enumerate(value)))
        if kind in (dict, MappingProxyType):
            return self._unordered("dict", map(_pair, value.items()))
        if kind in (set, frozenset):
            return self._unordered("set", ([("an element", item)] for item in value))
        if isinstance(value, np.generic):
            value = np.asarray(value)
        if isinstance(value, np.ma.MaskedArray):
            parts = (np.ma.getdata(value), np.ma.getmaskarray(value))
            return self._all("masked", (("array", part) for part in parts))
        if type(value) in (np.ndarray, np.memmap):
            return self._array(value)
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if is_awkward(value):
            ak = require("awkward")
            form, length, buffers = ak.to_buffers(ak.to_packed(value))
            return self._all(
                "awkward", (("array", part) for part in (form.to_json(), length, buffers))
            )
        if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
            return self._all(kind.__name__, _pandas_parts(value))
        if hasattr(kind, "__dask_graph__"):
            raise _OpaqueError(value, "pass what its compute() returns")
        return self._all(*_parts(value))

    def _array(self, array: Any) -> bytes:
        """Sum an array in pieces, so that a mapped one need not fit into memory."""
        if array.dtype.names:
            # Between the fields there may be bytes without a meaning.
            parts = ((f"[{name!r}]", array[name]) for name in array.dtype.names)
            return _sum(repr(array.dtype), self._all("fields", parts))
        if array.dtype.hasobject:
            return _sum(repr(array.shape), self.digest(array.ravel().tolist()))
        digest = hashlib.sha256(f"{array.dtype!r}{array.shape}".encode())
        array = np.atleast_1d(array)
        rows = max(1, _CHUNK_BYTES // max(1, array[:1].nbytes))
        for start in range(0, len(array), rows):
            digest.update(array[start : start + rows].tobytes())
        return digest.digest()

    def _tensor(self, tensor: torch.Tensor) -> bytes:
        tensor = tensor.detach()
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise _OpaqueError(tensor, "pass a dense tensor")
        flat = tensor.cpu().resolve_conj().resolve_neg().reshape(-1).contiguous()
        # NumPy has no such type as bfloat16.
        content = flat.view(torch.uint8).numpy()
        return _sum(f"{tensor.dtype}{tuple(tensor.shape)}", self._array(content))


def _sum(kind: str, *parts: bytes | int) -> bytes:
    """Compute the sum of a kind and of parts, each with its length."""
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(b"|%d|" % len(content))
        digest.update(content)
    return digest.digest()


def _pair(item: tuple[Any, Any]) -> list[tuple[str, Any]]:
    """Name the parts of an item of a dictionary."""
    key, value = item
    return [("a key", key), (f"[{key!r}]", value)]


def _attributes(items: Iterable[tuple[str, Any]]) -> Parts:
    for key, item in sorted(items, key=lambda pair: pair[0]):
        yield "an attribute", key
        yield f".{key}", item


def _parts(value: Any) -> tuple[str, Parts]:
    """Take apart what is neither a container nor an array; the order of the parts counts."""
    if isinstance(value, CodeType):
        return "code", code_parts(value)
    if isinstance(value, type):
        return "class", class_parts(value)
    if isinstance(value, ModuleType):
        return "module", iter([("name", value.__name__)])
    if isinstance(value, FunctionType):
        return "function", function_parts(value)
    if isinstance(value, MethodType):
        return "method", iter([("function", value.__func__), ("its object", value.__self__)])
    if isinstance(value, partial):
        bound = [("its arguments", value.args), ("its arguments", value.keywords)]
        return "partial", iter([("its function", value.func), *bound])
    if isinstance(value, Enum):
        return "enum", iter([("class", qualified_name(type(value))), ("value", value.value)])
    return "object", _object_parts(value)


def _object_parts(value: Any) -> Parts:
    """Take an object apart as far as it counts for what is computed with it."""
    yield "class", type(value)
    if isinstance(value, NeuralNet) and hasattr(value, "module_"):
        # The weights of a trained net count; its history and optimizer do not predict.
        yield "module", value.module_
    elif isinstance(value, (NeuralNet, Callback)):
        params = value.get_params(deep=False)
        yield from _attributes((k, v) for k, v in params.items() if k not in _IMMATERIAL)
    elif isinstance(value, torch.nn.Module):
        yield "representation", value.extra_repr()
        yield from value.named_parameters(recurse=False)
        yield from value.named_buffers(recurse=False)
        yield from value.named_children()
        # The numbers of hooks depend on what else the process has made.
        yield "hooks", [*value._forward_pre_hooks.values(), None, *value._forward_hooks.values()]
        own = vars(value).keys() - _OF_MODULES
        yield from _attributes((key, vars(value)[key]) for key in own)
    elif isinstance(value, BaseEstimator):
        yield from _attributes((k, v) for k, v in vars(value).items() if k not in _IMMATERIAL)
    else:
        frame = nw.from_native(value, allow_series=True, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            raise _OpaqueError(value, "pass what its collect() returns")
        if isinstance(frame, (nw.DataFrame, nw.Series)):
            yield from _table_parts(frame)
        else:
            yield from _pickled_parts(value)


def _pandas_parts(table: Any) -> Parts:
    """Take a table of pandas apart, or a column or an index of one."""
    if isinstance(table, pd.DataFrame):
        yield "its index", table.index
        for k, name in enumerate(table.columns):
            column = table.iloc[:, k]
            yield f"the column {name!r}", (name, column.to_numpy(), _pandas_type(column.dtype))
    elif isinstance(table, pd.RangeIndex):
        yield "its index", (table.start, table.stop, table.step, table.name)
    elif isinstance(table, pd.MultiIndex):
        yield "its index", table.to_frame(index=False)
    else:
        if isinstance(table, pd.Series):
            yield "its index", table.index
        yield "its values", (table.name, table.to_numpy(), _pandas_type(table.dtype))


def _pandas_type(dtype: Any) -> Any:
    """Return what a column's type says besides its values."""
    if isinstance(dtype, pd.CategoricalDtype):
        return (dtype.categories, dtype.ordered)
    return str(dtype)


def _table_parts(table: Any) -> Parts:
    """Take a table or a column of any other library apart."""
    columns = table.iter_columns() if isinstance(table, nw.DataFrame) else [table]
    for column in columns:
        missing = column.is_null().to_numpy()
        native = column.to_native()
        kind = str(getattr(native, "dtype", getattr(native, "type", column.dtype)))
        yield f"the column {column.name!r}", (column.name, kind, missing, column.to_numpy())


def _pickled_parts(value: Any) -> Parts:
    """Take an object apart as pickle does, which knows what it is made of.

    Raises
    ------
    _OpaqueError
        If pickle cannot.
    """
    mend = (
        "make it inside of the function that uses it, or give its class a method __getstate__ that "
        "returns what it computes with"
    )
    try:
        registered = copyreg.dispatch_table.get(type(value))
        reduced = registered(value) if registered else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            yield "name", f"{getattr(value, '__module__', None)}.{reduced}"
            # What functools.lru_cache makes of a function has its name only.
            yield "its function", getattr(value, "__wrapped__", None)
            return
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        items, pairs = [list(one) if one is not None else None for one in (items, pairs)]
    except Exception as error:
        raise _OpaqueError(value, mend) from error
    yield "its maker", make
    yield from ((f"[{k}]", item) for k, item in enumerate(arguments))
    if isinstance(state, dict):
        yield from _attributes((str(key), item) for key, item in state.items())
    else:
        yield "its state", state
    yield from ((f"[{k}]", item) for k, item in enumerate(items or ()))
    yield "its items", dict(pairs or ())
