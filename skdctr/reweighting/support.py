"""Where events at other θ lie of which the nominal sample has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.exceptions import SupportWarning
from skdctr.parameters.cells import cell_owners
from skdctr.reweighting.classes import ReweightingEvents
from skdctr.weights.bound_network import bind_network
from skdctr.weights.missing_share import MissingShare, find_missing_share

__all__ = ["SupportByTheta", "measure_support"]

# Cells of θ that are looked at one by one, at most: in fewer a part that is missing at the edge of
# the range would be diluted, and with more there would be too few events to know its share.
_CELLS = 8
# Parts that a cell with a finding is divided into, with so many events at least.
_PARTS, _LEAST_IN_PART = 4, 50
# Events of either class that are looked at first. What is missing from these must be missing from
# all nominal events.
_FIRST = 100_000

# Events of either class without which nothing is looked for: networks know fewer by heart, and rank
# their own training events apart.
_LEAST_EVENTS = 300
# Log-weight in a missing part, at least: a network that gives it hardly more than 1 has not learned
# what lies there, and its ranks mean nothing.
_LEARNED = 0.1

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SupportByTheta:
    """What the nominal sample lacks, by cells of θ and parts of these.

    Attributes
    ----------
    means : ndarray of shape (m, p)
        Mean scaled θ of each cell.
    missing : tuple of str, length m
        For each cell what is missing, in words; empty where nothing is.
    """

    means: FloatArray
    missing: tuple[str, ...]

    def at(self, theta: FloatArray) -> str:
        """Say what is missing in the cell next to scaled θ, (p,); empty where nothing is."""
        with np.errstate(over="ignore"):
            return self.missing[int(((self.means - theta) ** 2).sum(axis=1).argmin())]


@dataclass(frozen=True, eq=False)
class _Networks:
    """Trained networks, and the scaled events that they are judged on.

    Attributes
    ----------
    events : ReweightingEvents
        Scaled events in their two classes.
    by_part : sequence of sequence of nn.Module
        The networks of each part of a cross-fit.
    folds : ndarray of int of shape (n,)
        The part whose networks have not seen each event.
    """

    events: ReweightingEvents
    by_part: Sequence[Sequence[nn.Module]]
    folds: NDArray[np.signedinteger]

    def theta(self, rows: IndexArray) -> torch.Tensor:
        """Return the scaled θ of some events, (m, p)."""
        return self.events.theta[torch.as_tensor(rows, device=self.events.theta.device)]

    def log_weights(self, rows: IndexArray, thetas: Sequence[torch.Tensor]) -> list[FloatArray]:
        """Compute log w of some events, (m,), for each of several lists of one θ each, (m, p)."""
        result = [np.empty(len(rows)) for _ in thetas]
        device = self.events.theta.device
        for part, modules in enumerate(self.by_part):
            index = np.flatnonzero(self.folds[rows] == part)
            x = self.events.x[torch.as_tensor(rows[index], device=device)]
            networks = [bind_network(module, x, None) for module in modules]
            for values, theta in zip(result, thetas, strict=True):
                at = theta[torch.as_tensor(index, device=device)]
                members = [each.log_weights(at).cpu().numpy() for each in networks]
                values[index] = np.mean(members, axis=0)
        return result


def measure_support(
    events: ReweightingEvents,
    modules: Sequence[nn.Module],
    folds: NDArray[np.signedinteger] | None,
    describe: Callable[[MissingShare, IndexArray, IndexArray], str],
) -> SupportByTheta:
    """Find the θ at which events lie where the nominal sample has none, and warn of them.

    Parameters
    ----------
    events : ReweightingEvents
        Scaled events in their two classes.
    modules : sequence of nn.Module
        Trained networks, those of the first part of a cross-fit first.
    folds : ndarray of int of shape (n,), or None
        The part whose networks have not seen each event; None where all have seen it.
    describe : callable
        ``describe(missing, cell, nominal)`` tells in words what is missing from nominal events, of
        those of a cell of θ; both come as numbers of events.

    Returns
    -------
    SupportByTheta

    Warns
    -----
    SupportWarning
        If a part of the events of a cell is missing from the nominal sample.
    """
    if folds is None:
        folds = np.zeros(len(events.theta), dtype=np.int8)
    size = len(modules) // (int(folds.max()) + 1)
    by_part = [modules[first : first + size] for first in range(0, len(modules), size)]
    networks = _Networks(events, by_part, folds)
    rng = np.random.default_rng(0)
    varied = _some(np.flatnonzero(events.varied.cpu().numpy()), rng)
    every = np.flatnonzero(events.reference.cpu().numpy())
    nominal = _some(every, rng)
    owners = cell_owners(networks.theta(varied).cpu().numpy().astype(np.float64), _CELLS)
    cells = [varied[owners == k] for k in range(owners.max() + 1)]
    enough = min(len(varied), len(nominal)) >= _LEAST_EVENTS
    found = _missing(networks, cells, nominal) if enough else {}
    if found and len(nominal) < len(every):
        nominal = every
        found = _missing(networks, cells, nominal)
    words = {k: describe(missing, cells[k], nominal) for k, missing in found.items()}
    if found:
        worst = max(found, key=lambda k: found[k].share)
        others = f" The same holds near {len(found) - 1} other θ." if len(found) > 1 else ""
        warn_user(
            f"No common support: {words[worst]}.{others} Take θ₀ where its events cover those of "
            "other θ, narrow the range of θ, or give more nominal events.",
            SupportWarning,
        )
    means, missing_at = [], []
    for k, cell in enumerate(cells):
        parts = _parts(networks, cell, nominal, found[k]) if k in found else [(cell, False)]
        means += [networks.theta(rows).mean(dim=0).cpu().numpy() for rows, _ in parts]
        missing_at += [words[k] if lacks else "" for _, lacks in parts]
    return SupportByTheta(np.stack(means).astype(np.float64), tuple(missing_at))


def _some(rows: IndexArray, rng: np.random.Generator) -> IndexArray:
    """Choose events at random where there are more than are needed."""
    return rows if len(rows) <= _FIRST else np.sort(rng.choice(rows, _FIRST, replace=False))


def _scores(
    networks: _Networks, cells: Sequence[IndexArray], nominal: IndexArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Compute log w of the events of each cell, and of nominal events paired with its θ."""
    rng = np.random.default_rng(0)
    paired = [networks.theta(rng.choice(cell, len(nominal))) for cell in cells]
    for cell, log_nominal in zip(cells, networks.log_weights(nominal, paired), strict=True):
        yield networks.log_weights(cell, [networks.theta(cell)])[0], log_nominal


