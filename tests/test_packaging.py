"""What an installation ships and what an import costs."""

import configparser
import importlib.metadata
import importlib.resources
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import skdctr

ROOT = Path(__file__).resolve().parents[1]
# pyarrow is not among them: pandas loads it where it is installed.
OPTIONAL = (
    "matplotlib",
    "pythia8mc",
    "pythia8",
    "fastjet",
    "awkward",
    "vector",
    "iminuit",
    "fsspec",
    "pyhepmc",
    "pylhe",
    "uproot",
    "pooch",
    "dask",
    "distributed",
    "accelerate",
)


@pytest.fixture(scope="module")
def setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def requirements(text):
    return [Requirement(line) for line in text.split("\n") if line.strip()]


def pins():
    """The pinned version of each name in constraints.txt, which holds nothing else."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    split = [re.fullmatch(r"([a-z0-9-]+)==([0-9.]+)", line) for line in lines]
    assert all(split), lines
    return {match[1]: match[2] for match in split}


def readme_command(mark):
    """The fenced block right after a marker comment; `.ci/run` reads the README the same way."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"<!-- ci:{mark} -->\n```bash\n(.*?)\n```", text, flags=re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


@pytest.mark.slow
def test_import_loads_no_optional_package():
    modules = sorted(f"skdctr.{found.name}" for found in pkgutil.iter_modules(skdctr.__path__))
    code = (
        "import sys, skdctr; early = 'torch' in sys.modules or 'sklearn' in sys.modules; "
        f"import skdctr.datasets.jets.parton_shower, {', '.join(modules)}; "
        f"print(early, [m for m in {OPTIONAL} if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "False []", "")


def test_version_is_that_of_the_metadata():
    assert skdctr.__version__ == importlib.metadata.version("skdctr")


def test_version_is_that_of_the_citation():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {skdctr.__version__}\n" in citation


def test_all_names_exist():
    assert len(set(skdctr.__all__)) == len(skdctr.__all__)
    missing = [name for name in skdctr.__all__ if not hasattr(skdctr, name)]
    assert missing == []


def test_py_typed_is_shipped(setup_cfg):
    assert importlib.resources.files("skdctr").joinpath("py.typed").is_file()
    assert "py.typed" in setup_cfg["options.package_data"]["skdctr"].split()


@pytest.mark.parametrize("mark", ["main", "test"])
def test_readme_command_is_one_line_from_nothing(mark, setup_cfg):
    command = readme_command(mark)
    assert "\n" not in command
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -c constraints.txt ")
    (extras,) = re.findall(r'-e "\.\[(.*?)\]"', command)
    assert set(extras.split(",")) <= set(setup_cfg["options.extras_require"])


def test_readme_main_command_runs_the_main_job():
    script = readme_command("main").split()[-1]
    assert script == "examples/plot_gaussian_fit.py"
    assert (ROOT / script).is_file()


def test_readme_test_command_takes_pythia_as_a_wheel():
    assert " --only-binary pythia8mc " in readme_command("test")
    assert readme_command("test").endswith("-m pytest")


def test_constraints_pin_torch():
    assert "torch" in pins()


def test_constraints_pin_what_setup_cfg_asks_for(setup_cfg):
    wanted = requirements(setup_cfg["options"]["install_requires"])
    for extra in setup_cfg["options.extras_require"].values():
        wanted += [r for r in requirements(extra) if r.name != "skdctr"]  # an extra in an extra
    pinned = pins()
    assert {requirement.name for requirement in wanted} == set(pinned)
    refused = [r for r in wanted if not r.specifier.contains(pinned[r.name])]
    assert refused == []
