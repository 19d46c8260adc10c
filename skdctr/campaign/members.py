"""The members of an ensemble: how each is trained, and how they become one estimator."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from skdctr._utils.rollback import all_or_nothing
from skdctr.fitting.samples import GeneratorInput, check_fit_samples
from skdctr.fitting.srgn import SRGNFitter
from skdctr.reweighting.dctr import DCTRReweighter

__all__ = ["assemble", "bound_inputs", "n_members", "settings_of", "train_member", "warned"]

# The parameter that counts the members.
_COUNTS = {DCTRReweighter: "n_estimators", SRGNFitter: "n_runs"}
_ABOUT_THE_RUN = {"n_jobs", "verbose", "random_state", *_COUNTS.values()}


def _count(estimator: Any) -> str:
    for known, count in _COUNTS.items():
        if isinstance(estimator, known):
            return count
    raise TypeError(
        f"{type(estimator).__name__} has no members: expected a DCTRReweighter, which has "
        "n_estimators, or an SRGNFitter, which has n_runs."
    )


def n_members(estimator: Any) -> int:
    """Return how many members an estimator is to have.

    Raises
    ------
    TypeError
        If it is none that has members.
    """
    return int(getattr(estimator, _count(estimator)))


def settings_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters that every member has in common."""
    params = estimator.get_params(deep=False)
    return {name: value for name, value in params.items() if name not in _ABOUT_THE_RUN}


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


def train_member(estimator: Any, number: int, seed: int, inputs: Mapping[str, Any]) -> Any:
    """Train one member, and leave the estimator as it is.

    Returns
    -------
    object
        A fitted reweighter of one network a part, or what `SRGNFitter` keeps of a run.
    """
    # A clone would lose what the reweighter of a fitter has learned.
    member = copy.copy(estimator).set_params(verbose=0)
    if isinstance(member, DCTRReweighter):
        member.set_params(n_estimators=1)
        member._fit(inputs.get("X"), inputs.get("y"), inputs.get("sample_weight"), [seed])
        return member
    samples = _samples(member, inputs)
    gen = GeneratorInput(*(inputs.get(key) for key in ("gen", "theta", "gen_weight")))
    return member._run(samples, inputs.get("X"), gen, seed, number)


def assemble(estimator: Any, members: Sequence[Any], inputs: Mapping[str, Any]) -> None:
    """Make of the members what ``estimator.fit`` would have made of them."""
    if isinstance(estimator, DCTRReweighter):
        first = members[0]
        learned = vars(first).keys() - first.get_params(deep=False).keys()
        for name in learned:
            setattr(estimator, name, getattr(first, name))
        by_fold = zip(*(member.nets_ for member in members), strict=True)
        estimator.nets_ = [net for nets in by_fold for net in nets]
        return
    with all_or_nothing(estimator):
        estimator._keep(list(members), _samples(estimator, inputs))


def _samples(fitter: SRGNFitter, inputs: Mapping[str, Any]) -> Any:
    given = (inputs.get(key) for key in ("X", "y", "data", "sample_weight", "data_weight"))
    return check_fit_samples(fitter, *given, least_events=2 * fitter.n_folds)


def warned(caught: Sequence[warnings.WarningMessage]) -> list[tuple[str, str]]:
    """Return class and text of warnings, each once."""
    return list(dict.fromkeys((one.category.__name__, str(one.message)) for one in caught))
