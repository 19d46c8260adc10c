"""Tasks of `peers.py`: pairs of distributions whose density ratio is known, and the Gaussian fit.

Nominal and target events have 1, 5 or 20 features, in this order, as many as asked for:

- a gamma distribution, of another shape and scale in the target;
- a mixture of two Gaussians, in other proportions;
- a Gaussian whose mean follows the sine of the one before in the target, but not in the nominal
  sample: a dependence that no correlation shows;
- correlated Gaussians, of other means, widths and correlations.

The squared ratio has a finite expectation, so that the exact weights have a finite variance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from skdctr.datasets import make_gaussian

FEATURES = (1, 5, 20)
_SHAPE, _SCALE = (3.0, 4.2), (1.0, 0.9)
_CENTRES, _WIDTHS, _SHARE = (-1.0, 1.2), (0.6, 0.8), (0.6, 0.45)
_AMPLITUDE = (0.0, 0.5)
_NOT_GAUSSIAN = 3


def gaussian_block(k: int, target: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and covariance of k correlated Gaussians."""
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    if not target:
        return np.zeros(k), 0.3**distance
    signs = np.where(np.arange(k) % 2, -1.0, 1.0)
    width = np.where(np.arange(k) == 1, 0.9, 1.0)
    return 0.4 * signs / (1 + np.arange(k)), 0.4**distance * np.outer(width, width)


def draw(n: int, n_features: int, target: bool, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw n events of the nominal or the target distribution."""
    _check_features(n_features)
    columns = [rng.gamma(_SHAPE[target], _SCALE[target], n)]
    if n_features > 1:
        component = (rng.random(n) > _SHARE[target]).astype(int)
        mixed = rng.normal(np.take(_CENTRES, component), np.take(_WIDTHS, component))
        columns += [mixed, rng.normal(_AMPLITUDE[target] * np.sin(2 * mixed), 1.0)]
        block = gaussian_block(n_features - _NOT_GAUSSIAN, target)
        columns += list(rng.multivariate_normal(*block, size=n, method="cholesky").T)
    return np.column_stack(columns)


def log_density(x: NDArray[np.float64], target: bool) -> NDArray[np.float64]:
    """Log-density of events of shape (n, f) in the nominal or the target distribution."""
    _check_features(x.shape[1])
    total: NDArray[np.float64] = stats.gamma.logpdf(x[:, 0], _SHAPE[target], scale=_SCALE[target])
    if x.shape[1] > 1:
        share = _SHARE[target]
        parts = stats.norm.pdf(x[:, 1, None], _CENTRES, _WIDTHS)
        total = total + np.log(parts @ [share, 1 - share])
        total = total + stats.norm.logpdf(x[:, 2], _AMPLITUDE[target] * np.sin(2 * x[:, 1]))
        block = gaussian_block(x.shape[1] - _NOT_GAUSSIAN, target)
        total = total + stats.multivariate_normal.logpdf(x[:, _NOT_GAUSSIAN:], *block)
    return total


def exact_log_weights(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the density ratio, target over nominal."""
    return log_density(x, target=True) - log_density(x, target=False)


def write_discrete(folder: Path, n_events: int, n_judged: int, n_features: int, seed: int) -> None:
    """Write the events of a reweighting task.

    Parameters
    ----------
    folder : Path
        Gets nominal.npy and target.npy, the events to learn from, and judged_nominal.npy and
        judged_target.npy, those that the weights are judged by, all in float32.
    n_events, n_judged : int
        Events of each of them.
    n_features : int
    seed : int
    """
    for target, name in enumerate(("nominal", "target")):
        for judged, n in enumerate((n_events, n_judged)):
            rng = np.random.default_rng([seed, n_features, target, judged])
            events = draw(n, n_features, bool(target), rng).astype(np.float32)
            np.save(folder / f"{'judged_' * judged}{name}.npy", events)


def write_fit(folder: Path, n_events: int, seed: int) -> None:
    """Write the samples of Table I of the SRGN paper, n_events of each kind."""
    toy = make_gaussian(n_events, random_state=seed)
    for name in ("gen", "theta", "sim_gen", "sim_reco", "data"):
        np.save(folder / f"{name}.npy", toy[name])


def _check_features(n_features: int) -> None:
    if n_features != 1 and n_features <= _NOT_GAUSSIAN + 1:
        raise ValueError(
            f"n_features={n_features}: tasks have one feature, or at least {_NOT_GAUSSIAN + 2}."
        )
