"""Event weights of one sample, bound to it once and evaluated at any θ."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._validation import FloatArray, ParameterSpace
from .exceptions import ExtrapolationWarning
from .networks import SeparableNetwork
from .training import predict_logits, to_tensor

__all__ = [
    "EventWeights",
    "FeatureRange",
    "NetworkWeights",
    "ParameterScaling",
    "RatioNetwork",
    "Scaling",
    "exponentiate",
    "warn_if_outside",
]

_CHUNK_ROWS = 1 << 15
# Largest over smallest value from which on a positive parameter counts as a scale.
_SCALE_RATIO = 3.0


class EventWeights(Protocol):
    """Log-weights of a fixed sample of n events as a function of the p parameters θ."""

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w, (n,), at one θ of shape (p,) or at one per event, (n, p)."""

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ log w, (n, p)."""

    def subset(self, rows: NDArray[np.intp]) -> EventWeights:
        """Return the same of some of the events."""


@dataclass(frozen=True)
class Scaling:
    """Affine map of each column to the scale that networks learn best on.

    Attributes
    ----------
    shift, scale : ndarray of shape (k,)
        Columns become ``(X - shift) / scale``.
    """

    shift: FloatArray
    scale: FloatArray

    @classmethod
    def standard(cls, X: FloatArray, weight: FloatArray) -> Self:
        """Map to mean 0 and standard deviation 1, in absolute weights."""
        absolute = np.abs(weight)
        mean = np.average(X, axis=0, weights=absolute)
        deviation = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=absolute))
        # Of a constant column rounding leaves a deviation that would blow up any other value.
        varies = (np.ptp(X, axis=0) > 0) & (deviation > 0)
        return cls(mean, np.where(varies, deviation, 1.0))

    def __call__(self, X: FloatArray) -> FloatArray:
        """Apply the map, in double precision: a mass has more digits than a float32."""
        return (X - self.shift) / self.scale


@dataclass(frozen=True)
class ParameterScaling:
    """Map of each parameter's range to [-1, 1].

    A parameter that stays positive over a wide range is a scale, such as a width or a lifetime:
    densities change with its logarithm, which is mapped instead.

    Attributes
    ----------
    logarithmic : ndarray of bool of shape (p,)
        Parameters whose logarithm is mapped.
    inner : Scaling
        The affine part.
    """

    logarithmic: NDArray[np.bool_]
    inner: Scaling

    @classmethod
    def of_range(cls, low: FloatArray, high: FloatArray) -> Self:
        """Choose the map for the range [low, high] of each parameter."""
        logarithmic = (low > 0) & (high > _SCALE_RATIO * low)
        low, high = (cls._logarithm(edge, logarithmic) for edge in (low, high))
        half = (high - low) / 2
        return cls(logarithmic, Scaling((high + low) / 2, np.where(half > 0, half, 1.0)))

    @staticmethod
    def _logarithm(theta: FloatArray, logarithmic: NDArray[np.bool_]) -> FloatArray:
        return np.where(logarithmic, np.log(np.where(logarithmic, theta, 1.0)), theta)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Map θ of shape (p,) or (n, p)."""
        if (theta[..., self.logarithmic] <= 0).any():
            raise ValueError(
                f"theta={theta.tolist()}: a parameter that was positive throughout training cannot "
                "be zero or negative. Check its sign and units."
            )
        return self.inner(self._logarithm(theta, self.logarithmic))

    def derivative(self, theta: FloatArray) -> FloatArray:
        """Compute the derivative of the map at θ, of the shape of θ."""
        slope: FloatArray = (
            np.where(self.logarithmic, 1 / np.where(self.logarithmic, theta, 1.0), 1.0)
            / self.inner.scale
        )
        return slope


@dataclass(frozen=True)
class FeatureRange:
    """Support of the training events, feature by feature.

    Attributes
    ----------
    low, high : ndarray of shape (f,)
        Smallest and largest value seen.
    n_events : int
        Events seen.
    """

    low: FloatArray
    high: FloatArray
    n_events: int

    def beyond_chance(self, X: FloatArray) -> list[tuple[int, int]]:
        """Find columns with rows outside farther, or in greater number, than chance would put them.

        Of fresh events of the same distribution some fall just beyond the extremes seen.

        Parameters
        ----------
        X : ndarray of shape (n, f)
            Other events.

        Returns
        -------
        list of (int, int)
            Column, and how many rows lie outside.
        """
        expected = 2 * len(X) / (self.n_events + 1)
        found = []
        for k, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            beyond = np.maximum(low - X[:, k], X[:, k] - high)
            # Of a constant feature the rounding must not count.
            n_outside = int((beyond > 1e-9 * max(abs(low), abs(high))).sum())
            if n_outside > 10 + 10 * expected or (n_outside and beyond.max() > high - low):
                found.append((k, n_outside))
        return found

    def warn_if_outside(self, X: FloatArray, names: Sequence[str]) -> None:
        """Warn of events outside of the range that are more, or farther out, than by chance."""
        for k, n_outside in self.beyond_chance(X):
            warnings.warn(
                f"{n_outside} of {len(X)} events have {names[k]} outside the range "
                f"[{self.low[k]:g}, {self.high[k]:g}] of the training events: their weights "
                "are extrapolated. Train on events that cover them, or check the units.",
                ExtrapolationWarning,
                stacklevel=4,
            )


