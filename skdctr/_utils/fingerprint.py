"""Fingerprints of settings and data, by which a campaign recognises its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from skdctr._utils.optional import is_awkward, require

__all__ = ["describe", "fingerprint"]

_CHUNK_BYTES = 1 << 24
# Lists and dictionaries with more entries are not spelled out.
_LONGEST = 20
# Attributes that change how a fit runs, but not what it finds.
_IMMATERIAL = {"n_jobs", "verbose"}


def describe(value: Any) -> Any:
    """Describe a setting so that a file of JSON can hold it.

    Parameters
    ----------
    value : object
        Any setting or data.

    Returns
    -------
    object
        Numbers, texts, and short lists and dictionaries of such stay as they are; classes and
        functions become their names. Everything else becomes a text with its class, shape and
        fingerprint, which tells whether two values are the same.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST:
        return [describe(item) for item in value]
    if isinstance(value, dict) and len(value) <= _LONGEST:
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    shape = getattr(value, "shape", None)
    size = "" if shape is None else f" of shape {tuple(shape)}"
    return f"{type(value).__qualname__}{size}, {fingerprint(value)}"


def fingerprint(value: Any) -> str:
    """Compute 16 hexadecimal digits that tell a value from others, the same in every process.

    Parameters
    ----------
    value : object
        Arrays, tables, tensors, networks, fitted estimators and whatever has attributes count by
        their content, functions by their name only.

    Returns
    -------
    str
        The first 16 digits of a SHA-256 sum.
    """
    digest = hashlib.sha256()
    _feed(digest, value, [])
    return digest.hexdigest()[:16]


def _feed(digest: Any, value: Any, above: list[Any]) -> None:
    """Add a value to the digest; `above` holds the objects that it is a part of."""
    # An object may contain itself.
    if any(value is other for other in above):
        return
    inside = [*above, value]
    digest.update(f"<{type(value).__qualname__}>".encode())
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        _feed_array(digest, value, inside)
    elif isinstance(value, (pd.DataFrame, pd.Series)):
        frame = value if isinstance(value, pd.DataFrame) else value.to_frame()
        for name, column in frame.items():
            _feed(digest, str(name), inside)
            _feed(digest, column.to_numpy(), inside)
    elif is_awkward(value):
        ak = require("awkward")
        form, length, buffers = ak.to_buffers(ak.to_packed(value))
        _feed(digest, [form.to_json(), length, buffers], inside)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            _feed(digest, str(key), inside)
            _feed(digest, value[key], inside)
    elif isinstance(value, (list, tuple)):
        digest.update(str(len(value)).encode())
        for item in value:
            _feed(digest, item, inside)
    elif isinstance(value, (set, frozenset)):
        _feed(digest, sorted(map(repr, value)), inside)
    elif isinstance(value, partial):
        _feed(digest, [value.func, value.args, value.keywords], inside)
    elif isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    elif isinstance(value, NeuralNet):
        # The weights of a trained net count; its history and optimizer do not predict.
        _feed(digest, getattr(value, "module_", value.module), inside)
    elif isinstance(value, torch.nn.Module):
        _feed(digest, dict(value.state_dict()), inside)
    elif isinstance(value, Callback):
        _feed(digest, value.get_params(deep=False), inside)
    elif hasattr(value, "__dict__"):
        state = {k: v for k, v in vars(value).items() if k not in _IMMATERIAL}
        _feed(digest, state, inside)
    else:
        # The address in a repr differs from one process to the next.
        digest.update(repr(value).partition(" at 0x")[0].encode())


def _feed_array(digest: Any, array: Any, inside: list[Any]) -> None:
    """Add an array in parts, so that a mapped one need not fit into memory."""
    if array.dtype == object:
        _feed(digest, array.tolist(), inside)
        return
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    array = np.atleast_1d(array)
    rows = max(1, _CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        digest.update(array[start : start + rows].tobytes())
