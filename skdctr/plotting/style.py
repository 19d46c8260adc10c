"""The look that all pictures share: axes, colours, markers, and whose turn each of them is."""

from __future__ import annotations

from typing import Any, NamedTuple

from skdctr._utils.arguments import check_instance, shorten
from skdctr._utils.optional import require

__all__ = ["COLORS", "DASHES", "GREY", "MARKERS", "DrawingStyle", "axes", "next_style"]

# After M. Okabe and K. Ito, without their yellow and black: colour-blind readers tell these apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":")
GREY = "#999999"


class DrawingStyle(NamedTuple):
    """How one of several drawings of a kind looks in axes that they share.

    Attributes
    ----------
    number : int
        How many drawings of this kind the axes had before.
    color : matplotlib color
        The colour that the caller asked for, or else the next one of `COLORS`.
    marker, dash : str
        The marker of points and the style of lines.
    labels : list of (str or None)
        The labels of all drawings of this kind so far; this one is the last.
    """

    number: int
    color: Any
    marker: str
    dash: str
    labels: list[str | None]


def axes(ax: Any, figsize: tuple[float, float]) -> tuple[Any, Any]:
    """Return the axes to draw in, and their figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
        The axes that the user gave; None makes a figure.
    figsize : tuple of float
        Width and height of that figure in inches.

    Returns
    -------
    ax : matplotlib Axes
    figure : matplotlib Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If what the user gave is no Axes.
    """
    require("matplotlib")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    check_axes(ax)
    return ax, ax.figure


def check_axes(ax: Any) -> None:
    """Refuse what is no Axes.

    Raises
    ------
    TypeError
        If it is something else.
    """
    from matplotlib.axes import Axes

    check_instance("ax", ax, Axes, "matplotlib Axes, e.g. of plt.subplots(), or None")


def check_color(color: Any) -> None:
    """Refuse what is no colour of matplotlib, before anything is drawn.

    Raises
    ------
    ValueError
        If matplotlib does not know it.
    """
    from matplotlib.colors import is_color_like

    if color is not None and not is_color_like(color):
        raise ValueError(
            f"color={shorten(color)} is no color of matplotlib; pass e.g. 'red' or '#0072B2'."
        )


def next_style(ax: Any, kind: str, *, color: Any = None, label: str | None = None) -> DrawingStyle:
    """Give a drawing its style, and count it among those of its kind in the axes.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes that it is drawn into. They remember what was drawn.
    kind : str
        What counts as the same kind: a profile does not use up the colours of a contour.
    color : matplotlib color, default=None
        The colour that the user asked for; None takes the next one.
    label : str, default=None
        What the drawing is called.

    Returns
    -------
    DrawingStyle
    """
    check_color(color)
    if not ax.has_data():
        # Axes that were cleared start anew.
        ax._skdctr_drawn = {}
    drawn: dict[str, list[str | None]] = vars(ax).setdefault("_skdctr_drawn", {})
    labels = drawn.setdefault(kind, [])
    number = len(labels)
    labels.append(label)
    return DrawingStyle(
        number,
        COLORS[number % len(COLORS)] if color is None else color,
        MARKERS[number % len(MARKERS)],
        DASHES[number % len(DASHES)],
        labels,
    )