def warn_if_outside(space: ParameterSpace, theta: FloatArray) -> None:
    """Warn where θ leaves the trained range."""
    messages = space.outside(theta)
    if messages:
        warnings.warn(
            "Weights are extrapolated in θ: " + "; ".join(messages) + ", the trained range. "
            "Generate events up to there and fit the reweighter again, or narrow the bounds.",
            ExtrapolationWarning,
            stacklevel=4,
        )


def exponentiate(log_weights: FloatArray) -> FloatArray:
    """Turn log-weights into weights, or say which are not finite."""
    with np.errstate(over="ignore"):
        weights: FloatArray = np.exp(log_weights)
    n_bad = int((~np.isfinite(weights)).sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} of {len(weights)} weights are not finite (largest log-weight "
            f"{np.nanmax(log_weights):g}): θ is too far from the nominal parameters for these "
            "events. Take θ closer to nominal, or work with predict_log_weights."
        )
    return weights


@dataclass(frozen=True)
class RatioNetwork:
    """A trained network and how its output becomes a density ratio.

    Attributes
    ----------
    module : nn.Module
        Maps scaled x (n, f) and θ (n, p) to a logit.
    theta_nominal : Tensor of shape (1, p), or None
        Where given, the logit there is subtracted: the network was trained against a mixture.
    """

    module: nn.Module
    theta_nominal: Tensor | None

    def log_ratio(self, x: Tensor, theta: Tensor) -> Tensor:
        """Compute log w of scaled events at scaled θ, differentiable in θ."""
        if isinstance(self.module, SeparableNetwork):
            return self.module.log_ratio(x, theta)
        logit: Tensor = self.module(x, theta)
        if self.theta_nominal is not None:
            logit = logit - self.module(x, self.theta_nominal.expand(len(x), -1))
        return logit


class NetworkWeights:
    """`EventWeights` of an ensemble of networks: the mean of their log-weights.

    What depends on the events alone is computed once: B(x) of separable networks, and the
    reference logit of the others.
    """

    def __init__(
        self,
        networks: Sequence[RatioNetwork],
        X: FloatArray,
        *,
        features: Scaling,
        parameters: ParameterScaling,
        device: torch.device,
    ) -> None:
        self.networks, self.parameters, self.device = networks, parameters, device
        self.x = to_tensor(features(X), device)
        self.cached = [self._event_functions(network) for network in networks]

    @torch.no_grad()
    def _event_functions(self, network: RatioNetwork) -> Any:
        if isinstance(network.module, SeparableNetwork):
            chunks = self.x.split(_CHUNK_ROWS)
            return torch.cat([network.module.event_functions(chunk) for chunk in chunks])
        if network.theta_nominal is not None:
            return predict_logits(network.module, self.x, network.theta_nominal)
        return None

    def subset(self, rows: NDArray[np.intp]) -> NetworkWeights:
        """Return the same of some of the events."""
        part = copy.copy(self)
        index = torch.as_tensor(rows, device=self.device)
        part.x = self.x[index]
        part.cached = [None if known is None else known[index] for known in self.cached]
        return part

    def _scaled(self, theta: FloatArray) -> Tensor:
        return to_tensor(self.parameters(np.atleast_2d(theta)), self.device)

    @torch.no_grad()
    def member_log_weights(self, theta: FloatArray) -> FloatArray:
        """Return log w of every member, (n_members, n)."""
        given = self._scaled(theta)
        rows = []
        for network, cached in zip(self.networks, self.cached, strict=True):
            if isinstance(network.module, SeparableNetwork) and cached is not None:
                coefficients = network.module.event_coefficients(given)
                row = (
                    cached @ coefficients[0]
                    if len(given) == 1
                    else (cached * coefficients).sum(dim=1)
                )
            else:
                row = predict_logits(network.module, self.x, given)
                if cached is not None:
                    row = row - cached
            rows.append(row.cpu().numpy().astype(np.float64))
        return np.stack(rows)

    def log_weights(self, theta: FloatArray) -> FloatArray:
        """Return the mean log w of the members, (n,)."""
        mean: FloatArray = self.member_log_weights(theta).mean(axis=0)
        return mean

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return ∇_θ of the mean log w, (n, p)."""
        given = self._scaled(theta)
        total = np.zeros((len(self.x), given.shape[1]))
        for network, cached in zip(self.networks, self.cached, strict=True):
            if isinstance(network.module, SeparableNetwork) and len(given) == 1:
                slope = torch.autograd.functional.jacobian(network.module.event_coefficients, given)
                total += (cached @ slope[0, :, 0]).cpu().numpy()
            else:
                total += self._autograd(network, given)
        return total / len(self.networks) * self.parameters.derivative(theta)

    def _autograd(self, network: RatioNetwork, given: Tensor) -> FloatArray:
        parts = []
        for start in range(0, len(self.x), _CHUNK_ROWS):
            x = self.x[start : start + _CHUNK_ROWS]
            theta = given if len(given) == 1 else given[start : start + _CHUNK_ROWS]
            theta = theta.expand(len(x), -1).clone().requires_grad_()
            (slope,) = torch.autograd.grad(network.log_ratio(x, theta).sum(), theta)
            parts.append(slope.cpu().numpy().astype(np.float64))
        return np.concatenate(parts)
