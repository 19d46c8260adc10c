"""Forty cases whose log-ratio is known exactly: 28 clean ones and 12 with something wrong.

A clean case must give right numbers and no warning. In a broken one the numbers are right all the
same, or a warning or an error tells what is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import _densities as smooth
import _mixed_densities as mixed
import numpy as np
from _case import Case
from _densities import Array, Rng, log_normal_density
from sklearn.utils import Bunch

RESOLUTION = 0.5


def smear(x: Array, rng: Rng) -> Array:
    """Add a Gaussian resolution."""
    return rng.normal(x, RESOLUTION)


def lose(x: Array, rng: Rng) -> Array:
    """Smear, and lose events with an acceptance that rises with x_G."""
    seen = smear(x, rng)
    seen[rng.random(len(x)) > 1 / (1 + np.exp(-(x[:, 0] + 0.5)))] = np.nan
    return seen


def weigh(sample: Bunch, rng: Rng) -> None:
    """Draw the Gaussians of generator and simulation too wide, and weight them to width 1."""
    too_wide = 1.2
    for name, weight, mean in (
        ("gen", "gen_weight", sample.theta.to_numpy()),
        ("sim_gen", "sample_weight", np.zeros((len(sample.sim_gen), 1))),
    ):
        x = rng.normal(mean, too_wide)
        log_weight = log_normal_density(x, mean, 1.0) - log_normal_density(x, mean, too_wide)
        sample[name], sample[weight] = x, np.exp(log_weight[:, 0])


def one_bad_feature(sample: Bunch, rng: Rng) -> None:
    """Give one generator event a code for "not measured"."""
    sample.gen[rng.integers(len(sample.gen)), 0] = -999_999.0


def one_bad_theta(sample: Bunch, rng: Rng) -> None:
    """Give one varied generator event an absurd θ."""
    row = len(sample.theta) // 2 + rng.integers(len(sample.theta) // 2)
    sample.theta.iloc[row, 0] = 1e9


def another_model(sample: Bunch, rng: Rng) -> None:
    """Take data that are wider than any θ makes them."""
    sample.data = rng.normal(0.5, 1.3, sample.data.shape)


def another_unit(sample: Bunch, _: Rng) -> None:
    """Give the data in MeV beside a simulation in GeV."""
    sample.data = 1000 * sample.data


def negative_weights(sample: Bunch, rng: Rng) -> None:
    """Give so many events of the second sample a weight of −1 that the density is negative."""
    weight = np.ones(len(sample.gen))
    above = (sample.theta.iloc[:, 0] == 1) & (sample.gen[:, 0] > mixed.NEGATIVE_FROM)
    weight[above & (rng.random(len(weight)) < mixed.NEGATIVE_SHARE)] = -1
    sample.gen_weight = weight


def case(
    name: str, group: str, kind: str, nominal: Any, low: Any, high: Any, truth: Any, **more: Any
) -> Case:
    """Make a case from the functions of the two modules that are named after its kind."""
    points = [tuple(np.atleast_1d(point).astype(float)) for point in (nominal, low, high, truth)]
    names = more.pop("names", ("theta",))
    module = smooth if hasattr(smooth, f"draw_{kind}") else mixed
    of_kind = (getattr(module, f"draw_{kind}"), getattr(module, f"log_{kind}"))
    return Case(name, group, names, *points, *of_kind, **more)


_PAIR = {"two_samples": True, "has_bound": False}
_SHIFT = case("gauss_shift", "Gaussian", "shift", 0, -2, 2, 0.6)

CLEAN = [
    _SHIFT,
    case("gauss_width", "Gaussian", "width", 1, 0.7, 1.35, 1.15),
    case(
        *("gauss_2d", "Gaussian", "mean_width", (0, 1), (-1, 0.75), (1, 1.3), (0.4, 0.9)),
        names=("mu", "sigma"),
    ),
    case(
        *("correlated", "Gaussian", "correlated"),
        *((0, 1, 0), (-1, 0.8, -0.5), (1, 1.25, 0.5), (0.3, 1.1, 0.2)),
        names=("mean", "width", "correlation"),
    ),
    case("lifetime", "positive", "lifetime", 1, 0.5, 1.8, 1.2),
    case("log_normal", "positive", "log_normal", 0, -0.6, 0.6, 0.2),
    case("gamma", "positive", "gamma", 3, 2, 4.5, 3.4),
    case("beta", "positive", "beta", 2, 1.3, 3.2, 2.4),
    case("spectrum", "positive", "spectrum", 5, 4, 6.5, 4.6),
    case(
        *("breit_wigner", "peak", "breit_wigner"),
        *((91.2, 2.5), (90, 1.8), (92.4, 3.4), (91, 2.3)),
        names=("mass", "width"),
    ),
    case("two_peaks", "peak", "two_peaks", 0.5, 0.1, 0.9, 0.35),
    case("signal", "peak", "signal", 0.15, 0.02, 0.4, 0.1),
    case("in_mev", "peak", "in_mev", 80_377, 78_377, 82_377, 80_900),
    case(
        *("angular", "angle", "angular", (0, 0.5), (-0.6, 0), (0.6, 1), (0.25, 0.35)),
        names=("a", "b"),
    ),
    case("direction", "angle", "direction", 3, 2.4, 3.6, 3.2),
    case("counts", "discrete", "counts", 5, 3.5, 7, 5.6),
    case("category", "discrete", "category", 0, -1, 1, 0.3),
    case("steps", "steps", "steps", 0, -1, 1, 0.4),
    case("steps_pair", "steps", "steps", 0, 1, 1, 1, **_PAIR),
    case("smooth_pair", "smooth", "smooth", 0, 1, 1, 1, **_PAIR),
    case("quadratic", "smooth", "quadratic", 0, -0.5, 2, 0.6),
    case("student", "tail", "student", 0, -1, 1, 0.3),
    case("cauchy", "tail", "cauchy", 0, -1, 1, 0.3),
    case("atom", "atom", "atom", 0.3, -0.7, 1.3, 0.6),
    case("sentinel", "atom", "sentinel", 0, -1, 1, 0.3),
    replace(_SHIFT, name="smeared", group="detector", detect=smear),
    replace(_SHIFT, name="lossy", group="detector", detect=lose),
    replace(_SHIFT, name="weighted", group="weights", prepare=weigh),
]
_BROKEN = replace(_SHIFT, group="broken")
_SUPPORT = ("SupportWarning", "ExtrapolationWarning", "ModelMismatchWarning")
_FEW = ("LowEffectiveSampleSizeWarning",)

BROKEN = [
    replace(
        _BROKEN,
        name="bad_feature",
        draw=smooth.draw_two_features,
        prepare=one_bad_feature,
        told_by=("ExtrapolationWarning", "FeatureWarning"),
    ),
    replace(
        _BROKEN,
        name="bad_theta",
        prepare=one_bad_theta,
        told_by=("OutlierWarning", "ExtrapolationWarning", "NominalWarning"),
    ),
    case("no_support", "broken", "apart", 0, 0, 0.5, 0.2, told_by=_SUPPORT),
    case("endpoint", "broken", "endpoint", 1, 0.8, 1.2, 1.1, told_by=_SUPPORT, has_bound=False),
    case(
        *("narrow_peak", "broken", "narrow", 91.2, 86.2, 96.2, 93),
        told_by=(*_SUPPORT, "ConvergenceWarning", *_FEW),
    ),
    replace(
        _BROKEN,
        name="mismatch",
        prepare=another_model,
        told_by=("ModelMismatchWarning",),
        can_be_right=False,
        has_bound=False,
    ),
    replace(_BROKEN, name="few_effective", low=(-3.5,), high=(3.5,), truth=(3.0,), told_by=_FEW),
    replace(
        _BROKEN,
        name="data_in_mev",
        prepare=another_unit,
        told_by=("ExtrapolationWarning", "UnitWarning"),
        can_be_right=False,
    ),
    replace(
        _BROKEN,
        name="outside",
        low=(-1.0,),
        high=(1.0,),
        truth=(1.5,),
        told_by=("ConvergenceWarning", "ExtrapolationWarning"),
    ),
    case(
        *("negative", "broken", "negative", 0, 1, 1, 1),
        **_PAIR,
        prepare=negative_weights,
        told_by=("NegativeDensityWarning",),
        can_be_right=False,
    ),
    case("angle_untold", "broken", "angle", 3, 2.4, 3.6, 3.2, told_by=("FeatureWarning",)),
    case("infinite_variance", "broken", "width", 1, 0.7, 1.8, 1.6, told_by=_FEW),
]
CASES = {each.name: each for each in (*CLEAN, *BROKEN)}

# A quick look at every kind, for each change: ten clean cases and two broken ones.
SUBSET = (
    *("gauss_shift", "gauss_width", "lifetime", "breit_wigner", "signal", "angular"),
    *("steps", "cauchy", "sentinel", "lossy", "bad_feature", "no_support"),
)
