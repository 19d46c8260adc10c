"""Hadronic Z decays from Pythia 8 and their jets from FastJet, in blocks that run anywhere.

A block is a number of events at one θ with one seed, and what it gives depends on nothing else:
neither on the blocks before it nor on the process that runs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.optional import require

__all__ = [
    "COMMANDS",
    "JET_RADIUS",
    "KAONS",
    "MAX_BATCH",
    "Block",
    "Columns",
    "Particles",
    "final_state",
    "generate",
    "hardest_jets",
    "new_pythia",
    "silence_banner",
    "start",
    "versions",
]

Columns = dict[str, NDArray[Any]]

COMMANDS: Final = (
    "Print:quiet = on",
    "Random:setSeed = on",
    "Beams:idA = 11",
    "Beams:idB = -11",
    "Beams:eCM = 91.2",
    "PDF:lepton = off",
    "WeakSingleBoson:ffbar2gmZ = on",
    "23:onMode = off",
    "23:onIfAny = 1 2 3 4 5",
    # Leptons have no second interaction; this saves a third of the initialisation.
    "PartonLevel:MPI = off",
)
JET_RADIUS: Final = 0.8
NEUTRINOS: Final = (12, 14, 16)
KAONS: Final = (130, 310, 311, 321)
HIGGS: Final = 25
# Events that are generated at once; the full record of each takes about 20 kB.
MAX_BATCH: Final = 1000
MAX_SEED: Final = 900_000_000


@dataclass(frozen=True)
class Block:
    """A number of events to generate at one θ with one seed.

    Attributes
    ----------
    n_events : int
        Number of events; at most `MAX_BATCH`.
    settings : tuple of (str, float)
        Pythia's name of every parameter of θ, with its value.
    seed : int
        Pythia's seed, from 1 to `MAX_SEED`.
    """

    n_events: int
    settings: tuple[tuple[str, float], ...]
    seed: int


@dataclass(frozen=True)
class Particles:
    """The final-state particles of n events, m particles in all.

    Attributes
    ----------
    offsets : ndarray of shape (n + 1,)
        Event i has the particles ``offsets[i]`` to ``offsets[i + 1]``.
    momentum : ndarray of shape (4, m)
        The rows are px, py, pz and the energy, in GeV.
    pid : ndarray of shape (m,)
        PDG code of each particle.
    """

    offsets: NDArray[np.int64]
    momentum: NDArray[np.float64]
    pid: NDArray[np.int32]


def versions() -> dict[str, str]:
    """Tell the versions of the generator and of the jet finder.

    Returns
    -------
    dict of str to str
        The versions of ``pythia`` and ``fastjet``.

    Raises
    ------
    ImportError
        If one of them is not installed.
    """
    settings = require("pythia8mc").Pythia("", False).settings
    return {
        "pythia": f"{settings.parm('Pythia:versionNumber'):.3f}",
        "fastjet": require("fastjet").__version__,
    }


def new_pythia(commands: Sequence[str] = COMMANDS) -> Any:
    """Make a Pythia with the process set up, for `start` to initialise.

    Parameters
    ----------
    commands : sequence of str, default=COMMANDS
        Pythia's commands that set up the process, in which no Higgs boson may take part.

    Returns
    -------
    Pythia
        A Pythia that prints nothing.

    Raises
    ------
    ImportError
        If Pythia is not installed or was built without its batch interface.
    RuntimeError
        If Pythia does not accept a command.
    """
    module = require("pythia8mc")
    pythia = module.Pythia("", False)
    if not hasattr(pythia, "nextBatch"):
        raise ImportError(
            f"this build of {module.__name__} has no nextBatch. Install one that has, with: "
            'pip install "skdctr[pythia]"'
        )
    for command in commands:
        if not pythia.readString(command):
            raise RuntimeError(f"Pythia does not accept {command!r}; use release 8.310 or later.")
    # At every initialisation Pythia integrates the width of the Higgs boson, which takes three
    # quarters of the time, though none appears here. A plain width leaves all events the same.
    if not pythia.setResonancePtr(module.ResonanceGeneric(HIGGS)):
        raise RuntimeError("Pythia does not accept a width for the Higgs boson.")
    return pythia


def start(pythia: Any, block: Block) -> None:
    """Initialise Pythia for a block.

    θ takes effect only at initialisation, and one Pythia initialised again gives the same
    events as a fresh one.

    Parameters
    ----------
    pythia : Pythia
        A Pythia from `new_pythia`.
    block : Block
        The block to generate.

    Raises
    ------
    RuntimeError
        If Pythia does not initialise.
    """
    for name, value in block.settings:
        pythia.settings.parm(name, value)
    pythia.settings.mode("Random:seed", block.seed)
    if not pythia.init():
        raise RuntimeError(f"Pythia failed to initialise with {dict(block.settings)}.")


def final_state(pythia: Any, n_events: int) -> Particles:
    """Generate events and keep their final-state particles, neutrinos excepted.

    Parameters
    ----------
    pythia : Pythia
        A Pythia that `start` initialised.
    n_events : int
        Number of events. Events that fail are generated again.

    Returns
    -------
    Particles
        The particles of `n_events` events.

    Raises
    ------
    RuntimeError
        If more than half of the events fail, and more than twenty.
    """
    tries = 2 * n_events + 20
    try:
        batch = pythia.nextBatch(n_events, tries / n_events)
    except Exception as error:
        raise RuntimeError(
            f"Pythia gave fewer than {n_events} events in {tries} attempts ({error}). Bring the "
            "parameters closer to their nominal values."
        ) from error
    # Numpy is used from here on: awkward's operations cost milliseconds each, whatever the size.
    events = batch["prt"].layout.to_ListOffsetArray64(True)
    offsets = np.asarray(events.offsets.data)
    particles = events.content[: offsets[-1]]
    pid = np.asarray(particles["id"].data)
    final = np.asarray(particles["status"].data) > 0
    final &= ~np.isin(np.abs(pid), NEUTRINOS)
    count = np.concatenate([[0], np.cumsum(final)])
    momentum = np.stack(
        [np.asarray(particles["p"][axis].data)[final] for axis in ("px", "py", "pz", "e")]
    )
    return Particles(count[offsets], momentum, pid[final])


def hardest_jets(particles: Particles, n_jets: int) -> Columns:
    """Find the jets of highest transverse momentum, with their constituents.

    Parameters
    ----------
    particles : Particles
        The particles of n events.
    n_jets : int
        How many jets of each event to keep; events with fewer jets are left out.

    Returns
    -------
    dict of str to ndarray
        ``jets`` of shape (n * n_jets, 4) has the columns pt, eta, phi and mass, with momenta and
        masses in GeV; ``multiplicity`` and ``n_kaons`` have the shape (n * n_jets,). ``pt``,
        ``eta``, ``phi`` and ``pid`` are those of the constituents, jet after jet, with the hardest
        first in each jet.

    Raises
    ------
    ImportError
        If FastJet or awkward is not installed.
    """
    ak = require("awkward")
    fastjet = require("fastjet")
    silence_banner(fastjet)
    contents = ak.contents
    momenta = contents.RecordArray(
        [contents.NumpyArray(row) for row in particles.momentum],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    events = contents.ListOffsetArray(ak.index.Index64(particles.offsets), momenta)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    sequence = fastjet.ClusterSequence(ak.Array(events), definition)
    found = sequence.inclusive_jets(min_pt=0.0).layout
    members = sequence.constituent_index(min_pt=0.0).layout

    p = np.stack([np.asarray(found.content[axis].data) for axis in ("px", "py", "pz", "E")])
    starts = np.asarray(found.offsets.data)
    event = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.lexsort((-np.hypot(p[0], p[1]), event))
    enough = np.diff(starts)[event] >= n_jets
    kept = order[(np.arange(len(order)) - starts[event] < n_jets) & enough]

    # members.content has a list for each jet. An index in it counts from the first particle of
    # the event.
    first = np.asarray(members.content.offsets.data)
    multiplicity = np.diff(first)[kept]
    row = np.repeat(np.arange(len(kept)), multiplicity)
    within = np.arange(len(row)) - np.repeat(np.cumsum(multiplicity) - multiplicity, multiplicity)
    index = np.asarray(members.content.content.data)[first[kept][row] + within]
    index = index + particles.offsets[event[kept]][row]

    pt, eta, phi = _coordinates(particles.momentum[:, index])
    hardest = np.lexsort((-pt, row))
    pid = particles.pid[index][hardest]
    jet = p[:, kept]
    mass2 = jet[3] ** 2 - (jet[:3] ** 2).sum(axis=0)
    return {
        "jets": np.stack([*_coordinates(jet), np.sqrt(np.maximum(mass2, 0.0))], axis=1),
        "multiplicity": multiplicity,
        "n_kaons": np.bincount(row[np.isin(np.abs(pid), KAONS)], minlength=len(kept)),
        "pt": pt[hardest].astype(np.float32),
        "eta": eta[hardest].astype(np.float32),
        "phi": phi[hardest].astype(np.float32),
        "pid": pid,
    }


def generate(blocks: Sequence[Block], n_jets: int, names: Sequence[str]) -> Columns:
    """Generate the jets of blocks, one block after the other.

    Parameters
    ----------
    blocks : sequence of Block
        The blocks to generate.
    n_jets : int
        Number of jets to take from each event.
    names : sequence of str
        Names of the arrays of `hardest_jets` to return.

    Returns
    -------
    dict of str to ndarray
        The arrays, with `n_jets` jets for each event of the blocks, in their order.

    Raises
    ------
    RuntimeError
        If Pythia fails too often, or the events have too few jets.
    """
    pythia = new_pythia()
    parts = []
    for block in blocks:
        start(pythia, block)
        missing = block.n_events
        for _ in range(10):
            part = hardest_jets(final_state(pythia, missing), n_jets)
            parts.append({name: part[name] for name in names})
            missing -= len(part["multiplicity"]) // n_jets
            if not missing:
                break
        else:
            raise RuntimeError(
                f"{missing} of {block.n_events} events with {dict(block.settings)} have fewer "
                f"than {n_jets} jets in ten attempts; lower jets_per_event."
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _coordinates(
    momentum: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute pt, pseudorapidity and azimuth of momenta whose rows are px, py, pz."""
    px, py, pz = momentum[:3]
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / pt), np.arctan2(py, px)


def silence_banner(fastjet: Any) -> None:
    """Keep the banner that FastJet prints at its first clustering off the output."""
    # FastJet's Python classes do not re-export the switch. Where it is missing, the banner is a
    # nuisance and no error.
    with contextlib.suppress(AttributeError):
        fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
