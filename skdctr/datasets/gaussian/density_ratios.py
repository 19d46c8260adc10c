"""The exact density ratios of the Gaussian examples, in numpy and in torch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from torch import Tensor
from skdctr._utils.arguments import as_real_array

__all__ = [
    "OMEGA_0",
    "OMEGA_1",
    "dependent_detector_log_weight",
    "dependent_detector_log_weight_primary",
    "gaussian_2d_log_weight",
    "gaussian_log_weight",
]

# Width of the secondary feature in the dependent detector: ν = (OMEGA_0 + OMEGA_1 μ)².
OMEGA_0, OMEGA_1 = 0.7, 0.2


def gaussian_log_weight(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> Any:
    r"""Compute the exact log density ratio of `make_gaussian`.

    :math:`\log w = \mu x - \mu^2/2`, the logarithm of Eq. 10 of the SRGN paper for
    :math:`\mu_0 = 0`.

    Parameters
    ----------
    X : array-like or tensor of shape (n, 1)
        Generator-level events.
    theta : array-like or tensor of shape (1,) or (n, 1), or a scalar
        The mean μ, one for all events or one for each.

    Returns
    -------
    ndarray or tensor of shape (n,)
        :math:`\log p(x|\theta)/p(x|\theta_0)`. A tensor if either argument is one, and then
        differentiable in both.

    Raises
    ------
    ValueError
        If a shape does not fit.

    Examples
    --------
    >>> gaussian_log_weight([[0.0], [1.0]], theta=1.0)
    array([-0.5,  0.5])
    """
    x, (mu,) = _prepare(X, theta, n_features=(1,), names=["mu"])
    return mu * (x[:, 0] - mu / 2)


def gaussian_2d_log_weight(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> Any:
    r"""Compute the exact log density ratio of `make_gaussian_2d`.

    :math:`\log w = -\log\sigma + \frac12 \left(x^2 - (x - \mu)^2/\sigma^2\right)`, the
    logarithm of Eq. 11 of the SRGN paper for :math:`(\mu_0, \sigma_0) = (0, 1)`.

    Parameters
    ----------
    X : array-like or tensor of shape (n, 1)
        Generator-level events.
    theta : array-like or tensor of shape (2,) or (n, 2)
        Mean and width (μ, σ), one pair for all events or one for each.

    Returns
    -------
    ndarray or tensor of shape (n,)
        :math:`\log p(x|\theta)/p(x|\theta_0)`. A tensor if either argument is one, and then
        differentiable in both.

    Raises
    ------
    ValueError
        If a shape does not fit or a width is not positive.

    Examples
    --------
    >>> gaussian_2d_log_weight([[0.0], [1.0]], theta=[1.0, 1.0])
    array([-0.5,  0.5])
    """
    x, (mu, sigma) = _prepare(X, theta, n_features=(1,), names=["mu", "sigma"])
    _check_above("sigma", sigma, 0.0)
    return (x[:, 0] ** 2 - ((x[:, 0] - mu) / sigma) ** 2) / 2 - _log(sigma)


def dependent_detector_log_weight(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> Any:
    r"""Compute the exact log density ratio of `make_dependent_detector` in both features.

    :math:`\log w = \mu x_0 - \mu^2/2 + \log(\nu_0/\nu)
    + \frac12 x_1^2 (\nu_0^{-2} - \nu^{-2})` with :math:`\nu = (0.7 + 0.2\mu)^2`.

    Parameters
    ----------
    X : array-like or tensor of shape (n, 2)
        Generator-level events, primary and secondary feature.
    theta : array-like or tensor of shape (1,) or (n, 1), or a scalar
        The mean μ, one for all events or one for each.

    Returns
    -------
    ndarray or tensor of shape (n,)
        :math:`\log p(x|\theta)/p(x|\theta_0)`. A tensor if either argument is one, and then
        differentiable in both.

    Raises
    ------
    ValueError
        If a shape does not fit or a mean is not above -3.5.

    Examples
    --------
    >>> dependent_detector_log_weight([[1.0, 0.0]], theta=0.0)
    array([0.])
    """
    x, (mu,) = _prepare(X, theta, n_features=(2,), names=["mu"])
    _check_above("mu", mu, -OMEGA_0 / OMEGA_1)
    # With the ratio of the widths the weight at the nominal parameter is one exactly.
    ratio = (1.0 + OMEGA_1 / OMEGA_0 * mu) ** 2
    secondary = (x[:, 1] / OMEGA_0**2) ** 2 * (1.0 - 1.0 / ratio**2) / 2 - _log(ratio)
    return mu * (x[:, 0] - mu / 2) + secondary


def dependent_detector_log_weight_primary(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> Any:
    r"""Compute the exact log density ratio of the primary feature of `make_dependent_detector`.

    :math:`\log w = \mu x_0 - \mu^2/2`. The weights are right for the primary feature, and wrong at
    reco level, where the secondary feature matters (Fig. 4 of the SRGN paper).

    Parameters
    ----------
    X : array-like or tensor of shape (n, 2) or (n, 1)
        Generator-level events. Of two columns the second is not used.
    theta : array-like or tensor of shape (1,) or (n, 1), or a scalar
        The mean μ, one for all events or one for each.

    Returns
    -------
    ndarray or tensor of shape (n,)
        :math:`\log p(x_0|\theta)/p(x_0|\theta_0)`. A tensor if either argument is one, and
        then differentiable in both.

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    x, (mu,) = _prepare(X, theta, n_features=(1, 2), names=["mu"])
    return mu * (x[:, 0] - mu / 2)


