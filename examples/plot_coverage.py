"""
Do the errors cover?
====================

A quoted error is right if over many experiments the truth lies within one error in 68% of them.
`skdctr.coverage.run_toys` repeats everything, simulation, data and fit, and counts.
"""

# %%
# A toy is made by one function and fitted by another. Both are given a seed of their own, so that
# the result depends neither on the number of processes nor on interruptions; with ``path=`` a long
# campaign is kept in a file and goes on where it stopped.

import matplotlib.pyplot as plt

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.coverage import run_toys
from skdctr.datasets import make_gaussian
from skdctr.plotting import PullDisplay

N = 3_000


def simulate(theta, random_state):
    """Draw generator sample, simulation and data."""
    return make_gaussian(N, mu=theta[0], random_state=random_state)


def fit(toy, random_state):
    """Fit by the optimal observable, with exact weights for the sake of time."""
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    fitter = SRGNFitter(
        exact,
        objective="optimal_observable",
        max_epochs=4,
        batch_size=500,
        random_state=random_state,
    )
    return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data, gen=toy.gen, theta=toy.theta)


result = run_toys(simulate, fit, n_toys=40, theta={"mu": 0.5}, random_state=1)
print(result)

# %%
# The pulls, (fitted − true)/error, against a unit Gaussian.

PullDisplay.from_coverage(result)
plt.show()
