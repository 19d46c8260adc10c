"""The four observables of the top quark mass, from jets, muon and neutrino."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skdctr._utils.arguments import as_real_array, check_number, shorten
from skdctr._utils.optional import is_awkward, require
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr.datasets.files.units import warn_if_mev

__all__ = [
    "MUON_MASS",
    "OBSERVABLES",
    "W_MASS",
    "check_fields",
    "check_records",
    "neutrino_pz",
    "top_mass_observables",
]

OBSERVABLES: Final = ("m_b1munu", "m_b2munu", "m_b1j1j2", "m_b2j1j2")
# Masses in GeV of the Particle Data Group, 2014; the published samples use this W mass.
W_MASS: Final = 80.385
MUON_MASS: Final = 0.1056583715


def neutrino_pz(
    muon_pt: ArrayLike,
    muon_eta: ArrayLike,
    muon_phi: ArrayLike,
    missing_pt: ArrayLike,
    missing_phi: ArrayLike,
    *,
    w_mass: float = W_MASS,
) -> FloatArray:
    r"""Compute the longitudinal momentum of the neutrino from the mass of the W boson.

    It solves :math:`(p_\mu + p_\nu)^2 = m_W^2` with the missing momentum as the neutrino's
    transverse one, and of two solutions takes the one with the smaller :math:`|p_z|`.

    Parameters
    ----------
    muon_pt, muon_eta, muon_phi : array-like of shape (n,)
        Transverse momentum in GeV, pseudorapidity and azimuth of the muon.
    missing_pt, missing_phi : array-like of shape (n,)
        Missing transverse momentum, in GeV, and its azimuth.
    w_mass : float, default=80.385
        Mass of the W boson in GeV.

    Returns
    -------
    ndarray of shape (n,)
        The momentum in GeV; NaN where there is no real solution or an input is NaN.

    References
    ----------
    A. Andreassen et al. (SRGN), arXiv:2010.03569, Sec. III.C, footnote 5.

    Examples
    --------
    One event with a solution, and one in which the transverse mass is too large already:

    >>> import numpy as np
    >>> from skdctr.datasets import neutrino_pz
    >>> neutrino_pz([40.0, 40.0], 1.0, 0.0, [30.0, 50.0], np.pi).round(1)
    array([-3.5,  nan])
    """
    check_number("w_mass", w_mass, above=0)
    given = {"muon_pt": muon_pt, "muon_eta": muon_eta, "muon_phi": muon_phi}
    given |= {"missing_pt": missing_pt, "missing_phi": missing_phi}
    pt, eta, phi, missing, missing_phi = _momenta(given)
    pz = pt * np.sinh(eta)
    transverse2 = pt**2 + MUON_MASS**2
    energy = np.sqrt(transverse2 + pz**2)
    half = (w_mass**2 - MUON_MASS**2) / 2 + pt * missing * np.cos(phi - missing_phi)
    discriminant = half**2 - transverse2 * missing**2
    root = energy * np.sqrt(np.where(discriminant >= 0, discriminant, np.nan))
    # The two roots have |half pz ± root|: opposite signs of the terms give the smaller one.
    result: FloatArray = (half * pz - np.copysign(root, half * pz)) / transverse2
    return result


def top_mass_observables(
    jets: Any,
    muon: Any,
    neutrino: Any,
    *,
    min_jet_pt: float = 20.0,
    max_b_eta: float = 2.5,
    overlap: float = 0.4,
    w_mass: float = W_MASS,
) -> pd.DataFrame:
    r"""Select :math:`t\bar t \to b\mu\nu\, bq\bar q'` events and build the four masses.

    Jets need :math:`p_T` above `min_jet_pt` and no muon within :math:`\Delta R` of `overlap`;
    b jets are those with a label and :math:`|\eta|` below `max_b_eta`. Events need a muon, at
    least two b jets and at least two others. :math:`b_1` is the b jet nearest to the muon in
    :math:`\Delta R`, :math:`b_2` the hardest of the other b jets, :math:`j_1` and :math:`j_2`
    the two hardest of the other jets. They are not asked to have the mass of a W boson
    (footnote 4 of the paper: higher efficiency, no significant impact).

    Parameters
    ----------
    jets : awkward array of n lists of records
        The jets, in any order, with the fields ``pt``, ``eta``, ``phi``, ``mass`` (GeV) and
        ``btag`` (whether it is a b jet). Padding by None or NaN is no jet.
    muon : awkward array of n records, or of n lists of records
        The muon, with ``pt``, ``eta``, ``phi``. None, NaN or an empty list stands for no muon; of
        several the hardest is taken. Cuts on it, such as isolation, are the caller's.
    neutrino : awkward array of n records
        With ``pt`` and ``phi`` it is the missing momentum, which `neutrino_pz` completes. With
        ``eta`` too it is the neutrino itself, as at generator level.
    min_jet_pt : float, default=20.0
        Transverse momentum in GeV that jets must exceed.
    max_b_eta : float, default=2.5
        Limit of :math:`|\eta|` within which b jets can be recognised.
    overlap : float, default=0.4
        Distance :math:`\Delta R = \sqrt{\Delta\eta^2 + \Delta\phi^2}` within which a jet is
        taken for the muon.
    w_mass : float, default=80.385
        Mass of the W boson in GeV.

    Returns
    -------
    DataFrame of shape (n, 4)
        ``m_b1munu``, ``m_b2munu``, ``m_b1j1j2``, ``m_b2j1j2`` in GeV, a row of NaN for every
        event that is not selected. The first two are 0 where the W mass has no real solution
        (footnote 5).

    Raises
    ------
    ImportError
        If awkward is not installed.
    ValueError
        If a field is missing or the numbers of events differ.

    Warns
    -----
    UnitWarning
        If the momenta look like MeV.

    See Also
    --------
    scale_jets : The same events at another jet energy scale.

    References
    ----------
    A. Andreassen et al. (SRGN), arXiv:2010.03569, Sec. III.C and its footnotes.
    """
    check_number("min_jet_pt", min_jet_pt)
    check_number("max_b_eta", max_b_eta, above=0)
    check_number("overlap", overlap, low=0)
    check_number("w_mass", w_mass, above=0)
    n, event, jet, btag = _flat_jets(jets)
    leptons = _one_per_event(muon, "muon", n, ("pt", "eta", "phi"))
    check_records(neutrino, "neutrino", ("pt", "phi"))
    fields = ("pt", "phi", *(["eta"] if "eta" in require("awkward").fields(neutrino) else []))
    missing = _one_per_event(neutrino, "neutrino", n, fields)
    warn_if_mev(jet[0], "pt of jets")

    distance = np.hypot(
        jet[1] - leptons["eta"][event],
        (jet[2] - leptons["phi"][event] + np.pi) % (2 * np.pi) - np.pi,
    )
    # The distance from a muon that is not there is NaN, which compares false.
    good = (jet[0] > min_jet_pt) & (distance >= overlap)
    is_b = good & btag & (np.abs(jet[1]) < max_b_eta)
    b1 = _first_per_event(event, distance, is_b, n)
    others = is_b.copy()
    others[b1[b1 >= 0]] = False
    b2 = _first_per_event(event, -jet[0], others, n)
    light = good & ~is_b
    j1 = _first_per_event(event, -jet[0], light, n)
    light[j1[j1 >= 0]] = False
    j2 = _first_per_event(event, -jet[0], light, n)

    rows = np.flatnonzero((b2 >= 0) & (j2 >= 0) & ~np.isnan(missing["pt"]))
    lepton = {field: values[rows] for field, values in leptons.items()}
    missing = {field: values[rows] for field, values in missing.items()}
    if "eta" in missing:
        pz = missing["pt"] * np.sinh(missing["eta"])
    else:
        pz = neutrino_pz(
            lepton["pt"],
            lepton["eta"],
            lepton["phi"],
            missing["pt"],
            missing["phi"],
            w_mass=w_mass,
        )
    nu = np.stack([missing["pt"] * f(missing["phi"]) for f in (np.cos, np.sin)] + [pz])
    w = _four_momentum(lepton["pt"], lepton["eta"], lepton["phi"], MUON_MASS) + np.vstack(
        [nu, np.linalg.norm(nu, axis=0)]
    )
    b = [_four_momentum(*jet[:, index[rows]]) for index in (b1, b2)]
    q = sum(_four_momentum(*jet[:, index[rows]]) for index in (j1, j2))
    leptonic = [np.where(np.isnan(pz), 0.0, _invariant_mass(first + w)) for first in b]

    observables = np.full((n, len(OBSERVABLES)), np.nan)
    observables[rows] = np.column_stack([*leptonic, *(_invariant_mass(first + q) for first in b)])
    return pd.DataFrame(observables, columns=list(OBSERVABLES))


def check_fields(fields: list[str], name: str, wanted: tuple[str, ...]) -> None:
    """Refuse records or tables that lack a field.

    Parameters
    ----------
    fields : list of str
        The fields that they have.
    name : str
        What the message calls them.
    wanted : tuple of str
        The fields that they need.

    Raises
    ------
    ValueError
        If one is missing; the message suggests the nearest name that there is.
    """
    for field in wanted:
        if field not in fields:
            raise ValueError(
                f"{name} lacks {field!r}, expected {list(wanted)}; of what it has, "
                f"{did_you_mean(field, fields)}"
            )


def check_records(records: Any, name: str, wanted: tuple[str, ...]) -> None:
    """Refuse what are no records of awkward with finite numbers in some fields.

    Parameters
    ----------
    records : object
        What the user gave.
    name : str
        What the message calls them.
    wanted : tuple of str
        The fields that they need; None and NaN may stand for what is not there.

    Raises
    ------
    TypeError, ValueError
        If they are something else, lack a field, or hold no numbers or infinite ones.
    """
    ak = require("awkward")
    if not is_awkward(records):
        raise TypeError(
            f"{name} is of type {type(records).__name__}, expected an awkward array of records "
            f"with {list(wanted)}: make it with ak.zip."
        )
    check_fields(ak.fields(records), name, wanted)
    for field in wanted:
        values = ak.to_numpy(ak.flatten(ak.drop_none(records[field], axis=None), axis=None))
        if values.dtype.kind not in "biuf":
            raise TypeError(f"{name} has {field!r} of {values.dtype}, expected real numbers.")
        if np.isinf(values).any():
            raise ValueError(f"{name} has an infinite {field!r}: mend it, or drop the event.")


def _momenta(given: dict[str, Any]) -> list[FloatArray]:
    """Read numbers of events by the names of their arguments: real, not infinite, as many."""
    arrays = {name: as_real_array(value, name).astype(np.float64) for name, value in given.items()}
    for name, values in arrays.items():
        if values.ndim > 1 or not values.size or np.isinf(values).any():
            raise ValueError(
                f"{name} has shape {values.shape}, expected (n,) or one number, not infinite: "
                f"{shorten(given[name])}."
            )
    sizes = {name: values.size for name, values in arrays.items() if values.size > 1}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"The numbers of events differ: {sizes}; expected as many in all of them.")
    return list(arrays.values())


def _flat_jets(jets: Any) -> tuple[int, NDArray[np.int64], FloatArray, NDArray[np.bool_]]:
    """Check lists of jets and put them into flat arrays, without their padding.

    Returns
    -------
    n : int
        Number of events.
    event : ndarray of shape (m,)
        The event of each jet.
    jets : ndarray of shape (4, m)
        The rows are pt, eta, phi and mass, with pt and mass in GeV.
    btag : ndarray of shape (m,)
        Which of them are b jets.

    Raises
    ------
    ValueError
        If a field is missing, or there is no list for each event.
    """
    ak = require("awkward")
    check_records(jets, "jets", ("pt", "eta", "phi", "mass", "btag"))
    if jets.ndim != 2:
        raise ValueError(
            f"jets has {jets.ndim} dimension(s), expected 2: a list of jets for each event."
        )
    jets = ak.drop_none(ak.fill_none(jets, [], axis=0), axis=1)
    event = np.repeat(np.arange(len(jets)), ak.to_numpy(ak.num(jets)))
    flat = ak.flatten(jets)
    values = np.stack(
        [
            ak.to_numpy(ak.fill_none(flat[field], np.nan)).astype(np.float64)
            for field in ("pt", "eta", "phi", "mass")
        ]
    )
    btag = ak.to_numpy(ak.fill_none(flat["btag"] > 0, False))
    real = ~np.isnan(values).any(axis=0)
    return len(jets), event[real], values[:, real], btag[real]


def _one_per_event(
    records: Any, name: str, n: int, fields: tuple[str, ...]
) -> dict[str, FloatArray]:
    """Take the fields, (n,) each, of the only or hardest record of each event; NaN without one.

    Raises
    ------
    ValueError
        If a field is missing, or there are not n events.
    """
    ak = require("awkward")
    check_records(records, name, fields)
    if len(records) != n:
        raise ValueError(f"{name} has {len(records)} events, jets has {n}: give the same events.")
    if records.ndim == 2:
        records = ak.fill_none(records, [], axis=0)
        records = ak.firsts(records[ak.argsort(records["pt"], axis=1, ascending=False)])
    return {
        field: ak.to_numpy(ak.fill_none(records[field], np.nan)).astype(np.float64)
        for field in fields
    }


def _first_per_event(
    event: NDArray[np.int64], key: FloatArray, mask: NDArray[np.bool_], n: int
) -> NDArray[np.int64]:
    """Find the row with the smallest key in each event, (n,), among those of the mask, or -1."""
    rows = np.flatnonzero(mask)
    rows = rows[np.lexsort((key[rows], event[rows]))]
    found, first = np.unique(event[rows], return_index=True)
    result = np.full(n, -1)
    result[found] = rows[first]
    return result


def _four_momentum(pt: FloatArray, eta: FloatArray, phi: FloatArray, mass: Any) -> FloatArray:
    """Compute four-momenta, whose rows are px, py, pz and the energy."""
    p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    return np.vstack([p, np.sqrt((p**2).sum(axis=0) + mass**2)])


def _invariant_mass(p: FloatArray) -> FloatArray:
    """Compute the masses of four-momenta, whose rows are px, py, pz and the energy."""
    mass: FloatArray = np.sqrt(np.maximum(p[3] ** 2 - (p[:3] ** 2).sum(axis=0), 0.0))
    return mass
