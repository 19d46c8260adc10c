"""The fully connected layers that all networks are made of, and their activations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import nn

__all__ = ["ACTIVATIONS", "fully_connected"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def fully_connected(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Stack linear layers with activations in between.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of the nodes of each hidden layer, and of outputs.
    activation : str
        A key of `ACTIVATIONS`, which follows each layer but the last.
    """
    modules: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes[:-1]):
        modules += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    modules.append(nn.Linear(sizes[-2], sizes[-1]))
    return nn.Sequential(*modules)