def _missing(
    networks: _Networks, cells: Sequence[IndexArray], nominal: IndexArray
) -> dict[int, MissingShare]:
    """Look for missing parts of each cell, by its number."""
    weight = networks.events.weight.cpu().numpy().astype(np.float64)
    found = {}
    for k, (own, log_nominal) in enumerate(_scores(networks, cells, nominal)):
        missing = find_missing_share(own, log_nominal, weight[cells[k]])
        if missing is not None and np.median(own[missing.rows]) > _LEARNED:
            found[k] = missing
    return found


def _parts(
    networks: _Networks, cell: IndexArray, nominal: IndexArray, missing: MissingShare
) -> list[tuple[IndexArray, bool]]:
    """Divide a cell, and tell of each part whether it lacks what the cell as a whole lacks.

    A cell may reach up to θ₀, near which nothing is missing. A part is free of the finding where
    clearly less than half of the cell's share is missing.
    """
    n_parts = _PARTS if len(cell) >= _PARTS * _LEAST_IN_PART else 1
    owners = cell_owners(networks.theta(cell).cpu().numpy().astype(np.float64), n_parts)
    parts = [cell[owners == k] for k in range(owners.max() + 1)]
    lacks = []
    for own, log_nominal in _scores(networks, parts, nominal):
        limit = np.sort(log_nominal)[-1 - missing.n_events]
        share = float((own > limit).mean())
        error = np.sqrt(share * (1 - share) / len(own))
        lacks.append(share + 2 * error > missing.share / 2)
    return list(zip(parts, lacks, strict=True))
