"""Priors of couplings that the evidence sets, on a quadratic model of the log-likelihood.

`evidence_prior` looks for the functions of x that matter, all with the same θ; `rowwise_prior`
takes them as they are, each with variances of its own for the degrees in θ.

No coupling is switched off by itself. Terms of high degree are of about their own error each, and
of one sign: to drop those that seem needless biases the sum, and its error does not show it.

References
----------
D. J. C. MacKay, Neural Computation 4, 415 (1992), for the evidence.
A. P. Dawid, Biometrika 68, 265 (1981), for matrix-normal priors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["evidence_prior", "inverse", "posterior", "rowwise_prior", "scales"]

_PRIOR_STEPS = 150
# Precision of a flat prior, in units of the curvature.
_FLAT = 1e-6
# The least that the variance of polynomials is of that one degree lower: evidence alone switches
# degrees off too soon.
_LEAST_RATIO = 0.03
# Where each degree has a size of its own, the evidence's prior shrinks many small couplings by a
# part of their error each, with one sign. So much wider, in variance, it leaves little of that, for
# a loss of a tenth in precision. Few sizes for all degrees do not follow the noise of each.
_WIDENED = 20.0
# Rows without a coupling that the events know as the first have nothing to lose by it; those
# with one as the second get all of it. A step would turn rounding into a choice.
_SIGNAL = (0.9, 0.99)
# Variance to start from and least one, both of couplings in units of their own error.
_WIDE, _TINY = 1e4, 1e-9
# Of variances that fall from degree to degree: the first of all, the logarithm of the ratios to
# start from, the logarithm that stands for no limit, and steps towards their most likely values.
_LESS_WIDE, _FIRST_SLOPE, _NO_SCALE, _SIZE_STEPS = 1e2, -2.0, 12.0, 3
# What each size of a prior raises the evidence by in noise, where it may go to zero: Akaike's
# unit, half of the time.
_OF_A_SIZE = 0.5


def scales(curvature: Tensor) -> Tensor:
    """Return the curvature along each coupling; of what does not vary only rounding is left."""
    diagonal = curvature.diagonal()
    return diagonal.clamp_min(1e-8 * float(diagonal.max()) + 1e-300)


def inverse(matrix: Tensor) -> Tensor:
    """Invert a positive definite matrix, in half the time of any other one."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return torch.linalg.inv(matrix) if failed else torch.cholesky_inverse(factor)


