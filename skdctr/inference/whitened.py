"""Estimating equations in units of their errors, with their derivatives and their minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import least_squares

from skdctr._utils.arguments import as_real_array, check_function, check_names, shorten
from skdctr._utils.typing import FloatArray
from skdctr._utils.warn import warn_user
from skdctr.exceptions import ConvergenceWarning
from skdctr.parameters.constraints import Constraints
from skdctr.parameters.space import ParameterSpace

__all__ = ["STEP", "WhitenedEquations"]

# Steps of derivatives, as a share of the change that moves χ² by one: so large that the rounding
# of single precision does not matter, so small that no curvature does.
STEP = 0.1


class WhitenedEquations:
    """The vector whose square is χ²: L⁻¹U with V = LLᵀ, then the pulls of the constraints.

    Parameters
    ----------
    residual, covariance, names, theta, low, high, constraints
        As for `skdctr.inference.ChiSquare`.

    Attributes
    ----------
    space : ParameterSpace
        Names, best fit and bounds.
    constrained : list of int
        Indices of the constrained parameters.
    n_calls : int
        Number of calls of `residual` so far.
    """

    def __init__(
        self,
        residual: Callable[[FloatArray], ArrayLike],
        covariance: ArrayLike | Callable[[FloatArray], ArrayLike],
        names: Sequence[str],
        theta: ArrayLike,
        low: ArrayLike | None,
        high: ArrayLike | None,
        constraints: Mapping[str, tuple[float, float]] | None,
    ) -> None:
        self._residual = check_function("residual", residual, "theta, of shape (p,)")
        self.space = _parameter_space(names, theta, low, high)
        self.n_calls = 0
        self._kept: dict[bytes, FloatArray] = {}
        known = Constraints.read(constraints, self.space.names)
        self.constrained = [self.space.names.index(name) for name in known]
        self._mean, self._sigma = np.reshape(list(known.values()), (-1, 2)).astype(np.float64).T
        start = self.space.nominal
        first = self._equations_at(start)
        if first.ndim != 1:
            raise ValueError(f"residual(theta) has shape {first.shape}; expected (k,).")
        if len(first) + len(self._mean) < len(start):
            raise ValueError(
                f"{len(first)} equations and {len(self._mean)} constraints do not determine the "
                f"{len(start)} parameters {list(self.space.names)}: constrain the others."
            )
        self._covariance: Callable[[FloatArray], ArrayLike] | None = None
        if callable(covariance):
            self._covariance = covariance
            self._root = _cholesky_factor(covariance(start), len(first))
        else:
            self._root = _cholesky_factor(covariance, len(first))
        self._keep(start, first)
        self._scale: FloatArray | None = None

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Return the vector, (k + c,) with c constraints, at one θ; known values are kept."""
        kept = self._kept.get(theta.tobytes())
        if kept is not None:
            return kept
        return self._keep(theta, self._equations_at(theta))

    def _equations_at(self, theta: FloatArray) -> FloatArray:
        """Call the user's function, and check that it returns real numbers."""
        values = as_real_array(self._residual(theta.copy()), "residual(theta)", expected="U, (k,)")
        return values.astype(np.float64)

    def _keep(self, theta: FloatArray, residual: FloatArray) -> FloatArray:
        """Whiten U, append the pulls of the constraints, and keep the vector for later calls."""
        self.n_calls += 1
        if not np.isfinite(residual).all():
            raise ValueError(f"residual is not finite at {self._by_name(theta)}.")
        if self._covariance is not None:
            self._root = _cholesky_factor(self._covariance(theta.copy()), len(residual))
        white = solve_triangular(self._root, residual, lower=True)
        pulls = (theta[self.constrained] - self._mean) / self._sigma
        whitened = np.concatenate([white, pulls])
        with np.errstate(over="ignore"):
            chi2 = whitened @ whitened
        if not np.isfinite(chi2):
            raise ValueError(
                f"χ² is not finite at {self._by_name(theta)}: the residual is too large for its "
                "covariance. Stay nearer to the best fit."
            )
        self._kept[theta.tobytes()] = whitened
        return whitened

    def _by_name(self, theta: FloatArray) -> dict[str, float]:
        """Give the values of the parameters their names, for messages."""
        return dict(zip(self.space.names, theta.tolist(), strict=True))

    def jacobian(
        self, theta: FloatArray, free: NDArray[np.intp], step: FloatArray, *, central: bool = False
    ) -> FloatArray:
        """Differentiate the vector by some parameters, without leaving the bounds.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            The parameters.
        free : ndarray of shape (n_free,)
            Indices of those to differentiate by.
        step : ndarray of shape (p,)
            Step of each parameter.
        central : bool, default=False
            Whether to step to both sides, where the bounds leave room.

        Returns
        -------
        ndarray of shape (k + c, n_free)
            The derivatives, with c constraints.
        """
        columns = []
        for k in free:
            above, below = theta.copy(), theta.copy()
            above[k] = min(theta[k] + step[k], self.space.high[k])
            if central or above[k] == theta[k]:
                below[k] = max(theta[k] - step[k], self.space.low[k])
            change = self(above) - self(below)
            columns.append(change / (above[k] - below[k]))
        return np.stack(columns, axis=1)

    def scales(self) -> FloatArray:
        """Find the change of each parameter alone that moves χ² by one, (p,)."""
        if self._scale is None:
            theta, every = self.space.nominal, np.arange(len(self.space.names))
            width = self.space.high - self.space.low
            width = np.where(np.isfinite(width), width, np.maximum(np.abs(theta), 1.0))
            step = 1e-3 * width
            # The first step is a guess. It is too long where the errors are small, and lost in
            # rounding where they are large.
            for _ in range(3):
                length = np.linalg.norm(self.jacobian(theta, every, step), axis=0)
                with np.errstate(divide="ignore"):
                    scale = np.minimum(1 / length, width)
                close = (step > STEP * scale / 3) & (step < STEP * scale * 3)
                step = STEP * scale
                if close.all():
                    break
            self._scale = scale
        return self._scale

    def minimise(
        self, start: FloatArray, free: NDArray[np.bool_], *, precision: float = 1e-4
    ) -> FloatArray:
        """Minimise χ² over the free parameters within the bounds.

        Parameters
        ----------
        start : ndarray of shape (p,)
            A point within the bounds to start from.
        free : ndarray of bool of shape (p,)
            Which parameters may move.
        precision : float, default=1e-4
            Precision of the result, as a share of the parameters' errors.

        Returns
        -------
        ndarray of shape (p,)
            The parameters at the minimum.

        Warns
        -----
        ConvergenceWarning
            If the search gives up before the minimum.
        """
        if not free.any():
            return start
        index, scale = np.flatnonzero(free), self.scales()
        low, high = self.space.low, self.space.high

        def point(z: FloatArray) -> FloatArray:
            theta = start.copy()
            theta[free] = np.clip(start[free] + z * scale[free], low[free], high[free])
            return theta

        found = least_squares(
            lambda z: self(point(z)),
            np.zeros(len(index)),
            jac=lambda z: self.jacobian(point(z), index, STEP * scale) * scale[free],
            bounds=((low - start)[free] / scale[free], (high - start)[free] / scale[free]),
            # This method keeps parameters exactly on their bounds, and a good start costs no step.
            method="dogbox",
            gtol=precision,
            max_nfev=50,
        )
        if not found.success:
            message = f"χ² still falls at {self._by_name(point(found.x))}, where the search gave up"
            warn_user(message, ConvergenceWarning)
        return point(found.x)

    def profiled(
        self, curvature: FloatArray, index: list[int], values: FloatArray, base: FloatArray
    ) -> FloatArray:
        """Minimise χ² over all parameters but some that are fixed.

        Parameters
        ----------
        curvature : ndarray of shape (p, p)
            Half of the second derivative of χ². The search starts where this parabola leads to.
        index : list of int
            The fixed parameters.
        values : ndarray of shape (n_fixed,)
            Their values.
        base : ndarray of shape (p,)
            A point nearby at which χ² was profiled, such as the minimum.

        Returns
        -------
        ndarray of shape (p,)
            The parameters at the minimum.
        """
        fixed = np.isin(np.arange(len(base)), index)
        free = ~fixed
        start = base.copy()
        start[index] = values
        if free.any():
            pull = curvature[np.ix_(free, fixed)] @ (start - base)[fixed]
            start[free] -= np.linalg.lstsq(curvature[np.ix_(free, free)], pull, rcond=None)[0]
        # An error of the profiled parameters enters χ² only by its square.
        start = np.clip(start, self.space.low, self.space.high)
        return self.minimise(start, free, precision=1e-2)


