"""What training minimises, weighted by event."""

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
        which then is the logarithm of the density ratio itself.
    """

    def __init__(self, prior_logit: float = 0.0) -> None:
        super().__init__()
        self.prior_logit = prior_logit

    def forward(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average the loss over a batch; the weights have mean 1 over the whole sample."""
        if self.prior_logit:
            logit = logit + self.prior_logit
        return functional.binary_cross_entropy_with_logits(logit, target, weight=weight)


class WeightedSquaredError(nn.Module):
    """Squared distance of vectors, weighted by event: its minimum is the conditional mean."""

    def forward(self, prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Average over a batch and over the components; the weights have mean 1 overall."""
        return (weight[:, None] * (prediction - target).square()).mean()
