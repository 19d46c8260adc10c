"""The observables of jets: counts of particles, n-subjettiness, energy correlation functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skdctr._utils.optional import require
from skdctr._utils.parallel import check_n_jobs
from skdctr._utils.spelling import did_you_mean
from skdctr.datasets.generator.pythia import KAONS, silence_banner
from skdctr.events.packed import PackedEvents

__all__ = ["OBSERVABLES", "STRANGE", "check_observables", "jet_observables", "packed_observables"]

OBSERVABLES: Final = ("multiplicity", "n_kaons", "n_strange", "tau21", "tau32", "ecf3", "ecf4")
_WITH_PID: Final = frozenset({"n_kaons", "n_strange"})
_WITH_FASTJET: Final = frozenset({"tau21", "tau32", "ecf3", "ecf4"})
# PDG codes of strange hadrons in final states, where K0 and its antiparticle are their mixtures K_S
# and K_L, 310 and 130. The papers' notebooks count all of these but Xi and Omega.
STRANGE: Final = (*KAONS, 3112, 3122, 3212, 3222, 3312, 3322, 3334)
# Up to about this many particles, FastJet's sum over sets is faster than products of matrices.
_ENUMERATED: Final = 48
# A smaller share of the momentum is what rounding leaves of zero.
_ZERO: Final = 1e-12
# Jets that a process works on at once.
_CHUNK: Final = 20_000
# The exponent β of the energy correlation functions.
_BETA: Final = 4.0


def jet_observables(
    constituents: Any,
    names: Sequence[str] | None = None,
    *,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    r"""Compute observables of jets, those of the papers' parton-shower example.

    ==================  ==========================================================================
    ``multiplicity``    Number of particles.
    ``n_kaons``         How many are kaons: :math:`K^\pm`, :math:`K^0_L` and, where they are not
                        left to decay, :math:`K^0_S`.
    ``n_strange``       How many are strange hadrons: kaons, :math:`\Lambda`, :math:`\Sigma`,
                        :math:`\Xi` and :math:`\Omega`. Pythia lets all but :math:`K^\pm` and
                        :math:`K^0_L` decay, so that in its events this is ``n_kaons``.
    ``tau21, tau32``    Ratios :math:`\tau_2/\tau_1` and :math:`\tau_3/\tau_2` of n-subjettiness,
                        :math:`\tau_n = \sum_i p_{T,i} \min_{j = 1 \ldots n} \Delta R(i, j)`, with
                        the axes that one minimisation reaches from those of exclusive
                        :math:`k_t` jets (``OnePass_KT_Axes`` of FastJet contrib, which it
                        recommends; the papers do not name theirs). 0 where the denominator is 0,
                        as with fewer particles than axes.
    ``ecf3, ecf4``      Energy correlation functions ECF(N, β) for N = 3 and 4, β = 4: the sum
                        over all sets of N particles of
                        :math:`\prod_i p_{T,i} \prod_{i<j} \Delta R_{ij}^\beta`, in
                        :math:`\mathrm{GeV}^N`, not normalised. 0 with fewer than N particles.
    ==================  ==========================================================================

    Particles are taken as massless, so that rapidity is pseudorapidity: pt, η, φ and code are all
    that a network of them sees too.

    One core makes all of them for about 14000 jets of 14 particles a second, most of the time in
    the minimisation of n-subjettiness; that stops at 1e-4 of its value.

    Parameters
    ----------
    constituents : awkward array, ndarray of shape (n, particles, 4) or PackedEvents
        Particles of each jet: ``pt`` in GeV, ``eta``, ``phi``, ``pid`` (PDG code), such as
        `make_parton_shower` returns; in an ndarray the four features in this order, padding all
        NaN. ``pid`` is needed for ``n_kaons`` and ``n_strange`` only.
    names : sequence of str, default=None
        The observables to compute; None stands for all.
    n_jobs : int, default=None
        Number of processes, as in joblib.

    Returns
    -------
    observables : DataFrame of shape (n, len(names))
        Counts as integers. A jet without particles has zeros.

    Raises
    ------
    ImportError
        If FastJet is not installed and one of ``tau21``, ``tau32``, ``ecf3``, ``ecf4`` is asked
        for.
    TypeError, ValueError
        If a name is unknown, or a particle is not as described.

    References
    ----------
    A. Andreassen, B. Nachman, arXiv:1907.08209, Sec. IV; A. Andreassen et al., arXiv:2010.03569,
    Sec. III.B. J. Thaler, K. Van Tilburg, arXiv:1011.2268, Eq. 2 and arXiv:1108.2701;
    A. Larkoski, G. Salam, J. Thaler, arXiv:1305.0007, Eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.datasets import jet_observables
    >>> jet = [[30.0, 0.1, 0.0, 211], [10.0, -0.1, 0.2, 321], [np.nan] * 4]
    >>> jet_observables(np.array([jet]), ["multiplicity", "n_kaons"])
       multiplicity  n_kaons
    0             2        1
    """
    check_n_jobs(n_jobs)
    chosen = list(OBSERVABLES) if names is None else check_observables("names", names)
    particles = _pack(constituents, with_pid=not _WITH_PID.isdisjoint(chosen))
    if not _WITH_FASTJET.isdisjoint(chosen):
        require("fastjet")
    starts = range(0, max(len(particles), 1), _CHUNK)
    parts = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(packed_observables)(particles[start : start + _CHUNK], chosen)
        for start in starts
    )
    return pd.concat(parts, ignore_index=True)


def packed_observables(particles: PackedEvents, names: Sequence[str]) -> pd.DataFrame:
    """Compute observables of jets that are checked and packed.

    Parameters
    ----------
    particles : PackedEvents
        Particles with the features pt, eta and phi, and PDG codes as types.
    names : sequence of str
        Names of observables, of `OBSERVABLES`.

    Returns
    -------
    DataFrame of shape (n, len(names))
        The observables, as `jet_observables` returns them.
    """
    values: dict[str, NDArray[Any]] = {}
    substructure = [name for name in names if name in _WITH_FASTJET]
    if substructure:
        values = _substructure(particles, substructure)
    counts: dict[str, Callable[[], NDArray[np.int64]]] = {
        "multiplicity": lambda: particles.counts,
        "n_kaons": lambda: _count_codes(particles, KAONS),
        "n_strange": lambda: _count_codes(particles, STRANGE),
    }
    return pd.DataFrame(
        {name: values[name] if name in values else counts[name]() for name in names}
    )


def check_observables(argument: str, names: Any) -> list[str]:
    """Check names of observables.

    Parameters
    ----------
    argument : str
        The argument, as the message calls it.
    names : object
        What the user gave.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    TypeError, ValueError
        If they are not a sequence of names of `OBSERVABLES`, or one comes twice.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(
            f"{argument} must be a sequence of names, got {names!r}; pass e.g. "
            "['multiplicity', 'tau21']."
        )
    for name in names:
        if name not in OBSERVABLES:
            raise ValueError(
                f"{argument} names {name!r}, which is no observable; "
                f"{did_you_mean(name, OBSERVABLES)}"
            )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{argument} must name at least one observable and none twice, got {list(names)}; "
            f"known are {list(OBSERVABLES)}."
        )
    return list(names)


