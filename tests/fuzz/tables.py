"""The table of all public callables, and those that are left out, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import estimators, files, others, pictures, samples, sets
from fuzz.verdict import Entry

AREAS = {
    "estimators": estimators.entries,
    "others": others.entries,
    "samples": samples.entries,
    "files": files.entries,
    "sets": sets.entries,
    "pictures": pictures.entries,
}


def entries() -> Iterator[Entry]:
    """Go through the well-formed calls of all public callables."""
    for area in AREAS.values():
        yield from area()
