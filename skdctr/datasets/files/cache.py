"""The cache of generated events: arrays on disk, in one ``.npz`` file for each request."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdctr._utils.arguments import as_path
from skdctr._utils.atomic import replacing
from skdctr._utils.warn import warn_user

__all__ = ["RequestCache", "cache_directory", "cache_file", "read_cache", "write_cache"]

_REQUEST = "request"
_DAMAGED = (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


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
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            if str(content[_REQUEST]) != request:
                raise ValueError("it was written for another request")
            return {name: content[name] for name in names}
    except FileNotFoundError:
        return None
    except OSError as error:
        warn_user(
            f"The cached events in {path} cannot be read ({error}); they are generated anew.",
            UserWarning,
        )
    # A lone .npy array is no context manager, which is an AttributeError or a TypeError.
    except (*_DAMAGED, AttributeError, TypeError) as error:
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
    content: dict[str, Any] = {_REQUEST: np.array(request), **arrays}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open("wb") as stream:
            np.savez(stream, **content)
    except OSError as error:
        warn_user(
            f"The events could not be cached in {path.parent} ({error}) and will be generated "
            "again next time; name a writable directory with cache_dir or the environment "
            "variable SKDCTR_DATA, or pass cache=False.",
            UserWarning,
        )


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
