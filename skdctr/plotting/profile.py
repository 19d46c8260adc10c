"""The picture of χ² over one parameter, with all others profiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import stats

from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray
from skdctr.inference.chi_square import ChiSquare
from skdctr.inference.crossing import check_levels
from skdctr.plotting.fit import check_chi_square, check_texts, chosen_parameters, fitted_chi_square
from skdctr.plotting.style import GREY, axes, next_style
from skdctr.results.columns import profile_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ProfileDisplay"]


class ProfileDisplay:
    """Rise of χ² over one parameter, its parabola, and the confidence intervals.

    Draw it from `from_estimator` or `from_chi_square`; draw several into the same axes to compare
    them.

    Parameters
    ----------
    theta : ndarray of shape (n,)
        Values of the parameter, in increasing order.
    delta_chi2 : ndarray of shape (n,)
        χ² there, with all other parameters profiled, minus χ² of the best fit.
    fitted, fitted_error : float
        Best fit, and its error from the curvature of χ²; NaN where it has none.
    intervals : dict of float to tuple of float
        Confidence interval (low, high) by its level.
    xlabel : str, default="θ"
        The parameter, with its unit.
    label : str, default=None
        What the legend calls the fit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last drawing.
    figure_ : matplotlib Figure
        Its figure.
    """

    def __init__(
        self,
        *,
        theta: FloatArray,
        delta_chi2: FloatArray,
        fitted: float,
        fitted_error: float,
        intervals: dict[float, tuple[float, float]],
        xlabel: str = "θ",
        label: str | None = None,
    ) -> None:
        self.theta = theta
        self.delta_chi2 = delta_chi2
        self.fitted = fitted
        self.fitted_error = fitted_error
        self.intervals = intervals
        self.xlabel = xlabel
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        fitter: Any,
        *,
        parameter: str | None = None,
        levels: Sequence[float] = (0.6827, 0.9545),
        n_points: int = 31,
        xlabel: str | None = None,
        label: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the profile of a fitted `SRGNFitter` or `DCTRFitter`.

        Parameters
        ----------
        fitter : SRGNFitter or DCTRFitter
            A fitted one. Its ``chi_square_`` gives the profile; where it has none, the parabola
            of its ``result_`` does.
        parameter : str, default=None
            The parameter of the axis; None takes the first.
        levels : sequence of float, default=(0.6827, 0.9545)
            Confidence levels of the intervals.
        n_points : int, default=31
            Number of points of the profile.
        xlabel : str, default=None
            Label of the parameter, with its unit; None takes its name.
        label : str, default=None
            What the legend calls the fit.
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : ProfileDisplay
        """
        return cls.from_chi_square(
            fitted_chi_square(fitter),
            parameter=parameter,
            levels=levels,
            n_points=n_points,
            xlabel=xlabel,
            label=label,
            ax=ax,
        )

    @classmethod
    def from_chi_square(
        cls,
        chi_square: ChiSquare,
        *,
        parameter: str | None = None,
        levels: Sequence[float] = (0.6827, 0.9545),
        n_points: int = 31,
        xlabel: str | None = None,
        label: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Profile χ² somewhat farther than the intervals go, and draw it.

        Parameters
        ----------
        chi_square : ChiSquare
            The χ² to profile.
        parameter, levels, n_points, xlabel, label, ax
            As in `from_estimator`.

        Returns
        -------
        display : ProfileDisplay
        """
        check_chi_square(chi_square)
        chosen = None if parameter is None else [parameter]
        (name,) = chosen_parameters("parameter", chosen, chi_square.names, 1)
        check_texts(xlabel=xlabel, label=label)
        check_count("n_points", n_points, least=2)
        intervals = {
            level: chi_square.confidence_interval(name, level)
            for level in check_levels("levels", levels)
        }
        k = chi_square.names.index(name)
        fitted = float(chi_square.minimum()[0][k])
        values = np.array([fitted, *(end for pair in intervals.values() for end in pair)])
        values = values[np.isfinite(values)]
        margin = 0.15 * (values.max() - values.min())
        # The margin ends at a bound, where the interval does.
        low, high = (pair[k] for pair in chi_square.bounds)
        ends = max(values.min() - margin, low), min(values.max() + margin, high)
        table = chi_square.profile(name, np.linspace(*ends, n_points))
        with np.errstate(invalid="ignore"):
            error = float(np.sqrt(chi_square.covariance()[k, k]))
        display = cls(
            theta=table[name].to_numpy(),
            delta_chi2=table[profile_columns(chi_square.names)["delta_chi2"]].to_numpy(),
            fitted=fitted,
            fitted_error=error,
            intervals=intervals,
            xlabel=name if xlabel is None else xlabel,
            label=label,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, color: Any = None) -> Self:
        """Draw the rise, the parabola of the error, the levels and the ends of the intervals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in, over what is there; None makes a figure.
        color : matplotlib color, default=None
            The colour of the drawing; None takes the next one that the axes have not used.

        Returns
        -------
        self : ProfileDisplay
        """
        self.ax_, self.figure_ = axes(ax, (6.4, 4.4))
        style = next_style(self.ax_, "profile", color=color)
        label = "Profile" if self.label is None else self.label
        self.ax_.plot(
            self.theta, self.delta_chi2, color=style.color, linestyle=style.dash, label=label
        )
        if np.isfinite(self.fitted_error):
            parabola = ((self.theta - self.fitted) / self.fitted_error) ** 2
            self.ax_.plot(
                self.theta,
                parabola,
                color=style.color,
                linewidth=1.3,
                linestyle=":",
                label="Parabola of the error" if style.number == 0 else None,
            )
        highest = max(
            float(np.max(self.delta_chi2)), self.ax_.get_ylim()[1] if style.number else 0.0
        )
        for level, ends in self.intervals.items():
            quantile = float(stats.chi2.ppf(level, 1))
            if style.number == 0:
                self.ax_.axhline(quantile, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
                self.ax_.annotate(
                    f"{100 * level:.4g}%",
                    (1.0, quantile),
                    xycoords=self.ax_.get_yaxis_transform(),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize="small",
                    color=GREY,
                )
            finite = [end for end in ends if np.isfinite(end)]
            self.ax_.vlines(
                finite, 0, quantile, color=style.color, linewidth=0.9, linestyle=style.dash
            )
            highest = max(highest, 1.15 * quantile)
        self.ax_.set_ylim(0, highest)
        self.ax_.set_xlabel(self.xlabel)
        self.ax_.set_ylabel("Δχ²")
        # The legend is above the axes, where no curve can run into it.
        self.ax_.legend(
            frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
        return self
