"""One accuracy case: a density with parameters, and the samples that a fit of them is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from _densities import Array, Draw, LogDensity, Rng
from sklearn.utils import Bunch

# Core of each feature that log w is judged in.
CORE = (0.005, 0.995)


@dataclass(frozen=True, eq=False)
class Case:
    """A density with parameters, and the samples that a fit is given.

    Attributes
    ----------
    name, group : str
        Name of the case, and of those that are like it.
    names : tuple of str
        Names of the parameters.
    nominal, truth, low, high : tuple of float
        θ₀, θ of the data, and the range that θ of the generator sample is uniform in.
    draw : callable
        ``draw(theta, rng)`` draws generator-level events (n, f) for rows of θ (n, p).
    log_density : callable
        ``log_density(x, theta)`` is log p(x|θ), up to what does not depend on θ.
    detect : callable or None
        ``detect(x, rng)`` gives the reconstructed events; rows of NaN are lost. None: the fit is at
        generator level.
    prepare : callable or None
        ``prepare(sample, rng)`` changes the finished samples.
    two_samples : bool
        Whether there are two values of θ, nominal and truth. Weights are learned, θ is not fitted.
    has_bound : bool
        Whether there is a Cramér-Rao bound.
    told_by : tuple of str
        Empty for a clean case. Otherwise the classes of warnings of which one tells what is wrong;
        an error tells it, too.
    can_be_right : bool
        Whether a broken case is in order without a warning, too, if its numbers are right.
    """

    name: str
    group: str
    names: tuple[str, ...]
    nominal: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    truth: tuple[float, ...]
    draw: Draw
    log_density: LogDensity
    detect: Callable[[Array, Rng], Array] | None = None
    prepare: Callable[[Bunch, Rng], None] | None = None
    two_samples: bool = False
    has_bound: bool = True
    told_by: tuple[str, ...] = ()
    can_be_right: bool = True

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong with the samples."""
        return not self.told_by

    def log_ratio(self, x: Array, theta: Array) -> Array:
        """Compute the exact log p(x|θ)/p(x|θ₀), (n,), for x (n, f) and θ (p,) or (n, p).

        It is infinite where one of the densities is zero, and NaN where there is no ratio.
        """
        theta = np.broadcast_to(np.asarray(theta, dtype=float), (len(x), len(self.names)))
        nominal = np.broadcast_to(self.nominal, theta.shape)
        with np.errstate(invalid="ignore"):
            return self.log_density(x, theta) - self.log_density(x, nominal)

    def at(self, theta: tuple[float, ...], n: int, rng: Rng) -> Array:
        """Draw n events at one θ."""
        return self.draw(np.tile(np.asarray(theta, dtype=float), (n, 1)), rng)

    def sample(self, n: int, seed: list[int]) -> Bunch:
        """Draw generator sample (n nominal and n varied events), simulation and data, n each."""
        rng = np.random.default_rng(seed)
        if self.two_samples:
            varied = np.tile(self.truth, (n, 1))
        else:
            varied = rng.uniform(self.low, self.high, (n, len(self.names)))
        theta = np.concatenate([np.tile(self.nominal, (n, 1)), varied])
        gen = self.draw(theta, rng)
        sim_gen = self.at(self.nominal, n, rng)
        data = self.at(self.truth, n, rng)
        sim_reco = None
        if self.detect is not None:
            sim_reco, data = self.detect(sim_gen, rng), self.detect(data, rng)
            data = data[~np.isnan(data).all(axis=1)]
        sample = Bunch(
            gen=gen,
            theta=pd.DataFrame(theta, columns=list(self.names)),
            gen_weight=None,
            sim_gen=sim_gen,
            sim_reco=sim_reco,
            sample_weight=None,
            data=data,
        )
        if self.prepare is not None:
            self.prepare(sample, rng)
        return sample

    def judge(self, n: int, seed: list[int]) -> tuple[Array, Array]:
        """Draw nominal events in the core, and θ from the range, that weights are judged at."""
        rng = np.random.default_rng(seed)
        x = self.at(self.nominal, n, rng)
        low, high = np.quantile(x, CORE, axis=0)
        x = x[((x >= low) & (x <= high)).all(axis=1)]
        if self.two_samples:
            return x, np.tile(self.truth, (len(x), 1))
        return x, rng.uniform(self.low, self.high, (len(x), len(self.names)))
