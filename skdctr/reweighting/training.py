"""Training of the networks of a reweighter: fits, the choice between them, and the refit."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from skdctr._utils.device import torch_seed
from skdctr.events.kinds import count_features, count_type_codes, feature_table
from skdctr.networks import MLP, DeepSets, SeparableDeepSets, SeparableNetwork
from skdctr.networks.build import check_takes, constructor_arguments, standardise_sums
from skdctr.networks.separable import determined_terms, dictionary_terms
from skdctr.reweighting.classes import ReweightingEvents
from skdctr.reweighting.couplings.join import join_networks
from skdctr.reweighting.couplings.refit import Refit, refit_again, refit_couplings
from skdctr.reweighting.couplings.theta_choices import ChoiceSample, choice_losses
from skdctr.training.batches import EventDataset
from skdctr.training.event_net import EventNet
from skdctr.training.options import TrainingOptions
from skdctr.training.settings import NetworkSettings
from skdctr.training.together import train_together, trains_together
from skdctr.training.train import train

__all__ = ["make_module", "network_builds", "part_seeds", "train_members"]

# Validation events at the most: with so many their loss is known well enough for all choices, and
# further ones serve better in training.
_VALIDATION_ROWS = 100_000
# Rise of the validation loss, in standard errors, from which on a refit is not taken: a smaller one
# may be chance.
_WORSE_AT = 3.0
# Gain in validation loss, in standard errors, from which on a second network replaces the first.
_BETTER_AT = 2.0
# Validation events without which networks are not compared, as their losses would differ by chance.
_LEAST_TO_CHOOSE = 500
# Members of an ensemble that train at once, and rows of all these members, at the most; both limit
# the memory that they take.
_TOGETHER, _TOGETHER_ROWS = 64, 1 << 25
# The networks that are trained by default, the preferred one first, and the default layers of each.
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
    """Make the functions that build the networks to be trained, the preferred one first.

    Parameters
    ----------
    settings : NetworkSettings
        Class, layers and further arguments of the network; with no class those that suit the
        events and take the further arguments.
    events, theta_nominal, mixture
        As in `make_module`.

    Returns
    -------
    list of callable
        Each builds one network.
    """
    further = dict(settings.module_params)
    if settings.module is not None:
        modules = [settings.module]
    else:
        offered = _NETWORKS_OF_SETS if events.are_sets else _NETWORKS
        suited = [m for m in offered if further.keys() <= inspect.signature(m).parameters.keys()]
        modules = suited or [offered[0]]
    return [
        partial(
            make_module,
            each,
            events,
            theta_nominal,
            layers={**settings.layers(_LAYERS.get(each, (50, 50))), **_PHI.get(each, {})},
            explicit={} if settings.module is None else settings.explicit,
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
    explicit: Mapping[str, Any],
    further: dict[str, Any],
    mixture: bool,
) -> nn.Module:
    """Build the network, with the arguments that its constructor takes.

    Parameters
    ----------
    module : type
        Class of the network.
    events : ReweightingEvents
        Events, which give the numbers of features, particle types and parameters, and the scale of
        sums over particles.
    theta_nominal : Tensor of shape (1, p)
        Scaled θ₀.
    layers : mapping
        `hidden_layer_sizes` and `activation`.
    explicit : mapping
        Those of them that the user has set, and that a network of the user has to take.
    further : mapping
        Arguments that the user gave as ``module__name``.
    mixture : bool
        Whether the reference class is the mixture of all θ.

    Raises
    ------
    TypeError
        If the constructor does not take the arguments.
    """
    x, n_parameters = events.x, events.theta.shape[1]
    check_takes(module, x)
    # Sets have no monomials of sums over particles: on jets these left a bias half as large again
    # as without them.
    n_variables = 0 if events.are_sets else count_features(x)
    terms = dictionary_terms(n_variables, n_parameters, further.get("rank", 4))
    determined = determined_terms(terms.feature_terms, feature_table(x))
    terms = terms._replace(feature_terms=determined)
    offered = {
        "n_features": count_features(x),
        "n_parameters": n_parameters,
        "n_types": count_type_codes(x),
        "theta_nominal": theta_nominal[0].tolist(),
        **terms._asdict(),
        "free_reference": mixture,
        **layers,
    }
    arguments = constructor_arguments(module, offered, explicit)
    try:
        network = module(**arguments | further)
    except TypeError as error:
        raise TypeError(
            f"{module.__name__} could not be made from {sorted(arguments | further)}: {error}. "
            "Its constructor takes n_features and n_parameters by name; further arguments come "
            "as module__name=value."
        ) from error
    standardise_sums(network, x, events.theta)
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

    Returns
    -------
    list of EventNet
        One trained network for each seed.
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
            others = _candidates(group, build, _with_files_apart(options, build), refit)
            for k, (member, other) in enumerate(zip(group, others, strict=True)):
                difference = member.losses(best[k].net.module_) - member.losses(other.net.module_)
                if _excess(difference) > _BETTER_AT:
                    joined = _joined(member, best[k].net, other.net) if refit else None
                    best[k] = other if joined is None else joined
        for member, chosen in zip(group, best, strict=True):
            _refit_on_all(member, chosen)
            nets.append(chosen.net)
    return nets


def _with_files_apart(
    options: Callable[[int, int], TrainingOptions], build: Callable[[], nn.Module]
) -> Callable[[int, int], TrainingOptions]:
    """Let the files that callbacks write of a second network not take the place of the first's."""
    name = build.args[0].__name__ if isinstance(build, partial) else "other"

    def apart(n_events: int, member: int) -> TrainingOptions:
        chosen = options(n_events, member)
        return replace(chosen, file_prefix=f"{chosen.file_prefix}{name}_")

    return apart


