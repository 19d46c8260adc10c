"""Fig. 10 and 11 of the SRGN paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from _top_mass_samples import INPUTS, LEVELS, features, samples

from skdctr import DCTRReweighter, SRGNFitter


class ScanFigure:
    """Fig. 10: the AUC over the mass, four observables and one, at both levels."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.scans: dict[tuple[str, str], Any] = {}
        self.results: dict[tuple[str, str], Any] = {}

    def add(self, inputs: str, level: str, method: str, fitter: SRGNFitter) -> None:
        """Keep the scan, and the fit to mark in it."""
        kept = {"AUC scan": self.scans, "AUC surrogate": self.results}.get(method)
        if kept is not None:
            kept[inputs, level] = fitter if method == "AUC scan" else fitter.result_

    def save(self) -> None:
        """Draw the three comparisons of the paper."""
        if self.directory is None:
            return
        import matplotlib.pyplot as plt

        from skdctr.plotting import ScanDisplay

        comparisons = (
            ("four observables", [("four", level) for level in LEVELS]),
            ("generator level", [(inputs, "generator") for inputs in INPUTS]),
            ("reco level", [(inputs, "reco") for inputs in INPUTS]),
        )
        figure, axes = plt.subplots(1, 3, figsize=(16, 4.6), layout="constrained")
        for ax, (title, keys) in zip(axes, comparisons, strict=True):
            for key in keys:
                ScanDisplay.from_estimator(
                    self.scans[key],
                    result=self.results[key],
                    xlabel="Top quark mass [GeV]",
                    label=", ".join(key),
                    ax=ax,
                )
            ax.axvline(175.0, color="black", linewidth=0.8, linestyle=":")
            ax.text(0.03, 0.03, title, transform=ax.transAxes)
        figure.savefig(self.directory / "top_mass_auc.png", dpi=120)
        plt.close(figure)


def draw_closure(directory: Path, bunch: Any, reweighter: DCTRReweighter) -> None:
    """Draw Fig. 11: nominal, reweighted and true events of 175 GeV, at both levels."""
    import matplotlib.pyplot as plt

    from skdctr.plotting import ClosureDisplay

    names = INPUTS["four"]
    figure, axes = plt.subplots(2, 4, figsize=(18, 9.5), layout="constrained")
    for level, line in zip(LEVELS, axes, strict=True):
        of = samples(bunch, level, fakes="known")
        sim = of.sim_gen if of.sim_reco is None else of.sim_reco.dropna()
        gen = of.sim_gen.loc[sim.index]
        weights = reweighter.predict_weights(features(gen, names), 175.0)
        for name, ax in zip(names, line, strict=True):
            ax.set_title(f"{level} level")
            ClosureDisplay.from_predictions(
                sim[name],
                of.data[name],
                weights,
                bins=np.arange(0, 401, 10) if "munu" in name else np.arange(0, 801, 20),
                target_name="Data at 175 GeV",
                xlabel=f"{name} [GeV]",
                ax=ax,
            )
    figure.savefig(directory / "top_mass_closure.png", dpi=100)
    plt.close(figure)
