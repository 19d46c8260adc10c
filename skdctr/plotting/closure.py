"""The picture of nominal, reweighted and target events in one observable."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdctr._utils.arguments import as_real_array, check_finite
from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray
from skdctr.events.frames import as_table
from skdctr.events.validation import check_same_columns
from skdctr.plotting.fit import check_reweighter, check_texts
from skdctr.plotting.style import COLORS, MARKERS, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClosureDisplay"]

# A histogram without edges leaves out this share of the events at either end.
_TAIL = 0.001
_EXPECTED = "one number per event, (n,), or (n, f)"


def _column(values: ArrayLike, name: str, feature: int = 0) -> FloatArray:
    """Take one observable, (n,), out of an array of shape (n,) or (n, f)."""
    array = as_real_array(as_table(values, name=name), name, expected=_EXPECTED)
    array = array.astype(np.float64)
    if array.ndim == 2:
        check_count("feature", feature, least=0)
        if not 0 <= feature < array.shape[1]:
            raise ValueError(
                f"feature={feature!r}: {name} has {array.shape[1]} columns; expected 0 to "
                f"{array.shape[1] - 1}."
            )
        array = array[:, feature]
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, expected {_EXPECTED}, and one event at least."
        )
    n_bad = int((~np.isfinite(array)).sum())
    if n_bad:
        raise ValueError(
            f"{name} has {n_bad} of {len(array)} values that are NaN or infinite: leave these "
            f"events out of {name} and of its weights, such as those that the reconstruction lost."
        )
    return array


def _weights(values: ArrayLike, name: str) -> FloatArray:
    """Take one weight for each event, (n,)."""
    weights = _column(values, name)
    if np.ndim(as_table(values, name=name)) != 1:
        raise ValueError(f"{name} has two dimensions, expected one weight per event, (n,).")
    return weights


def _edges(bins: int | ArrayLike, samples: Sequence[FloatArray]) -> FloatArray:
    """Return edges that were given, or divide the range of the samples without their tails."""
    if isinstance(bins, (str, bytes)):
        raise ValueError(f"bins={bins!r}; expected a number of bins, or their edges.")
    if not hasattr(bins, "__len__"):
        number = check_count("bins", bins, advice="pass a number of bins, or their edges")
        ends = [np.quantile(values, [_TAIL, 1 - _TAIL]) for values in samples]
        low, high = np.min(ends), np.max(ends)
        return np.linspace(low, high if high > low else low + 1, number + 1)
    edges = _column(bins, "bins")
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"bins={edges.tolist()}; expected two edges or more in ascending order.")
    return edges


def _histogram(
    values: FloatArray, weight: FloatArray, edges: FloatArray, name: str
) -> tuple[FloatArray, FloatArray]:
    """Return the fraction of the events in each bin, and its statistical error."""
    with np.errstate(over="ignore"):
        total = weight.sum()
        squares = np.square(weight).sum()
    if not (total > 0 and np.isfinite(squares) and squares > 0):
        raise ValueError(
            f"{name} sums to {total:g}, expected a positive sum, and squares within the range of "
            "float64, which weights at a theta far from nominal may not have."
        )
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
        Statistical errors of the fractions.
    target, target_error : ndarray of shape (n_bins,)
        Fractions of the target in each bin, and their statistical errors.
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
        theta : scalar, array-like of shape (p,), dict or Series, default=None
            θ; may be left out only in the discrete case.
        observable : array-like of shape (n,) or (n, k), default=None
            The observable of the nominal events, e.g. at reconstructed level; None takes `X`.
        feature : int, default=0
            The column of `observable` and `target` to take, where they have several.
        sample_weight, target_weight : array-like of shape (n,), (m,), default=None
            Event weights before any reweighting.
        bins : int or array-like of shape (n_bins + 1,), default=40
            Number of bins or their edges.
        target_name : str, default="Target"
            What the legend calls the target.
        xlabel : str, default="x"
            The observable, with its unit.
        ax : matplotlib Axes, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : ClosureDisplay
        """
        check_reweighter(reweighter)
        weights = reweighter.predict_weights(X, theta)
        if observable is not None:
            n_shown = len(_column(observable, "observable", feature))
            if n_shown != len(weights):
                raise ValueError(
                    f"observable has {n_shown} events, X has {len(weights)}: give the same events."
                )
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
            If lengths or columns do not fit, something is not finite, or there is no such feature
            or bin.
        """
        check_same_columns(target, nominal, name="target", reference_name="nominal")
        x, y = _column(nominal, "nominal", feature), _column(target, "target", feature)
        own = np.ones(len(x)) if sample_weight is None else _weights(sample_weight, "sample_weight")
        other = (
            np.ones(len(y)) if target_weight is None else _weights(target_weight, "target_weight")
        )
        named = weights if isinstance(weights, Mapping) else {"Reweighted": weights}
        factors = {"Nominal": np.ones(len(x))}
        factors |= {name: _weights(values, "weights") for name, values in named.items()}
        for name, values in {"sample_weight": own, **factors}.items():
            if len(values) != len(x):
                raise ValueError(
                    f"weights ({name}): {len(values)} weights for {len(x)} nominal events; one "
                    "per event."
                )
        if len(other) != len(y):
            raise ValueError(f"target_weight has {len(other)} entries, target has {len(y)}.")
        edges = _edges(bins, (x, y))
        check_texts(target_name=target_name, xlabel=xlabel)
        made = {
            name: _histogram(
                x, own * factor, edges, "sample_weight" if name == "Nominal" else "weights"
            )
            for name, factor in factors.items()
        }
        fraction, error = _histogram(y, other, edges, "target_weight")
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
            Axes whose place is given to the two panels; None makes a figure.
        ratio_range : tuple of float, default=(0.7, 1.3)
            Range (low, high) of the ratio.

        Returns
        -------
        self : ClosureDisplay
        """
        low, high = check_finite(
            "ratio_range", ratio_range, (2,), expected="two numbers (low, high)"
        )
        if not low < high:
            raise ValueError(f"ratio_range={ratio_range!r}; expected (low, high) with low < high.")
        parent, self.figure_ = axes(ax, (6.4, 5.2))
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
        styles = itertools.cycle(zip(COLORS, MARKERS, strict=True))
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
        lower.set_ylim(low, high)
        lower.set_xlim(edges[0], edges[-1])
        lower.set_ylabel("Ratio to\ntarget")
        lower.set_xlabel(self.xlabel)
        self.ax_, self.ratio_ax_ = upper, lower
        return self
