"""The table of all public callables, and those that are left out, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import estimators, files, others, pictures, samples, sets
from fuzz.verdict import Entry

AREAS = {
    "estimators": estimators.entries,
    "others": others.entries,
    "samples": samples.entries,
    "files": files.entries,
    "sets": sets.entries,
    "pictures": pictures.entries,
}

_RECORD = "a record that the package makes, which checks nothing"
_SAME = "what DCTRReweighter and AnalyticReweighter have of it is tried there"
_DISPLAY = "holds what its from_ methods have computed and checked"
_NOTHING = "takes no argument"

# Public callables without cases, and why.
LEFT_OUT = {
    "skdctr.closure.ClassifierTestResult.__init__": _RECORD,
    "skdctr.closure.ClosureReport.__init__": _RECORD,
    "skdctr.coverage.CoverageResult.__init__": _RECORD,
    "skdctr.datasets.GeneratorParameter.__init__": _RECORD,
    "skdctr.metrics.AUCPlacements.__init__": _RECORD,
    "skdctr.metrics.Chi2Result.__init__": _RECORD,
    "skdctr.networks.PackedTensors.__init__": _RECORD,
    "skdctr.preprocessing.PackedEvents.__init__": _RECORD + "; from_events does",
    "skdctr.results.FitResult.__init__": _RECORD,
    "skdctr.results.FitResult.expectation": _NOTHING,
    "skdctr.results.FitResult.to_frame": _NOTHING,
    **{
        f"skdctr.plotting.{name}Display.__init__": _DISPLAY
        for name in ("Closure", "Contour", "Profile", "Pull", "Scan2D", "Scan", "Weight")
    },
    **{
        f"skdctr.reweighting.BaseReweighter.{name}": _SAME
        for name in (
            "__init__",
            "bind",
            "expected_auc",
            "log_weight_gradient",
            "predict_log_weights",
            "predict_weights",
            "unseen_folds",
            "unsupported",
        )
    },
    **{
        f"skdctr.exceptions.{name}.__init__": "an exception takes any arguments"
        for name in (
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
        )
    },
}


def entries() -> Iterator[Entry]:
    """Go through the well-formed calls of all public callables."""
    for area in AREAS.values():
        yield from area()


def covered() -> set[str]:
    """Return the names of the callables that have cases, without what distinguishes the calls."""
    return {entry.name.partition(" ")[0] for entry in entries()}
