"""Read Les Houches event files: partons of matrix elements, with all their weights."""

from __future__ import annotations

import contextlib
import warnings
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
from skdctr.datasets.files.sources import PathLike, Source, find_file, shortened

__all__ = ["read_lhe"]

NOMINAL: Final = "nominal"
# Fields by the names that pylhe has for them.
_FIELDS: Final = {
    "px": "px",
    "py": "py",
    "pz": "pz",
    "e": "e",
    "m": "m",
    "pid": "id",
    "status": "status",
    "mother1": "mother1",
    "mother2": "mother2",
    "color1": "color1",
    "color2": "color2",
    "lifetime": "lifetime",
    "spin": "spin",
}
_INTEGERS: Final = {"pid", "status", "mother1", "mother2", "color1", "color2"}


def read_lhe(
    path: PathLike,
    *,
    n_events: int | None = None,
    form: str = "sets",
    status: int | tuple[int, ...] | list[int] | None = 1,
    fields: list[str] | tuple[str, ...] | None = None,
) -> Bunch:
    """Read a Les Houches event file, such as MadGraph, POWHEG or Sherpa write, with all weights.

    pylhe reads it: ``pip install "skdctr[lhe]"``.

    Parameters
    ----------
    path : str or path
        The file, plain or compressed by gzip, bzip2, xz or zstd, or an address that fsspec knows.
    n_events : int, default=None
        The largest number of events to read, from the first; None reads all.
    form : {"sets", "table"}, default="sets"
        Whether particles come as sets, which reweighters of sets take, or as one table.
    status : int, sequence of int, or None, default=1
        The particles to take, by their status: 1 outgoing, -1 incoming, 2 decayed. None takes all.
    fields : sequence of str, default=None
        What to read of each particle: ``px``, ``py``, ``pz``, ``e`` and ``m`` in GeV, ``pid`` (PDG
        code), ``status``, ``mother1`` and ``mother2`` (numbers in the event, from 1; 0 is none),
        ``color1``, ``color2``, ``lifetime`` (cτ in mm), ``spin``; and, computed from the momentum,
        ``pt`` in GeV, ``eta``, ``rapidity`` and ``phi``. None stands for the first six, and for
        ``status`` where particles of several are taken.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The events. The attributes are

        particles : awkward array of n sets, or DataFrame of shape (n_particles, n_fields)
            Particles of each event in the order of the file, as records of `fields`; with
            ``form="table"`` a row for each, with the index (event, particle), both from 0.
            ``particles.unstack()`` has a row for each event.
        weight : ndarray of shape (n,)
            The weight of each event, XWGTUP, in the units of the file, mostly pb. It may be
            negative.
        weights : DataFrame of shape (n, n_weights)
            All weights by name: ``nominal``, which is `weight`, and those of ``<rwgt>`` or
            ``<weights>`` by their ids, in the order of ``<initrwgt>``.
        weight_info : DataFrame
            What ``<initrwgt>`` says of each id: ``group``, ``text`` and its attributes (``MUR``,
            ``PDF``, …).
        events : DataFrame of shape (n, 4)
            Of each event the ``process``, the ``scale`` in GeV, ``alpha_qed`` and ``alpha_qcd``.
        cross_sections : DataFrame
            Of each process ``cross_section``, ``error`` and ``max_weight`` in pb.
        beams : dict
            PDG codes ``pid`` and energies ``energy`` in GeV of both beams, ``pdf_set``, and the
            ``weighting_strategy`` IDWTUP.

    Raises
    ------
    ImportError
        If pylhe is not installed, or what an address or a compression needs.
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If an argument is not as described, or the file is no LHE file, damaged or incomplete. Of
        an incomplete one, `n_events` reads what is there.

    Warns
    -----
    UserWarning
        If some events lack a weight that others have, or a weight is no finite number; if
        ``<initrwgt>`` has an id twice; or if an id is ``nominal``, which then reads
        ``nominal (rwgt)``.

    See Also
    --------
    read_hepmc : Events after the shower and hadronisation.

    Examples
    --------
    >>> low = read_lhe("mt170.lhe.gz", fields=["pt", "eta", "phi", "pid"])  # doctest: +SKIP
    >>> high = read_lhe("mt175.lhe.gz", fields=["pt", "eta", "phi", "pid"])  # doctest: +SKIP
    >>> gen = ak.concatenate([low.particles, high.particles])  # doctest: +SKIP
    >>> weight = np.concatenate([low.weight, high.weight])  # doctest: +SKIP
    >>> mt = np.repeat([170.0, 175.0], [len(low.weight), len(high.weight)])  # doctest: +SKIP
    >>> DCTRReweighter().fit(gen, mt, sample_weight=weight)  # doctest: +SKIP
    """
    request = check_request(n_events, form, status, fields, list(_FIELDS))
    file = find_file(path)
    pylhe = require("pylhe")
    if form == "sets":
        require("awkward")
    wanted = set(request.fields) | {"px", "py", "pz", "e", "status"}
    kept = {name: key for name, key in _FIELDS.items() if name in wanted}
    values: dict[str, list[float]] = {name: [] for name in kept}
    counts, infos, rows = [], [], []
    with _content(pylhe, file) as content:
        for event in _events(content, file, request.n_events):
            counts.append(len(event.particles))
            infos.append(event.eventinfo)
            rows.append(event.weights)
            for name, key in kept.items():
                values[name] += [getattr(particle, key) for particle in event.particles]
        known = _weight_info(content, file)
        init = content.init
    if not infos:
        raise ValueError(f"{file} holds no events; check how it was written.")
    columns = {
        name: np.array(each, dtype=np.int64 if name in _INTEGERS else np.float64)
        for name, each in values.items()
    }
    weight = np.array([info.weight for info in infos], dtype=np.float64)
    weights = weight_table(file, [NOMINAL, *known.index], _rows(file, weight, rows))
    return Bunch(
        particles=particle_sets(columns, np.array(counts, dtype=np.int64), request),
        weight=weight,
        weights=weights,
        weight_info=known,
        events=pd.DataFrame(
            {
                "process": [info.pid for info in infos],
                "scale": [info.scale for info in infos],
                "alpha_qed": [info.aqed for info in infos],
                "alpha_qcd": [info.aqcd for info in infos],
            }
        ),
        cross_sections=_cross_sections(init),
        beams={
            "pid": (init.initInfo.beamA, init.initInfo.beamB),
            "energy": (init.initInfo.energyA, init.initInfo.energyB),
            "pdf_set": (init.initInfo.PDFsetA, init.initInfo.PDFsetB),
            "weighting_strategy": init.initInfo.weightingStrategy,
        },
    )