def part_seeds(seeds: Sequence[int], n_parts: int) -> list[list[int]]:
    """Give the members of each part of a cross-fit seeds of their own.

    Differences between the parts tell the noise of training, and would miss what has the same seed
    in all of them.

    Parameters
    ----------
    seeds : sequence of int
        Seeds of the members of the first part.
    n_parts : int
        Number of parts.

    Returns
    -------
    list of list of int
        Seeds of the members, by part.
    """
    further = [
        [int(np.random.SeedSequence([seed, k]).generate_state(1)[0]) for seed in seeds]
        for k in range(1, n_parts)
    ]
    return [list(seeds), *further]


class _Candidate(NamedTuple):
    """A trained network, and the refit that it has taken, or None."""

    net: EventNet
    refit: Refit | None


def _group_size(
    events: ReweightingEvents,
    build: Callable[[], nn.Module],
    options: Callable[[int, int], TrainingOptions],
    seeds: Sequence[int],
) -> int:
    """Compute how many members are trained at once; the others take no memory meanwhile."""
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
        """Judge a network by each validation event; the spread is that of signed weights."""
        module.eval()
        losses = choice_losses(module, self._judged, seed=self.seed)
        if self._judged.inflation == 1.0:
            return losses
        return losses.mean() + (losses - losses.mean()) * math.sqrt(self._judged.inflation)


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
        if isinstance(net.module_, SeparableNetwork):
            # A callback may have loaded a network that was refitted: training has moved on from it.
            net.module_.coupled_columns = net.module_.coupling_covariance = None
        if refit and isinstance(net.module_, SeparableNetwork):
            taken = _refit(net.module_, member.kept.choices(), member.losses, member.seed)
        candidates.append(_Candidate(net, taken))
    return candidates


def _train_group(
    group: Sequence[_Member],
    modules: Sequence[nn.Module],
    options: Callable[[int, int], TrainingOptions],
) -> list[EventNet]:
    """Train the networks of a group by gradient descent, at once or one after the other."""
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
        # The data set is freed before the refit: it is a fifth of all memory.
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
    """Let a separable network take over what another one has learned, so that its error is known.

    Returns
    -------
    _Candidate or None
        The joined network. None where the first one is not separable, the events are sets, or the
        joined network is worse than the other one.
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
    """Refit the couplings, with the functions of x that the validation events prefer.

    Returns
    -------
    Refit or None
        The refit, which the network has taken. None where the network is as it was, because every
        refit has raised the validation loss by more than chance.
    """
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
    """Put the couplings of a refit and their covariance into the network."""
    module.coupling.copy_(refit.coupling)
    module.coupled_columns, module.coupling_covariance = refit.columns, refit.covariance


def _refit_on_all(member: _Member, chosen: _Candidate) -> None:
    """Refit the couplings of the chosen network once more, to the validation events as well."""
    module, taken = chosen.net.module_, chosen.refit
    if taken is None or member.valid is None:
        return
    refit = refit_again(module, taken, member.events.choices(), seed=member.seed)
    if refit is not None:
        _take(module, refit)


def _excess(difference: torch.Tensor) -> float:
    """Compute the mean of a difference of losses, (n,), in units of its standard error."""
    mean, error = float(difference.mean()), float(difference.std()) / math.sqrt(len(difference))
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
