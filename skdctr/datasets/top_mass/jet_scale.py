"""Events and observables of the top quark mass at another jet energy scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdctr._utils.arguments import as_real_array, check_instance, check_number
from skdctr._utils.optional import require
from skdctr.datasets.top_mass.observables import OBSERVABLES, W_MASS, check_fields, check_records
from skdctr.events.frames import as_table

__all__ = ["scale_jets", "scale_observables"]


def scale_jets(jets: Any, missing: Any, factor: ArrayLike) -> tuple[Any, Any]:
    r"""Multiply the momenta of all jets by a factor and correct the missing momentum.

    This is a global jet energy scale: every four-momentum becomes `factor` times what it was, and
    the missing transverse momentum changes by minus the sum of the changes. Give all jets of the
    event, those below the cut too, as a larger scale lifts some above it; then build the
    observables anew with `top_mass_observables`.

    Parameters
    ----------
    jets : awkward array of n lists of records
        The jets, with ``pt``, ``phi`` and ``mass`` (GeV); other fields stay. No muon may be among
        them, or it is scaled too.
    missing : awkward array of n records
        The missing momentum, with ``pt`` (GeV) and ``phi``.
    factor : float or array-like of shape (n,)
        The scale, one for all events or one for each; 1 changes nothing.

    Returns
    -------
    jets, missing : awkward arrays
        The records as they were given, with new ``pt`` and ``mass`` of the jets, and new ``pt``
        and ``phi`` of the missing momentum.

    Raises
    ------
    ImportError
        If awkward is not installed.
    ValueError
        If a factor is not positive, its shape does not fit, or a field is missing.

    See Also
    --------
    scale_observables : An approximation where only the four masses are at hand.
    """
    ak = require("awkward")
    check_records(jets, "jets", ("pt", "phi", "mass"))
    check_records(missing, "missing", ("pt", "phi"))
    if len(jets) != len(missing):
        raise ValueError(
            f"missing has {len(missing)} events, jets has {len(jets)}: give the same events."
        )
    scale = as_real_array(factor, "factor").astype(np.float64)
    if scale.shape not in {(), (len(jets),)}:
        raise ValueError(
            f"factor has shape {scale.shape}, expected a number or ({len(jets)},): one per event."
        )
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(
            f"factor must be positive, got {factor!r}; pass 1.01 for a scale that is 1% higher."
        )
    by_event = ak.Array(np.broadcast_to(scale, len(jets)).copy())
    change = (by_event - 1) * jets["pt"]
    px = missing["pt"] * np.cos(missing["phi"]) - ak.nansum(change * np.cos(jets["phi"]), axis=1)
    py = missing["pt"] * np.sin(missing["phi"]) - ak.nansum(change * np.sin(jets["phi"]), axis=1)
    scaled = ak.with_field(jets, by_event * jets["pt"], "pt")
    scaled = ak.with_field(scaled, by_event * jets["mass"], "mass")
    missing = ak.with_field(missing, np.hypot(px, py), "pt")
    return scaled, ak.with_field(missing, np.arctan2(py, px), "phi")


def scale_observables(
    observables: pd.DataFrame, factor: ArrayLike, *, w_mass: float = W_MASS
) -> pd.DataFrame:
    r"""Move the four masses to another jet energy scale, approximately.

    This is for tables that have no jets any more. With the factor f the masses of three jets scale
    by f, exactly. The mass of a b jet and a W boson becomes
    :math:`\sqrt{m_W^2 + f\,(m^2 - m_W^2)}`, as only the b jet scales and its own mass hardly
    counts. Two effects are left out, as they need the jets: the change of the missing momentum, and
    events that pass the cut at one scale only. Zeros, of events without a neutrino, stay.

    Parameters
    ----------
    observables : DataFrame of shape (n, 4)
        The masses in GeV, as `top_mass_observables` returns them; rows of NaN stay.
    factor : float or array-like of shape (n,)
        The scale, one for all events or one for each.
    w_mass : float, default=80.385
        Mass of the W boson in GeV.

    Returns
    -------
    DataFrame of shape (n, 4)
        The masses at the new scale, in GeV.

    Raises
    ------
    ValueError
        If a factor is not positive, its shape does not fit, or a column is missing.

    See Also
    --------
    scale_jets : Exact, on the jets.
    """
    expected = "a DataFrame, as top_mass_observables returns it"
    check_instance("observables", observables, pd.DataFrame, expected)
    check_fields([str(column) for column in observables.columns], "observables", OBSERVABLES)
    given = as_real_array(
        as_table(observables[list(OBSERVABLES)], name="observables"), "observables"
    )
    if np.isinf(given).any():
        raise ValueError("observables has infinite masses; expected finite ones, or rows of NaN.")
    check_number("w_mass", w_mass, above=0)
    scale = as_real_array(factor, "factor").astype(np.float64)
    is_good = np.isfinite(scale) & (scale > 0)
    if scale.shape not in {(), (len(observables),)} or not is_good.all():
        raise ValueError(
            f"factor must be a positive number or one per event, ({len(observables)},), got "
            f"{factor!r}; pass 1.01 for a scale that is 1% higher."
        )
    scaled = observables.copy()
    for name in OBSERVABLES[:2]:
        mass = observables[name].to_numpy(dtype=np.float64)
        moved = w_mass**2 + scale * (mass**2 - w_mass**2)
        scaled[name] = np.where(mass == 0, 0.0, np.sqrt(np.maximum(moved, 0.0)))
    for name in OBSERVABLES[2:]:
        scaled[name] = scale * observables[name].to_numpy(dtype=np.float64)
    return scaled
