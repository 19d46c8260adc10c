"""Files that are written whole or not at all, and that a power cut does not undo."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["replacing", "synchronise"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Let a new file take the place of an old one once all of it is written.

    Whoever reads meanwhile sees the old file or the new one, never a part. If the block fails,
    the old file stays and the draft is removed.

    Parameters
    ----------
    path : Path
        The file to write. Its directory must exist.

    Yields
    ------
    Path
        A draft beside it, which no other process writes to. The block creates and closes it.

    Raises
    ------
    OSError
        If the draft cannot be written or cannot take its place.
    """
    # A rename is atomic within a directory only.
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield draft
        with draft.open("rb+") as stream:
            synchronise(stream)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def synchronise(stream: IO[Any]) -> None:
    """Wait until all that was written to an open file is on the disk."""
    stream.flush()
    os.fsync(stream.fileno())
