"""Ensembles on more than one machine: every member is kept at once, and none is trained twice.

An estimator with members and what its `fit` takes come in; the fitted estimator goes out, and a
directory with its members. No reweighter, fitter or network is imported here.
"""

from skdctr.campaign.ensemble import fit_ensemble, read_manifest

__all__ = ["fit_ensemble", "read_manifest"]
