"""The generation of top quark pairs by Pythia 8, with jets from FastJet, in blocks of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.optional import require
from skdctr.datasets.generator.pythia import NEUTRINOS, Block, Columns, new_pythia, silence_banner
from skdctr.datasets.top_mass.detector import ParametricDetector, TrueEvents

__all__ = ["COMMANDS", "JET_RADIUS", "MIN_JET_PT", "generate"]

COMMANDS: Final = (
    "Print:quiet = on",
    "Random:setSeed = on",
    "Beams:eCM = 13000.",
    "Top:gg2ttbar = on",
    "Top:qqbar2ttbar = on",
    "24:onMode = off",
    "24:onPosIfAny = 13",
    "24:onNegIfAny = 1 2 3 4 5",
)
JET_RADIUS: Final = 0.4
# Jets are kept down to here, in GeV: resolution and scale lift some above the cut at 20 GeV.
MIN_JET_PT: Final = 10.0
_MAX_ETA: Final = 5.0
# Events that are generated at once; the full record of each takes about 200 kB.
_BATCH: Final = 100
_W, _MUON, _MUON_NEUTRINO, _B, _GLUON = 24, 13, 14, 5, 21
# Pythia's status codes of partons on their way into a collision; none of them makes a jet.
_INCOMING: Final = (-12, -21, -31, -41, -42, -45, -46, -53, -54, -61)


def generate(blocks: Sequence[Block], detector: ParametricDetector | None) -> Columns:
    """Generate the events of blocks, one block after the other.

    Parameters
    ----------
    blocks : sequence of Block
        The blocks to generate.
    detector : ParametricDetector or None
        The detector that the events pass through; None gives generator level only.

    Returns
    -------
    dict of str to ndarray
        For n events ``gen_muon`` and ``gen_neutrino``, (n, 3), have the columns pt, eta and phi;
        ``gen_count``, (n,), is the number of jets; ``gen_jets``, (m, 4), has the columns pt, eta,
        phi and mass, and ``gen_btag``, (m,), says which are b jets, event after event and with the
        hardest jet first. Momenta and masses are in GeV. A detector adds ``reco_muon``, (n, 3),
        which is NaN where no muon is seen, ``reco_missing``, (n, 2), with pt and phi, and
        ``reco_count``, ``reco_jets`` and ``reco_btag``.

    Raises
    ------
    RuntimeError
        If Pythia fails too often or does not initialise.
    """
    pythia = new_pythia(COMMANDS)
    parts = []
    for block in blocks:
        # The mass is a property of the particle, which only commands reach, and no setting.
        commands = [f"{name} = {value!r}" for name, value in block.settings]
        commands.append(f"Random:seed = {block.seed}")
        if not all(map(pythia.readString, commands)) or not pythia.init():
            raise RuntimeError(f"Pythia failed to initialise with {dict(block.settings)}.")
        for begin in range(0, block.n_events, _BATCH):
            n = min(_BATCH, block.n_events - begin)
            rng = np.random.default_rng([block.seed, begin])
            parts.append(_observe(_generate_record(pythia, n), detector, rng))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _EventRecord:
    """All particles of n events, m in all, with their momenta, types and mothers.

    Attributes
    ----------
    offsets : ndarray of shape (n + 1,)
        Event i has the particles ``offsets[i]`` to ``offsets[i + 1]``.
    event : ndarray of shape (m,)
        The event of each particle.
    pid, status : ndarray of shape (m,)
        Absolute value of the PDG code, and Pythia's status code, positive for final particles.
    mother : ndarray of shape (m,)
        Row of the first mother of each particle.
    p : ndarray of shape (4, m)
        The rows are px, py, pz and the energy, in GeV.
    pt, eta, phi : ndarray of shape (m,)
        Transverse momentum in GeV, pseudorapidity and azimuth.
    """

    def __init__(self, batch: Any) -> None:
        # Numpy is used from here on: awkward's operations cost milliseconds each.
        events = batch["prt"].layout.to_ListOffsetArray64(True)
        self.offsets = np.asarray(events.offsets.data)
        particles = events.content[: self.offsets[-1]]
        self.event = np.repeat(np.arange(len(batch)), np.diff(self.offsets))
        self.pid = np.abs(np.asarray(particles["id"].data))
        self.status = np.asarray(particles["status"].data)
        self.mother = np.asarray(particles["mother1"].data) + self.offsets[self.event]
        self.p = np.stack(
            [np.asarray(particles["p"][axis].data) for axis in ("px", "py", "pz", "e")]
        )
        self.pt = np.hypot(self.p[0], self.p[1])
        # Beam particles have no transverse momentum, and no finite pseudorapidity.
        self.eta = np.arcsinh(self.p[2] / np.maximum(self.pt, 1e-9))
        self.phi = np.arctan2(self.p[1], self.p[0])

    def w_daughters(self, pid: int) -> NDArray[np.int64]:
        """Find the row of the stable particle of a type that a W boson decayed to, (n,)."""
        found = np.flatnonzero((self.pid == pid) & (self.status > 0))
        first = found
        while (same := self.pid[self.mother[first]] == pid).any():
            first = np.where(same, self.mother[first], first)
        return found[self.pid[self.mother[first]] == _W]

    def coordinates(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return pt, eta and phi of some particles, (3, number of rows)."""
        return np.stack([self.pt[rows], self.eta[rows], self.phi[rows]])


