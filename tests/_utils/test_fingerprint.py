"""Fingerprints of contents: what differs is told apart, what is the same is known again."""

import collections
import copy
import functools
import logging
import re
import threading
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from skdctr import DCTRReweighter
from skdctr._utils.fingerprint import describe, fingerprint


def closure(value):
    def function():
        return value

    return function


def with_default(value):
    def function(*, value=value):
        return value

    return function


def cached(value):
    @functools.lru_cache
    def function():
        return value

    return function


class Holder:
    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value

    def __call__(self):
        return self.value


class Wrapper(Holder):
    """A decorator that is a class, and has a state beside its function."""

    def __init__(self, value):
        functools.update_wrapper(self, closure(1))
        super().__init__(value)


class Slots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Colour(Enum):
    A = 0
    B = 1


class Scaled(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale


def hooked(value):
    module = torch.nn.Identity()
    module.register_forward_hook(lambda *_: value)
    return module


# Each makes a thing of 0 or 1, and these must differ.
KINDS = {
    "array": lambda k: np.eye(50) * k,
    "middle of a long array": lambda k: np.r_[np.zeros(5000), k, np.zeros(5000)],
    "names of fields": lambda k: np.zeros(2, [(["a", "b"][k], float)]),
    "field": lambda k: np.array([(1, k)], [("a", "i1"), ("b", float)]),
    "mask": lambda k: np.ma.array([1.0, 2.0], mask=[k, False]),
    "array of objects": lambda k: np.array([k, "a"], dtype=object),
    "list": lambda k: [[1, k]],
    "set": lambda k: {"a", k},
    "key": lambda k: {k: 1},
    "key or its text": lambda k: {["1", 1][k]: 0},
    "deque": lambda k: collections.deque([k]),
    "frame": lambda k: pd.DataFrame({"x": np.eye(50)[0] * k}),
    "index": lambda k: pd.Series([1.0, 2.0], index=[0, k + 1]),
    "categories": lambda k: pd.Categorical(["a"], [["a", "b"], ["b", "a"]][k]),
    "nullable": lambda k: pd.Series([1, [None, 2][k]], dtype="Int64"),
    "tensor": lambda k: torch.full((500,), k),
    "bfloat16": lambda k: torch.full((3,), k, dtype=torch.bfloat16),
    "activation": lambda k: torch.nn.Sequential([torch.nn.ReLU(), torch.nn.Tanh()][k]),
    "attribute of a module": Scaled,
    "hook": hooked,
    "rng": np.random.default_rng,
    "method of a rng": lambda k: np.random.default_rng(k).normal,
    "RandomState": np.random.RandomState,
    "torch.Generator": lambda k: torch.Generator().manual_seed(k),
    "closure": closure,
    "default": with_default,
    "cached function": cached,
    "code": lambda k: [lambda x: x, lambda x: x + 1][k],
    "partial": lambda k: functools.partial(max, k),
    "method": lambda k: Holder(k).method,
    "callable": Holder,
    "wrapper with a state": Wrapper,
    "slots": Slots,
    "enum": Colour,
    "pattern": lambda k: re.compile(str(k)),
    "estimator": lambda k: DCTRReweighter(max_epochs=k + 1),
    "class": lambda k: [Slots, Holder][k],
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_contents_are_told_apart_and_known_again(make):
    first, second = fingerprint(make(0)), fingerprint(make(1))
    assert first != second
    assert fingerprint(make(0)) == first
    # Inside of others, too.
    assert fingerprint(closure({"a": [make(0)]})) == fingerprint(closure({"a": [make(0)]}))
    assert fingerprint(closure({"a": [make(0)]})) != fingerprint(closure({"a": [make(1)]}))


def test_no_two_kinds_are_alike():
    marks = [fingerprint(make(k)) for make in KINDS.values() for k in (0, 1)]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_tables_of_other_libraries(kind):
    library = pytest.importorskip(kind)
    make = library.DataFrame if kind == "polars" else library.table

    def table(value, name="x"):
        return make({name: [1.0, value, 3.0], "y": ["a", "b", "c"]})

    mark = fingerprint(table(2.0))
    assert fingerprint(table(2.0)) == mark
    others = [table(2.5), table(None), table(float("nan")), table(2.0, name="z"), table(2.0)[:2]]
    assert len({mark, *map(fingerprint, others)}) == 6


def test_what_does_not_count():
    memory = np.arange(6.0).reshape(2, 3)
    for same in (np.asfortranarray(memory), np.repeat(memory, 2, axis=1)[:, ::2]):
        assert fingerprint(same) == fingerprint(memory)
    padded = np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True))
    other = padded.copy()
    other.view(np.uint8)[3] = 7  # between the fields
    assert fingerprint(other) == fingerprint(padded)
    shared = np.ones(3)
    assert fingerprint([shared, shared]) == fingerprint([shared, shared.copy()])
    assert fingerprint(np.float64(0.5)) == fingerprint(0.5)


