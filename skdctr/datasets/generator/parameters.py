"""The parameters that the examples vary, and the checks of what users pass for them."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = [
    "PARAMETERS",
    "GeneratorParameter",
    "check_mapping",
    "check_mass",
    "check_mass_or_range",
    "check_range",
    "check_value",
    "check_value_or_range",
    "check_vary",
]


@dataclass(frozen=True)
class GeneratorParameter:
    """A parameter of the generator.

    Attributes
    ----------
    pythia_name : str
        Its name in Pythia.
    nominal : float
        Value of the Monash tune, Pythia's default.
    bounds : tuple of float
        Range in which the papers vary it.
    target : float
        Value of the papers' data (Table I of arXiv:1907.08209, Table III of arXiv:2010.03569).
    allowed : tuple of float
        Range that Pythia accepts.
    """

    pythia_name: str
    nominal: float
    bounds: tuple[float, float]
    target: float
    allowed: tuple[float, float]


PARAMETERS: Mapping[str, GeneratorParameter] = MappingProxyType(
    {
        "alphaS": GeneratorParameter(
            "TimeShower:alphaSvalue", 0.1365, (0.10, 0.18), 0.16, (0.06, 0.25)
        ),
        "aLund": GeneratorParameter("StringZ:aLund", 0.68, (0.50, 0.90), 0.80, (0.0, 2.0)),
        "probStoUD": GeneratorParameter(
            "StringFlav:probStoUD", 0.217, (0.10, 0.30), 0.275, (0.0, 1.0)
        ),
    }
)

# Masses of the top quark in GeV: a range wider than any to fit in, in which no mass in MeV lies.
_TOP_MASSES = (150.0, 200.0)


def check_mass(name: str, value: Any) -> float:
    """Check a mass of the top quark.

    Returns
    -------
    float
        The mass, in GeV.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is not from 150 to 200 GeV; a mass in MeV is called that.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a mass in GeV, got {value!r}; pass a float.")
    number = float(value)
    low, high = _TOP_MASSES
    if not low <= number <= high:
        in_mev = low <= number / 1000 <= high
        hint = f"this looks like MeV: pass {number / 1000:g}" if in_mev else "pass another mass"
        raise ValueError(f"{name} must lie from {low:g} to {high:g} GeV, got {number:g}; {hint}.")
    return number


def check_mass_or_range(name: str, value: Any) -> tuple[float, float]:
    """Check a mass of the top quark that is fixed or varies.

    Returns
    -------
    low, high : float
        The range, in GeV; both ends are the same for a fixed mass.

    Raises
    ------
    TypeError, ValueError
        If it is neither a mass nor an increasing pair of masses.
    """
    if not isinstance(value, (tuple, list)):
        number = check_mass(name, value)
        return number, number
    if len(value) != 2:
        raise ValueError(f"{name} must be a pair (low, high), got {value!r}; pass two masses.")
    low, high = (check_mass(name, end) for end in value)
    if low >= high:
        raise ValueError(
            f"{name} must be a pair (low, high) with low < high, got {value!r}; pass the smaller "
            "mass first."
        )
    return low, high


def check_value(name: str, value: Any, label: str) -> float:
    """Check a value of a parameter.

    Parameters
    ----------
    name : str
        The parameter, of `PARAMETERS`.
    value : object
        What the user gave.
    label : str
        What an error calls it.

    Returns
    -------
    float
        The value.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If Pythia does not accept it.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{label} must be a number, got {value!r}; pass a float.")
    number = float(value)
    low, high = PARAMETERS[name].allowed
    if not low <= number <= high:
        raise ValueError(
            f"{label} must lie from {low:g} to {high:g}, the range that Pythia accepts, got "
            f"{number:g}; pass a value in this range."
        )
    return number


def check_range(name: str, value: Any, label: str) -> tuple[float, float]:
    """Check a range of a parameter.

    Parameters
    ----------
    name, value, label
        As for `check_value`.

    Returns
    -------
    low, high : float
        The range.

    Raises
    ------
    TypeError, ValueError
        If it is not an increasing pair of values that Pythia accepts.
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{label} must be a pair (low, high), got {value!r}; pass two numbers.")
    low, high = (check_value(name, end, label) for end in value)
    if low >= high:
        raise ValueError(
            f"{label} must be a pair (low, high) with low < high, got {value!r}; pass the smaller "
            "number first."
        )
    return low, high


def check_value_or_range(name: str, value: Any) -> tuple[float, float]:
    """Check a parameter that is fixed or varies.

    Returns
    -------
    low, high : float
        The range; both ends are the same for a fixed value.

    Raises
    ------
    TypeError, ValueError
        If it is neither a value nor an increasing pair of values that Pythia accepts.
    """
    if isinstance(value, (tuple, list)):
        return check_range(name, value, name)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name} must be a number or a pair (low, high), got {value!r}; pass a float to fix "
            "it or a pair to vary it."
        )
    number = check_value(name, value, name)
    return number, number


def check_vary(vary: Any) -> list[str]:
    """Check the names of the parameters that vary, and return them as a list.

    Raises
    ------
    TypeError
        If it is neither a name nor a sequence of names.
    ValueError
        If a name is unknown or comes twice, or there is none.
    """
    if not isinstance(vary, (str, Iterable)):
        raise TypeError(
            f"vary must be a name or a sequence of names, got {vary!r}; choose from "
            f"{list(PARAMETERS)}."
        )
    names = [vary] if isinstance(vary, str) else list(vary)
    _check_names("vary", names)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"vary must name at least one parameter and none twice, got {names}; choose from "
            f"{list(PARAMETERS)}."
        )
    return names


def check_mapping(argument: str, value: Any, names: list[str]) -> Mapping[str, Any]:
    """Check a mapping by the names of parameters that vary, where None is an empty one.

    Raises
    ------
    TypeError
        If it is not a mapping.
    ValueError
        If a name is unknown, or its parameter does not vary.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{argument} must be a mapping by parameter name, got {value!r}; pass "
            f"{{{names[0]!r}: ...}}."
        )
    _check_names(argument, value)
    for name in value:
        if name not in names:
            raise ValueError(
                f"{argument} names {name!r}, which does not vary; add it to vary={names!r}."
            )
    return value


def _check_names(argument: str, names: Iterable[Any]) -> None:
    """Refuse names that are not those of parameters."""
    # Pythia's own names are recognised, so that the error can say what they are here.
    spellings = {known.pythia_name.lower(): name for name, known in PARAMETERS.items()}
    spellings |= {name.lower(): name for name in PARAMETERS}
    for name in names:
        if not isinstance(name, str) or name not in PARAMETERS:
            close = difflib.get_close_matches(str(name).lower(), spellings, n=1)
            hint = f" Did you mean {spellings[close[0]]!r}?" if close else ""
            raise ValueError(
                f"{argument} names {name!r}, expected names among {list(PARAMETERS)}.{hint}"
            )
