"""The cache of generated events: arrays on disk, in one ``.npz`` file for each request.

The comment of a file is a checksum of all else in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.arguments import as_path
from skdctr._utils.atomic import replacing
from skdctr._utils.warn import warn_user
from skdctr.datasets.files.archives import open_npz, read_array

__all__ = ["RequestCache", "cache_directory", "cache_file", "read_cache", "write_cache"]

# The name of the request in files without a checksum, which earlier versions wrote, and in others.
_REQUEST, _CHECKED_REQUEST = "request", "checked_request"
_SUM_DIGITS = 8
_BLOCK = 1 << 22
_DAMAGED = (KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def cache_directory(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Find the directory for generated events.

    Parameters
    ----------
    cache_dir : str, path or None, default=None
        The directory, in which ``~`` is expanded. None stands for the environment variable
        ``SKDCTR_DATA`` and, where it is not set, for the platform's cache directory.

    Returns
    -------
    Path
        The directory, which need not exist.
    """
    if cache_dir is not None:
        as_path("data_home or cache_dir", cache_dir, is_file=False)
    chosen = cache_dir or os.environ.get("SKDCTR_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "skdctr" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "skdctr"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "skdctr"


def cache_file(directory: Path, name: str, request: str) -> Path:
    """Name the file that holds the answer to a request.

    Parameters
    ----------
    directory : Path
        The directory of the cache.
    name : str
        How the file name begins, for people who look into the directory.
    request : str
        Everything that the arrays depend on.

    Returns
    -------
    Path
        The file, which need not exist.
    """
    digest = hashlib.sha256(request.encode()).hexdigest()
    return directory / f"{name}-{digest[:24]}.npz"


def read_cache(path: Path, request: str, names: Sequence[str]) -> dict[str, NDArray[Any]] | None:
    """Read arrays of a file that `write_cache` wrote.

    Parameters
    ----------
    path : Path
        The file.
    request : str
        The request that the file must be the answer to.
    names : sequence of str
        The arrays to read; others in the file stay unread.

    Returns
    -------
    dict of str to ndarray, or None
        The arrays. None where there is no file or, with a warning, where it cannot be read or is
        not what was written for this request.

    Warns
    -----
    UserWarning
        If the file cannot be read, or is damaged and therefore removed.
    """
    try:
        with path.open("rb") as stream:
            with open_npz(stream) as archive:
                checked = f"{_CHECKED_REQUEST}.npy" in archive.namelist()
                name = _CHECKED_REQUEST if checked else _REQUEST
                if str(read_array(archive, name)) != request:
                    raise ValueError("it was written for another request")
                arrays = {name: read_array(archive, name) for name in names}
            if checked and _sum(stream) != archive.comment:
                raise ValueError("its checksum is another")
            return arrays
    except FileNotFoundError:
        return None
    except OSError as error:
        warn_user(
            f"The cached events in {path} cannot be read ({error}); they are generated anew.",
            UserWarning,
        )
    except _DAMAGED as error:
        warn_user(
            f"The cached events in {path} are damaged ({type(error).__name__}: {error}); "
            "they are generated anew.",
            UserWarning,
        )
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def write_cache(path: Path, request: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file; its directory is made if need be.
    request : str
        What the arrays depend on, stored with them.
    arrays : mapping of str to ndarray
        The arrays.

    Warns
    -----
    UserWarning
        If the file cannot be written. This is no error: the events exist and must not be lost.
    """
    content: dict[str, Any] = {_CHECKED_REQUEST: np.array(request), **arrays}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb+") as stream:
            np.savez(stream, **content)
            _add_sum(stream)
    except OSError as error:
        warn_user(
            f"The events could not be cached in {path.parent} ({error}) and will be generated "
            "again next time; name a writable directory with cache_dir or the environment "
            "variable SKDCTR_DATA, or pass cache=False.",
            UserWarning,
        )


def _sum(stream: IO[bytes]) -> bytes:
    """Compute the CRC-32 of an archive but for the comment at its end, which has that sum."""
    left = stream.seek(0, 2) - _SUM_DIGITS
    stream.seek(0)
    found = 0
    while left > 0:
        block = stream.read(min(_BLOCK, left))
        found, left = zlib.crc32(block, found), left - len(block)
    return b"%08x" % found


def _add_sum(stream: IO[bytes]) -> None:
    """Write the checksum of an archive into its comment.

    The checksums that zip has are those of the arrays, which leave what is between them.
    """
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = b"0" * _SUM_DIGITS
    found = _sum(stream)
    stream.seek(-_SUM_DIGITS, 2)
    stream.write(found)


class RequestCache:
    """The cache of one data set, or none: then nothing is found and nothing is kept.

    Parameters
    ----------
    directory : Path or None
        The directory of the files; None for no cache.
    """

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory

    def read(self, name: str, request: str, names: Sequence[str]) -> dict[str, NDArray[Any]] | None:
        """Read the answer to a request; see `cache_file` and `read_cache`."""
        if self.directory is None:
            return None
        return read_cache(cache_file(self.directory, name, request), request, names)

    def write(self, name: str, request: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep the answer to a request; see `cache_file` and `write_cache`."""
        if self.directory is not None:
            write_cache(cache_file(self.directory, name, request), request, arrays)