def test_a_mapped_array_is_that_of_memory(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5.0))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert fingerprint(mapped) == fingerprint(np.arange(5.0))


CONSTANT, TABLE = 1, np.zeros(5)


class Config:
    size = 1


def uses_globals():
    return CONSTANT, TABLE, Config.size, helper()


def helper():
    return [CONSTANT for _ in range(2)]


@pytest.mark.parametrize(
    ("name", "value"),
    [("CONSTANT", 2), ("TABLE", np.ones(5)), ("helper", lambda: 1)],
    ids=["number", "array", "function"],
)
def test_globals_that_a_function_reads_are_part_of_it(monkeypatch, name, value):
    mark, of_helper = fingerprint(uses_globals), fingerprint(helper)
    monkeypatch.setitem(globals(), name, value)
    assert fingerprint(uses_globals) != mark
    assert (fingerprint(helper) != of_helper) == (name != "TABLE")
    monkeypatch.undo()
    monkeypatch.setattr(Config, "size", 2)
    assert fingerprint(uses_globals) != mark


def test_functions_that_call_each_other_come_to_an_end():
    assert fingerprint(even) == fingerprint(even) != fingerprint(odd)
    loop = SimpleNamespace()
    loop.itself = loop
    assert fingerprint(loop) == fingerprint(copy.deepcopy(loop))


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


LOCK = threading.Lock()


def locks():
    return LOCK


class Counting(Holder):
    """What it has counted is no part of what it computes."""

    def __init__(self, value):
        super().__init__(value)
        self.lock, self.calls = threading.Lock(), value

    def __getstate__(self):
        return {}


def lazy():
    return pytest.importorskip("polars").DataFrame({"x": [1.0]}).lazy()


def delayed():
    return pytest.importorskip("dask.array").ones(3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (k for k in range(3)), "data is an object of the class generator"),
        (lambda: closure(threading.Lock()), r"data holds .* lock \(its variable 'value'\)"),
        (lambda: Holder(threading.Lock()).method, r"lock \(its object, \.value\)"),
        (lambda: {"a": [threading.Lock()]}, r"data\['a'\]\[0\] is .* lock"),
        (lambda: locks, "lock .the global 'LOCK'.*make it inside of the function"),
        (lazy, r"LazyFrame.*pass what its collect\(\) returns"),
        (delayed, r"Array.*pass what its compute\(\) returns"),
        (lambda: functools.partial(max, delayed()), r"its arguments, \[0\].*compute\(\)"),
        (lambda: torch.eye(2).to_sparse(), "pass a dense tensor"),
    ],
)
def test_what_has_no_contents_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        describe(make(), "data")


def test_an_open_file_is_refused(tmp_path):
    with (
        (tmp_path / "a").open("w") as file,
        pytest.raises(TypeError, match=r"TextIOWrapper.*go unnoticed in the file: make it inside"),
    ):
        fingerprint(file)


def test_an_object_decides_what_counts():
    assert fingerprint(Counting(1)) == fingerprint(Counting(2))


def test_things_of_installed_packages_are_known_by_their_names():
    assert describe([np.mean, torch.nn.Linear, logging.getLogger, DCTRReweighter]) == [
        "numpy.mean",
        "torch.nn.modules.linear.Linear",
        "logging.getLogger",
        "skdctr.reweighting.dctr.DCTRReweighter",
    ]


def test_descriptions_are_for_people_and_for_json():
    described = describe(functools.partial(helper, 3, data=np.zeros((5, 2)), f=closure))
    assert re.fullmatch(
        r"helper\(3, data=ndarray of shape \(5, 2\), f=closure\), [0-9a-f]{16}", described
    )
    # NaN would differ from itself, and JSON has texts as keys only.
    assert describe(float("nan")) == "nan"
    assert describe({1: 2}) != describe({"1": 2})
    assert describe({"a": (1, None)}) == {"a": [1, None]}
