"""Reweight simulation with neural networks, and fit its parameters to data."""

from ._version import __version__
from .analytic import AnalyticReweighter
from .fitting import SRGNFitter
from .gradient_fitting import DCTRFitter
from .reweighting import DCTRReweighter

__all__ = ["AnalyticReweighter", "DCTRFitter", "DCTRReweighter", "SRGNFitter", "__version__"]
