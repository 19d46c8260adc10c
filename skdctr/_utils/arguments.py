"""Checks of single arguments, whose messages name the argument, what came and what was expected."""

from __future__ import annotations

import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray

__all__ = [
    "as_path",
    "as_real_array",
    "check_choice",
    "check_finite",
    "check_flag",
    "check_function",
    "check_instance",
    "check_names",
    "check_number",
    "check_real_dtype",
    "check_text",
    "holds_all",
    "named",
    "shorten",
]

_LONGEST_REPR = 80
# Kinds of numpy's types that are no numbers, though numpy would turn some of them into floats.
_NO_NUMBERS = {"c": "complex numbers", "M": "dates", "m": "time differences", "V": "records"}


def shorten(value: Any) -> str:
    """Write a value as a message can show it, on one line and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST_REPR else f"{text[: _LONGEST_REPR - 3]}..."


@contextmanager
def named(name: str, expected: str) -> Iterator[None]:
    """Let errors that come from numpy, pandas or scikit-learn name the argument at fault.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    expected : str
        What was expected, and what the user can do.

    Raises
    ------
    TypeError, ValueError
        The error of the block, with its text, the name and what was expected.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        text = str(error).strip()
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            raise
        text = text if text.endswith((".", "?", "!")) else f"{text}."
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {text} Expected {expected}.") from error


def check_real_dtype(array: NDArray[Any], name: str, *, what: str = "numbers") -> None:
    """Refuse complex numbers, dates, time differences and records.

    Parameters
    ----------
    array : ndarray
        What the user gave.
    name : str
        The argument, as the message calls it.
    what : str
        What it should hold.

    Raises
    ------
    TypeError, ValueError
        If it holds something else: of complex numbers ValueError, as scikit-learn does.
    """
    kind = array.dtype.kind
    if kind == "c":
        raise ValueError(
            f"{name}: Complex data not supported; expected real {what}: take the real part, or "
            "modulus and phase."
        )
    if kind in _NO_NUMBERS:
        raise TypeError(
            f"{name} holds {_NO_NUMBERS[kind]} (dtype {array.dtype}), expected real {what}: "
            "convert it to float in the unit that you mean."
        )


def as_real_array(value: Any, name: str, *, expected: str = "real numbers") -> NDArray[Any]:
    """Turn what a user gave into an array of real numbers; what is masked becomes NaN.

    Parameters
    ----------
    value : array-like
        What the user gave.
    name : str
        The argument, as the message calls it.
    expected : str
        What was expected.

    Returns
    -------
    ndarray
        Of any shape; float64 but where it came as another type of real numbers.

    Raises
    ------
    TypeError, ValueError
        If it is ragged, sparse, or does not hold real numbers.
    """
    if value is None:
        raise TypeError(f"{name} is None, expected {expected}.")
    if issparse(value):
        raise TypeError(f"{name} is a sparse matrix, expected {expected}: pass {name}.toarray().")
    if isinstance(value, np.ma.MaskedArray):
        value = _unmasked(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    with named(name, f"{expected}, as many in each row"):
        array = np.asarray(value)
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} must hold real numbers, got {shorten(value)}; expected {expected}."
            ) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, got dtype {array.dtype}; expected {expected}: convert "
            "it to float."
        )
    return array


def _unmasked(value: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    """Fill what is masked with NaN; of integers there is none."""
    mask = np.ma.getmaskarray(value)
    if not mask.any() or value.dtype.kind not in "biuf":
        return np.asarray(value.data)
    filled: NDArray[Any] = np.array(value.data, dtype=np.float64)
    filled[mask] = np.nan
    return filled


def check_finite(
    name: str, value: Any, shape: tuple[int, ...] | None = None, *, expected: str = "finite numbers"
) -> FloatArray:
    """Check an array of finite real numbers, of a shape where that is given.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : array-like
        What the user gave.
    shape : tuple of int, default=None
        The shape that it must have.
    expected : str
        What was expected.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If it holds no real numbers, one is not finite, or it has another shape.
    """
    array: FloatArray = as_real_array(value, name, expected=expected).astype(np.float64)
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}: {expected}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity, expected {expected}: {shorten(value)}.")
    return array


