"""The likelihood of a choice: which of several values of θ made an event."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from skdctr.events.tensors import EventTensors
from skdctr.training.batches import signs
from skdctr.training.prediction import event_functions, predict_logits

__all__ = ["CHUNK_GROUPS", "GROUP", "ChoiceSample", "Groups", "choice_losses"]

# Number of events in a group, and of the competing values of θ that they share. Where both classes
# are of one size, the θ of each varied event is shared by one group, so that the distribution of θ
# adds no noise.
GROUP = 64
_SHARED = 32
# How often nominal events take part where weights are negative.
_SIGNED_REPEATS = 4
# Groups that are compared at once, so that they stay in the processor's cache.
CHUNK_GROUPS = 256
# Events that are placed in their groups at once, so that the work takes little memory.
_PART = 1 << 20


@dataclass(frozen=True)
class ChoiceSample:
    """Events, and the θ that made them.

    Attributes
    ----------
    x : Tensor of shape (n, f) or PackedTensors
        Events.
    varied : Tensor of int of shape (n1,)
        Which of the events are varied.
    varied_theta, varied_weight : Tensor of shape (n1, p) and (n1,)
        The θ that made each varied event, and its weight.
    reference : Tensor of int of shape (n0,)
        Which of the events are nominal. If there are none, the varied values of θ compete with each
        other alone.
    reference_weight : Tensor of shape (n0,)
        Weights of the nominal events.
    prior_logit : float
        Logarithm of the ratio of total weights, varied over nominal; infinite without the latter.
    inflation : float
        Factor of the variance of sums over that which the weights have, as those that stand for
        signed ones do not show it all.
    """

    x: EventTensors
    varied: Tensor
    varied_theta: Tensor
    varied_weight: Tensor
    reference: Tensor
    reference_weight: Tensor
    prior_logit: float
    inflation: float = 1.0


@dataclass(frozen=True)
class Groups:
    """Events in groups of m, each with a value of θ of its own and k that its group shares.

    Attributes
    ----------
    x : Tensor or PackedTensors
        All events.
    rows : Tensor of int of shape (g, m)
        Which events the groups have.
    weight : Tensor of shape (g, m)
        Weights of the events, which the method `weights` returns without those of the padding.
    n_events : int
        Number of events in the groups; beyond them the last group is padded.
    varied : Tensor of bool of shape (g, m)
        Whether the event's own θ made it; otherwise θ₀ did.
    own, shared : Tensor of int of shape (g, m) and (g, k)
        Which varied values of θ compete for each event and for each group.
    prior : float
        Logarithm of the prior odds of one value of θ against θ₀.
    """

    x: EventTensors
    rows: Tensor
    weight: Tensor
    n_events: int
    varied: Tensor
    own: Tensor
    shared: Tensor
    prior: float

    @classmethod
    def draw(cls, sample: ChoiceSample, seed: int) -> Groups:
        """Mix the classes, and draw the competing values of θ by weight.

        Parameters
        ----------
        sample : ChoiceSample
            The events.
        seed : int
            Seed of the order of events and of the values of θ.
        """
        device = sample.x.device
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        sign = signs(sample.varied_weight)
        n_shared, reference, reference_weight = _SHARED, sample.reference, sample.reference_weight
        if sign is not None:
            # The product of many signs has too large a variance. So one value of θ competes at a
            # time, and nominal events take part several times.
            n_shared = 0
            reference = reference.repeat(_SIGNED_REPEATS)
            reference_weight = reference_weight.repeat(_SIGNED_REPEATS) / _SIGNED_REPEATS
        n_varied, n_reference = len(sample.varied), len(reference)
        total = n_varied + n_reference
        if n_reference == 0:
            # It is never chosen, but there has to be something to choose from.
            reference, reference_weight = sample.varied[:1], sample.varied_weight[:1]
        order = torch.randperm(total, generator=generator, device=device, dtype=torch.int32)
        partner = _resample(sample.varied_weight, max(n_reference, 1), generator)
        n_groups = math.ceil(total / GROUP)
        padded = n_groups * GROUP
        equal = _all_equal(sample.varied_weight, reference_weight)
        rows, own = (torch.zeros(padded, dtype=torch.int32, device=device) for _ in range(2))
        # The padding counts as varied, which has a probability with and without θ₀.
        varied = torch.ones(padded, dtype=torch.bool, device=device)
        weight = sample.varied_weight[:1].expand(padded)
        if not equal:
            weight = torch.zeros(padded, device=device)
        for start in range(0, total, _PART):
            place = order[start : start + _PART]
            part = slice(start, start + len(place))
            is_varied = place < n_varied
            first, second = place.clamp(max=n_varied - 1), (place - n_varied).clamp_(min=0)
            varied[part] = is_varied
            rows[part] = torch.where(is_varied, sample.varied[first], reference[second]).int()
            own[part] = torch.where(is_varied, first, partner[second])
            if not equal:
                nominal_weight = reference_weight[second]
                if sign is not None:
                    nominal_weight = nominal_weight * sign[partner[second]]
                weight[part] = torch.where(is_varied, sample.varied_weight[first], nominal_weight)
        del order, partner
        shared = _resample(sample.varied_weight, n_groups * n_shared, generator)
        return cls(
            x=sample.x,
            rows=rows.unflatten(0, (n_groups, GROUP)),
            weight=weight.unflatten(0, (n_groups, GROUP)),
            n_events=total,
            varied=varied.unflatten(0, (n_groups, GROUP)),
            own=own.unflatten(0, (n_groups, GROUP)),
            shared=shared.unflatten(0, (n_groups, n_shared)),
            prior=sample.prior_logit - math.log(1 + n_shared),
        )

    def weights(self, rows: slice) -> Tensor:
        """Return the weights of some groups, (g, m), which are zero for the padding of the last."""
        weight = self.weight[rows]
        beyond = rows.stop * GROUP - self.n_events
        if beyond > 0:
            weight = weight.clone()
            weight[-1, GROUP - beyond :] = 0.0
        return weight

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all events."""
        # Equal weights are one number in memory; summed at once they would be copied.
        parts = [self.weights(rows).sum(dtype=torch.float64) for rows in self.chunks()]
        return float(torch.stack(parts).sum())

    def first(self, n_groups: int) -> Groups:
        """Return the first groups, which are as random a choice as any."""
        names = ("rows", "weight", "varied", "own", "shared")
        parts: dict[str, Any] = {name: getattr(self, name)[:n_groups] for name in names}
        return replace(self, **parts, n_events=min(self.n_events, n_groups * GROUP))

    def chunks(self) -> Iterator[slice]:
        """Go through the groups in parts that stay in the processor's cache."""
        for start in range(0, len(self.rows), CHUNK_GROUPS):
            yield slice(start, min(start + CHUNK_GROUPS, len(self.rows)))

    def log_probabilities(self, own: Tensor, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn the log-ratios at the competing values of θ into their log-probabilities.

        Parameters
        ----------
        own, shared : Tensor of shape (g, m) and (g, m, k)
            Values of log w at each event's own θ, and at those that its group shares.

        Returns
        -------
        own, shared : Tensor of shape (g, m) and (g, m, k)
            Log-probability of each of these values of θ.
        nominal : Tensor of shape (g, m)
            Log-probability of θ₀.
        """
        odds = [own[..., None], shared]
        if math.isinf(self.prior):
            at_own, at_shared = _log_softmax(odds).split([1, shared.shape[2]], dim=2)
            return at_own.squeeze(2), at_shared, torch.full_like(own, -torch.inf)
        # The prior enters as the odds of θ₀ against one value of θ.
        odds.append(torch.full_like(own, -self.prior)[..., None])
        at_own, at_shared, nominal = _log_softmax(odds).split([1, shared.shape[2], 1], dim=2)
        return at_own.squeeze(2), at_shared, nominal.squeeze(2)


def _log_softmax(parts: list[Tensor]) -> Tensor:
    """Normalise the log-odds of values of θ, given in several parts along the last axis."""
    return torch.cat(parts, dim=2).log_softmax(dim=2)


def _resample(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw n rows by the size of their weight, so evenly that no row is off by more than one.

    Parameters
    ----------
    weight : Tensor of shape (m,)
        Weights, which may be negative.
    n : int
        Number of rows to draw.
    generator : torch.Generator
        Source of random numbers.

    Returns
    -------
    Tensor of int of shape (n,)
        Numbers of the rows, in random order.
    """
    device, index = weight.device, torch.int32
    drawn = torch.zeros(n, dtype=index, device=device)
    offset = torch.rand(1, generator=generator, device=device, dtype=torch.float64)
    equal = _all_equal(weight)
    cumulative = None if equal else weight.abs().double().cumsum(0)
    for start in range(0, n, _PART):
        stop = min(start + _PART, n)
        place = torch.arange(start, stop, device=device, dtype=torch.float64).add_(offset).div_(n)
        if cumulative is None:
            found = place.mul_(len(weight)).int()
        else:
            found = torch.searchsorted(cumulative, place.mul_(cumulative[-1]), out_int32=True)
        drawn[start:stop] = found.clamp_(max=len(weight) - 1)
    order = torch.randperm(n, generator=generator, device=device, dtype=index)
    for part in order.split(_PART):
        # The result takes the place of the order, which saves a table of all events.
        part.copy_(drawn[part])
    return order


def _all_equal(*weights: Tensor) -> bool:
    """Say whether all weights are one number."""
    return all(bool((weight == weights[0][:1]).all()) for weight in weights)


@torch.no_grad()
def choice_losses(
    log_ratio: Callable[[Any, Tensor], Tensor], sample: ChoiceSample, *, seed: int = 0
) -> Tensor:
    """Compute minus the log-probability of the θ that made each event, among others.

    Parameters
    ----------
    log_ratio : callable
        Maps n events and θ (n, p) to log w, (n,). Without nominal events any function of x alone
        may be added to it.
    sample : ChoiceSample
        Events to judge by.
    seed : int
        Seed of the drawing of competing values of θ.

    Returns
    -------
    Tensor of shape (n,)
        The losses in double precision, times the weights of the events. Events are in the order of
        the drawing, and those of weight zero are left out.
    """
    groups = Groups.draw(sample, seed)
    theta = sample.varied_theta
    network: Any = log_ratio
    # Functions of x alone are computed once for all values of θ.
    separate = getattr(network, "has_event_functions", False)
    at_theta = network.from_functions if separate else log_ratio
    losses = []
    for rows in groups.chunks():
        shape = groups.rows[rows].shape
        x: Any = groups.x[groups.rows[rows].flatten()]
        if separate:
            x = event_functions(network, x)
        own = predict_logits(at_theta, x, theta[groups.own[rows].flatten()]).reshape(shape)
        shared = groups.shared[rows]
        columns = [
            predict_logits(
                at_theta, x, theta[shared[:, k]].repeat_interleave(shape[1], dim=0)
            ).reshape(shape)
            for k in range(shared.shape[1])
        ]
        others = torch.stack(columns, dim=2) if columns else own[..., None][..., :0]
        log_own, _, log_nominal = groups.log_probabilities(own, others)
        chosen = torch.where(groups.varied[rows], log_own, log_nominal)
        weight = groups.weights(rows)
        losses.append((-chosen * weight)[weight != 0].double())
    return torch.cat(losses)
