"""The malformed forms of single values: numbers, words, functions, names, bounds, files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.arrays import ANY, REFUSED, SAME, Given, Kinds, Unknown


def _scalars(value: Any) -> Kinds:
    return {
        "None": (REFUSED, lambda x: None),
        "an object": (REFUSED, lambda x: Unknown()),
        "a string": (REFUSED, lambda x: "abc"),
        "a list": (REFUSED, lambda x: [value]),
        "an empty list": (REFUSED, lambda x: []),
        "a dict": (REFUSED, lambda x: {"a": value}),
        "an array": (REFUSED, lambda x: np.array([value, value])),
        "complex": (REFUSED, lambda x: 1 + 1j),
        "NaN": (REFUSED, lambda x: float("nan")),
        "infinite": (REFUSED, lambda x: float("inf")),
        "minus infinite": (REFUSED, lambda x: float("-inf")),
        "a function": (REFUSED, lambda x: len),
        "a date": (REFUSED, lambda x: dt.datetime(2020, 1, 1)),
    }


def count(value: int, *, least: int = 1, optional: bool = False) -> Given:
    """A number of things."""
    kinds = {
        **_scalars(value),
        "negative": (REFUSED, lambda x: -1),
        "too small": (REFUSED, lambda x: least - 1),
        "a fraction": (REFUSED, lambda x: value + 0.5),
        "a number string": (REFUSED, lambda x: str(value)),
        "huge": (REFUSED, lambda x: 10**30),
        "NumPy integer": (SAME, lambda x: np.int32(value)),
        "0-d": (ANY, lambda x: np.array(value)),
        "a whole float": (ANY, lambda x: float(value)),
    }
    if optional:
        kinds["None"] = (ANY, lambda x: None)
    return Given(value, kinds)


def number(
    value: float, *, optional: bool = False, negative: str = REFUSED, zero: str = REFUSED
) -> Given:
    """A real number."""
    kinds = {
        **_scalars(value),
        "negative": (negative, lambda x: -abs(value) - 0.1),
        "zero": (zero, lambda x: 0.0),
        "huge": (ANY, lambda x: 1e300),
        "tiny": (ANY, lambda x: 1e-300),
        "a number string": (REFUSED, lambda x: str(value)),
        "single precision": (ANY, lambda x: np.float32(value)),
        "0-d": (ANY, lambda x: np.array(value)),
    }
    if optional:
        kinds["None"] = (ANY, lambda x: None)
    return Given(value, kinds)


def choice(value: str, *, optional: bool = False) -> Given:
    """One of several words."""
    kinds: Kinds = {
        **_scalars(value),
        "misspelt": (REFUSED, lambda x: x[:-1]),
        "upper case": (REFUSED, str.upper),
        "empty": (REFUSED, lambda x: ""),
        "bytes": (REFUSED, lambda x: str(x).encode()),
        "a number": (REFUSED, lambda x: 3),
    }
    if optional:
        kinds["None"] = (ANY, lambda x: None)
    return Given(value, kinds)


def names(value: Any, *, optional: bool = True) -> Given:
    """Names of things that exist, such as parameters."""
    kinds: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "unknown": (REFUSED, lambda x: ["nonsense"]),
        "one unknown": (REFUSED, lambda x: [*x, "nonsense"]),
        "an unknown word": (REFUSED, lambda x: "nonsense"),
        "numbers": (REFUSED, lambda x: [3, 4]),
        "a number": (REFUSED, lambda x: 3),
        "NaN": (REFUSED, lambda x: float("nan")),
        "twice": (REFUSED, lambda x: [*x, *x]),
        "nested": (REFUSED, lambda x: [[*x]]),
        "of None": (REFUSED, lambda x: [None]),
        "None": (ANY if optional else REFUSED, lambda x: None),
        "an array": (SAME, lambda x: np.array(x, dtype=object)),
    }
    return Given(value, kinds)


def flag(value: bool = False) -> Given:
    """True or False."""
    kinds = _scalars(value)
    for name in ("a list", "an empty list", "a dict"):
        kinds[name] = (REFUSED, kinds[name][1])
    kinds["a number"] = (REFUSED, lambda x: 2.5)
    kinds["NumPy"] = (SAME, lambda x: np.bool_(value))
    return Given(value, kinds)


def text(value: str | None, *, optional: bool = True) -> Given:
    """Any text, such as a label."""
    kinds: Kinds = {
        name: kind for name, kind in _scalars(value).items() if name not in ("a string", "None")
    }
    if not optional:
        kinds["None"] = (REFUSED, lambda x: None)
    return Given(value, kinds)


def function(value: Callable[..., Any], *, optional: bool = False) -> Given:
    """A function of the user's."""
    kinds: Kinds = {
        "a number": (REFUSED, lambda f: 3),
        "a string": (REFUSED, lambda f: "abc"),
        "an object": (REFUSED, lambda f: Unknown()),
        "a list": (REFUSED, lambda f: [f]),
        "None": (ANY if optional else REFUSED, lambda f: None),
        "returns None": (REFUSED, lambda f: lambda *args: None),
        "returns a string": (REFUSED, lambda f: lambda *args: "abc"),
        "returns an object": (REFUSED, lambda f: lambda *args: Unknown()),
        "returns NaN": (REFUSED, lambda f: lambda *args: np.asarray(f(*args)) * np.nan),
        "returns infinity": (REFUSED, lambda f: lambda *args: np.asarray(f(*args)) * 0 + np.inf),
        "returns fewer": (REFUSED, lambda f: lambda *args: np.asarray(f(*args))[:-1]),
        "returns complex": (REFUSED, lambda f: lambda *args: np.asarray(f(*args)) + 1j),
        "returns columns": (REFUSED, lambda f: lambda *args: np.stack([np.asarray(f(*args))] * 2)),
    }
    return Given(value, kinds)


