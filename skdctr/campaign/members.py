"""What the members of an ensemble have in common, and the inputs of their fits."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bound_inputs", "n_members", "settings_of", "unique_warnings"]

_ABOUT_THE_RUN = {"n_jobs", "verbose", "random_state"}


def _counting_parameter(estimator: Any) -> str:
    """Return the parameter that counts the members, where the estimator trains them one by one."""
    name: str | None = getattr(estimator, "members_parameter", None)
    if name is None or not hasattr(estimator, "fit_member"):
        raise TypeError(
            f"{type(estimator).__name__} has no members: expected a DCTRReweighter, which has "
            "n_estimators, or an SRGNFitter, which has n_runs."
        )
    return name


def n_members(estimator: Any) -> int:
    """Return how many members an estimator is to have.

    Raises
    ------
    TypeError
        If it is none that has members.
    """
    return int(getattr(estimator, _counting_parameter(estimator)))


def settings_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters that every member has in common."""
    varying = _ABOUT_THE_RUN | {_counting_parameter(estimator)}
    params = estimator.get_params(deep=False)
    return {name: value for name, value in params.items() if name not in varying}


def bound_inputs(estimator: Any, inputs: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of ``estimator.fit`` their names; those that are None are left out.

    Raises
    ------
    TypeError
        If they are not such arguments.
    """
    try:
        bound = inspect.signature(estimator.fit).bind(*inputs, **named)
    except TypeError as error:
        raise TypeError(f"{type(estimator).__name__}.fit does not take this: {error}.") from error
    return {name: value for name, value in bound.arguments.items() if value is not None}


def unique_warnings(caught: Sequence[warnings.WarningMessage]) -> list[tuple[str, str]]:
    """Return class and text of warnings, each once."""
    return list(dict.fromkeys((one.category.__name__, str(one.message)) for one in caught))
