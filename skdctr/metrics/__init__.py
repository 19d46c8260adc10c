"""Figures of merit of weighted samples, in numpy.

Scores or observables come in, with the weights of the events; areas, errors, p-values and effective
sizes go out. Nothing is imported here but numpy, SciPy and `_utils`: no network and no training.

Weights may be negative, as generators beyond leading order produce them: a weighted sum is then
a signed one. The one condition is that the weights of each sample have a positive sum, without
which nothing can be normalised.
"""

from skdctr.metrics.auc import AUCPlacements, auc_placements, weighted_auc
from skdctr.metrics.effective_size import effective_sample_size
from skdctr.metrics.histogram import Chi2Result, histogram_chi2
from skdctr.metrics.tail import pareto_tail_index

__all__ = [
    "AUCPlacements",
    "Chi2Result",
    "auc_placements",
    "effective_sample_size",
    "histogram_chi2",
    "pareto_tail_index",
    "weighted_auc",
]
