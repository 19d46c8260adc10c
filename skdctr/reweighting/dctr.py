"""DCTR: a parameterised classifier of generator events, and the event weights that come of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.device import resolve_device, spawn_seeds
from skdctr._utils.member_inputs import check_member, check_members
from skdctr._utils.rollback import all_or_nothing
from skdctr._utils.torch_state import default_torch
from skdctr._utils.typing import FloatArray
from skdctr.events.coding import EventCoder
from skdctr.events.identity import are_seen, event_sums
from skdctr.events.kinds import Events
from skdctr.events.support import support_of
from skdctr.events.validation import feature_labels
from skdctr.parameters.space import warn_if_outside
from skdctr.parameters.trained_range import absent_at, trained_range, without_lone_theta
from skdctr.reweighting.base import BaseReweighter
from skdctr.reweighting.classes import (
    ReweightingEvents,
    assign_folds,
    auto_epochs,
    limit_gradients,
    per_class,
    warn_of_few,
    warn_of_many_features,
)
from skdctr.reweighting.nominal import LEAST_SHARE, find_nominal, given_nominal, same_theta
from skdctr.reweighting.scoring import check_scored, mean_log_likelihood, representative_theta
from skdctr.reweighting.signed import positive_weights
from skdctr.reweighting.support import SupportByTheta, measure_support
from skdctr.reweighting.theta_scale import choose_theta_scale
from skdctr.reweighting.training import network_builds, part_seeds, train_members
from skdctr.training.checkpoints import network_prefix, publish
from skdctr.training.event_net import EventNet
from skdctr.training.options import TrainingOptions
from skdctr.training.prediction import scaled_tensor, to_tensor
from skdctr.training.settings import (
    NETWORK_CONSTRAINTS,
    NetworkSettings,
    PrefixedParametersMixin,
)
from skdctr.weights.bound_network import bind_network
from skdctr.weights.missing_share import MissingShare, missing_in_words
from skdctr.weights.network_weights import NetworkWeights

__all__ = ["DCTRReweighter"]

IndexArray = NDArray[np.intp]


class DCTRReweighter(PrefixedParametersMixin, BaseReweighter):
    """Learn event weights that turn the nominal sample into one generated at any θ.

    A classifier f(x, θ) learns to tell events generated at θ from nominal events (DCTR). Its
    logit is log w(x; θ) = log p(x|θ)/p(x|θ₀).

    Parameters
    ----------
    theta_nominal : scalar or array-like of shape (p,), default=None
        θ₀, of the nominal events that weights are for. None takes 0 of the labels 0 and 1, the
        most frequent row of θ, of two values that are as frequent but for chance the smaller one,
        or the median where no row makes up 5%; a warning tells where this is a guess.
    theta_bounds : dict of str to (float, float) or array-like of shape (p, 2), default=None
        Range that θ was drawn from, by name or in the order of the parameters; it must hold the θ
        of all events. None takes the smallest and the largest θ of the events, and allows for what
        these fall short of a range that they fill evenly, ten times the distance between values.
    theta_scale : {"auto", "linear", "log"} or dict of str to these, default="auto"
        What networks see of each parameter: the parameter itself or its logarithm, which suits
        widths and lifetimes and has to be positive in all of `theta_bounds`. "auto" takes the
        logarithm only where the largest θ is more than three times the smallest one and the sample
        does not begin at zero, unless events held out from a short fit by either scale prefer
        the linear one (of sets of particles no such fit is made). A dict may leave parameters out,
        which are "auto".
    n_estimators : int, default=1
        Networks trained with different seeds; weights are the mean of their log-weights.
    hidden_layer_sizes : int or sequence of int, default=None
        Nodes of each hidden layer, in Deep Sets of those that follow the sum over particles; None
        is (50, 50, 50) in an MLP and (32, 32) in all other networks.
    activation : {"silu", "relu", "tanh", "gelu", "elu"}, default="silu"
        Activation of the hidden layers. Smooth ones suit smooth densities.
    module : type, default=None
        Torch module with ``__init__(n_features, n_parameters, ...)`` and ``forward(x, theta)``
        that returns one logit per event. Its features are columns such as
        :class:`skdctr.preprocessing.FeatureCoder` makes, flags among them. None trains
        :class:`skdctr.networks.SeparableNetwork`
        and :class:`skdctr.networks.MLP`, the network of the papers, and keeps the first unless
        the validation loss of the second is lower by more than chance; then the first takes over
        what the second has learned and is refitted. For sets of particles None
        is :class:`skdctr.networks.SeparableDeepSets`; x is
        :class:`skdctr.networks.PackedTensors` then. Layers per particle are (32, 32, 32), or
        ``module__phi_sizes``.
    refit : bool, default=True
        After gradient descent solve for the most probable couplings of a separable network, and
        keep their covariance. Ignored for other modules.
    n_folds : int or "auto", default="auto"
        Parts that the events are dealt to, for each of which `n_estimators` networks learn from
        all the others; 1 lets every network learn from all events. "auto" is 2 for sets of
        particles, which have so many features that networks learn the fluctuations of a sample.
        The optimal observable of :class:`SRGNFitter` then corrects each network by the events
        that it has not seen.
    max_epochs : int or "auto", default="auto"
        Passes over the events; "auto" makes about 2500 steps, in 5 to 100 epochs, and for sets of
        particles up to 1000, in 5 to 12, or 300, in up to 60.
    batch_size : int, default=4000
        Events in a batch.
    lr : float, default=0.01
        Largest learning rate, for layers of up to about 50 nodes. Wider ones want less: those of a
        particle flow network, of 100 to 128 nodes, reach a lower loss at 0.003.
    optimizer : str or type, default="Adam"
        Optimizer of torch.optim.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        Course of the learning rate.
    patience : int, default=None
        Stop after so many epochs without a better validation loss; None trains to the end. The
        best weights are restored either way.
    validation_fraction : float, default=0.1
        Share of the events that judges epochs, networks and refits, at most 100 000 events; 0 uses
        none. When all choices are made they take part in a last refit.
    callbacks : list of skorch callbacks, default=None
        Instances, classes or pairs (name, callback), added to the package's own: an LRScheduler
        takes the place of `lr_schedule`. They see each network that is trained, by default two
        one after the other; files of checkpoints have the one that is kept.
    device : str, default="auto"
        "auto" takes CUDA where there is one. "accelerate" shares every batch among the processes
        that ``accelerate launch`` started.
    random_state : int, RandomState instance or None, default=None
        Seed. The same one gives the same bits on one machine's CPU with one number of threads,
        whatever the number of processes, in threads of a program (fits wait for each other), and
        whatever torch's default dtype or device is, and each member of an ensemble those that it
        has alone. Other numbers of threads, and other machines, round otherwise, which moves log w
        by some 1e-5; so do GPUs, which also train members together.
    verbose : int, default=0
        1 shows a progress bar for each network, 2 prints skorch's table of epochs.
    **prefixed
        ``module__name`` and ``optimizer__name`` go to the module and the optimizer, e.g.
        ``module__rank=8``, and ``callbacks__name__parameter`` to a callback.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, with its `history`; `nets_` has all of an ensemble, those of the first part
        first. Its methods `predict_proba`, `predict`, `forward` and `score` take what
        :meth:`network_inputs` makes of events and θ, or the data set that callbacks are handed, but
        no events as they are. Class 1 are the varied events, as frequent as in training; `forward`
        returns the log-ratio. `save_params` and `load_params` are those of skorch.
    folds_ : ndarray of int of shape (n,), or None
        The part that each event was dealt to, which the networks of this part have not seen; None
        where all have seen every event.
    theta_names_ : list of str of length p
        Names of the parameters.
    theta_nominal_ : ndarray of shape (p,)
        θ₀.
    theta_bounds_ : ndarray of shape (p, 2)
        Range of θ in training, `theta_bounds` where it was given.
    theta_scale_ : dict of str to {"linear", "log"}
        The scale of each parameter.
    discrete_ : bool
        Whether there were two values of θ only.
    n_features_in_ : int
        Features of an event, or of each particle, its type not counted.

    References
    ----------
    A. Andreassen and B. Nachman, Phys. Rev. D 101, 091901 (2020), arXiv:1907.08209, Eq. 1, 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr import DCTRReweighter
    >>> rng = np.random.default_rng(1)
    >>> theta = np.repeat([0.0, 1.0], 5000)
    >>> x = rng.normal(theta)[:, None]
    >>> reweighter = DCTRReweighter(random_state=1).fit(x, theta)
    >>> w = reweighter.predict_weights(x[:5000])
    >>> bool(abs(np.average(x[:5000, 0], weights=w) - 1) < 0.1)
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NETWORK_CONSTRAINTS,
        "theta_nominal": ["array-like", Real, dict, None],
        "theta_bounds": ["array-like", dict, None],
        "theta_scale": [StrOptions({"auto", "linear", "log"}), dict],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "n_folds": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "refit": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    }
    _in_parts = True
    _takes_missing = True
    _codes_features = True
    members_parameter = "n_estimators"
    nets_: list[EventNet]

    def __init__(
        self,
        theta_nominal: Any = None,
        *,
        theta_bounds: Any = None,
        theta_scale: Any = "auto",
        n_estimators: int = 1,
        hidden_layer_sizes: Any = None,
        activation: str = "silu",
        module: Any = None,
        refit: bool = True,
        n_folds: int | str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int = 4000,
        lr: float = 0.01,
        optimizer: Any = "Adam",
        lr_schedule: str = "one_cycle",
        patience: int | None = None,
        validation_fraction: float = 0.1,
        callbacks: Any = None,
        device: Any = "auto",
        random_state: Any = None,
        verbose: int = 0,
        **prefixed: Any,
    ) -> None:
        self.theta_nominal = theta_nominal
        self.theta_bounds = theta_bounds
        self.theta_scale = theta_scale
        self.n_estimators = n_estimators
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.module = module
        self.refit = refit
        self.n_folds = n_folds
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self._set_prefixed(prefixed)

    def __sklearn_tags__(self) -> Tags:
        """Say that θ is needed, and that it may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.non_deterministic = False
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on generator events at many θ.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events, nominal and varied ones together. NaN stands for a missing
            value, and an event must have one value at least. Sets come as an awkward
            array, as (n, particles, features) with all-NaN padding, or as
            :class:`skdctr.preprocessing.PackedEvents`.
        y : array-like of shape (n,) or (n, p), or DataFrame
            The parameters θ that each event was generated with. Rows at θ₀ are the nominal
            class. Where they are less than 5% of the whole, all events train against the mixture
            of all θ instead. Two distinct rows are the discrete case, whatever their shares.
        sample_weight : array-like of shape (n,), default=None
            Event weights. Negative ones count as signed, those of weight zero as absent. The sum
            over each class has to be positive; where the density is not, the weights are bounded
            and mean nothing. The scale of each class's weights does not matter.

        Returns
        -------
        self : DCTRReweighter

        Raises
        ------
        ValueError
            If lengths differ, something is not finite, θ takes one value only, the weights of a
            class do not have a positive sum, `theta_bounds` does not hold all θ, `theta_scale` asks
            for the logarithm of what is not positive, or training diverges.

        Warns
        -----
        OutlierWarning
            If less than 0.5% of the varied events have a θ that is farther from all others than
            five times the range of these. They count as absent, unless `theta_bounds` or
            `theta_nominal` says that they are meant.
        ExtrapolationWarning
            If θ₀ lies outside the range of θ, or the events leave a part of `theta_bounds` empty.
        NominalWarning
            If `theta_nominal` is None and another row of θ is more than half as frequent as the
            most frequent one, of two rows more than a tenth as frequent, or none makes up 5%.
        LowEffectiveSampleSizeWarning
            If `sample_weight` lets few events of a class decide.
        FeatureWarning
            If a feature looks like an angle or like codes of particle types, or features are more
            than the default network has linear terms for.
        SupportWarning
            If a part of the events at some θ lies where there are no nominal events.
        NegativeDensityWarning
            If negative weights outweigh or cancel the positive ones in a region.
        """
        with all_or_nothing(self):
            self._validate_params()
            self._fit(X, y, sample_weight, spawn_seeds(self.random_state, self.n_estimators))
        return self

    def fit_member(self, number: int, seed: int, inputs: Mapping[str, Any]) -> Self:
        """Train one member of the ensemble, and leave this estimator as it is.

        Parameters
        ----------
        number : int
            Number of the member among the `n_estimators`.
        seed : int
            Seed of the member.
        inputs : mapping of str to array-like
            The arguments of `fit` by name; those that are None may be left out.

        Returns
        -------
        DCTRReweighter
            A fitted reweighter of one network for each part of a cross-fit.
        """
        check_member(number, seed, inputs, ("X", "y", "sample_weight"))
        member = copy.copy(self).set_params(verbose=0, n_estimators=1)
        given = (inputs.get("X"), inputs.get("y"), inputs.get("sample_weight"))
        member._fit(*given, [int(seed)], first_number=number, step=self.n_estimators)
        return member

    def assemble(self, members: Sequence[Self], inputs: Mapping[str, Any]) -> Self:
        """Join members to the fitted reweighter that `fit` would have made.

        Parameters
        ----------
        members : sequence of DCTRReweighter
            The reweighters that :meth:`fit_member` has returned, in the order of their numbers.
        inputs : mapping of str to array-like
            The reweighter does not use them; other estimators do.

        Returns
        -------
        self : DCTRReweighter
        """
        members = check_members(members, type(self))
        first = members[0]
        learned = vars(first).keys() - first.get_params(deep=False).keys()
        for name in learned:
            setattr(self, name, getattr(first, name))
        by_fold = zip(*(member.nets_ for member in members), strict=True)
        self.nets_ = [net for nets in by_fold for net in nets]
        return self

    @default_torch()
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        seeds: Sequence[int],
        *,
        first_number: int = 0,
        step: int = 1,
    ) -> None:
        """Train a network for each seed and each part of the cross-fit.

        Files that callbacks write are named by the numbers that networks have in `nets_` of the
        whole ensemble, of which `first_number` is that of the first one here, and `step` the
        distance to the next.
        """
        if y is None:
            raise ValueError(
                "DCTRReweighter requires y to be passed, but the target y is None: give the "
                "parameters θ that each event was generated with."
            )
        device = resolve_device(self.device)
        events, scaled_nominal = self._prepare(X, y, sample_weight, device)
        self.nets_ = []
        prefixes = [
            network_prefix(first_number + k * step) for k in range(len(seeds) * self._n_parts)
        ]
        for k, member_seeds in enumerate(part_seeds(seeds, self._n_parts)):
            train_events = events
            if self.folds_ is not None:
                train_events = events.only(torch.as_tensor(self.folds_ != k, device=device))
                if not train_events.has_both_classes:
                    raise ValueError(
                        f"n_folds={self.n_folds}: without the events of a part, one of the two "
                        f"classes has no positive weight left among {len(self.folds_)} events. "
                        "Give more events, or n_folds=1."
                    )
            first = len(self.nets_)
            self.nets_ += self._train_members(
                train_events, scaled_nominal, member_seeds, prefixes[first:]
            )
        self.net_ = self.nets_[0]
        for net, prefix in reversed(list(zip(self.nets_, prefixes, strict=True))):
            net.file_prefix_ = prefix
            publish(net, last=net is self.net_)
        self._support = None if self._against_mixture else self._measure_support(X, y, events)

    def _measure_support(self, X: Any, y: Any, events: ReweightingEvents) -> SupportByTheta:
        """Find where events at other θ lie of which the nominal sample has none, and warn."""

        def describe(missing: MissingShare, cell: IndexArray, nominal: IndexArray) -> str:
            checked = self._checked(X, reset=False)
            rows = self._space.rows(y, len(checked), name="y")[cell]
            pairs = zip(self.theta_names_, rows.mean(axis=0), strict=True)
            names = feature_labels(checked, getattr(self, "feature_names_in_", None))
            lacking = missing_in_words(
                missing, checked[cell], checked[nominal], names, which="the nominal sample"
            )
            place = ", ".join(f"{name} = {value:.4g}" for name, value in pairs)
            return f"of the events near {place}, {lacking}"

        return measure_support(events, [net.module_ for net in self.nets_], self.folds_, describe)

    @default_torch()
    def unsupported(self, theta: FloatArray) -> str:
        """Say which part of the events at θ the nominal sample lacks.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            The parameters.

        Returns
        -------
        str
            Empty where nothing is missing, and where there was no nominal sample in training.
        """
        check_is_fitted(self)
        point = self._space.point(theta)
        return "" if self._support is None else self._support.at(self._parameters(point))

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, device: torch.device
    ) -> tuple[ReweightingEvents, torch.Tensor]:
        """Check and scale the events and θ₀, and keep all that is known before the training.

        Copies that are made on the way are freed when this call ends, before the training.
        """
        X, theta, names, weight = self._check_generator_sample(X, y, sample_weight)
        keep = given_nominal(theta, names, self.theta_nominal)
        weight = without_lone_theta(theta, names, weight, keep=keep, bounds=self.theta_bounds)
        # An event of weight zero is absent: its θ and features do not count.
        counts = weight != 0
        present, seen = (theta, X) if counts.all() else (theta[counts], X[np.flatnonzero(counts)])
        if (present == present[0]).all() and not (theta == present[0]).all():
            raise ValueError(
                "sample_weight sums to zero or less over the events away from θ₀ = "
                f"{present[0].tolist()}: each class needs a positive sum."
            )
        nominal, n_distinct = find_nominal(present, names, self.theta_nominal)
        space = trained_range(present, names, nominal, self.theta_bounds)
        is_nominal = (theta == nominal).all(axis=1)
        scarce = (is_nominal & counts).sum() < LEAST_SHARE * counts.sum()
        mixture = bool(scarce and (n_distinct > 2 or not is_nominal.any()))
        for rows, where in ((is_nominal, "at"), (~is_nominal, "away from")):
            if not mixture and not weight[rows].sum() > 0:
                raise ValueError(
                    f"sample_weight sums to zero or less over the events {where} θ₀ = "
                    f"{nominal.tolist()}: each class needs a positive sum."
                )
        warn_if_outside(space, nominal)
        self._publish(space)
        self.discrete_ = n_distinct == 2 and not mixture
        varied = counts if mixture else counts & ~is_nominal
        reference = counts if mixture else counts & is_nominal
        # The scales of the two samples count where the classifier is scored, not in its training.
        self._prior_logit = math.log(weight[varied].sum() / weight[reference].sum())
        if sample_weight is not None:
            weight = per_class(weight, varied, reference)
            warn_of_few(weight, varied, reference)
        self._features = EventCoder.fit(X, weight, getattr(self, "feature_names_in_", None))
        self._features.warn()
        if self.module is None:
            warn_of_many_features(X, self._features, len(names))
        self._range = support_of(seen, self._features)
        self._against_mixture = mixture
        self.folds_ = assign_folds(X, self.n_folds)
        weight, sums = positive_weights(
            X,
            theta,
            weight,
            varied=varied,
            reference=reference,
            folds=self.folds_,
            names=names,
            feature_names=getattr(self, "feature_names_in_", None),
        )
        # The sums by which a fit recognises events that the networks of each part were dealt.
        self._seen_sums = np.empty(0) if self.folds_ is None else event_sums(X)
        self._pool = representative_theta(theta[varied], weight[varied])
        theta, x = absent_at(theta, counts, nominal), scaled_tensor(self._features, X, device)
        self._parameters = choose_theta_scale(
            self.theta_scale,
            space,
            theta,
            x,
            weight,
            varied=varied,
            reference=reference,
            discrete=self.discrete_,
        )
        self.theta_scale_ = self._parameters.scales
        events = ReweightingEvents(
            x=x,
            theta=scaled_tensor(self._parameters, theta, device),
            weight=torch.ones(1, device=device).expand(len(X))
            if sample_weight is None
            else to_tensor(weight, device),
            varied=torch.as_tensor(varied, device=device),
            reference=torch.as_tensor(reference, device=device),
            sums=sums,
        )
        return events, to_tensor(self._parameters(nominal[None]), device)

    def _train_members(
        self,
        events: ReweightingEvents,
        theta_nominal: torch.Tensor,
        seeds: Sequence[int],
        prefixes: Sequence[str],
    ) -> list[EventNet]:
        """Train one network for each seed on the events of one part of the cross-fit."""
        settings = NetworkSettings.of(self)

        def options(n_events: int, member: int) -> TrainingOptions:
            chosen = settings.options(
                auto_epochs(events, n_events, self.batch_size),
                patience=self.patience,
                description=f"reweighter {member + 1} of {self.n_estimators}",
                file_prefix=prefixes[member],
                publishes=False,
            )
            return limit_gradients(events, chosen) if self.module is None else chosen

        return train_members(
            events,
            network_builds(settings, events, theta_nominal, mixture=self._against_mixture),
            options,
            validation_fraction=self.validation_fraction,
            refit=self.refit,
            seeds=seeds,
        )

    @default_torch()
    def _bind(self, X: Events) -> NetworkWeights:
        """Bind the networks to checked events, so that every further θ is cheap."""
        device = self._fitted_device()
        nominal = None
        if self._against_mixture:
            nominal = to_tensor(self._parameters(self.theta_nominal_[None]), device)
        x = scaled_tensor(self._features, X, device)
        networks = [bind_network(net.module_, x, nominal) for net in self.nets_]
        return NetworkWeights(networks, self._parameters, device, self._n_parts)

    def unseen_folds(self, X: Events) -> NDArray[np.signedinteger] | None:
        """Return the part of a cross-fit whose networks have not seen each of these events.

        Parameters
        ----------
        X : ndarray of shape (n, f) or PackedEvents
            Checked generator events.

        Returns
        -------
        ndarray of int of shape (n,), or None
            None where there is one part, or these are not the events of the fit.

        Raises
        ------
        ValueError
            If they are those of the fit in another order.
        """
        self._check_form(X, "X")
        if self.folds_ is None or len(X) != len(self.folds_) or not are_seen(X, self._seen_sums):
            return None
        return self.folds_

    @property
    def _n_parts(self) -> int:
        return 1 if self.folds_ is None else int(self.folds_.max()) + 1

    def _fitted_device(self) -> torch.device:
        return next(self.net_.module_.parameters()).device

    def _check_theta(self, theta: Any, n_events: int) -> FloatArray:
        if not self.discrete_:
            return super()._check_theta(theta, n_events)
        if theta is None:
            return self._pool.rows[0]
        point = self._space.point(theta, n_events=n_events)
        trained = np.stack([self.theta_nominal_, self._pool.rows[0]])
        same = same_theta(np.atleast_2d(point)[:, None], trained)
        if not same.any(axis=1).all():
            raise ValueError(
                f"theta={point.tolist()}: this reweighter was trained at the two values "
                f"{trained.tolist()} only and knows no other. Train on more values of θ."
            )
        return trained[same.argmax(axis=1)].reshape(point.shape)

    def network_inputs(self, X: ArrayLike, theta: Any = None) -> dict[str, Any]:
        """Turn events and θ into what the networks in `nets_` take, on their scale.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event.

        Returns
        -------
        dict of str to Tensor
            "x", the n events as columns of the features' code, or as
            :class:`skdctr.networks.PackedTensors`, and "theta" of shape (n, p).

        Raises
        ------
        ValueError
            If the events or θ do not fit.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        device, scaled = self._fitted_device(), self._parameters(np.atleast_2d(point))
        rows = to_tensor(scaled, device).expand(len(events), -1)
        return {"x": scaled_tensor(self._features, events, device), "theta": rows}

    def predict_log_weight_spread(self, X: ArrayLike, theta: Any = None) -> FloatArray:
        """Compute the standard deviation of log w over the members of the ensemble.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events.
        theta : scalar, array-like of shape (p,) or (n, p), dict, Series or DataFrame
            One θ, or one per event.

        Returns
        -------
        ndarray of shape (n,)
            The error that training puts on each log-weight; that of the mean is smaller by the
            square root of `n_estimators`.

        Raises
        ------
        ValueError
            If there is one member only, or the events or θ do not fit.
        """
        events = self._check_events(X)
        point = self._check_theta(theta, len(events))
        if len(self.nets_) < 2:
            raise ValueError("n_estimators=1 has no spread: fit with n_estimators of 2 or more.")

        def spread(weights: Any, at: FloatArray) -> FloatArray:
            deviation: FloatArray = weights.member_log_weights(at).std(axis=0, ddof=1)
            return deviation

        return self._evaluate(events, point, spread)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute minus the weighted cross-entropy of the classifier on the rows given.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Generator-level events.
        y : array-like of shape (n,) or (n, p)
            The parameters θ of each event. Nominal events are paired with θ of the training
            events, in a fixed order.
        sample_weight : array-like of shape (n,), default=None
            Event weights.

        Returns
        -------
        float
            Higher is better.

        Raises
        ------
        ValueError
            If the rows hold one class only, as a fold of unshuffled events ordered by θ does.

        Warns
        -----
        ExtrapolationWarning
            If a θ lies outside the trained range, for the same reason or another.
        """
        events, theta, weight, counts = self._check_scored_rows(X, y, sample_weight)
        n_trained = 0 if self._range is None else self._range.n_events
        nominal = None if self._against_mixture else self.theta_nominal_
        check_scored(theta[counts], self._space, nominal, n_trained)
        theta = absent_at(theta, counts, self.theta_nominal_)
        return mean_log_likelihood(
            self._bind(events),
            theta,
            weight,
            self._pool,
            nominal=nominal,
            prior_logit=self._prior_logit,
        )
