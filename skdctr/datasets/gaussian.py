"""The Gaussian examples of the SRGN paper, in which every density is known exactly.

Each function draws three independent samples: generator events at the nominal and at varied
parameters, the nominal sample with detector, and data at parameters a fit should find. With
them come the exact log density ratio and, where it has a closed form, the Fisher information,
so that a fit can be held against the truth and against the Cramér-Rao bound.
"""

from __future__ import annotations

import numbers
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch, check_random_state

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "dependent_detector_log_weight",
    "dependent_detector_log_weight_primary",
    "gaussian_2d_log_weight",
    "gaussian_log_weight",
    "make_dependent_detector",
    "make_gaussian",
    "make_gaussian_2d",
]

FloatArray = NDArray[np.float64]

# Width of the secondary feature in the dependent detector: ν = (OMEGA_0 + OMEGA_1 μ)².
_OMEGA_0, _OMEGA_1 = 0.7, 0.2


def make_gaussian(
    n_events: int = 100_000,
    *,
    mu: float = 1.0,
    epsilon: float = 0.5,
    n_gen: int | None = None,
    n_sim: int | None = None,
    n_data: int | None = None,
    bounds: tuple[float, float] | Mapping[str, tuple[float, float]] = (-2, 2),
    as_frame: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Gaussian of unknown mean, seen through a Gaussian detector.

    Generator level :math:`X_G \sim \mathcal{N}(\mu, 1)`, reco level :math:`X_S = X_G + Z` with
    :math:`Z \sim \mathcal{N}(0, \epsilon^2)`; nominal :math:`\mu_0 = 0`.

    Parameters
    ----------
    n_events : int, default=100_000
        Size of every sample that is not given a size of its own.
    mu : float, default=1.0
        The mean in the data, to be found by a fit. It may lie outside `bounds`.
    epsilon : float, default=0.5
        Resolution of the detector, in units of the Gaussian's width; 0 for no detector.
    n_gen : int, default=None
        Number of generator events at the nominal mean, and of as many more at varied means.
    n_sim : int, default=None
        Number of nominal events with detector.
    n_data : int, default=None
        Number of data events.
    bounds : tuple or mapping, default=(-2, 2)
        Range (low, high) from which the varied means are drawn, uniformly; also as a mapping
        ``{"mu": (low, high)}``.
    as_frame : bool, default=False
        Return DataFrames in place of arrays.
    random_state : int, RandomState instance or None, default=None
        Seed. The generator events, the simulation and the data have random streams of their
        own: the size of one does not change the others.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        gen : ndarray or DataFrame of shape (2 * n_gen, 1)
            Generator events, first the nominal ones, then the varied ones; column ``x``.
        theta : ndarray or DataFrame of shape (2 * n_gen, 1)
            The parameter each of them was generated with.
        sim_gen, sim_reco : ndarray or DataFrame of shape (n_sim, 1)
            Nominal events at generator and at reco level, row by row the same.
        data : ndarray or DataFrame of shape (n_data, 1)
            Data at reco level.
        data_gen : ndarray or DataFrame of shape (n_data, 1)
            The same events at generator level, for fits without detector.
        theta_names : list of str
            ``["mu"]``.
        theta_nominal, theta_true : ndarray of shape (1,)
            Parameters of the simulation and of the data.
        bounds : dict
            Range of the varied events by parameter name.
        log_weight : callable
            `gaussian_log_weight`, the exact :math:`\log p(x_G|\theta)/p(x_G|\theta_0)`.
        fisher_information : ndarray of shape (1, 1)
            Per event at reco level and the true parameters, :math:`1/(1 + \epsilon^2)`.

    Raises
    ------
    TypeError
        If an argument is not of the type above.
    ValueError
        If a size is below 1, `epsilon` negative, or a range empty or not finite.

    See Also
    --------
    make_gaussian_2d : With the width unknown too.
    make_dependent_detector : With a detector that depends on a second feature.

    References
    ----------
    A. Andreassen et al., "Parameter Estimation using Neural Networks in the Presence of
    Detector Effects" (SRGN), arXiv:2010.03569, Sec. III.A and Eq. 10.

    Examples
    --------
    >>> bunch = make_gaussian(1000, mu=0.5, random_state=0)
    >>> bunch.gen.shape, bunch.theta.shape, bunch.sim_reco.shape, bunch.data.shape
    ((2000, 1), (2000, 1), (1000, 1), (1000, 1))
    >>> bunch.fisher_information
    array([[0.8]])
    """
    mu = _check_number("mu", mu)
    epsilon = _check_number("epsilon", epsilon, low=0.0)

    def events(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
        return theta + rng.standard_normal(theta.shape)

    return _make_bunch(
        events,
        _gaussian_detector(epsilon),
        sizes=_check_sizes(n_events, n_gen=n_gen, n_sim=n_sim, n_data=n_data),
        theta_nominal={"mu": 0.0},
        theta_true={"mu": mu},
        bounds=_check_bounds(bounds, ["mu"]),
        feature_names=["x"],
        as_frame=as_frame,
        random_state=random_state,
        log_weight=gaussian_log_weight,
        fisher_information=np.array([[1.0 / (1.0 + epsilon**2)]]),
    )


def make_gaussian_2d(
    n_events: int = 100_000,
    *,
    mu: float = -1.0,
    sigma: float = 0.75,
    epsilon: float = 0.5,
    n_gen: int | None = None,
    n_sim: int | None = None,
    n_data: int | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    as_frame: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Gaussian of unknown mean and width, seen through a Gaussian detector.

    Generator level :math:`X_G \sim \mathcal{N}(\mu, \sigma^2)`, reco level
    :math:`X_S = X_G + Z` with :math:`Z \sim \mathcal{N}(0, \epsilon^2)`; nominal
    :math:`(\mu_0, \sigma_0) = (0, 1)`.

    Parameters
    ----------
    n_events : int, default=100_000
        Size of every sample that is not given a size of its own.
    mu : float, default=-1.0
        The mean in the data, to be found by a fit. It may lie outside `bounds`.
    sigma : float, default=0.75
        The width in the data, to be found by a fit. It may lie outside `bounds`.
    epsilon : float, default=0.5
        Resolution of the detector, in units of the nominal width; 0 for no detector.
    n_gen : int, default=None
        Number of generator events at the nominal parameters, and of as many more at varied
        ones.
    n_sim : int, default=None
        Number of nominal events with detector.
    n_data : int, default=None
        Number of data events.
    bounds : mapping of str to tuple, default=None
        Ranges (low, high) from which the varied parameters are drawn, uniformly and
        independently. None stands for the paper's, ``{"mu": (-2, 2), "sigma": (0.25, 4)}``.
    as_frame : bool, default=False
        Return DataFrames in place of arrays.
    random_state : int, RandomState instance or None, default=None
        Seed. The generator events, the simulation and the data have random streams of their
        own: the size of one does not change the others.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As `make_gaussian` returns it, with two parameters ``["mu", "sigma"]``, ``log_weight``
        = `gaussian_2d_log_weight` and, with :math:`s^2 = \sigma^2 + \epsilon^2`,
        ``fisher_information`` = :math:`\mathrm{diag}(1/s^2,\ 2\sigma^2/s^4)`.

    Raises
    ------
    TypeError
        If an argument is not of the type above.
    ValueError
        If a size is below 1, `sigma` or its range not positive, `epsilon` negative, a range
        empty or not finite, or `bounds` without one for each parameter.

    See Also
    --------
    make_gaussian : With the mean unknown only.

    References
    ----------
    A. Andreassen et al., "Parameter Estimation using Neural Networks in the Presence of
    Detector Effects" (SRGN), arXiv:2010.03569, Sec. III.A and Eq. 11.

    Examples
    --------
    >>> bunch = make_gaussian_2d(1000, random_state=0)
    >>> bunch.theta_names, bunch.theta.shape
    (['mu', 'sigma'], (2000, 2))
    """
    mu = _check_number("mu", mu)
    sigma = _check_number("sigma", sigma, above=0.0)
    epsilon = _check_number("epsilon", epsilon, low=0.0)
    if bounds is None:
        bounds = {"mu": (-2.0, 2.0), "sigma": (0.25, 4.0)}

    def events(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
        return theta[:, :1] + theta[:, 1:] * rng.standard_normal((len(theta), 1))

    variance = sigma**2 + epsilon**2
    return _make_bunch(
        events,
        _gaussian_detector(epsilon),
        sizes=_check_sizes(n_events, n_gen=n_gen, n_sim=n_sim, n_data=n_data),
        theta_nominal={"mu": 0.0, "sigma": 1.0},
        theta_true={"mu": mu, "sigma": sigma},
        bounds=_check_bounds(bounds, ["mu", "sigma"], above={"sigma": 0.0}),
        feature_names=["x"],
        as_frame=as_frame,
        random_state=random_state,
        log_weight=gaussian_2d_log_weight,
        fisher_information=np.diag([1.0 / variance, 2.0 * sigma**2 / variance**2]),
    )


def make_dependent_detector(
    n_events: int = 100_000,
    *,
    mu: float = 1.5,
    n_gen: int | None = None,
    n_sim: int | None = None,
    n_data: int | None = None,
    bounds: tuple[float, float] | Mapping[str, tuple[float, float]] = (-2, 2),
    as_frame: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    r"""Gaussian whose detector depends on a second feature, and that on the parameter.

    Generator level: a primary feature :math:`X_{G,0} \sim \mathcal{N}(\mu, 1)` and a secondary
    one :math:`X_{G,1} \sim \mathcal{N}(0, \nu^2)` with :math:`\nu = (0.7 + 0.2\mu)^2`. Reco
    level: :math:`X_S = X_{G,0} + Z` with
    :math:`Z \sim \mathcal{N}(4|x_{G,1}|,\ x_{G,1}^4)`. Nominal :math:`\mu_0 = 0`.

    Weights from both features are right at reco level; weights from the primary feature alone
    are not, as the secondary one carries information on the detector.

    Parameters
    ----------
    n_events : int, default=100_000
        Size of every sample that is not given a size of its own.
    mu : float, default=1.5
        The mean in the data, to be found by a fit; above -3.5, where ν vanishes. It may lie
        outside `bounds`.
    n_gen : int, default=None
        Number of generator events at the nominal mean, and of as many more at varied means.
    n_sim : int, default=None
        Number of nominal events with detector.
    n_data : int, default=None
        Number of data events.
    bounds : tuple or mapping, default=(-2, 2)
        Range (low, high) from which the varied means are drawn, uniformly; also as a mapping
        ``{"mu": (low, high)}``.
    as_frame : bool, default=False
        Return DataFrames in place of arrays.
    random_state : int, RandomState instance or None, default=None
        Seed. The generator events, the simulation and the data have random streams of their
        own: the size of one does not change the others.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        As `make_gaussian` returns it, with two generator-level features, ``x0`` and ``x1``,
        ``log_weight`` = `dependent_detector_log_weight`, ``log_weight_primary`` =
        `dependent_detector_log_weight_primary` for the primary feature alone, and
        ``fisher_information`` None, as the density at reco level has no closed form.

    Raises
    ------
    TypeError
        If an argument is not of the type above.
    ValueError
        If a size is below 1, `mu` or its range not above -3.5, or a range empty or not finite.

    See Also
    --------
    make_gaussian : With a detector of constant resolution.

    References
    ----------
    A. Andreassen et al., "Parameter Estimation using Neural Networks in the Presence of
    Detector Effects" (SRGN), arXiv:2010.03569, Sec. III.A and Fig. 4.

    Examples
    --------
    >>> bunch = make_dependent_detector(1000, random_state=0)
    >>> bunch.sim_gen.shape, bunch.sim_reco.shape
    ((1000, 2), (1000, 1))
    """
    low = -_OMEGA_0 / _OMEGA_1
    mu = _check_number("mu", mu, above=low)

    def events(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
        x = rng.standard_normal((len(theta), 2))
        x[:, 0] += theta[:, 0]
        x[:, 1] *= (_OMEGA_0 + _OMEGA_1 * theta[:, 0]) ** 2
        return x

    def detector(rng: np.random.Generator, x: FloatArray) -> FloatArray:
        secondary = x[:, 1:]
        smearing = secondary**2 * rng.standard_normal(secondary.shape)
        return x[:, :1] + 4.0 * np.abs(secondary) + smearing

    return _make_bunch(
        events,
        detector,
        sizes=_check_sizes(n_events, n_gen=n_gen, n_sim=n_sim, n_data=n_data),
        theta_nominal={"mu": 0.0},
        theta_true={"mu": mu},
        bounds=_check_bounds(bounds, ["mu"], above={"mu": low}),
        feature_names=["x0", "x1"],
        as_frame=as_frame,
        random_state=random_state,
        log_weight=dependent_detector_log_weight,
        log_weight_primary=dependent_detector_log_weight_primary,
        fisher_information=None,
    )


def gaussian_log_weight(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> Any:
    r"""Exact log density ratio of `make_gaussian`.

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
    r"""Exact log density ratio of `make_gaussian_2d`.

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
    r"""Exact log density ratio of `make_dependent_detector` in both features.

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
    _check_above("mu", mu, -_OMEGA_0 / _OMEGA_1)
    # The ratio of the widths, so that the weight at the nominal parameter is one exactly.
    ratio = (1.0 + _OMEGA_1 / _OMEGA_0 * mu) ** 2
    secondary = (x[:, 1] / _OMEGA_0**2) ** 2 * (1.0 - 1.0 / ratio**2) / 2 - _log(ratio)
    return mu * (x[:, 0] - mu / 2) + secondary


def dependent_detector_log_weight_primary(X: ArrayLike | Tensor, theta: ArrayLike | Tensor) -> Any:
    r"""Exact log density ratio of `make_dependent_detector` in the primary feature alone.

    :math:`\log w = \mu x_0 - \mu^2/2`. Right for the primary feature, wrong at reco level,
    where the secondary feature matters (Fig. 4 of the SRGN paper).

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


def _make_bunch(
    events: Callable[[np.random.Generator, FloatArray], FloatArray],
    detector: Callable[[np.random.Generator, FloatArray], FloatArray],
    *,
    sizes: tuple[int, int, int],
    theta_nominal: dict[str, float],
    theta_true: dict[str, float],
    bounds: dict[str, tuple[float, float]],
    feature_names: list[str],
    as_frame: bool,
    random_state: int | np.random.RandomState | None,
    **known: Any,
) -> Bunch:
    if not isinstance(as_frame, bool):
        raise TypeError(f"as_frame must be a bool, got {as_frame!r}; pass True or False.")
    n_gen, n_sim, n_data = sizes
    names = list(theta_nominal)
    nominal = np.array([theta_nominal[name] for name in names])
    true = np.array([theta_true[name] for name in names])
    limits = np.array([bounds[name] for name in names])

    entropy = check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
    streams = np.random.SeedSequence(entropy.tolist()).spawn(3)
    rng_gen, rng_sim, rng_data = (np.random.default_rng(stream) for stream in streams)

    varied = rng_gen.uniform(limits[:, 0], limits[:, 1], size=(n_gen, len(names)))
    theta = np.concatenate([np.tile(nominal, (n_gen, 1)), varied])
    gen = events(rng_gen, theta)
    sim_gen = events(rng_sim, np.tile(nominal, (n_sim, 1)))
    sim_reco = detector(rng_sim, sim_gen)
    data_gen = events(rng_data, np.tile(true, (n_data, 1)))
    data = detector(rng_data, data_gen)

    def table(values: FloatArray, columns: list[str]) -> FloatArray | pd.DataFrame:
        return pd.DataFrame(values, columns=columns) if as_frame else values

    return Bunch(
        gen=table(gen, feature_names),
        theta=table(theta, names),
        sim_gen=table(sim_gen, feature_names),
        sim_reco=table(sim_reco, ["x"]),
        data=table(data, ["x"]),
        data_gen=table(data_gen, feature_names),
        theta_names=names,
        theta_nominal=nominal,
        theta_true=true,
        bounds=bounds,
        **known,
    )


def _gaussian_detector(
    epsilon: float,
) -> Callable[[np.random.Generator, FloatArray], FloatArray]:
    def detector(rng: np.random.Generator, x: FloatArray) -> FloatArray:
        return x + epsilon * rng.standard_normal(x.shape)

    return detector


def _prepare(
    X: ArrayLike | Tensor,
    theta: ArrayLike | Tensor,
    *,
    n_features: tuple[int, ...],
    names: list[str],
) -> tuple[Any, list[Any]]:
    """Events and parameters as arrays or as tensors of one kind; one entry per parameter."""
    x, t = _same_kind(X, theta)
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
    # Whoever passes a tensor has imported torch; nobody else needs to.
    torch = sys.modules.get("torch")
    if torch is not None:
        given = [value for value in (X, theta) if isinstance(value, torch.Tensor)]
        if given:
            kind = {"dtype": given[0].dtype, "device": given[0].device}
            x, t = (
                value
                if isinstance(value, torch.Tensor)
                else torch.tensor(np.asarray(value), **kind)
                for value in (X, theta)
            )
            return x, t
    return np.asarray(X, dtype=np.float64), np.asarray(theta, dtype=np.float64)


def _log(value: Any) -> Any:
    return value.log() if hasattr(value, "log") else np.log(value)


def _check_above(name: str, value: Any, low: float) -> None:
    if not bool((value > low).all()):
        raise ValueError(
            f"theta holds {name} = {float(value.min()):g}, expected values above {low:g}; "
            "restrict the search to the bounds."
        )


def _check_number(
    name: str, value: Any, *, low: float | None = None, above: float | None = None
) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r}; pass a float.")
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}; pass a finite number.")
    if low is not None and number < low:
        raise ValueError(f"{name} must be at least {low:g}, got {number:g}; pass a larger value.")
    if above is not None and number <= above:
        raise ValueError(f"{name} must be above {above:g}, got {number:g}; pass a larger value.")
    return number


def _check_sizes(n_events: Any, **sizes: Any) -> tuple[int, int, int]:
    checked = []
    for name, size in {"n_events": n_events, **sizes}.items():
        value = n_events if size is None else size
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{name} must be an integer, got {value!r}; pass a number of events.")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}; pass a number of events.")
        checked.append(int(value))
    _, n_gen, n_sim, n_data = checked
    return n_gen, n_sim, n_data


def _check_bounds(
    bounds: Any, names: Sequence[str], above: Mapping[str, float] | None = None
) -> dict[str, tuple[float, float]]:
    example = "{" + ", ".join(f'"{name}": (low, high)' for name in names) + "}"
    if not isinstance(bounds, Mapping):
        if len(names) > 1:
            raise TypeError(
                f"bounds must be a mapping by parameter name, got {bounds!r}; pass {example}."
            )
        bounds = {names[0]: bounds}
    if set(bounds) != set(names):
        raise ValueError(
            f"bounds has the parameters {sorted(map(str, bounds))}, expected {list(names)}; "
            f"pass {example}."
        )
    checked = {}
    for name in names:
        limits = bounds[name]
        if not isinstance(limits, Sequence | np.ndarray) or len(limits) != 2:
            raise TypeError(
                f"bounds of {name} must be a pair of numbers, got {limits!r}; pass (low, high)."
            )
        low, high = (_check_number(f"bounds of {name}", limit) for limit in limits)
        if not low < high:
            raise ValueError(
                f"bounds of {name} must increase, got ({low:g}, {high:g}); pass (low, high)."
            )
        if above is not None and name in above:
            _check_number(f"bounds of {name}", low, above=above[name])
        checked[name] = (low, high)
    return checked
