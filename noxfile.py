"""Sessions that each make an environment of their own: `nox --list` shows them.

What stands elsewhere is read from there: the packages and Pythons from setup.cfg, the versions from
constraints.txt. pip's own variables are passed on, PIP_EXTRA_INDEX_URL for a torch without CUDA.
"""

import re
from configparser import ConfigParser
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
PINS = ROOT / "constraints.txt"
SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PYTHONS = re.findall(r":: (3\.\d+)$", SETUP["metadata"]["classifiers"], flags=re.MULTILINE)
LOWEST = PYTHONS[0]

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
# The other Pythons only when asked for: each may bring a torch of several gigabytes.
nox.options.sessions = ["lint", f"tests-{LOWEST}"]


def install(session: nox.Session, extras: str, constraints: Path = PINS) -> None:
    """Install the checkout; pythia8mc takes half an hour to compile where there is no wheel."""
    wheels = ("--only-binary", "pythia8mc")
    session.install("-c", str(constraints), *wheels, "-e", f".[{extras}]")


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest with a session's arguments, then with those after `--`."""
    session.run("pytest", *arguments, *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests of README's command."""
    install(session, "test")
    pytest(session)


@nox.session(python=LOWEST)
def fast(session: nox.Session) -> None:
    """Run the tests that take a second or less."""
    install(session, "test")
    pytest(session, "-m", "not slow")


@nox.session(python=LOWEST)
def long(session: nox.Session) -> None:
    """Run the tests that no other session does: fuzzing, fault injection, campaigns of toys."""
    install(session, "test")
    pytest(session, "-m", "long")


@nox.session(python=LOWEST)
def minimums(session: nox.Session) -> None:
    """Run the tests with the lowest versions that setup.cfg allows."""
    constraints = Path(session.create_tmp()) / "minimums.txt"
    constraints.write_text("\n".join(lowest_versions()) + "\n", encoding="utf-8")
    install(session, "test", constraints)
    pytest(session)


def lowest_versions() -> list[str]:
    """Return each package of setup.cfg at its floor, or at its pin where it has none."""
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", PINS.read_text("utf-8"), flags=re.MULTILINE))
    groups = [SETUP["options"]["install_requires"], *SETUP["options.extras_require"].values()]
    wanted = [Requirement(line) for group in groups for line in group.split("\n") if line]
    floors = {
        package.name: bound.version
        for package in wanted
        for bound in package.specifier
        if bound.operator == ">="
    }
    return [f"{name}=={version}" for name, version in (pins | floors).items()]


@nox.session(python=LOWEST)
def lint(session: nox.Session) -> None:
    """Run ruff, mypy and the check of the imports between folders."""
    install(session, "dev")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=LOWEST)
def docs(session: nox.Session) -> None:
    """Build the pages; `nox -s docs -- -D plot_gallery=0` leaves out the examples' runs."""
    install(session, "docs,pythia")
    session.run("sphinx-build", "-W", *session.posargs, "docs", "docs/_build/html")
