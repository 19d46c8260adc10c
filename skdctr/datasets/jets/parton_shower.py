"""The generation of jets of hadronic Z decays by Pythia 8 and FastJet, as in the papers.

It needs the extra ``[pythia]``: ``pip install "skdctr[pythia]"``.
"""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skdctr._utils.device import checked_random_state
from skdctr._utils.numbers import check_count
from skdctr._utils.optional import require
from skdctr.datasets.files.cache import RequestCache, cache_directory
from skdctr.datasets.generator import pythia
from skdctr.datasets.generator.blocks import check_run, plan_blocks, run_blocks
from skdctr.datasets.generator.parameters import check_value_or_range
from skdctr.datasets.jets.observables import OBSERVABLES, check_observables, jet_observables

__all__ = ["DESCR", "OBSERVABLES_BY_DEFAULT", "make_parton_shower"]


# A part of every cache key, to be raised whenever the same request would give other arrays.
_FORMAT = 1
# A part of the cache key of the observables that are computed afterwards, to be raised likewise.
_OBSERVABLES_FORMAT = 1
# The generation counts these anyway; all others are computed from the particles.
OBSERVABLES_BY_DEFAULT = ("multiplicity", "n_kaons")
_DERIVED = [name for name in OBSERVABLES if name not in OBSERVABLES_BY_DEFAULT]
# Files of the cache begin so: the first with the particles of the jets, the second without them.
_FILES = ("parton_shower-full", "parton_shower-jets")
_JET = ["pt", "eta", "phi", "mass"]
_CONSTITUENT = ["pt", "eta", "phi", "pid"]
DESCR = """\
Jets of e+e- -> Z -> hadrons at 91.2 GeV: Pythia 8, Monash tune, no initial-state radiation, decays
to u, d, s, c, b. Final-state particles but neutrinos are clustered by FastJet's anti-kt algorithm
with R = 0.8. After arXiv:1907.08209 and arXiv:2010.03569. Results that use these events should
cite Pythia 8 (arXiv:2203.11601), FastJet (arXiv:1111.6097) and anti-kt (arXiv:0802.1189)."""


