"""Archives and compressed files, opened without trust in what they hold or claim to hold."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Unpacked", "limit_of", "open_npz", "read_array"]

# Deflate packs up to a thousandfold, but events only so if all of them are alike. Files below the
# first size can do no harm.
_ALWAYS_ALLOWED = 1 << 30
_LARGEST_RATIO = 100
_HEADERS = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}


class Unpacked(io.RawIOBase):
    """What a compressed file holds, up to the limit of `limit_of`.

    Parameters
    ----------
    stream : binary file
        The unpacked content.
    packed : binary file
        The compressed file.
    """

    def __init__(self, stream: Any, packed: IO[bytes]) -> None:
        self._stream = stream
        self._limit = limit_of(packed.seek(0, 2))
        packed.seek(0)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read again."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to another place of the content."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the content."""
        return self._stream.tell()

    def readinto(self, buffer: Any, /) -> int:
        """Read a part of the content.

        Raises
        ------
        ValueError
            If there is more of it than is allowed.
        """
        count: int = self._stream.readinto(buffer)
        if self._stream.tell() > self._limit:
            raise ValueError(
                f"it unpacks to more than {self._limit} bytes, the most that are allowed for its "
                "size: unpack it yourself, if it is meant to"
            )
        return count

    def close(self) -> None:
        """Close the unpacked content."""
        self._stream.close()
        super().close()


def limit_of(size: int) -> int:
    """Return how many bytes a file may unpack to: 100 times its own size, or 1 GiB if that is more.

    Parameters
    ----------
    size : int
        Size of the file in bytes.
    """
    return max(_ALWAYS_ALLOWED, _LARGEST_RATIO * size)


@contextmanager
def open_npz(stream: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open an archive once its directory shows that it may be read.

    Parameters
    ----------
    stream : binary file
        The archive, open for reading.

    Yields
    ------
    ZipFile
        The archive.

    Raises
    ------
    ValueError
        If the arrays would be larger than `limit_of` allows.
    zipfile.BadZipFile
        If it is no archive.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
        limit = limit_of(size)
        if unpacked > limit:
            raise ValueError(
                f"its {size} bytes would unpack to {unpacked}, more than the {limit} that are "
                "allowed: if it is meant to, write it again with numpy.savez, uncompressed"
            )
        yield archive


def read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an array, after a look at the size that it claims.

    Parameters
    ----------
    archive : ZipFile
        What `open_npz` has opened.
    name : str
        The name of the array.

    Raises
    ------
    ValueError
        If it is no array, one of Python objects, or its size is not that of the member.
    """
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{name} is of NumPy's format {version}")
        shape, _, dtype = getattr(np.lib.format, _HEADERS[version])(stream)
        count = int(np.prod(shape, dtype=object))
        if dtype.hasobject or stream.tell() + count * dtype.itemsize != info.file_size:
            raise ValueError(f"{name} is no array of numbers, or not as large as it claims")
    with archive.open(info) as stream:
        values: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return values
