"""Lines of JSON with a checksum at their end, by which any changed byte shows."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Line", "checksum", "decode", "encode", "is_whole", "lines_of"]

_CHECKED = re.compile(rb'(?P<body>\{.+), "crc": "(?P<sum>[0-9a-f]{8})"\}', re.DOTALL)
# A last line that has its checksum was not torn by a kill.
_WHOLE = re.compile(rb', "crc": "[0-9a-f]{8}"\}')


@dataclass(frozen=True)
class Line:
    """A line of a file.

    Attributes
    ----------
    number : int
        Its number, from 1.
    start, end : int
        Where in the file it lies, its end not included.
    row : dict or None
        What it holds; None where it is damaged.
    """

    number: int
    start: int
    end: int
    row: dict[str, Any] | None


def checksum(line: bytes) -> int:
    """Compute the CRC-32 of a first line, which the checksums of the others go on from."""
    return zlib.crc32(line.rstrip(b"\r\n"))


def encode(row: Mapping[str, Any], start: int = 0, *, checked: bool = True) -> bytes:
    """Write a line.

    Parameters
    ----------
    row : mapping
        What it holds, JSON values under at least one name.
    start : int, default=0
        The checksum that its own goes on from, so that it belongs to one file only.
    checked : bool, default=True
        Whether it gets a checksum.

    Returns
    -------
    bytes
        The line with its end.
    """
    body = json.dumps(row).encode()[:-1]
    end = b', "crc": "%08x"}\n' % zlib.crc32(body, start) if checked else b"}\n"
    return body + end


def decode(line: bytes, start: int = 0, *, checked: bool = True) -> dict[str, Any] | None:
    """Read a line without its end; None where it is not what was written."""
    if checked:
        match = _CHECKED.fullmatch(line)
        if match is None or zlib.crc32(match["body"], start) != int(match["sum"], 16):
            return None
        line = match["body"] + b"}"
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def is_whole(line: bytes) -> bool:
    """Say whether a line, which may be damaged, has what stands at the end of every checked one."""
    return _WHOLE.search(line) is not None


def lines_of(text: bytes, start: int, *, checked: bool) -> Iterator[Line]:
    """Read the lines of a file after its first.

    Parameters
    ----------
    text : bytes
        The whole file.
    start : int
        Checksum of the first line.
    checked : bool
        Whether the lines have checksums.

    Yields
    ------
    Line
        All but empty ones, and but the last where a kill has torn it.
    """
    end = text.find(b"\n") + 1
    for number, content in enumerate(text[end:].split(b"\n") if end else (), start=2):
        begin, end = end, min(len(text), end + len(content) + 1)
        last = end == len(text) and not text.endswith(b"\n")
        torn = last and (not checked or not is_whole(content))
        if content.strip() and not torn:
            row = decode(content.rstrip(b"\r"), start, checked=checked)
            yield Line(number, begin, end, row)