def make_parton_shower(
    n_events: int,
    *,
    alphaS: float | tuple[float, float] = 0.1365,
    aLund: float | tuple[float, float] = 0.68,
    probStoUD: float | tuple[float, float] = 0.217,
    jets_per_event: int = 1,
    observables: Sequence[str] = OBSERVABLES_BY_DEFAULT,
    constituents: bool = True,
    events_per_theta: int = 100,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> Bunch:
    r"""Generate jets of :math:`e^+e^- \to Z \to` hadrons with Pythia 8 and FastJet.

    Beams of 45.6 GeV without initial-state radiation make a Z, which decays to u, d, s, c or b
    quarks. Parton shower and hadronisation have Pythia's default (Monash) tune but for the three
    parameters here. Final-state particles but neutrinos are clustered with the longitudinally
    invariant anti-:math:`k_t` algorithm of hadron colliders, ``fastjet.antikt_algorithm`` (distance
    in rapidity and azimuth, weights :math:`p_T^{-2}`, E scheme), with R = 0.8, as the papers
    describe jets by transverse momentum, pseudorapidity and azimuth. There is no cut on them.

    Densities have a kink in αs near 0.146. Beyond it Pythia raises the lower cutoff of the shower,
    which must stay above 1.1 times the scale Λ of three flavours, and the number of particles
    rises more slowly.

    One process and core gives about 3000 events a second at fixed parameters and 2000 at the
    default `events_per_theta`.

    Parameters
    ----------
    n_events : int
        Number of rows, each one jet.
    alphaS : float or tuple of float, default=0.1365
        ``TimeShower:alphaSvalue``, the strong coupling at the Z mass in the parton shower. A
        number is a fixed value, a pair (low, high) a range to draw from uniformly.
    aLund : float or tuple of float, default=0.68
        ``StringZ:aLund``, the parameter a of the Lund fragmentation function.
    probStoUD : float or tuple of float, default=0.217
        ``StringFlav:probStoUD``, how often a string breaks to a strange quark pair, relative to
        up or down.
    jets_per_event : {1, 2}, default=1
        How many jets of an event to take, in order of transverse momentum. With 1 the rows are
        independent; with 2 the jets of an event follow each other and are correlated, and
        `n_events` rows come from half as many events.
    observables : sequence of str, default=("multiplicity", "n_kaons")
        Which observables to return, of those of `jet_observables`. Those that are not in the
        default, ``n_strange``, ``tau21``, ``tau32``, ``ecf3`` and ``ecf4``, are computed from the
        particles once the events are there, all five at once, at about 10000 jets a second and
        core. The events do not depend on it.
    constituents : bool, default=True
        Whether to return the particles of each jet. They take about 230 bytes a jet.
    events_per_theta : int, default=100
        Number of events in a row with the same parameters, where any of them varies. A new
        draw takes as long as 60 events.
    n_jobs : int, default=None
        Number of processes, as in joblib: None is 1 but in a ``joblib.parallel_config``
        context, -1 is all cores. The events do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed. A larger sample with the same seed starts with the events of the smaller one;
        samples with the same seed and other parameters are independent. With None the events
        are fresh ones every time.
    cache : bool, default=True
        Whether to keep the events on disk and to read them from there when they are asked for
        again. Only with an int as `random_state`: None or a RandomState instance neither reads
        nor writes.
    cache_dir : str or path, default=None
        Directory of the cache. None stands for the environment variable ``SKDCTR_DATA`` and,
        where it is not set, for ``skdctr`` in the user's cache directory (``~/.cache`` on
        Linux). The files may be deleted at any time.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A sample with the attributes

        theta : DataFrame of shape (n_events, 3)
            Parameters of each row: always all three, fixed or varied.
        theta_names : list of str
            Those that vary, in the order of `PARAMETERS`; ``theta[theta_names]`` is what a
            `DCTRReweighter` is fitted on.
        observables : DataFrame of shape (n_events, len(observables))
            By default ``multiplicity``, the number of particles in the jet, and ``n_kaons``, how
            many of them are kaons: :math:`K^\pm` and :math:`K^0_L`, as Pythia lets
            :math:`K^0_S` decay.
        jets : DataFrame of shape (n_events, 4)
            ``pt`` in GeV, ``eta`` (pseudorapidity), ``phi`` from -π to π, ``mass`` in GeV.
        constituents : awkward array of n_events lists of records, or None
            Particles of each jet, the hardest first: ``pt`` in GeV, ``eta``, ``phi``, ``pid``
            (PDG code).
        event : ndarray of shape (n_events,)
            Which event a row comes from, as groups for cross-validation.
        settings : dict
            All that the events depend on, with the versions of Pythia and FastJet.
        DESCR : str
            Description.

    Raises
    ------
    ImportError
        If Pythia, FastJet or awkward is not installed.
    TypeError, ValueError
        If an argument is not as described, or a value not in the range that Pythia accepts.
    RuntimeError
        If Pythia fails too often.

    Warns
    -----
    UserWarning
        If the cache cannot be read or written, or a file in it is damaged. The events are
        returned all the same.

    See Also
    --------
    make_parton_shower_tuning : All samples of a fit.
    jet_observables : What the observables are.

    References
    ----------
    A. Andreassen, B. Nachman (DCTR), arXiv:1907.08209; A. Andreassen et al. (SRGN),
    arXiv:2010.03569, Sec. III.B.

    Examples
    --------
    >>> bunch = make_parton_shower(1000, alphaS=(0.10, 0.18), random_state=0)  # doctest: +SKIP
    >>> bunch.theta[bunch.theta_names].shape, bunch.observables.shape  # doctest: +SKIP
    ((1000, 1), (1000, 2))
    """
    n_events = check_count("n_events", n_events)
    check_run(n_jobs, verbose, cache=cache, constituents=constituents)
    jets_per_event = check_count("jets_per_event", jets_per_event)
    if jets_per_event > 2:
        raise ValueError(f"jets_per_event must be 1 or 2, got {jets_per_event}; these are dijets.")
    events_per_theta = check_count("events_per_theta", events_per_theta)
    chosen = check_observables("observables", observables)
    ranges = {
        name: check_value_or_range(name, value)
        for name, value in {"alphaS": alphaS, "aLund": aLund, "probStoUD": probStoUD}.items()
    }
    ak = require("awkward")
    varied = [name for name, (low, high) in ranges.items() if low < high]
    entropy = checked_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    settings = {
        **pythia.versions(),
        "commands": list(pythia.COMMANDS),
        "jets": {"algorithm": "antikt", "R": pythia.JET_RADIUS, "per_event": jets_per_event},
        "parameters": {name: list(limits) for name, limits in ranges.items()},
        "n_events": n_events,
        "events_per_theta": events_per_theta if varied else None,
        "entropy": entropy,
        "format": _FORMAT,
    }
    total = -(-n_events // jets_per_event)
    per_theta = events_per_theta if varied else total
    theta, blocks = plan_blocks(ranges, total, per_theta, entropy)

    request = json.dumps(settings, sort_keys=True)
    request_derived = f"{request} observables {_OBSERVABLES_FORMAT}"
    cached = cache and isinstance(random_state, numbers.Integral)
    store = RequestCache(cache_directory(cache_dir) if cached else None)
    extra: pythia.Columns | None = {}
    if not set(_DERIVED).isdisjoint(chosen):
        extra = store.read("parton_shower-observables", request_derived, _DERIVED)
    # Observables that have not been computed yet need the particles.
    particles = constituents or extra is None
    columns = _stored_columns(store, request, particles=particles)
    if columns is None:
        names = _column_names(particles=particles)
        generate = partial(pythia.generate, n_jets=jets_per_event, names=names)
        columns = run_blocks(blocks, generate, n_jobs=n_jobs, verbose=verbose)
        columns = _first_rows(columns, n_events)
        store.write(_FILES[0 if particles else 1], request, columns)
    if extra is None:
        frame = jet_observables(_records(ak, columns), _DERIVED, n_jobs=n_jobs)
        extra = {name: frame[name].to_numpy() for name in _DERIVED}
        store.write("parton_shower-observables", request_derived, extra)
    values = {**columns, **extra}

    event = np.arange(n_events) // jets_per_event
    return Bunch(
        theta=pd.DataFrame(theta[event // per_theta], columns=list(ranges)),
        theta_names=varied,
        observables=pd.DataFrame({name: values[name] for name in chosen}),
        jets=pd.DataFrame(columns["jets"], columns=_JET),
        constituents=_records(ak, columns) if constituents else None,
        event=event,
        settings=settings,
        DESCR=DESCR,
    )


def _column_names(*, particles: bool) -> list[str]:
    """Name the arrays of a sample with or without the particles of its jets."""
    return ["multiplicity", "n_kaons", "jets", *(_CONSTITUENT if particles else [])]


def _stored_columns(store: RequestCache, request: str, *, particles: bool) -> pythia.Columns | None:
    """Read a sample from the cache, where one with particles serves a request without them too."""
    for file in _FILES[:1] if particles else _FILES:
        columns = store.read(file, request, _column_names(particles=particles))
        if columns is not None:
            return columns
    return None


def _first_rows(columns: pythia.Columns, n: int) -> pythia.Columns:
    """Keep the first jets, and of the particles those that belong to them."""
    particles = columns["multiplicity"][:n].sum()
    return {
        name: values[: particles if name in _CONSTITUENT else n] for name, values in columns.items()
    }


def _records(ak: Any, columns: pythia.Columns) -> Any:
    """Make an awkward array of the particles, with a list of records for each jet."""
    offsets = np.concatenate([[0], np.cumsum(columns["multiplicity"])])
    records = ak.contents.RecordArray(
        [ak.contents.NumpyArray(columns[name]) for name in _CONSTITUENT], _CONSTITUENT
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), records))