def seed(value: int = 0) -> Given:
    """A seed."""
    kinds = _scalars(value)
    kinds |= {
        "negative": (REFUSED, lambda x: -1),
        "huge": (REFUSED, lambda x: 10**30),
        "a fraction": (REFUSED, lambda x: 1.5),
        "None": (ANY, lambda x: None),
        "NumPy integer": (SAME, lambda x: np.int64(value)),
        "RandomState": (ANY, lambda x: np.random.RandomState(0)),
    }
    return Given(value, kinds)


def bounds(value: dict[str, tuple[float, float]], *, optional: bool = True) -> Given:
    """(low, high) by name or in order."""
    name, (low, high) = next(iter(value.items()))

    def pair(low: Any, high: Any) -> Callable[[Any], Any]:
        return lambda x: {**x, name: (low, high)}

    kinds: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "a string": (REFUSED, lambda x: "abc"),
        "a number": (REFUSED, lambda x: 3.0),
        "None": (ANY if optional else REFUSED, lambda x: None),
        "reversed": (REFUSED, pair(high, low)),
        "equal": (REFUSED, pair(low, low)),
        "NaN": (REFUSED, pair(float("nan"), high)),
        "infinite": (REFUSED, pair(low, float("inf"))),
        "of strings": (REFUSED, pair("abc", "def")),
        "of None": (REFUSED, pair(None, high)),
        "of complex": (REFUSED, pair(low, high + 1j)),
        "of objects": (REFUSED, pair(Unknown(), Unknown())),
        "three ends": (REFUSED, lambda x: {**x, name: (low, high, high + 1)}),
        "one end": (REFUSED, lambda x: {**x, name: low}),
        "no ends": (REFUSED, lambda x: {**x, name: ()}),
        "unknown name": (REFUSED, lambda x: {**x, "nonsense": (low, high)}),
        "no name": (REFUSED, lambda x: {3: (low, high)}),
        "flat": (REFUSED, lambda x: [low, high, high]),
        "one pair more": (REFUSED, lambda x: [*x.values(), (low, high)]),
        "nested": (REFUSED, lambda x: [[list(x.values())]]),
        "in order": (SAME, lambda x: list(x.values())),
        "an array": (SAME, lambda x: np.array(list(x.values()))),
    }
    return Given(value, kinds)


