"""Well-formed calls of the readers of files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fuzz import kinds
from fuzz.kinds import ANY, REFUSED, Given, Unknown
from fuzz.verdict import Entry
from skdctr import datasets

FOLDER = Path(tempfile.mkdtemp())
_LHE = """<LesHouchesEvents version="3.0">
<init>
2212 -2212 6.5e+03 7.0e+03 0 0 247000 247001 -4 1
5.0e+01 1.0e-01 6.0e+01 7
</init>
<event>
 2 7 1.5 91.2 0.0078 0.118
 13 1 0 0 0 0 3.0 4.0 -20.0 20.616 0.1057 0 1
 -13 1 0 0 0 0 -3.0 -4.0 -30.0 30.414 0.1057 0 -1
</event>
</LesHouchesEvents>
"""


def entries() -> Iterator[Entry]:
    """Go through all calls."""
    frame = pd.DataFrame({"x": np.linspace(0, 1, 50), "y": np.arange(50.0)})
    parquet, root = FOLDER / "events.parquet", FOLDER / "events.root"
    frame.to_parquet(parquet)
    _write_root(frame, root)
    columns = kinds.names(["x", "y"])
    tree = kinds.choice("events", optional=True).without("upper case")
    chunk = kinds.count(20).allowing("huge")
    for file in (parquet, root):
        where = kinds.path(file, FOLDER / f"bad{file.suffix}")
        if file is root:
            # The second half of so small a file is a description that nothing here needs.
            where = where.allowing("cut in half")
        own = {"path": where, "columns": columns}
        own |= {"tree": tree} if file is root else {}
        yield Entry(f"skdctr.datasets.read_events {file.suffix}", datasets.read_events, own)
        yield Entry(
            f"skdctr.datasets.iterate_events {file.suffix}",
            lambda **given: list(datasets.iterate_events(**given)),
            {**own, "chunk_size": chunk},
        )
        output = FOLDER / "out" / "events.npy"
        output.parent.mkdir(exist_ok=True)
        yield Entry(
            f"skdctr.datasets.events_to_npy {file.suffix}",
            _to_npy,
            {
                **own,
                "output": kinds.target(output),
                "dtype": Given(
                    np.float32,
                    {
                        "a string": (REFUSED, lambda x: "abc"),
                        "integers": (REFUSED, lambda x: np.int32),
                        "an object": (REFUSED, lambda x: Unknown()),
                        "None": (ANY, lambda x: None),
                        "a number": (REFUSED, lambda x: 3),
                        "a list": (REFUSED, lambda x: [3]),
                    },
                ),
                "chunk_size": chunk,
            },
        )
    (FOLDER / "a.lhe").write_text(_LHE)
    _write_hepmc(FOLDER / "a.hepmc")
    read: Callable[..., Any]
    for read, name in ((datasets.read_lhe, "a.lhe"), (datasets.read_hepmc, "a.hepmc")):
        path = FOLDER / name
        status = kinds.count(1, least=-99, optional=True)
        yield Entry(
            f"skdctr.datasets.{read.__name__}",
            read,
            {
                # A file that ends in the middle of an event is told by a warning.
                "path": kinds.path(path, FOLDER / f"bad{path.suffix}"),
                "n_events": kinds.count(1, optional=True).allowing("huge"),
                "form": kinds.choice("sets"),
                "status": status.allowing("negative", "a list", "an array").without(
                    "huge", "too small", "None"
                ),
                "fields": kinds.names(["pt", "eta"]),
            },
        )


def _to_npy(**given: Any) -> Any:
    datasets.events_to_npy(**given)
    return np.load(given["output"], mmap_mode="r")[:2]


def _write_root(frame: pd.DataFrame, path: Path) -> None:
    import uproot

    with uproot.recreate(path) as file:
        file.mktree("events", dict(frame.dtypes.items()))
        file["events"].extend({name: frame[name].to_numpy() for name in frame})


def _write_hepmc(path: Path) -> None:
    import pyhepmc

    with pyhepmc.open(path, "w") as file:
        event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
        vertex = pyhepmc.GenVertex()
        vertex.add_particle_in(pyhepmc.GenParticle((0, 0, 100, 100), 2212, 4))
        vertex.add_particle_out(pyhepmc.GenParticle((3, 4, 5, 8), 211, 1))
        vertex.add_particle_out(pyhepmc.GenParticle((-3, -4, 5, 8), -211, 1))
        event.add_vertex(vertex)
        file.write(event)
