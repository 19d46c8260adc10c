"""The score of a fit: how well the reference classifier tells data from simulation at θ*."""

from __future__ import annotations

from typing import Any

from skdctr.comparison.classifier import Classifier
from skdctr.comparison.classifier_objective import ClassifierObjective
from skdctr.fitting.samples import Samples

__all__ = ["auc_score"]


def auc_score(fitter: Any, samples: Samples, classifier: Classifier) -> float:
    """Compute the AUC at θ* with the simulation as the positive class.

    Parameters
    ----------
    fitter : SRGNFitter or DCTRFitter
        A fitted fitter.
    samples : Samples
        Simulation and data that the classifier tells apart.
    classifier : Classifier
        The judge of all fits alike, by which GridSearchCV compares them.

    Returns
    -------
    float
        Pr[g(simulation) > g(data)] = 1 − AUC of SRGN Eq. 5: at most 0.5 but for noise.
    """
    kept = samples.reconstructed()
    objective = ClassifierObjective(
        fitter.reweighter_.bind(kept.sim_gen),
        kept.compared(),
        classifier,
        names=fitter.theta_names_,
        seed=0,
    )
    return 1.0 - objective(fitter.theta_).auc