def _parameter_space(
    names: Sequence[str], theta: ArrayLike, low: ArrayLike | None, high: ArrayLike | None
) -> ParameterSpace:
    """Check names, best fit and bounds; a fit that rounding left just outside is moved to them."""
    names = check_names("names", names)
    p = len(names)
    given = {"theta": theta, "low": low, "high": high}
    unlimited = {"low": np.full(p, -np.inf), "high": np.full(p, np.inf)}
    arrays = {}
    for key, value in given.items():
        if value is None and key in unlimited:
            arrays[key] = unlimited[key]
            continue
        values = as_real_array(value, key, expected=f"one number for each of {names}")
        if values.shape != (p,):
            raise ValueError(
                f"{key} has shape {values.shape}, expected ({p},) for the names {names}."
            )
        if np.isnan(values).any():
            raise ValueError(f"{key}={shorten(value)} is not finite; expected one number for each.")
        arrays[key] = values.astype(np.float64)
    best, least, most = arrays.values()
    if not np.isfinite(best).all():
        raise ValueError(f"theta={best} is not finite.")
    if not (least < most).all():
        raise ValueError(f"low={least} must be below high={most}.")
    slack = 1e-6 * np.where(np.isfinite(most - least), most - least, 1.0)
    if not ((best >= least - slack) & (best <= most + slack)).all():
        raise ValueError(f"theta={best} is outside the bounds low={least}, high={most}.")
    return ParameterSpace(tuple(names), np.clip(best, least, most), least, most)


def _cholesky_factor(covariance: ArrayLike, k: int) -> FloatArray:
    """Check a covariance and return its Cholesky factor, (k, k)."""
    matrix = as_real_array(covariance, "covariance", expected=f"numbers of shape ({k}, {k})")
    matrix = matrix.astype(np.float64)
    if matrix.shape != (k, k):
        raise ValueError(
            f"covariance has shape {matrix.shape}, expected ({k}, {k}) for the {k} equations of "
            "residual."
        )
    if not np.isfinite(matrix).all() or not np.allclose(
        matrix, matrix.T, atol=1e-8 * np.abs(matrix).max()
    ):
        raise ValueError("covariance must be finite and symmetric.")
    try:
        root: FloatArray = np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "covariance is not positive definite: the equations depend on each other."
        ) from error
    return root
