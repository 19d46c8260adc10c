"""The picture of learned weights against exact ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdctr._utils.arguments import as_real_array, check_finite, check_function
from skdctr._utils.typing import FloatArray
from skdctr.events.frames import as_table
from skdctr.plotting.fit import check_reweighter
from skdctr.plotting.style import COLORS, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WeightDisplay"]


class WeightDisplay:
    """Learned against exact log-weights, event by event.

    Draw it from `from_estimator`.

    Parameters
    ----------
    exact, learned : ndarray of shape (n,)
        Exact and learned logarithms of the weights.
    rms : float
        Root mean square of their difference, each event counted with its exact weight.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last drawing.
    figure_ : matplotlib Figure
        Its figure.
    """

    def __init__(self, *, exact: FloatArray, learned: FloatArray, rms: float) -> None:
        self.exact = exact
        self.learned = learned
        self.rms = rms

    @classmethod
    def from_estimator(
        cls,
        reweighter: Any,
        X: ArrayLike,
        theta: Any,
        log_weight: Callable[[Any, Any], Any],
        *,
        ax: Axes | None = None,
    ) -> Self:
        """Compare a reweighter with a known density ratio.

        Parameters
        ----------
        reweighter : fitted reweighter
            For instance a `DCTRReweighter`.
        X : array-like of shape (n, f)
            Nominal events at generator level.
        theta : scalar or array-like of shape (p,)
            The parameters to which the weights lead.
        log_weight : callable
            ``log_weight(X, theta)`` returns the exact log p(x|θ)/p(x|θ₀), of shape (n,).
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : WeightDisplay
        """
        check_reweighter(reweighter)
        check_function("log_weight", log_weight, "(X, theta)")
        learned = reweighter.predict_log_weights(X, theta)
        point = np.atleast_1d(as_real_array(theta, "theta"))
        exact = check_finite(
            "log_weight(X, theta)",
            log_weight(np.asarray(as_table(X, name="X")), point),
            learned.shape,
            expected="one finite log-weight for each event of X",
        )
        weight = np.exp(exact - exact.max())
        rms = float(np.sqrt(np.average((learned - exact) ** 2, weights=weight)))
        return cls(exact=exact, learned=learned, rms=rms).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the density of events, and the diagonal on which learned and exact agree.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        self : WeightDisplay
        """
        self.ax_, self.figure_ = axes(ax, (6.0, 4.8))
        ends = np.quantile(self.exact, [0.0, 1.0])
        filled = self.ax_.hexbin(
            self.exact, self.learned, gridsize=60, bins="log", mincnt=1, cmap="cividis"
        )
        self.ax_.plot(ends, ends, color=COLORS[1], linewidth=1.0, label="Learned = exact")
        self.figure_.colorbar(filled, ax=self.ax_, label="Events per cell")
        self.ax_.set_xlabel("Exact log w")
        self.ax_.set_ylabel("Learned log w")
        self.ax_.set_title(f"rms difference at θ: {self.rms:.3f}", fontsize="medium")
        self.ax_.legend(frameon=False, fontsize="small")
        return self
