"""Data sets with a known truth: analytic Gaussians, jets of Pythia 8, and top quark pairs.

Sizes, parameters, seeds and files come in; samples with their truth go out, and tables of events.
No estimator and no network may be imported here, and no optional package before it is needed.
"""

from skdctr.datasets.files.hepmc import read_hepmc
from skdctr.datasets.files.lhe import read_lhe
from skdctr.datasets.files.readers import read_events
from skdctr.datasets.files.streams import events_to_npy, iterate_events
from skdctr.datasets.gaussian.density_ratios import (
    dependent_detector_log_weight,
    dependent_detector_log_weight_primary,
    gaussian_2d_log_weight,
    gaussian_log_weight,
)
from skdctr.datasets.gaussian.samples import (
    make_dependent_detector,
    make_gaussian,
    make_gaussian_2d,
)
from skdctr.datasets.generator.parameters import PARAMETERS, GeneratorParameter
from skdctr.datasets.jets.observables import jet_observables
from skdctr.datasets.jets.parton_shower import make_parton_shower
from skdctr.datasets.jets.published import fetch_published
from skdctr.datasets.jets.tuning import make_parton_shower_tuning
from skdctr.datasets.top_mass.detector import ParametricDetector
from skdctr.datasets.top_mass.generate import make_top_mass, make_top_mass_events
from skdctr.datasets.top_mass.jet_scale import scale_jets, scale_observables
from skdctr.datasets.top_mass.observables import neutrino_pz, top_mass_observables
from skdctr.datasets.top_mass.samples import fetch_top_mass, load_top_mass

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
    "read_hepmc",
    "read_lhe",
    "scale_jets",
    "scale_observables",
    "top_mass_observables",
]
