"""Malformed inputs of every public callable: right, or an error that says how to mend them."""

from pathlib import Path

import pytest

for package in ("awkward", "matplotlib", "polars", "uproot", "pyhepmc", "pythia8mc"):
    pytest.importorskip(package)

# The table makes arguments of all kinds, and cannot even be imported without these packages.
from fuzz.run import table, verdicts  # noqa: E402
from fuzz.tables import AREAS, LEFT_OUT, covered  # noqa: E402
from fuzz.verdict import CLEAR, NAMELESS, RIGHT, UNCLEAR, UNTOLD, judge  # noqa: E402

# Fits of few events and epochs warn, and a case says what warnings may and must come.
pytestmark = pytest.mark.filterwarnings("ignore")

API = Path(__file__).parents[1] / "public_api.txt"
# The share of errors that may come without the argument's name.
MOST_NAMELESS = 0.02
# So many cases of an area are tried in the default tier, where its calls take milliseconds.
SOME, QUICK = 25, ("estimators", "others", "sets")


@pytest.fixture(autouse=True)
def _own_torch_state():
    """Draw the weights of networks that a case makes from a state of its own."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - inside a fork of the generator's state
        yield


def public_callables():
    lines = API.read_text(encoding="utf-8").splitlines()
    classes = {line.partition("(")[0][6:] for line in lines if line.startswith("class ")}
    names = [line.partition("(")[0] for line in lines if "(" in line]
    return [name[6:] + ".__init__" if name[6:] in classes else name for name in names]


def test_every_public_callable_has_its_cases():
    known = covered() | LEFT_OUT.keys()
    missing = [name for name in public_callables() if name not in known]
    assert missing == []
    assert LEFT_OUT.keys() <= set(public_callables())


@pytest.mark.parametrize("area", QUICK)
def test_some_cases(area):
    pairs = [(entry, argument, kind) for entry in AREAS[area]() for argument, kind in entry.cases()]
    found = [judge(*pair) for pair in pairs[:: len(pairs) // SOME]]
    bad = [str(each) for each in found if each.verdict in (UNCLEAR, UNTOLD)]
    assert bad == []
    assert {RIGHT, CLEAR} <= {each.verdict for each in found}


@pytest.mark.long
@pytest.mark.parametrize("area", AREAS)
def test_all_cases(area, record_property):
    found = list(verdicts(AREAS[area]()))
    record_property("table", table(found))
    bad = [str(each) for each in found if each.verdict in (UNCLEAR, UNTOLD)]
    assert bad == [], "\n".join(bad)
    nameless = [each for each in found if each.verdict == NAMELESS]
    assert len(nameless) <= MOST_NAMELESS * len(found), "\n".join(map(str, nameless))
