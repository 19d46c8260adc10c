"""Priors of couplings that the evidence sets, on a quadratic model of the log-likelihood.

`evidence_prior` looks for the combinations of functions of x that matter, and gives all of them the
same sizes for the degrees in θ. `rowwise_prior` takes the functions as they are, and gives each of
them sizes of its own.

No coupling is switched off by itself. The couplings of terms of high degree are of about the size
of their error each, and of one sign. To drop those that seem needless would bias their sum, and the
error of the sum would not show it.

The curvature is minus the Hessian of the log-likelihood. It has the unit of one over the square of
a coupling; variances that are multiplied with it have none, and are 1 where a coupling is as large
as its statistical error.

References
----------
D. J. C. MacKay, Neural Computation 4, 415 (1992), for the evidence.
A. P. Dawid, Biometrika 68, 265 (1981), for matrix-normal priors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["evidence_prior", "inverse", "posterior", "rowwise_prior", "scales"]

# Number of updates of a prior. All of them are taken, without a test of convergence.
_PRIOR_STEPS = 150
# Precision of a flat prior, in units of the curvature: the events outweigh it by a million.
_FLAT = 1e-6
# Least ratio of the variance of polynomials of one degree to that of one degree lower. Evidence
# alone switches degrees off too soon.
_LEAST_RATIO = 0.03
# Factor by which variances are widened where each degree has a size of its own. The prior that the
# evidence sets shrinks many small couplings by a part of their error each, all towards one sign. A
# wider one leaves little of that bias, and costs a tenth of the precision. Where few sizes describe
# all degrees, they do not follow the noise of each and need not be widened.
_WIDENED = 20.0
# How well the events determine the best known coupling of a row: the share of its prior variance
# that is gone in the posterior. Up to the first share a row has nothing to lose by a narrow prior
# and is not widened, from the second one on it is widened in full. In between the exponent of the
# factor grows linearly, as a step would turn rounding into a choice.
_NOT_WIDENED, _FULLY_WIDENED = 0.9, 0.99
# Variances to start from, and least variance, both in units of the couplings' squared errors.
_START_VARIANCE, _LEAST_VARIANCE = 1e4, 1e-9
# Least share or number of determined couplings, so that nothing is divided by zero.
_LEAST_DETERMINED = 1e-9
# The same start, of variances that fall from degree to degree.
_START_GEOMETRIC = 1e2
# Logarithm of the ratio from degree to degree that the fit starts from.
_START_LOG_RATIO = -2.0
# Logarithm of a ratio that counts as no limit: a factor of e¹² either way.
_UNLIMITED_LOG_RATIO = 12.0
# Newton steps towards the most likely sizes, in each update.
_SIZE_STEPS = 3
# Log-evidence that each size of a prior gains from noise alone. Where a size may go to zero, it is
# Akaike's unit in half of all cases and nothing in the others.
_GAIN_OF_A_SIZE = 0.5


def scales(curvature: Tensor) -> Tensor:
    """Return the curvature along each coupling.

    Parameters
    ----------
    curvature : Tensor of shape (k, k)
        Minus the Hessian of the log-likelihood.

    Returns
    -------
    Tensor of shape (k,)
        The diagonal. Where a function does not vary only rounding is left of it, so that it is at
        least 1e-8 of the largest element.
    """
    diagonal = curvature.diagonal()
    return diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)


def inverse(matrix: Tensor) -> Tensor:
    """Invert a positive definite matrix, (k, k), in half the time that any other one takes."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return torch.linalg.inv(matrix) if failed else torch.cholesky_inverse(factor)


