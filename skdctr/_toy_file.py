"""A file of finished toys, one JSON line each, that survives an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

__all__ = ["ToyFile"]

_FORMAT = "skdctr toys 1"
_START = b'{"format": "skdctr'


class ToyFile:
    """The toys of one campaign, of which the first line tells the settings.

    A toy is one line, written and synchronised at once: a kill costs the last line at most, and
    what is left of that is dropped on the next opening.

    Parameters
    ----------
    path : str or Path
        File; made where there is none.
    settings : mapping of str to JSON values, default=None
        What all toys must have in common; None reads whatever is there.
    free : collection of str, default=()
        Settings that are taken from the file where it has them.

    Attributes
    ----------
    settings : dict
        As in the file.
    toys : dict of int to dict
        Finished toys by their number.

    Raises
    ------
    ValueError
        If the file is not one of toys, is damaged other than at its end, or has other settings.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Mapping[str, Any] | None = None,
        *,
        free: Collection[str] = (),
    ) -> None:
        self.path = Path(path)
        self.toys: dict[int, dict[str, Any]] = {}
        text = self.path.read_bytes() if self.path.exists() else b""
        rows, length = self._parse(text)
        if not rows and settings is None:
            raise ValueError(f"{self.path} holds no toys.")
        if not rows and text[: len(_START)] != _START[: len(text)]:
            raise ValueError(f"{self.path} is not a file of toys: choose another path.")
        if not rows:
            self.settings = dict(settings or {})
            self._write({"format": _FORMAT, **self.settings}, mode="wb")
            return
        if rows[0].get("format") != _FORMAT:
            raise ValueError(f"{self.path} is not a file of toys: choose another path.")
        self.settings = {key: value for key, value in rows[0].items() if key != "format"}
        for row in rows[1:]:
            self.toys.setdefault(int(row["toy"]), row)
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
                raise ValueError(f"{self.path} is not a file of toys: choose another path.")
            rows.append(row)
            length += len(line)
        return rows, length

    def _compare(self, settings: Mapping[str, Any]) -> None:
        # As they come back from a file: tuples as lists.
        wanted = json.loads(json.dumps(settings))
        for key in sorted({*wanted, *self.settings}):
            if wanted.get(key) != self.settings.get(key):
                raise ValueError(
                    f"{self.path} holds toys made with {key}={self.settings.get(key)!r}, not "
                    f"{wanted.get(key)!r}: go on with the same settings, or choose another path."
                )

    def append(self, toy: Mapping[str, Any]) -> None:
        """Add one toy, with its number under "toy"."""
        row = dict(toy)
        self._write(row, mode="ab")
        self.toys[int(row["toy"])] = row

    def _write(self, row: Mapping[str, Any], *, mode: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(row).encode() + b"\n"
        with self.path.open(mode) as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Open a file for reading only.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file of toys at {path}.")
        return cls(path)
