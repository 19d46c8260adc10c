"""The readers of tables of events in parquet and ROOT files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdctr._utils.optional import require
from skdctr._utils.spelling import did_you_mean
from skdctr.datasets.files.units import warn_about_columns

__all__ = ["Columns", "PathLike", "check_columns", "open_table", "read_events", "rename_columns"]

PathLike = str | os.PathLike[str]
Columns = Sequence[str] | Mapping[str, str] | None


def read_events(
    path: PathLike,
    columns: Columns = None,
    *,
    tree: str | None = None,
) -> pd.DataFrame:
    """Read a table of events from a parquet or ROOT file.

    Parameters
    ----------
    path : str or path
        A file that ends in ``.parquet`` or ``.root``. The former needs pyarrow, the latter
        uproot: ``pip install "skdctr[io]"``.
    columns : sequence of str, mapping of str to str, or None, default=None
        Which columns (branches of a ROOT tree) to read, in this order; a mapping renames them,
        ``{name in the file: name in the table}``. None reads all.
    tree : str, default=None
        Name of the tree in a ROOT file, with its directories: ``"analysis/events"``. None takes
        the only one there is.

    Returns
    -------
    DataFrame of shape (n_events, n_columns)
        The events, in the units of the file, which `skdctr.datasets` takes to be GeV.

    Raises
    ------
    ImportError
        If the package that reads such files is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not what its name says, damaged, or without events; if it lacks a column
        or the tree; or if a column does not hold one number per event.

    Warns
    -----
    UnitWarning
        If a column named like an energy (``m``, ``mt``, ``pt``, ``met``, ...) looks like MeV.

    See Also
    --------
    iterate_events : The same a part at a time, where memory is too small for the whole.
    top_mass_observables : From lists of jets, which are no table, to one.

    Examples
    --------
    >>> frame = read_events("data.root", ["reco_m_b1munu"], tree="events")  # doctest: +SKIP
    """
    file, table, wanted = open_table(path, columns, tree)
    frame = rename_columns(table.read(wanted), columns)
    warn_about_columns(frame, file.name)
    return frame


def rename_columns(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Give the columns of a table new names, where `columns` is a mapping ``{old: new}``."""
    return frame.rename(columns=dict(columns)) if isinstance(columns, Mapping) else frame


def open_table(
    path: PathLike, columns: Columns, tree: str | None
) -> tuple[Path, EventTable, list[str]]:
    """Open a file, and check that the columns to read are there and hold numbers.

    Parameters
    ----------
    path, columns, tree
        As for `read_events`.

    Returns
    -------
    file : Path
        The file, with ``~`` expanded.
    table : EventTable
        Its content.
    wanted : list of str
        The columns to read, by their names in the file.

    Raises
    ------
    ImportError, FileNotFoundError, ValueError
        As by `read_events`.
    """
    file = Path(path).expanduser()
    readers: dict[str, Callable[[Path, str | None], EventTable]] = {
        ".parquet": _ParquetTable,
        ".root": _RootTable,
    }
    if file.suffix.lower() not in readers:
        raise ValueError(
            f"path ends in {file.suffix!r}, expected one of {list(readers)}: {file}. Convert the "
            "file, or read it with pandas."
        )
    if not file.is_file():
        beside = sorted(p.name for p in file.parent.iterdir()) if file.parent.is_dir() else []
        hint = did_you_mean(file.name, beside) if beside else "its directory does not exist."
        raise FileNotFoundError(f"path is no file: {file}; {hint}")
    reader = readers[file.suffix.lower()]
    if isinstance(columns, str):
        columns = [columns]
    table = reader(file, tree)
    wanted = table.names if columns is None else list(columns)
    check_columns(file, wanted, table.names)
    if not table.n_events:
        raise ValueError(f"{file} holds no events; check how it was written.")
    bad = {name: kind for name in wanted if (kind := table.not_a_number(name))}
    if bad:
        good = [name for name in wanted if name not in bad]
        raise ValueError(
            f"{file}: columns with something else than one number per event: {bad}. Read the "
            f"others, columns={good}, and lists of objects with awkward, for "
            "top_mass_observables."
        )
    return file, table, wanted


def check_columns(file: Path, wanted: Iterable[str], names: Sequence[str]) -> None:
    """Refuse a file without the columns that are wanted.

    Parameters
    ----------
    file : Path
        The file, which the message names.
    wanted : iterable of str
        Columns to read.
    names : sequence of str
        Columns that the file has.

    Raises
    ------
    ValueError
        If a column is missing; the message suggests the nearest name that the file has.
    """
    missing = [name for name in wanted if name not in names]
    if missing:
        hints = [f"for {name!r}, {did_you_mean(name, names)}" for name in missing[:4]]
        raise ValueError(f"{file} lacks the columns {missing}: {' '.join(hints)}")


