"""DCTR tuning: fit θ by gradient through the frozen reweighter, for samples on one level."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from skdctr._utils.device import spawn_seeds
from skdctr._utils.rollback import all_or_nothing
from skdctr._utils.warn import warn_once
from skdctr.comparison.classifier import reference_classifier
from skdctr.comparison.descent import Solver, adam, descend, lbfgs
from skdctr.comparison.likelihood import Likelihood
from skdctr.fitting.choose_reweighter import resolve_reweighter
from skdctr.fitting.samples import (
    GeneratorInput,
    Samples,
    check_fit_samples,
    check_score_samples,
)
from skdctr.fitting.scoring import auc_score
from skdctr.fitting.support import unsupported_by_weights
from skdctr.fitting.verdict import Quality, conclude
from skdctr.results.messages import warn_of
from skdctr.reweighting.base import parameter_space

__all__ = ["DCTRFitter"]


class DCTRFitter(BaseEstimator):
    """Fit θ where data and simulation are on one level, by gradient through the reweighter.

    The classifier that was trained to tell events at θ from nominal ones is frozen, and θ is
    where it tells the data from the nominal sample best. The search starts from the best of θ₀ and
    a few values within the bounds.

    Parameters
    ----------
    reweighter : reweighter, default=None
        As in :class:`SRGNFitter`.
    solver : {"lbfgs", "adam"}, default="lbfgs"
        "lbfgs" is L-BFGS-B, within bounds; "adam" is what the paper used.
    bounds : dict or array-like of shape (p, 2), default=None
        (low, high) by parameter name or in order; None is the trained range.
    max_iter : int, default=200
        Iterations at most.
    tol : float, default=1e-6
        Largest component of the gradient at the end, per half of the range of each parameter, or
        per twice the change of it that changes log w by about 1 where this is less.
    lr : float, default=0.05
        Learning rate of "adam", in the same units.
    random_state : int, RandomState instance or None, default=None
        Seed of a reweighter that is fitted here.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    theta_ : ndarray of shape (p,)
        Fitted parameters.
    theta_names_ : list of str of length p
        Their names.
    covariance_ : ndarray of shape (p, p)
        Sandwich covariance H⁻¹ V H⁻¹ of data, simulation and, where the weights know it, the
        finite generator sample, or the training of an ensemble; NaN in the rows and columns of
        parameters that the data do not fix.
    hessian_ : ndarray of shape (p, p)
        H, second derivative of the loss at θ.
    result_ : FitResult
        All of the above with errors and validity, printable.
    n_iter_ : int
        Iterations done.
    reweighter_ : reweighter
        The fitted reweighter that was used.

    References
    ----------
    A. Andreassen and B. Nachman, Phys. Rev. D 101, 091901 (2020), arXiv:1907.08209, Eq. 3; the
    same as Eq. 3 of arXiv:2010.03569.

    Examples
    --------
    >>> from skdctr import AnalyticReweighter, DCTRFitter
    >>> from skdctr.datasets import make_gaussian
    >>> toy = make_gaussian(20_000, mu=0.5, random_state=1)
    >>> exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    >>> fitter = DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
    >>> bool(abs(fitter.theta_[0] - 0.5) < 5 * fitter.covariance_[0, 0] ** 0.5)
    True
    """

    _parameter_constraints: dict[str, Any] = {
        "reweighter": "no_validation",
        "solver": [StrOptions({"lbfgs", "adam"})],
        "bounds": ["array-like", dict, None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        reweighter: Any = None,
        *,
        solver: str = "lbfgs",
        bounds: Any = None,
        max_iter: int = 200,
        tol: float = 1e-6,
        lr: float = 0.05,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reweighter = reweighter
        self.solver = solver
        self.bounds = bounds
        self.max_iter = max_iter
        self.tol = tol
        self.lr = lr
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """Say that there is no y."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.allow_nan = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
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
            Nominal sample. NaN in some features, here and in `data`, stands for missing values.
        y : None
            Not used, as data and simulation are on one level; pass data by name.
        data : array-like of shape (n_data, f), or n_data sets, default=None
            Data, with the features of `X`. None fits `X` to itself, with a warning.
        gen : array-like of shape (n_gen, f), or n_gen sets, default=None
            Generator sample for the reweighter.
        theta : array-like of shape (n_gen,) or (n_gen, p), default=None
            The parameters that each event of `gen` was generated with.
        gen_weight : array-like of shape (n_gen,), default=None
            Event weights of `gen`, which the reweighter learns with.
        sample_weight, data_weight : array-like of shape (n_sim,), (n_data,), default=None
            Event weights.

        Returns
        -------
        self : DCTRFitter

        Raises
        ------
        ValueError
            If the inputs do not fit together or are not finite, or both `y` and `data` are given.
        NotFittedError
            If the reweighter is not fitted and there is no generator sample.
        """
        with all_or_nothing(self), warn_once():
            self._validate_params()
            if y is not None and data is not None:
                raise ValueError(
                    "DCTRFitter compares data with X on one level and has no use for y (sim_reco): "
                    "leave y out where data and X are both at generator level, or fit data at "
                    "detector level by SRGNFitter."
                )
            samples = check_fit_samples(
                self, X, None, data, sample_weight, data_weight, least_events=2
            )
            (seed,) = spawn_seeds(self.random_state, 1)
            generator_input = GeneratorInput(gen, theta, gen_weight)
            self.reweighter_ = resolve_reweighter(
                self.reweighter, X, generator_input, samples.nominal_weight, seed
            )
            self._samples = samples
            self._descend(samples)
            warn_of(self.result_.messages)
        return self

    def _descend(self, samples: Samples) -> None:
        """Find θ* with the fitted reweighter, and set the attributes that tell of it."""
        trained = parameter_space(self.reweighter_)
        columns = getattr(self, "feature_names_in_", None)
        # The log-weights of both samples are the classifier's logits.
        sim = self.reweighter_.bind(samples.sim_gen, feature_names=columns)
        data = self.reweighter_.bind(samples.data, name="data")
        scale = sim.scale(trained.nominal)
        space = trained.within(self.bounds).measured(scale)
        likelihood = Likelihood(sim, data, samples.sim_weight, samples.data_weight)
        with tqdm(desc="DCTR fit", unit="step", disable=not self.verbose) as bar:
            found, hessian = descend(likelihood, space, self._solver(), bar.update)
        self.result_ = conclude(
            found,
            space,
            trained,
            Quality.of_weights(likelihood.sim_weights(found.theta)),
            exact=likelihood.sim.is_exact,
            unsupported=unsupported_by_weights(samples, sim, data, found.theta),
            n_evaluations=found.n_evaluations,
            n_events=samples.sizes(),
            method=f"DCTR, {self.solver}",
        )
        self.n_iter_ = found.n_evaluations
        self.theta_, self.theta_names_ = found.theta, self.result_.names
        self.covariance_, self.hessian_ = self.result_.covariance, hessian

    def _solver(self) -> Solver:
        """Return the descent with its settings."""
        if self.solver == "lbfgs":
            return partial(lbfgs, max_iter=self.max_iter, tol=self.tol)
        return partial(adam, max_iter=self.max_iter, tol=self.tol, lr=self.lr)

    @warn_once()
    def score(
        self,
        X: ArrayLike,
        y: Any = None,
        data: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        data_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the AUC of a fresh classifier at θ, as :meth:`SRGNFitter.score` does.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Nominal sample, e.g. events that the fit has not seen.
        y : None
            Not used, as in `fit`.
        data : array-like of shape (k, f), default=None
            Data; None takes those of the fit.
        sample_weight, data_weight : array-like of shape (n,), (k,), default=None
            Event weights.

        Returns
        -------
        float
            0.5 where nothing can be told apart, less otherwise. Higher is better.

        Raises
        ------
        ValueError
            If the samples do not fit together, are not finite or have fewer than four events.
        """
        check_is_fitted(self)
        classifier = reference_classifier()
        samples = check_score_samples(
            self,
            X,
            None,
            data,
            sample_weight,
            data_weight,
            fitted=self._samples,
            n_folds=classifier.n_folds,
        )
        return auc_score(self, samples, classifier)
