"""A detector in a few numbers: what it sees of jets and a muon, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ParametricDetector", "TrueEvents"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TrueEvents:
    """What arrives at the detector, n events with m jets in all.

    Attributes
    ----------
    event : ndarray of shape (m,)
        Which event each jet belongs to.
    jets : ndarray of shape (4, m)
        pt, eta, phi, mass, in GeV.
    muon : ndarray of shape (3, n)
        pt, eta, phi of the muon.
    isolation : ndarray of shape (n,)
        Sum of the transverse momenta around the muon, over its own.
    soft : ndarray of shape (3, n)
        Of all particles in no jet: sums of px, of py and of the transverse momenta, in GeV.
    """

    event: NDArray[np.int64]
    jets: FloatArray
    muon: FloatArray
    isolation: FloatArray
    soft: FloatArray


@dataclass(frozen=True)
class ParametricDetector:
    r"""Resolutions and acceptance of a detector like CMS.

    Energies of jets and the momentum of the muon are smeared by a Gaussian, directions are
    exact. The missing transverse momentum is minus the sum of what is seen: jets, the muon, and
    the particles in no jet, smeared as a whole. No pile-up.

    Parameters
    ----------
    jet_stochastic, jet_constant : float, default=0.92, 0.04
        Relative resolution of jets, :math:`\sigma/p_T = s/\sqrt{p_T} \oplus c`, in
        :math:`\sqrt{\mathrm{GeV}}` and as a fraction: 17% at 30 GeV, 10% at 100 GeV and 5% at
        1 TeV, where CMS has 15-20%, 10% and 5% (arXiv:1607.03663).
    max_jet_eta : float, default=5.0
        Acceptance for jets and all else but the muon, :math:`|\eta|`.
    muon_eta : tuple of float, default=(0.5, 1.5, 2.4)
        Upper edges in :math:`|\eta|` of three regions; the last is the acceptance.
    muon_constant, muon_slope : tuple of float
        Relative resolution of the muon in each of them, :math:`\sigma/p_T = a \oplus b\,p_T`
        with b in 1/GeV; from the CMS card of Delphes 3.
    muon_efficiency : float, default=0.95
        Of muons in the acceptance; Delphes' CMS card.
    min_muon_pt : float, default=10.0
        In GeV; Delphes' CMS card.
    max_isolation : float, default=0.25
        Largest sum of transverse momenta within :math:`\Delta R < 0.5` of the muon, over its
        own, for it to be recognised; Delphes' CMS card.
    soft_stochastic : float, default=0.6
        Resolution in x and in y of the particles in no jet, times the square root of the sum of
        their transverse momenta, in :math:`\sqrt{\mathrm{GeV}}`: about the stochastic term of
        the missing momentum in CMS (arXiv:1411.0511).

    References
    ----------
    J. de Favereau et al. (Delphes 3), arXiv:1307.6346, with the card ``delphes_card_CMS.tcl``;
    CMS, arXiv:1607.03663 and arXiv:1411.0511.
    """

    jet_stochastic: float = 0.92
    jet_constant: float = 0.04
    max_jet_eta: float = 5.0
    muon_eta: tuple[float, float, float] = (0.5, 1.5, 2.4)
    muon_constant: tuple[float, float, float] = (0.01, 0.015, 0.025)
    muon_slope: tuple[float, float, float] = (1.0e-4, 1.5e-4, 3.5e-4)
    muon_efficiency: float = 0.95
    min_muon_pt: float = 10.0
    max_isolation: float = 0.25
    soft_stochastic: float = 0.6

    def _jets(
        self, events: TrueEvents, rng: np.random.Generator
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Jets as seen, of shape (4, m), and which of them are in the acceptance."""
        pt = events.jets[0]
        sigma = np.sqrt(self.jet_stochastic**2 / pt + self.jet_constant**2)
        # Far below any cut; a Gaussian has no lower end, a momentum has.
        factor = np.maximum(1 + sigma * rng.standard_normal(len(pt)), 0.05)
        jets = events.jets.copy()
        jets[[0, 3]] *= factor
        return jets, np.abs(jets[1]) < self.max_jet_eta

    def _muon(self, events: TrueEvents, rng: np.random.Generator) -> FloatArray:
        """Muons as seen, isolated or not, of shape (3, n); NaN where there is none."""
        pt, eta, _ = events.muon
        region = np.searchsorted(self.muon_eta, np.abs(eta), side="left")
        accepted = region < len(self.muon_eta)
        region = np.minimum(region, len(self.muon_eta) - 1)
        constant, slope = (np.array(v)[region] for v in (self.muon_constant, self.muon_slope))
        muon = events.muon.copy()
        of_pt, of_efficiency = rng.spawn(2)
        muon[0] = pt * (1 + np.hypot(constant, slope * pt) * of_pt.standard_normal(len(pt)))
        accepted &= muon[0] > self.min_muon_pt
        accepted &= of_efficiency.random(len(pt)) < self.muon_efficiency
        return np.where(accepted, muon, np.nan)

    def see(
        self, events: TrueEvents, rng: np.random.Generator
    ) -> tuple[FloatArray, NDArray[np.bool_], FloatArray, FloatArray]:
        """Pass events through the detector.

        Parameters
        ----------
        events : TrueEvents
            Of n events with m jets.
        rng : Generator
            Draws the resolutions and who is lost.

        Returns
        -------
        jets : ndarray of shape (4, m)
            pt, eta, phi, mass.
        seen : ndarray of shape (m,)
            Which of the jets are in the acceptance.
        muon : ndarray of shape (3, n)
            pt, eta, phi; NaN where no isolated muon is seen.
        missing : ndarray of shape (2, n)
            pt and phi of the missing momentum.
        """
        # A stream for each purpose: the first events stay the same where more follow.
        of_jets, of_muon, of_soft = rng.spawn(3)
        jets, seen = self._jets(events, of_jets)
        muon = self._muon(events, of_muon)
        n = muon.shape[1]
        x, y, scalar = events.soft
        noise = self.soft_stochastic * np.sqrt(scalar) * of_soft.standard_normal((n, 2)).T
        total = []
        for axis, soft, direction in ((0, x, np.cos), (1, y, np.sin)):
            by_jet = np.where(seen, jets[0] * direction(jets[2]), 0.0)
            # A muon that is not seen adds nothing.
            lepton = np.where(np.isnan(muon[0]), 0.0, muon[0] * direction(muon[2]))
            sum_of_jets = np.bincount(events.event, by_jet, minlength=n)
            total.append(sum_of_jets + lepton + soft + noise[axis])
        missing = np.stack([np.hypot(*total), np.arctan2(-total[1], -total[0])])
        isolated = events.isolation < self.max_isolation
        return jets, seen, np.where(isolated, muon, np.nan), missing
