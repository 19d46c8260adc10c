"""Reweighters, which learn the weights from generator events or know them.

Generator events and the θ of each come in; a reweighter that binds events to `weights` goes out.
Does not know the fits, nor the two ways to θ*, `comparison` and `observable`. The package's own
reweighters are at the top level; here is the base of a reweighter of your own.
"""

from skdctr.reweighting.base import BaseReweighter

__all__ = ["BaseReweighter"]
