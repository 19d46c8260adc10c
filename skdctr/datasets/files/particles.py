"""The particles of events that generators wrote, as sets or as a table, and their weights."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BufferedReader
from typing import IO, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skdctr._utils.arguments import check_choice
from skdctr._utils.numbers import check_count
from skdctr._utils.optional import require
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.warn import warn_user
from skdctr.datasets.files.archives import Unpacked
from skdctr.datasets.files.sources import Source, shortened

__all__ = [
    "DERIVED",
    "ParticleRequest",
    "check_request",
    "open_stream",
    "particle_sets",
    "weight_table",
]

# Fields that are computed from the momentum.
DERIVED: Final = ("pt", "eta", "rapidity", "phi")
_MOMENTUM: Final = ("px", "py", "pz", "e", "m", "pid")
_FORMS: Final = ("sets", "table")
_COMPRESSED: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class ParticleRequest:
    """Which particles to read, which of their fields, and the form of the result.

    Attributes
    ----------
    n_events : int or None
        The largest number of events.
    form : {"sets", "table"}
        The form.
    status : tuple of int, or None
        Status codes of the particles; None for all.
    fields : tuple of str
        Fields of each particle.
    """

    def __init__(
        self, n_events: int | None, form: str, status: tuple[int, ...] | None, fields: Sequence[str]
    ) -> None:
        self.n_events = n_events
        self.form = form
        self.status = status
        self.fields = tuple(fields)

    def takes(self, status: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which particles to take, by their status codes."""
        if self.status is None:
            return np.ones(len(status), dtype=bool)
        return np.isin(status, self.status)


def check_request(
    n_events: Any, form: Any, status: Any, fields: Any, known: Sequence[str]
) -> ParticleRequest:
    """Check what a user asks of a file of events.

    Parameters
    ----------
    n_events, form, status, fields
        As for `read_lhe`.
    known : sequence of str
        The fields that the file has for each particle.

    Raises
    ------
    TypeError, ValueError
        If one is not as described there.
    """
    if n_events is not None:
        n_events = check_count("n_events", n_events, advice="pass a number of events, or None")
    check_choice("form", form, _FORMS)
    if status is not None:
        codes = [status] if np.ndim(status) == 0 else list(status)
        if not codes or not all(isinstance(c, (int, np.integer)) for c in codes):
            raise TypeError(
                f"status must be an int, a sequence of ints or None, got {status!r}; the final "
                "state is status=1."
            )
        status = tuple(int(code) for code in codes)
    if fields is None:
        several = status is None or len(status) > 1
        fields = (*_MOMENTUM, "status") if several else _MOMENTUM
    if isinstance(fields, str) or not isinstance(fields, Iterable):
        raise TypeError(f"fields must be a sequence of names, got {fields!r}; pass e.g. ['pt'].")
    fields = list(fields)
    for name in fields:
        if name not in (*known, *DERIVED):
            raise ValueError(
                f"fields names {name!r}, which no particle has; "
                f"{did_you_mean(name, (*known, *DERIVED))}"
            )
    if not fields or len(set(fields)) < len(fields):
        raise ValueError(f"fields must name at least one field and none twice, got {fields}.")
    return ParticleRequest(n_events, form, status, fields)


def particle_sets(
    columns: Mapping[str, NDArray[Any]], counts: NDArray[np.int64], request: ParticleRequest
) -> Any:
    """Put the particles of events together.

    Parameters
    ----------
    columns : mapping of str to ndarray of shape (m,)
        Fields of all particles, one event after the other, ``px, py, pz, e`` and ``status``
        among them.
    counts : ndarray of shape (n,)
        Number of particles in each event.
    request : ParticleRequest
        What to take.

    Returns
    -------
    awkward array of shape (n, var), or DataFrame of shape (m, f)
        Records of the fields; or a row for each particle, with the index (event, particle).
    """
    taken = request.takes(columns["status"])
    event = np.repeat(np.arange(len(counts)), counts)[taken]
    columns = {name: values[taken] for name, values in columns.items()}
    kept = np.bincount(event, minlength=len(counts)).astype(np.int64)
    found = {
        name: _derived(name, columns) if name in DERIVED else columns[name]
        for name in request.fields
    }
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    if request.form == "table":
        number = np.arange(len(event)) - offsets[event]
        index = pd.MultiIndex.from_arrays([event, number], names=["event", "particle"])
        return pd.DataFrame(found, index=index)
    ak = require("awkward")
    records = ak.contents.RecordArray(
        [ak.contents.NumpyArray(np.ascontiguousarray(values)) for values in found.values()],
        list(found),
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), records))