def evidence_prior(
    curvature: Tensor, projection: Tensor, n_x: int, degrees: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the prior that maximises the evidence of the quadratic model, and widen it.

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

    Returns
    -------
    rotation : Tensor of shape (b, b)
        Basis of the functions of x in which the prior is diagonal.
    precision : Tensor of shape (k,)
        Of each coupling in that basis.
    most_probable : Tensor of shape (k,)
        Couplings in that basis.
    """
    n_theta = degrees.shape[1]
    shape = (n_x, n_theta)
    tiny = 1e-12 / float(curvature.diagonal().max())
    flat = _FLAT * scales(curvature)[:n_theta]
    rotation = torch.eye(n_x, dtype=curvature.dtype, device=curvature.device)
    of_x = curvature.new_full((n_x - 1,), 1e-2)
    factors = [curvature.new_ones(1, int(row.max()) + 1) for row in degrees]
    of_theta = curvature.new_ones(n_theta)
    for _ in range(_PRIOR_STEPS):
        precision = torch.cat([flat, 1 / (of_x[:, None] * of_theta).flatten()])
        covariance = inverse(curvature + torch.diag(precision))
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
        ratio = (square / (of_x[:, None] * of_theta)).sum(dim=0)[None]
        known = determined.sum(dim=0)[None]
        for k, (factor, degree) in enumerate(zip(factors, degrees, strict=True)):
            factors[k] = _by_degree(factor, degree, ratio, known)
            of_theta = of_theta * (factors[k] / factor)[0, degree]
    precision = torch.cat([flat, 1 / (_WIDENED * of_x[:, None] * of_theta).flatten()])
    beta = torch.linalg.solve(curvature + torch.diag(precision), projection)
    return rotation, precision, beta


def posterior(curvature: Tensor, precision: Tensor, table: Tensor) -> Tensor:
    """Return the posterior covariance of couplings, given as a table in the prior's basis.

    The basis came from the data, too. To turn it adds multiples of the rows that matter to other
    rows; against that the prior does not count.
    """
    # What the prior holds a hundred times better than the events is known exactly.
    precision = torch.minimum(precision, 1e4 * scales(curvature))
    covariance = inverse(curvature + torch.diag(precision))
    determined = (1 - precision * covariance.diagonal()).reshape(table.shape).sum(dim=1)
    leading = table[1:][determined[1:] > 1.0]
    blocks = []
    for row, of_row in enumerate(precision.reshape(table.shape)):
        free = torch.eye(table.shape[1], dtype=table.dtype, device=table.device)
        if row > 0 and len(leading) > 0:
            directions = torch.linalg.qr((leading * of_row.sqrt()).T)[0]
            free = free - directions @ directions.T
        blocks.append(of_row.sqrt()[:, None] * free * of_row.sqrt())
    flat = torch.diag(_FLAT * scales(curvature))
    return inverse(curvature + torch.block_diag(*blocks) + flat)


def _turned(values: Tensor, turn: Tensor, shape: tuple[int, int]) -> Tensor:
    """Express the first index, a flattened coupling, in another basis of the functions of x."""
    return torch.einsum("ik,ijc->kjc", turn, values.reshape(*shape, -1)).flatten(0, 1)


def _by_degree(factor: Tensor, degree: Tensor, ratio: Tensor, known: Tensor) -> Tensor:
    """Renew the factors of the variances, (r, d), of r rows that polynomials of each degree have.

    Parameters
    ----------
    factor : Tensor of shape (r, d)
        Now; that of the lowest degree is 1.
    degree : Tensor of int of shape (t,)
        Of each function of θ.
    ratio, known : Tensor of shape (r, t)
        Squares of the couplings over their variance, and how well the events determine them; of
        expectation maximisation the expected squares, and 1.
    """
    own = torch.zeros_like(factor).index_add_(1, degree, ratio * factor[:, degree])
    new = own / torch.zeros_like(factor).index_add_(1, degree, known).clamp_min(_TINY)
    lowest = int(degree.min())
    new = (new / new[:, [lowest]].clamp_min(1e-12)).clamp(1e-12, 1e12)
    # Of the evidence's own factors: the degree after the last that matters, and no further.
    new[:, lowest + 1 :] = torch.maximum(new[:, lowest + 1 :], _LEAST_RATIO * new[:, lowest:-1])
    return new


class _ByDegree:
    """Variances of each row as a product of a factor for each degree in each parameter.

    Parameters
    ----------
    information : Tensor of shape (b, a)
        Curvature along each coupling; variances are in its units.
    degrees : Tensor of int of shape (p, a)
        Of each function of θ in each parameter.
    """

    widened = _WIDENED

    def __init__(self, information: Tensor, degrees: Tensor) -> None:
        self.information, self.degrees = information, degrees
        self.of_row = _WIDE / information.mean(dim=1, keepdim=True)
        n_x = len(information)
        self.factors = [information.new_ones(n_x, int(row.max()) + 1) for row in degrees]
        self.n_sizes = n_x + sum(factor[:, 1:].numel() for factor in self.factors)

    def variances(self) -> Tensor:
        """Return those of all couplings, (b, a)."""
        of_theta = torch.ones_like(self.information)
        for factor, degree in zip(self.factors, self.degrees, strict=True):
            of_theta = of_theta * factor[:, degree]
        return (self.of_row * of_theta * self.information).clamp_min(_TINY)

    def update(self, ratio: Tensor) -> None:
        """Take the expected squares of the couplings over their variances, (b, a), in."""
        for k, degree in enumerate(self.degrees):
            self.factors[k] = _by_degree(self.factors[k], degree, ratio, torch.ones_like(ratio))
        self.of_row = self.of_row * ratio.mean(dim=1, keepdim=True)


class _Geometric:
    """Variances of each row that fall by one ratio from degree to degree in each parameter.

    Parameters
    ----------
    information, degrees
        As in `_ByDegree`.
    crossed : bool
        Whether the first degree in a parameter has a ratio of its own: that of a function of x
        that depends on few of the parameters may be as small as it likes.
    """

    widened = 1.0

    def __init__(self, information: Tensor, degrees: Tensor, *, crossed: bool) -> None:
        self.log_information = information.log()
        used = degrees[degrees.amax(dim=1) > 0].to(information.dtype)
        # Learned functions, of degree 1 in a parameter of their own, have no scale.
        polynomial = used.amax(dim=1) > 1
        lowest = torch.where(polynomial, math.log(_LEAST_RATIO), -_NO_SCALE)
        highest = torch.where(polynomial, 0.0, _NO_SCALE)
        if crossed:
            beyond = (used[polynomial] - 1).clamp_min(0.0)
            used = torch.cat([used.clamp_max(1.0), beyond])
            lowest = torch.cat([torch.full_like(lowest, -_NO_SCALE), lowest[polynomial]])
            highest = torch.cat([highest, highest[polynomial]])
        self.design = torch.cat([torch.ones_like(used[:1]), used]).T
        self.lowest, self.highest = lowest, highest
        self.logarithms = information.new_full((len(information), len(used) + 1), _FIRST_SLOPE)
        self.logarithms[:, 0] = math.log(_LESS_WIDE) - information.mean(dim=1).log()
        self.n_sizes = self.logarithms.numel()

    def variances(self) -> Tensor:
        """Return those of all couplings, (b, a)."""
        exponent = self.logarithms @ self.design.T + self.log_information
        return exponent.exp().clamp_min(_TINY)

    def update(self, ratio: Tensor) -> None:
        """Take the expected squares of the couplings over their variances, (b, a), in.

        The logarithms that maximise their likelihood: Newton steps of a log-linear model.
        """
        squares, design = (ratio * self.variances()).log() - self.log_information, self.design
        steady = 1e-3 * torch.eye(design.shape[1], dtype=design.dtype, device=design.device)
        for _ in range(_SIZE_STEPS):
            left = (squares - self.logarithms @ design.T).exp()
            curvature = torch.einsum("kt,ta,tb->kab", left, design, design) + steady
            slope = ((1 - left) @ design)[..., None]
            step = torch.linalg.solve(curvature, slope).squeeze(2).clamp(-1.0, 1.0)
            slopes = (self.logarithms - step)[:, 1:]
            slopes = torch.minimum(torch.maximum(slopes, self.lowest), self.highest)
            level = (squares - slopes @ design[:, 1:].T).exp().mean(dim=1, keepdim=True).log()
            self.logarithms = torch.cat([level, slopes], dim=1)


def rowwise_prior(
    curvature: Tensor, projection: Tensor, n_x: int, degrees: Tensor
) -> tuple[Tensor, Tensor]:
    """Find variances that raise the evidence for each function of x by itself.

    Within the row of a function of x the variance is a product of a factor for each degree in each
    parameter, which is widened, or falls by one ratio from degree to degree, the first of which
    may be another, where the evidence for more is less than so many factors find in noise.
    Parameters are those of `evidence_prior`. Updates are those of expectation maximisation: there
    are several optima, and between those MacKay's faster steps are chaotic.

    Returns
    -------
    precision : Tensor of shape (k,)
        Of each coupling.
    most_probable : Tensor of shape (k,)
        Couplings.
    """
    shape = (n_x, degrees.shape[1])
    unit = scales(curvature).sqrt()
    scaled = curvature / unit[:, None] / unit
    target = projection / unit
    information = (unit * unit).reshape(shape)
    families: list[_ByDegree | _Geometric] = [
        _ByDegree(information, degrees),
        _Geometric(information, degrees, crossed=False),
    ]
    if int((degrees.amax(dim=1) > 1).sum()) > 1:
        families.append(_Geometric(information, degrees, crossed=True))
    tried = []
    for family in families:
        known = torch.zeros_like(information)
        for _ in range(_PRIOR_STEPS):
            variance = family.variances()
            covariance = inverse(scaled + torch.diag(1 / variance.flatten()))
            left = covariance.diagonal().reshape(shape) / variance
            known = (1 - left).clamp(_TINY, 1.0)
            family.update((covariance @ target).reshape(shape).square() / variance + left)
        variance = family.variances()
        score = _log_evidence(scaled, target, variance.flatten()) - _OF_A_SIZE * family.n_sizes
        tried.append((score, variance, known.amax(dim=1, keepdim=True), family.widened))
    _, found, signal, wider = max(tried, key=lambda one: one[0])
    none, full = _SIGNAL
    widened = wider ** ((signal - none) / (full - none)).clamp(0.0, 1.0) * found
    precision = 1 / widened.flatten()
    couplings = torch.linalg.solve(scaled + torch.diag(precision), target)
    return unit * unit * precision, couplings / unit


def _log_evidence(curvature: Tensor, projection: Tensor, variance: Tensor) -> float:
    """Logarithm of the likelihood, couplings integrated out, over that of no coupling."""
    root = variance.sqrt()
    every = torch.eye(len(root), dtype=root.dtype, device=root.device)
    posterior = every + root[:, None] * curvature * root
    weighted = root * projection
    gain = weighted @ torch.linalg.solve(posterior, weighted)
    return 0.5 * float(gain - torch.linalg.slogdet(posterior)[1])
