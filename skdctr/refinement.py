"""Maximum-likelihood refit of a separable network's couplings, with needless terms switched off.

Gradient descent leaves a network near its optimum, at a distance that shows as a bias of the
weights, and every coupling that the truth does not need fits noise. With B(x) and A(θ) held fixed
the loss is convex in the couplings C, so that Newton's method solves it to the end, and the
evidence for each coupling (automatic relevance determination) tells which ones to keep.

References
----------
D. J. C. MacKay, Neural Computation 4, 415 (1992).
M. E. Tipping, J. Mach. Learn. Res. 1, 211 (2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .networks import SeparableNetwork
from .training import signs

__all__ = ["RefitSample", "refit_couplings"]

_CHUNK_ROWS = 1 << 14
_NEWTON_STEPS = 8
_RELEVANCE_STEPS = 300
# Log-likelihood units; the statistical error moves the log-likelihood by 1/2.
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class RefitSample:
    """What the couplings are fitted to.

    Attributes
    ----------
    reference : Tensor of shape (n0, f)
        Features of the reference class, with `reference_weight`.
    varied : Tensor of shape (n1, f)
        Features of the varied class, with `varied_theta` of shape (n1, p) and `varied_weight`.
    prior_logit : float
        Logarithm of the ratio of total weights, varied over reference.
    """

    reference: Tensor
    reference_weight: Tensor
    varied: Tensor
    varied_theta: Tensor
    varied_weight: Tensor
    prior_logit: float


class _Likelihood:
    """The weighted log-likelihood of both classes as a function of the flattened couplings."""

    def __init__(
        self, network: SeparableNetwork, sample: RefitSample, n_draws: int, seed: int
    ) -> None:
        self.network, self.sample, self.n_draws = network, sample, n_draws
        device = sample.varied.device
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        with torch.no_grad():
            chunks = sample.varied_theta.split(_CHUNK_ROWS)
            self.pool = torch.cat([network.parameter_functions(chunk) for chunk in chunks])
            n0, weight = len(sample.reference), sample.varied_weight.abs().double().cumsum(0)
            uniform = torch.rand(
                n_draws, n0, generator=generator, device=device, dtype=weight.dtype
            )
            self.draws = torch.searchsorted(weight, uniform * weight[-1]).clamp_max(
                len(self.pool) - 1
            )
            sign = signs(sample.varied_weight)
            reference = sample.reference_weight.expand(n_draws, -1)
            self.reference_weight = reference if sign is None else reference * sign[self.draws]
        both = torch.cat([self.reference_weight[0], sample.varied_weight]).double()
        # Weighted events carry less information than their number; evidence must know.
        self.scale = float(both.sum() / (both * both).sum())

    @torch.no_grad()
    def __call__(self, beta: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return the log-likelihood, its gradient and minus its Hessian."""
        q = len(beta)
        value = 0.0
        gradient = torch.zeros(q, dtype=torch.float64, device=beta.device)
        curvature = torch.zeros(q, q, dtype=torch.float64, device=beta.device)
        coefficients = beta.float()
        sample = self.sample
        classes = [(sample.varied, sample.varied_weight[None], [self.pool], 1.0)]
        drawn = [self.pool[index] for index in self.draws]
        classes.append((sample.reference, self.reference_weight, drawn, -1.0))
        for events, weights, parameter_sets, sign in classes:
            for start in range(0, len(events), _CHUNK_ROWS):
                rows = slice(start, start + _CHUNK_ROWS)
                x = events[rows]
                functions = self.network.event_functions(x)
                offset = self.sample.prior_logit
                if self.network.g is not None:
                    offset = offset + self.network.g(x).squeeze(1)
                for parameters, weight in zip(parameter_sets, weights, strict=True):
                    w = weight[rows] * (self.scale / len(parameter_sets))
                    features = (functions[:, :, None] * parameters[rows][:, None, :]).flatten(1)
                    logit = features @ coefficients + offset
                    value += float(
                        (w * torch.nn.functional.logsigmoid(sign * logit)).double().sum()
                    )
                    p = torch.sigmoid(logit)
                    residual = w * ((1 - p) if sign > 0 else -p)
                    gradient += (residual @ features).double()
                    curvature += ((features * (w * p * (1 - p))[:, None]).T @ features).double()
        return value, gradient, curvature


def _newton(
    likelihood: _Likelihood, beta: Tensor, penalty: Tensor | None, steps: int
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Maximise the penalised likelihood; None where it is not concave or does not rise."""
    value, gradient, curvature = likelihood(beta)
    if penalty is None:
        penalty = 1e-5 * curvature.diagonal().clamp_min(1e-12)
    for _ in range(steps):
        factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag(penalty))
        if failed:
            return None
        slope = gradient - penalty * beta
        step = torch.cholesky_solve(slope[:, None], factor).squeeze(1)
        expected = float(slope @ step)
        objective = value - 0.5 * float((penalty * beta * beta).sum())
        for _halving in range(6):
            trial = beta + step
            trial_value, trial_gradient, trial_curvature = likelihood(trial)
            risen = trial_value - 0.5 * float((penalty * trial * trial).sum())
            if risen >= objective - _TOLERANCE:
                break
            step = step / 2
        else:
            return None
        beta, value, gradient, curvature = trial, trial_value, trial_gradient, trial_curvature
        if expected < _TOLERANCE:
            break
    return beta, curvature, penalty


def _relevance(curvature: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
    """Find the precision of each coupling's prior that maximises the evidence.

    MacKay's fixed point on the quadratic model of the log-likelihood,
    ``-βᵀ curvature β / 2 + projectionᵀ β``; returns the precisions and the most probable β.
    """
    unit = curvature.diagonal().clamp_min(1e-12).sqrt()
    scaled = curvature / unit[:, None] / unit[None, :]
    target = projection / unit
    precision = torch.full_like(unit, 1e-2)
    most_probable = torch.zeros_like(unit)
    for _ in range(_RELEVANCE_STEPS):
        covariance = torch.linalg.inv(scaled + torch.diag(precision))
        most_probable = covariance @ target
        determined = (1 - precision * covariance.diagonal()).clamp_min(0.0)
        precision = (determined / most_probable.square().clamp_min(1e-30)).clamp(1e-8, 1e10)
    return precision * unit * unit, most_probable / unit


def refit_couplings(
    network: SeparableNetwork, sample: RefitSample, *, n_draws: int = 4, seed: int = 0
) -> Tensor | None:
    """Return the most probable couplings of a trained network, or None where there are none.

    Parameters
    ----------
    network : SeparableNetwork
        Trained network; it is left as it is.
    sample : RefitSample
        Events of both classes.
    n_draws : int
        Values of θ that each reference event is paired with. Four halve the variance that
        one artificial pairing brings in.
    seed : int
        Seed of the pairing.

    Returns
    -------
    Tensor of the shape of `network.coupling`, or None
        None where the likelihood is not concave (too few events, or too many negative weights)
        or Newton's method does not raise it.
    """
    likelihood = _Likelihood(network, sample, n_draws, seed)
    start = network.coupling.detach().double().flatten()
    solved = _newton(likelihood, start, None, _NEWTON_STEPS)
    if solved is None:
        return None
    beta, curvature, ridge = solved
    precision, beta = _relevance(curvature, curvature @ beta + ridge * beta)
    solved = _newton(likelihood, beta, precision, 3)
    if solved is None:
        return None
    refitted = solved[0]
    if not torch.isfinite(refitted).all():
        return None
    return refitted.float().reshape(network.coupling.shape)
