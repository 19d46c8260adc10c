"""The losses that training minimises, in which every event counts by its weight."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WeightedCrossEntropy", "WeightedSquaredError"]


class WeightedCrossEntropy(nn.Module):
    """Binary cross-entropy on logits, weighted by event.

    Parameters
    ----------
    prior_logit : float
        Logarithm of the ratio of the classes' total weights. It is added to the network's output,
        which thereby becomes the logarithm of the density ratio itself.
    """

    def __init__(self, prior_logit: float = 0.0) -> None:
        super().__init__()
        self.prior_logit = prior_logit

    def forward(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average the loss over a batch.

        Parameters
        ----------
        logit, target, weight : Tensor of shape (n,)
            Output of the network, class (0 or 1) and weight of each event. Over the whole sample
            the weights have mean 1.
        """
        if self.prior_logit:
            logit = logit + self.prior_logit
        return functional.binary_cross_entropy_with_logits(logit, target, weight=weight)


class WeightedSquaredError(nn.Module):
    """Squared distance of vectors, weighted by event, which the conditional mean minimises."""

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average the loss over a batch and over the components.

        Parameters
        ----------
        prediction, target : Tensor of shape (n, k)
            Output of the network, and the values that it is to learn.
        weight : Tensor of shape (n,)
            Weight of each event. Over the whole sample the weights have mean 1.
        """
        return (weight[:, None] * (prediction - target).square()).mean()
