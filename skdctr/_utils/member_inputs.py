"""The arguments of the members of an ensemble, which `fit_member` and `assemble` check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skdctr._utils.arguments import shorten
from skdctr._utils.numbers import check_count
from skdctr._utils.spelling import did_you_mean

__all__ = ["check_member", "check_members"]


def check_member(number: Any, seed: Any, inputs: Any, known: Sequence[str]) -> None:
    """Check the arguments of `fit_member`.

    Parameters
    ----------
    number, seed, inputs
        As `fit_member` was given them.
    known : sequence of str
        The arguments that `fit` has.

    Raises
    ------
    TypeError, ValueError
        If a number is no int or negative, or the inputs are no mapping of arguments of `fit`.
    """
    check_count("number", number, least=0)
    check_count("seed", seed, least=0, most=2**32 - 1)
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"inputs is of type {type(inputs).__name__}; expected a dict of the arguments of fit "
            "by name."
        )
    for name in inputs:
        if name not in known:
            raise ValueError(
                f"inputs has {name!r}, which fit does not take; {did_you_mean(name, known)}"
            )
    if inputs.get("X") is None:
        raise ValueError("inputs lacks 'X', the events: give the arguments of fit by name.")


def check_members(members: Any, kind: type) -> list[Any]:
    """Check the members that `assemble` is given, and return them as a list.

    Raises
    ------
    TypeError, ValueError
        If they are no sequence of what `fit_member` returns, or there is none.
    """
    if not isinstance(members, Sequence) or not all(isinstance(each, kind) for each in members):
        raise TypeError(
            f"members={shorten(members)}; expected a sequence of what fit_member returned."
        )
    if not members:
        raise ValueError("members is empty; expected what fit_member returned, one at least.")
    return list(members)
