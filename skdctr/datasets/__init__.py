"""Data sets with a known truth: analytic Gaussians, and jets of Pythia 8."""

from ._parameters import PARAMETERS, GeneratorParameter
from .gaussian import (
    dependent_detector_log_weight,
    dependent_detector_log_weight_primary,
    gaussian_2d_log_weight,
    gaussian_log_weight,
    make_dependent_detector,
    make_gaussian,
    make_gaussian_2d,
)
from .parton_shower import make_parton_shower, make_parton_shower_tuning

__all__ = [
    "PARAMETERS",
    "GeneratorParameter",
    "dependent_detector_log_weight",
    "dependent_detector_log_weight_primary",
    "gaussian_2d_log_weight",
    "gaussian_log_weight",
    "make_dependent_detector",
    "make_gaussian",
    "make_gaussian_2d",
    "make_parton_shower",
    "make_parton_shower_tuning",
]
