"""The picture of a fit's objective over one parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skdctr._utils.arguments import check_choice
from skdctr._utils.typing import FloatArray
from skdctr.plotting.fit import SRGN, check_texts, marked_fit
from skdctr.plotting.style import GREY, axes, next_style
from skdctr.results.columns import scan_columns
from skdctr.results.fit_result import FitResult, round_to_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ScanDisplay"]


class ScanDisplay:
    """AUC or loss against one parameter, with the fitted value and its error.

    Draw it from `from_estimator`; draw several into the same axes to compare them.

    Parameters
    ----------
    theta : ndarray of shape (n,)
        Values of the parameter at which the objective was evaluated, in increasing order.
    value, error : ndarray of shape (n,)
        AUC or loss there, and its statistical error, which is zero where it is not known.
    fitted, fitted_error : float
        Fitted value of the parameter, and its error.
    quantity : {"auc", "loss"}, default="auc"
        Whether `value` is the AUC or the loss.
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
        value: FloatArray,
        error: FloatArray,
        fitted: float,
        fitted_error: float,
        quantity: str = "auc",
        xlabel: str = "θ",
        label: str | None = None,
    ) -> None:
        self.theta = theta
        self.value = value
        self.error = error
        self.fitted = fitted
        self.fitted_error = fitted_error
        self.quantity = quantity
        self.xlabel = xlabel
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        fitter: Any,
        *,
        parameter: str | None = None,
        quantity: str = "auc",
        result: FitResult | None = None,
        xlabel: str | None = None,
        label: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the scan of a fitted `SRGNFitter`.

        Parameters
        ----------
        fitter : SRGNFitter
            A fitted one, with its ``scan_``.
        parameter : str, default=None
            The parameter of the axis; None takes the first.
        quantity : {"auc", "loss"}, default="auc"
            Whether the AUC or the loss is drawn.
        result : FitResult, default=None
            The fit that is marked; None takes that of `fitter`. Give another one to draw a coarse
            scan under the result of a search.
        xlabel : str, default=None
            Label of the parameter; None takes its name.
        label : str, default=None
            What the legend calls the fit.
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : ScanDisplay
        """
        chosen = None if parameter is None else [parameter]
        (parameter,), theta, covariance = marked_fit(fitter, SRGN, "parameter", chosen, 1, result)
        check_choice("quantity", quantity, ("auc", "loss"))
        check_texts(xlabel=xlabel, label=label)
        table, column = fitter.scan_.sort_values(parameter), scan_columns(fitter.theta_names_)
        error = table[column["auc_error"]].to_numpy() if quantity == "auc" else np.zeros(len(table))
        display = cls(
            theta=table[parameter].to_numpy(),
            value=table[column[quantity]].to_numpy(),
            error=error,
            fitted=float(theta[0]),
            fitted_error=float(np.sqrt(covariance[0, 0])),
            quantity=quantity,
            xlabel=parameter if xlabel is None else xlabel,
            label=label,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, color: Any = None) -> Self:
        """Draw the points, and the fitted value as a line with a band of one standard error.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in, over what is there; None makes a figure.
        color : matplotlib color, default=None
            The colour of the drawing; None takes the next one that the axes have not used.

        Returns
        -------
        self : ScanDisplay
        """
        self.ax_, self.figure_ = axes(ax, (6.4, 4.4))
        style = next_style(self.ax_, "scan", color=color)
        self.ax_.errorbar(
            self.theta,
            self.value,
            self.error,
            color=style.color,
            marker=style.marker,
            markersize=4.5,
            linewidth=1.0,
            linestyle=style.dash,
            label=self.label,
        )
        shown, error = round_to_error(self.fitted, self.fitted_error)
        if np.isfinite(self.fitted_error):
            self.ax_.axvspan(
                self.fitted - self.fitted_error,
                self.fitted + self.fitted_error,
                color=style.color,
                alpha=0.25,
                linewidth=0,
            )
        self.ax_.axvline(
            self.fitted,
            color=style.color,
            linewidth=1.2,
            linestyle=style.dash,
            label=f"Fit: {shown} ± {error}" if self.label is None else None,
        )
        floor = 0.5 if self.quantity == "auc" else float(np.log(2))
        if style.number == 0:
            self.ax_.axhline(floor, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
        self.ax_.set_xlabel(self.xlabel)
        self.ax_.set_ylabel(
            "AUC, data against simulation" if self.quantity == "auc" else "Loss [nats per event]"
        )
        # The legend is above the axes, where no curve can run into it.
        self.ax_.legend(
            frameon=False, fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
        return self

    def plot_fit(self, ax: Axes | None = None, *, color: Any = None) -> Self:
        """Draw the fitted value and its error alone, a row for each fit in the same axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in, above the rows that are there; None makes a figure.
        color : matplotlib color, default=None
            The colour of the drawing; None takes the next one that the axes have not used.

        Returns
        -------
        self : ScanDisplay
        """
        self.ax_, self.figure_ = axes(ax, (4.8, 2.4))
        style = next_style(self.ax_, "fit", color=color, label=self.label)
        row = style.number
        shown, error = round_to_error(self.fitted, self.fitted_error)
        self.ax_.errorbar(
            [self.fitted],
            [row],
            xerr=[self.fitted_error] if np.isfinite(self.fitted_error) else None,
            color=style.color,
            marker=style.marker,
            capsize=4,
            linestyle="none",
        )
        self.ax_.annotate(
            f"{shown} ± {error}",
            (self.fitted, row),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize="small",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )
        names = [name or f"Fit {number}" for number, name in enumerate(style.labels, 1)]
        self.ax_.set_yticks(range(row + 1), names)
        self.ax_.set_ylim(-0.7, row + 0.9)
        self.ax_.margins(x=0.35)
        self.ax_.locator_params(axis="x", nbins=5)
        self.ax_.set_xlabel(self.xlabel)
        return self
