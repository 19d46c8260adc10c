"""The draws of the Gaussian examples: generator events, simulation and data of one Bunch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skdctr._utils.device import checked_random_state
from skdctr._utils.typing import FloatArray

__all__ = ["draw_samples", "gaussian_detector"]


def draw_samples(
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
    """Draw generator events, simulation and data, each from a random stream of its own.

    Parameters
    ----------
    events : callable
        ``events(rng, theta)`` draws generator-level events, (n, f), at θ of shape (n, p).
    detector : callable
        ``detector(rng, events)`` smears generator-level events to the reconstructed feature,
        (n, 1).
    sizes : tuple of int
        Numbers of generator events per class, of simulated events and of data events.
    theta_nominal, theta_true : dict of str to float
        Parameters of the simulation and of the data.
    bounds : dict of str to tuple
        Range (low, high) of each varied parameter.
    feature_names : list of str of length f
        Columns of generator-level events.
    as_frame : bool
        Whether samples are DataFrames.
    random_state : int, RandomState instance or None
        Seed.
    **known
        Further attributes of the result, such as the exact density ratio.

    Returns
    -------
    Bunch
        The samples, as `make_gaussian` documents them.

    Raises
    ------
    TypeError
        If `as_frame` is not a bool.
    """
    if not isinstance(as_frame, bool):
        raise TypeError(f"as_frame must be a bool, got {as_frame!r}; pass True or False.")
    n_gen, n_sim, n_data = sizes
    names = list(theta_nominal)
    nominal = np.array([theta_nominal[name] for name in names])
    true = np.array([theta_true[name] for name in names])
    limits = np.array([bounds[name] for name in names])

    entropy = checked_random_state(random_state).randint(2**32, size=4, dtype=np.uint32)
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


def gaussian_detector(
    epsilon: float,
) -> Callable[[np.random.Generator, FloatArray], FloatArray]:
    """Make a detector that adds a Gaussian error of width epsilon to the only feature."""

    def detector(rng: np.random.Generator, x: FloatArray) -> FloatArray:
        return x + epsilon * rng.standard_normal(x.shape)

    return detector
