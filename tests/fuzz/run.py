"""The cases of some entries, and the table of their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

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
