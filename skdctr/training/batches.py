"""Whole batches of events, cut from tensors on the device.

skorch's stock loader fetches events one by one, which takes five to ten times as long as the
network itself. Here a data set is a few tensors that live on the device, and a batch is a slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from skorch.dataset import Dataset
from torch import Tensor

from skdctr.events.kinds import count_features
from skdctr.events.tensors import EventTensors

__all__ = ["BatchLoader", "EventDataset", "signs"]

# Rows gathered at once: so many that the gather is cheap, and so few that they stay in cache.
_BLOCK_ROWS = 1 << 16
# Values of θ drawn at once, so that the numbers of the drawing take little memory.
_DRAWN_ROWS = 1 << 18


class EventDataset(Dataset):
    """Weighted events and what is to be learned of them, as tensors of equal length on one device.

    It is a data set of skorch, whose callbacks are handed one: `X` and `y` are what a scoring
    function gets, and a net predicts it as a whole.

    Parameters
    ----------
    x : Tensor of shape (n, f) or PackedTensors
        Rows of features, or sets of particles.
    target : Tensor of shape (n,) or (n, k)
        Class of each event as a truth value or as 0 and 1, or the values of a regression.
    weight : Tensor of shape (n,)
        Event weights.
    theta : Tensor of shape (n, p), optional
        Parameters that go into the network beside the features.
    rows : Tensor of int of shape (n,), optional
        Which rows of `x` the events are, where data sets share one x. By default they are all.
    redraw : Tensor of bool of shape (n,) or slice, optional
        Events whose θ is drawn anew at every epoch. Their pairing with θ is artificial, so that
        each new draw is new data.
    pool : Tensor of shape (m, p), optional
        Values of θ to draw from.
    pool_weight : Tensor of shape (m,), optional
        Weights of these values in the drawing, which are equal by default. If some are negative,
        θ is drawn by the size of its weight, and the sign goes to the weight of the event, so that
        the drawn θ have the signed distribution.
    """

    def __init__(
        self,
        x: EventTensors,
        target: Tensor,
        weight: Tensor,
        theta: Tensor | None = None,
        *,
        rows: Tensor | None = None,
        redraw: Tensor | slice | None = None,
        pool: Tensor | None = None,
        pool_weight: Tensor | None = None,
    ) -> None:
        self.x, self.target, self.weight, self.theta = x, target, weight, theta
        self.rows = rows
        self.redraw = redraw.nonzero().squeeze(1) if isinstance(redraw, Tensor) else redraw
        self.pool, self.pool_sign = pool, None
        self.cumulative: Tensor | None = None
        self.equally = False
        if pool_weight is not None:
            self.equally = bool((pool_weight == pool_weight[0]).all())
            self.cumulative = None if self.equally else _normalised_cumsum(pool_weight)
            self.pool_sign = signs(pool_weight)
        if self.pool_sign is not None and self.redraw is not None:
            self.weight = weight.clone()
            self.redraw_weight = weight[self.redraw]

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: Any) -> tuple[Any, ...]:
        return tuple(column[rows] for column in self.tensors())

    @property
    def X(self) -> EventDataset:  # noqa: N802 - skorch's name
        """The events as a net takes them: the data set itself."""
        return self

    @property
    def y(self) -> Tensor:
        """Class of each event as 0 and 1, or the values of a regression."""
        return _as_numbers(self.target)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of events and of features, in sets those of a particle."""
        return len(self), count_features(self.x)

    def start_epoch(self, generator: torch.Generator) -> None:
        """Draw θ anew for the events that have none of their own.

        Parameters
        ----------
        generator : torch.Generator
            Source of random numbers, on the device of the events.
        """
        if self.redraw is None or self.pool is None or self.theta is None:
            return
        n = len(self.target[self.redraw])
        for start in range(0, n, _DRAWN_ROWS):
            part = slice(start, min(start + _DRAWN_ROWS, n))
            drawn = self._draw(part.stop - start, len(self.pool), generator)
            if isinstance(self.redraw, slice):
                first = range(len(self))[self.redraw].start
                events: Any = slice(first + start, first + part.stop)
            else:
                events = self.redraw[part]
            self.theta[events] = self.pool[drawn]
            if self.pool_sign is not None:
                self.weight[events] = self.redraw_weight[part] * self.pool_sign[drawn]

    def _draw(self, n: int, n_pool: int, generator: torch.Generator) -> Tensor:
        """Draw n numbers of rows of a pool of n_pool, by weight."""
        device = self.x.device
        if self.cumulative is None and not self.equally:
            return torch.randint(n_pool, (n,), generator=generator, device=device)
        uniform = torch.rand(n, generator=generator, device=device, dtype=torch.float64)
        if self.cumulative is None:
            return uniform.mul_(n_pool).ceil_().sub_(1).clamp_(0, n_pool - 1).long()
        return torch.searchsorted(self.cumulative, uniform).clamp_max(n_pool - 1)

    def tensors(self) -> tuple[Any, ...]:
        """Return x, target, weight and, where there is one, θ of all events."""
        x = self.x if self.rows is None else self.x.index_select(0, self.rows)
        columns = (x, self.target, self.weight)
        return columns if self.theta is None else (*columns, self.theta)

    def select(self, events: Tensor) -> list[Any]:
        """Return what `tensors` returns, of some of the events.

        Parameters
        ----------
        events : Tensor of int of shape (k,)
            Numbers of the events.
        """
        rows = events if self.rows is None else self.rows.index_select(0, events)
        columns = [self.target, self.weight, *([] if self.theta is None else [self.theta])]
        return [self.x.index_select(0, rows), *(each.index_select(0, events) for each in columns)]


