"""Reweight simulation with neural networks, and fit its parameters to data."""

from skdctr._version import __version__
from skdctr.fitting.dctr import DCTRFitter
from skdctr.fitting.srgn import SRGNFitter
from skdctr.reweighting.analytic import AnalyticReweighter
from skdctr.reweighting.dctr import DCTRReweighter

__all__ = ["AnalyticReweighter", "DCTRFitter", "DCTRReweighter", "SRGNFitter", "__version__"]
