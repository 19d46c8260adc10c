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

# Events that share their competing values of θ, and the number of these. Each value serves once
# where both classes are of one size: as often as an event stands for it, so that the
# distribution of θ adds no noise.
GROUP = 64
_SHARED = 32
_SIGNED_REPEATS = 4
CHUNK_GROUPS = 256
# Events placed in their groups at once.
_PART = 1 << 20


@dataclass(frozen=True)
class ChoiceSample:
    """Events, and the θ that made them.

    Attributes
    ----------
    x : Tensor of shape (n, f) or PackedTensors
        Events.
    varied : Tensor of int of shape (n1,)
        Which of them are varied, with `varied_theta` of shape (n1, p) and `varied_weight`.
    reference : Tensor of int of shape (n0,)
        Which are nominal, with `reference_weight`. May be empty: then the varied values of θ
        compete with each other alone.
    prior_logit : float
        Logarithm of the ratio of total weights, varied over nominal; infinite without the latter.
    """

    x: EventTensors
    varied: Tensor
    varied_theta: Tensor
    varied_weight: Tensor
    reference: Tensor
    reference_weight: Tensor
    prior_logit: float


@dataclass(frozen=True)
class Groups:
    """Events in groups of m, each with its own value of θ and k that its group shares.

    Attributes
    ----------
    x : Tensor or PackedTensors
        The events.
    rows : Tensor of int of shape (g, m)
        Which of them.
    weight : Tensor of shape (g, m)
        Of the events; see `weights`.
    n_events : int
        The last group is padded beyond these.
    varied : Tensor of bool of shape (g, m)
        Whether the event's own θ made it; otherwise θ₀ did.
    own, shared : Tensor of int of shape (g, m) and (g, k)
        Which of the varied values of θ.
    prior : float
        Log-odds of one value of θ against θ₀.
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
        """Mix the classes, and draw the values of θ by weight."""
        device = sample.x.device
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        n1, n0 = len(sample.varied), len(sample.reference)
        sign = signs(sample.varied_weight)
        k = _SHARED
        reference, reference_weight = sample.reference, sample.reference_weight
        if sign is not None:
            # The product of many signs has too large a variance: one value of θ competes at a
            # time, and nominal events stand in several times.
            k, n0 = 0, n0 * _SIGNED_REPEATS
            reference = reference.repeat(_SIGNED_REPEATS)
            reference_weight = reference_weight.repeat(_SIGNED_REPEATS) / _SIGNED_REPEATS
        total = n1 + n0
        if n0 == 0:
            # Never chosen, but there has to be something to choose.
            reference, reference_weight = sample.varied[:1], sample.varied_weight[:1]
        order = torch.randperm(total, generator=generator, device=device, dtype=torch.int32)
        partner = _resample(sample.varied_weight, max(n0, 1), generator)
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
            at = order[start : start + _PART]
            part = slice(start, start + len(at))
            is_varied = at < n1
            first, second = at.clamp(max=n1 - 1), (at - n1).clamp_(min=0)
            varied[part] = is_varied
            rows[part] = torch.where(is_varied, sample.varied[first], reference[second]).int()
            own[part] = torch.where(is_varied, first, partner[second])
            if not equal:
                of_nominal = reference_weight[second]
                if sign is not None:
                    of_nominal = of_nominal * sign[partner[second]]
                weight[part] = torch.where(is_varied, sample.varied_weight[first], of_nominal)
        del order, partner
        shape = (n_groups, GROUP)
        return cls(
            x=sample.x,
            rows=rows.unflatten(0, shape),
            weight=weight.unflatten(0, shape),
            n_events=total,
            varied=varied.unflatten(0, shape),
            own=own.unflatten(0, shape),
            shared=_resample(sample.varied_weight, n_groups * k, generator).unflatten(
                0, (n_groups, k)
            ),
            prior=sample.prior_logit - math.log(1 + k),
        )

    def weights(self, rows: slice) -> Tensor:
        """Return the weights of some groups, zero where the last one is padded."""
        weight = self.weight[rows]
        beyond = rows.stop * GROUP - self.n_events
        if beyond > 0:
            weight = weight.clone()
            weight[-1, GROUP - beyond :] = 0.0
        return weight

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all events."""
        # Equal weights take no memory; flat they would.
        parts = [self.weights(rows).sum(dtype=torch.float64) for rows in self.chunks()]
        return float(torch.stack(parts).sum())

    def first(self, n_groups: int) -> Groups:
        """Return the first groups, which are as random as any."""
        names = ("rows", "weight", "varied", "own", "shared")
        parts: dict[str, Any] = {name: getattr(self, name)[:n_groups] for name in names}
        return replace(self, **parts, n_events=min(self.n_events, n_groups * GROUP))

    def chunks(self) -> Iterator[slice]:
        """Go through the groups in pieces that stay in the processor's cache."""
        for start in range(0, len(self.rows), CHUNK_GROUPS):
            yield slice(start, min(start + CHUNK_GROUPS, len(self.rows)))

    def log_probabilities(self, own: Tensor, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare the log-ratios of the values of θ.

        Parameters
        ----------
        own, shared : Tensor of shape (g, m) and (g, m, k)
            log w at each event's own θ and at those that its group shares.

        Returns
        -------
        own, shared : Tensor
            Log-probability of each value of θ.
        nominal : Tensor of shape (g, m)
            That of θ₀.
        """
        every = [own[..., None], shared]
        if math.isinf(self.prior):
            at_own, at_shared = _log_softmax(every).split([1, shared.shape[2]], dim=2)
            return at_own.squeeze(2), at_shared, torch.full_like(own, -torch.inf)
        # The odds of a value of θ against θ₀, whose own are 1.
        every.append(torch.full_like(own, -self.prior)[..., None])
        at_own, at_shared, nominal = _log_softmax(every).split([1, shared.shape[2], 1], dim=2)
        return at_own.squeeze(2), at_shared, nominal.squeeze(2)


def _log_softmax(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, dim=2).log_softmax(dim=2)


def _resample(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw n rows by the size of their weight, each as often as expected or once more or less."""
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
        # In its place: one table of all events less.
        part.copy_(drawn[part])
    return order


def _all_equal(*weights: Tensor) -> bool:
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
        may be added.
    sample : ChoiceSample
        Events to judge by.
    seed : int
        Seed of the values of θ.

    Returns
    -------
    Tensor of shape (n,)
        In double precision, times the weights; events in the order of the drawing.
    """
    groups = Groups.draw(sample, seed)
    theta = sample.varied_theta
    network: Any = log_ratio
    # What is a function of x alone is computed once for all values of θ.
    separate = getattr(network, "has_event_functions", False)
    of_theta = network.from_functions if separate else log_ratio
    losses = []
    for rows in groups.chunks():
        shape = groups.rows[rows].shape
        x: Any = groups.x[groups.rows[rows].flatten()]
        if separate:
            x = event_functions(network, x)
        own = predict_logits(of_theta, x, theta[groups.own[rows].flatten()]).reshape(shape)
        shared = groups.shared[rows]
        columns = [
            predict_logits(
                of_theta, x, theta[shared[:, k]].repeat_interleave(shape[1], dim=0)
            ).reshape(shape)
            for k in range(shared.shape[1])
        ]
        others = torch.stack(columns, dim=2) if columns else own[..., None][..., :0]
        at_own, _, at_nominal = groups.log_probabilities(own, others)
        chosen = torch.where(groups.varied[rows], at_own, at_nominal)
        weight = groups.weights(rows)
        losses.append((-chosen * weight)[weight != 0].double())
    return torch.cat(losses)
