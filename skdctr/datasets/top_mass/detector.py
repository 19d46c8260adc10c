"""A detector in a few numbers, which smears jets and a muon and measures what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.arguments import check_finite, check_instance, check_number
from skdctr._utils.typing import FloatArray

__all__ = ["ParametricDetector", "TrueEvents"]


@dataclass(frozen=True)
class TrueEvents:
    """What arrives at the detector: n events with m jets in all.

    Attributes
    ----------
    event : ndarray of shape (m,)
        The event that each jet belongs to.
    jets : ndarray of shape (4, m)
        The rows are pt, eta, phi and mass of the jets, with pt and mass in GeV.
    muon : ndarray of shape (3, n)
        The rows are pt (GeV), eta and phi of the muon.
    isolation : ndarray of shape (n,)
        Sum of the transverse momenta around the muon, over its own.
    soft : ndarray of shape (3, n)
        The rows are the sums of px, of py and of the transverse momenta, in GeV, over all
        particles that are in no jet.
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
    the particles in no jet, smeared as a whole. There is no pile-up.

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
        with b in 1/GeV, from the CMS card of Delphes 3.
    muon_efficiency : float, default=0.95
        Probability to see a muon in the acceptance, from Delphes' CMS card.
    min_muon_pt : float, default=10.0
        Least transverse momentum of a muon that is seen, in GeV, from Delphes' CMS card.
    max_isolation : float, default=0.25
        Largest sum of transverse momenta within :math:`\Delta R < 0.5` of the muon, over its
        own, for it to be recognised, from Delphes' CMS card.
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

    def __post_init__(self) -> None:
        """Refuse what is no resolution or acceptance."""
        for name in ("jet_stochastic", "jet_constant", "soft_stochastic", "max_isolation"):
            check_number(name, getattr(self, name), low=0)
        check_number("max_jet_eta", self.max_jet_eta, above=0)
        check_number("min_muon_pt", self.min_muon_pt, low=0)
        check_number("muon_efficiency", self.muon_efficiency, low=0, high=1)
        for name in ("muon_eta", "muon_constant", "muon_slope"):
            expected = "three numbers that are not negative, one for each region"
            values = check_finite(name, getattr(self, name), (3,), expected=expected)
            if (values < 0).any() or (name == "muon_eta" and (np.diff(values) <= 0).any()):
                raise ValueError(f"{name}={getattr(self, name)!r}; expected {expected}, in order.")

    def _smeared_jets(
        self, events: TrueEvents, rng: np.random.Generator
    ) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Smear the jets, (4, m), and say which of them are in the acceptance, (m,)."""
        pt = events.jets[0]
        sigma = np.sqrt(self.jet_stochastic**2 / pt + self.jet_constant**2)
        # A Gaussian has no lower end, but a momentum has: this one is far below any cut.
        factor = np.maximum(1 + sigma * rng.standard_normal(len(pt)), 0.05)
        jets = events.jets.copy()
        jets[[0, 3]] *= factor
        return jets, np.abs(jets[1]) < self.max_jet_eta

    def _smeared_muon(self, events: TrueEvents, rng: np.random.Generator) -> FloatArray:
        """Smear the muons, isolated or not, (3, n); those that are not seen become NaN."""
        pt, eta, _ = events.muon
        region = np.searchsorted(self.muon_eta, np.abs(eta), side="left")
        accepted = region < len(self.muon_eta)
        region = np.minimum(region, len(self.muon_eta) - 1)
        constant, slope = (np.array(v)[region] for v in (self.muon_constant, self.muon_slope))
        muon = events.muon.copy()
        pt_rng, efficiency_rng = rng.spawn(2)
        muon[0] = pt * (1 + np.hypot(constant, slope * pt) * pt_rng.standard_normal(len(pt)))
        accepted &= muon[0] > self.min_muon_pt
        accepted &= efficiency_rng.random(len(pt)) < self.muon_efficiency
        return np.where(accepted, muon, np.nan)

    def see(
        self, events: TrueEvents, rng: np.random.Generator
    ) -> tuple[FloatArray, NDArray[np.bool_], FloatArray, FloatArray]:
        """Pass events through the detector.

        Parameters
        ----------
        events : TrueEvents
            The n events with their m jets.
        rng : Generator
            The random numbers for the resolutions and the efficiency.

        Returns
        -------
        jets : ndarray of shape (4, m)
            The rows are pt, eta, phi and mass of the smeared jets, with pt and mass in GeV.
        seen : ndarray of shape (m,)
            Which of the jets are in the acceptance.
        muon : ndarray of shape (3, n)
            The rows are pt (GeV), eta and phi; NaN where no isolated muon is seen.
        missing : ndarray of shape (2, n)
            The rows are pt (GeV) and phi of the missing momentum.
        """
        check_instance("events", events, TrueEvents, "TrueEvents")
        # With a stream for each purpose the first events stay the same where more follow.
        jet_rng, muon_rng, soft_rng = rng.spawn(3)
        jets, seen = self._smeared_jets(events, jet_rng)
        muon = self._smeared_muon(events, muon_rng)
        n = muon.shape[1]
        x, y, scalar = events.soft
        noise = self.soft_stochastic * np.sqrt(scalar) * soft_rng.standard_normal((n, 2)).T
        total = []
        for axis, soft, direction in ((0, x, np.cos), (1, y, np.sin)):
            by_jet = np.where(seen, jets[0] * direction(jets[2]), 0.0)
            # A muon that is not seen adds nothing to the sum.
            lepton = np.where(np.isnan(muon[0]), 0.0, muon[0] * direction(muon[2]))
            sum_of_jets = np.bincount(events.event, by_jet, minlength=n)
            total.append(sum_of_jets + lepton + soft + noise[axis])
        missing = np.stack([np.hypot(*total), np.arctan2(-total[1], -total[0])])
        isolated = events.isolation < self.max_isolation
        return jets, seen, np.where(isolated, muon, np.nan), missing
