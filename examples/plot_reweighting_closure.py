"""
==========================
Closure of the reweighting
==========================

A Gaussian at (μ, σ) = (0, 1) is reweighted to (1, 1.25) with learned and with exact weights: Fig. 3
and 6 of the SRGN paper (arXiv:2010.03569). The weights come from generator level, and close behind
the detector just as well.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdctr import AnalyticReweighter, DCTRReweighter
from skdctr.datasets import make_gaussian_2d
from skdctr.metrics import effective_sample_size, histogram_chi2
from skdctr.networks import MLP
from skdctr.plotting import ClosureDisplay, WeightDisplay

THETA = {"mu": 1.0, "sigma": 1.25}

# %%
# The generator events cover a range of both parameters. The "data" of this set are the target:
# events that were generated at the θ to which the nominal ones are reweighted. The network is the
# papers'.

toy = make_gaussian_2d(
    200_000,
    **THETA,
    bounds={"mu": (-2, 2), "sigma": (0.5, 2)},
    as_frame=True,
    random_state=1,
)
reweighter = DCTRReweighter(module=MLP, random_state=1).fit(toy.gen, toy.theta)
exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0, "sigma": 1.0}).fit(toy.sim_gen.to_numpy())
weights = {
    "Learned weights": reweighter.predict_weights(toy.sim_gen, THETA),
    "Exact weights": exact.predict_weights(toy.sim_gen.to_numpy(), THETA),
}

# %%
# Nominal, reweighted and target, on both levels, in units of the nominal width.

figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
levels = {
    "Generator level": (toy.sim_gen, toy.data_gen, "x at generator level [nominal width]"),
    "Simulation level": (toy.sim_reco, toy.data, "x at simulation level [nominal width]"),
}
for ax, (level, (nominal, target, xlabel)) in zip(axes, levels.items(), strict=True):
    ax.set_title(level)
    ClosureDisplay.from_predictions(
        nominal, target, weights, bins=np.linspace(-4, 6, 41), xlabel=xlabel, ax=ax
    )

# %%
# A χ² test of the shapes, and moments of the reweighted sample against the truth.

x = toy.sim_gen["x"]
for name, w in weights.items():
    mean = np.average(x, weights=w)
    width = np.sqrt(np.average((x - mean) ** 2, weights=w))
    n_eff = effective_sample_size(w)
    print(
        f"{name}: mean {mean:.4f} ± {width / n_eff**0.5:.4f} (truth 1), width {width:.4f} ± "
        f"{width / (2 * n_eff) ** 0.5:.4f} (truth 1.25), effective sample size {n_eff:.0f}"
    )
    for level, (nominal, target, _) in levels.items():
        test = histogram_chi2(target.iloc[:, 0], nominal.iloc[:, 0], weight_sample=w)
        print(f"  {level}: χ² = {test.chi2:.1f} for {test.ndf} degrees, p = {test.p_value:.2f}")

# %%
# Event by event.

WeightDisplay.from_estimator(reweighter, toy.sim_gen, list(THETA.values()), toy.log_weight)
plt.show()