def _generate_record(pythia: Any, n: int) -> _EventRecord:
    """Generate n events; those that fail are generated again."""
    tries = 2 * n + 20
    try:
        return _EventRecord(pythia.nextBatch(n, tries / n))
    except Exception as error:
        raise RuntimeError(
            f"Pythia gave fewer than {n} events in {tries} attempts ({error}). Bring mt closer to "
            "its nominal value."
        ) from error


def _observe(
    record: _EventRecord, detector: ParametricDetector | None, rng: np.random.Generator
) -> Columns:
    """Build what is seen of events, as `generate` returns it, at both levels."""
    n = len(record.offsets) - 1
    muon, neutrino = record.w_daughters(_MUON), record.w_daughters(_MUON_NEUTRINO)
    visible = (record.status > 0) & ~np.isin(record.pid, NEUTRINOS)
    visible &= np.abs(record.eta) < _MAX_ETA
    # The muon of the W is left out, so that no jet, and no scale of jets, contains it.
    visible[muon] = False
    event, jets = _cluster(record, np.flatnonzero(visible), n)
    btag = _tag_b_jets(record, event, jets)
    true = record.coordinates(muon)
    columns: Columns = {
        "gen_muon": true.T,
        "gen_neutrino": record.coordinates(neutrino).T,
        **_jet_columns("gen", event, jets, btag, n),
    }
    if detector is not None:
        events = TrueEvents(
            event,
            jets,
            true,
            _isolation(record, visible, true),
            _soft_sums(record, visible, event, jets, n),
        )
        seen_jets, seen, seen_muon, missing = detector.see(events, rng)
        seen &= seen_jets[0] > MIN_JET_PT
        columns |= {
            "reco_muon": seen_muon.T,
            "reco_missing": missing.T,
            **_jet_columns("reco", event[seen], seen_jets[:, seen], btag[seen], n),
        }
    return {
        name: values.astype(np.float32) if values.dtype == np.float64 else values
        for name, values in columns.items()
    }


