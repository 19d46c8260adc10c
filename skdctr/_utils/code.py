"""What a function or a class is made of, so that a campaign notices when it has changed.

A function of an installed package is known by its name. One of the user's own counts by its
content: bytecode, defaults, closure, and the globals that it uses.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from dis import get_instructions
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = [
    "Parts",
    "class_parts",
    "code_parts",
    "function_parts",
    "is_importable",
    "qualified_name",
]

# What a thing consists of, each part with the words that lead to it in a message.
Parts = Iterator[tuple[str, Any]]

# What Python and abc keep in a class besides what its body says.
_BOOKKEEPING = {"_abc_impl", "__slots__", "__static_attributes__", "__firstlineno__"}


@cache
def is_installed(module: str | None) -> bool:
    """Say whether a module is part of Python, of this package or of another that is installed.

    Parameters
    ----------
    module : str or None
        Its name.

    Returns
    -------
    bool
        False for scripts, notebooks and modules that lie beside them.
    """
    top = (module or "").partition(".")[0]
    if top == __name__.partition(".")[0] or top in sys.stdlib_module_names:
        return top != "__main__"
    loaded = sys.modules.get(module or "")
    if loaded is None or top == "__main__":
        return False
    file = getattr(loaded, "__file__", None)
    if file is None:
        # Cython keeps the types of its functions in modules that it makes up.
        return hasattr(loaded, "__path__") or top.startswith("_cython_")
    paths = sysconfig.get_paths()
    inside = {Path(paths[name]) for name in ("purelib", "platlib")}
    parents = Path(file).resolve().parents
    return any(parent in inside or parent.name == "site-packages" for parent in parents)


def qualified_name(value: Any) -> str:
    """Name a class or a function: with its module where that is installed.

    The name of a script's module depends on who runs it.
    """
    name = getattr(value, "__qualname__", type(value).__qualname__)
    module = getattr(value, "__module__", None)
    return f"{module}.{name}" if is_installed(module) else str(name)


def is_importable(value: Any) -> bool:
    """Say whether an installed module has a function or class under the name that it gives."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(name, str) or not is_installed(module):
        return False
    found: Any = sys.modules.get(str(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def function_parts(function: FunctionType) -> Parts:
    """Take a function apart.

    Parameters
    ----------
    function : function
        One that is written in Python.

    Yields
    ------
    words : str
        What the part is.
    part : object
        The part. Nothing but the name where an installed module has the function.
    """
    yield "name", qualified_name(function)
    if is_importable(function):
        return
    if not is_installed(function.__module__):
        yield "code", function.__code__
        yield from _globals(function)
    yield "its defaults", function.__defaults__
    yield "its defaults", function.__kwdefaults__
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        try:
            yield f"its variable {name!r}", cell.cell_contents
        except ValueError:  # A name that has no value yet.
            yield f"its variable {name!r}", None
    for name, value in sorted(vars(function).items()):
        if name != "__wrapped__":
            yield f"its attribute {name!r}", value


def code_parts(code: CodeType) -> Parts:
    """Take bytecode apart; the lines that it comes from and its comments do not count."""
    flags = (code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    yield "code", (sys.version_info[:2], code.co_code, code.co_exceptiontable, flags, names)
    yield "constants", code.co_consts


def class_parts(kind: type) -> Parts:
    """Take a class apart: its name, and what the body of one of the user's own defines."""
    yield "name", qualified_name(kind)
    if is_installed(kind.__module__):
        return
    yield "bases", kind.__bases__
    for name, value in sorted(vars(kind).items()):
        hidden = name.startswith("__") and name.endswith("__")
        if name in _BOOKKEEPING or (hidden and not isinstance(value, FunctionType)):
            continue
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            value = (value.fget, value.fset, value.fdel)
        yield f"its class's {name}", value


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Give a function's code and that of the functions inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _globals(function: FunctionType) -> Parts:
    """Give the globals that a function reads, and what it reads of the user's own modules."""
    codes = list(_nested(function.__code__))
    read = {
        instruction.argval
        for code in codes
        for instruction in get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    attributes = sorted({name for code in codes for name in code.co_names})
    for name in sorted(read & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            yield from _used_of(value, attributes, set())
        elif not name.startswith("__"):
            yield f"the global {name!r}", value


def _used_of(module: ModuleType, names: list[str], seen: set[str]) -> Parts:
    """Give what a module has under some names, where it is the user's own."""
    yield "module", module.__name__
    if is_installed(module.__name__) or module.__name__ in seen:
        return
    seen.add(module.__name__)
    for name in names:
        value = vars(module).get(name)
        if isinstance(value, ModuleType):
            yield from _used_of(value, names, seen)
        elif value is not None and not name.startswith("__"):
            yield f"{module.__name__}.{name}", value
