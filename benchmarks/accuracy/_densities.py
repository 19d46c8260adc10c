"""Smooth densities of the accuracy cases: how events are drawn at rows of θ, and log p(x|θ).

Every ``draw_*(theta, rng)`` takes θ of shape (n, p) and returns events (n, f). Its
``log_*(x, theta)`` is log p(x|θ), (n,), up to what does not depend on θ, so that the difference of
two is the exact log-ratio.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Rng = np.random.Generator
Draw = Callable[[Array, Rng], Array]
LogDensity = Callable[[Array, Array], Array]


def thinned(draw: Callable[[Array, Rng], Array], keep: LogDensity, theta: Array, rng: Rng) -> Array:
    """Draw an event for each row of θ, and keep it with the probability exp(keep(x, θ))."""
    events = draw(theta, rng)
    left = np.arange(len(theta))
    while len(left):
        events[left] = draw(theta[left], rng)
        taken = rng.random(len(left)) < np.exp(keep(events[left], theta[left]))
        left = left[~taken]
    return events


def log_normal_density(x: Array, mean: Array | float, width: Array | float) -> Array:
    """Logarithm of a normalised Gaussian."""
    return np.asarray(-0.5 * ((x - mean) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi)))


# One Gaussian feature, of mean θ and width 1.
def draw_shift(theta: Array, rng: Rng) -> Array:
    return rng.normal(theta[:, :1], 1.0)


def log_shift(x: Array, theta: Array) -> Array:
    return log_normal_density(x[:, 0], theta[:, 0], 1.0)


def draw_width(theta: Array, rng: Rng) -> Array:
    return rng.normal(0.0, theta[:, :1])


def log_width(x: Array, theta: Array) -> Array:
    return log_normal_density(x[:, 0], 0.0, theta[:, 0])


def draw_mean_width(theta: Array, rng: Rng) -> Array:
    return rng.normal(theta[:, :1], theta[:, 1:])


def log_mean_width(x: Array, theta: Array) -> Array:
    return log_normal_density(x[:, 0], theta[:, 0], theta[:, 1])


def draw_two_features(theta: Array, rng: Rng) -> Array:
    """Draw the Gaussian of mean θ beside a feature that knows nothing of θ."""
    return np.c_[rng.normal(theta[:, 0]), rng.normal(size=len(theta))]


# Five Gaussian features: the mean of the first, the width of the second, one correlation.
def draw_correlated(theta: Array, rng: Rng) -> Array:
    z = rng.normal(size=(len(theta), 5))
    mean, width, correlation = theta.T
    z[:, 0] += mean
    z[:, 1] *= width
    z[:, 3] = correlation * z[:, 2] + np.sqrt(1 - correlation**2) * z[:, 3]
    return z


def log_correlated(x: Array, theta: Array) -> Array:
    mean, width, correlation = theta.T
    return (
        log_normal_density(x[:, 0], mean, 1.0)
        + log_normal_density(x[:, 1], 0.0, width)
        + log_normal_density(x[:, 3], correlation * x[:, 2], np.sqrt(1 - correlation**2))
    )


# Positive features.
def draw_lifetime(theta: Array, rng: Rng) -> Array:
    return rng.exponential(theta[:, :1])


def log_lifetime(x: Array, theta: Array) -> Array:
    return -x[:, 0] / theta[:, 0] - np.log(theta[:, 0])


def draw_log_normal(theta: Array, rng: Rng) -> Array:
    return np.exp(rng.normal(theta[:, :1], 0.5))


def log_log_normal(x: Array, theta: Array) -> Array:
    return log_normal_density(np.log(x[:, 0]), theta[:, 0], 0.5)


def draw_gamma(theta: Array, rng: Rng) -> Array:
    return rng.gamma(theta[:, :1])


def log_gamma(x: Array, theta: Array) -> Array:
    return theta[:, 0] * np.log(x[:, 0]) - special.gammaln(theta[:, 0])


def draw_beta(theta: Array, rng: Rng) -> Array:
    return rng.beta(theta[:, :1], 2.0)


def log_beta(x: Array, theta: Array) -> Array:
    return theta[:, 0] * np.log(x[:, 0]) - special.betaln(theta[:, 0], 2.0)


def draw_spectrum(theta: Array, rng: Rng) -> Array:
    """Draw transverse momenta above 30 GeV that fall with the power −θ."""
    return 30 * rng.random((len(theta), 1)) ** (-1 / (theta - 1))


def log_spectrum(x: Array, theta: Array) -> Array:
    return -theta[:, 0] * np.log(x[:, 0] / 30) + np.log(theta[:, 0] - 1)


# Peaks.
def _edges(mass: Array, width: Array) -> tuple[Array, Array]:
    return np.arctan(2 * (70 - mass) / width), np.arctan(2 * (110 - mass) / width)


def draw_breit_wigner(theta: Array, rng: Rng) -> Array:
    """Draw masses between 70 and 110 GeV from mass and width."""
    mass, width = theta.T
    low, high = _edges(mass, width)
    return (mass + width / 2 * np.tan(low + (high - low) * rng.random(len(theta))))[:, None]


def log_breit_wigner(x: Array, theta: Array) -> Array:
    mass, width = theta.T
    low, high = _edges(mass, width)
    return np.log(width / 2) - np.log((x[:, 0] - mass) ** 2 + width**2 / 4) - np.log(high - low)


def draw_narrow(theta: Array, rng: Rng) -> Array:
    """Draw from the Breit-Wigner of width 2.5 GeV, θ being the mass."""
    return draw_breit_wigner(np.c_[theta, np.full(len(theta), 2.5)], rng)


def log_narrow(x: Array, theta: Array) -> Array:
    return log_breit_wigner(x, np.c_[theta, np.full(len(theta), 2.5)])


def draw_two_peaks(theta: Array, rng: Rng) -> Array:
    first = rng.random(len(theta)) < theta[:, 0]
    return np.where(first, rng.normal(-1, 0.5, len(theta)), rng.normal(1.5, 0.7, len(theta)))[
        :, None
    ]


def log_two_peaks(x: Array, theta: Array) -> Array:
    first, second = log_normal_density(x[:, 0], -1, 0.5), log_normal_density(x[:, 0], 1.5, 0.7)
    return np.logaddexp(np.log(theta[:, 0]) + first, np.log1p(-theta[:, 0]) + second)


# Background between 100 and 160 GeV, that falls by 1/e in 20 GeV.
_FALL = 20.0


def draw_signal(theta: Array, rng: Rng) -> Array:
    """Draw a share θ from a peak at 125 GeV, of width 3 GeV, the rest from the background."""
    background = 100 - _FALL * np.log(1 - rng.random(len(theta)) * (1 - np.exp(-60 / _FALL)))
    is_signal = rng.random(len(theta)) < theta[:, 0]
    return np.where(is_signal, rng.normal(125, 3, len(theta)), background)[:, None]


def log_signal(x: Array, theta: Array) -> Array:
    background = -(x[:, 0] - 100) / _FALL - np.log(_FALL * (1 - np.exp(-60 / _FALL)))
    peak = log_normal_density(x[:, 0], 125, 3)
    return np.logaddexp(np.log(theta[:, 0]) + peak, np.log1p(-theta[:, 0]) + background)


def draw_in_mev(theta: Array, rng: Rng) -> Array:
    """Draw masses in GeV, of resolution 2 GeV, around a θ in MeV."""
    return rng.normal(theta[:, :1] / 1000, 2.0)


def log_in_mev(x: Array, theta: Array) -> Array:
    return log_normal_density(x[:, 0], theta[:, 0] / 1000, 2.0)


def draw_apart(theta: Array, rng: Rng) -> Array:
    """Draw a share θ from a peak at 2, of width 0.1, the rest evenly between 0 and 1."""
    is_signal = rng.random(len(theta)) < theta[:, 0]
    return np.where(is_signal, rng.normal(2, 0.1, len(theta)), rng.random(len(theta)))[:, None]


def log_apart(x: Array, theta: Array) -> Array:
    inside = (x[:, 0] >= 0) & (x[:, 0] <= 1)
    with np.errstate(divide="ignore"):
        peak = np.log(theta[:, 0]) + log_normal_density(x[:, 0], 2, 0.1)
        return np.logaddexp(peak, np.where(inside, np.log1p(-theta[:, 0]), -np.inf))


def draw_endpoint(theta: Array, rng: Rng) -> Array:
    return theta[:, :1] * rng.random((len(theta), 1))


def log_endpoint(x: Array, theta: Array) -> Array:
    return np.where(x[:, 0] <= theta[:, 0], -np.log(theta[:, 0]), -np.inf)


# Angles.
def draw_angular(theta: Array, rng: Rng) -> Array:
    """Draw c = cos of an angle from 1 + a c + b c²."""

    def keep(x: Array, theta: Array) -> Array:
        a, b = theta.T
        return np.log((1 + a * x[:, 0] + b * x[:, 0] ** 2) / (1 + abs(a) + abs(b)))

    return thinned(lambda theta, rng: rng.uniform(-1, 1, (len(theta), 1)), keep, theta, rng)


def log_angular(x: Array, theta: Array) -> Array:
    a, b = theta.T
    return np.log(1 + a * x[:, 0] + b * x[:, 0] ** 2) - np.log(2 + 2 * b / 3)


_CONCENTRATION = 2.0


def draw_angle(theta: Array, rng: Rng) -> Array:
    """Draw an angle in (−π, π] around θ."""
    return rng.vonmises(theta[:, :1], _CONCENTRATION)


def log_angle(x: Array, theta: Array) -> Array:
    return _CONCENTRATION * np.cos(x[:, 0] - theta[:, 0])


def draw_direction(theta: Array, rng: Rng) -> Array:
    """Draw the same angle as its cosine and sine."""
    phi = draw_angle(theta, rng)
    return np.c_[np.cos(phi), np.sin(phi)]


def log_direction(x: Array, theta: Array) -> Array:
    return _CONCENTRATION * (x[:, 0] * np.cos(theta[:, 0]) + x[:, 1] * np.sin(theta[:, 0]))


# A squared amplitude, 1 + θ x², of an effective theory.
def draw_quadratic(theta: Array, rng: Rng) -> Array:
    return thinned(
        lambda theta, rng: rng.random((len(theta), 1)),
        lambda x, theta: (
            2 * np.log((1 + theta[:, 0] * x[:, 0] ** 2) / (1 + np.maximum(theta[:, 0], 0)))
        ),
        theta,
        rng,
    )


def log_quadratic(x: Array, theta: Array) -> Array:
    t = theta[:, 0]
    return 2 * np.log(1 + t * x[:, 0] ** 2) - np.log(1 + 2 * t / 3 + t**2 / 5)


# Heavy tails.
def draw_student(theta: Array, rng: Rng) -> Array:
    return theta[:, :1] + rng.standard_t(3, (len(theta), 1))


def log_student(x: Array, theta: Array) -> Array:
    return -2 * np.log1p((x[:, 0] - theta[:, 0]) ** 2 / 3)


def draw_cauchy(theta: Array, rng: Rng) -> Array:
    return theta[:, :1] + rng.standard_cauchy((len(theta), 1))


def log_cauchy(x: Array, theta: Array) -> Array:
    return -np.log1p((x[:, 0] - theta[:, 0]) ** 2)
