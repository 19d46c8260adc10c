"""Markdown tables, and numbers held against what is wanted of them."""

from __future__ import annotations

__all__ = ["row", "table_head", "verdict"]


def row(*cells: str) -> str:
    """Format a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table_head(titles: str) -> list[str]:
    """Format the head of a Markdown table, titles between commas."""
    cells = titles.split(", ")
    return [row(*cells), "|" + "---|" * len(cells)]


def verdict(name: str, value: float, low: float, high: float) -> str:
    """Hold a number against its limits."""
    wanted = f"{low:g} to {high:.3g}" if low else f"at most {high:.3g}"
    state = "met" if low <= value <= high else "MISSED"
    return f"{name}: {value:.3g}, {wanted} wanted: {state}"
