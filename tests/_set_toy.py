"""Sets whose size, momenta, angles and particle types depend on θ, with the exact likelihood ratio.

n ~ Poisson(12 e^{0.2 θ}), momenta z exponential of mean e^{-0.1 θ}, angles η ~ N(0, e^{0.1 θ}), and
a particle is a kaon with probability 0.2 e^{0.3 θ}, else a pion. θ₀ = 0, |θ| ≤ 1.
"""

import numpy as np

from skdctr.preprocessing import PackedEvents

MULTIPLICITY, KAONS = 12.0, 0.2
PION, KAON = 211, 321


def generate(theta, rng):
    """Draw one event for each θ of shape (n,)."""
    theta = np.asarray(theta, dtype=float)
    counts = rng.poisson(MULTIPLICITY * np.exp(0.2 * theta))
    each = np.repeat(theta, counts)
    momentum = np.exp(-0.1 * each) * rng.exponential(size=len(each))
    angle = np.exp(0.1 * each) * rng.standard_normal(len(each))
    kaon = rng.random(len(each)) < KAONS * np.exp(0.3 * each)
    return PackedEvents(
        np.stack([momentum, angle], axis=1).astype(np.float32),
        np.concatenate([[0], np.cumsum(counts)]),
        ("z", "eta"),
        np.where(kaon, KAON, PION).astype(np.int32),
        "pid",
    )


def sums(events):
    """Number of particles, Σ z, Σ η² and number of kaons, (n, 4): the sufficient statistics."""
    rows = np.repeat(np.arange(len(events)), events.counts)
    z, eta = events.features.astype(np.float64).T
    columns = [np.ones_like(z), z, eta**2, events.types == KAON]
    return np.stack([np.bincount(rows, column, len(events)) for column in columns], axis=1)


def log_weight(events, theta):
    """Exact log p(x|θ)/p(x|0) at θ of shape (1,) or (n, 1)."""
    theta = np.asarray(theta, dtype=float)[..., 0]
    n, z, eta2, kaons = sums(events).T
    share = KAONS * np.exp(0.3 * theta)
    return (
        0.2 * theta * n
        - MULTIPLICITY * (np.exp(0.2 * theta) - 1)
        + 0.1 * theta * n
        - z * (np.exp(0.1 * theta) - 1)
        - 0.1 * theta * n
        - eta2 / 2 * (np.exp(-0.2 * theta) - 1)
        + 0.3 * theta * kaons
        + (n - kaons) * np.log((1 - share) / (1 - KAONS))
    )


def training_sample(n_events, rng):
    """As many nominal as varied events, θ uniform in [-1, 1], in random order."""
    theta = np.where(np.arange(n_events) % 2, rng.uniform(-1, 1, n_events), 0.0)
    return generate(theta, rng), theta


def to_awkward(events, ak):
    """The same events as an awkward array of lists of records."""
    columns = dict(zip(events.feature_names, events.features.T, strict=True))
    return ak.zip(
        {
            name: ak.unflatten(np.ascontiguousarray(values), events.counts)
            for name, values in {**columns, events.type_name: events.types}.items()
        }
    )


def without_types(events):
    """The same events without names and particle types, as padded arrays have none."""
    return PackedEvents(events.features, events.offsets)
