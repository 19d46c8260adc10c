"""Priors of couplings that the evidence sets, on a quadratic model of the log-likelihood.

`evidence_prior` keeps needless couplings small together; `relevance` switches them off one by
one, which is better where few are needed and the truth is among them.

References
----------
D. J. C. MacKay, Neural Computation 4, 415 (1992), for the evidence.
A. P. Dawid, Biometrika 68, 265 (1981), for matrix-normal priors.
M. E. Tipping and A. C. Faul, Proc. 9th Int. Workshop on Artificial Intelligence and Statistics,
PMLR R4, 276 (2003), for relevance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Prior", "evidence_prior", "posterior", "relevance", "scales"]

_PRIOR_STEPS = 150
# Precision of a flat prior, in units of the curvature, and the least that the variance of
# polynomials is of that one degree lower: evidence alone switches degrees off too soon.
_FLAT, _LEAST_RATIO = 1e-6, 0.03
# Changes of one coupling's relevance, for each coupling, and when their gain in evidence is over.
_RELEVANCE_STEPS, _LEAST_GAIN = 10, 1e-3
# Precision of a coupling that is off, in units of the curvature.
_OFF = 1e8


def scales(curvature: Tensor) -> Tensor:
    """Return the curvature along each coupling; of what does not vary only rounding is left."""
    diagonal = curvature.diagonal()
    return diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)


@dataclass(frozen=True)
class Prior:
    """A matrix-normal prior, in the basis of functions of x in which it is diagonal.

    Attributes
    ----------
    rotation : Tensor of shape (b, b)
        The basis.
    precision : Tensor of shape (b·a,)
        Of each coupling.
    most_probable : Tensor of shape (b·a,)
        Couplings, all in that basis.
    """

    rotation: Tensor
    precision: Tensor
    most_probable: Tensor


def evidence_prior(curvature: Tensor, projection: Tensor, n_x: int, degrees: Tensor) -> Prior:
    """Find the prior that maximises the evidence of the quadratic model of the log-likelihood.

    The model is ``-βᵀ curvature β / 2 + projectionᵀ β``. Directions among the functions of x come
    from the expectation-maximisation update of the rows' covariance, sizes from MacKay's fixed
    point, which is much faster. The constant, the first function of x, only normalises: it has
    a flat prior.

    Parameters
    ----------
    curvature, projection : Tensor of shape (k, k) and (k,)
        Of the model.
    n_x : int
        Number of functions of x.
    degrees : Tensor of int of shape (p, k / n_x)
        Degree of each function of θ in each parameter.
    """
    n_theta = degrees.shape[1]
    shape = (n_x, n_theta)
    tiny = 1e-12 / float(curvature.diagonal().max())
    flat = _FLAT * scales(curvature)[:n_theta]
    rotation = torch.eye(n_x, dtype=curvature.dtype, device=curvature.device)
    of_x = curvature.new_full((n_x - 1,), 1e-2)
    factors = [curvature.new_ones(int(row.max()) + 1) for row in degrees]
    of_theta = curvature.new_ones(n_theta)
    for _ in range(_PRIOR_STEPS):
        precision = torch.cat([flat, 1 / (of_x[:, None] * of_theta).flatten()])
        covariance = torch.linalg.inv(curvature + torch.diag(precision))
        table = (covariance @ projection).reshape(shape)[1:]
        # E[C T⁻¹ Cᵀ], of which the eigenvectors are the next basis.
        blocks = covariance.reshape(*shape, *shape)[1:, :, 1:].diagonal(dim1=1, dim2=3)
        rows = (table / of_theta) @ table.T + blocks @ (1 / of_theta)
        turn = torch.linalg.eigh(rows)[1].flip(1)
        every = torch.block_diag(turn.new_ones(1, 1), turn)
        rotation = rotation @ every
        curvature = _turned(_turned(curvature, every, shape).T, every, shape)
        projection = _turned(projection[:, None], every, shape).squeeze(1)
        square = (turn.T @ table).square()
        spread = torch.einsum("ik,ijt,jk->kt", turn, blocks, turn)
        # In the new basis the old sizes are those of the old prior's diagonal.
        of_x = (turn.T * of_x @ turn).diagonal()
        determined = (1 - spread / (of_x[:, None] * of_theta)).clamp(1e-9, 1.0)
        of_x = ((square / of_theta).sum(dim=1) / determined.sum(dim=1)).clamp_min(tiny)
        scaled, known = (square / of_x[:, None]).sum(dim=0), determined.sum(dim=0)
        for k, (factor, degree) in enumerate(zip(factors, degrees, strict=True)):
            own = torch.zeros_like(factor).index_add_(0, degree, scaled * factor[degree] / of_theta)
            of_degree = torch.zeros_like(factor).index_add_(0, degree, known)
            lowest = int(degree.min())
            new = (own / of_degree.clamp_min(1e-9)).clamp_min(tiny)
            new = (new / new[lowest]).clamp(1e-12, 1e12)
            for higher in range(lowest + 1, len(new)):
                new[higher] = torch.maximum(new[higher], _LEAST_RATIO * new[higher - 1])
            of_theta = of_theta * (new / factor)[degree]
            factors[k] = new
    precision = torch.cat([flat, 1 / (of_x[:, None] * of_theta).flatten()])
    beta = torch.linalg.solve(curvature + torch.diag(precision), projection)
    return Prior(rotation, precision, beta)


def posterior(curvature: Tensor, precision: Tensor, table: Tensor) -> Tensor:
    """Return the posterior covariance of couplings, given as a table in the prior's basis.

    The basis came from the data, too. To turn it adds multiples of the rows that matter to other
    rows; against that the prior does not count.
    """
    # What the prior holds a hundred times better than the events is known exactly.
    precision = torch.minimum(precision, 1e4 * scales(curvature))
    covariance = torch.linalg.inv(curvature + torch.diag(precision))
    determined = (1 - precision * covariance.diagonal()).reshape(table.shape).sum(dim=1)
    leading = table[1:][determined[1:] > 1.0]
    blocks = []
    for row, of_row in enumerate(precision.reshape(table.shape)):
        free = torch.eye(table.shape[1], dtype=table.dtype, device=table.device)
        if row > 0 and len(leading) > 0:
            directions = torch.linalg.qr((leading * of_row.sqrt()).T)[0]
            free = free - directions @ directions.T
        blocks.append(of_row.sqrt()[:, None] * free * of_row.sqrt())
    return torch.linalg.inv(curvature + torch.block_diag(*blocks))


def _turned(values: Tensor, turn: Tensor, shape: tuple[int, int]) -> Tensor:
    """Express the first index, a flattened coupling, in another basis of the functions of x."""
    return torch.einsum("ik,ijc->kjc", turn, values.reshape(*shape, -1)).flatten(0, 1)


def relevance(curvature: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
    """Find which couplings the evidence keeps, each with a prior of its own.

    Couplings enter, leave and change their prior one at a time, whichever raises the evidence
    most. The model is that of `evidence_prior`.

    Returns
    -------
    precision : Tensor of shape (k,)
        Of the Gaussian priors, very large where a coupling is off.
    most_probable : Tensor of shape (k,)
        Couplings.
    """
    unit = scales(curvature).sqrt()
    scaled = curvature / unit[:, None] / unit[None, :]
    target = projection / unit
    diagonal = scaled.diagonal()
    precision = torch.full_like(unit, torch.inf)
    precision[int((target.square() / diagonal.clamp_min(1e-12)).argmax())] = 1e-2
    most_probable = torch.zeros_like(unit)
    for _ in range(_RELEVANCE_STEPS * len(unit)):
        active = torch.isfinite(precision).nonzero().squeeze(1)
        to_active = scaled[:, active]
        block = to_active[active] + torch.diag(precision[active])
        solved = torch.linalg.solve(block, torch.cat([to_active.T, target[active, None]], dim=1))
        most_probable = torch.zeros_like(unit)
        most_probable[active] = solved[:, -1]
        # Sparsity and quality of each coupling, as if it were off (Tipping and Faul).
        sparsity = diagonal - (to_active * solved[:, :-1].T).sum(dim=1)
        quality = target - to_active @ solved[:, -1]
        odds = precision[active] / (precision[active] - sparsity[active]).clamp_min(1e-12)
        sparsity[active] *= odds
        quality[active] *= odds
        sparsity = sparsity.clamp_min(1e-12)
        excess = quality.square() - sparsity
        wanted = sparsity.square() / excess.clamp_min(1e-30)
        wanted = torch.where(excess > 0, wanted.clamp_min(1e-10), torch.inf)
        gain = _evidence(wanted, sparsity, quality) - _evidence(precision, sparsity, quality)
        best = int(gain.argmax())
        if not float(gain[best]) > _LEAST_GAIN:
            break
        precision[best] = wanted[best]
    return precision.clamp_max(_OFF) * unit * unit, most_probable / unit


def _evidence(precision: Tensor, sparsity: Tensor, quality: Tensor) -> Tensor:
    """Twice the log-evidence of a coupling with such a prior over that of none."""
    total = precision + sparsity
    value = (precision / total).log() + quality.square() / total
    return torch.where(torch.isfinite(precision), value, torch.zeros_like(value))
