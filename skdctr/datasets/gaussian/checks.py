"""Checks of what users ask of the Gaussian examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skdctr._utils.arguments import check_number
from skdctr._utils.numbers import check_count

__all__ = ["check_bounds", "check_number", "check_sizes"]


def check_sizes(n_events: Any, **sizes: Any) -> tuple[int, int, int]:
    """Check the sizes of the samples, where None stands for `n_events`.

    Returns
    -------
    n_gen, n_sim, n_data : int
        Numbers of generator events per class, of simulated events and of data events.

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is below 1.
    """
    checked = []
    for name, size in {"n_events": n_events, **sizes}.items():
        value = n_events if size is None else size
        checked.append(check_count(name, value, advice="pass a number of events"))
    _, n_gen, n_sim, n_data = checked
    return n_gen, n_sim, n_data


def check_bounds(
    bounds: Any, names: Sequence[str], above: Mapping[str, float] | None = None
) -> dict[str, tuple[float, float]]:
    """Check the range of every parameter.

    Parameters
    ----------
    bounds : object
        What the user gave: a mapping of names to pairs (low, high), or for a single parameter a
        pair.
    names : sequence of str
        The parameters.
    above : mapping of str to float, default=None
        Limits that the lower ends must exceed, by the name of the parameter.

    Returns
    -------
    dict of str to tuple of float
        The range (low, high) of each parameter.

    Raises
    ------
    TypeError
        If `bounds` is not such a mapping or pair.
    ValueError
        If a parameter is missing or unknown, or a range is empty, not finite or too low.
    """
    example = "{" + ", ".join(f'"{name}": (low, high)' for name in names) + "}"
    if not isinstance(bounds, Mapping):
        if len(names) > 1:
            raise TypeError(
                f"bounds must be a mapping by parameter name, got {bounds!r}; pass {example}."
            )
        bounds = {names[0]: bounds}
    if set(bounds) != set(names):
        raise ValueError(
            f"bounds has the parameters {sorted(map(str, bounds))}, expected {list(names)}; "
            f"pass {example}."
        )
    checked = {}
    for name in names:
        limits = bounds[name]
        if not isinstance(limits, Sequence | np.ndarray) or len(limits) != 2:
            raise TypeError(
                f"bounds of {name} must be a pair of numbers, got {limits!r}; pass (low, high)."
            )
        low, high = (check_number(f"bounds of {name}", limit) for limit in limits)
        if not low < high:
            raise ValueError(
                f"bounds of {name} must increase, got ({low:g}, {high:g}); pass (low, high)."
            )
        if above is not None and name in above:
            check_number(f"bounds of {name}", low, above=above[name])
        checked[name] = (low, high)
    return checked