def check_number(
    name: str,
    value: Any,
    *,
    low: float = -np.inf,
    above: float = -np.inf,
    high: float = np.inf,
    below: float = np.inf,
) -> float:
    """Check a finite real number.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : object
        What the user gave.
    low, high : float
        The smallest and the largest number that make sense.
    above, below : float
        What it has to be larger, and smaller, than.

    Returns
    -------
    float
        The number.

    Raises
    ------
    TypeError
        If the value is no real number; True and False are none here.
    ValueError
        If it is not finite, or out of range.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {shorten(value)}; pass a float.")
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}; pass a finite number.")
    for good, text, change in (
        (number >= low, f"at least {low:g}", "larger"),
        (number > above, f"above {above:g}", "larger"),
        (number <= high, f"at most {high:g}", "smaller"),
        (number < below, f"below {below:g}", "smaller"),
    ):
        if not good:
            raise ValueError(f"{name} must be {text}, got {number:g}; pass a {change} value.")
    return number


def check_flag(name: str, value: Any) -> bool:
    """Check True or False.

    Raises
    ------
    TypeError
        If the value is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a bool, got {shorten(value)}; pass True or False.")
    return bool(value)


def check_choice(name: str, value: Any, known: Iterable[str]) -> str:
    """Check one of several words.

    Raises
    ------
    TypeError
        If the value is no string.
    ValueError
        If it is none of the words.
    """
    known = list(known)
    if not isinstance(value, str):
        raise TypeError(f"{name}={shorten(value)} is no string; expected one of {known}.")
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; {did_you_mean(value, known)}")
    return value


def check_text(name: str, value: Any) -> None:
    """Check a text, or None.

    Raises
    ------
    TypeError
        If the value is neither.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {shorten(value)}; pass a text or None.")


def check_names(name: str, value: Any, known: Iterable[str] | None = None) -> list[str]:
    """Check a sequence of different names.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : object
        What the user gave.
    known : iterable of str, default=None
        The names that there are, where it has to be some of these.

    Raises
    ------
    TypeError
        If a name is no string.
    ValueError
        If it is no sequence, a name comes twice, or there is no such name.
    """
    known = None if known is None else list(known)
    expected = "a list of different names" if known is None else f"different ones of {known}"
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f"{name}={shorten(value)}; expected {expected}.")
    names = list(value)
    if not all(isinstance(each, str) for each in names):
        raise TypeError(f"{name}={shorten(names)}; expected {expected}, each a string.")
    for each in names:
        if known is not None and each not in known:
            raise ValueError(f"{name}: there is no {each!r}; {did_you_mean(each, known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"{name}={shorten(names)} has a name twice; expected {expected}.")
    return names


def as_path(name: str, value: Any, *, is_file: bool = True) -> Path:
    """Check a path that a user gave, and expand its ``~``.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : object
        What the user gave.
    is_file : bool, default=True
        Whether it has to be a file, where there is something.

    Raises
    ------
    TypeError
        If it is no str and no Path.
    ValueError
        If it is empty, has a character that no path can have, or is a folder and should not be.
    """
    if not isinstance(value, (str, PathLike)) or not isinstance(fspath(value), str):
        raise TypeError(f"{name}={shorten(value)}; expected a str or a Path.")
    if not fspath(value) or "\0" in fspath(value):
        raise ValueError(f"{name}={shorten(value)} is no path; expected one that is not empty.")
    path = Path(value).expanduser()
    if is_file and path.is_dir():
        raise ValueError(f"{name}={shorten(value)} is a folder; expected a file.")
    return path


def check_function(name: str, value: Any, arguments: str) -> Callable[..., Any]:
    """Check a function of the user's.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : object
        What the user gave.
    arguments : str
        The arguments that it is called with, as the message shows them.

    Raises
    ------
    TypeError
        If it cannot be called.
    """
    if not callable(value):
        raise TypeError(f"{name}={shorten(value)} is not callable: give a function of {arguments}.")
    function: Callable[..., Any] = value
    return function


def check_instance(name: str, value: Any, kind: type | tuple[type, ...], expected: str) -> None:
    """Check an object of a class.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    value : object
        What the user gave.
    kind : type or tuple of type
        What it should be.
    expected : str
        What the message calls that, and how the user comes by it.

    Raises
    ------
    TypeError
        If it is of another class.
    """
    if not isinstance(value, kind):
        what = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise TypeError(f"{name} is of type {what}, expected {expected}.")


def holds_all(values: Any, kind: type) -> bool:
    """Say whether something is a sequence of objects of one class."""
    return isinstance(values, Sequence) and all(isinstance(value, kind) for value in values)
