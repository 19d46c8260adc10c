"""Files that are written whole or not at all, and that a power cut does not undo."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = ["default_mode", "file_sha256", "refuse_link", "replacing", "write_through"]


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
        If the draft cannot be written or cannot take its place, or if the file is a link: neither
        the link nor what it points to is overwritten.
    """
    refuse_link(path)
    # A rename is atomic within a directory only.
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield draft
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def refuse_link(path: Path) -> None:
    """Raise an OSError if a path is a link, as the system does where it may not follow one."""
    if path.is_symlink():
        advice = "links are not followed here: name the file itself, or remove the link"
        raise OSError(errno.ELOOP, f"{advice}, which leads to {path.readlink()}", str(path))


def write_through(file: IO[bytes], content: bytes) -> None:
    """Add all of a content to a file without a buffer, and wait until it is on the disk.

    If that fails, as on a full disk, the file keeps the length that it had.
    """
    end = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            file.truncate(end)
        raise


def default_mode(directory: Path) -> int:
    """Return the permissions of a new file in a directory, which the user's umask decides."""
    # To ask the umask is to change it, which other threads of the process would see.
    probe = directory / f"{uuid.uuid4().hex}.part"
    try:
        with probe.open("xb") as stream:
            return stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    finally:
        probe.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 sum of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
