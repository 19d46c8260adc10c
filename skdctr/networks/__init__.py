"""Torch modules with one logit as output: events in, log density ratio out."""

from skdctr.events.tensors import PackedTensors

from ._deep_sets import DeepSets, SeparableDeepSets, SetEncoder
from ._layers import ACTIVATIONS
from ._mlp import MLP
from ._separable import (
    SeparableNetwork,
    dictionary_terms,  # noqa: F401 - for the package's own use
    monomial_exponents,  # noqa: F401
)

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "DeepSets",
    "PackedTensors",
    "SeparableDeepSets",
    "SeparableNetwork",
    "SetEncoder",
]
