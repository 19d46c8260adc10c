"""Optional packages, imported where they are used."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

__all__ = ["is_awkward", "require"]

# Names to try, and the extra that brings the package.
_MODULES: Final = {
    "pythia8mc": (("pythia8mc", "pythia8"), "pythia"),
    "fastjet": (("fastjet",), "pythia"),
    "awkward": (("awkward",), "pythia"),
    "pyarrow": (("pyarrow",), "io"),
    "uproot": (("uproot",), "io"),
    "pooch": (("pooch",), "download"),
}


def require(package: str) -> Any:
    """Import an optional package.

    Parameters
    ----------
    package : {"pythia8mc", "fastjet", "awkward", "pyarrow", "uproot", "pooch"}
        ``pythia8mc`` is Pythia's name on PyPI; other builds call the same module ``pythia8``.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.
    """
    names, extra = _MODULES[package]
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    raise ImportError(
        f"{package} is not installed and this function of skdctr.datasets needs it. Install it "
        f'with: pip install "skdctr[{extra}]"'
    )


def is_awkward(X: Any) -> bool:
    """Say whether X is an awkward array or one record of it, without importing awkward."""
    awkward = sys.modules.get("awkward")
    return awkward is not None and isinstance(X, (awkward.Array, awkward.Record))