def _prepare(
    X: ArrayLike | Tensor,
    theta: ArrayLike | Tensor,
    *,
    n_features: tuple[int, ...],
    names: list[str],
) -> tuple[Any, list[Any]]:
    """Check shapes, and return events and parameters as arrays or as tensors of one kind.

    Returns
    -------
    x : ndarray or tensor of shape (n, f)
        The events.
    theta : list of ndarray or tensor of shape () or (n,)
        The values of each parameter, one for all events or one for each.

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    x, t = _same_kind(X, theta)
    if hasattr(x, "is_complex") and (x.is_complex() or t.is_complex()):
        raise TypeError("X and theta must be real; take the real part of a complex tensor.")
    if x.ndim != 2 or x.shape[1] not in n_features:
        columns = " or ".join(str(number) for number in n_features)
        raise ValueError(
            f"X has shape {tuple(x.shape)}, expected (n, {columns}): one row per event; "
            "reshape a single feature with X[:, None]."
        )
    if t.ndim == 0 and len(names) == 1:
        t = t.reshape(1)
    if tuple(t.shape) not in {(len(names),), (len(x), len(names))}:
        raise ValueError(
            f"theta has shape {tuple(t.shape)}, expected ({len(names)},) for all events or "
            f"({len(x)}, {len(names)}) for one row per event, with the columns {names}; "
            "reshape one value per event with theta[:, None]."
        )
    return x, [t[..., column] for column in range(len(names))]


def _same_kind(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> tuple[Any, Any]:
    """Make tensors of both if either is one, and arrays otherwise."""
    # Whoever passes a tensor has imported torch; nobody else needs to.
    torch = sys.modules.get("torch")
    if torch is not None:
        given = [value for value in (X, theta) if isinstance(value, torch.Tensor)]
        if given:
            kind = {"dtype": given[0].dtype, "device": given[0].device}
            x, t = (
                value
                if isinstance(value, torch.Tensor)
                else torch.tensor(as_real_array(value, name), **kind)
                for name, value in (("X", X), ("theta", theta))
            )
            return x, t
    x, t = as_real_array(X, "X"), as_real_array(theta, "theta", expected="θ as numbers in order")
    return x.astype(np.float64, copy=False), t.astype(np.float64, copy=False)


def _log(value: Any) -> Any:
    """Compute the logarithm of a tensor or an array."""
    return value.log() if hasattr(value, "log") else np.log(value)


def _check_above(name: str, value: Any, low: float) -> None:
    """Refuse values of a parameter that do not exceed a limit."""
    if not bool((value > low).all()):
        raise ValueError(
            f"theta holds {name} = {float(value.min()):g}, expected values above {low:g}; "
            "restrict the search to the bounds."
        )
