"""Where events at other θ lie of which the nominal sample has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from skdctr.weights.missing_share import MissingShare, find_missing_share, nominal_weights

__all__ = ["SupportByTheta", "measure_support"]

# Cells of θ that are looked at one by one, at most: in fewer a part that is missing at the edge of
# the range would be diluted, and with more there would be too few events to know its share.
_CELLS = 8
# Events of either class that are looked at first. What is missing from these must be missing from
# all nominal events.
_FIRST = 100_000

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SupportByTheta:
    """What the nominal sample lacks, by cells of θ.

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

    def log_weights(self, rows: IndexArray, thetas: Iterable[torch.Tensor]) -> list[FloatArray]:
        """Compute log w of some events, (m,), for one θ each, (m, p), or several such lists."""
        thetas = list(thetas)
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
    theta = events.theta[torch.as_tensor(varied, device=events.theta.device)].cpu().numpy()
    owners = cell_owners(theta.astype(np.float64), _CELLS)
    cells = [varied[owners == k] for k in range(owners.max() + 1)]
    means = np.stack([theta[owners == k].mean(axis=0) for k in range(len(cells))])
    found = _missing(networks, cells, nominal, range(len(cells)))
    if found and len(nominal) < len(every):
        nominal = every
        found = _missing(networks, cells, nominal, found)
    words = [
        describe(found[k], cell, nominal) if k in found else "" for k, cell in enumerate(cells)
    ]
    if found:
        worst = max(found, key=lambda k: found[k].share)
        others = f" The same holds near {len(found) - 1} other θ." if len(found) > 1 else ""
        warn_user(
            f"No common support: {words[worst]}.{others} Take θ₀ where its events cover those of "
            "other θ, narrow the range of θ, or give more nominal events.",
            SupportWarning,
        )
    return SupportByTheta(means.astype(np.float64), tuple(words))


def _some(rows: IndexArray, rng: np.random.Generator) -> IndexArray:
    """Choose events at random where there are more than are needed."""
    return rows if len(rows) <= _FIRST else np.sort(rng.choice(rows, _FIRST, replace=False))


def _missing(
    networks: _Networks, cells: Sequence[IndexArray], nominal: IndexArray, which: Iterable[int]
) -> dict[int, MissingShare]:
    """Look for missing parts of some cells, nominal events paired with the θ of each cell."""
    events, rng = networks.events, np.random.default_rng(0)
    device = events.theta.device
    chosen = list(which)
    paired = (
        events.theta[torch.as_tensor(rng.choice(cells[k], len(nominal)), device=device)]
        for k in chosen
    )
    weight = events.weight.cpu().numpy()
    found = {}
    for k, log_nominal in zip(chosen, networks.log_weights(nominal, paired), strict=True):
        cell = cells[k]
        own = events.theta[torch.as_tensor(cell, device=device)]
        missing = find_missing_share(
            networks.log_weights(cell, [own])[0],
            log_nominal,
            target_weight=weight[cell].astype(np.float64),
            sample_weight=nominal_weights(log_nominal, weight[nominal].astype(np.float64)),
        )
        if missing is not None:
            found[k] = missing
    return found