def evidence_prior(
    curvature: Tensor, projection: Tensor, n_x: int, degrees: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the prior that maximises the evidence of the quadratic model, and widen it.

    The model is ``-βᵀ curvature β / 2 + projectionᵀ β``. The basis of the functions of x comes from
    the expectation-maximisation update of the covariance between their rows of couplings. Sizes
    come from MacKay's fixed point, which is much faster. The constant, which is the first function
    of x, only normalises and has a flat prior.

    Parameters
    ----------
    curvature, projection : Tensor of shape (k, k) and (k,)
        The two parts of the model.
    n_x : int
        Number of functions of x, b.
    degrees : Tensor of int of shape (p, k / b)
        Degree of each function of θ in each parameter.

    Returns
    -------
    rotation : Tensor of shape (b, b)
        Basis of the functions of x in which the prior is diagonal.
    precision : Tensor of shape (k,)
        Precision of each coupling in that basis.
    most_probable : Tensor of shape (k,)
        Most probable couplings in that basis.
    """
    n_theta = degrees.shape[1]
    shape = (n_x, n_theta)
    least = 1e-12 / float(curvature.diagonal().max())
    flat = _FLAT * scales(curvature)[:n_theta]
    rotation = torch.eye(n_x, dtype=curvature.dtype, device=curvature.device)
    # The variance of a coupling is the size of its function of x times that of its function of θ.
    x_sizes = curvature.new_full((n_x - 1,), 1e-2)
    theta_sizes = curvature.new_ones(n_theta)
    factors = [curvature.new_ones(1, int(row.max()) + 1) for row in degrees]
    for _ in range(_PRIOR_STEPS):
        precision = torch.cat([flat, 1 / (x_sizes[:, None] * theta_sizes).flatten()])
        covariance = inverse(curvature + torch.diag(precision))
        table = (covariance @ projection).reshape(shape)[1:]
        # The eigenvectors of E[C T⁻¹ Cᵀ], with T the sizes of functions of θ, are the next basis.
        blocks = covariance.reshape(*shape, *shape)[1:, :, 1:].diagonal(dim1=1, dim2=3)
        rows = (table / theta_sizes) @ table.T + blocks @ (1 / theta_sizes)
        turn = torch.linalg.eigh(rows)[1].flip(1)
        whole_turn = torch.block_diag(turn.new_ones(1, 1), turn)
        rotation = rotation @ whole_turn
        curvature = _turned(_turned(curvature, whole_turn, shape).T, whole_turn, shape)
        projection = _turned(projection[:, None], whole_turn, shape).squeeze(1)
        squares = (turn.T @ table).square()
        spread = torch.einsum("ik,ijt,jk->kt", turn, blocks, turn)
        # The diagonal of the old prior in the new basis takes the place of its sizes.
        x_sizes = (turn.T * x_sizes @ turn).diagonal()
        determined = (1 - spread / (x_sizes[:, None] * theta_sizes)).clamp(_LEAST_DETERMINED, 1.0)
        x_sizes = ((squares / theta_sizes).sum(dim=1) / determined.sum(dim=1)).clamp_min(least)
        ratio = (squares / (x_sizes[:, None] * theta_sizes)).sum(dim=0)[None]
        n_determined = determined.sum(dim=0)[None]
        for k, (factor, degree) in enumerate(zip(factors, degrees, strict=True)):
            factors[k] = _renewed_factors(factor, degree, ratio, n_determined)
            theta_sizes = theta_sizes * (factors[k] / factor)[0, degree]
    precision = torch.cat([flat, 1 / (_WIDENED * x_sizes[:, None] * theta_sizes).flatten()])
    beta = torch.linalg.solve(curvature + torch.diag(precision), projection)
    return rotation, precision, beta


def posterior(curvature: Tensor, precision: Tensor, table: Tensor) -> Tensor:
    """Compute the posterior covariance of couplings in the basis of `evidence_prior`.

    The basis came from the events, too. To turn it adds multiples of the rows that matter to other
    rows, and along these directions the prior does not count.

    Parameters
    ----------
    curvature : Tensor of shape (k, k)
        Minus the Hessian of the log-likelihood in that basis.
    precision : Tensor of shape (k,)
        Precision of each coupling's prior.
    table : Tensor of shape (b, a)
        Most probable couplings of b functions of x and a functions of θ.

    Returns
    -------
    Tensor of shape (k, k)
        The covariance, which is positive definite.
    """
    # A coupling that the prior holds a hundred times better than the events do is known exactly.
    precision = torch.minimum(precision, 1e4 * scales(curvature))
    covariance = inverse(curvature + torch.diag(precision))
    determined = (1 - precision * covariance.diagonal()).reshape(table.shape).sum(dim=1)
    leading = table[1:][determined[1:] > 1.0]
    blocks = []
    for row, row_precision in enumerate(precision.reshape(table.shape)):
        held = torch.eye(table.shape[1], dtype=table.dtype, device=table.device)
        if row > 0 and len(leading) > 0:
            directions = torch.linalg.qr((leading * row_precision.sqrt()).T)[0]
            held = held - directions @ directions.T
        blocks.append(row_precision.sqrt()[:, None] * held * row_precision.sqrt())
    flat = torch.diag(_FLAT * scales(curvature))
    return inverse(curvature + torch.block_diag(*blocks) + flat)


def _turned(values: Tensor, turn: Tensor, shape: tuple[int, int]) -> Tensor:
    """Express the first index, a flattened coupling, in another basis of the functions of x."""
    return torch.einsum("ik,ijc->kjc", turn, values.reshape(*shape, -1)).flatten(0, 1)


def _renewed_factors(factor: Tensor, degree: Tensor, ratio: Tensor, determined: Tensor) -> Tensor:
    """Renew the factors of the variance that polynomials of each degree in a parameter have.

    Parameters
    ----------
    factor : Tensor of shape (r, d)
        Factors of r rows now, of which that of the lowest degree is 1.
    degree : Tensor of int of shape (t,)
        Degree of each function of θ.
    ratio, determined : Tensor of shape (r, t)
        Squares of the couplings over their variance, and how well the events determine them. In
        expectation maximisation they are the expected squares, and 1.

    Returns
    -------
    Tensor of shape (r, d)
        The new factors.
    """
    squares = torch.zeros_like(factor).index_add_(1, degree, ratio * factor[:, degree])
    number = torch.zeros_like(factor).index_add_(1, degree, determined)
    renewed = squares / number.clamp_min(_LEAST_DETERMINED)
    lowest = int(degree.min())
    renewed = (renewed / renewed[:, [lowest]].clamp_min(1e-12)).clamp(1e-12, 1e12)
    # The bound is from the evidence's own factors, so that it keeps the degree after the last one
    # that matters, and none beyond.
    bound = _LEAST_RATIO * renewed[:, lowest:-1]
    renewed[:, lowest + 1 :] = torch.maximum(renewed[:, lowest + 1 :], bound)
    return renewed


class _FactoredVariances:
    """Variances of each row as a product of a factor for each degree in each parameter.

    Parameters
    ----------
    information : Tensor of shape (b, a)
        Curvature along each coupling; variances are in units of its inverse.
    degrees : Tensor of int of shape (p, a)
        Degree of each function of θ in each parameter.

    Attributes
    ----------
    n_sizes : int
        Number of sizes that are set by the evidence.
    """

    widened = _WIDENED

    def __init__(self, information: Tensor, degrees: Tensor) -> None:
        self.information, self.degrees = information, degrees
        self.row_sizes = _START_VARIANCE / information.mean(dim=1, keepdim=True)
        n_x = len(information)
        self.factors = [information.new_ones(n_x, int(row.max()) + 1) for row in degrees]
        self.n_sizes = n_x + sum(factor[:, 1:].numel() for factor in self.factors)

    def variances(self) -> Tensor:
        """Return the variances of all couplings, (b, a)."""
        theta_sizes = torch.ones_like(self.information)
        for factor, degree in zip(self.factors, self.degrees, strict=True):
            theta_sizes = theta_sizes * factor[:, degree]
        return (self.row_sizes * theta_sizes * self.information).clamp_min(_LEAST_VARIANCE)

    def update(self, ratio: Tensor) -> None:
        """Take in the expected squares of the couplings over their variances, (b, a)."""
        for k, degree in enumerate(self.degrees):
            ones = torch.ones_like(ratio)
            self.factors[k] = _renewed_factors(self.factors[k], degree, ratio, ones)
        self.row_sizes = self.row_sizes * ratio.mean(dim=1, keepdim=True)


class _GeometricVariances:
    """Variances of each row that fall by one ratio from degree to degree in each parameter.

    Parameters
    ----------
    information, degrees
        As in `_FactoredVariances`.
    crossed : bool
        Whether the first degree in a parameter has a ratio of its own. A function of x that depends
        on few of the parameters may have as small a one as it likes in the others.

    Attributes
    ----------
    n_sizes : int
        Number of sizes that are set by the evidence.
    """

    widened = 1.0

    def __init__(self, information: Tensor, degrees: Tensor, *, crossed: bool) -> None:
        self.log_information = information.log()
        used = degrees[degrees.amax(dim=1) > 0].to(information.dtype)
        # Learned functions have degree 1 in a parameter of their own, and a ratio without limits.
        polynomial = used.amax(dim=1) > 1
        lowest = torch.where(polynomial, math.log(_LEAST_RATIO), -_UNLIMITED_LOG_RATIO)
        highest = torch.where(polynomial, 0.0, _UNLIMITED_LOG_RATIO)
        if crossed:
            beyond = (used[polynomial] - 1).clamp_min(0.0)
            used = torch.cat([used.clamp_max(1.0), beyond])
            unlimited = torch.full_like(lowest, -_UNLIMITED_LOG_RATIO)
            lowest = torch.cat([unlimited, lowest[polynomial]])
            highest = torch.cat([highest, highest[polynomial]])
        self.design = torch.cat([torch.ones_like(used[:1]), used]).T
        self.lowest, self.highest = lowest, highest
        n_x, n_sizes = len(information), len(used) + 1
        self.logarithms = information.new_full((n_x, n_sizes), _START_LOG_RATIO)
        self.logarithms[:, 0] = math.log(_START_GEOMETRIC) - information.mean(dim=1).log()
        self.n_sizes = self.logarithms.numel()

    def variances(self) -> Tensor:
        """Return the variances of all couplings, (b, a)."""
        exponent = self.logarithms @ self.design.T + self.log_information
        return exponent.exp().clamp_min(_LEAST_VARIANCE)

    def update(self, ratio: Tensor) -> None:
        """Take in the expected squares of the couplings over their variances, (b, a).

        The logarithms of the sizes become those that maximise the likelihood of the squares, by
        Newton steps of a log-linear model.
        """
        squares, design = (ratio * self.variances()).log() - self.log_information, self.design
        ridge = 1e-3 * torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
        for _ in range(_SIZE_STEPS):
            excess = (squares - self.logarithms @ design.T).exp()
            curvature = torch.einsum("kt,ta,tb->kab", excess, design, design) + ridge
            slope = ((1 - excess) @ design)[..., None]
            step = torch.linalg.solve(curvature, slope).squeeze(2).clamp(-1.0, 1.0)
            ratios = (self.logarithms - step)[:, 1:]
            ratios = torch.minimum(torch.maximum(ratios, self.lowest), self.highest)
            level = (squares - ratios @ design[:, 1:].T).exp().mean(dim=1, keepdim=True).log()
            self.logarithms = torch.cat([level, ratios], dim=1)


@dataclass(frozen=True)
class _RowwiseFit:
    """The variances of a family that raise the evidence most.

    Attributes
    ----------
    log_evidence : float
        Logarithm of the evidence, less what as many sizes gain from noise.
    variance : Tensor of shape (b, a)
        Variances in units of the couplings' squared errors.
    determined : Tensor of shape (b, 1)
        How well the events determine the best known coupling of each row, up to 1.
    widened : float
        Factor by which the variances of rows are to be widened that the events know.
    """

    log_evidence: float
    variance: Tensor
    determined: Tensor
    widened: float


def rowwise_prior(
    curvature: Tensor, projection: Tensor, n_x: int, degrees: Tensor
) -> tuple[Tensor, Tensor]:
    """Find variances that raise the evidence for each function of x by itself.

    Within the row of a function of x the variance is a product of a factor for each degree in each
    parameter, which is widened, or it falls by one ratio from degree to degree. In the latter the
    first degree may have a ratio of its own. Of these families that one is taken whose evidence is
    the largest, less what as many sizes gain from noise. Parameters are those of `evidence_prior`.
    Updates are those of expectation maximisation: there are several optima, between which MacKay's
    faster steps are chaotic.

    Returns
    -------
    precision : Tensor of shape (k,)
        Precision of each coupling.
    most_probable : Tensor of shape (k,)
        Most probable couplings.
    """
    shape = (n_x, degrees.shape[1])
    unit = scales(curvature).sqrt()
    scaled = curvature / unit[:, None] / unit
    target = projection / unit
    information = (unit * unit).reshape(shape)
    families: list[_FactoredVariances | _GeometricVariances] = [
        _FactoredVariances(information, degrees),
        _GeometricVariances(information, degrees, crossed=False),
    ]
    if int((degrees.amax(dim=1) > 1).sum()) > 1:
        families.append(_GeometricVariances(information, degrees, crossed=True))
    fits = [_fitted(family, scaled, target) for family in families]
    best = max(fits, key=lambda fit: fit.log_evidence)
    share = (best.determined - _NOT_WIDENED) / (_FULLY_WIDENED - _NOT_WIDENED)
    variance = best.widened ** share.clamp(0.0, 1.0) * best.variance
    precision = 1 / variance.flatten()
    couplings = torch.linalg.solve(scaled + torch.diag(precision), target)
    return unit * unit * precision, couplings / unit


def _fitted(
    family: _FactoredVariances | _GeometricVariances, curvature: Tensor, projection: Tensor
) -> _RowwiseFit:
    """Fit the sizes of a family of variances to a model in which every coupling has unit error."""
    variance = family.variances()
    determined = torch.zeros_like(variance)
    for _ in range(_PRIOR_STEPS):
        covariance = inverse(curvature + torch.diag(1 / variance.flatten()))
        remaining = covariance.diagonal().reshape(variance.shape) / variance
        determined = (1 - remaining).clamp(_LEAST_DETERMINED, 1.0)
        squares = (covariance @ projection).reshape(variance.shape).square()
        family.update(squares / variance + remaining)
        variance = family.variances()
    evidence = _log_evidence(curvature, projection, variance.flatten())
    return _RowwiseFit(
        log_evidence=evidence - _GAIN_OF_A_SIZE * family.n_sizes,
        variance=variance,
        determined=determined.amax(dim=1, keepdim=True),
        widened=family.widened,
    )


def _log_evidence(curvature: Tensor, projection: Tensor, variance: Tensor) -> float:
    """Compute the log-likelihood over that without couplings, with the couplings integrated out."""
    root = variance.sqrt()
    identity = torch.eye(len(root), dtype=root.dtype, device=root.device)
    precision = identity + root[:, None] * curvature * root
    weighted = root * projection
    gain = weighted @ torch.linalg.solve(precision, weighted)
    return 0.5 * float(gain - torch.linalg.slogdet(precision)[1])
