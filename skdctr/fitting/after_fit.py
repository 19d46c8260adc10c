"""The inference that a fitted `SRGNFitter` offers: χ², intervals, and expected covariances."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.arguments import check_number
from skdctr._utils.linear import pseudo_inverse
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_once
from skdctr.fitting.samples import Samples
from skdctr.fitting.verdict import Quality, doubtful_weights
from skdctr.inference.chi_square import ChiSquare
from skdctr.inference.crossing import check_level
from skdctr.observable.equation import EstimatingEquation
from skdctr.observable.fit import reco_information
from skdctr.observable.regression import RegressionOptions
from skdctr.results.fit_result import FitResult
from skdctr.results.messages import UNKNOWN_WEIGHTS, warn_of
from skdctr.reweighting.base import parameter_space
from skdctr.training.settings import NetworkSettings

__all__ = ["FitInferenceMixin"]


class FitInferenceMixin:
    """χ², intervals and expected covariances of a fitted `SRGNFitter`."""

    bounds: Any
    constraints: dict[str, tuple[float, float]] | None
    n_folds: int
    reweighter_: Any
    result_: FitResult
    theta_: FloatArray
    theta_names_: list[str]
    covariance_: FloatArray
    _equation: EstimatingEquation | None
    _samples: Samples

    @property
    def chi_square_(self) -> ChiSquare:
        """χ²(θ) of the last fit, for intervals, profiles and contours.

        After a fit by the optimal observable it is that of the equations; otherwise, and for
        ensembles, it is the parabola of the covariance.

        Raises
        ------
        ValueError
            If the error of the learned weights is not known, so that χ² would be too large.
        """
        check_is_fitted(self)
        space = parameter_space(self.reweighter_).within(self.bounds)
        if self._equation is None or UNKNOWN_WEIGHTS in self.result_.messages:
            return ChiSquare.from_result(self.result_, low=space.low, high=space.high)
        return ChiSquare(
            self._equation,
            self._equation.covariance(self.theta_).total(len(space)),
            names=self.theta_names_,
            theta=self.theta_,
            low=space.low,
            high=space.high,
            constraints=self.constraints,
        )

    @overload
    def confidence_interval(
        self, name: None = None, level: float = 0.6827, *, method: str = "profile"
    ) -> pd.DataFrame: ...

    @overload
    def confidence_interval(
        self, name: str, level: float = 0.6827, *, method: str = "profile"
    ) -> tuple[float, float]: ...

    @warn_once()
    def confidence_interval(
        self, name: str | None = None, level: float = 0.6827, *, method: str = "profile"
    ) -> tuple[float, float] | pd.DataFrame:
        """Compute intervals of the parameters from the profile of χ².

        Parameters
        ----------
        name : str, default=None
            The parameter; None gives a table of all.
        level : float, default=0.6827
            Probability that an interval covers the truth.
        method : {"profile", "minuit"}, default="profile"
            See :meth:`skdctr.inference.ChiSquare.confidence_interval`.

        Returns
        -------
        DataFrame, or low, high : float
            One row per parameter: value, low, high. With a name, the ends of its interval.

        Raises
        ------
        ValueError
            If there is no such parameter, `level` is not between 0 and 1, or the error of the
            learned weights is not known.
        """
        check_level(level)
        if name is not None:
            return self.chi_square_.confidence_interval(name, level, method=method)
        table = self.chi_square_.confidence_interval(level=level, method=method)
        return table.assign(value=self.theta_)

    @warn_once()
    def expected_covariance(self, theta: Any, n_events: float) -> pd.DataFrame:
        """Compute the covariance that data of a given size and θ promise, before there are any.

        It has the statistical error of the data alone, and comes from the Fisher information of
        reconstructed events under the simulation weighted to θ.

        Parameters
        ----------
        theta : scalar, array-like of shape (p,), dict or Series
            Parameters of the data.
        n_events : float
            Reconstructed events of the data.

        Returns
        -------
        DataFrame of shape (p, p)

        Raises
        ------
        ValueError
            If `n_events` is not positive, or the weights at θ are all zero or not finite.

        Warns
        -----
        ExtrapolationWarning
            If θ lies outside the trained range.
        LowEffectiveSampleSizeWarning
            If few simulated events carry the weight at θ.
        """
        check_is_fitted(self)
        check_number("n_events", n_events, above=0)
        space = parameter_space(self.reweighter_)
        samples = self._samples.reconstructed()
        weights = self.reweighter_.bind(samples.sim_gen)
        point = space.point(theta)
        with np.errstate(over="ignore"):
            weight = samples.sim_weight * np.exp(weights.log_weights(point))
        if not (np.isfinite(weight).all() and weight.sum() > 0):
            raise ValueError(
                f"theta={point.tolist()}: the weights of the simulation there are all zero or not "
                "finite; ask for θ nearer to those that the reweighter was trained at."
            )
        information = reco_information(
            weights,
            samples.sim,
            samples.sim_weight,
            point,
            RegressionOptions.of(NetworkSettings.of(self)),
            n_folds=self.n_folds,
            names=samples.columns,
        )
        warn_of(doubtful_weights(point, space, Quality.of_weights(weight)))
        return pd.DataFrame(
            pseudo_inverse(information * n_events),
            index=self.theta_names_,
            columns=self.theta_names_,
        )