def _derived(name: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Compute a field of the momentum; η of a particle along the beam is infinite."""
    px, py, pz, e = (columns[each] for each in ("px", "py", "pz", "e"))
    if name == "phi":
        return np.arctan2(py, px)
    pt = np.hypot(px, py)
    if name == "pt":
        return pt
    scale = np.hypot(pt, pz) if name == "eta" else e
    # m_T² as a product, since the difference of squares would cancel.
    transverse = pt**2 if name == "eta" else np.maximum((e - np.abs(pz)) * (e + np.abs(pz)), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(scale + np.abs(pz)) - 0.5 * np.log(transverse)
    return np.where(pz == 0, 0.0, np.copysign(value, pz))


def weight_table(
    file: Source, names: Sequence[str], rows: Sequence[Mapping[str, float]]
) -> pd.DataFrame:
    """Put the weights of events side by side.

    Parameters
    ----------
    file : Source
        The file, which messages name.
    names : sequence of str
        The weights that its header announces, whose order the columns have. Others follow.
    rows : sequence of mapping of str to float
        Weights of each event by name.

    Returns
    -------
    DataFrame of shape (n, n_weights)
        Weights; NaN where an event lacks one.

    Warns
    -----
    UserWarning
        If an event lacks a weight that others have, or one is NaN or infinite.
    """
    seen: dict[str, None] = {}
    for row in rows:
        seen.update(dict.fromkeys(row))
    order = [name for name in names if name in seen]
    order += [name for name in seen if name not in set(order)]
    values = np.array([[row.get(name, np.nan) for name in order] for row in rows], dtype=np.float64)
    table = pd.DataFrame(values.reshape(len(rows), len(order)), columns=order)
    lacking = {name: sum(name not in row for row in rows) for name in order}
    lacking = {name: n for name, n in lacking.items() if n}
    if lacking:
        warn_user(
            f"{file}: some of the {len(rows)} events lack the weights {shortened(lacking)}, "
            f"{max(lacking.values())} of them one: they are NaN there. Drop these events or "
            "these weights.",
            UserWarning,
        )
    bad = [n for n in order if (~np.isfinite(table[n])).sum() > lacking.get(n, 0)]
    if bad:
        warn_user(
            f"{file}: the weights {shortened(bad)} are NaN or infinite in some events; drop these "
            "events, or these weights.",
            UserWarning,
        )
    return table


def open_stream(source: Source) -> tuple[Any, list[Any]]:
    """Open a file, and unpack it where its first bytes say that it is compressed.

    Of a compressed file no more is read than `limit_of` allows.

    Returns
    -------
    stream : binary file
        The content.
    streams : list of binary files
        What has to be closed, in this order.
    """
    stream = source.open()
    head = stream.read(6)
    stream.seek(0)
    for magic, opener in _COMPRESSED.items():
        if head.startswith(magic):
            unpacked = BufferedReader(Unpacked(opener(stream), stream))
            return unpacked, [unpacked, stream]
    if head.startswith(_ZSTD):
        for module in ("compression.zstd", "backports.zstd"):
            try:
                content = importlib.import_module(module).ZstdFile(stream)
                unpacked = BufferedReader(Unpacked(content, stream))
            except ModuleNotFoundError:
                continue
            return unpacked, [unpacked, stream]
        stream.close()
        raise ImportError(
            f"{source} is compressed by zstd: pip install backports.zstd, or unpack it."
        )
    return stream, [stream]
