"""Data sets with a known truth: analytic Gaussians, jets of Pythia 8, and top quark pairs."""

from skdctr.datasets.files.streams import events_to_npy, iterate_events
from skdctr.datasets.gaussian.samples import (
    dependent_detector_log_weight,
    dependent_detector_log_weight_primary,
    gaussian_2d_log_weight,
    gaussian_log_weight,
    make_dependent_detector,
    make_gaussian,
    make_gaussian_2d,
)
from skdctr.datasets.generator.parameters import PARAMETERS, GeneratorParameter
from skdctr.datasets.jets.observables import jet_observables
from skdctr.datasets.jets.parton_shower import make_parton_shower, make_parton_shower_tuning
from skdctr.datasets.jets.published import fetch_published
from skdctr.datasets.top_mass.generate import (
    ParametricDetector,
    fetch_top_mass,
    load_top_mass,
    make_top_mass,
    make_top_mass_events,
    neutrino_pz,
    read_events,
    scale_jets,
    scale_observables,
    top_mass_observables,
)

__all__ = [
    "PARAMETERS",
    "GeneratorParameter",
    "ParametricDetector",
    "dependent_detector_log_weight",
    "dependent_detector_log_weight_primary",
    "events_to_npy",
    "fetch_published",
    "fetch_top_mass",
    "gaussian_2d_log_weight",
    "gaussian_log_weight",
    "iterate_events",
    "jet_observables",
    "load_top_mass",
    "make_dependent_detector",
    "make_gaussian",
    "make_gaussian_2d",
    "make_parton_shower",
    "make_parton_shower_tuning",
    "make_top_mass",
    "make_top_mass_events",
    "neutrino_pz",
    "read_events",
    "scale_jets",
    "scale_observables",
    "top_mass_observables",
]
