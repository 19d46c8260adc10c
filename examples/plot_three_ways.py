"""
One fit, three ways
===================

The mean of a Gaussian behind a detector, fitted with the same weights by the AUC of classifiers as
the paper descended on it (Powell), by the AUC as this package searches it, and by the optimal
observable, which trains no classifier to find the parameter. Precision and cost side by side.
"""

# %%
# The weights are exact here, so that what differs is the fit alone.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.datasets import make_gaussian
from skdctr.exceptions import ConvergenceWarning

N = 20_000
TOYS = 3
MU = 1.0
WAYS = {
    "AUC, Powell": {"search": "powell", "max_evaluations": 25},
    "AUC, surrogate": {"search": "surrogate"},
    "optimal observable": {"objective": "optimal_observable"},
}

# %%
# Every toy has its own simulation, generator sample and data.

values = {way: [] for way in WAYS}
seconds = {way: [] for way in WAYS}
quoted = {way: [] for way in WAYS}
for seed in range(TOYS):
    toy = make_gaussian(N, mu=MU, random_state=seed)
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    for way, options in WAYS.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            # A single descent warns of its rough error, and stops at the limit set above.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitter = SRGNFitter(exact, random_state=seed, **options)
            fitter.fit(toy.sim_gen, toy.sim_reco, toy.data, gen=toy.gen, theta=toy.theta)
        values[way].append(fitter.theta_[0])
        quoted[way].append(np.sqrt(fitter.covariance_[0, 0]))
        seconds[way].append(time.perf_counter() - start)

# %%
# The band is the error that data of this size would have if all else were known (the Cramér-Rao
# bound, √1.25/√N).

bound = np.sqrt(1.25 / N)
figure, (left, right) = plt.subplots(
    1, 2, figsize=(8.5, 3.4), sharey=True, width_ratios=(2, 1), layout="constrained"
)
left.axvspan(MU - bound, MU + bound, color="0.85", label="data-only bound")
for row, way in enumerate(WAYS):
    for k, (value, error) in enumerate(zip(values[way], quoted[way], strict=True)):
        left.errorbar(
            value, row + 0.12 * (k - (TOYS - 1) / 2), xerr=error, fmt="o", ms=4, color=f"C{row}"
        )
    right.barh(row, np.mean(seconds[way]), color=f"C{row}", height=0.5)
left.set_yticks(range(len(WAYS)), WAYS)
left.set_xlabel("fitted μ, each toy with its quoted error")
left.invert_yaxis()
left.legend(loc="lower right", fontsize="small")
right.set_xlabel("mean time of a fit [s]")
plt.show()

# %%
# In numbers:

for way in WAYS:
    off = np.array(values[way]) - MU
    print(
        f"{way:20s} rms of μ* − μ {np.sqrt((off**2).mean()):.4f}, "
        f"quoted {np.mean(quoted[way]):.4f}, {np.mean(seconds[way]):.1f} s"
    )
