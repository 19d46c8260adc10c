"""
=============
AUC and loss
=============

Two ways to say how well the simulation at μ describes the data: the AUC of a trained classifier,
lowest at the best μ, and its loss, highest there. Fig. 12 of the SRGN paper (arXiv:2010.03569)
compares the values that they fit. Exact weights are used here, so that all of the difference is
that of the objectives.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.datasets import make_gaussian
from skdctr.plotting import ScanDisplay

N_TOYS, N_EVENTS = 4, 20_000
CLASSIFIER = {"hidden_layer_sizes": (32,), "batch_size": 1000}

# %%
# One toy, scanned. Both quantities come from the same classifiers.


def exact(toy):
    return AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds={"mu": (-2, 2)})


toy = make_gaussian(N_EVENTS, mu=1.0, random_state=1)
samples = toy.sim_gen, toy.sim_reco, toy.data
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, objective in zip(axes, ("auc", "loss"), strict=True):
    scan = SRGNFitter(
        exact(toy),
        objective=objective,
        search="scan",
        n_points=13,
        bounds={"mu": (0.4, 1.6)},
        random_state=1,
        **CLASSIFIER,
    ).fit(*samples)
    ScanDisplay.from_estimator(scan, quantity=objective, xlabel="μ [units of the width]", ax=ax)

# %%
# Several toys, each fitted with both.

fits = {"auc": [], "loss": []}
for seed in range(1, N_TOYS + 1):
    toy = make_gaussian(N_EVENTS, mu=1.0, random_state=seed)
    for objective, values in fits.items():
        fitter = SRGNFitter(exact(toy), objective=objective, random_state=seed, **CLASSIFIER)
        fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
        values.append((fitter.theta_[0], fitter.result_.errors[0]))

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for k, (objective, values) in enumerate(fits.items()):
    value, error = np.transpose(values)
    name = {"auc": "AUC", "loss": "Loss"}[objective]
    print(
        f"{name}: mean {value.mean():.4f} ± {value.std(ddof=1) / N_TOYS**0.5:.4f}, "
        f"spread {value.std(ddof=1):.4f} over {N_TOYS} toys, truth 1"
    )
    ax.errorbar(
        np.arange(1, N_TOYS + 1) + 0.15 * (k - 0.5),
        value,
        error,
        fmt="os"[k],
        color=("#0072B2", "#D55E00")[k],
        label=f"{name}: {value.mean():.3f}, spread {value.std(ddof=1):.3f}",
    )
ax.axhline(1.0, color="black", linewidth=0.8, label="Truth")
ax.set_xticks(range(1, N_TOYS + 1))
ax.set_xlabel("Toy")
ax.set_ylabel("Fitted μ [units of the width]")
ax.margins(y=0.35)
ax.legend(ncols=3, fontsize="small", frameon=False, loc="upper center")
plt.show()
