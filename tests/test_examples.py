"""What examples say where an optional package is missing."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("missing", ["awkward", "fastjet", "pythia8mc"])
def test_generator_to_generator_names_the_extra(missing, monkeypatch):
    pytest.importorskip("matplotlib")
    for name in ("awkward", "fastjet", "pythia8mc"):
        installed = sys.modules.get(name) or type(sys)(name)
        monkeypatch.setitem(sys.modules, name, None if name == missing else installed)
    with pytest.raises(ImportError, match=rf'{missing} is missing: pip install "skdctr\[pythia\]"'):
        runpy.run_path(str(EXAMPLES / "plot_generator_to_generator.py"))
