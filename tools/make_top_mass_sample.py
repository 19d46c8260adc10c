"""Write skdctr/datasets/data/top_mass.npz from the files that `fetch_top_mass` reads.

python tools/make_top_mass_sample.py DIRECTORY
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skdctr.datasets.top_mass.observables import OBSERVABLES

ROWS = {"nominal_gen": 45_000, "varied_gen": 100_000, "sim": 100_000, "data": 45_000}
TARGET = Path(__file__).parents[1] / "skdctr" / "datasets" / "data" / "top_mass.npz"


def main(directory: Path) -> None:
    """Take the first rows of each file: the events are independent and in random order."""
    files = {"sim": "nominal_either", "data": "data_mt175_either"}
    arrays = {}
    for name, rows in ROWS.items():
        frame = pd.read_parquet(directory / f"{files.get(name, name)}.parquet").iloc[:rows]
        for level in ("gen",) if name.endswith("gen") else ("gen", "reco"):
            key = name if name.endswith("gen") else f"{name}_{level}"
            columns = [f"{level}_{observable}" for observable in OBSERVABLES]
            arrays[key] = frame[columns].to_numpy().astype(np.float16)
        if name == "varied_gen":
            masses, index = np.unique(frame["mt"].to_numpy(), return_inverse=True)
            arrays |= {"masses": masses, "mass_index": index.astype(np.uint16)}
    np.savez_compressed(TARGET, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
