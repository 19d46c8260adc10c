"""The events that a reweighter learns from, as two classes, and the training that suits them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.events.coding import EventCoder
from skdctr.events.kinds import Events, holds_sets
from skdctr.events.tensors import EventTensors
from skdctr.exceptions import FeatureWarning, LowEffectiveSampleSizeWarning
from skdctr.metrics import effective_sample_size
from skdctr.networks.separable import dictionary_terms
from skdctr.reweighting.couplings.theta_choices import ChoiceSample
from skdctr.reweighting.signed import UNSIGNED, SignedSums
from skdctr.training.batches import EventDataset
from skdctr.training.folds import make_folds
from skdctr.training.options import TrainingOptions

__all__ = [
    "ReweightingEvents",
    "assign_folds",
    "auto_epochs",
    "limit_gradients",
    "per_class",
    "warn_of_few",
    "warn_of_many_features",
]

# Steps of gradient descent that max_epochs="auto" aims at, and the least and the largest number of
# epochs that it takes.
_AUTO_STEPS, _AUTO_EPOCHS = 2500, (5, 100)
# The same for sets: the least number of steps and the one aimed at; the least number of epochs, the
# number that is enough unless it gives too few steps, and the largest. Sets have so many features
# that more epochs only learn the fluctuations of the sample: with 5·10⁴ jets the validation loss is
# lowest after 10 to 20 epochs, with few sets after the least number of steps.
_AUTO_STEPS_OF_SETS, _AUTO_EPOCHS_OF_SETS = (300, 1000), (5, 12, 60)
# Parts of the cross-fit of sets. Two halves take no more time than all events at once.
_FOLDS_OF_SETS = 2
# Largest norm of a gradient, times the root of the batch's size: twice what is usual in the default
# network. Some particles have features tens of widths off, and one batch with such a particle can
# throw a network out of the reach of all later steps.
_LARGEST_GRADIENT_OF_SETS = 3.2
# Few events decide where the effective number of a class is so small, or such a share of it.
_FEW_EFFECTIVE, _LEAST_EFFECTIVE_SHARE = 100, 0.02


@dataclass(frozen=True)
class ReweightingEvents:
    """Scaled events and parameters on the device, and which of them are in either class.

    Without a nominal class the reference is the mixture of all θ, which is made of the same events
    with θ drawn anew.

    Attributes
    ----------
    x : Tensor of shape (n, f) or PackedTensors
        Scaled events.
    theta : Tensor of shape (n, p)
        Scaled parameters that each event was generated with.
    weight : Tensor of shape (n,)
        Event weights.
    varied, reference : Tensor of bool of shape (n,)
        Whether each event is in the class of varied θ, and in the reference class.
    sums : SignedSums
        What is known of the signed weights that these stand for.
    """

    x: EventTensors
    theta: torch.Tensor
    weight: torch.Tensor
    varied: torch.Tensor
    reference: torch.Tensor
    sums: SignedSums = UNSIGNED

    def only(self, keep: torch.Tensor) -> ReweightingEvents:
        """Return the classes without the events that a mask, (n,), does not keep, with no copy."""
        return replace(self, varied=self.varied & keep, reference=self.reference & keep)

    @property
    def are_sets(self) -> bool:
        """Whether the events are sets of particles."""
        return holds_sets(self.x)

    @property
    def has_both_classes(self) -> bool:
        """Whether each class has a positive total weight."""
        return all(float(self.weight[rows].sum()) > 0 for rows in (self.varied, self.reference))

    @property
    def n_rows(self) -> int:
        """Number of events in either class, those in both counted twice."""
        return int(self.varied.sum() + self.reference.sum())

    @property
    def prior_logit(self) -> float:
        """Logarithm of the ratio of total signed weights, varied over reference."""
        totals = (
            self.weight[rows].sum(dtype=torch.float64) for rows in (self.varied, self.reference)
        )
        return math.log(float(next(totals) / next(totals))) - self.sums.log_excess

    def dataset(self, seed: int, *, redraw: bool) -> EventDataset:
        """Make the data set of both classes, reference events paired with θ of varied ones.

        Parameters
        ----------
        seed : int
            Seed of the pairing, where it is made here.
        redraw : bool
            Whether the pairing is left to each epoch of a training, or is made once and here.
        """
        classes = [mask.nonzero().squeeze(1) for mask in (self.varied, self.reference)]
        # Short integers take half the memory of these tables, a fifth of all that training takes.
        index = torch.int32 if len(self.weight) < 1 << 31 else torch.int64
        rows = torch.cat([each.to(index) for each in classes])
        n_varied, n = len(classes[0]), len(rows)
        del classes
        target = torch.zeros(n, dtype=torch.bool, device=rows.device)
        target[:n_varied] = True
        theta = self.theta.new_empty(n, self.theta.shape[1])
        theta[:n_varied] = self.theta.index_select(0, rows[:n_varied])
        theta[n_varied:] = theta[:1]
        data = EventDataset(
            self.x,
            target,
            _with_mean_one(self._weight_of(rows)),
            theta,
            rows=rows,
            redraw=slice(n_varied, n),
            pool=theta[:n_varied],
            pool_weight=self._weight_of(rows[:n_varied]),
        )
        if not redraw:
            generator = torch.Generator(device=rows.device)
            generator.manual_seed(seed)
            data.start_epoch(generator)
            data.redraw = None
        return data

    def _weight_of(self, rows: torch.Tensor) -> torch.Tensor:
        """Take the weights of some rows; equal weights stay a single number in memory."""
        if self.weight.stride() == (0,):
            return self.weight[:1].expand(len(rows))
        return self.weight.index_select(0, rows)

    def choices(self) -> ChoiceSample:
        """Return the events with the θ that made them; a mixture has no nominal class."""
        rows = [
            mask.nonzero().squeeze(1).to(torch.int32)
            for mask in (self.varied, self.reference & ~self.varied)
        ]
        weight = _with_mean_one(self._weight_of(torch.cat(rows)))
        varied, nominal = rows
        return ChoiceSample(
            x=self.x,
            varied=varied,
            varied_theta=self.theta[varied],
            varied_weight=weight[: len(varied)],
            reference=nominal,
            reference_weight=weight[len(varied) :],
            prior_logit=self.prior_logit if len(nominal) else math.inf,
            inflation=self.sums.inflation,
        )


def _with_mean_one(weight: torch.Tensor) -> torch.Tensor:
    """Scale weights to mean 1; equal weights become a single number in memory."""
    if weight.stride() == (0,) or bool((weight == weight[0]).all()):
        return torch.ones_like(weight[:1]).expand(len(weight))
    return weight / weight.mean()


def auto_epochs(events: ReweightingEvents, n_events: int, batch_size: int) -> int:
    """Choose the number of passes over a training sample.

    Parameters
    ----------
    events : ReweightingEvents
        Events, for their kind.
    n_events, batch_size : int
        Number of events in the training sample and in a batch.
    """
    steps_per_epoch = math.ceil(n_events / batch_size)
    if not events.are_sets:
        return int(np.clip(math.ceil(_AUTO_STEPS / steps_per_epoch), *_AUTO_EPOCHS))
    least, wanted = (math.ceil(steps / steps_per_epoch) for steps in _AUTO_STEPS_OF_SETS)
    fewest, enough, most = _AUTO_EPOCHS_OF_SETS
    return int(np.clip(min(wanted, max(least, enough)), fewest, most))


def assign_folds(X: Events, n_folds: int | str) -> NDArray[np.signedinteger] | None:
    """Deal the events to the parts of a cross-fit.

    The parts do not depend on a seed, so that members of an ensemble can be trained one by one.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    n_folds : int or "auto"
        Number of parts; "auto" is two for sets, and one for rows of features.

    Returns
    -------
    ndarray of int of shape (n,), or None
        The part that each event is in; None where there is one part only.
    """
    auto = _FOLDS_OF_SETS if holds_sets(X) else 1
    # Parts beyond the number of events would be empty.
    n = auto if n_folds == "auto" else min(int(n_folds), max(len(X), 2))
    if n == 1:
        return None
    folds = make_folds(len(X), n, np.random.default_rng(0))
    return folds.astype(np.int8 if n < 128 else np.intp)


def limit_gradients(events: ReweightingEvents, options: TrainingOptions) -> TrainingOptions:
    """Return options that limit the norm of gradients, if the events are sets.

    Parameters
    ----------
    events : ReweightingEvents
        Events, for their kind.
    options : TrainingOptions
        Options of a training of the default network.
    """
    if not events.are_sets:
        return options
    # Most of a gradient is noise, which falls as the root of the batch's size.
    largest = _LARGEST_GRADIENT_OF_SETS / math.sqrt(options.batch_size)
    return replace(options, largest_gradient=largest)


def per_class(
    weight: FloatArray, varied: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> FloatArray:
    """Give the events of each class a mean weight of 1.

    The ratio of two densities does not depend on the scales that two generators give their
    weights, and neither may what is learned of it.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Event weights, whose sum over each class is positive.
    varied, reference : ndarray of bool of shape (n,)
        The events of each class; they are the same where the reference is the mixture of all θ.

    Returns
    -------
    ndarray of shape (n,)
    """
    normalised = weight.copy()
    for rows in (varied, reference & ~varied):
        if rows.any():
            normalised[rows] /= weight[rows].mean()
    return normalised


def warn_of_many_features(X: Events, coder: EventCoder, n_parameters: int) -> None:
    """Warn where features are so many that the default network has no monomials of them.

    Parameters
    ----------
    X : ndarray of shape (n, f) or PackedEvents
        Checked events.
    coder : EventCoder
        What networks see of their features.
    n_parameters : int
        Number of parameters θ.

    Warns
    -----
    FeatureWarning
        If there are too many features.
    """
    n_columns = coder.features.n_out
    if not holds_sets(X) and not dictionary_terms(n_columns, n_parameters, 4).feature_terms:
        warn_user(
            f"{n_columns} columns of features are more than the default network has linear terms "
            f"for, so that shifts of single features may not be learned from {len(X)} events. "
            "Leave features out or combine them, and check the weights with closure_report.",
            FeatureWarning,
        )


def warn_of_few(
    weight: FloatArray, varied: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> None:
    """Warn where the weights of a class let few of its events decide.

    Parameters are those of `per_class`.

    Warns
    -----
    LowEffectiveSampleSizeWarning
        If the effective number of a class is below `_LEAST_EFFECTIVE_SHARE` of its events, or
        below `_FEW_EFFECTIVE` and less than a fifth of them.
    """
    same = varied is reference
    for name, rows in (
        (("training", varied),)
        if same
        else (
            ("varied", varied),
            ("nominal", reference),
        )
    ):
        n_events, n_effective = int(rows.sum()), effective_sample_size(weight[rows])
        few = n_effective < min(_FEW_EFFECTIVE, n_events / 5)
        if few or n_effective < _LEAST_EFFECTIVE_SHARE * n_events:
            warn_user(
                f"few effective events: the {n_events} {name} events are worth "
                f"{n_effective:.3g} by their sample_weight, so that few of them decide what is "
                "learned. Look for outliers among the weights, or generate more events.",
                LowEffectiveSampleSizeWarning,
            )
