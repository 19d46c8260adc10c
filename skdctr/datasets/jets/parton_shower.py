"""The parton-shower example of the papers: jets of hadronic Z decays from Pythia 8 and FastJet.

It needs the extra ``[pythia]``: ``pip install "skdctr[pythia]"``.
"""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from skdctr._utils.numbers import check_count
from skdctr._utils.optional import require
from skdctr.datasets.files.cache import cache_directory, cache_file, read_cache, write_cache
from skdctr.datasets.generator import pythia
from skdctr.datasets.generator.blocks import plan, run
from skdctr.datasets.generator.parameters import (
    PARAMETERS,
    GeneratorParameter,
    check_mapping,
    check_range,
    check_value,
    check_value_or_range,
    check_vary,
)
from skdctr.datasets.jets.observables import OBSERVABLES, check_observables, jet_observables

__all__ = ["PARAMETERS", "GeneratorParameter", "make_parton_shower", "make_parton_shower_tuning"]


# Part of every cache key: raised whenever the same request would give other arrays.
_FORMAT = 1
# Part of the cache key of the observables that are computed afterwards.
_OBSERVABLES_FORMAT = 1
_OBSERVABLES = ("multiplicity", "n_kaons")
_JET = ["pt", "eta", "phi", "mass"]
_CONSTITUENT = ["pt", "eta", "phi", "pid"]
_DESCR = """\
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
    observables: Sequence[str] = _OBSERVABLES,
    constituents: bool = True,
    events_per_theta: int = 100,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> Bunch:
    r"""Generate jets of :math:`e^+e^- \to Z \to` hadrons with Pythia 8 and FastJet.

    Beams of 45.6 GeV without initial-state radiation, Z decays to u, d, s, c, b quarks, parton
    shower and hadronisation with Pythia's default (Monash) tune but for the three parameters
    here. Final-state particles but neutrinos are clustered with the longitudinally invariant
    anti-:math:`k_t` algorithm of hadron colliders, ``fastjet.antikt_algorithm`` (distance in
    rapidity and azimuth, weights :math:`p_T^{-2}`, E scheme), with R = 0.8, as the papers
    describe jets by transverse momentum, pseudorapidity and azimuth. There is no cut on them.

    Densities have a kink in αs near 0.146: beyond it Pythia raises the lower cutoff of the shower,
    so as to stay above 1.1 times the scale Λ of three flavours, and the number of particles rises
    more slowly.

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
        With the attributes

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
    if check_count("jets_per_event", jets_per_event) > 2:
        raise ValueError(f"jets_per_event must be 1 or 2, got {jets_per_event}; these are dijets.")
    events_per_theta = check_count("events_per_theta", events_per_theta)
    chosen = check_observables("observables", observables)
    ranges = {
        name: check_value_or_range(name, value)
        for name, value in {"alphaS": alphaS, "aLund": aLund, "probStoUD": probStoUD}.items()
    }
    ak = require("awkward")
    varied = [name for name, (low, high) in ranges.items() if low < high]
    entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
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
    theta, blocks = plan(ranges, total, per_theta, entropy)
    derived = [name for name in OBSERVABLES if name not in _OBSERVABLES]
    wanted = not set(derived).isdisjoint(chosen)

    request = json.dumps(settings, sort_keys=True)
    directory = cache_directory(cache_dir)
    cached = cache and isinstance(random_state, numbers.Integral)
    file = cache_file(directory, "parton_shower-observables", request)
    request_derived = f"{request} observables {_OBSERVABLES_FORMAT}"
    extra = read_cache(file, request_derived, derived) if wanted and cached else None
    # The particles are needed to compute from, where that has not been done before.
    particles = constituents or (wanted and extra is None)
    names = ["multiplicity", "n_kaons", "jets", *(_CONSTITUENT if particles else [])]
    # With the particles or without, in this order: the former serve either request.
    files = [cache_file(directory, f"parton_shower-{kind}", request) for kind in ("full", "jets")]
    columns = None
    for known in files[: 1 if particles else 2] if cached else []:
        columns = columns or read_cache(known, request, names)
    if columns is None:
        generate = partial(pythia.generate, n_jets=jets_per_event, names=names)
        columns = run(blocks, generate, n_jobs=n_jobs, verbose=verbose)
        columns = _first_rows(columns, n_events)
        if cached:
            write_cache(files[0 if particles else 1], request, columns)
    if wanted and extra is None:
        frame = jet_observables(_records(ak, columns), derived, n_jobs=n_jobs)
        extra = {name: frame[name].to_numpy() for name in derived}
        if cached:
            write_cache(file, request_derived, extra)
    values = {**columns, **(extra or {})}

    event = np.arange(n_events) // jets_per_event
    return Bunch(
        theta=pd.DataFrame(theta[event // per_theta], columns=list(ranges)),
        theta_names=varied,
        observables=pd.DataFrame({name: values[name] for name in chosen}),
        jets=pd.DataFrame(columns["jets"], columns=_JET),
        constituents=_records(ak, columns) if constituents else None,
        event=event,
        settings=settings,
        DESCR=_DESCR,
    )


def make_parton_shower_tuning(
    n_events: int,
    *,
    vary: str | Sequence[str] = ("alphaS",),
    target: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    n_gen: int | None = None,
    n_sim: int | None = None,
    n_data: int | None = None,
    observables: Sequence[str] = _OBSERVABLES,
    constituents: bool = False,
    events_per_theta: int = 100,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> Bunch:
    """Generate the samples for a fit of parton-shower parameters, as in the papers.

    There is no detector: the fit compares the simulation and the data at generator level, and
    ``SRGNFitter().fit(b.sim_gen, data=b.data, gen=b.gen, theta=b.theta)`` makes it.

    Parameters
    ----------
    n_events : int
        Size of every sample that is not given a size of its own.
    vary : str or sequence of str, default=("alphaS",)
        The parameters to be fitted, of `PARAMETERS`. Several vary all at once, independently;
        the others stay at their nominal values.
    target : mapping of str to float, default=None
        Values in the data of parameters in `vary`. Those not named have the papers' values,
        ``PARAMETERS[name].target``.
    bounds : mapping of str to tuple, default=None
        Ranges (low, high) of parameters in `vary`. Those not named have the papers' ranges,
        ``PARAMETERS[name].bounds``.
    n_gen : int, default=None
        Number of generator events at the nominal parameters, and of as many more at varied
        ones.
    n_sim : int, default=None
        Number of events of the simulation that is reweighted.
    n_data : int, default=None
        Number of data events.
    observables : sequence of str, default=("multiplicity", "n_kaons")
        Which observables the samples hold, of those of `jet_observables`.
    constituents : bool, default=False
        Whether to return the particles of each jet too.
    events_per_theta, n_jobs, random_state, cache, cache_dir, verbose
        As in `make_parton_shower`. The samples are cached one by one, so those that two calls
        with the same seed have in common are generated once.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        gen : DataFrame of shape (2 * n_gen, len(observables))
            Observables of the generator events, first the nominal ones, then the varied ones:
            by default ``multiplicity`` and ``n_kaons`` of the hardest jet of each event.
        theta : DataFrame of shape (2 * n_gen, p)
            The varied parameters of each of them.
        sim_gen : DataFrame of shape (n_sim, len(observables))
            The simulation: an independent nominal sample.
        data : DataFrame of shape (n_data, len(observables))
            The data.
        gen_constituents, sim_gen_constituents, data_constituents : awkward array or None
            The particles, as in `make_parton_shower`.
        theta_names : list of str
            The varied parameters, as in `vary`.
        theta_nominal, theta_true : ndarray of shape (p,)
            Parameters of the simulation and of the data.
        bounds : dict
            Range of the varied events by parameter name.
        settings : dict
            Settings of each sample, by the names ``gen_nominal``, ``gen_varied``, ``sim_gen``,
            ``data``.
        DESCR : str
            Description.

    Raises
    ------
    ImportError, TypeError, ValueError, RuntimeError
        As `make_parton_shower`; ValueError also if a name is unknown or not in `vary`, or a
        target out of its bounds.

    See Also
    --------
    make_parton_shower : One sample.

    References
    ----------
    A. Andreassen, B. Nachman, arXiv:1907.08209, Table I and II; A. Andreassen et al.,
    arXiv:2010.03569, Sec. III.B.

    Examples
    --------
    >>> bunch = make_parton_shower_tuning(
    ...     1000, vary="alphaS", target={"alphaS": 0.16}, random_state=0
    ... )  # doctest: +SKIP
    >>> bunch.gen.shape, bunch.theta.shape, bunch.data.shape  # doctest: +SKIP
    ((2000, 2), (2000, 1), (1000, 2))
    """
    n_events = check_count("n_events", n_events)
    sizes = {"n_gen": n_gen, "n_sim": n_sim, "n_data": n_data}
    size = {n: n_events if v is None else check_count(n, v) for n, v in sizes.items()}
    names = check_vary(vary)
    limits = {name: PARAMETERS[name].bounds for name in names}
    for name, value in check_mapping("bounds", bounds, names).items():
        limits[name] = check_range(name, value, f"bounds of {name}")
    true = {name: PARAMETERS[name].target for name in names}
    for name, value in check_mapping("target", target, names).items():
        true[name] = check_value(name, value, f"target of {name}")
    for name, value in true.items():
        low, high = limits[name]
        if not low <= value <= high:
            raise ValueError(
                f"target of {name} is {value:g}, expected within its bounds ({low:g}, {high:g}); "
                "pass wider bounds or another target."
            )

    # A seed for each sample; ints again, where the user gave one, so that each can be cached.
    entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    cacheable = isinstance(random_state, numbers.Integral)

    def sample(seed: int, n: int, values: Mapping[str, Any]) -> Bunch:
        return make_parton_shower(
            n,
            **values,
            observables=observables,
            constituents=constituents,
            events_per_theta=events_per_theta,
            n_jobs=n_jobs,
            random_state=seed,
            cache=cache and cacheable,
            cache_dir=cache_dir,
            verbose=verbose,
        )

    gen_nominal = sample(entropy[0], size["n_gen"], {})
    gen_varied = sample(entropy[1], size["n_gen"], limits)
    sim_gen = sample(entropy[2], size["n_sim"], {})
    data = sample(entropy[3], size["n_data"], true)
    gen = [gen_nominal, gen_varied]
    particles = [bunch.constituents for bunch in gen]
    return Bunch(
        gen=pd.concat([bunch.observables for bunch in gen], ignore_index=True),
        theta=pd.concat([bunch.theta[names] for bunch in gen], ignore_index=True),
        sim_gen=sim_gen.observables,
        data=data.observables,
        gen_constituents=require("awkward").concatenate(particles) if constituents else None,
        sim_gen_constituents=sim_gen.constituents,
        data_constituents=data.constituents,
        theta_names=names,
        theta_nominal=np.array([PARAMETERS[name].nominal for name in names]),
        theta_true=np.array([true[name] for name in names]),
        bounds=limits,
        settings={
            "gen_nominal": gen_nominal.settings,
            "gen_varied": gen_varied.settings,
            "sim_gen": sim_gen.settings,
            "data": data.settings,
        },
        DESCR=_DESCR,
    )


def _first_rows(columns: pythia.Columns, n: int) -> pythia.Columns:
    particles = columns["multiplicity"][:n].sum()
    return {
        name: values[: particles if name in _CONSTITUENT else n] for name, values in columns.items()
    }


def _records(ak: Any, columns: pythia.Columns) -> Any:
    offsets = np.concatenate([[0], np.cumsum(columns["multiplicity"])])
    records = ak.contents.RecordArray(
        [ak.contents.NumpyArray(columns[name]) for name in _CONSTITUENT], _CONSTITUENT
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), records))
