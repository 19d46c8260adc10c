"""Torch modules with one logit as output: events in, log density ratio out."""

from skdctr.events.tensors import PackedTensors
from skdctr.networks.deep_sets import DeepSets, SeparableDeepSets, SetEncoder
from skdctr.networks.layers import ACTIVATIONS
from skdctr.networks.mlp import MLP
from skdctr.networks.separable import SeparableNetwork

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "DeepSets",
    "PackedTensors",
    "SeparableDeepSets",
    "SeparableNetwork",
    "SetEncoder",
]
