"""Reweight simulation with neural networks, and fit its parameters to data.

The estimators and the submodules load when they are first used: importing the package alone takes
no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skdctr._version import __version__

if TYPE_CHECKING:
    from skdctr.fitting.dctr import DCTRFitter
    from skdctr.fitting.srgn import SRGNFitter
    from skdctr.reweighting.analytic import AnalyticReweighter
    from skdctr.reweighting.dctr import DCTRReweighter

__all__ = ["AnalyticReweighter", "DCTRFitter", "DCTRReweighter", "SRGNFitter", "__version__"]

_ESTIMATORS = {
    "AnalyticReweighter": "skdctr.reweighting.analytic",
    "DCTRFitter": "skdctr.fitting.dctr",
    "DCTRReweighter": "skdctr.reweighting.dctr",
    "SRGNFitter": "skdctr.fitting.srgn",
}
_SUBMODULES = {
    "campaign",
    "closure",
    "coverage",
    "datasets",
    "exceptions",
    "inference",
    "metrics",
    "networks",
    "plotting",
    "preprocessing",
    "results",
    "reweighting",
}


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        found = getattr(import_module(_ESTIMATORS[name]), name)
        globals()[name] = found
        return found
    if name in _SUBMODULES:
        return import_module(f"skdctr.{name}")
    raise AttributeError(f"module 'skdctr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBMODULES})
