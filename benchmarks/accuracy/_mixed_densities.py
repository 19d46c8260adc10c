"""Densities with counts, steps and shared values, and of many features, as in `_densities`."""

from __future__ import annotations

import numpy as np
from _densities import Array, Rng, draw_shift, log_normal_density, log_shift, thinned
from scipy import special


# Counts and categories.
def draw_counts(theta: Array, rng: Rng) -> Array:
    return rng.poisson(theta[:, :1]).astype(float)


def log_counts(x: Array, theta: Array) -> Array:
    return x[:, 0] * np.log(theta[:, 0]) - theta[:, 0]


# Log-probabilities of five categories at θ = 0, and their slopes, in no order.
_LEVELS, _SLOPES = np.log([0.3, 0.25, 0.2, 0.15, 0.1]), np.array([0.8, -0.6, 0.5, -1.0, 0.2])


def _log_shares(theta: Array) -> Array:
    return special.log_softmax(_LEVELS + theta[:, :1] * _SLOPES, axis=1)


def draw_category(theta: Array, rng: Rng) -> Array:
    """Draw a code from 0 to 4 beside a number whose mean is θ/2."""
    total = np.cumsum(np.exp(_log_shares(theta)), axis=1)
    code = (rng.random((len(theta), 1)) > total[:, :-1]).sum(axis=1)
    return np.c_[code, rng.normal(theta[:, 0] / 2)]


def log_category(x: Array, theta: Array) -> Array:
    of_code = np.take_along_axis(_log_shares(theta), x[:, :1].astype(int), axis=1)[:, 0]
    return of_code + log_normal_density(x[:, 1], theta[:, 0] / 2, 1.0)


# Steps in two of three features (trigger edge, crack of a detector), a slope in the third.
_TRIGGER, _CRACK = np.log(0.35), np.log(0.4)


def _steps(x: Array) -> Array:
    in_crack = (abs(x[:, 2]) > 1.4) & (abs(x[:, 2]) < 1.6)
    return (
        np.where(x[:, 0] > 2, 0.0, _TRIGGER)
        + np.where(in_crack, _CRACK, 0.0)
        + 0.05 * (x[:, 1] - 12)
    )


def _log_mean_of_steps(theta: Array) -> Array:
    """Compute log E[exp(θ s(x))] over the nominal events: the three features are independent."""
    above, crack = np.exp(-2 / 1.5), 0.4 / 5
    of_edge = np.log(above + (1 - above) * np.exp(theta * _TRIGGER))
    of_crack = np.log(1 - crack + crack * np.exp(theta * _CRACK))
    return np.asarray(of_edge + of_crack + 12 * np.expm1(0.05 * theta) - 0.6 * theta)


def draw_steps(theta: Array, rng: Rng) -> Array:
    """Draw from the exponential family through the steps, θ = 1 being the steps themselves."""

    def proposal(theta: Array, rng: Rng) -> Array:
        # The slope of the counts is drawn exactly, so that the rest is bounded.
        counts = rng.poisson(12 * np.exp(0.05 * theta[:, 0]))
        flat = rng.uniform(-2.5, 2.5, len(theta))
        return np.c_[rng.exponential(1.5, len(theta)), counts, flat]

    def keep(x: Array, theta: Array) -> Array:
        step = _steps(x) - 0.05 * (x[:, 1] - 12)
        lowest = _TRIGGER + _CRACK
        return theta[:, 0] * step - np.maximum(0.0, theta[:, 0] * lowest)

    return thinned(proposal, keep, theta, rng)


def log_steps(x: Array, theta: Array) -> Array:
    return theta[:, 0] * _steps(x) - _log_mean_of_steps(theta[:, 0])


# Ten Gaussian features, a smooth log-ratio with products.
def _smooth(x: Array) -> Array:
    product = 0.8 * np.tanh(x[:, 0] * x[:, 1]) + 0.6 * np.sin(1.5 * x[:, 2]) * np.tanh(x[:, 3])
    return np.asarray(product + 0.3 * np.tanh(x[:, 4]))


def _log_mean_of_smooth() -> float:
    """Compute log E[exp] over the nominal events: the three terms are independent."""
    points = np.linspace(-8, 8, 801)
    weight = np.exp(-0.5 * points**2)
    weight /= weight.sum()
    a, b = points[:, None], points
    first = weight @ np.exp(0.8 * np.tanh(a * b)) @ weight
    second = weight @ np.exp(0.6 * np.sin(1.5 * a) * np.tanh(b)) @ weight
    return float(np.log(first * second * (weight @ np.exp(0.3 * np.tanh(points)))))


_SMOOTH_NORM = _log_mean_of_smooth()


def draw_smooth(theta: Array, rng: Rng) -> Array:
    """Draw nominal events (θ = 0) or those of the other sample (θ = 1)."""
    return thinned(
        lambda theta, rng: rng.normal(size=(len(theta), 10)),
        lambda x, theta: theta[:, 0] * (_smooth(x) - 1.7),
        theta,
        rng,
    )


def log_smooth(x: Array, theta: Array) -> Array:
    return theta[:, 0] * (_smooth(x) - _SMOOTH_NORM)


# Values that many events share.
def draw_atom(theta: Array, rng: Rng) -> Array:
    """Draw a Gaussian energy of mean θ, of which what is below 0 is measured as 0."""
    return np.maximum(draw_shift(theta, rng), 0.0)


def log_atom(x: Array, theta: Array) -> Array:
    below = special.log_ndtr(-theta[:, 0])
    return np.where(x[:, 0] > 0, log_shift(x, theta), below)


MISSING = -999.0


def draw_sentinel(theta: Array, rng: Rng) -> Array:
    """Draw momenta of two jets; without a second jet it is −999."""
    scale = 40 * (1 + 0.3 * theta[:, 0])
    second = rng.exponential(scale)
    second[rng.random(len(theta)) > special.expit(theta[:, 0])] = MISSING
    return np.c_[rng.exponential(80, len(theta)), second]


def log_sentinel(x: Array, theta: Array) -> Array:
    scale = 40 * (1 + 0.3 * theta[:, 0])
    there = special.log_expit(theta[:, 0]) - x[:, 1] / scale - np.log(scale)
    return np.where(x[:, 1] == MISSING, special.log_expit(-theta[:, 0]), there)


# Two samples whose difference is not positive everywhere: the weights of 60% of the events are −1
# above 0.9 at θ = 1.
NEGATIVE_SHARE, NEGATIVE_FROM = 0.6, 0.9


def draw_negative(theta: Array, rng: Rng) -> Array:
    """Draw evenly; the weights make the difference."""
    return rng.random((len(theta), 1))


def log_negative(x: Array, theta: Array) -> Array:
    """Compute the log-ratio where there is one; NaN elsewhere."""
    total = NEGATIVE_FROM + (1 - NEGATIVE_FROM) * (1 - 2 * NEGATIVE_SHARE)
    return np.where(x[:, 0] < NEGATIVE_FROM, -theta[:, 0] * np.log(total), np.nan)
