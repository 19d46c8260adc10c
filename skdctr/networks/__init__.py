"""Torch modules with one logit as output: events in, log density ratio out."""

from skdctr._set_tensors import PackedTensors

from ._build import check_takes, event_network
from ._deep_sets import DeepSets, SeparableDeepSets, SetEncoder
from ._layers import ACTIVATIONS
from ._mlp import MLP
from ._separable import SeparableNetwork, dictionary_terms, monomial_exponents

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "DeepSets",
    "PackedTensors",
    "SeparableDeepSets",
    "SeparableNetwork",
    "SetEncoder",
    "check_takes",
    "dictionary_terms",
    "event_network",
    "monomial_exponents",
]
