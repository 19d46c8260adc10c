"""The Gaussian examples of the SRGN paper, in which every density is known exactly.

Each function draws three independent samples: generator events at the nominal and at varied
parameters, the nominal sample with detector, and data at parameters a fit should find. With
them come the exact log density ratio and, where it has a closed form, the Fisher information,
so that a fit can be held against the truth and against the Cramér-Rao bound.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.utils import Bunch

from skdctr._utils.arguments import check_number
from skdctr._utils.typing import FloatArray
from skdctr.datasets.gaussian.checks import check_bounds, check_sizes
from skdctr.datasets.gaussian.density_ratios import (
    OMEGA_0,
    OMEGA_1,
    dependent_detector_log_weight,
    dependent_detector_log_weight_primary,
    gaussian_2d_log_weight,
    gaussian_log_weight,
)
from skdctr.datasets.gaussian.draws import draw_samples, gaussian_detector

__all__ = ["make_dependent_detector", "make_gaussian", "make_gaussian_2d"]


# The square of a larger number may leave the range of float64.
_LARGEST = 1e150


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
    r"""Draw a Gaussian of unknown mean, seen through a Gaussian detector.

    At generator level :math:`X_G \sim \mathcal{N}(\mu, 1)`, and at reco level
    :math:`X_S = X_G + Z` with :math:`Z \sim \mathcal{N}(0, \epsilon^2)`. The nominal mean is
    :math:`\mu_0 = 0`.

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
        Whether to return DataFrames in place of arrays.
    random_state : int, RandomState instance or None, default=None
        Seed. The generator events, the simulation and the data have random streams of their
        own: the size of one does not change the others.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The samples, with the attributes

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
            Information of one event at reco level, at the true parameters:
            :math:`1/(1 + \epsilon^2)`.

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
    mu = check_number("mu", mu)
    epsilon = check_number("epsilon", epsilon, low=0.0, high=_LARGEST)

    def events(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
        return theta + rng.standard_normal(theta.shape)

    return draw_samples(
        events,
        gaussian_detector(epsilon),
        sizes=check_sizes(n_events, n_gen=n_gen, n_sim=n_sim, n_data=n_data),
        theta_nominal={"mu": 0.0},
        theta_true={"mu": mu},
        bounds=check_bounds(bounds, ["mu"]),
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
    r"""Draw a Gaussian of unknown mean and width, seen through a Gaussian detector.

    At generator level :math:`X_G \sim \mathcal{N}(\mu, \sigma^2)`, and at reco level
    :math:`X_S = X_G + Z` with :math:`Z \sim \mathcal{N}(0, \epsilon^2)`. The nominal parameters
    are :math:`(\mu_0, \sigma_0) = (0, 1)`.

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
        Whether to return DataFrames in place of arrays.
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
    mu = check_number("mu", mu)
    sigma = check_number("sigma", sigma, above=0.0, high=_LARGEST)
    epsilon = check_number("epsilon", epsilon, low=0.0, high=_LARGEST)
    if bounds is None:
        bounds = {"mu": (-2.0, 2.0), "sigma": (0.25, 4.0)}

    def events(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
        return theta[:, :1] + theta[:, 1:] * rng.standard_normal((len(theta), 1))

    variance = sigma**2 + epsilon**2
    return draw_samples(
        events,
        gaussian_detector(epsilon),
        sizes=check_sizes(n_events, n_gen=n_gen, n_sim=n_sim, n_data=n_data),
        theta_nominal={"mu": 0.0, "sigma": 1.0},
        theta_true={"mu": mu, "sigma": sigma},
        bounds=check_bounds(bounds, ["mu", "sigma"], above={"sigma": 0.0}),
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
    r"""Draw a Gaussian whose detector depends on a second feature, and that on the parameter.

    At generator level there are a primary feature :math:`X_{G,0} \sim \mathcal{N}(\mu, 1)` and a
    secondary one :math:`X_{G,1} \sim \mathcal{N}(0, \nu^2)` with
    :math:`\nu = (0.7 + 0.2\mu)^2`. At reco level :math:`X_S = X_{G,0} + Z` with
    :math:`Z \sim \mathcal{N}(4|x_{G,1}|,\ x_{G,1}^4)`. The nominal mean is :math:`\mu_0 = 0`.

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
        Whether to return DataFrames in place of arrays.
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
    low = -OMEGA_0 / OMEGA_1
    mu = check_number("mu", mu, above=low, high=_LARGEST)

    def events(rng: np.random.Generator, theta: FloatArray) -> FloatArray:
        x = rng.standard_normal((len(theta), 2))
        x[:, 0] += theta[:, 0]
        x[:, 1] *= (OMEGA_0 + OMEGA_1 * theta[:, 0]) ** 2
        return x

    def detector(rng: np.random.Generator, x: FloatArray) -> FloatArray:
        secondary = x[:, 1:]
        smearing = secondary**2 * rng.standard_normal(secondary.shape)
        return x[:, :1] + 4.0 * np.abs(secondary) + smearing

    return draw_samples(
        events,
        detector,
        sizes=check_sizes(n_events, n_gen=n_gen, n_sim=n_sim, n_data=n_data),
        theta_nominal={"mu": 0.0},
        theta_true={"mu": mu},
        bounds=check_bounds(bounds, ["mu"], above={"mu": low}),
        feature_names=["x0", "x1"],
        as_frame=as_frame,
        random_state=random_state,
        log_weight=dependent_detector_log_weight,
        log_weight_primary=dependent_detector_log_weight_primary,
        fisher_information=None,
    )
