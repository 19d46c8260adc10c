"""Reweighters, which learn the weights from generator events or know them.

Generator events and the θ of each come in; a reweighter goes out, which binds events to their
`weights`. No fit is imported here, nor one of the two ways to θ*, `comparison` and `observable`.
"""

from skdctr.reweighting.analytic import AnalyticReweighter
from skdctr.reweighting.base import BaseReweighter
from skdctr.reweighting.dctr import DCTRReweighter

__all__ = ["AnalyticReweighter", "BaseReweighter", "DCTRReweighter"]
