"""The generation of events and samples for fits of the top quark mass, as in the SRGN paper.

It needs the extra ``[pythia]``: ``pip install "skdctr[pythia]"``.
"""

from __future__ import annotations

import json
import numbers
import os
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skdctr._utils.arguments import check_number
from skdctr._utils.device import checked_random_state
from skdctr._utils.numbers import check_count
from skdctr._utils.optional import require
from skdctr.datasets.files.cache import RequestCache, cache_directory
from skdctr.datasets.generator import pythia
from skdctr.datasets.generator.blocks import check_run, plan_blocks, run_blocks
from skdctr.datasets.generator.parameters import check_mass, check_mass_or_range
from skdctr.datasets.top_mass import events
from skdctr.datasets.top_mass.detector import ParametricDetector
from skdctr.datasets.top_mass.jet_scale import scale_jets
from skdctr.datasets.top_mass.observables import top_mass_observables
from skdctr.datasets.top_mass.samples import BOUNDS, NOMINAL, assemble_samples, check_level

__all__ = ["make_top_mass", "make_top_mass_events"]

# A part of every cache key, to be raised whenever the same request would give other arrays.
_FORMAT = 1
_JET = ["pt", "eta", "phi", "mass"]
_DESCR = """\
pp -> tt -> (b mu nu)(b q q') at 13 TeV: Pythia 8, Monash tune, multiparton interactions, no
pile-up; anti-kt jets with R = 0.4 of FastJet; a detector in a few numbers in place of a simulation.
Observables after arXiv:2010.03569, Sec. III.C. Results that use these events should cite Pythia 8
(arXiv:2203.11601), FastJet (arXiv:1111.6097) and anti-kt (arXiv:0802.1189)."""


