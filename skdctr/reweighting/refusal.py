"""What to say to who gives something else for a reweighter."""

from __future__ import annotations

from typing import Any

__all__ = ["refuse_other"]


def refuse_other(given: Any, *, needed: str) -> None:
    """Refuse an object that is no reweighter.

    Parameters
    ----------
    given : object
        What came as the argument `reweighter`.
    needed : str
        The method that is needed of it.

    Raises
    ------
    TypeError
        If it lacks the method.
    """
    is_class = isinstance(given, type)
    if hasattr(given, needed) and not is_class:
        return
    what = f"the class {given.__name__}" if is_class else type(given).__name__
    way_out = ""
    if hasattr(given, "steps"):
        way_out = (
            " Give the last step of the pipeline by itself: it needs no scaling of features. "
            "Where gen and sim_gen need more than that, transform them first, by pipeline[:-1]."
        )
    elif hasattr(given, "estimator"):
        way_out = " Fit the search first, and give its best_estimator_."
    raise TypeError(
        f"reweighter: {what} is not a reweighter: expected DCTRReweighter, "
        f"AnalyticReweighter, another BaseReweighter, or a FrozenEstimator around one.{way_out}"
    )
