"""Torch modules with one logit as output: events in, log density ratio out."""

from skdctr.events.tensors import PackedTensors
from skdctr.networks._deep_sets import DeepSets, SeparableDeepSets, SetEncoder
from skdctr.networks._layers import ACTIVATIONS
from skdctr.networks._mlp import MLP
from skdctr.networks._separable import SeparableNetwork, dictionary_terms, monomial_exponents

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "DeepSets",
    "PackedTensors",
    "SeparableDeepSets",
    "SeparableNetwork",
    "SetEncoder",
]
