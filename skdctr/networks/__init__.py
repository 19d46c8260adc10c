"""Torch modules that map events to one logit, the logarithm of a density ratio.

What comes in: tensors of rows of features or of sets of particles, and θ where the network has it.
What goes out: one logit for each event, or several values for a regression.
What it must not import: anything of the package but `events` and what lies below it.
"""

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