def constraints(value: dict[str, tuple[float, float]]) -> Given:
    """(mean, σ) by name."""
    name, (mean, sigma) = next(iter(value.items()))
    refused: dict[str, Callable[[Any], Any]] = {
        "an object": lambda x: Unknown(),
        "a string": lambda x: "abc",
        "a list": lambda x: [(mean, sigma)],
        "a number": lambda x: 3.0,
        "zero width": lambda x: {name: (mean, 0.0)},
        "negative width": lambda x: {name: (mean, -1.0)},
        "NaN": lambda x: {name: (mean, float("nan"))},
        "infinite": lambda x: {name: (float("inf"), sigma)},
        "of strings": lambda x: {name: ("abc", "def")},
        "of objects": lambda x: {name: (Unknown(), sigma)},
        "one number": lambda x: {name: mean},
        "three numbers": lambda x: {name: (mean, sigma, sigma)},
        "None": lambda x: {name: None},
        "unknown name": lambda x: {"nonsense": (mean, sigma)},
        "no name": lambda x: {3: (mean, sigma)},
    }
    return Given(value, {kind: (REFUSED, make) for kind, make in refused.items()})


def instance(value: Any, *, optional: bool = False) -> Given:
    """An object of a class of the package, such as a fitted reweighter."""
    kinds: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "a string": (REFUSED, lambda x: "abc"),
        "a number": (REFUSED, lambda x: 3),
        "an array": (REFUSED, lambda x: np.ones((3, 1))),
        "a list": (REFUSED, lambda x: [x]),
        "a dict": (REFUSED, lambda x: {"a": x}),
        "the class": (REFUSED, type),
        "None": (ANY if optional else REFUSED, lambda x: None),
    }
    return Given(value, kinds)


def axes(value: Any = None) -> Given:
    """Axes of matplotlib, or none."""
    return instance(value, optional=True).without("the class")


def path(value: Path, folder: Path) -> Given:
    """A file that is there; the others are made in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"empty{value.suffix}").write_bytes(b"")
    (folder / f"garbage{value.suffix}").write_bytes(bytes(range(256)) * 8)
    (folder / f"text{value.suffix}").write_text("no such file format\n" * 20)
    cut = value.read_bytes()
    (folder / f"cut{value.suffix}").write_bytes(cut[: len(cut) // 2])
    kinds: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "None": (REFUSED, lambda x: None),
        "a number": (REFUSED, lambda x: 12345.5),
        "bytes": (REFUSED, lambda x: b"abc"),
        "an empty string": (REFUSED, lambda x: ""),
        "a null character": (REFUSED, lambda x: "a\0b" + x.suffix),
        "a missing file": (REFUSED, lambda x: folder / f"missing{x.suffix}"),
        "a missing folder": (REFUSED, lambda x: folder / "missing" / x.name),
        "a folder": (REFUSED, lambda x: folder),
        "another ending": (REFUSED, lambda x: folder / "empty.xyz"),
        "an empty file": (REFUSED, lambda x: folder / f"empty{x.suffix}"),
        "garbage": (REFUSED, lambda x: folder / f"garbage{x.suffix}"),
        "text": (REFUSED, lambda x: folder / f"text{x.suffix}"),
        "cut in half": (REFUSED, lambda x: folder / f"cut{x.suffix}"),
        "a string": (SAME, str),
    }
    # A message that names the file names the argument.
    return Given(value, kinds, (str(folder), str(value.parent)))


def target(value: Path) -> Given:
    """A file that is written."""
    kinds: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "None": (REFUSED, lambda x: None),
        "a number": (REFUSED, lambda x: 12345.5),
        "an empty string": (REFUSED, lambda x: ""),
        "a null character": (REFUSED, lambda x: "a\0b" + x.suffix),
        "a missing folder": (REFUSED, lambda x: x.parent / "missing" / x.name),
        "a folder": (REFUSED, lambda x: x.parent),
        "a string": (ANY, str),
    }
    return Given(value, kinds)


def sizes(value: Sequence[int]) -> Given:
    """Nodes of the layers of a network."""
    kinds: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "a string": (REFUSED, lambda x: "abc"),
        "of strings": (REFUSED, lambda x: ["abc"]),
        "of fractions": (REFUSED, lambda x: (8.5,)),
        "of zero": (REFUSED, lambda x: (8, 0)),
        "negative": (REFUSED, lambda x: (-8,)),
        "of NaN": (REFUSED, lambda x: (float("nan"),)),
        "of None": (REFUSED, lambda x: (None,)),
        "nested": (REFUSED, lambda x: [[8, 8]]),
        "a fraction": (REFUSED, lambda x: 8.5),
        "huge": (REFUSED, lambda x: (10**30,)),
        "a list": (SAME, list),
        "an array": (SAME, np.array),
    }
    return Given(value, kinds)
