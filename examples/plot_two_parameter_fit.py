"""
==================
Two parameters
==================

Mean and width of a Gaussian behind a detector, fitted at once: Fig. 7 and Table II of the SRGN
paper (arXiv:2010.03569). The truth is (μ, σ) = (-1, 0.75), the simulation has (0, 1).
"""

import matplotlib.pyplot as plt
from matplotlib import rcParams

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian_2d
from skdctr.plotting import Scan2DDisplay

rcParams["legend.loc"] = "upper right"

# %%
# Generator events over a range of both parameters, simulation and data. Generator events are cheap,
# and what their number leaves open is a part of the errors of the fit: take plenty.

toy = make_gaussian_2d(
    50_000,
    n_gen=150_000,
    bounds={"mu": (-2, 2), "sigma": (0.4, 2)},
    as_frame=True,
    random_state=1,
)
reweighter = DCTRReweighter(random_state=1).fit(toy.gen, toy.theta)

# %%
# The fit, with its errors by source.

fitter = SRGNFitter(reweighter, random_state=1).fit(toy.sim_gen, toy.sim_reco, toy.data)
print(fitter.result_)
print(fitter.result_.correlation.round(2))

# %%
# A grid of small classifiers shows the AUC over the plane; the right panel is a close-up of the
# fit.

scan = SRGNFitter(
    reweighter,
    search="scan",
    n_points=7,
    bounds={"mu": (-2, 1), "sigma": (0.45, 1.65)},
    hidden_layer_sizes=(32,),
    batch_size=1000,
    random_state=1,
).fit(toy.sim_gen, toy.sim_reco, toy.data)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
display = Scan2DDisplay.from_estimator(
    scan,
    result=fitter.result_,
    truth=toy.theta_true,
    labels=["μ [nominal width]", "σ [nominal width]"],
    ax=axes[0],
)
display.plot(ax=axes[1], zoom=4)
plt.show()
