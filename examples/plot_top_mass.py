"""
=========================================
The top quark mass behind a full detector
=========================================

Top quark pairs of Pythia 8, in which one W decays to a muon and a neutrino, behind Delphes with its
CMS card: Fig. 10, 11 and Table IV of the SRGN paper (arXiv:2010.03569). Generator events at many
masses are cheap; the detector was simulated at 172.5 GeV only; the data have 175 GeV. The events
come with the package.
"""

# %%
# Four masses are the features: of each of the two b jets with the muon and the neutrino, and with
# the two hardest other jets. With ``level="either"`` the acceptance is part of the fit: simulated
# events that the detector loses are rows of NaN, and ``sim_fakes`` are events that it shows though
# they fail the selection at generator level.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.datasets import load_top_mass
from skdctr.networks import SeparableNetwork
from skdctr.plotting import ClosureDisplay, ScanDisplay

events = load_top_mass(level="either")
seen = events.sim_reco.notna().all(axis=1).to_numpy()
print(f"{len(events.gen)} generator events at {events.theta['mt'].nunique()} masses")
print(f"{len(events.sim_gen)} simulated events, of which the detector shows {seen.sum()}")
print(f"{len(events.data)} events of data")

# %%
# Such fakes are in the data too, and no weight describes them. They are subtracted as any
# background: the simulated ones join the data with negative weights.

share = len(events.data) / (seen.sum() + len(events.sim_fakes))
data = pd.concat([events.data, events.sim_fakes], ignore_index=True)
data_weight = np.r_[np.ones(len(events.data)), np.full(len(events.sim_fakes), -share)]
print(f"{share * len(events.sim_fakes):.0f} fakes expected in the data")

# %%
# What tells the mass is a narrow peak in a wide distribution. Networks see it better when it is
# stretched and the tails, which reach to TeV, are compressed.


def features(masses):
    return np.arcsinh((masses - 172.5) / 20.0)


# %%
# Learn the weights from the generator events. The default trains a second network, to keep the
# better one; one does here.

gen, sim_gen, sim_reco = (features(x) for x in (events.gen, events.sim_gen, events.sim_reco))
reweighter = DCTRReweighter(module=SeparableNetwork, random_state=1, verbose=1)
reweighter.fit(gen, events.theta)

# %%
# Closure. The simulation is reweighted from 172.5 to 175 GeV: at generator level, where the weights
# were learned, and behind the detector, where the same weights have to do. Where the missing
# momentum fits no W boson two of the masses are 0.

labels = {
    "m_b1munu": "m(b₁μν) [GeV]",
    "m_b2munu": "m(b₂μν) [GeV]",
    "m_b1j1j2": "m(b₁j₁j₂) [GeV]",
    "m_b2j1j2": "m(b₂j₁j₂) [GeV]",
}
levels = {
    "Generator level": (events.sim_gen, events.data_gen, None),
    "Behind the detector": (events.sim_reco, data, data_weight),
}
weights = reweighter.predict_weights(sim_gen, 175.0)
figure, axes = plt.subplots(2, 4, figsize=(17, 9), layout="constrained")
for row, (level, (sim, target, target_weight)) in zip(axes, levels.items(), strict=True):
    shown = sim.notna().all(axis=1)
    for ax, (name, label) in zip(row, labels.items(), strict=True):
        ax.set_title(level)
        ClosureDisplay.from_predictions(
            sim[name][shown],
            target[name],
            weights[shown],
            target_weight=target_weight,
            bins=np.arange(0, 401, 10) if "munu" in name else np.arange(0, 801, 20),
            target_name="Data",
            xlabel=label,
            ax=ax,
        )
plt.show()

# %%
# Fit behind the detector, first as the paper does: at one mass after the other a classifier tries
# to tell the data from the weighted simulation, and the AUC is smallest at the mass that fits. The
# default search looks for the minimum where it can be seen best, on both sides of it; the scan is
# there for the picture.

samples = {"data": features(data), "data_weight": data_weight}
by_auc = SRGNFitter(reweighter, random_state=1, verbose=1).fit(sim_gen, sim_reco, **samples)
scan = SRGNFitter(
    reweighter,
    search="scan",
    bounds={"mt": (169.0, 181.0)},
    n_points=13,
    random_state=1,
    verbose=1,
).fit(sim_gen, sim_reco, **samples)
figure, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
ScanDisplay.from_estimator(scan, result=by_auc.result_, xlabel="Top quark mass [GeV]", ax=ax)
ax.axvline(175.0, color="black", linewidth=0.8, linestyle=":")
plt.show()

# %%
# Then by the optimal observable, which trains no classifier to find the mass. The generator sample
# corrects the weights where they are off, and its own error is part of the result.

optimal = SRGNFitter(
    FrozenEstimator(reweighter), objective="optimal_observable", random_state=1
).fit(sim_gen, sim_reco, **samples, gen=gen, theta=events.theta)

# %%
# The truth is 175.

for fitter in (by_auc, optimal):
    print(fitter.result_)
    print(fitter.result_.to_frame().round(2), end="\n\n")
