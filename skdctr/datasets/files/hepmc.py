"""Read HepMC files: events of general-purpose generators, with all their weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skdctr._utils.optional import require
from skdctr._utils.warn import warn_user
from skdctr.datasets.files.particles import (
    check_request,
    open_stream,
    particle_sets,
    weight_table,
)
from skdctr.datasets.files.sources import PathLike, Source, find_file

__all__ = ["read_hepmc"]

_FIELDS: Final = {
    "px": "px",
    "py": "py",
    "pz": "pz",
    "e": "e",
    "m": "generated_mass",
    "pid": "pid",
    "status": "status",
}
_INTEGERS: Final = {"pid", "status"}
_HEADERS: Final = {
    b"HepMC::Asciiv3": "ReaderAscii",
    b"HepMC::IO_GenEvent": "ReaderAsciiHepMC2",
}
_HEAD: Final = 4096


def read_hepmc(
    path: PathLike,
    *,
    n_events: int | None = None,
    form: str = "sets",
    status: int | tuple[int, ...] | list[int] | None = 1,
    fields: list[str] | tuple[str, ...] | None = None,
) -> Bunch:
    """Read a HepMC file, such as Pythia, Herwig or Sherpa write, with all weights.

    pyhepmc reads it: ``pip install "skdctr[hepmc]"``. Momenta in MeV are converted to GeV.

    Parameters
    ----------
    path : str or path
        The file in the text format of HepMC 2 or 3, plain or compressed by gzip, bzip2, xz or
        zstd, or an address that fsspec knows.
    n_events : int, default=None
        The largest number of events to read, from the first; None reads all.
    form : {"sets", "table"}, default="sets"
        Whether particles come as sets, which reweighters of sets take, or as one table.
    status : int, sequence of int, or None, default=1
        The particles to take, by their status: 1 for the final state, 2 decayed, 4 a beam. None
        takes all.
    fields : sequence of str, default=None
        What to read of each particle: ``px``, ``py``, ``pz``, ``e`` and ``m``, the generated mass,
        in GeV, ``pid`` (PDG code) and ``status``; and, computed from the momentum, ``pt`` in GeV,
        ``eta``, ``rapidity`` and ``phi``. None stands for the first six, and for ``status`` where
        particles of several are taken.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The events. The attributes are

        particles : awkward array of n sets, or DataFrame of shape (n_particles, n_fields)
            Particles of each event in the order of the file, as records of `fields`; with
            ``form="table"`` a row for each, with the index (event, particle), both from 0.
        weight : ndarray of shape (n,)
            The weight of each event: the first that the file has, as is HepMC's convention, or 1
            where it has none.
        weights : DataFrame of shape (n, n_weights)
            All weights by the names in the file's run information, or by ``"0"``, ``"1"``, …
            where it names none.
        events : DataFrame of shape (n, 1)
            The ``number`` of each event in the file.
        cross_sections : DataFrame
            ``cross_section`` and ``error`` in pb by the name of the weight, as estimated by the
            last event that was read; of the first weight only in HepMC 2, which knows no others,
            and no rows where the file has none.

    Raises
    ------
    ImportError
        If pyhepmc is not installed, or awkward for sets, or what an address or a compression
        needs.
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If an argument is not as described, or the file is no HepMC file or damaged. Of an
        incomplete one, `n_events` reads what is there.

    Warns
    -----
    UserWarning
        If the file ends without its closing line, or names no units; if some events lack a weight
        that others have, or a weight is no finite number.

    See Also
    --------
    read_lhe : Events before the shower.
    jet_observables : Observables of jets, from ``pt``, ``eta``, ``phi`` and ``pid``.

    Examples
    --------
    >>> data = read_hepmc("events.hepmc.gz", fields=["pt", "eta", "phi", "pid"])  # doctest: +SKIP
    >>> data.particles.pt, data.weights["MUR=2.0"]  # doctest: +SKIP
    """
    request = check_request(n_events, form, status, fields, list(_FIELDS))
    file = find_file(path)
    pyhepmc = require("pyhepmc")
    if form == "sets":
        require("awkward")
    parts: dict[str, list[Any]] = {name: [] for name in _FIELDS}
    counts, numbers, rows = [], [], []
    names: list[str] = []
    cross_sections: dict[str, tuple[float, float]] = {}
    with _quiet(pyhepmc):
        for event, has_one in _events(pyhepmc, file, request.n_events):
            event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
            # What numpy sees is the event's own memory, which goes with it.
            view = event.numpy.particles
            for name, key in _FIELDS.items():
                parts[name].append(np.array(getattr(view, key)))
            counts.append(len(parts["status"][-1]))
            numbers.append(event.event_number)
            names = _names(event)
            rows.append(dict(zip(names, list(event.weights) or [1.0], strict=True)))
            if event.cross_section is not None:
                found = event.cross_section
                cross_sections = {
                    name: (found.xsec(k), found.xsec_err(k))
                    for k, name in enumerate(names[:1] if has_one else names)
                }
    if not counts:
        raise ValueError(f"{file} holds no events; check how it was written.")
    columns = {
        name: np.concatenate(each).astype(np.int64 if name in _INTEGERS else np.float64)
        for name, each in parts.items()
    }
    weights = weight_table(file, names, rows)
    return Bunch(
        particles=particle_sets(columns, np.array(counts, dtype=np.int64), request),
        weight=np.array([next(iter(row.values())) for row in rows], dtype=np.float64),
        weights=weights,
        events=pd.DataFrame({"number": numbers}),
        cross_sections=pd.DataFrame(
            list(cross_sections.values()),
            index=pd.Index(list(cross_sections), name="weight", dtype=object),
            columns=["cross_section", "error"],
            dtype=np.float64,
        ),
    )


def _names(event: Any) -> list[str]:
    """Return a name for each weight of an event."""
    names = list(event.run_info.weight_names) if event.run_info is not None else []
    n = len(event.weights)
    if not n:
        return ["0"]
    return names if len(names) == n else [str(k) for k in range(n)]


@contextlib.contextmanager
def _quiet(pyhepmc: Any) -> Iterator[None]:
    """Keep HepMC from printing what comes as an error here."""
    before = pyhepmc.Setup.print_errors, pyhepmc.Setup.print_warnings, pyhepmc.Setup.debug_level
    pyhepmc.Setup.print_errors = pyhepmc.Setup.print_warnings = False
    pyhepmc.Setup.debug_level = 0
    try:
        yield
    finally:
        errors, warnings, level = before
        pyhepmc.Setup.print_errors, pyhepmc.Setup.print_warnings = errors, warnings
        pyhepmc.Setup.debug_level = level


class _Watched:
    """A file that is read by pyhepmc, which ends at damage as it does at the end.

    Attributes
    ----------
    n_begun : int
        How many events begin in what was read.
    has_units : bool
        Whether any names its units.
    tail : bytes
        The end of what was read.
    error : Exception or None
        What ended the reading, of which HepMC says nothing.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.n_begun = 0
        self.has_units = False
        self.tail = b""
        self.error: Exception | None = None

    def readinto1(self, buffer: Any) -> int:
        """Read into the buffer of HepMC, as its streams of Python do."""
        try:
            found = self._stream.read(len(buffer))
        except Exception as error:
            self.error = error
            raise
        buffer[: len(found)] = found
        # A line may begin in one piece and go on in the next.
        text = self.tail[-2:] + found
        self.n_begun += text.count(b"\nE ")
        self.has_units = self.has_units or b"\nU " in text
        self.tail = (self.tail + found)[-_HEAD:]
        return len(found)

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        size = size if size >= 0 else 1 << 20
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto1(memoryview(buffer))])

    def write(self, _: Any) -> int:
        """Refuse to write, which no reader does; HepMC looks for the method."""
        raise OSError("the file is open for reading")


