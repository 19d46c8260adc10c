"""The picture of the joint confidence regions of two parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdctr._utils.arguments import check_finite
from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray
from skdctr.inference.chi_square import ChiSquare
from skdctr.inference.crossing import check_levels
from skdctr.plotting.fit import (
    check_chi_square,
    check_labels,
    check_texts,
    chosen_parameters,
    fitted_chi_square,
)
from skdctr.plotting.style import DASHES, axes, next_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ContourDisplay"]


class ContourDisplay:
    """Borders of the joint confidence regions of two parameters, and the best fit.

    Draw it from `from_estimator` or `from_chi_square`; draw several into the same axes to compare
    them.

    Parameters
    ----------
    contours : sequence of ndarray of shape (n, 2)
        A closed line around the region of each level: its last point is its first.
    levels : sequence of float
        Joint confidence levels of the lines.
    fitted : ndarray of shape (2,)
        Best fit of the two parameters.
    truth : ndarray of shape (2,), default=None
        True parameters, where they are known.
    names : sequence of str of length 2, default=("θ[0]", "θ[1]")
        Labels of the parameters, with units.
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
        contours: Sequence[FloatArray],
        levels: Sequence[float],
        fitted: FloatArray,
        truth: FloatArray | None = None,
        names: Sequence[str] = ("θ[0]", "θ[1]"),
        label: str | None = None,
    ) -> None:
        self.contours = contours
        self.levels = levels
        self.fitted = fitted
        self.truth = truth
        self.names = names
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        fitter: Any,
        *,
        parameters: Sequence[str] | None = None,
        levels: Sequence[float] = (0.6827, 0.9545),
        n_points: int = 40,
        truth: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        label: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the regions of a fitted `SRGNFitter` or `DCTRFitter`.

        Parameters
        ----------
        fitter : SRGNFitter or DCTRFitter
            A fitted one. Its ``chi_square_`` gives the regions; where it has none, the parabola
            of its ``result_`` does, which makes ellipses.
        parameters : sequence of two str, default=None
            The parameters of the two axes; None takes the first two.
        levels : sequence of float, default=(0.6827, 0.9545)
            Joint confidence levels.
        n_points : int, default=40
            Number of points of a line; where it is bent it gets more.
        truth : array-like of shape (2,), default=None
            True values of the two, where they are known.
        labels : sequence of two str, default=None
            Labels of the axes, with units; None takes the names.
        label : str, default=None
            What the legend calls the fit.
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : ContourDisplay
        """
        return cls.from_chi_square(
            fitted_chi_square(fitter),
            parameters=parameters,
            levels=levels,
            n_points=n_points,
            truth=truth,
            labels=labels,
            label=label,
            ax=ax,
        )

    @classmethod
    def from_chi_square(
        cls,
        chi_square: ChiSquare,
        *,
        parameters: Sequence[str] | None = None,
        levels: Sequence[float] = (0.6827, 0.9545),
        n_points: int = 40,
        truth: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        label: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Search the borders of the regions, profiling all other parameters, and draw them.

        Parameters
        ----------
        chi_square : ChiSquare
            A χ² of at least two parameters.
        parameters, levels, n_points, truth, labels, label, ax
            As in `from_estimator`.

        Returns
        -------
        display : ContourDisplay

        Raises
        ------
        ValueError
            If `parameters` are not two of those of `chi_square`.
        """
        check_chi_square(chi_square)
        chosen = chosen_parameters("parameters", parameters, chi_square.names, 2)
        check_labels(labels, chosen)
        check_texts(label=label)
        check_count("n_points", n_points, least=4)
        levels = check_levels("levels", levels)
        index = [chi_square.names.index(name) for name in chosen]
        display = cls(
            contours=chi_square.contour(chosen[0], chosen[1], levels, n_points=n_points),
            levels=levels,
            fitted=chi_square.minimum()[0][index],
            truth=None if truth is None else check_finite("truth", truth, (2,)),
            names=chosen if labels is None else labels,
            label=label,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, color: Any = None) -> Self:
        """Draw the lines, the best fit and, where it is known, the truth.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in, over what is there; None makes a figure.
        color : matplotlib color, default=None
            The colour of the drawing; None takes the next one that the axes have not used.

        Returns
        -------
        self : ContourDisplay
        """
        self.ax_, self.figure_ = axes(ax, (5.6, 4.8))
        style = next_style(self.ax_, "contour", color=color)
        before = f"{self.label}, " if self.label else ""
        for number, m in enumerate(np.argsort(self.levels)):
            self.ax_.plot(
                *self.contours[m].T,
                color=style.color,
                linestyle=DASHES[number % len(DASHES)],
                linewidth=1.4,
                label=f"{before}{_percent(self.levels[m])}",
            )
        self.ax_.plot(
            *self.fitted,
            color=style.color,
            marker=style.marker,
            markersize=5,
            linestyle="none",
            label=f"{before}best fit" if self.label else "Best fit",
        )
        if self.truth is not None:
            self.ax_.plot(
                *self.truth,
                color="black",
                marker="x",
                markersize=9,
                markeredgewidth=2,
                linestyle="none",
                label="Truth",
            )
        self.ax_.set_xlabel(self.names[0])
        self.ax_.set_ylabel(self.names[1])
        # The legend is above the axes, where no line can run into it.
        self.ax_.legend(
            frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
        return self


def _percent(level: float) -> str:
    """Write a confidence level in percent."""
    return f"{100 * level:.4g}% CL"
