"""The picture of the pulls of many toys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skdctr._utils.arguments import check_instance, check_names
from skdctr._utils.numbers import check_count
from skdctr._utils.typing import FloatArray
from skdctr.coverage.result import CoverageResult
from skdctr.plotting.fit import check_labels
from skdctr.plotting.style import COLORS, axes, check_axes, check_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PullDisplay"]


class PullDisplay:
    """Histogram of the pulls of each parameter, with the unit Gaussian that is expected.

    Draw it from `from_coverage`.

    Parameters
    ----------
    pulls : dict of str to ndarray of shape (n,)
        Pulls, (fitted − true) / error, of the toys, by the label of the parameter.
    edges : ndarray of shape (n_bins + 1,)
        Bin edges. Pulls beyond them are counted in the outermost bins.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The panels of the last drawing, one for each parameter.
    figure_ : matplotlib Figure
        Its figure.
    """

    def __init__(self, *, pulls: Mapping[str, FloatArray], edges: FloatArray) -> None:
        self.pulls = pulls
        self.edges = edges

    @classmethod
    def from_coverage(
        cls,
        result: CoverageResult,
        *,
        parameters: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        bins: int | None = None,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Self:
        """Draw the pulls of the toys that have an error.

        Parameters
        ----------
        result : CoverageResult
            What `skdctr.coverage.run_toys` returned.
        parameters : sequence of str, default=None
            The parameters to draw; None takes all.
        labels : sequence of str, default=None
            What the panels call them; None takes the names.
        bins : int, default=None
            Number of bins; None takes about the square root of the number of toys.
        ax : matplotlib Axes or sequence of such, default=None
            The axes to draw in, one for each parameter; None makes a figure.

        Returns
        -------
        display : PullDisplay

        Raises
        ------
        ValueError
            If a parameter is unknown, or the number of labels or axes is wrong.
        """
        check_instance("result", result, CoverageResult, "a CoverageResult, as run_toys returns it")
        chosen = check_names(
            "parameters", result.names if parameters is None else parameters, result.names
        )
        check_labels(labels, chosen)
        titles = chosen if labels is None else list(labels)
        if bins is not None:
            check_count("bins", bins)
        pulls = {title: result.pulls(name) for title, name in zip(titles, chosen, strict=True)}
        if bins is None:
            most = max((len(values) for values in pulls.values()), default=0)
            bins = int(np.clip(2 * np.sqrt(most), 8, 40))
        return cls(pulls=pulls, edges=np.linspace(-4, 4, bins + 1)).plot(ax=ax)

    def plot(self, ax: Axes | Sequence[Axes] | None = None, *, color: Any = None) -> Self:
        """Draw a panel for each parameter, with the mean and the width of its pulls.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of such, default=None
            The axes to draw in, one for each parameter; None makes a figure.
        color : matplotlib color, default=None
            The colour of the histograms; None takes the first one of the package.

        Returns
        -------
        self : PullDisplay
        """
        check_color(color)
        self.axes_, self.figure_ = _panels(ax, len(self.pulls))
        width = self.edges[1] - self.edges[0]
        fine = np.linspace(self.edges[0], self.edges[-1], 300)
        gaussian = np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi)
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        for panel, (name, values) in zip(self.axes_, self.pulls.items(), strict=True):
            n = len(values)
            content, _ = np.histogram(np.clip(values, centres[0], centres[-1]), self.edges)
            shade = COLORS[0] if color is None else color
            panel.stairs(content, self.edges, fill=True, color=shade, alpha=0.35)
            panel.stairs(content, self.edges, color=shade, label=f"{n} toys")
            panel.plot(fine, n * width * gaussian, color="black", linewidth=1.2, label="N(0, 1)")
            if n > 1:
                mean, spread = values.mean(), values.std(ddof=1)
                panel.text(
                    0.03,
                    0.97,
                    f"mean {mean:.2f} ± {spread / np.sqrt(n):.2f}\n"
                    f"width {spread:.2f} ± {spread / np.sqrt(2 * (n - 1)):.2f}",
                    transform=panel.transAxes,
                    va="top",
                    fontsize="small",
                )
            highest = max(float(content.max()), n * width * gaussian.max(), 1.0)
            # The text needs room above the bars.
            panel.set_ylim(0, 1.35 * highest)
            panel.set_xlim(self.edges[0], self.edges[-1])
            panel.set_xlabel(f"Pull of {name}")
            panel.legend(loc="upper right", frameon=False, fontsize="small")
        if self.axes_:
            self.axes_[0].set_ylabel("Toys per bin")
        return self


def _panels(ax: Any, n: int) -> tuple[list[Any], Any]:
    """Return n axes, made side by side where there are none, and their figure."""
    if ax is not None:
        panels = list(np.ravel(np.asarray(ax, dtype=object)))
        for panel in panels:
            check_axes(panel)
        if len(panels) != n:
            raise ValueError(f"ax holds {len(panels)} axes for {n} parameters; one for each.")
        return panels, panels[0].figure if panels else None
    first, figure = axes(None, (max(n, 1) * 4.0, 3.6))
    grid = first.get_subplotspec().subgridspec(1, max(n, 1))
    first.remove()
    return [figure.add_subplot(grid[k]) for k in range(n)], figure
