"""A file of finished toys or members, one JSON line each, that survives an interruption."""

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
    """Keep a file of records to this call; the claim ends with the process, however that ends.

    Raises
    ------
    RuntimeError
        If another call is adding to it. File systems without locks cannot tell.
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
    """What a campaign has finished; the first line tells the settings.

    A record is one line, written and synchronised at once: a kill costs the last line at most, and
    what is left of that is dropped on the next opening.

    Parameters
    ----------
    path : str or Path
        File; made where there is none.
    kind : {"toy", "member"}
        What the records are of; under this name they have their number.
    settings : mapping of str to JSON values, default=None
        What all records must have in common; None reads whatever is there.
    free : collection of str, default=()
        Settings that are taken from the file where it has them.

    Attributes
    ----------
    settings : dict
        As in the file.
    rows : dict of int to dict
        Records by their number; of several with one number, the last.

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
        """Read the lines, and up to where they are whole: the last may be torn by a kill."""
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
        return ValueError(f"{self.path} is not a file of {self.kind}s: choose another path.")

    def _compare(self, settings: Mapping[str, Any]) -> None:
        # As they come back from a file: tuples as lists.
        wanted = json.loads(json.dumps(settings))
        for key in sorted({*wanted, *self.settings}):
            if wanted.get(key) != self.settings.get(key):
                raise ValueError(
                    f"{self.path} holds {self.kind}s made with {key}={self.settings.get(key)!r}, "
                    f"not {wanted.get(key)!r}: go on with the same settings, or choose another "
                    "path."
                )

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record, with its number under the name of its kind."""
        row = dict(record)
        self._write(row, mode="ab")
        self.rows[int(row[self.kind])] = row

    def _write(self, row: Mapping[str, Any], *, mode: str) -> None:
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
            If there is none.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file of {kind}s at {path}.")
        return cls(path, kind)