def _pack(constituents: Any, *, with_pid: bool) -> PackedEvents:
    """Check the particles, and pack them with the features pt, eta and phi.

    Raises
    ------
    ValueError
        If a feature is missing, or pid where it is needed, or a pt is negative.
    """
    dimensions = len(getattr(constituents, "shape", ()))
    if dimensions == 3 and constituents.shape[2] == 3 and not with_pid:
        kind: str | int | None = None
    else:
        kind = 3 if dimensions == 3 else "auto"
    packed = PackedEvents.from_events(
        constituents, particle_type=kind, dtype=np.float64, name="constituents"
    )
    if packed.feature_names is None and packed.n_features > 3:
        raise ValueError(
            f"constituents has {packed.n_features} features beside the particle type, without "
            "names; expected pt, eta, phi and pid, in this order."
        )
    names = packed.feature_names or ("pt", "eta", "phi")[: packed.n_features]
    missing = {"pt", "eta", "phi"} - set(names)
    if missing:
        raise ValueError(
            f"constituents has the features {list(names)}, but not {sorted(missing)}; give pt, "
            "eta, phi and pid."
        )
    if with_pid and packed.types is None:
        raise ValueError(
            "constituents has no integer pid, which n_kaons and n_strange need; give the PDG code "
            "of each particle, or other names."
        )
    features = packed.features[:, [names.index(name) for name in ("pt", "eta", "phi")]]
    if (features[:, 0] < 0).any():
        particle = int(np.argmax(features[:, 0] < 0))
        event = int(np.searchsorted(packed.offsets, particle, side="right")) - 1
        raise ValueError(f"constituents has a negative pt in event {event}; expected pt >= 0.")
    return PackedEvents(features, packed.offsets, ("pt", "eta", "phi"), packed.types, "pid")


def _count_codes(particles: PackedEvents, codes: Sequence[int]) -> NDArray[np.int64]:
    """Count the particles and antiparticles with these PDG codes in each jet, (n,)."""
    types: Any = particles.types
    found = np.isin(np.abs(types), codes)
    count = np.concatenate([[0], np.cumsum(found)])
    difference: NDArray[np.int64] = np.diff(count[particles.offsets])
    return difference


