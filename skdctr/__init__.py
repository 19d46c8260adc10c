"""Reweight simulation with neural networks, and fit its parameters to data."""

from ._version import __version__
from .reweighting import DCTRReweighter

__all__ = ["DCTRReweighter", "__version__"]