class EventTable:
    """An open file of events, with the names and kinds of its columns and their values.

    Attributes
    ----------
    names : list of str
        Names of its columns.
    n_events : int
        Number of its rows.
    """

    names: list[str]
    n_events: int

    def not_a_number(self, name: str) -> str:
        """Return what a column holds, or an empty text where it is one number per event."""
        raise NotImplementedError

    def read(self, names: list[str]) -> pd.DataFrame:
        """Read all events, in these columns."""
        raise NotImplementedError

    def parts(self, names: list[str], size: int) -> Iterator[pd.DataFrame]:
        """Read these columns a part at a time, of `size` events at most."""
        raise NotImplementedError


def _damage_error(file: Path, kind: str, error: Exception) -> ValueError:
    """Make the error for a file that its package cannot read."""
    # Some of the packages' messages run over many lines.
    said = " ".join(str(error).split())
    return ValueError(
        f"{file} cannot be read as {kind} ({type(error).__name__}: {said}). It may be damaged or "
        "incomplete: copy it again, or check that its name fits what it is."
    )


class _ParquetTable(EventTable):
    """A parquet file, read by pyarrow."""

    def __init__(self, file: Path, tree: str | None) -> None:
        if tree is not None:
            raise ValueError(f"tree={tree!r} was given for a parquet file, which has none: {file}.")
        self._arrow = require("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
        self._file = file
        try:
            self._content = parquet.ParquetFile(file)
        except (self._arrow.ArrowException, OSError) as error:
            raise _damage_error(file, "parquet", error) from error
        schema = self._content.schema_arrow
        self.names = list(schema.names)
        self._types = dict(zip(schema.names, schema.types, strict=True))
        self.n_events = self._content.metadata.num_rows

    def not_a_number(self, name: str) -> str:
        kind, types = self._types[name], self._arrow.types
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        return "" if number else str(kind)

    def read(self, names: list[str]) -> pd.DataFrame:
        try:
            table = self._content.read(columns=names)
        except (self._arrow.ArrowException, OSError) as error:
            raise _damage_error(self._file, "parquet", error) from error
        return self._frame(table, names)

    @staticmethod
    def _frame(table: Any, names: list[str]) -> pd.DataFrame:
        """Turn an arrow table into a data frame of numbers."""
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)[names]
        # A missing truth value makes a column of objects.
        return frame.astype({n: float for n in names if frame[n].dtype == object})

    def parts(self, names: list[str], size: int) -> Iterator[pd.DataFrame]:
        try:
            for batch in self._content.iter_batches(size, columns=names):
                yield self._frame(self._arrow.Table.from_batches([batch]), names)
        except (self._arrow.ArrowException, OSError) as error:
            raise _damage_error(self._file, "parquet", error) from error


class _RootTable(EventTable):
    """A tree of a ROOT file, read by uproot."""

    # A damaged file may hold any bytes, and uproot raises any kind of error for them.

    def __init__(self, file: Path, tree: str | None) -> None:
        uproot = require("uproot")
        self._file = file
        try:
            # Everything is read once; uproot's cache would hold 100 MB of it in vain.
            content = uproot.open(file, array_cache=None)
            classes = content.classnames(cycle=False)
        except Exception as error:
            raise _damage_error(file, "ROOT", error) from error
        trees = [name for name, kind in classes.items() if kind.startswith(("TTree", "TNtuple"))]
        trees += [name for name, kind in classes.items() if kind.endswith("RNTuple")]
        if tree is None and len(trees) != 1:
            raise ValueError(
                f"{file} has {len(trees)} trees, {trees}; name the one to read with tree=..."
                if trees
                else f"{file} holds no tree; what it has is {dict(classes)}."
            )
        if tree is not None and tree not in trees:
            raise ValueError(f"{file} has no tree {tree!r}; {did_you_mean(tree, trees)}")
        try:
            self._tree = content[tree or trees[0]]
            self.names = list(self._tree.keys(recursive=False))
            self.n_events = int(self._tree.num_entries)
        except Exception as error:
            raise _damage_error(file, "ROOT", error) from error

    def _array(self, name: str, start: int = 0, stop: int | None = None) -> Any:
        """Read a branch, from event `start` to `stop`."""
        try:
            return self._tree[name].array(library="np", entry_start=start, entry_stop=stop)
        except Exception as error:
            raise _damage_error(self._file, "ROOT", error) from error

    def not_a_number(self, name: str) -> str:
        # One event tells what a column holds, and is soon read.
        values = self._array(name, stop=1)
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf":
            return ""
        return str(getattr(self._tree[name], "typename", "a structure"))

    def read(self, names: list[str]) -> pd.DataFrame:
        return pd.DataFrame({name: self._array(name) for name in names})

    def parts(self, names: list[str], size: int) -> Iterator[pd.DataFrame]:
        for start in range(0, self.n_events, size):
            stop = min(start + size, self.n_events)
            yield pd.DataFrame({name: self._array(name, start, stop) for name in names})
