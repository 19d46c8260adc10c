"""
==============================
A Gaussian through a detector
==============================

The mean μ of a Gaussian of width 1 is fitted to data, once at generator level and once behind a
detector with a resolution of 0.5: Fig. 5 and Table I of the SRGN paper (arXiv:2010.03569). One
reweighter, trained on generator events only, serves both fits. Behind the detector the AUC rises
less steeply and the error is larger, as smearing loses information.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.datasets import make_gaussian
from skdctr.networks import SeparableNetwork
from skdctr.plotting import ScanDisplay

# %%
# Generator events at μ = 0 and at μ between -2 and 2, simulation at μ = 0, and data at μ = 1.

N_EVENTS = 50_000
toy = make_gaussian(N_EVENTS, mu=1.0, epsilon=0.5, as_frame=True, random_state=1)

# %%
# Learn the weights. The default trains a second network, to keep the better one; one does here.

reweighter = DCTRReweighter(module=SeparableNetwork, random_state=1, verbose=1)
reweighter.fit(toy.gen, toy.theta)

# %%
# Fit at both levels. The default search needs five or so values of μ; the scan, with a smaller
# classifier, is there for the picture only.

levels = {
    "Generator level": {"y": None, "data": toy.data_gen},
    "Simulation level": {"y": toy.sim_reco, "data": toy.data},
}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=(1.6, 1), layout="constrained")
lines = []
for level, samples in levels.items():
    fitter = SRGNFitter(reweighter, batch_size=1000, random_state=1, verbose=1)
    fitter.fit(toy.sim_gen, **samples)
    scan = SRGNFitter(
        reweighter,
        search="scan",
        n_points=9,
        hidden_layer_sizes=(32,),
        batch_size=1000,
        random_state=1,
        verbose=1,
    ).fit(toy.sim_gen, **samples)
    display = ScanDisplay.from_estimator(
        scan, result=fitter.result_, xlabel="μ [units of the width]", label=level, ax=axes[0]
    )
    display.plot_fit(ax=axes[1])
    result = fitter.result_
    lines.append(
        f"{level}: μ* = {result.theta[0]:.4f} ± {result.errors[0]:.4f}, "
        f"AUC = {result.auc:.4f} ± {result.auc_error:.4f}"
    )

axes[1].axvline(1.0, color="black", linewidth=0.8, linestyle=":")
axes[1].set_title("Fitted values; the truth is 1", fontsize="medium")

# %%
# The true value is 1, and an AUC of 0.5 says that no classifier tells data from simulation.

print("\n".join(lines))
path = Path("gaussian_fit.png").resolve()
figure.savefig(path, dpi=150)
print(f"The picture is in {path}")
plt.show()