def _cluster(
    record: _EventRecord, rows: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cluster particles to jets above the cut, sorted by event and transverse momentum.

    Parameters
    ----------
    record : _EventRecord
        The particles of n events.
    rows : ndarray
        Those that are clustered, in increasing order.
    n : int
        Number of events.

    Returns
    -------
    event : ndarray of shape (m,)
        The event of each jet.
    jets : ndarray of shape (4, m)
        The rows are pt, eta, phi and mass, with pt and mass in GeV.
    """
    ak, fastjet = require("awkward"), require("fastjet")
    silence_banner(fastjet)
    momenta = ak.contents.RecordArray(
        [ak.contents.NumpyArray(row) for row in record.p[:, rows]],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    offsets = np.searchsorted(record.event[rows], np.arange(n + 1))
    events = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), momenta))
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    found = fastjet.ClusterSequence(events, definition).inclusive_jets(min_pt=MIN_JET_PT).layout
    event = np.repeat(np.arange(n), np.diff(np.asarray(found.offsets.data)))
    p = np.stack([np.asarray(found.content[axis].data) for axis in ("px", "py", "pz", "E")])
    pt = np.hypot(p[0], p[1])
    mass = np.sqrt(np.maximum(p[3] ** 2 - (p[:3] ** 2).sum(axis=0), 0.0))
    jets = np.stack([pt, np.arcsinh(p[2] / pt), np.arctan2(p[1], p[0]), mass])
    order = np.lexsort((-pt, event))
    return event[order], jets[:, order]


def _tag_b_jets(
    record: _EventRecord, event: NDArray[np.int64], jets: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tag jets whose parton of highest energy within ΔR < 0.5 is a b, as Delphes does, (m,)."""
    parton = (record.pid <= _B) | (record.pid == _GLUON)
    parton &= (record.pt > 1.0) & (np.abs(record.eta) < 2.5)
    parton &= ~np.isin(record.status, _INCOMING)
    rows = np.flatnonzero(parton)
    starts = np.searchsorted(record.event[rows], np.arange(len(record.offsets)))
    btag = np.zeros(len(event), dtype=bool)
    for i in np.unique(event):
        mine = np.flatnonzero(event == i)
        partons = rows[starts[i] : starts[i + 1]]
        near = _distance(jets[1:3, mine, None], record.coordinates(partons)[1:, None]) < 0.5
        energy = np.where(near, record.p[3, partons], -1.0)
        if len(partons):
            leading = partons[energy.argmax(axis=1)]
            btag[mine] = (record.pid[leading] == _B) & near.any(axis=1)
    return btag


def _isolation(
    record: _EventRecord, visible: NDArray[np.bool_], muon: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the pt of particles above 0.5 GeV within ΔR < 0.5 of the muon, over its own, (n,)."""
    rows = np.flatnonzero(visible & (record.pt > 0.5))
    event = record.event[rows]
    near = _distance(record.coordinates(rows)[1:], muon[1:, event]) < 0.5
    around = np.bincount(event, record.pt[rows] * near, minlength=muon.shape[1])
    return around / muon[0]


def _soft_sums(
    record: _EventRecord,
    visible: NDArray[np.bool_],
    event: NDArray[np.int64],
    jets: NDArray[np.float64],
    n: int,
) -> NDArray[np.float64]:
    """Sum px, py and pt over the visible particles, less those of the jets, (3, n), in GeV."""
    rows = np.flatnonzero(visible)
    pt, _, phi, _ = jets
    jet_terms = (pt * np.cos(phi), pt * np.sin(phi), pt)
    particle_terms = (*record.p[:2, rows], record.pt[rows])
    sums = np.stack(
        [
            np.bincount(record.event[rows], particle, minlength=n)
            - np.bincount(event, jet, minlength=n)
            for particle, jet in zip(particle_terms, jet_terms, strict=True)
        ]
    )
    sums[2] = np.maximum(sums[2], 0.0)
    return sums


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ΔR between directions, whose rows are eta and phi."""
    d_phi = (first[1] - second[1] + np.pi) % (2 * np.pi) - np.pi
    distance: NDArray[np.float64] = np.hypot(first[0] - second[0], d_phi)
    return distance


def _jet_columns(
    level: str,
    event: NDArray[np.int64],
    jets: NDArray[np.float64],
    btag: NDArray[np.bool_],
    n: int,
) -> Columns:
    """Name the arrays of the jets of a level."""
    return {
        f"{level}_count": np.bincount(event, minlength=n),
        f"{level}_jets": jets.T,
        f"{level}_btag": btag,
    }