def _events(pyhepmc: Any, file: Source, n_events: int | None) -> Iterator[tuple[Any, bool]]:
    """Give the events one after the other, and check at the end that none is lost.

    Yields
    ------
    event : GenEvent
        The event.
    has_one : bool
        Whether its cross section is that of the first weight only, as HepMC 2 knows no others.
    """
    stream, streams = open_stream(file)
    try:
        try:
            head = stream.read(_HEAD)
            stream.seek(0)
        # The error of each compression is one of its own.
        except Exception as error:
            raise _error(file, f"{type(error).__name__}: {error}", 0) from error
        kinds = [kind for mark, kind in _HEADERS.items() if mark in head]
        if not kinds:
            hint = (
                "it is LHE, which read_lhe reads"
                if b"<LesHouchesEvents" in head
                else "it has to begin with HepMC::Version and the name of a text format, Asciiv3 "
                "or IO_GenEvent"
            )
            raise ValueError(f"{file} cannot be read as HepMC: {hint}.")
        watched = _Watched(stream)
        reader = getattr(pyhepmc.io, kinds[0])(pyhepmc.io.pyiostream(watched))
        n_read = 0
        while n_events is None or n_read < n_events:
            event = pyhepmc.GenEvent()
            try:
                is_read = reader.read_event(event)
            except Exception as error:
                said = " ".join(str(error).split())
                raise _error(file, f"{type(error).__name__}: {said}", n_read) from error
            # At the end comes an event of nothing; others may have no particles, too.
            if not is_read or (reader.failed() and not event.particles):
                _check_end(file, watched, n_read)
                break
            n_read += 1
            yield event, kinds[0] == "ReaderAsciiHepMC2"
        reader.close()
    finally:
        for each in streams:
            each.close()


def _check_end(file: Source, watched: _Watched, n_read: int) -> None:
    """Refuse a file of which events are lost, and warn of one that may lack some."""
    if watched.error is not None:
        raise _error(file, f"{type(watched.error).__name__}: {watched.error}", n_read)
    if watched.n_begun > n_read:
        raise _error(
            file, f"{watched.n_begun} events begin in it or more, and HepMC takes {n_read}", n_read
        )
    if b"END_EVENT_LISTING" not in watched.tail:
        warn_user(
            f"{file} ends without its closing line, HepMC::…-END_EVENT_LISTING: after its {n_read} "
            "events others may be missing. Check that the job that wrote it came to its end.",
            UserWarning,
        )
    if n_read and not watched.has_units:
        warn_user(f"{file} names no units, which are taken to be GeV.", UserWarning)


def _error(file: Source, said: str, n_read: int) -> ValueError:
    """Make the error for a file that pyhepmc cannot read, or not beyond some event."""
    first = f" The events before it come with n_events={n_read}." if n_read else ""
    return ValueError(
        f"{file} cannot be read as HepMC at event {n_read} of the file, counted from 0 ({said}). "
        f"It may be damaged or incomplete: copy it again.{first}"
    )
