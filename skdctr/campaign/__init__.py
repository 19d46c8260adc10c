"""Ensembles on more than one machine: every member is kept at once, and none is trained twice.

An estimator with members and what its `fit` takes come in; the fitted estimator, and a directory
with its members, go out. Knows nothing of how a member is trained.
"""

from skdctr.campaign.ensemble import fit_ensemble, read_manifest

__all__ = ["fit_ensemble", "read_manifest"]
