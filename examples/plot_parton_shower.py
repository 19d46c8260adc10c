"""
=============================================
The strong coupling from the jet multiplicity
=============================================

Real events of Pythia 8, e⁺e⁻ → Z → jets at 91.2 GeV, generated while you wait. The strong coupling
of the parton shower is fitted to the number of particles in the hardest jet: Table III of the SRGN
paper (arXiv:2010.03569), row "Multiplicity", where 0.1601 ± 0.0014 was found for a truth of 0.16.

Needs the extra ``[pythia]``. Call ``main(n_events=1_000_000)`` for samples of the paper's size.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdctr import DCTRReweighter, SRGNFitter
from skdctr.datasets import make_parton_shower_tuning
from skdctr.plotting import ClosureDisplay, ScanDisplay

# %%
# All samples are generated first: the nominal one and one at varied αs for the reweighter, the
# simulation, and the data. There is no detector, so that the fit is at generator level. The error
# that the fit gives has parts of the data, of the simulation and of the reweighter's own sample,
# which is twice as large to keep its part small.


def main(n_events: int = 20_000, seed: int = 1, n_jobs: int = 2) -> None:
    jets = make_parton_shower_tuning(
        n_events,
        n_gen=2 * n_events,
        vary=("alphaS",),
        n_jobs=n_jobs,
        random_state=seed,
        cache=False,
        verbose=1,
    )
    gen, sim, data = (
        sample[["multiplicity"]].astype(float) for sample in (jets.gen, jets.sim_gen, jets.data)
    )
    reweighter = DCTRReweighter(random_state=seed, verbose=1).fit(gen, jets.theta)
    fitter = SRGNFitter(reweighter, random_state=seed, verbose=1).fit(sim, data=data)
    print(fitter.result_)
    print("truth: 0.16, nominal: 0.1365; the paper: 0.1601 ± 0.0014 from 1 000 000 events")

    # The multiplicity at the fitted αs beside the data, and the AUC over αs.
    scan = SRGNFitter(
        reweighter,
        search="scan",
        n_points=9,
        hidden_layer_sizes=(32,),
        bounds={"alphaS": (0.12, 0.18)},
        random_state=seed,
        verbose=1,
    ).fit(sim, data=data)
    _, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    ClosureDisplay.from_estimator(
        reweighter,
        sim,
        data,
        fitter.theta_,
        bins=np.arange(3.5, 46.5, 2),
        target_name="Data",
        xlabel="Particles in the hardest jet",
        ax=axes[0],
    )
    ScanDisplay.from_estimator(
        scan, result=fitter.result_, xlabel="αs of the parton shower at the Z mass", ax=axes[1]
    )


main()
plt.show()