def _substructure(particles: PackedEvents, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Compute n-subjettiness ratios and energy correlation functions, (n,) each, by name."""
    # FastJet fails on events without particles.
    filled = np.flatnonzero(particles.counts)
    result = {name: np.zeros(len(particles)) for name in names}
    if not len(filled):
        return result
    jets = particles[filled]
    few = jets.counts <= _ENUMERATED
    ratios = [(name, n) for name, n in (("tau21", 2), ("tau32", 3)) if name in result]
    functions = [(name, n) for name, n in (("ecf3", 3), ("ecf4", 4)) if name in result]
    sequence: Any = _cluster_sequence(jets) if ratios or few.all() else None
    if ratios:
        tau = _n_subjettiness(jets, sequence)
        for name, n in ratios:
            above, below = tau[:, n - 1], tau[:, n - 2]
            ratio = np.divide(above, below, out=np.zeros(len(jets)), where=below > 0)
            result[name][filled] = ratio
    if functions and few.any() and not few.all():
        sequence = _cluster_sequence(jets[few])
    for name, n in functions:
        values = np.zeros(len(jets))
        if few.any():
            values[few] = sequence.exclusive_jets_energy_correlator(
                njets=1, npoint=n, beta=_BETA, func="generic", normalized=False
            )
        for jet in np.flatnonzero(~few):
            pt, eta, phi = jets[int(jet)].features.T
            values[jet] = _energy_correlation(pt, eta, phi, n)
        result[name][filled] = values
    return result


def _n_subjettiness(jets: PackedEvents, sequence: Any) -> NDArray[np.float64]:
    """Compute τ for one, two and three axes, (n, 3); exactly 0 where rounding alone differs."""
    tau: NDArray[np.float64] = np.array(
        sequence.njettiness(
            measure_definition="UnnormalizedMeasure",
            axes_definition="OnePass_KT_Axes",
            njets=[1, 2, 3],
            beta=1.0,
        )
    )
    total = np.add.reduceat(jets.features[:, 0], jets.offsets[:-1])
    tau[tau < _ZERO * total[:, None]] = 0.0
    return tau


def _energy_correlation(
    pt: NDArray[np.float64], eta: NDArray[np.float64], phi: NDArray[np.float64], n: int
) -> float:
    """Compute an energy correlation function of one jet by products of matrices.

    With A the matrix of :math:`ΔR^β`, zero on its diagonal, the sum over all triples (j, k, l)
    of u_j u_k u_l A_jk A_kl A_lj is Σ B ∘ (B B) for B = √u A √u. It counts every set of three six
    times. For n = 4 the fourth particle i is fixed and u = pt A_i. If i is the first of its set,
    every set has its turn once. No term is negative, so nothing cancels.

    Parameters
    ----------
    pt, eta, phi : ndarray of shape (particles,)
        Transverse momentum in GeV, pseudorapidity and azimuth of the particles.
    n : {3, 4}
        Number of particles in a set.

    Returns
    -------
    float
        The function, in GeVⁿ.
    """
    delta = np.remainder(phi[:, None] - phi + np.pi, 2 * np.pi) - np.pi
    distance = ((eta[:, None] - eta) ** 2 + delta**2) ** (_BETA / 2)

    def triples(weight: NDArray[np.float64], matrix: NDArray[np.float64]) -> float:
        root = np.sqrt(weight)
        symmetric = root[:, None] * matrix * root
        return float(np.vdot(symmetric, symmetric @ symmetric)) / 6

    if n == 3:
        return triples(pt, distance)
    return sum(
        float(pt[i]) * triples(pt[i + 1 :] * distance[i, i + 1 :], distance[i + 1 :, i + 1 :])
        for i in range(len(pt) - 3)
    )


def _cluster_sequence(jets: PackedEvents) -> Any:
    """Hand jets to FastJet, as cluster sequences with all particles of each in one jet."""
    ak = require("awkward")
    fastjet = require("fastjet")
    silence_banner(fastjet)
    pt, eta, phi = jets.features.T
    momenta = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "E": pt * np.cosh(eta),
    }
    records = ak.contents.RecordArray(
        [ak.contents.NumpyArray(values) for values in momenta.values()],
        list(momenta),
        parameters={"__record__": "Momentum4D"},
    )
    events = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(jets.offsets), records))
    # The radius is far larger than any distance, so that no particle is left out of the jet.
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 1000.0)
    return fastjet.ClusterSequence(events, definition)
