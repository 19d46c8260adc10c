"""Preparation of features and of sets of particles, as scikit-learn transformers.

Events in any form come in; numbers for networks, or sets of prepared particles, go out. Nothing is
imported here but `events`: what is prepared may go to any estimator.
"""

from skdctr.events.packed import PackedEvents
from skdctr.preprocessing.feature_coder import FeatureCoder
from skdctr.preprocessing.particle_moments import ParticleMoments
from skdctr.preprocessing.particle_preprocessor import ParticlePreprocessor

__all__ = ["FeatureCoder", "PackedEvents", "ParticleMoments", "ParticlePreprocessor"]
