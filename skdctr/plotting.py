"""Pictures of reweighting and fits, as Display classes: they compute once and draw often.

Each class computes in `from_estimator` or `from_predictions`, holds plain arrays, and draws in
`plot`, which is where matplotlib is imported. Colours are those of Okabe and Ito, which stay
apart for colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ._validation import FloatArray
from .results import FitResult, round_to_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClosureDisplay", "Scan2DDisplay", "ScanDisplay", "WeightDisplay"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", "--", "-.", ":")
_GREY = "#999999"
# Quantile of both tails that a histogram leaves out where no range is given.
_TAIL = 0.001


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Plots need matplotlib, which is not installed: pip install "skdctr[plot]"'
        ) from error
    return plt


def _axes(ax: Any, figsize: tuple[float, float]) -> tuple[Any, Any]:
    """Return the axes to draw in, and their figure."""
    plt = _pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax, ax.figure


def _column(values: ArrayLike, name: str, feature: int = 0) -> FloatArray:
    """Take one observable, (n,), out of an array of shape (n,) or (n, f)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 2:
        array = array[:, feature]
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(
            f"{name} has shape {np.shape(values)}: expected one value per event, (n,), or (n, f)."
        )
    return array


def _histogram(
    values: FloatArray, weight: FloatArray, edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the fraction of the events in each bin, and its statistical error."""
    total = weight.sum()
    content, _ = np.histogram(values, edges, weights=weight)
    square, _ = np.histogram(values, edges, weights=weight**2)
    return content / total, np.sqrt(square) / total


class ClosureDisplay:
    """Histograms of one observable: nominal, reweighted and target, and their ratio to the target.

    Draw it from `from_estimator` or `from_predictions`.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
        Bin edges.
    fractions : dict of str to ndarray of shape (n_bins,)
        Share of the events in each bin, by name: the nominal sample and its reweightings.
    errors : dict of str to ndarray of shape (n_bins,)
        Their statistical errors.
    target, target_error : ndarray of shape (n_bins,)
        The same of the target.
    target_name : str, default="Target"
        What the legend calls it.
    xlabel : str, default="x"
        The observable, with its unit.

    Attributes
    ----------
    ax_, ratio_ax_ : matplotlib Axes
        The two panels of the last drawing.
    figure_ : matplotlib Figure
        Its figure.
    """

    def __init__(
        self,
        *,
        edges: FloatArray,
        fractions: Mapping[str, FloatArray],
        errors: Mapping[str, FloatArray],
        target: FloatArray,
        target_error: FloatArray,
        target_name: str = "Target",
        xlabel: str = "x",
    ) -> None:
        self.edges = edges
        self.fractions = fractions
        self.errors = errors
        self.target = target
        self.target_error = target_error
        self.target_name = target_name
        self.xlabel = xlabel

    @classmethod
    def from_estimator(
        cls,
        reweighter: Any,
        X: ArrayLike,
        target: ArrayLike,
        theta: Any = None,
        *,
        observable: ArrayLike | None = None,
        feature: int = 0,
        sample_weight: ArrayLike | None = None,
        target_weight: ArrayLike | None = None,
        bins: int | ArrayLike = 40,
        target_name: str = "Target",
        xlabel: str = "x",
        ax: Axes | None = None,
    ) -> Self:
        """Reweight nominal events to θ, and draw them beside a target.

        Parameters
        ----------
        reweighter : fitted reweighter
            `DCTRReweighter` or `AnalyticReweighter`.
        X : array-like of shape (n, f)
            Nominal events at generator level.
        target : array-like of shape (m,) or (m, f)
            The observable of events at θ.
        theta : scalar, array-like of shape (p,), dict or Series
            θ; may be left out only in the discrete case.
        observable : array-like of shape (n,) or (n, k), default=None
            The observable of the nominal events, e.g. at reconstructed level; None takes `X`.
        feature : int, default=0
            Which column of `observable` and `target`, where they have several.
        sample_weight, target_weight : array-like of shape (n,), (m,), default=None
            Event weights before any reweighting.
        bins : int or array-like of shape (n_bins + 1,), default=40
            Number of bins or their edges.
        target_name, xlabel : str
            Labels.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ClosureDisplay
        """
        weights = reweighter.predict_weights(X, theta)
        return cls.from_predictions(
            X if observable is None else observable,
            target,
            {"Reweighted": weights},
            feature=feature,
            sample_weight=sample_weight,
            target_weight=target_weight,
            bins=bins,
            target_name=target_name,
            xlabel=xlabel,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        nominal: ArrayLike,
        target: ArrayLike,
        weights: ArrayLike | Mapping[str, ArrayLike],
        *,
        feature: int = 0,
        sample_weight: ArrayLike | None = None,
        target_weight: ArrayLike | None = None,
        bins: int | ArrayLike = 40,
        target_name: str = "Target",
        xlabel: str = "x",
        ax: Axes | None = None,
    ) -> Self:
        """Draw nominal events with one or more sets of weights beside a target.

        Parameters
        ----------
        nominal : array-like of shape (n,) or (n, f)
            The observable of the nominal events.
        target : array-like of shape (m,) or (m, f)
            The same observable of the target.
        weights : array-like of shape (n,), or dict of str to such
            Weights of the nominal events, by the name that the legend gives them.
        feature, sample_weight, target_weight, bins, target_name, xlabel, ax
            As in `from_estimator`.

        Returns
        -------
        display : ClosureDisplay

        Raises
        ------
        ValueError
            If lengths do not fit.
        """
        x, y = _column(nominal, "nominal", feature), _column(target, "target", feature)
        own = np.ones(len(x)) if sample_weight is None else _column(sample_weight, "sample_weight")
        other = (
            np.ones(len(y)) if target_weight is None else _column(target_weight, "target_weight")
        )
        named = weights if isinstance(weights, Mapping) else {"Reweighted": weights}
        factors = {"Nominal": np.ones(len(x))}
        factors |= {name: _column(values, "weights") for name, values in named.items()}
        for name, values in {"sample_weight": own, **factors}.items():
            if len(values) != len(x):
                raise ValueError(
                    f"{name}: {len(values)} weights for {len(x)} nominal events; one per event."
                )
        if len(other) != len(y):
            raise ValueError(f"target_weight has {len(other)} entries, target has {len(y)}.")
        if np.ndim(bins) == 0:
            ends = [np.quantile(values, [_TAIL, 1 - _TAIL]) for values in (x, y)]
            low, high = np.min(ends), np.max(ends)
            edges = np.linspace(low, high if high > low else low + 1, int(bins) + 1)  # type: ignore[arg-type]
        else:
            edges = _column(bins, "bins")
        made = {name: _histogram(x, own * factor, edges) for name, factor in factors.items()}
        fraction, error = _histogram(y, other, edges)
        display = cls(
            edges=edges,
            fractions={name: pair[0] for name, pair in made.items()},
            errors={name: pair[1] for name, pair in made.items()},
            target=fraction,
            target_error=error,
            target_name=target_name,
            xlabel=xlabel,
        )
        return display.plot(ax=ax)

    def plot(
        self, ax: Axes | None = None, *, ratio_range: tuple[float, float] = (0.7, 1.3)
    ) -> Self:
        """Draw the histograms, and below them the ratio to the target.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw: its place is given to two panels. None makes a figure.
        ratio_range : tuple of float, default=(0.7, 1.3)
            Range of the ratio.

        Returns
        -------
        self : ClosureDisplay
        """
        parent, self.figure_ = _axes(ax, (6.4, 5.2))
        spec = parent.get_subplotspec()
        if spec is None:
            raise ValueError("ax has no place in a grid to divide: make it by plt.subplots.")
        place = spec.subgridspec(2, 1, height_ratios=(2.4, 1), hspace=0.05)
        title = parent.get_title()
        parent.remove()
        upper = self.figure_.add_subplot(place[0])
        lower = self.figure_.add_subplot(place[1], sharex=upper)
        upper.set_title(title)
        edges, centres = self.edges, (self.edges[1:] + self.edges[:-1]) / 2
        upper.stairs(self.target, edges, fill=True, color="#DDDDDD", label=self.target_name)
        filled = self.target > 0
        safe = np.where(filled, self.target, 1.0)
        relative = np.where(filled, self.target_error / safe, np.nan)
        lower.stairs(
            1 + relative, edges, baseline=1 - relative, fill=True, color="#DDDDDD", zorder=0
        )
        lower.axhline(1.0, color="black", linewidth=0.8)
        styles = zip(_COLORS, _MARKERS, strict=True)
        for name, fraction in self.fractions.items():
            if name == "Nominal":
                upper.stairs(fraction, edges, color="black", linestyle="--", label=name)
                lower.stairs(
                    np.where(filled, fraction / safe, np.nan), edges, color="black", linestyle="--"
                )
                continue
            color, marker = next(styles)
            style = {"color": color, "marker": marker, "markersize": 3.5, "linestyle": "none"}
            upper.errorbar(centres, fraction, self.errors[name], label=name, **style)
            lower.errorbar(
                centres[filled],
                (fraction / safe)[filled],
                (self.errors[name] / safe)[filled],
                **style,
            )
        upper.set_ylabel("Fraction of events per bin")
        highest = max(float(np.max(f)) for f in (self.target, *self.fractions.values()))
        upper.set_ylim(0, 1.35 * highest)
        upper.legend(loc="upper center", ncols=2, frameon=False, fontsize="small")
        upper.tick_params(labelbottom=False)
        lower.set_ylim(*ratio_range)
        lower.set_xlim(edges[0], edges[-1])
        lower.set_ylabel("Ratio to\ntarget")
        lower.set_xlabel(self.xlabel)
        self.ax_, self.ratio_ax_ = upper, lower
        return self


class ScanDisplay:
    """AUC or loss against one parameter, with the fitted value and its error.

    Draw it from `from_estimator`; draw several into the same axes to compare them.

    Parameters
    ----------
    theta : ndarray of shape (n,)
        Where the objective was evaluated, in increasing order.
    value, error : ndarray of shape (n,)
        AUC or loss and its statistical error (zero where none is known).
    fitted, fitted_error : float
        Fitted parameter and its error.
    quantity : {"auc", "loss"}, default="auc"
        What `value` is.
    xlabel : str, default="θ"
        The parameter, with its unit.
    label : str, default=None
        What the legend calls the fit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The last drawing.
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
            Fitted, with its `scan_`.
        parameter : str, default=None
            Which parameter; None takes the first.
        quantity : {"auc", "loss"}, default="auc"
            What is drawn.
        result : FitResult, default=None
            The fit that is marked; None takes that of `fitter`. With another one, a coarse
            scan can go under the result of a search.
        xlabel : str, default=None
            Label of the parameter; None takes its name.
        label : str, default=None
            What the legend calls the fit.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ScanDisplay
        """
        check_is_fitted(fitter)
        if quantity not in ("auc", "loss"):
            raise ValueError(f"quantity={quantity!r}: expected 'auc' or 'loss'.")
        names = list(fitter.theta_names_)
        parameter = names[0] if parameter is None else parameter
        if parameter not in names:
            raise ValueError(f"parameter={parameter!r}: expected one of {names}.")
        result = fitter.result_ if result is None else result
        table = fitter.scan_.sort_values(parameter)
        k = list(result.names).index(parameter)
        error = table["auc_error"].to_numpy() if quantity == "auc" else np.zeros(len(table))
        display = cls(
            theta=table[parameter].to_numpy(),
            value=table[quantity].to_numpy(),
            error=error,
            fitted=float(result.theta[k]),
            fitted_error=float(result.errors[k]),
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
            Where to draw, over what is there; None makes a figure.
        color : matplotlib color, default=None
            None takes the next one that the axes have not used.

        Returns
        -------
        self : ScanDisplay
        """
        self.ax_, self.figure_ = _axes(ax, (6.4, 4.4))
        drawn = getattr(self.ax_, "_skdctr_scans", 0)
        self.ax_._skdctr_scans = drawn + 1
        color = _COLORS[drawn % len(_COLORS)] if color is None else color
        self.ax_.errorbar(
            self.theta,
            self.value,
            self.error,
            color=color,
            marker=_MARKERS[drawn % len(_MARKERS)],
            markersize=4.5,
            linewidth=1.0,
            linestyle=_DASHES[drawn % len(_DASHES)],
            label=self.label,
        )
        shown, error = round_to_error(self.fitted, self.fitted_error)
        if np.isfinite(self.fitted_error):
            self.ax_.axvspan(
                self.fitted - self.fitted_error,
                self.fitted + self.fitted_error,
                color=color,
                alpha=0.25,
                linewidth=0,
            )
        self.ax_.axvline(
            self.fitted,
            color=color,
            linewidth=1.2,
            linestyle=_DASHES[drawn % len(_DASHES)],
            label=f"Fit: {shown} ± {error}" if self.label is None else None,
        )
        floor = 0.5 if self.quantity == "auc" else float(np.log(2))
        if drawn == 0:
            self.ax_.axhline(floor, color=_GREY, linewidth=0.8, linestyle=":", zorder=0)
        self.ax_.set_xlabel(self.xlabel)
        self.ax_.set_ylabel(
            "AUC, data against simulation" if self.quantity == "auc" else "Loss [nats per event]"
        )
        # Above the axes, where no curve can run into it.
        self.ax_.legend(
            frameon=False, fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0)
        )
        return self

    def plot_fit(self, ax: Axes | None = None, *, color: Any = None) -> Self:
        """Draw the fitted value and its error alone, a row for each fit in the same axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, above the rows that are there; None makes a figure.
        color : matplotlib color, default=None
            None takes the next one that the axes have not used.

        Returns
        -------
        self : ScanDisplay
        """
        self.ax_, self.figure_ = _axes(ax, (4.8, 2.4))
        rows: list[str] = getattr(self.ax_, "_skdctr_rows", [])
        row = len(rows)
        shown, error = round_to_error(self.fitted, self.fitted_error)
        self.ax_._skdctr_rows = [*rows, self.label or f"Fit {row + 1}"]
        self.ax_.errorbar(
            [self.fitted],
            [row],
            xerr=[self.fitted_error] if np.isfinite(self.fitted_error) else None,
            color=_COLORS[row % len(_COLORS)] if color is None else color,
            marker=_MARKERS[row % len(_MARKERS)],
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
        self.ax_.set_yticks(range(row + 1), self.ax_._skdctr_rows)
        self.ax_.set_ylim(-0.7, row + 0.9)
        self.ax_.margins(x=0.35)
        self.ax_.locator_params(axis="x", nbins=5)
        self.ax_.set_xlabel(self.xlabel)
        return self


class Scan2DDisplay:
    """AUC over two parameters, with the nominal point, the fit and its error ellipse.

    Draw it from `from_estimator`.

    Parameters
    ----------
    theta : ndarray of shape (n, 2)
        Where the AUC was evaluated.
    auc : ndarray of shape (n,)
        The AUC there.
    fitted : ndarray of shape (2,)
        Fitted parameters.
    covariance : ndarray of shape (2, 2)
        Their covariance; NaN where it is not known.
    nominal : ndarray of shape (2,)
        θ₀.
    truth : ndarray of shape (2,), default=None
        True parameters, where they are known.
    names : sequence of str of length 2, default=("θ₀", "θ₁")
        Labels of the parameters, with units.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The last drawing.
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
            Fitted, with its `scan_`.
        parameters : sequence of two str, default=None
            Which parameters; None takes the first two.
        result : FitResult, default=None
            The fit that is marked; None takes that of `fitter`.
        truth : array-like of shape (2,), default=None
            True values of the two, where they are known.
        labels : sequence of two str, default=None
            Labels of the axes; None takes the names.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : Scan2DDisplay
        """
        check_is_fitted(fitter)
        names = list(fitter.theta_names_)
        chosen = names[:2] if parameters is None else list(parameters)
        if len(chosen) != 2 or not set(chosen) <= set(names):
            raise ValueError(f"parameters={chosen}: expected two of {names}.")
        result = fitter.result_ if result is None else result
        index = [list(result.names).index(name) for name in chosen]
        display = cls(
            theta=fitter.scan_[chosen].to_numpy(),
            auc=fitter.scan_["auc"].to_numpy(),
            fitted=result.theta[index],
            covariance=result.covariance[np.ix_(index, index)],
            nominal=fitter.reweighter_.theta_nominal_[[names.index(name) for name in chosen]],
            truth=None if truth is None else np.asarray(truth, dtype=np.float64),
            names=chosen if labels is None else labels,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, zoom: float | None = None) -> Self:
        """Draw the AUC as filled contours, with the points and the ellipses of 1σ and 2σ.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        zoom : float, default=None
            Show so many standard errors around the fit (more, where the truth is farther), without
            the AUC; None shows the scan.

        Returns
        -------
        self : Scan2DDisplay
        """
        self.ax_, self.figure_ = _axes(ax, (6.4, 4.8))
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
                self.ax_.plot(*points, color="#D55E00", linestyle=style, linewidth=1, label=label)
        points = [("Fit", self.fitted, "+", "#D55E00"), ("Nominal", self.nominal, "x", "#009E73")]
        if self.truth is not None:
            points.append(("Truth", self.truth, "o", "#56B4E9"))
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


class WeightDisplay:
    """Learned against exact log-weights, event by event.

    Draw it from `from_estimator`.

    Parameters
    ----------
    exact, learned : ndarray of shape (n,)
        Log-weights.
    rms : float
        Root mean square of their difference, each event counted with its exact weight.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The last drawing.
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
            `DCTRReweighter`, for instance.
        X : array-like of shape (n, f)
            Nominal events.
        theta : scalar or array-like of shape (p,)
            θ.
        log_weight : callable
            ``log_weight(X, theta)``, the exact log p(x|θ)/p(x|θ₀), shape (n,).
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : WeightDisplay
        """
        learned = reweighter.predict_log_weights(X, theta)
        exact = np.asarray(log_weight(np.asarray(X), np.atleast_1d(theta)), dtype=np.float64)
        weight = np.exp(exact - exact.max())
        rms = float(np.sqrt(np.average((learned - exact) ** 2, weights=weight)))
        return cls(exact=exact, learned=learned, rms=rms).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the density of events, and the diagonal on which learned and exact agree.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self : WeightDisplay
        """
        self.ax_, self.figure_ = _axes(ax, (6.0, 4.8))
        ends = np.quantile(self.exact, [0.0, 1.0])
        filled = self.ax_.hexbin(
            self.exact, self.learned, gridsize=60, bins="log", mincnt=1, cmap="cividis"
        )
        self.ax_.plot(ends, ends, color="#D55E00", linewidth=1.0, label="Learned = exact")
        self.figure_.colorbar(filled, ax=self.ax_, label="Events per cell")
        self.ax_.set_xlabel("Exact log w")
        self.ax_.set_ylabel("Learned log w")
        self.ax_.set_title(f"rms difference at θ: {self.rms:.3f}", fontsize="medium")
        self.ax_.legend(frameon=False, fontsize="small")
        return self
