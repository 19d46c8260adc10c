"""Reweighters, which learn the weights from generator events or know them.

Generator events and the θ of each come in; a reweighter goes out, which binds events to their
`weights`. No fit is imported here, nor one of the two ways to θ*, `comparison` and `observable`.

The package's own reweighters are at the top level; here is the base of a reweighter of your own.
"""

from skdctr.reweighting.base import BaseReweighter

__all__ = ["BaseReweighter"]
