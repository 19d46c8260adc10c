"""The warning of energies in MeV where GeV are expected."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import numpy as np
import pandas as pd

from skdctr._utils.warn import warn_user
from skdctr.exceptions import UnitWarning

__all__ = ["LIMIT", "warn_about_columns", "warn_if_mev"]

# Half the collision energy of the LHC at 13 TeV, in GeV. No sample has typical masses or momenta
# above it; in MeV all have, but those of the softest particles.
LIMIT: Final = 6500.0
_ENERGY = re.compile(r"(^|[_./])(e|energy|m|mass|met|mt|p[txyz]?)([_./]|$)", re.IGNORECASE)


def warn_if_mev(values: Any, name: str) -> bool:
    """Warn where energies are so large that they must be in MeV.

    Parameters
    ----------
    values : array-like
        Energies, momenta or masses. NaN and zeros, which stand for no value, do not count.
    name : str
        What the message calls them.

    Returns
    -------
    bool
        Whether it warned.

    Warns
    -----
    UnitWarning
        If their median is above `LIMIT`.
    """
    magnitude = np.abs(np.asarray(values, dtype=np.float64))
    magnitude = magnitude[np.isfinite(magnitude) & (magnitude > 0)]
    if not magnitude.size or np.median(magnitude) <= LIMIT:
        return False
    warn_user(
        f"{name} has a median of {np.median(magnitude):.6g}, which can hardly be GeV; it "
        "looks like MeV. Divide by 1000: cuts, bounds and the parameter mt are in GeV.",
        UnitWarning,
    )
    return True


def warn_about_columns(
    frame: pd.DataFrame, source: str, skip: Collection[Any] = frozenset()
) -> set[Any]:
    """Warn of columns that look like energies in MeV, by their names and values.

    Parameters
    ----------
    frame : DataFrame of shape (n, f)
        The table. A column counts as an energy if its name has a part like ``m``, ``mt``, ``pt``,
        ``met`` or ``energy`` between underscores, dots or slashes.
    source : str
        What the message calls the table.
    skip : collection of str, default=frozenset()
        Columns that the user knows of already.

    Returns
    -------
    set of str
        The columns that it warned of.

    Warns
    -----
    UnitWarning
        For each such column whose median is above `LIMIT`.
    """
    energies = [name for name in frame.columns if _ENERGY.search(str(name)) and name not in skip]
    return {name for name in energies if warn_if_mev(frame[name], f"{name!r} of {source}")}
