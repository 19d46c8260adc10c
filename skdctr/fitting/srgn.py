"""SRGN: fit the parameters of data at detector level with generator-level reweighting."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.device import spawn_seeds
from skdctr._utils.member_inputs import check_member, check_members
from skdctr._utils.parallel import run_jobs
from skdctr._utils.rollback import all_or_nothing
from skdctr._utils.warn import warn_once
from skdctr.comparison.classifier import Classifier, reference_classifier
from skdctr.comparison.classifier_objective import ClassifierObjective
from skdctr.comparison.surrogate import NEAREST
from skdctr.fitting.after_fit import FitInferenceMixin
from skdctr.fitting.choose_reweighter import is_given, resolve_reweighter
from skdctr.fitting.objectives import ObservableRoute, Route, SearchRoute
from skdctr.fitting.observable_problem import observable_problem
from skdctr.fitting.runs import Run, combine_runs
from skdctr.fitting.samples import GeneratorInput, Samples, check_fit_samples, check_score_samples
from skdctr.fitting.scoring import auc_score
from skdctr.fitting.searches import choose_search, progress
from skdctr.fitting.support import unsupported_by_classifier
from skdctr.fitting.verdict import Quality, conclude, table_of_evaluations
from skdctr.observable.regression import RegressionOptions
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.space import ParameterSpace
from skdctr.results.columns import scan_columns
from skdctr.results.messages import Message, warn_of
from skdctr.reweighting.base import parameter_space
from skdctr.training.settings import (
    NETWORK_CONSTRAINTS,
    NetworkSettings,
    PrefixedParametersMixin,
)
from skdctr.weights.event_weights import EventWeights

__all__ = ["SRGNFitter"]

# Arguments of `fit` that are samples to be compared, and those that are the generator sample.
_SAMPLES = ("X", "y", "data", "sample_weight", "data_weight")
_GENERATOR = ("gen", "theta", "gen_weight")
_ROUGH_ERROR = Message(
    "the error of one descent is a rough estimate: use n_runs or search='surrogate'"
)


class SRGNFitter(FitInferenceMixin, PrefixedParametersMixin):
    """Fit θ of data behind a detector, from one simulated sample and a reweighter.

    The simulation at θ₀ has generator-level features, which give the weights w(x_G; θ), and
    reconstructed features, which a classifier compares with those of the data. θ* is where it
    finds no difference.

    Parameters
    ----------
    reweighter : reweighter, default=None
        Where `fit` gets ``gen, theta`` a clone of a `DCTRReweighter` is fitted on them; without
        these, or in a `FrozenEstimator`, a fitted one is used as it is. An `AnalyticReweighter`
        needs no fit. None is a `DCTRReweighter` where `fit` gets ``gen, theta``, and otherwise the
        exponential tilt of `AnalyticReweighter`.
    objective : {"auc", "loss", "optimal_observable"}, default="auc"
        "auc" compares by the area under the ROC curve (SRGN Eq. 5), "loss" by the classifier's
        loss (SRGN Eq. B1), which is for comparison. "optimal_observable" trains no classifier to
        find θ: it brings the mean score of the reconstructed events to that of the data, which
        loses no information, and lets the generator sample correct the weights.
    search : {"surrogate", "powell", "scan"}, default="surrogate"
        Search for θ by the first two objectives; the third one solves an equation instead.
        "surrogate" needs few classifiers; "powell" descends as in the SRGN paper, and the error of
        a single descent is a rough estimate, of which a warning tells unless `n_runs` gives a
        spread; "scan" evaluates a grid. Each verifies its θ by an evaluation: where another
        evaluated θ is better beyond the noise, "surrogate" goes on from there, and where a search
        cannot go on the better θ is given and the fit is not valid.
    bounds : dict or array-like of shape (p, 2), default=None
        (low, high) by parameter name or in order; None is the trained range.
    constraints : dict of str to (float, float), default=None
        Mean and standard deviation of parameters that are known from elsewhere, by name, such as
        ``{"alphaS": (0.1365, 0.002)}``. They enter χ² as Gaussians.
    max_evaluations : int, default=None
        Values of θ at which classifiers are trained, at most, the fitted one included; None is
        8 + 4 p for "surrogate" with the AUC, 8 + 4 p + 4 p² with the loss, whose quadratic form
        takes more points, and no limit otherwise.
    n_points : int, default=15
        Grid points per axis of "scan".
    max_iter : int, default=100
        Iterations of "powell".
    tol : float, default=1e-4
        Relative tolerance of "powell" in θ and AUC.
    n_folds : int, default=2
        Parts of the cross-fit: each event is judged by a classifier that has not seen it.
    n_runs : int, default=1
        Fits with other seeds, reweighter included where it is fitted here. θ is the mean of all
        but outliers, and the spread is a source of error.
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        Nodes of each hidden layer of the classifier, in `DeepSets` of F.
    activation : {"silu", "relu", "tanh", "gelu", "elu"}, default="silu"
        Activation of the hidden layers.
    module : type, default=None
        Torch module with ``__init__(n_features, ...)`` and ``forward(x)`` that returns one logit
        per event. None is :class:`skdctr.networks.MLP`, or for sets of particles
        :class:`skdctr.networks.DeepSets`; another Φ than (32, 32) is ``module__phi_sizes``.
    max_epochs : int or "auto", default="auto"
        Passes over the events; "auto" makes about 400 steps, on as many events as that takes.
    batch_size : int, default=2000
        Events in a batch.
    lr : float, default=0.005
        Largest learning rate.
    optimizer : str or type, default="Adam"
        Optimizer of torch.optim.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        Course of the learning rate.
    callbacks : list of skorch callbacks, default=None
        Callbacks of the training of the classifiers and of the optimal observable, of which there
        are many; `DCTRReweighter` says how they are given.
    n_jobs : int, default=None
        Processes, of one thread each, for `n_runs`, or for the grid of "scan" where there is one
        run. None is one, or the backend of ``joblib.parallel_config``.
    device : str, default="auto"
        "auto" takes CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Seed. The same one gives the same bits on one machine's CPU with one number of threads,
        and each run of several those that it has alone. Other numbers of threads, and other
        machines, move θ by their rounding, some 1e-4 of its error.
    verbose : int, default=0
        1 shows progress bars.
    **prefixed
        ``module__name`` and ``optimizer__name`` go to the classifier and its optimizer.

    Attributes
    ----------
    theta_ : ndarray of shape (p,)
        Fitted parameters θ*.
    theta_names_ : list of str of length p
        Their names.
    covariance_ : ndarray of shape (p, p)
        Their covariance; by source in `result_`.
    auc_ : float
        AUC at θ*, Pr[g(data) > g(simulation)]; 0.5 where nothing tells the two apart. Clearly
        above ``result_.expected_auc``, no θ describes the data.
    result_ : FitResult
        All of the above with errors and validity, printable.
    scan_ : DataFrame
        Every θ at which classifiers were trained: parameters, auc, auc_error, loss,
        effective_sample_size. A name that a parameter has already gets an underscore.
    runs_ : DataFrame
        Every run of the ensemble, outliers marked.
    reweighter_ : reweighter
        The fitted reweighter that was used, of the first run.

    References
    ----------
    A. Andreassen, S.-C. Hsu, B. Nachman, N. Suaysom and A. Suresh, Phys. Rev. D 103, 036001
    (2021), arXiv:2010.03569, Eq. 4, 5, B1.

    Examples
    --------
    >>> from skdctr import AnalyticReweighter, SRGNFitter
    >>> from skdctr.datasets import make_gaussian
    >>> toy = make_gaussian(20_000, mu=0.5, random_state=1)
    >>> exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    >>> fitter = SRGNFitter(exact, random_state=1).fit(toy.sim_gen, toy.sim_reco, toy.data)
    >>> bool(abs(fitter.theta_[0] - 0.5) < 5 * fitter.covariance_[0, 0] ** 0.5)
    True
    """

    _parameter_constraints: dict[str, Any] = {
        **NETWORK_CONSTRAINTS,
        "reweighter": "no_validation",
        "objective": [StrOptions({"auc", "loss", "optimal_observable"})],
        "search": [StrOptions({"surrogate", "powell", "scan"})],
        "bounds": ["array-like", dict, None],
        "constraints": [dict, None],
        "max_evaluations": [Interval(Integral, 2, None, closed="left"), None],
        "n_points": [Interval(Integral, 3, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "n_runs": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
    }

    members_parameter = "n_runs"

    def __init__(
        self,
        reweighter: Any = None,
        *,
        objective: str = "auc",
        search: str = "surrogate",
        bounds: Any = None,
        constraints: dict[str, tuple[float, float]] | None = None,
        max_evaluations: int | None = None,
        n_points: int = 15,
        max_iter: int = 100,
        tol: float = 1e-4,
        n_folds: int = 2,
        n_runs: int = 1,
        hidden_layer_sizes: Any = (64, 64),
        activation: str = "silu",
        module: Any = None,
        max_epochs: int | str = "auto",
        batch_size: int = 2000,
        lr: float = 0.005,
        optimizer: Any = "Adam",
        lr_schedule: str = "one_cycle",
        callbacks: Any = None,
        n_jobs: int | None = None,
        device: Any = "auto",
        random_state: Any = None,
        verbose: int = 0,
        **prefixed: Any,
    ) -> None:
        self.reweighter = reweighter
        self.objective = objective
        self.search = search
        self.bounds = bounds
        self.constraints = constraints
        self.max_evaluations = max_evaluations
        self.n_points = n_points
        self.max_iter = max_iter
        self.tol = tol
        self.n_folds = n_folds
        self.n_runs = n_runs
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.module = module
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.callbacks = callbacks
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self._set_prefixed(prefixed)

    def __sklearn_tags__(self) -> Tags:
        """Say that y holds reconstructed features, of any number, and may be left out."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        data: ArrayLike | None = None,
        *,
        gen: ArrayLike | None = None,
        theta: ArrayLike | None = None,
        gen_weight: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        data_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit θ of the data.

        Parameters
        ----------
        X : array-like of shape (n_sim, f), or n_sim sets of particles
            `sim_gen`: generator-level features of the nominal simulation. Sets come as an
            awkward array, as (n, particles, features) with all-NaN padding, or as
            :class:`skdctr.preprocessing.PackedEvents`, here and below.
        y : array-like of shape (n_sim, m) or (n_sim,), or n_sim sets, default=None
            `sim_reco`: reconstructed features of the same events, row by row. Rows of NaN are
            events that the reconstruction lost; NaN in some features, here and in all samples,
            stands for missing values. None fits at generator level.
        data : array-like of shape (n_data, m) or (n_data,), or n_data sets, default=None
            Data, with the features of `y`, or of `X` where there is no `y`. None fits the
            simulation to itself, with a warning.
        gen : array-like of shape (n_gen, f), or n_gen sets, default=None
            Generator sample for the reweighter.
        theta : array-like of shape (n_gen,) or (n_gen, p), default=None
            The parameters that each event of `gen` was generated with.
        gen_weight : array-like of shape (n_gen,), default=None
            Event weights of `gen`, which the reweighter learns with and the optimal observable
            corrects by.
        sample_weight, data_weight : array-like of shape (n_sim,), (n_data,), default=None
            Event weights.

        Returns
        -------
        self : SRGNFitter

        Raises
        ------
        ValueError
            If the inputs do not fit together or are not finite.
        NotFittedError
            If the reweighter is not fitted and there is no generator sample.

        Warns
        -----
        FeatureWarning
            If a reconstructed feature looks like an angle, or like codes of particle types.
        """
        with all_or_nothing(self), warn_once():
            self._validate_params()
            samples = self._check_samples(X, y, data, sample_weight, data_weight)
            jobs = [
                partial(self._run, samples, X, GeneratorInput(gen, theta, gen_weight), seed, k)
                for k, seed in enumerate(spawn_seeds(self.random_state, self.n_runs))
            ]
            if len(jobs) == 1:
                runs = [jobs[0]()]
            else:
                with run_jobs(jobs, self.n_jobs, ordered=True, batch_size=1) as results:
                    runs = list(results)
            self._keep(runs, samples)
        return self

    def fit_member(self, number: int, seed: int, inputs: Mapping[str, Any]) -> Any:
        """Do one run of the ensemble, and leave this estimator as it is.

        Parameters
        ----------
        number : int
            Number of the run among the `n_runs`.
        seed : int
            Seed of the run.
        inputs : mapping of str to array-like
            The arguments of `fit` by name; those that are None may be left out.

        Returns
        -------
        object
            One run, as :meth:`assemble` takes it; it can be pickled.
        """
        check_member(number, seed, inputs, (*_SAMPLES, *_GENERATOR))
        # A clone would lose what the reweighter has learned.
        member = copy.copy(self).set_params(verbose=0)
        samples = member._check_samples(*(inputs.get(name) for name in _SAMPLES))
        gen = GeneratorInput(*(inputs.get(name) for name in _GENERATOR))
        return member._run(samples, inputs.get("X"), gen, int(seed), number)

    def assemble(self, members: Sequence[Any], inputs: Mapping[str, Any]) -> Self:
        """Combine runs to the fitted estimator that `fit` would have made.

        Parameters
        ----------
        members : sequence
            The runs that :meth:`fit_member` has returned, in the order of their numbers.
        inputs : mapping of str to array-like
            The arguments of `fit`, as for the members.

        Returns
        -------
        self : SRGNFitter
        """
        with all_or_nothing(self):
            samples = self._check_samples(*(inputs.get(name) for name in _SAMPLES))
            self._keep(check_members(members, Run), samples)
        return self

    def _check_samples(
        self, X: Any, y: Any, data: Any, sample_weight: Any, data_weight: Any
    ) -> Samples:
        """Check simulation and data, with two events at least for each part of the cross-fit."""
        return check_fit_samples(
            self, X, y, data, sample_weight, data_weight, least_events=2 * self.n_folds
        )

    @warn_once()
    def _run(self, samples: Samples, X: Any, gen: GeneratorInput, seed: int, member: int) -> Run:
        """Fit once: get the reweighter and its weights, find θ*, and judge the fit there."""
        reweighter = resolve_reweighter(
            self.reweighter, X, gen, samples.nominal_weight, seed, vary_seed=member > 0
        )
        trained = parameter_space(reweighter)
        columns = getattr(self, "feature_names_in_", None)
        weights = reweighter.bind(samples.sim_gen, feature_names=columns)
        scale = weights.scale(trained.nominal)
        space = self._searched(trained).measured(scale)
        constraints = Constraints.read(self.constraints, space.names)
        with progress(f"{self.objective} {self.search}", self.verbose) as report:
            if self._searches:
                search = choose_search(self, len(space))
                objective = self._objective(samples, weights, space, seed)
                route: Route = SearchRoute(
                    objective,
                    self.objective,
                    space,
                    constraints,
                    search.first,
                    search.resume,
                    search.max_evaluations,
                    report,
                )
            else:
                problem = observable_problem(
                    samples,
                    weights,
                    reweighter,
                    gen,
                    space=space,
                    constraints=constraints,
                    seed=seed,
                )
                objective = self._objective(samples, weights, space, seed)
                options = RegressionOptions.of(NetworkSettings.of(self))
                route = ObservableRoute(problem, options, self.n_folds, seed, objective)
            found = route.solve()
            final = objective(found.theta)
            report(final)
        result = conclude(
            found,
            space,
            trained,
            Quality.of_classifiers(final, objective),
            exact=weights.is_exact,
            unsupported=unsupported_by_classifier(
                samples, objective.sim_weights(final.theta), reweighter, final
            ),
            n_evaluations=found.n_evaluations or len(objective.evaluations),
            n_events=samples.sizes(),
            method=self._method(),
        )
        return Run(
            result,
            table_of_evaluations(objective.evaluations, list(space.names)),
            reweighter,
            space,
            # An equation holds all the events: several runs would take too much memory.
            equation=found.equation if self.n_runs == 1 else None,
            trained_reweighter=gen.given and not is_given(self.reweighter),
        )

    def _objective(
        self, samples: Samples, weights: EventWeights, space: ParameterSpace, seed: int
    ) -> ClassifierObjective:
        """Make the objective, by which classifiers judge one θ after another."""
        # The surrogate needs the placements of all of its few classifiers, the other searches
        # those of the ones near θ*.
        n_placements = None if self.search == "surrogate" else NEAREST * len(space)
        return ClassifierObjective(
            samples.bound(weights),
            samples.compared(),
            Classifier.of(NetworkSettings.of(self), self.n_folds),
            names=space.names,
            seed=seed,
            n_placements=n_placements,
        )

    def _searched(self, trained: ParameterSpace) -> ParameterSpace:
        """Return the range that is searched, which a grid and a descent need to be finite."""
        space = trained.within(self.bounds)
        needs_bounds = self._searches and self.search != "surrogate"
        if needs_bounds and not space.is_bounded:
            raise ValueError(
                f"search={self.search!r} needs finite bounds for {list(space.names)}: pass "
                "bounds={name: (low, high)}."
            )
        return space

    @property
    def _searches(self) -> bool:
        """Whether θ* is searched for with classifiers, and not the solution of an equation."""
        return self.objective != "optimal_observable"

    def _method(self) -> str:
        """Name the objective and the search, for the result."""
        if self._searches:
            return f"{self.objective} objective, {self.search} search"
        return "optimal observable"

    def _keep(self, runs: list[Run], samples: Samples) -> None:
        """Combine the runs, and set the attributes of the fitted estimator."""
        self.result_, self.runs_ = combine_runs(
            [run.result for run in runs],
            runs[0].space,
            trained_weights=all(run.trained_reweighter for run in runs),
        )
        descended = self._searches and self.search == "powell"
        if descended and "training" not in self.result_.sources:
            self.result_ = replace(self.result_, messages=[*self.result_.messages, _ROUGH_ERROR])
        self.theta_ = self.result_.theta
        self.theta_names_ = self.result_.names
        self.covariance_ = self.result_.covariance
        self.auc_ = self.result_.auc
        number = scan_columns(self.theta_names_)["run"]
        self.scan_ = pd.concat(
            [run.scan.assign(**{number: k}) for k, run in enumerate(runs)], ignore_index=True
        )
        self.reweighter_ = runs[0].reweighter
        self._equation = runs[0].equation if len(runs) == 1 else None
        self._samples = samples
        warn_of(self.result_.messages)

    @warn_once()
    def score(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        data: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        data_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the AUC of a fresh classifier at θ*, simulation as the positive class.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            `sim_gen`, e.g. events that the fit has not seen.
        y : array-like of shape (n, m), default=None
            `sim_reco` of the same events; None as in `fit`.
        data : array-like of shape (k, m), default=None
            Data; None takes those of the fit.
        sample_weight, data_weight : array-like of shape (n,), (k,), default=None
            Event weights.

        Returns
        -------
        float
            Pr[g(simulation) > g(data)] = 1 − AUC of SRGN Eq. 5, cross-fitted on the rows given
            with a classifier of fixed architecture: 0.5 where nothing can be told apart, less
            otherwise. Higher is better.

        Raises
        ------
        ValueError
            If the samples do not fit together, are not finite or have fewer than four events.
        """
        check_is_fitted(self)
        classifier = reference_classifier(self.device)
        samples = check_score_samples(
            self,
            X,
            y,
            data,
            sample_weight,
            data_weight,
            fitted=self._samples,
            n_folds=classifier.n_folds,
        )
        return auc_score(self, samples, classifier)