def _error(file: Source, error: Exception, n_read: int | None = None) -> ValueError:
    """Make the error for a file that pylhe cannot read, or not beyond some event."""
    said = " ".join(str(error).split())
    if n_read is None:
        return ValueError(
            f"{file} cannot be read as LHE ({type(error).__name__}: {said}). It has to be XML "
            "with <LesHouchesEvents>, an optional <header> and <init> first. Signs that XML "
            "forbids in a header, '<', '&' or '--' in a comment, have to go. "
            "HepMC is for read_hepmc."
        )
    first = f" The events before it come with n_events={n_read}." if n_read else ""
    return ValueError(
        f"{file} cannot be read as LHE at event {n_read} of the file, counted from 0 "
        f"({type(error).__name__}: {said}). It may be damaged or incomplete: copy it again.{first}"
    )


@contextlib.contextmanager
def _content(pylhe: Any, file: Source) -> Iterator[Any]:
    """Open a file and read it up to its first event."""
    stream, streams = open_stream(file)
    try:
        try:
            with _parse_errors():
                content = pylhe.LHEFile.frombuffer(stream)
        # A damaged file may hold anything, and pylhe raises what comes of it.
        except Exception as error:
            raise _error(file, error) from error
        processes = len(content.init.procInfo)
        if processes != content.init.initInfo.numProcesses:
            raise _error(
                file,
                ValueError(
                    f"<init> announces {content.init.initInfo.numProcesses} processes and has "
                    f"{processes}"
                ),
            )
        yield content
    finally:
        for each in streams:
            each.close()


@contextlib.contextmanager
def _parse_errors() -> Iterator[None]:
    """Make errors of the warnings with which pylhe ends a file that is no XML any more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Parse Error", RuntimeWarning)
        yield


def _events(content: Any, file: Source, n_events: int | None) -> Iterator[Any]:
    """Give the events one after the other, and check that each is whole."""
    n_read, events = 0, iter(content.events)
    while n_events is None or n_read < n_events:
        try:
            with _parse_errors():
                event = next(events, None)
            if event is None:
                return
            announced = event.eventinfo.nparticles
            if len(event.particles) != announced:
                raise ValueError(
                    f"the event announces {announced} particles and has {len(event.particles)}"
                )
        except Exception as error:
            raise _error(file, error, n_read) from error
        n_read += 1
        yield event


def _rows(file: Source, weight: Any, rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Put the weight of each event before its others."""
    renamed = any(NOMINAL in row for row in rows)
    if renamed:
        warn_user(
            f"{file} has a weight with the id {NOMINAL!r}, which stands in the column "
            f"'{NOMINAL} (rwgt)'; {NOMINAL!r} is the weight of the event.",
            UserWarning,
        )
        rows = [{f"{n} (rwgt)" if n == NOMINAL else n: v for n, v in row.items()} for row in rows]
    return [{NOMINAL: own, **row} for own, row in zip(weight, rows, strict=True)]


def _weight_info(content: Any, file: Source) -> pd.DataFrame:
    """Put together what the header says of the weights."""
    found: dict[str, dict[str, str]] = {}
    twice = []
    entries = content.header.initrwgt.entries if content.header is not None else []
    for entry in entries:
        is_group = hasattr(entry, "weights")
        group = (entry.name or entry.extra_attributes.get("type", "")) if is_group else ""
        for weight in entry.weights if is_group else [entry]:
            if weight.id in found:
                twice.append(weight.id)
            found[weight.id] = {"group": group, "text": weight.name, **weight.extra_attributes}
    if twice:
        warn_user(
            f"{file}: <initrwgt> has the ids {shortened(twice)} more than once; which weight of an "
            "event is meant cannot be told.",
            UserWarning,
        )
    names = list(dict.fromkeys(name for each in found.values() for name in each))
    return pd.DataFrame(
        [[each.get(name, "") for name in names] for each in found.values()],
        index=pd.Index(list(found), name="id", dtype=object),
        columns=names or ["group", "text"],
    )


def _cross_sections(init: Any) -> pd.DataFrame:
    """Put the cross sections of the processes together."""
    return pd.DataFrame(
        {
            "cross_section": [process.xSection for process in init.procInfo],
            "error": [process.error for process in init.procInfo],
            "max_weight": [process.unitWeight for process in init.procInfo],
        },
        index=pd.Index([process.procId for process in init.procInfo], name="process"),
        dtype=np.float64,
    )
