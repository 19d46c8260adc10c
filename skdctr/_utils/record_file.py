"""A file of finished toys or members, a JSON line for each, that survives an interruption.

Format 2 has a checksum in every line, and its first line fingerprints of contents. Format 1 has
neither; it is read and gone on with, but not without a warning.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

from skdctr._utils.atomic import write_through
from skdctr._utils.record_lines import Line, checksum, decode, encode, is_whole, lines_of
from skdctr._utils.warn import warn_user

__all__ = ["RecordFile", "claimed"]

_START = b'{"format": "skdctr'
# How a text ends that has a fingerprint of contents, which format 1 computes otherwise.
_MARK = re.compile(r', [0-9a-f]{16}"')


@contextmanager
def claimed(path: str | Path) -> Iterator[None]:
    """Keep a file of records to this call, until the block or the process ends.

    Parameters
    ----------
    path : str or Path
        The file; it is made where there is none.

    Raises
    ------
    RuntimeError
        If another call is adding to the file. On file systems without locks this goes unnoticed.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("ab") as file:
        with suppress(OSError):
            try:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f"Another call is adding to {path}: wait for it, or choose another path."
                ) from error
        yield


class RecordFile:
    """Records of what a campaign has finished, below a first line with its settings.

    A record is one line, which is on the disk before the campaign goes on. A kill costs the last
    line at most; what is left of it is dropped when the file is opened again. Other damaged lines
    are left out with a warning, and what they held is made again. A damaged first line is written
    anew if the checksums of the records prove that the settings are theirs.

    Parameters
    ----------
    path : str or Path
        The file; it is made where there is none.
    kind : {"toy", "member"}
        What a record is of. It has its number under this name.
    settings : mapping of str to JSON values, default=None
        The settings that all records must have in common; None takes those of the file, and
        leaves the file as it is.
    free : collection of str, default=()
        Names of settings for which the file decides, where it has them.
    earlier : mapping of str to JSON values, default=None
        The settings that are spelled otherwise in format 1, in its spelling.
    again : callable, default=None
        Says of a record whether it will be made again. Where that is so of all, other settings
        take the place of those in the file.

    Attributes
    ----------
    settings : dict
        The settings in the file.
    rows : dict of int to dict
        The records by their numbers. Where several have one number, the last counts.

    Raises
    ------
    ValueError
        If the file holds something else or has other settings, or its first line is damaged for
        good.

    Warns
    -----
    UserWarning
        If lines are damaged, or the file is of format 1.
    """

    def __init__(
        self,
        path: str | Path,
        kind: str,
        settings: Mapping[str, Any] | None = None,
        *,
        free: Collection[str] = (),
        earlier: Mapping[str, Any] | None = None,
        again: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        self.path = Path(path)
        self.kind = kind
        self.rows: dict[int, dict[str, Any]] = {}
        self._checked = True
        self._sum = 0
        text = self.path.read_bytes() if self.path.exists() else b""
        new = {"format": f"skdctr {kind}s 2", **(settings or {})}
        first = self._first_line(text)
        # A first line that a kill has torn has no end.
        if first is None and b"\n" in text:
            text, first = self._restored(text, None if settings is None else new)
        damaged = self._take(text) if first else []
        if settings is None and not first:
            raise ValueError(f"{self.path} holds no {kind}s.")
        left = any(again is None or not again(row) for row in self.rows.values())
        if settings is not None and not damaged and not left:
            # Without a record there is nothing that other settings could contradict.
            self.rows, self._checked, first = {}, True, new
            self._sum = self._write(encode(new), mode="wb")
            text = b""
        self.settings = {key: value for key, value in (first or {}).items() if key != "format"}
        if not self._checked:
            warn_user(
                f"{self.path} is of an earlier format without checksums: that its {kind}s were "
                "made with the same functions and data, and are as they were written, is "
                "unchecked.",
                UserWarning,
            )
        if settings is not None:
            wanted = {**settings, **({} if self._checked else earlier or {})}
            self._compare({**wanted, **{key: self.settings.get(key) for key in free}})
            self._clean(text, damaged)

    def _first_line(self, text: bytes) -> dict[str, Any] | None:
        """Read the first line, and find out the format; None where a kill or damage spoilt it.

        Raises
        ------
        ValueError
            If it is that of another file.
        """
        line, end, _ = text.partition(b"\n")
        self._sum = checksum(line)
        row = decode(line.rstrip(b"\r")) if end else None
        if row is None and end:
            plain = decode(line, checked=False) or {}
            if str(plain.get("format")).endswith(" 1") and "crc" not in plain:
                row, self._checked = plain, False
        version = 2 if self._checked else 1
        if row is not None and row.get("format") == f"skdctr {self.kind}s {version}":
            return row
        # One byte of the start may be what is damaged.
        if row is not None or not (line[: len(_START)] == _START[: len(line)] or is_whole(line)):
            raise ValueError(
                f"{self.path} is not a file of {self.kind}s that this version can read: choose "
                "another path."
            )
        return None

    def _restored(
        self, text: bytes, new: dict[str, Any] | None
    ) -> tuple[bytes, dict[str, Any] | None]:
        """Put settings in place of a damaged first line, if they are those of the records.

        Raises
        ------
        ValueError
            If they are not, or there are none.
        """
        if new is not None:
            line = encode(new)
            whole = line + text[len(line) :]
            self._sum = checksum(line)
            if any(found.row for found in lines_of(whole, self._sum, checked=True)):
                warn_user(
                    f"{self.path}, line 1 is damaged. Its {self.kind}s have the settings of this "
                    "call, which take its place.",
                    UserWarning,
                )
                self._overwrite(0, line)
                return whole, new
        raise ValueError(
            f"{self.path}, line 1 is damaged, which has the settings of the {self.kind}s: "
            f"{text[:60]!r}. Make the call that wrote them again, with all of its arguments and "
            "the same random_state, which restores the line; or choose another path."
        )

    def _take(self, text: bytes) -> list[Line]:
        """Keep the records, and warn of the lines that are none."""
        damaged = []
        for line in lines_of(text, self._sum, checked=self._checked):
            number = None if line.row is None else line.row.get(self.kind)
            if line.row is None or not isinstance(number, int):
                damaged.append(line)
            else:
                self.rows[number] = line.row
        if damaged:
            shown = ", ".join(str(line.number) for line in damaged[:8])
            more = f" and {len(damaged) - 8} more" if len(damaged) > 8 else ""
            first = text[damaged[0].start : damaged[0].end][:60]
            warn_user(
                f"{self.path} is damaged in line {shown}{more} ({first!r}), and not read there: "
                f"{self.kind}s that are missing now are made again by the call that adds to it.",
                UserWarning,
            )
        return damaged

    def _clean(self, text: bytes, damaged: list[Line]) -> None:
        """Drop a torn line from the end of the file, and blank those that are damaged."""
        for line in damaged:
            self._overwrite(line.start, b" " * (line.end - line.start - 1) + b"\n")
        tail = text.rfind(b"\n") + 1
        if tail < len(text) and not (damaged and damaged[-1].end == len(text)):
            if self._checked and decode(text[tail:], self._sum):
                self._overwrite(len(text), b"\n")
            else:
                os.truncate(self.path, tail)

    def _compare(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings other than those of the file."""
        # Settings come back from a file changed: tuples as lists.
        wanted = json.loads(json.dumps(settings))
        for key in sorted({*wanted, *self.settings}):
            ours, theirs = wanted.get(key), self.settings.get(key)
            if not self._checked and _MARK.search(json.dumps([ours, theirs])):
                continue
            if ours != theirs:
                marks = " (digits at the end tell contents apart)" * bool(
                    _MARK.search(json.dumps([ours, theirs]))
                )
                raise ValueError(
                    f"{self.path} holds {self.kind}s made with {key}={theirs!r}, not "
                    f"{ours!r}{marks}: go on with the same settings, or choose another path."
                )

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record to the file; it has its number under the name of its kind."""
        row = dict(record)
        self._write(encode(row, self._sum, checked=self._checked), mode="ab")
        self.rows[int(row[self.kind])] = row

    def _write(self, line: bytes, *, mode: str) -> int:
        """Write a line, return once it is on the disk, and give its checksum.

        Even the first line is written in place: a new file in place of the old one would not have
        the lock by which `claimed` keeps others out.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open(mode, buffering=0) as file:
            write_through(file, line)
        return checksum(line)

    def _overwrite(self, start: int, content: bytes) -> None:
        """Write over a part of the file, which keeps its size."""
        with self.path.open("rb+", buffering=0) as file:
            file.seek(start)
            file.write(content)
            os.fsync(file.fileno())

    @classmethod
    def read(cls, path: str | Path, kind: str) -> Self:
        """Open a file for reading only.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it holds no such records, or its first line is damaged.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file of {kind}s at {path}.")
        return cls(path, kind)
