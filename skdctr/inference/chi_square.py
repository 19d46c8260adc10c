"""χ²(θ) of estimating equations, and what follows from it: intervals, profiles and contours."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.exceptions import ConvergenceWarning, IdentifiabilityWarning
from skdctr.inference.crossing import crossing, quantiles_of, star
from skdctr.inference.minuit import check_method, minos_contour, minos_interval
from skdctr.inference.whitened import STEP, WhitenedEquations
from skdctr.results.errors import sandwich
from skdctr.results.fit_result import FitResult

__all__ = ["ChiSquare"]


class ChiSquare:
    """χ²(θ) = U(θ)ᵀ V⁻¹ U(θ) of estimating equations U, with Gaussian constraints on parameters.

    Every parameter that a method does not name is profiled, i.e. minimised over. The residual
    may be expensive: its values are kept, and near-parabolic cases take few of them.

    Parameters
    ----------
    residual : callable
        ``residual(theta)``, U, shape (k,) for θ of shape (p,), smooth in θ and zero in expectation
        at the truth.
    covariance : array-like of shape (k, k) or callable
        V, the covariance of U; ``covariance(theta)`` where it depends on θ.
    names : sequence of str of length p
        Names of the parameters.
    theta : array-like of shape (p,)
        Best fit, from which everything starts.
    low, high : array-like of shape (p,), default=None
        Bounds; None is no bound.
    constraints : mapping of str to tuple of float, default=None
        (mean, σ) by parameter name: what is known from elsewhere, each adding
        ((θ − mean) / σ)² to χ².

    Attributes
    ----------
    names : list of str
        Names of the parameters.
    bounds : tuple of ndarray of shape (p,)
        Lower and upper bounds.
    n_calls : int
        How many times `residual` was called.

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
        """
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
            By order or by name.

        Returns
        -------
        float
        """
        whitened = self._equations(self._space.point(theta))
        return float(whitened @ whitened)

    def minimum(self) -> tuple[FloatArray, float]:
        """Find the minimum within the bounds.

        Returns
        -------
        theta : ndarray of shape (p,)
        chi2 : float
            χ² there, of k + (number of constraints) − p degrees of freedom.
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
            NaN in rows and columns of parameters that are not identified, with a warning.
        """
        curvature = self._hessian()
        width = self._space.high - self._space.low
        # Unbounded: ten thousand times the error that is left where all others are known.
        width = np.where(np.isfinite(width), width, 1e4 * self._equations.scales())
        scaled = curvature * np.outer(width, width)
        sources, messages = sandwich(scaled, {"total": scaled}, width, self.names)
        for message in messages:
            warn_user(message, IdentifiabilityWarning)
        return sources["total"]

    def confidence_interval(
        self, name: str, level: float = 0.6827, *, method: str = "profile"
    ) -> tuple[float, float]:
        """Find where χ², profiled over all other parameters, rises by the quantile of `level`.

        Parameters
        ----------
        name : str
            Parameter.
        level : float, default=0.6827
            Confidence level; the quantile is that of one degree of freedom.
        method : {"profile", "minuit"}, default="profile"
            "minuit" leaves it to MINOS of iminuit, with more calls: a second opinion where χ² is
            far from a parabola.

        Returns
        -------
        low, high : float
            A bound of the parameter where χ² does not rise so far within it, with a warning.
        """
        k, quantile = self._index(name), quantiles_of(level, 1)[0]
        check_method(method)
        theta, _ = self.minimum()
        if method == "minuit":
            ends, crossed = minos_interval(self, *self._problem(), name, float(level))
        else:
            spread = math.sqrt(self._spread([k])[0, 0])
            ends, crossed = [], []
            for sign, bound in ((-1.0, self._space.low[k]), (1.0, self._space.high[k])):
                rise = self._ray([k], np.array([sign]))
                limit = abs(bound - theta[k])
                t, found = crossing(rise, quantile, spread * math.sqrt(quantile), limit)
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
            Parameter.
        values : array-like of shape (n,), default=None
            Where; None takes `n_points` within `n_sigma` standard errors of the minimum and within
            the bounds.
        n_points : int, default=31
            How many.
        n_sigma : float, default=3.0
            Half of the range in standard errors.

        Returns
        -------
        DataFrame
            A row for each value, in increasing order: all parameters, ``chi2``, ``delta_chi2``.
        """
        k = self._index(name)
        theta, _ = self.minimum()
        low, high = self._space.low[k], self._space.high[k]
        if values is None:
            reach = n_sigma * math.sqrt(self._spread([k])[0, 0])
            grid = np.linspace(max(theta[k] - reach, low), min(theta[k] + reach, high), n_points)
        else:
            grid = np.sort(np.asarray(values, dtype=np.float64).ravel())
            if not (np.isfinite(grid) & (grid >= low) & (grid <= high)).all():
                raise ValueError(f"values leave the bounds [{low:g}, {high:g}] of {name!r}.")
        rows = np.empty((len(grid), len(theta)))
        # Outwards from the minimum, each point from the one before.
        upper = int(np.searchsorted(grid, theta[k]))
        for side in (range(upper, len(grid)), range(upper - 1, -1, -1)):
            base = theta
            for row in side:
                rows[row] = base = self._equations.profiled(self._hessian(), [k], grid[[row]], base)
        table = pd.DataFrame(rows, columns=self.names)
        table["chi2"] = [self(row) for row in rows]
        table["delta_chi2"] = [self._above(row) for row in rows]
        return table

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

        Each border is searched along rays from the minimum, denser where it is bent. Where the
        region is not star-shaped as seen from there, a warning tells that part of it is missing.
        At a bound the border is the bound.

        Parameters
        ----------
        name_x, name_y : str
            Parameters.
        level : float or sequence of float, default=0.6827
            Confidence levels; the quantiles are those of two degrees of freedom.
        n_points : int, default=40
            Rays, about twice as many where the border is far from an ellipse.
        method : {"profile", "minuit"}, default="profile"
            "minuit" leaves it to iminuit, with more calls.

        Returns
        -------
        list of ndarray of shape (n, 2)
            One closed line for each level: the last point is the first.
        """
        index = [self._index(name_x), self._index(name_y)]
        if index[0] == index[1]:
            raise ValueError(f"A contour needs two parameters, not {name_x!r} twice.")
        check_method(method)
        quantiles = quantiles_of(level, 2)
        if method == "minuit":
            levels = np.atleast_1d(level).tolist()
            return [
                minos_contour(self, *self._problem(), (name_x, name_y), one, n_points)
                for one in levels
            ]
        centre = self.minimum()[0][index]
        low, high = self._space.low[index], self._space.high[index]
        # In these units the contours of a parabola are circles.
        shape = np.linalg.cholesky(self._spread(index))
        cut = False

        def reach(angle: float, guesses: FloatArray) -> FloatArray:
            nonlocal cut
            direction = shape @ np.array([math.cos(angle), math.sin(angle)])
            with np.errstate(divide="ignore", invalid="ignore"):
                room = np.where(direction > 0, high - centre, low - centre) / direction
            limit = float(room[direction != 0].min())
            rise = self._ray(index, direction)
            reached = np.empty(len(quantiles))
            for m in np.argsort(quantiles):
                reached[m], found = crossing(rise, quantiles[m], guesses[m], limit, precision=1e-3)
                cut |= not found
            return reached

        lines, jumps = star(reach, np.sqrt(quantiles), n_points)
        for happened, what in ((cut, "is cut off by the bounds"), (jumps, "is not star-shaped")):
            if happened:
                message = f"the contour of {name_x} and {name_y} {what}"
                warn_user(message, ConvergenceWarning)
        return [np.clip(centre + line @ shape.T, low, high) for line in lines]

    def __repr__(self) -> str:
        constrained = [self.names[k] for k in self._equations.constrained]
        return f"ChiSquare(names={self.names}, constrained={constrained})"

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds, (p,) each."""
        return self._space.low.copy(), self._space.high.copy()

    @property
    def n_calls(self) -> int:
        """How many times the residual was called."""
        return self._equations.n_calls

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"There is no parameter {name!r}; {did_you_mean(name, self.names)}")
        return self.names.index(name)

    def _hessian(self) -> FloatArray:
        """Half of the second derivative of χ² at the minimum, by Gauss-Newton, (p, p)."""
        if self._curvature is None:
            step = STEP * self._equations.scales()
            every = np.arange(len(self.names))
            slope = self._equations.jacobian(self.minimum()[0], every, step, central=True)
            self._curvature = slope.T @ slope
        return self._curvature

    def _spread(self, index: list[int]) -> FloatArray:
        """Guess the covariance of some parameters, finite whatever is identified."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdentifiabilityWarning)
            covariance = self.covariance()[np.ix_(index, index)]
        if np.isfinite(covariance).all():
            return covariance
        return np.diag(self._equations.scales()[index] ** 2)

    def _problem(self) -> tuple[list[str], FloatArray, FloatArray, FloatArray, FloatArray]:
        every = list(range(len(self.names)))
        errors = np.sqrt(np.diag(self._spread(every)))
        return self.names, self.minimum()[0], errors, self._space.low, self._space.high

    def _ray(self, index: list[int], direction: FloatArray) -> Callable[[float], float]:
        """Make the rise of the profiled χ² along a ray from the minimum a function of distance."""
        theta, _ = self.minimum()
        low, high = self._space.low[index], self._space.high[index]
        base = theta

        def rise(t: float) -> float:
            nonlocal base
            values = np.clip(theta[index] + t * direction, low, high)
            base = self._equations.profiled(self._hessian(), index, values, base)
            return self._above(base)

        return rise

    def _above(self, theta: FloatArray) -> float:
        """Compute how much χ² is above its minimum, and tell if it is well below."""
        delta = self(theta) - self.minimum()[1]
        if delta < -0.01:
            where = dict(zip(self.names, theta.tolist(), strict=True))
            message = f"χ² has a lower minimum, by {-delta:.3g}, near {where}: start there"
            warn_user(message, ConvergenceWarning)
        return delta