def signs(weight: Tensor) -> Tensor | None:
    """Find the factors that turn a drawing by the size of weights into one by signed weights.

    Parameters
    ----------
    weight : Tensor of shape (n,)
        Weights, whose sum is positive.

    Returns
    -------
    Tensor of shape (n,), or None
        The sign of each weight, times the number that makes the signs' mean 1 in the drawing. None
        where no weight is negative, so that nothing is needed.
    """
    if not bool((weight < 0).any()):
        return None
    return weight.sign() * (weight.abs().double().sum() / weight.double().sum()).to(weight.dtype)


def _normalised_cumsum(weight: Tensor) -> Tensor:
    """Sum the sizes of weights up to each row, as a share of the total, (n,)."""
    cumulative = weight.abs().double().cumsum(0)
    return cumulative / cumulative[-1]


def _as_numbers(target: Tensor) -> Tensor:
    """Turn truth values into 0 and 1, which losses take."""
    return target.float() if target.dtype == torch.bool else target


class BatchLoader:
    """Whole batches sliced from an `EventDataset`; takes the place of torch's DataLoader in skorch.

    A batch is a dict of the network's inputs and of the events' weights, and the target: what
    skorch and its callbacks know as X and y.

    Parameters
    ----------
    dataset : EventDataset
        The events.
    batch_size : int
        Number of events in a batch; the last one may be smaller.
    shuffle : bool
        Whether to draw a new order, and new artificial θ, at every pass.
    seed : int
        Seed of these drawings.
    """

    def __init__(
        self, dataset: EventDataset, batch_size: int, shuffle: bool = False, seed: int = 0
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = torch.Generator(device=dataset.x.device)
        self.generator.manual_seed(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Tensor]]:
        n, size = len(self.dataset), self.batch_size
        if not self.shuffle:
            yield from self._slices(self.dataset.tensors())
            return
        self.dataset.start_epoch(self.generator)
        index = torch.int32 if n < 1 << 31 else torch.int64
        order = torch.randperm(
            n, generator=self.generator, device=self.dataset.x.device, dtype=index
        )
        rows = size * max(1, _BLOCK_ROWS // size)
        for block in order.split(rows):
            yield from self._slices(self.dataset.select(block))

    def _slices(self, columns: Sequence[Any]) -> Iterator[tuple[dict[str, Any], Tensor]]:
        """Cut columns into batches of inputs and weights, and of targets."""
        for x, target, weight, *theta in zip(
            *(column.split(self.batch_size) for column in columns), strict=True
        ):
            inputs = {"x": x, "weight": weight}
            if theta:
                inputs["theta"] = theta[0]
            yield inputs, _as_numbers(target)
