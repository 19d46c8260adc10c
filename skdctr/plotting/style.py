"""What all pictures share: matplotlib itself, axes, colours and markers."""

from __future__ import annotations

from typing import Any

from skdctr._utils.optional import require

__all__ = ["COLORS", "DASHES", "GREY", "MARKERS", "axes"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":")
GREY = "#999999"


def axes(ax: Any, figsize: tuple[float, float]) -> tuple[Any, Any]:
    """Return the axes to draw in, made in this size [inches] where there are none, and figure."""
    require("matplotlib")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax, ax.figure
