"""Warnings and errors of the package; each derives from scikit-learn's where it has one."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.exceptions import NotFittedError as SklearnNotFittedError

__all__ = [
    "ClosureFitWarning",
    "ConvergenceWarning",
    "ExtrapolationWarning",
    "FeatureWarning",
    "IdentifiabilityWarning",
    "LowEffectiveSampleSizeWarning",
    "ModelMismatchWarning",
    "NegativeDensityWarning",
    "NominalWarning",
    "NotFittedError",
    "OutlierWarning",
    "PopulationWarning",
    "SkdctrError",
    "SkdctrWarning",
    "SupportWarning",
    "UnitWarning",
]


class SkdctrError(Exception):
    """Base of the package's errors; `NotFittedError` is the only one.

    Arguments and events that are not as they should be raise ValueError or TypeError.
    """


class NotFittedError(SkdctrError, SklearnNotFittedError):
    """The reweighter of a fit is not fitted, and there is no generator sample to fit it to.

    Methods of estimators that are not fitted raise scikit-learn's, which this one derives from.
    """


class SkdctrWarning(UserWarning):
    """Base of the package's warnings: physics that the user must know of."""


class ExtrapolationWarning(SkdctrWarning):
    """Weights were asked for outside the trained range of θ or the support of the features."""


class LowEffectiveSampleSizeWarning(SkdctrWarning):
    """Few events carry most of the weight."""


class ConvergenceWarning(SkdctrWarning, SklearnConvergenceWarning):
    """A search or a training stopped before it converged, or at a bound."""


class IdentifiabilityWarning(SkdctrWarning):
    """The data do not determine a parameter."""


class ClosureFitWarning(SkdctrWarning):
    """No data were given: the simulation is fitted to itself."""


class NegativeDensityWarning(SkdctrWarning):
    """Negative event weights outweigh positive ones in a region, where no ratio exists."""


class NominalWarning(SkdctrWarning):
    """θ₀, which weights are relative to, had to be guessed from θ of the generator sample."""


class OutlierWarning(SkdctrWarning):
    """Few events have a θ, or a feature, so far from all others that it does not count."""


class PopulationWarning(SkdctrWarning):
    """The simulation and the generator sample were selected differently."""


class ModelMismatchWarning(SkdctrWarning):
    """At the fitted θ data and simulation can still be told apart: no θ describes the data."""


class SupportWarning(SkdctrWarning):
    """A part of the target lies where the nominal sample has no events that could be reweighted."""


class FeatureWarning(SkdctrWarning):
    """Features are no plain numbers, but angles or codes of particle types, or are too many."""


class UnitWarning(SkdctrWarning):
    """Energies look like MeV where GeV are expected."""
