"""A file of finished toys or members, a JSON line for each, that survives an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

from skdctr._utils.atomic import synchronise

__all__ = ["RecordFile", "claimed"]

_START = b'{"format": "skdctr'


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
    line at most; what is left of it is dropped when the file is opened again.

    Parameters
    ----------
    path : str or Path
        The file; it is made where there is none.
    kind : {"toy", "member"}
        What a record is of. It has its number under this name.
    settings : mapping of str to JSON values, default=None
        The settings that all records must have in common; None takes those of the file.
    free : collection of str, default=()
        Names of settings for which the file decides, where it has them.

    Attributes
    ----------
    settings : dict
        The settings in the file.
    rows : dict of int to dict
        The records by their numbers. Where several have one number, the last counts.

    Raises
    ------
    ValueError
        If the file holds something else, is damaged other than at its end, or has other settings.
    """

    def __init__(
        self,
        path: str | Path,
        kind: str,
        settings: Mapping[str, Any] | None = None,
        *,
        free: Collection[str] = (),
    ) -> None:
        self.path = Path(path)
        self.kind = kind
        self.rows: dict[int, dict[str, Any]] = {}
        version = f"skdctr {kind}s 1"
        text = self.path.read_bytes() if self.path.exists() else b""
        rows, length = self._parse(text)
        if not rows and settings is None:
            raise ValueError(f"{self.path} holds no {kind}s.")
        if not rows and text[: len(_START)] != _START[: len(text)]:
            raise self._foreign()
        if rows and rows[0].get("format") != version:
            raise self._foreign()
        if settings is not None and len(rows) < 2:
            # Without a record there is nothing that other settings could contradict.
            self.settings = dict(settings)
            self._write({"format": version, **self.settings}, mode="wb")
            return
        self.settings = {key: value for key, value in rows[0].items() if key != "format"}
        for row in rows[1:]:
            self.rows[int(row[kind])] = row
        if settings is not None:
            self._compare({**settings, **{key: self.settings.get(key) for key in free}})
            if length < len(text):
                os.truncate(self.path, length)

    def _parse(self, text: bytes) -> tuple[list[dict[str, Any]], int]:
        """Read the lines, the last of which a kill may have torn.

        Returns
        -------
        rows : list of dict
            The lines that are whole.
        length : int
            How many bytes of the text they take.
        """
        rows: list[dict[str, Any]] = []
        lines = text.splitlines(keepends=True)
        length = 0
        for number, line in enumerate(lines, start=1):
            try:
                # Without its end a line of numbers could be read as a shorter one.
                row = json.loads(line if line.endswith(b"\n") else b"")
            except ValueError as error:
                if number == len(lines):
                    break
                message = f"{self.path}, line {number} is damaged: {line[:60]!r}"
                raise ValueError(message) from error
            if not isinstance(row, dict):
                raise self._foreign()
            rows.append(row)
            length += len(line)
        return rows, length

    def _foreign(self) -> ValueError:
        """Make the error for a file that holds something else."""
        return ValueError(f"{self.path} is not a file of {self.kind}s: choose another path.")

    def _compare(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings other than those of the file."""
        # Settings come back from a file changed: tuples as lists.
        wanted = json.loads(json.dumps(settings))
        for key in sorted({*wanted, *self.settings}):
            if wanted.get(key) != self.settings.get(key):
                raise ValueError(
                    f"{self.path} holds {self.kind}s made with {key}={self.settings.get(key)!r}, "
                    f"not {wanted.get(key)!r}: go on with the same settings, or choose another "
                    "path."
                )

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record to the file; it has its number under the name of its kind."""
        row = dict(record)
        self._write(row, mode="ab")
        self.rows[int(row[self.kind])] = row

    def _write(self, row: Mapping[str, Any], *, mode: str) -> None:
        """Write a line, and return once it is on the disk.

        Even the first line is written in place: a new file in place of the old one would not have
        the lock by which `claimed` keeps others out.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(row).encode() + b"\n"
        with self.path.open(mode) as file:
            file.write(line)
            synchronise(file)

    @classmethod
    def read(cls, path: str | Path, kind: str) -> Self:
        """Open a file for reading only.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it holds no such records, or is damaged other than at its end.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file of {kind}s at {path}.")
        return cls(path, kind)
