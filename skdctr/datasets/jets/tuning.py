"""The samples of a fit of parton-shower parameters, as in the papers."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skdctr._utils.device import checked_random_state
from skdctr._utils.numbers import check_count
from skdctr._utils.optional import require
from skdctr.datasets.generator.blocks import check_run
from skdctr.datasets.generator.parameters import (
    PARAMETERS,
    check_mapping,
    check_range,
    check_value,
    check_vary,
)
from skdctr.datasets.jets.parton_shower import (
    DESCR,
    OBSERVABLES_BY_DEFAULT,
    make_parton_shower,
)

__all__ = ["make_parton_shower_tuning"]


def make_parton_shower_tuning(
    n_events: int,
    *,
    vary: str | Sequence[str] = ("alphaS",),
    target: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    n_gen: int | None = None,
    n_sim: int | None = None,
    n_data: int | None = None,
    observables: Sequence[str] = OBSERVABLES_BY_DEFAULT,
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
        The observables that the samples hold, of those of `jet_observables`.
    constituents : bool, default=False
        Whether to return the particles of each jet too.
    events_per_theta, n_jobs, random_state, cache, cache_dir, verbose
        As in `make_parton_shower`. The samples are cached one by one, so those that two calls
        with the same seed have in common are generated once.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The samples, with the attributes

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
    check_run(n_jobs, verbose, cache=cache, constituents=constituents)
    sizes = {"n_gen": n_gen, "n_sim": n_sim, "n_data": n_data}
    size = {n: n_events if v is None else check_count(n, v) for n, v in sizes.items()}
    names = check_vary(vary)
    limits, true = _check_ranges(names, bounds, target)
    # Each sample has a seed of its own, an int that allows caching where the user gave one.
    entropy = checked_random_state(random_state).randint(2**32, size=4, dtype=np.uint32).tolist()
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
        DESCR=DESCR,
    )


def _check_ranges(
    names: list[str], bounds: Any, target: Any
) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Check the ranges of the varied parameters and their values in the data.

    Returns
    -------
    limits : dict of str to tuple of float
        Range (low, high) of each parameter, the papers' where the user gives none.
    true : dict of str to float
        Value of each in the data, the papers' where the user gives none.

    Raises
    ------
    TypeError, ValueError
        If a name is unknown, a value not as described, or a target out of its range.
    """
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
    return limits, true
