"""
==========================================
From one generator to another, all at once
==========================================

Jets of e⁺e⁻ → Z → hadrons from Pythia 8 with its default, the Monash tune of 2013, are reweighted
to those of an older one, Montull's of 2007, ``Tune:ee = 2``, which a dozen parameters of shower
and hadronisation tell apart. There is no θ to vary, only two samples: the discrete reweighting of
the DCTR paper (arXiv:1907.08209, Fig. 1), on all particles of a jet, each with its momentum and its
type. Any other generator would do in the place of the second tune, as Herwig did there.

Needs the extra ``[pythia]``.
"""

import matplotlib.pyplot as plt
import numpy as np

from skdctr import DCTRReweighter
from skdctr.closure import classifier_test
from skdctr.datasets import jet_observables
from skdctr.metrics import effective_sample_size, histogram_chi2
from skdctr.plotting import ClosureDisplay
from skdctr.preprocessing import PackedEvents, ParticlePreprocessor

try:
    import awkward as ak
    import fastjet
    import pythia8mc
except ImportError as error:
    raise ImportError(
        f'this example generates events, and {error.name} is missing: pip install "skdctr[pythia]"'
    ) from error

MONASH, MONTULL = 7, 2
N_JETS = 20_000

# %%
# A generator of your own needs to give no more than this: particles of each event, in an awkward
# array of lists of records.


def hardest_jets(tune, n_events, seed):
    """Hardest anti-kt jet, R = 0.8, of each of so many events."""
    pythia = pythia8mc.Pythia("", False)
    for command in (
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        "Beams:idA = 11",
        "Beams:idB = -11",
        "Beams:eCM = 91.2",
        "PDF:lepton = off",
        "WeakSingleBoson:ffbar2gmZ = on",
        "23:onMode = off",
        "23:onIfAny = 1 2 3 4 5",
        f"Tune:ee = {tune}",
    ):
        pythia.readString(command)
    pythia.init()
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8)
    parts = []
    for start in range(0, n_events, 1000):
        particles = pythia.nextBatch(min(1000, n_events - start)).prt
        pid = abs(particles.id)
        seen = (particles.status > 0) & (pid != 12) & (pid != 14) & (pid != 16)
        particles = particles[seen]
        momenta = ak.zip(
            {
                "px": particles.p.px,
                "py": particles.p.py,
                "pz": particles.p.pz,
                "E": particles.p.e,
            },
            with_name="Momentum4D",
        )
        sequence = fastjet.ClusterSequence(momenta, definition)
        jets = sequence.inclusive_jets()
        hardest = ak.argmax(jets.px**2 + jets.py**2, axis=1, keepdims=True)
        inside = ak.flatten(sequence.constituent_index()[hardest], axis=1)
        p = momenta[inside]
        pt = np.hypot(p.px, p.py)
        jet = {"pt": pt, "eta": np.arcsinh(p.pz / pt), "phi": np.arctan2(p.py, p.px)}
        parts.append(ak.zip({**jet, "pid": particles.id[inside]}))
    return PackedEvents.from_events(ak.concatenate(parts))


# %%
# The weights are learned from one pair of samples and judged on another. Of so few jets more
# epochs would learn the fluctuations, and raise the validation loss.

monash, montull, sim, target = (
    hardest_jets(tune, N_JETS, seed)
    for seed, tune in enumerate((MONASH, MONTULL, MONASH, MONTULL), start=1)
)
gen = ParticlePreprocessor().fit_transform(PackedEvents.concatenate([monash, montull]))
tune = np.repeat([MONASH, MONTULL], N_JETS)
reweighter = DCTRReweighter(theta_nominal=MONASH, max_epochs=15, random_state=1, verbose=1)
reweighter.fit(gen, tune)
sim_jets, target_jets = (ParticlePreprocessor().fit_transform(jets) for jets in (sim, target))
weights = reweighter.predict_weights(sim_jets)
print(f"effective sample size {effective_sample_size(weights):.0f} of {len(weights)}")

# %%
# No observable was chosen in training. Four of the DCTR paper's, before and after.

names = {
    "multiplicity": "Particles in the jet",
    "n_kaons": "Kaons in the jet",
    "tau32": "τ₃/τ₂",
    "ecf4": "log₁₀ of ECF(N = 4, β = 4) [GeV⁴]",
}
nominal, wanted = (jet_observables(jets, list(names)) for jets in (sim, target))
for frame in (nominal, wanted):
    # Jets of fewer than four particles have none.
    frame["ecf4"] = np.log10(frame["ecf4"].clip(lower=1e-12))
bins = {
    "multiplicity": np.arange(3.5, 36.5, 2),
    "n_kaons": np.arange(-0.5, 6.5),
    "tau32": np.linspace(0, 1, 26),
    "ecf4": np.linspace(-10, 6, 26),
}
figure, axes = plt.subplots(1, 4, figsize=(18, 5), layout="constrained")
for ax, (name, label) in zip(axes, names.items(), strict=True):
    ClosureDisplay.from_predictions(
        nominal[name],
        wanted[name],
        weights,
        bins=bins[name],
        target_name="Montull",
        xlabel=label,
        ax=ax,
    )
    for when, w in {"before": None, "after": weights}.items():
        test = histogram_chi2(
            wanted[name], nominal[name], weight_sample=w, range=(bins[name][0], bins[name][-1])
        )
        print(
            f"{name}, {when}: χ² = {test.chi2:.0f} for {test.ndf} degrees, p = {test.p_value:.2g}"
        )

# %%
# A classifier of all particles is the strictest judge: 0.5 where it sees no difference.

for when, w in {"before": None, "after": weights}.items():
    test = classifier_test(target_jets, sim_jets, weight_sample=w, random_state=1)
    print(f"AUC {when}: {test.auc:.4f} ± {test.error:.4f}")
plt.show()
