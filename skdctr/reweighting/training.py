"""Training of the networks of a reweighter: fits, the choice between them, and the refit."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from skdctr._utils.device import torch_seed
from skdctr.events.tensors import PackedTensors
from skdctr.networks import MLP, DeepSets, SeparableDeepSets, SeparableNetwork
from skdctr.networks.build import check_takes
from skdctr.networks.separable import determined_terms, dictionary_terms
from skdctr.reweighting.classes import ReweightingEvents
from skdctr.reweighting.couplings.choices import ChoiceSample, choice_losses
from skdctr.reweighting.couplings.join import join_networks
from skdctr.reweighting.couplings.refit import Refit, refit_again, refit_couplings
from skdctr.training.batches import EventDataset
from skdctr.training.event_net import EventNet
from skdctr.training.options import TrainingOptions
from skdctr.training.settings import NetworkSettings
from skdctr.training.together import train_together, trains_together
from skdctr.training.train import train

__all__ = ["make_module", "network_builds", "train_members"]

_VALIDATION_ROWS = 100_000
# A refit that raises the validation loss by more than chance is not taken.
_WORSE_AT = 3.0
# A second network replaces the first where its validation loss is lower by so many errors.
_BETTER_AT = 2.0
_LEAST_TO_CHOOSE = 500
# Members of an ensemble that train at once, where they do.
_TOGETHER = 64
# Rows of all these members at the most.
_TOGETHER_ROWS = 1 << 25
# What trains by default, the preferred one first, and default layers of each network.
_NETWORKS: tuple[Any, ...] = (SeparableNetwork, MLP)
_NETWORKS_OF_SETS: tuple[Any, ...] = (SeparableDeepSets,)
_LAYERS: dict[Any, tuple[int, ...]] = {
    SeparableNetwork: (32, 32),
    MLP: (50, 50, 50),
    SeparableDeepSets: (32, 32),
    DeepSets: (32, 32),
}
_PHI: dict[Any, dict[str, Any]] = {
    SeparableDeepSets: {"phi_sizes": (32, 32, 32)},
    DeepSets: {"phi_sizes": (32, 32, 32)},
}


def network_builds(
    settings: NetworkSettings,
    events: ReweightingEvents,
    theta_nominal: torch.Tensor,
    *,
    mixture: bool,
) -> list[Callable[[], nn.Module]]:
    """Say how to make the networks that are to be trained, the preferred one first.

    Parameters
    ----------
    settings : NetworkSettings
        Class, layers and further arguments of the network; with no class those that suit the
        events and take the further arguments.
    events, theta_nominal, mixture
        As in `make_module`.
    """
    further = dict(settings.module_params)
    if settings.module is not None:
        modules = [settings.module]
    else:
        offered = _NETWORKS_OF_SETS if isinstance(events.x, PackedTensors) else _NETWORKS
        suited = [m for m in offered if further.keys() <= inspect.signature(m).parameters.keys()]
        modules = suited or [offered[0]]
    return [
        partial(
            make_module,
            each,
            events,
            theta_nominal,
            layers={**settings.layers(_LAYERS.get(each, (50, 50))), **_PHI.get(each, {})},
            further=further,
            mixture=mixture,
        )
        for each in modules
    ]


def make_module(
    module: type[nn.Module],
    events: ReweightingEvents,
    theta_nominal: torch.Tensor,
    *,
    layers: Mapping[str, Any],
    further: dict[str, Any],
    mixture: bool,
) -> nn.Module:
    """Build the network, with the arguments that its constructor has a name for.

    Parameters
    ----------
    module : type
        Class of the network.
    events : ReweightingEvents
        For the numbers of features, particle types and parameters, and the scale of sums.
    theta_nominal : Tensor of shape (1, p)
        Scaled θ₀.
    layers : mapping
        `hidden_layer_sizes` and `activation`.
    further : mapping
        What the user gave as ``module__name``.
    mixture : bool
        Whether the reference class is the mixture of all θ.
    """
    x, n_parameters = events.x, events.theta.shape[1]
    check_takes(module, x)
    if isinstance(x, PackedTensors):
        # Monomials of sums over particles left half as much bias again on jets as none at all.
        n_features, n_variables = x.n_features, 0
    else:
        n_features = n_variables = x.shape[1]
    terms = dictionary_terms(n_variables, n_parameters, further.get("rank", 4))
    if isinstance(x, torch.Tensor):
        terms = terms._replace(feature_terms=determined_terms(terms.feature_terms, x))
    offered = {
        "n_features": n_features,
        "n_parameters": n_parameters,
        "n_types": x.n_types if isinstance(x, PackedTensors) else 0,
        "theta_nominal": theta_nominal[0].tolist(),
        **terms._asdict(),
        "free_reference": mixture,
        **layers,
    }
    names = inspect.signature(module).parameters
    arguments = {name: value for name, value in offered.items() if name in names}
    try:
        made: Any = module(**arguments | further)
    except TypeError as error:
        raise TypeError(
            f"{module.__name__} could not be made from {sorted(arguments | further)}: {error}. "
            "Its constructor takes n_features and n_parameters by name; further arguments come "
            "as module__name=value."
        ) from error
    if isinstance(x, PackedTensors) and hasattr(made, "standardise"):
        made.to(x.device).standardise(x, events.theta)
    network: nn.Module = made
    return network


def train_members(
    events: ReweightingEvents,
    builds: Sequence[Callable[[], nn.Module]],
    options: Callable[[int, int], TrainingOptions],
    *,
    validation_fraction: float,
    refit: bool,
    seeds: Sequence[int],
) -> list[EventNet]:
    """Train networks on all but the validation events, and return the best one for each seed.

    Parameters
    ----------
    events : ReweightingEvents
        All events.
    builds : sequence of callable
        Each makes a network; torch is seeded when it is called. The first one is preferred: a
        later one must have a lower validation loss by more than chance. With few events only the
        first is trained.
    options : callable
        Makes the training options from the number of events and the number of the member; members
        that train together have those of the first.
    validation_fraction : float
        Share of events held out.
    refit : bool
        Whether to refit the couplings of a separable network.
    seeds : sequence of int
        For each member the seed of all that is random.
    """
    size = _group_size(events, builds[0], options, seeds)
    nets: list[EventNet] = []
    for first in range(0, len(seeds), size):
        group = [
            _Member(events, first + k, seed, validation_fraction)
            for k, seed in enumerate(seeds[first : first + size])
        ]
        best = _candidates(group, builds[0], options, refit)
        for build in builds[1:] if group[0].can_choose else []:
            others = _candidates(group, build, options, refit)
            for k, (member, other) in enumerate(zip(group, others, strict=True)):
                difference = member.losses(best[k].net.module_) - member.losses(other.net.module_)
                if _excess(difference) > _BETTER_AT:
                    joined = _joined(member, best[k].net, other.net) if refit else None
                    best[k] = other if joined is None else joined
        for member, chosen in zip(group, best, strict=True):
            _refit_on_all(member, chosen)
            nets.append(chosen.net)
    return nets


class _Candidate(NamedTuple):
    """A trained network, and the refit that it has taken."""

    net: EventNet
    refit: Refit | None


def _group_size(
    events: ReweightingEvents,
    build: Callable[[], nn.Module],
    options: Callable[[int, int], TrainingOptions],
    seeds: Sequence[int],
) -> int:
    """Say how many members are at work at once; the others take no memory."""
    device = events.x.device
    if len(seeds) == 1:
        return 1
    with torch_seed(seeds[0], device):
        module = build()
    if not trains_together(module, options(events.n_rows, 0), device):
        return 1
    return max(1, min(_TOGETHER, _TOGETHER_ROWS // events.n_rows))


class _Member:
    """A member of an ensemble: its seed, and the events that train and judge it."""

    def __init__(
        self, events: ReweightingEvents, number: int, seed: int, validation_fraction: float
    ) -> None:
        self.events, self.number, self.seed = events, number, seed
        self.device = events.x.device
        n = len(events.x)
        self.n_valid = min(int(validation_fraction * n), _VALIDATION_ROWS)
        held_out = torch.zeros(n, dtype=torch.bool)
        order = np.random.default_rng(seed).permutation(n)
        held_out[torch.as_tensor(order[: self.n_valid])] = True
        held_out = held_out.to(self.device)
        self.kept, judge = events.only(~held_out), events.only(held_out)
        self.valid: EventDataset | None = None
        if judge.has_both_classes and self.kept.has_both_classes:
            self.valid = judge.dataset(seed, redraw=False)
        else:
            self.kept = judge = events
        self._judged = judge.choices()

    @property
    def can_choose(self) -> bool:
        """Whether there are events enough to compare networks."""
        return self.valid is not None and self.n_valid >= _LEAST_TO_CHOOSE

    def losses(self, module: nn.Module) -> torch.Tensor:
        """Judge a network by each validation event."""
        module.eval()
        return choice_losses(module, self._judged, seed=self.seed)


def _candidates(
    members: Sequence[_Member],
    build: Callable[[], nn.Module],
    options: Callable[[int, int], TrainingOptions],
    refit: bool,
) -> list[_Candidate]:
    """Train a network for each member, together where that is faster."""
    modules = []
    for member in members:
        with torch_seed(member.seed, member.device):
            modules.append(build().to(member.device))
    candidates = []
    for member, net in zip(members, _train_group(members, modules, options), strict=True):
        taken = None
        if refit and isinstance(net.module_, SeparableNetwork):
            taken = _refit(net.module_, member.kept.choices(), member.losses, member.seed)
        candidates.append(_Candidate(net, taken))
    return candidates


def _train_group(
    group: Sequence[_Member],
    modules: Sequence[nn.Module],
    options: Callable[[int, int], TrainingOptions],
) -> list[EventNet]:
    first = group[0]
    shared = options(first.kept.n_rows, first.number)
    alike = len({(each.kept.n_rows, each.valid and len(each.valid)) for each in group}) == 1
    if len(group) > 1 and alike and trains_together(modules[0], shared, first.device):
        return train_together(
            modules,
            [member.kept.dataset(member.seed, redraw=True) for member in group],
            shared,
            valid=None if first.valid is None else [each.valid for each in group if each.valid],
            prior_logits=[member.kept.prior_logit for member in group],
            device=first.device,
            seeds=[member.seed for member in group],
        )
    nets = []
    for member, module in zip(group, modules, strict=True):
        # Not kept longer than needed: data sets are a fifth of all memory, and a refit comes next.
        data = member.kept.dataset(member.seed, redraw=True)
        nets.append(
            train(
                module,
                data,
                options(len(data), member.number),
                valid=member.valid,
                prior_logit=member.kept.prior_logit,
                device=member.device,
                seed=member.seed,
            )
        )
        del data
    return nets


def _joined(member: _Member, first: EventNet, other: EventNet) -> _Candidate | None:
    """Let a separable network have what another one has learned, so that its error is known.

    Returns
    -------
    _Candidate or None
        None where that is no separable network, or worse than the other one.
    """
    module, sample = first.module_, member.kept.choices()
    if not isinstance(module, SeparableNetwork) or not isinstance(sample.x, torch.Tensor):
        return None
    joined = copy.copy(first)
    joined.module_ = join_networks(module, other.module_, sample.x, sample.varied_theta)
    taken = _refit(joined.module_, sample, member.losses, member.seed)
    if taken is None:
        return None
    worse = _excess(member.losses(joined.module_) - member.losses(other.module_)) > _BETTER_AT
    return None if worse else _Candidate(joined, taken)


def _refit(
    module: SeparableNetwork,
    sample: ChoiceSample,
    losses: Callable[[nn.Module], torch.Tensor],
    seed: int,
) -> Refit | None:
    """Refit the couplings, with the functions of x that the validation events prefer."""
    trained, before = module.coupling.clone(), losses(module)
    best: tuple[Refit, torch.Tensor] | None = None
    for refit in refit_couplings(module, sample, seed=seed):
        module.coupling.copy_(refit.coupling)
        after = losses(module)
        if best is None or float(after.mean()) < float(best[1].mean()):
            best = refit, after
    if best is None or _excess(best[1] - before) > _WORSE_AT:
        module.coupling.copy_(trained)
        return None
    _take(module, best[0])
    return best[0]


def _take(module: SeparableNetwork, refit: Refit) -> None:
    module.coupling.copy_(refit.coupling)
    module.coupled_columns, module.coupling_covariance = refit.columns, refit.covariance


def _refit_on_all(member: _Member, chosen: _Candidate) -> None:
    """Let the events that have judged take part in the couplings of the network that was chosen."""
    module, taken = chosen.net.module_, chosen.refit
    if taken is None or member.valid is None:
        return
    refit = refit_again(module, taken, member.events.choices(), seed=member.seed)
    if refit is not None:
        _take(module, refit)


def _excess(difference: torch.Tensor) -> float:
    """Mean of a difference of losses, in units of its error."""
    mean, error = float(difference.mean()), float(difference.std()) / math.sqrt(len(difference))
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
