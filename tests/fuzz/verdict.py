"""One malformed call, and the verdict on what came of it."""

from __future__ import annotations

import contextlib
import copy
import dis
import io
import re
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import torch

from fuzz.kinds import REFUSED, SAME, Given

RIGHT, CLEAR, NAMELESS, UNCLEAR, UNTOLD = (
    "right",
    "clear",
    "without the name",
    "unclear",
    "untold",
)
VERDICTS = (RIGHT, CLEAR, NAMELESS, UNCLEAR, UNTOLD)

# A malformed input must not keep anyone waiting: a well-formed call takes a second at the most.
_LONGEST = 30.0
# Packages whose own checks raise errors that users are meant to read.
_CHECKING = ("skdctr", "sklearn")


@dataclass(frozen=True)
class Entry:
    """A public callable with a well-formed call.

    Attributes
    ----------
    name : str
        As `public_api.txt` has it, with what distinguishes the call after a space.
    call : callable
        Makes the call with the arguments by name.
    given : mapping of str to Given
        The well-formed arguments.
    """

    name: str
    call: Callable[..., Any] = field(repr=False)
    given: Mapping[str, Given] = field(repr=False)

    def arguments(self) -> dict[str, Any]:
        """Return well-formed arguments that a call may change."""
        return {name: copy.deepcopy(given.value) for name, given in self.given.items()}

    @cached_property
    def usual(self) -> tuple[dict[str, Any], set[str]]:
        """What the well-formed call gives, and the warnings that it issues."""
        with _quiet() as caught:
            result = digest(self.call(**self.arguments()))
        return result, {_head(warning) for warning in caught}

    def cases(self) -> Iterator[tuple[str, str]]:
        """Go through arguments and kinds."""
        for argument, given in self.given.items():
            for kind in given.kinds:
                yield argument, kind


@dataclass(frozen=True)
class Verdict:
    """What came of one malformed call."""

    entry: str
    argument: str
    kind: str
    verdict: str
    detail: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.entry}({self.argument}: {self.kind}): {self.detail}"


class _TooLongError(BaseException):
    """The call did not end."""


def judge(entry: Entry, argument: str, kind: str) -> Verdict:
    """Make one malformed call and judge it."""
    usual, usual_warnings = entry.usual
    allowed, make = entry.given[argument].kinds[kind]
    arguments = entry.arguments()
    arguments[argument] = make(arguments[argument])
    aliases = (argument, *entry.given[argument].names)

    def verdict(word: str, detail: str) -> Verdict:
        return Verdict(entry.name, argument, kind, word, detail[:400])

    try:
        with _quiet() as caught, _at_most(_LONGEST):
            result = digest(entry.call(**arguments))
    except _TooLongError:
        return verdict(UNCLEAR, f"did not end within {_LONGEST:g} s")
    except Exception as error:
        return verdict(*_judge_error(error, aliases))
    leaked = [w for w in caught if w.category is RuntimeWarning and _head(w) not in usual_warnings]
    told = [w for w in caught if w not in leaked and _head(w) not in usual_warnings]
    if told:
        return verdict(RIGHT, f"warned: {told[0].message}")
    if allowed == REFUSED:
        return verdict(UNTOLD, f"accepted; {_shown(result)}")
    if not_finite := _not_finite(result) - _not_finite(usual):
        return verdict(UNTOLD, f"not finite: {sorted(not_finite)[:4]}")
    if allowed == SAME and (other := _differences(result, usual)):
        return verdict(UNTOLD, f"another layout of the same values gives other {other[:4]}")
    if leaked:
        return verdict(UNCLEAR, f"warning from inside: {leaked[0].message}")
    return verdict(RIGHT, "")


