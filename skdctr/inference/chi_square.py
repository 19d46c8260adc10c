"""χ² of estimating equations as an object that profiles, and finds intervals and contours."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdctr._utils.arguments import check_finite, check_instance, check_number, shorten
from skdctr._utils.numbers import check_count, format_apart
from skdctr._utils.printable import printable
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_once, warn_user
from skdctr.exceptions import ConvergenceWarning, IdentifiabilityWarning
from skdctr.inference.crossing import check_level, chi2_quantiles, closed_lines, crossing_distance
from skdctr.inference.minuit import check_method, minos_contour, minos_interval
from skdctr.inference.whitened import STEP, WhitenedEquations
from skdctr.results.columns import profile_columns
from skdctr.results.covariance import sandwich
from skdctr.results.fit_result import FitResult

__all__ = ["ChiSquare"]


# Bounds that are wider than this apart are none: their square leaves the range of float64.
_WIDEST = 1e150


class ChiSquare:
    """χ²(θ) = U(θ)ᵀ V⁻¹ U(θ) of estimating equations U, with Gaussian constraints on parameters.

    Every parameter that a method does not name is profiled: χ² is minimised over it. The residual
    may be expensive. Its values are kept, and a χ² that is nearly a parabola takes few of them.

    Parameters
    ----------
    residual : callable
        ``residual(theta)`` returns U, of shape (k,), for θ of shape (p,). It is smooth in θ, and
        its expectation at the truth is zero.
    covariance : array-like of shape (k, k) or callable
        V, the covariance of U. Where it depends on θ, ``covariance(theta)`` returns it.
    names : sequence of str of length p
        Names of the parameters.
    theta : array-like of shape (p,)
        Best fit, from which every search starts.
    low, high : array-like of shape (p,), default=None
        Lower and upper bounds of the parameters; None is no bound.
    constraints : mapping of str to tuple of float, default=None
        What is known from elsewhere, (mean, σ) by the name of the parameter. Each adds
        ((θ − mean) / σ)² to χ².

    Attributes
    ----------
    names : list of str
        Names of the parameters.
    bounds : tuple of ndarray of shape (p,)
        Lower and upper bounds.
    n_calls : int
        Number of calls of `residual` so far.

    Raises
    ------
    ValueError
        If shapes do not fit together, V is not positive definite, a constraint names no parameter
        or there are fewer equations than parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.inference import ChiSquare
    >>> chi_square = ChiSquare(lambda t: t - 1.0, [[0.04]], names=["mu"], theta=[1.0])
    >>> low, high = chi_square.confidence_interval("mu")
    >>> print(f"{low:.3f} {high:.3f}")
    0.800 1.200
    """

    def __init__(
        self,
        residual: Callable[[FloatArray], ArrayLike],
        covariance: ArrayLike | Callable[[FloatArray], ArrayLike],
        *,
        names: Sequence[str],
        theta: ArrayLike,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        constraints: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._equations = WhitenedEquations(
            residual, covariance, names, theta, low, high, constraints
        )
        self._space = self._equations.space
        self.names = list(self._space.names)
        self._minimum: tuple[FloatArray, float] | None = None
        self._curvature: FloatArray | None = None

    @classmethod
    def from_result(
        cls,
        result: FitResult,
        *,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        constraints: Mapping[str, tuple[float, float]] | None = None,
    ) -> Self:
        """Make the parabola that the values and the covariance of any fit stand for.

        Parameters
        ----------
        result : FitResult
            Fitted parameters with a finite covariance.
        low, high, constraints
            As for the class.

        Returns
        -------
        ChiSquare
            A χ² that is a parabola around the fitted values.

        Raises
        ------
        ValueError
            If the covariance is not finite.
        """
        check_instance("result", result, FitResult, "a FitResult, such as fitter.result_")
        if not np.isfinite(result.covariance).all():
            reasons = "".join(f"; {message}" for message in result.messages)
            raise ValueError(
                f"result: The covariance of the fit is not finite{reasons}. Expected a fit whose "
                "errors are known."
            )
        fitted = np.array(result.theta, dtype=np.float64)
        return cls(
            lambda theta: theta - fitted,
            result.covariance,
            names=result.names,
            theta=fitted,
            low=low,
            high=high,
            constraints=constraints,
        )

    def __call__(self, theta: Any) -> float:
        """Compute χ² at one θ, constraints included.

        Parameters
        ----------
        theta : array-like of shape (p,), mapping or Series
            The parameters, in order or by name.

        Returns
        -------
        float
            χ², of which each constraint is a term.
        """
        whitened = self._equations(self._space.point(theta))
        return float(whitened @ whitened)

    def minimum(self) -> tuple[FloatArray, float]:
        """Find the minimum within the bounds.

        Returns
        -------
        theta : ndarray of shape (p,)
            The parameters at the minimum.
        chi2 : float
            χ² there, with k + (number of constraints) − p degrees of freedom.
        """
        if self._minimum is None:
            every = np.ones(len(self.names), dtype=bool)
            theta = self._equations.minimise(self._space.nominal, every)
            self._minimum = theta, self(theta)
        theta, chi2 = self._minimum
        return theta.copy(), chi2

    def covariance(self) -> FloatArray:
        """Compute the covariance at the minimum, by the Gauss-Newton form of the Hessian.

        Returns
        -------
        ndarray of shape (p, p)
            The covariance of the parameters. Rows and columns of those that are not identified
            are NaN, with a warning.
        """
        curvature = self._hessian()
        width = self._space.high - self._space.low
        # A parameter without bounds may move by ten thousand times the error that it has where
        # all others are known.
        width = np.where(width < _WIDEST, width, 1e4 * self._equations.scales())
        scaled = curvature * np.outer(width, width)
        sources, messages = sandwich(scaled, {"total": scaled}, width, self.names)
        for message in messages:
            warn_user(message, IdentifiabilityWarning)
        return sources["total"]

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
        """Find where χ², profiled over all other parameters, rises by the quantile of `level`.

        Parameters
        ----------
        name : str, default=None
            The parameter; None gives a table of all.
        level : float, default=0.6827
            Confidence level; the quantile is that of one degree of freedom.
        method : {"profile", "minuit"}, default="profile"
            "minuit" leaves the search to MINOS of iminuit, with more calls: a second opinion where
            χ² is far from a parabola.

        Returns
        -------
        low, high : float
            The ends of the interval; without a name a DataFrame with a row for each parameter and
            the columns value, low, high. Where χ² does not rise so far within a bound of the
            parameter, that bound is the end, with a warning.

        Raises
        ------
        ValueError
            If there is no such parameter, or `level` is not between 0 and 1.
        """
        if name is None:
            rows = [self._interval(each, level, method) for each in self.names]
            ends = pd.DataFrame(rows, columns=["low", "high"], index=self.names)
            return ends.assign(value=self.minimum()[0])[["value", "low", "high"]]
        return self._interval(name, level, method)

    def _interval(self, name: str, level: float, method: str) -> tuple[float, float]:
        """Find the interval of one parameter."""
        k = self._index("name", name)
        quantile = chi2_quantiles(check_level(level), 1)[0]
        check_method(method)
        theta, _ = self.minimum()
        if method == "minuit":
            ends, crossed = minos_interval(self, *self._minuit_problem(), name, float(level))
        else:
            spread = math.sqrt(self._guessed_covariance([k])[0, 0])
            ends, crossed = [], []
            for sign, bound in ((-1.0, self._space.low[k]), (1.0, self._space.high[k])):
                rise = self._rise_along([k], np.array([sign]))
                limit = abs(bound - theta[k])
                guess = spread * math.sqrt(quantile)
                t, found = crossing_distance(rise, quantile, guess, limit)
                ends.append(float(theta[k] + sign * t) if found else float(bound))
                crossed.append(found)
        for end, found in zip(ends, crossed, strict=True):
            if not found:
                warn_user(
                    f"{name}: χ² does not rise by {quantile:.3g} before the bound {end:g}, which "
                    "is given as the end of the interval",
                    ConvergenceWarning,
                )
        return ends[0], ends[1]

    @warn_once()
    def profile(
        self,
        name: str,
        values: ArrayLike | None = None,
        *,
        n_points: int = 31,
        n_sigma: float = 3.0,
    ) -> pd.DataFrame:
        """Minimise χ² over all other parameters at several values of one.

        Parameters
        ----------
        name : str
            The parameter.
        values : array-like of shape (n,), default=None
            Its values; None takes `n_points` within `n_sigma` standard errors of the minimum and
            within the bounds.
        n_points : int, default=31
            Number of values, where `values` does not give them.
        n_sigma : float, default=3.0
            Half of the range in standard errors.

        Returns
        -------
        DataFrame
            A row for each value, in increasing order: all parameters, ``chi2``, ``delta_chi2``. A
            name that a parameter has already gets an underscore.
        """
        k = self._index("name", name)
        check_count("n_points", n_points)
        check_number("n_sigma", n_sigma, above=0)
        theta, _ = self.minimum()
        low, high = self._space.low[k], self._space.high[k]
        if values is None:
            reach = n_sigma * math.sqrt(self._guessed_covariance([k])[0, 0])
            grid = np.linspace(max(theta[k] - reach, low), min(theta[k] + reach, high), n_points)
        else:
            grid = np.sort(check_finite("values", values, expected=f"values of {name!r}").ravel())
            if not len(grid) or np.ndim(values) > 1:
                raise ValueError(
                    f"values has shape {np.shape(values)}; expected (n,), one value at least."
                )
            if not (np.isfinite(grid) & (grid >= low) & (grid <= high)).all():
                worst = grid[np.argmax(np.maximum(low - grid, grid - high))]
                value, least, most = format_apart(worst, low, high)
                raise ValueError(
                    f"values leave the bounds [{least}, {most}] of {name!r}, such as {value}."
                )
        rows = np.empty((len(grid), len(theta)))
        # The walk goes outwards from the minimum, and each point starts from the one before.
        upper = int(np.searchsorted(grid, theta[k]))
        for side in (range(upper, len(grid)), range(upper - 1, -1, -1)):
            base = theta
            for row in side:
                rows[row] = base = self._equations.profiled(self._hessian(), [k], grid[[row]], base)
        table = pd.DataFrame(rows, columns=self.names)
        column = profile_columns(self.names)
        table[column["chi2"]] = [self(row) for row in rows]
        table[column["delta_chi2"]] = [self._rise_above_minimum(row) for row in rows]
        return table

    @warn_once()
    def contour(
        self,
        name_x: str,
        name_y: str,
        level: float | Sequence[float] = 0.6827,
        *,
        n_points: int = 40,
        method: str = "profile",
    ) -> list[FloatArray]:
        """Find the borders of the joint confidence regions of two parameters, others profiled.

        Each border is searched along rays from the minimum, which are denser where it is bent.
        Where the region is not star-shaped as seen from there, a warning tells that a part of it
        is missing. Where a bound cuts the region off, the bound is its border.

        Parameters
        ----------
        name_x, name_y : str
            The two parameters.
        level : float or sequence of float, default=0.6827
            Confidence levels; the quantiles are those of two degrees of freedom.
        n_points : int, default=40
            Number of rays; up to twice as many where the border is far from an ellipse.
        method : {"profile", "minuit"}, default="profile"
            "minuit" leaves the search to iminuit, with more calls.

        Returns
        -------
        list of ndarray of shape (n, 2)
            One closed line for each level: the last point is the first.
        """
        index = [self._index("name_x", name_x), self._index("name_y", name_y)]
        if index[0] == index[1]:
            raise ValueError(
                f"name_x and name_y are both {name_x!r}; expected two of {self.names}."
            )
        check_count("n_points", n_points, least=4)
        check_method(method)
        quantiles = chi2_quantiles(level, 2)
        if method == "minuit":
            levels = np.atleast_1d(level).tolist()
            return [
                minos_contour(self, *self._minuit_problem(), (name_x, name_y), one, n_points)
                for one in levels
            ]
        centre = self.minimum()[0][index]
        low, high = self._space.low[index], self._space.high[index]
        # In these units the contours of a parabola are circles.
        shape = np.linalg.cholesky(self._guessed_covariance(index))
        cut = False

        def reach(angle: float, guesses: FloatArray) -> FloatArray:
            nonlocal cut
            direction = shape @ np.array([math.cos(angle), math.sin(angle)])
            with np.errstate(divide="ignore", invalid="ignore"):
                room = np.where(direction > 0, high - centre, low - centre) / direction
            limit = float(room[direction != 0].min())
            rise = self._rise_along(index, direction)
            reached = np.empty(len(quantiles))
            for m in np.argsort(quantiles):
                reached[m], found = crossing_distance(
                    rise, quantiles[m], guesses[m], limit, precision=1e-3
                )
                cut |= not found
            return reached

        lines, jumps = closed_lines(reach, np.sqrt(quantiles), n_points)
        for happened, what in ((cut, "is cut off by the bounds"), (jumps, "is not star-shaped")):
            if happened:
                message = f"the contour of {name_x} and {name_y} {what}"
                warn_user(message, ConvergenceWarning)
        return [np.clip(centre + line @ shape.T, low, high) for line in lines]

    def __repr__(self) -> str:
        constrained = [self.names[k] for k in self._equations.constrained]
        return printable(f"ChiSquare(names={self.names}, constrained={constrained})")

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds, (p,) each."""
        return self._space.low.copy(), self._space.high.copy()

    @property
    def n_calls(self) -> int:
        """Number of calls of the residual so far."""
        return self._equations.n_calls

    def _index(self, argument: str, name: str) -> int:
        """Return the place of a parameter, or say which name may have been meant."""
        if not isinstance(name, str):
            raise ValueError(
                f"{argument}={shorten(name)}: expected the name of a parameter, of {self.names}; a "
                "level is given by its keyword, level=0.95."
            )
        if name not in self.names:
            raise ValueError(
                f"{argument}: There is no parameter {name!r}; {did_you_mean(name, self.names)}"
            )
        return self.names.index(name)

    def _hessian(self) -> FloatArray:
        """Compute half of the second derivative of χ² at the minimum, by Gauss-Newton, (p, p)."""
        if self._curvature is None:
            step = STEP * self._equations.scales()
            every = np.arange(len(self.names))
            slope = self._equations.jacobian(self.minimum()[0], every, step, central=True)
            self._curvature = slope.T @ slope
        return self._curvature

    def _guessed_covariance(self, index: list[int]) -> FloatArray:
        """Return the covariance of some parameters, or a finite guess where it is not finite."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdentifiabilityWarning)
            covariance = self.covariance()[np.ix_(index, index)]
        if np.isfinite(covariance).all():
            return covariance
        return np.diag(self._equations.scales()[index] ** 2)

    def _minuit_problem(self) -> tuple[list[str], FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return names, minimum, standard errors and bounds, as Minuit takes them."""
        every = list(range(len(self.names)))
        errors = np.sqrt(np.diag(self._guessed_covariance(every)))
        return self.names, self.minimum()[0], errors, self._space.low, self._space.high

    def _rise_along(self, index: list[int], direction: FloatArray) -> Callable[[float], float]:
        """Return a function of the distance from the minimum: how far the profiled χ² has risen."""
        theta, _ = self.minimum()
        low, high = self._space.low[index], self._space.high[index]
        base = theta

        def rise(t: float) -> float:
            nonlocal base
            values = np.clip(theta[index] + t * direction, low, high)
            base = self._equations.profiled(self._hessian(), index, values, base)
            return self._rise_above_minimum(base)

        return rise

    def _rise_above_minimum(self, theta: FloatArray) -> float:
        """Compute by how much χ² exceeds its minimum; warn where it is well below it."""
        delta = self(theta) - self.minimum()[1]
        if delta < -0.01:
            where = dict(zip(self.names, theta.tolist(), strict=True))
            message = f"χ² has a lower minimum, by {-delta:.3g}, near {where}: start there"
            warn_user(message, ConvergenceWarning)
        return delta
