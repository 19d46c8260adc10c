"""The number of an ensemble's members, their common settings, and the inputs of their fits."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bound_inputs", "n_members", "settings_of", "unique_warnings"]

# Parameters that do not change what a member learns from its own seed.
_ABOUT_THE_RUN = {"n_jobs", "verbose", "random_state"}


def _counting_parameter(estimator: Any) -> str:
    """Return the parameter that counts the members, where the estimator trains them one by one."""
    name: str | None = getattr(estimator, "members_parameter", None)
    is_class = isinstance(estimator, type)
    if name is None or is_class or not hasattr(estimator, "fit_member"):
        raise TypeError(
            f"estimator: {type(estimator).__name__} has no members: expected a DCTRReweighter, "
            "which has n_estimators, or an SRGNFitter, which has n_runs."
        )
    return name


def n_members(estimator: Any) -> int:
    """Return how many members an estimator is to have.

    Parameters
    ----------
    estimator : DCTRReweighter or SRGNFitter
        Its class names the parameter that counts as `members_parameter`.

    Raises
    ------
    TypeError
        If it is not an estimator that has members.
    """
    return int(getattr(estimator, _counting_parameter(estimator)))


def settings_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters that every member has in common."""
    varying = _ABOUT_THE_RUN | {_counting_parameter(estimator)}
    params = estimator.get_params(deep=False)
    return {name: value for name, value in params.items() if name not in varying}


def bound_inputs(estimator: Any, inputs: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``estimator.fit`` by name; those that are None are left out.

    Parameters
    ----------
    estimator : estimator
        Its `fit` names the arguments.
    inputs, named : sequence, mapping
        Arguments by position and by name.

    Raises
    ------
    TypeError
        If `fit` does not take them.
    """
    try:
        bound = inspect.signature(estimator.fit).bind(*inputs, **named)
    except TypeError as error:
        raise TypeError(f"{type(estimator).__name__}.fit does not take this: {error}.") from error
    return {name: value for name, value in bound.arguments.items() if value is not None}


def unique_warnings(caught: Sequence[warnings.WarningMessage]) -> list[tuple[str, str]]:
    """Return the name of the class and the text of each warning, without repetitions."""
    return list(dict.fromkeys((one.category.__name__, str(one.message)) for one in caught))