def _judge_error(error: Exception, aliases: tuple[str, ...]) -> tuple[str, str]:
    message = str(error)
    text = f"{type(error).__name__}: {message}"
    named = any(re.search(rf"(?<!\w){re.escape(alias)}(?!\w)", message) for alias in aliases)
    if isinstance(error, (OSError, ImportError)) and named and _is_raised_by_check(error):
        return CLEAR, text
    if not isinstance(error, (TypeError, ValueError)) or not _is_raised_by_check(error):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return UNCLEAR, f"{text} [{place.filename.rsplit('/', 2)[-1]}:{place.lineno}]"
    return (CLEAR if named else NAMELESS), text


def _is_raised_by_check(error: Exception) -> bool:
    """Say whether the error comes from a raise statement of a checking package, and not from C."""
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return False
    package = last.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    if package not in _CHECKING:
        return False
    code = last.tb_frame.f_code
    at = {each.offset: each.opname for each in dis.get_instructions(code)}
    return at.get(last.tb_lasti) == "RAISE_VARARGS"


@contextlib.contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Record warnings, and drop what is printed."""
    streams = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(record=True) as caught, streams[0], streams[1]:
        warnings.simplefilter("always")
        yield caught


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _head(warning: warnings.WarningMessage) -> str:
    return f"{warning.category.__name__}: {re.sub(r'[-0-9.e]+', '#', str(warning.message))}"


def digest(result: Any, name: str = "result", depth: int = 0) -> dict[str, Any]:
    """Flatten a result into arrays of numbers and texts, by where they are in it."""
    if result is None or depth > 5 or type(result).__module__.startswith("matplotlib"):
        return {}
    if isinstance(result, torch.Tensor):
        result = result.detach().cpu().numpy()
    if isinstance(result, (bool, int, float, np.generic)):
        result = np.asarray(result)
    if isinstance(result, np.ndarray) and (result.dtype.kind in "biufc" or not result.ndim):
        return {name: result}
    if isinstance(result, (str, bytes)):
        return {name: result}
    if isinstance(result, ak.Array):
        flat = np.asarray(ak.to_numpy(ak.flatten(ak.drop_none(result), axis=None)))
        return {name: flat}
    if isinstance(result, pd.DataFrame):
        parts: Mapping[Any, Any] = {
            column: result[column].to_numpy() for column in result if column != "seconds"
        }
    elif isinstance(result, pd.Series):
        parts = {"values": result.to_numpy()}
    elif isinstance(result, Mapping):
        parts = result
    elif isinstance(result, (list, tuple, np.ndarray)):
        parts = dict(enumerate(result))
    elif isinstance(result, torch.nn.Module):
        parts = result.state_dict()
    elif is_dataclass(result) or type(result).__module__.startswith("skdctr"):
        learned = not is_dataclass(result) and hasattr(result, "get_params")
        parts = {
            key: value
            for key, value in vars(result).items()
            if key[0] != "_" and (key[-1] == "_" or not learned) and "seconds" not in key
        }
    elif hasattr(result, "module_"):
        parts = result.module_.state_dict()
    else:
        return {}
    return {
        place: value
        for key, part in parts.items()
        for place, value in digest(part, f"{name}.{key}", depth + 1).items()
    }


def _not_finite(result: Mapping[str, Any]) -> set[str]:
    return {
        place
        for place, value in result.items()
        if isinstance(value, np.ndarray)
        and value.dtype.kind in "fc"
        and not np.isfinite(value).all()
    }


def _differences(result: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    if result.keys() != usual.keys():
        return sorted(result.keys() ^ usual.keys())
    return [place for place, value in result.items() if not _is_same(value, usual[place])]


def _is_same(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        if not isinstance(second, np.ndarray) or first.shape != second.shape:
            return False
        # Sums in another layout may be taken in another order.
        return np.allclose(first, second, rtol=1e-6, atol=1e-9, equal_nan=True)
    return bool(first == second)


def _shown(result: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{place} = {np.array2string(value.reshape(-1)[:2], precision=3)}"
        for place, value in list(result.items())[:2]
        if isinstance(value, np.ndarray)
    )
