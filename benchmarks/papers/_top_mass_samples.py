"""Samples of a fit of the top quark mass, and the features that the networks see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

INPUTS = {
    "four": ["m_b1munu", "m_b2munu", "m_b1j1j2", "m_b2j1j2"],
    "m_b1munu": ["m_b1munu"],
}
LEVELS = ("generator", "reco")


def features(frame: pd.DataFrame | None, names: list[str]) -> pd.DataFrame | None:
    """Stretch the masses about the peak and compress the tails: linear within 20 GeV of 172.5."""
    return None if frame is None else np.arcsinh((frame[names] - 172.5) / 20.0)


@dataclass
class Samples:
    """The samples of a fit, all observables."""

    gen: pd.DataFrame
    theta: pd.DataFrame
    sim_gen: pd.DataFrame
    sim_reco: pd.DataFrame | None
    data: pd.DataFrame
    sample_weight: Any = None
    data_weight: Any = None


def subtract_fakes(data: pd.DataFrame, bunch: Any) -> tuple[pd.DataFrame, Any]:
    """Take from the data, by negative weights, what passes at reco level only in the simulation."""
    seen = int(bunch.sim_reco.notna().all(axis=1).sum())
    share = len(data) / (seen + len(bunch.sim_fakes))
    weight = np.r_[np.ones(len(data)), np.full(len(bunch.sim_fakes), -share)]
    return pd.concat([data, bunch.sim_fakes], ignore_index=True), weight


def samples(bunch: Any, level: str = "reco", *, fakes: str = "subtracted") -> Samples:
    """Choose the samples of a fit; `fakes` is "subtracted", "known" or "ignored"."""
    if level == "generator":
        return Samples(bunch.gen, bunch.theta, bunch.sim_gen, None, bunch.data_gen)
    made = Samples(bunch.gen, bunch.theta, bunch.sim_gen, bunch.sim_reco, bunch.data)
    if fakes == "known":
        made.data = bunch.data[~bunch.data_is_fake]
    elif fakes == "subtracted":
        made.data, made.data_weight = subtract_fakes(bunch.data, bunch)
    return made
