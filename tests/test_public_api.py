"""The public interface, frozen: a change here is a change for every user.

`public_api.txt` has every name that a public package exports, and every signature. Where a change
is meant, ``python tests/test_public_api.py`` writes the file anew, and CHANGELOG tells of it.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import skdctr

FILE = Path(__file__).parent / "public_api.txt"
ESTIMATORS = ["AnalyticReweighter", "DCTRFitter", "DCTRReweighter", "SRGNFitter"]


def public_modules():
    """Every package and module whose docstring does not begin with "Internal"."""
    names = [found.name for found in pkgutil.iter_modules(skdctr.__path__) if found.name[0] != "_"]
    modules = [importlib.import_module(f"skdctr.{name}") for name in sorted(names)]
    return [skdctr, *(m for m in modules if not m.__doc__.startswith("Internal"))]


def signature_of(function):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def own_members(cls):
    """Public members that a class has from this package, not from one that it builds on."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("skdctr")]
    names = {name for base in own for name in vars(base) if name[0] != "_"}
    return [(name, inspect.getattr_static(cls, name)) for name in sorted(names)]


def lines_of(module):
    for name in sorted(module.__all__):
        thing, path = getattr(module, name), f"{module.__name__}.{name}"
        if inspect.isclass(thing):
            yield f"class {path}{signature_of(thing.__init__)}"
            for member, value in own_members(thing):
                if isinstance(value, (staticmethod, classmethod)):
                    value = value.__func__
                if inspect.isfunction(value):
                    yield f"{path}.{member}{signature_of(value)}"
                elif isinstance(value, property):
                    yield f"{path}.{member}: property"
        elif callable(thing):
            yield f"{path}{signature_of(thing)}"
        else:
            yield f"{path}: {type(thing).__name__}"


def interface():
    return "\n".join(line for module in public_modules() for line in lines_of(module)) + "\n"


def test_interface_is_as_it_was():
    found, known = interface().splitlines(), FILE.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(known) - set(found)), sorted(set(found) - set(known))
    assert not gone and not new, (
        f"gone: {gone}; new: {new}. Where that is meant, run python {Path(__file__).name} and "
        "write it into CHANGELOG.md."
    )


def test_public_modules_are_those_of_the_documentation():
    page = (FILE.parents[1] / "docs" / "api.rst").read_text(encoding="utf-8")
    listed = {line.strip() for line in page.splitlines() if line.startswith("   ")}
    for module in public_modules()[1:]:
        assert module.__name__.removeprefix("skdctr.") in listed


def test_every_package_says_what_it_is():
    for found in pkgutil.walk_packages(skdctr.__path__, "skdctr."):
        module = importlib.import_module(found.name)
        if found.ispkg:
            # What comes in, what goes out, and what it must not import.
            assert len(module.__doc__.strip().splitlines()) >= 3, found.name


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parameters_are_documented(name):
    documentation = getattr(skdctr, name).__doc__
    for parameter in inspect.signature(getattr(skdctr, name)).parameters:
        assert f"\n    {parameter} : " in documentation


def test_names_load_when_they_are_used():
    assert set(ESTIMATORS) < set(skdctr.__all__) <= set(dir(skdctr))
    assert {"closure", "datasets", "metrics"} <= set(dir(skdctr))
    with pytest.raises(AttributeError, match="no attribute 'SRGNFiter'"):
        _ = skdctr.SRGNFiter


if __name__ == "__main__":
    FILE.write_text(interface(), encoding="utf-8")
