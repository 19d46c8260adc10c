"""All cases or some of them, and the table of their verdicts."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from fuzz.tables import AREAS, entries
from fuzz.verdict import VERDICTS, Entry, Verdict, judge


def verdicts(chosen: Iterable[Entry]) -> Iterator[Verdict]:
    """Judge all cases of some entries."""
    for entry in chosen:
        for argument, kind in entry.cases():
            yield judge(entry, argument, kind)


def table(found: Iterable[Verdict]) -> str:
    """Count the verdicts by callable, and write them as a table of Markdown."""
    counts: dict[str, Counter[str]] = {}
    for each in found:
        counts.setdefault(each.entry.partition(" ")[0], Counter())[each.verdict] += 1
    total = sum(counts.values(), Counter())
    rows = {**dict(sorted(counts.items())), "**all**": total}
    lines = [f"| callable | cases | {' | '.join(VERDICTS)} |", "|---" * 7 + "|"]
    for name, row in rows.items():
        cells = [str(row.total()), *(str(row[verdict]) for verdict in VERDICTS)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print all that is neither right nor clear, and the table; take areas or name prefixes."""
    areas = [area for area in arguments if area in AREAS]
    prefixes = tuple(each for each in arguments if each not in AREAS)
    chosen = [e for area in areas for e in AREAS[area]()] if areas else list(entries())
    if prefixes:
        chosen = [entry for entry in chosen if entry.name.startswith(prefixes)]
    start, found = time.process_time(), []
    for entry in chosen:
        before = time.process_time()
        found += verdicts([entry])
        taken = time.process_time() - before
        if taken > 5:
            print(f"# {entry.name}: {taken:.1f} s")
    for each in found:
        if each.verdict not in VERDICTS[:2]:
            print(each)
    print(table(found))
    print(f"{len(found)} cases, {time.process_time() - start:.0f} s of one core")


if __name__ == "__main__":
    main(sys.argv[1:])
