"""Optional packages, imported where they are used; an error says how to install what is missing."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final, NamedTuple

__all__ = ["is_awkward", "require"]


class _OptionalPackage(NamedTuple):
    """A package that skdctr can do without, until somebody asks for what needs it."""

    names: tuple[str, ...]
    extra: str
    use: str


_PACKAGES: Final = {
    "accelerate": _OptionalPackage(("accelerate",), "accelerate", "device='accelerate' needs it"),
    "awkward": _OptionalPackage(("awkward",), "pythia", "events of varying length need it"),
    "fastjet": _OptionalPackage(("fastjet",), "pythia", "the clustering of jets needs it"),
    "iminuit": _OptionalPackage(("iminuit",), "minuit", "method='minuit' needs it"),
    "matplotlib": _OptionalPackage(("matplotlib",), "plot", "plots need it"),
    "pooch": _OptionalPackage(("pooch",), "download", "downloads need it"),
    "fsspec": _OptionalPackage(("fsspec",), "io", "files at an address need it"),
    "pyarrow": _OptionalPackage(("pyarrow",), "io", "parquet files need it"),
    "pyhepmc": _OptionalPackage(("pyhepmc",), "hepmc", "HepMC files need it"),
    "pylhe": _OptionalPackage(("pylhe",), "lhe", "Les Houches event files need it"),
    "pythia8mc": _OptionalPackage(("pythia8mc", "pythia8"), "pythia", "the generation needs it"),
    "uproot": _OptionalPackage(("uproot",), "io", "ROOT files need it"),
}


def require(package: str) -> Any:
    """Import an optional package.

    Parameters
    ----------
    package : str
        The name of the package on PyPI. Pythia is ``pythia8mc`` there; other builds call the same
        module ``pythia8``, which is tried too.

    Returns
    -------
    module
        The module.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra of skdctr that installs it.
    """
    names, extra, use = _PACKAGES[package]
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # An installed package that lacks one of its own must not be called missing.
            if error.name != name:
                raise
    raise ImportError(
        f'{package} is not installed, and {use}. Install it with: pip install "skdctr[{extra}]"'
    )


def is_awkward(X: Any) -> bool:
    """Say whether X is an awkward array or one record of it, without importing awkward."""
    awkward = sys.modules.get("awkward")
    return awkward is not None and isinstance(X, (awkward.Array, awkward.Record))
