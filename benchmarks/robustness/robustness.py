"""Count what comes of malformed inputs, by public callable.

Tens of malformed forms of every argument of every public callable are tried, those of the tests'
fuzz tier: ``python benchmarks/robustness/robustness.py``, or with areas or beginnings of names,
such as ``metrics`` or ``skdctr.SRGNFitter.fit``.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))


def main() -> None:
    """Print every case that is neither right nor clear, and the table."""
    from fuzz.run import table, verdicts
    from fuzz.tables import AREAS, entries
    from fuzz.verdict import CLEAR, RIGHT

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chosen", nargs="*", help=f"{', '.join(AREAS)}, or beginnings of names")
    chosen = parser.parse_args().chosen
    # What well-formed calls of few events and epochs say of themselves is known.
    warnings.simplefilter("ignore")
    start, found = time.process_time(), []
    areas = [AREAS[name] for name in chosen if name in AREAS]
    names = tuple(name for name in chosen if name not in AREAS)
    for entry in (each for area in areas or [entries] for each in area()):
        if names and not entry.name.startswith(names):
            continue
        for verdict in verdicts([entry]):
            found.append(verdict)
            if verdict.verdict not in (RIGHT, CLEAR):
                print(verdict, flush=True)
    print(table(found))
    print(f"{len(found)} cases, {time.process_time() - start:.0f} s of one core")


if __name__ == "__main__":
    main()
