"""Reweighters, which learn the weights from generator events or know them.

Generator events and the θ of each come in; a reweighter that binds events to `weights` goes out.
Does not know the fits, nor the two ways to θ*, `comparison` and `observable`.
"""

from skdctr.reweighting.analytic import AnalyticReweighter
from skdctr.reweighting.base import BaseReweighter
from skdctr.reweighting.dctr import DCTRReweighter

__all__ = ["AnalyticReweighter", "BaseReweighter", "DCTRReweighter"]