def make_top_mass_events(
    n_events: int,
    *,
    mt: float | tuple[float, float] = NOMINAL,
    detector: ParametricDetector | bool = True,
    events_per_theta: int = 500,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> Bunch:
    r"""Generate :math:`pp \to t\bar t \to b\mu\nu\,bq\bar q'` with Pythia 8 and a simple detector.

    Protons collide at 13 TeV, with :math:`gg, q\bar q \to t\bar t`, :math:`W^+ \to \mu^+\nu`,
    :math:`W^- \to` hadrons and Pythia's default (Monash) tune. All stable particles within
    :math:`|\eta| < 5` but neutrinos and the muon of the W are clustered by anti-:math:`k_t` with
    R = 0.4. A jet is a b jet if the parton of highest energy within :math:`\Delta R < 0.5` is a b.

    One process and core gives about 70 events a second.

    Parameters
    ----------
    n_events : int
        Number of events generated. Of those with the nominal mass about 56% pass the selection
        at generator level.
    mt : float or tuple of float, default=172.5
        Mass of the top quark in GeV, from 150 to 200; its width follows. A number is a fixed
        value, a pair (low, high) a range to draw from uniformly.
    detector : ParametricDetector or bool, default=True
        The detector that the events pass through. True is ``ParametricDetector()``, like CMS;
        False gives generator level only.
    events_per_theta : int, default=500
        Number of events in a row with the same mass, where it varies. A new draw takes as long
        as 40 events.
    n_jobs : int, default=None
        Number of processes, as in joblib: None is 1 but in a ``joblib.parallel_config``
        context, -1 is all cores. The events do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed. A larger sample with the same seed starts with the events of the smaller one;
        samples with the same seed and other masses are independent. With None the events are
        fresh ones every time.
    cache : bool, default=True
        Whether to keep the events on disk and to read them from there when they are asked for
        again. Only with an int as `random_state`: None or a RandomState instance neither reads
        nor writes.
    cache_dir : str or path, default=None
        Directory of the cache. None stands for the environment variable ``SKDCTR_DATA`` and,
        where it is not set, for ``skdctr`` in the user's cache directory.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Every event generated is a row. Momenta and masses are in GeV. With the attributes

        theta : DataFrame of shape (n_events, 1)
            ``mt`` of each event.
        theta_names : list of str
            ``["mt"]``.
        gen, reco : DataFrame of shape (n_events, 4)
            The observables at the two levels, from `top_mass_observables`; NaN for events that
            fail. `reco` is None without detector.
        gen_jets, reco_jets : awkward array of n_events lists of records
            ``pt``, ``eta``, ``phi``, ``mass``, ``btag`` of jets above 10 GeV.
        gen_muon, reco_muon : awkward array of n_events records
            ``pt``, ``eta``, ``phi`` of the muon of the W; at reco level NaN where no isolated
            muon is seen.
        gen_neutrino : awkward array of n_events records
            ``pt``, ``eta``, ``phi``.
        reco_missing : awkward array of n_events records
            ``pt`` and ``phi`` of the missing momentum.
        settings : dict
            All that the events depend on, with the versions of Pythia and FastJet.
        DESCR : str
            Description.

    Raises
    ------
    ImportError
        If Pythia, FastJet or awkward is not installed.
    TypeError, ValueError
        If an argument is not as described; a mass in MeV is called that.
    RuntimeError
        If Pythia fails too often.

    Warns
    -----
    UserWarning
        If the cache cannot be read or written. The events are returned all the same.

    See Also
    --------
    make_top_mass : All samples of a fit.
    scale_jets : The same events at another jet energy scale.

    References
    ----------
    A. Andreassen et al. (SRGN), arXiv:2010.03569, Sec. III.C.

    Examples
    --------
    >>> events = make_top_mass_events(100, random_state=0)  # doctest: +SKIP
    >>> jets, missing = scale_jets(events.reco_jets, events.reco_missing, 1.01)  # doctest: +SKIP
    >>> scaled = top_mass_observables(jets, events.reco_muon, missing)  # doctest: +SKIP
    """
    n_events = check_count("n_events", n_events)
    check_run(n_jobs, verbose, cache=cache)
    events_per_theta = check_count("events_per_theta", events_per_theta)
    limits = check_mass_or_range("mt", mt)
    chosen = _check_detector(detector)
    require("awkward")
    entropy = checked_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    varies = limits[0] < limits[1]
    settings = {
        **pythia.versions(),
        "commands": list(events.COMMANDS),
        "jets": {
            "algorithm": "antikt",
            "R": events.JET_RADIUS,
            "min_pt": events.MIN_JET_PT,
        },
        "mt": list(limits),
        "detector": None if chosen is None else asdict(chosen),
        "n_events": n_events,
        "events_per_theta": events_per_theta if varies else None,
        "entropy": entropy,
        "format": _FORMAT,
    }
    per_theta = events_per_theta if varies else n_events
    names = {"mt": "6:m0"}
    theta, blocks = plan_blocks({"mt": limits}, n_events, per_theta, entropy, pythia_names=names)

    request = json.dumps(settings, sort_keys=True)
    cached = cache and isinstance(random_state, numbers.Integral)
    store = RequestCache(cache_directory(cache_dir) if cached else None)
    columns = store.read("top_mass", request, _column_names(chosen))
    if columns is None:
        generate = partial(events.generate, detector=chosen)
        columns = run_blocks(blocks, generate, n_jobs=n_jobs, verbose=verbose)
        store.write("top_mass", request, columns)

    objects: dict[str, Any] = {"reco_jets": None, "reco_muon": None, "reco_missing": None}
    for level in ("gen",) if chosen is None else ("gen", "reco"):
        objects[f"{level}_jets"] = _jet_records(columns, level)
        objects[f"{level}_muon"] = _records(columns[f"{level}_muon"])
    objects["gen_neutrino"] = _records(columns["gen_neutrino"])
    reco = None
    if chosen is not None:
        objects["reco_missing"] = _records(columns["reco_missing"], ["pt", "phi"])
        reco = top_mass_observables(
            objects["reco_jets"], objects["reco_muon"], objects["reco_missing"]
        )
    return Bunch(
        theta=pd.DataFrame(theta[np.arange(n_events) // per_theta], columns=["mt"]),
        theta_names=["mt"],
        gen=top_mass_observables(objects["gen_jets"], objects["gen_muon"], objects["gen_neutrino"]),
        reco=reco,
        **objects,
        settings=settings,
        DESCR=_DESCR,
    )


def make_top_mass(
    n_events: int,
    *,
    mt: float = 175.0,
    bounds: tuple[float, float] = BOUNDS,
    level: str = "paired",
    jet_scale: float = 1.0,
    detector: ParametricDetector | bool = True,
    n_gen: int | None = None,
    n_sim: int | None = None,
    n_data: int | None = None,
    events_per_theta: int = 500,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    cache: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> Bunch:
    """Generate the samples for a fit of the top quark mass, as in the SRGN paper.

    This is for those who have no detector simulation at hand: the detector is a few resolutions.
    ``SRGNFitter().fit(b.sim_gen, b.sim_reco, b.data, gen=b.gen, theta=b.theta)`` fits the mass.

    Parameters
    ----------
    n_events : int
        Number of events to generate for every sample that is not given a number of its own.
        The tables hold those that pass the selection: about 56% of the generator events, 36% of
        the data.
    mt : float, default=175.0
        Mass in the data, in GeV.
    bounds : tuple of float, default=(165.0, 182.0)
        Range (low, high) of the varied masses, in GeV.
    level : {"paired", "either"}, default="paired"
        Which simulated events: those that pass the selection at both levels, or at one at least.
    jet_scale : float, default=1.0
        Jet energy scale of the data, relative to the simulation.
    detector : ParametricDetector or True, default=True
        As in `make_top_mass_events`.
    n_gen : int, default=None
        Number of generator events at the nominal mass, and of as many more at varied ones.
    n_sim : int, default=None
        Number of events of the simulation that is reweighted.
    n_data : int, default=None
        Number of data events.
    events_per_theta, n_jobs, random_state, cache, cache_dir, verbose
        As in `make_top_mass_events`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The samples, with the attributes of `fetch_top_mass` and

        settings : dict
            Settings of each sample, by the names ``gen_nominal``, ``gen_varied``, ``sim``,
            ``data``.

    Raises
    ------
    ImportError, TypeError, ValueError, RuntimeError
        As `make_top_mass_events`; ValueError also if `mt` is out of its bounds.

    See Also
    --------
    load_top_mass, fetch_top_mass : The same from events simulated with Delphes.

    References
    ----------
    A. Andreassen et al. (SRGN), arXiv:2010.03569, Sec. III.C.

    Examples
    --------
    >>> bunch = make_top_mass(1000, n_data=500, random_state=0)  # doctest: +SKIP
    >>> list(bunch.gen) == list(bunch.sim_reco) == list(bunch.data)  # doctest: +SKIP
    True
    """
    n_events = check_count("n_events", n_events)
    check_run(n_jobs, verbose, cache=cache)
    sizes = {"n_gen": n_gen, "n_sim": n_sim, "n_data": n_data}
    size = {n: n_events if v is None else check_count(n, v) for n, v in sizes.items()}
    check_level(level)
    check_number("jet_scale", jet_scale, above=0)
    limits, true = check_mass_or_range("bounds", bounds), check_mass("mt", mt)
    if not limits[0] < limits[1]:
        raise ValueError(f"bounds must be a pair (low, high), got {bounds!r}.")
    if not limits[0] <= true <= limits[1]:
        raise ValueError(
            f"mt is {true:g}, expected within bounds {limits}; pass wider bounds or another mass."
        )
    chosen = _check_detector(detector)
    if chosen is None:
        raise ValueError("detector=False leaves nothing to fit; pass a ParametricDetector.")
    # Each sample has a seed of its own, an int that allows caching where the user gave one.
    entropy = checked_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
    cacheable = isinstance(random_state, numbers.Integral)

    def sample(seed: int, n: int, mass: Any, seen: ParametricDetector | bool) -> Bunch:
        return make_top_mass_events(
            n,
            mt=mass,
            detector=seen,
            events_per_theta=events_per_theta,
            n_jobs=n_jobs,
            random_state=seed,
            cache=cache and cacheable,
            cache_dir=cache_dir,
            verbose=verbose,
        )

    gen_nominal = sample(entropy[0], size["n_gen"], NOMINAL, False)
    gen_varied = sample(entropy[1], size["n_gen"], limits, False)
    sim = sample(entropy[2], size["n_sim"], NOMINAL, chosen)
    data = sample(entropy[3], size["n_data"], true, chosen)
    jets, missing = scale_jets(data.reco_jets, data.reco_missing, jet_scale)
    passes = gen_varied.gen.notna().all(axis=1)
    return assemble_samples(
        nominal_gen=gen_nominal.gen.dropna(),
        varied_gen=gen_varied.gen[passes],
        mt=gen_varied.theta.loc[passes, "mt"].to_numpy(),
        sim=(sim.gen, sim.reco),
        data=(data.gen, top_mass_observables(jets, data.reco_muon, missing)),
        level=level,
        theta_true=true,
        descr=_DESCR,
        bounds=limits,
        settings={
            "gen_nominal": gen_nominal.settings,
            "gen_varied": gen_varied.settings,
            "sim": sim.settings,
            "data": {**data.settings, "jet_scale": float(jet_scale)},
        },
    )


def _check_detector(detector: Any) -> ParametricDetector | None:
    """Check the choice of a detector, and return it, or None for generator level only.

    Raises
    ------
    TypeError
        If it is neither a detector nor a bool.
    """
    if isinstance(detector, ParametricDetector):
        return detector
    if not isinstance(detector, bool):
        raise TypeError(f"detector must be a ParametricDetector or a bool, got {detector!r}.")
    return ParametricDetector() if detector else None


def _column_names(detector: ParametricDetector | None) -> list[str]:
    """Name the arrays of a sample, as `events.generate` returns them."""
    names = ["gen_muon", "gen_neutrino", "gen_count", "gen_jets", "gen_btag"]
    if detector is not None:
        names += ["reco_muon", "reco_missing", "reco_count", "reco_jets", "reco_btag"]
    return names


def _records(values: NDArray[Any], fields: list[str] | None = None) -> Any:
    """Make an awkward array with a record for each row, by default of pt, eta and phi."""
    return require("awkward").zip(dict(zip(fields or _JET[:3], values.T, strict=True)))


def _jet_records(columns: pythia.Columns, level: str) -> Any:
    """Make an awkward array of the jets of a level, with a list of records for each event."""
    ak = require("awkward")
    flat = dict(zip(_JET, columns[f"{level}_jets"].T, strict=True))
    records = ak.zip({**flat, "btag": columns[f"{level}_btag"]})
    return ak.unflatten(records, columns[f"{level}_count"])
