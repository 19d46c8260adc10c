"""The network of events with a fixed number of features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skdctr.networks.checks import check_inputs, check_sizes
from skdctr.networks.layers import fully_connected

__all__ = ["MLP"]


class MLP(nn.Module):
    """Multilayer perceptron on the features, with the parameters θ as further inputs.

    Parameters
    ----------
    n_features : int
        Features of an event.
    n_parameters : int, default=0
        Parameters θ; 0 for a classifier that knows of none.
    hidden_layer_sizes : sequence of int, default=(50, 50, 50)
        Nodes of each hidden layer.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    n_outputs : int or None, default=None
        Number of values of an event, for a regression; None is one logit.
    """

    takes_sets = False

    def __init__(
        self,
        n_features: int,
        n_parameters: int = 0,
        hidden_layer_sizes: Sequence[int] = (50, 50, 50),
        activation: str = "relu",
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        nodes = check_sizes(
            "hidden_layer_sizes",
            hidden_layer_sizes,
            activation,
            n_features=(n_features, 1),
            n_parameters=(n_parameters, 0),
            n_outputs=(1 if n_outputs is None else n_outputs, 1),
        )
        self.n_outputs = n_outputs
        self.layers = fully_connected(
            (n_features + n_parameters, *nodes, n_outputs or 1), activation
        )

    def forward(self, x: Tensor, theta: Tensor | None = None) -> Tensor:
        """Map x (n, f) and θ (n, p) to one logit per event, (n,), or to values, (n, n_outputs)."""
        check_inputs(x, theta, self.layers)
        inputs = x if theta is None else torch.cat([x, theta], dim=1)
        values: Tensor = self.layers(inputs)
        return values.squeeze(1) if self.n_outputs is None else values
