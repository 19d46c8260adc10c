"""The picture of the AUC over two parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdctr._utils.arguments import check_finite, check_number
from skdctr._utils.typing import FloatArray
from skdctr.plotting.fit import SRGN, check_labels, marked_fit
from skdctr.plotting.style import COLORS, axes
from skdctr.results.columns import scan_columns
from skdctr.results.fit_result import FitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Scan2DDisplay"]


class Scan2DDisplay:
    """AUC over two parameters, with the nominal point, the fit and its error ellipse.

    Draw it from `from_estimator`.

    Parameters
    ----------
    theta : ndarray of shape (n, 2)
        Values of the two parameters at which the AUC was evaluated.
    auc : ndarray of shape (n,)
        The AUC there.
    fitted : ndarray of shape (2,)
        Fitted values of the two.
    covariance : ndarray of shape (2, 2)
        Their covariance; NaN where it is not known.
    nominal : ndarray of shape (2,)
        Their nominal values θ₀.
    truth : ndarray of shape (2,), default=None
        True parameters, where they are known.
    names : sequence of str of length 2, default=("θ[0]", "θ[1]")
        Labels of the parameters, with units.

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
        auc: FloatArray,
        fitted: FloatArray,
        covariance: FloatArray,
        nominal: FloatArray,
        truth: FloatArray | None = None,
        names: Sequence[str] = ("θ[0]", "θ[1]"),
    ) -> None:
        self.theta = theta
        self.auc = auc
        self.fitted = fitted
        self.covariance = covariance
        self.nominal = nominal
        self.truth = truth
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        fitter: Any,
        *,
        parameters: Sequence[str] | None = None,
        result: FitResult | None = None,
        truth: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the scan of a fitted `SRGNFitter`.

        Parameters
        ----------
        fitter : SRGNFitter
            A fitted one, with its ``scan_``.
        parameters : sequence of two str, default=None
            The parameters of the two axes; None takes the first two.
        result : FitResult, default=None
            The fit that is marked; None takes that of `fitter`.
        truth : array-like of shape (2,), default=None
            True values of the two, where they are known.
        labels : sequence of two str, default=None
            Labels of the axes; None takes the names.
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : Scan2DDisplay
        """
        chosen, fitted, covariance = marked_fit(fitter, SRGN, "parameters", parameters, 2, result)
        check_labels(labels, chosen)
        order = [fitter.theta_names_.index(name) for name in chosen]
        display = cls(
            theta=fitter.scan_[chosen].to_numpy(),
            auc=fitter.scan_[scan_columns(fitter.theta_names_)["auc"]].to_numpy(),
            fitted=fitted,
            covariance=covariance,
            nominal=fitter.reweighter_.theta_nominal_[order],
            truth=None if truth is None else check_finite("truth", truth, (2,)),
            names=chosen if labels is None else labels,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, zoom: float | None = None) -> Self:
        """Draw the AUC as filled contours, with the points and the ellipses of 1σ and 2σ.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.
        zoom : float, default=None
            Show so many standard errors around the fit, or more where the truth is farther away,
            and leave out the AUC; None shows the whole scan.

        Returns
        -------
        self : Scan2DDisplay
        """
        if zoom is not None:
            check_number("zoom", zoom, above=0)
        self.ax_, self.figure_ = axes(ax, (6.4, 4.8))
        errors = np.sqrt(np.diag(self.covariance))
        known = bool(np.isfinite(self.covariance).all())
        if zoom is None:
            filled = self.ax_.tricontourf(*self.theta.T, self.auc, levels=15, cmap="cividis")
            self.ax_.scatter(*self.theta.T, s=5, color="white", alpha=0.7, label="Scan")
            self.figure_.colorbar(filled, ax=self.ax_, label="AUC, data against simulation")
        elif not known:
            raise ValueError("zoom needs the errors of the fit, which are not known.")
        else:
            for axis, k in (("x", 0), ("y", 1)):
                radius = zoom * errors[k]
                if self.truth is not None:
                    radius = max(radius, abs(self.truth[k] - self.fitted[k]) + errors[k])
                limits = self.fitted[k] - radius, self.fitted[k] + radius
                getattr(self.ax_, f"set_{axis}lim")(*limits)
        if known:
            angle = np.linspace(0, 2 * np.pi, 200)
            circle = np.stack([np.cos(angle), np.sin(angle)])
            values, vectors = np.linalg.eigh(self.covariance)
            unit = (vectors * np.sqrt(np.maximum(values, 0.0))) @ circle
            for radius, style in ((1, "-"), (2, "--")):
                points = self.fitted[:, None] + radius * unit
                label = f"{radius}σ ellipse" if zoom is not None else None
                self.ax_.plot(*points, color=COLORS[1], linestyle=style, linewidth=1, label=label)
        points = [("Fit", self.fitted, "+", COLORS[1]), ("Nominal", self.nominal, "x", COLORS[2])]
        if self.truth is not None:
            points.append(("Truth", self.truth, "o", COLORS[5]))
        limits = self.ax_.get_xlim(), self.ax_.get_ylim()
        for name, point, marker, color in points:
            if not all(a <= value <= b for value, (a, b) in zip(point, limits, strict=True)):
                continue
            look: dict[str, Any] = {"color": color}
            if marker == "o":
                look = {"markerfacecolor": "none", "markeredgecolor": color}
            self.ax_.plot(
                *point,
                marker=marker,
                markersize=11,
                markeredgewidth=2.2,
                linestyle="none",
                label=name,
                **look,
            )
        self.ax_.set_xlabel(self.names[0])
        self.ax_.set_ylabel(self.names[1])
        self.ax_.legend(fontsize="small", facecolor="#BBBBBB" if zoom is None else "white")
        return self
