"""Read tables of events, in one file or in many, after a look at all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from skdctr._utils.spelling import did_you_mean
from skdctr._utils.warn import warn_user
from skdctr.datasets.files.sources import PathLike, Paths, Source, find_tables, shortened
from skdctr.datasets.files.tables import EventTable, open_table
from skdctr.datasets.files.units import warn_about_columns

__all__ = ["Columns", "PathLike", "Paths", "Tables", "read_events", "survey"]

Columns = Sequence[str] | Mapping[str, str] | None
# So many files, and columns in them, stay open between the check of all and their reading: an open
# tree of ROOT takes some 10 kB for each branch.
_OPEN_FILES: Final = 100
_OPEN_COLUMNS: Final = 20_000


def read_events(
    path: Paths,
    columns: Columns = None,
    *,
    tree: str | None = None,
) -> pd.DataFrame:
    """Read a table of events from parquet or ROOT files.

    Parameters
    ----------
    path : str or path, sequence of these, or mapping of these to str
        A file that ends in ``.parquet``, ``.parq``, ``.pq`` or ``.root``, or that begins like
        one. The first three need pyarrow, ROOT needs uproot: ``pip install "skdctr[io]"``. A
        pattern (``run*.root``), a directory of such files or a list of them is read file after
        file. An address that fsspec knows, such as ``root://…`` or ``s3://…``, is passed to it.
        ``file.root:tree`` and ``{file: tree}`` name a tree too.
    columns : sequence of str, mapping of str to str, or None, default=None
        Which columns (branches of a ROOT tree) to read, in this order; a mapping renames them,
        ``{name in the file: name in the table}``. None reads all but the index that pandas
        writes, the counters of collections (``Jet_size``, ``nJet``) and branches of a type that
        uproot does not know, which a warning names.
    tree : str, default=None
        Name of the tree in a ROOT file, with its directories: ``"analysis/events"``, or with its
        cycle: ``"events;2"``. None takes the only one there is.

    Returns
    -------
    DataFrame of shape (n_events, n_columns)
        The events, in the units of the file, which `skdctr.datasets` takes to be GeV.

    Raises
    ------
    ImportError
        If the package that reads such files or such addresses is not installed.
    FileNotFoundError
        If there is no such file, or none that fits a pattern.
    TypeError
        If `path` or `columns` is of another kind.
    ValueError
        If a file is not what its name says, damaged, or all are without events; if one lacks a
        column or the tree; or if a column does not hold one number per event.

    Warns
    -----
    UnitWarning
        If a column named like an energy (``m``, ``mt``, ``pt``, ``met``, ...) looks like MeV.
    UserWarning
        If no columns are asked for, and some cannot be read or are only in some of the files.

    See Also
    --------
    iterate_events : The same a part at a time, where memory is too small for the whole.
    read_lhe, read_hepmc : Events of generators, with all their weights.
    top_mass_observables : From lists of jets, which are no table, to one.

    Notes
    -----
    Directories named like ``mt=172.5`` below one that is read give a column ``mt``, as they do in
    pandas. Hidden files, and those that begin with an underscore, are left out. Files of a pattern
    or a directory come by their names, with numbers in order: ``part.2`` before ``part.10``.

    Examples
    --------
    >>> frame = read_events("data.root", ["reco_m_b1munu"], tree="events")  # doctest: +SKIP
    >>> frame = read_events("data/*.root:events", ["reco_m_b1munu"])  # doctest: +SKIP
    """
    tables = survey(path, columns, tree)
    frames = list(tables.parts(None))
    return frames[0] if len(frames) == 1 else pd.concat(frames)


@dataclass
class Tables:
    """Files that were looked into and found to have what is asked for.

    Attributes
    ----------
    files : list of (Source, EventTable or None, int)
        Files that have events, those of the first that are still open, and numbers of events.
    wanted : list of str
        The columns to read, by their names in the files.
    dtypes : dict of str to dtype
        A type for each that holds what any of the files has in it.
    new_names : dict of str to str
        New names for columns.
    """

    files: list[tuple[Source, EventTable | None, int]]
    wanted: list[str]
    dtypes: dict[str, np.dtype[Any]]
    new_names: dict[str, str]

    @property
    def n_events(self) -> int:
        """Number of events in all files together."""
        return sum(n for _, _, n in self.files)

    def parts(self, size: int | None) -> Iterator[pd.DataFrame]:
        """Give the events once, file by file, in parts of `size` at most.

        Yields
        ------
        DataFrame
            The next events, with an index that counts through all files.
        """
        start, warned = 0, set[Any]()
        for source, opened, n_events in self.files:
            table = opened or open_table(source)
            try:
                if table.n_events != n_events:
                    raise ValueError(
                        f"{source} had {n_events} events a moment ago and has {table.n_events} "
                        "now: read it when it is written."
                    )
                checked = False
                for frame in table.parts(self.wanted, size):
                    part = self._alike(frame)
                    part.index = pd.RangeIndex(start, start + len(part))
                    if not checked:
                        warned |= warn_about_columns(part, source.name, skip=warned)
                        checked = True
                    start += len(part)
                    yield part
            finally:
                table.close()

    def _alike(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give the columns their types and names in the whole."""
        # A column of integers in which values are missing has become one of floats.
        # Frames that come from files have types of NumPy only.
        found: dict[str, Any] = {name: frame[name].dtype for name in self.dtypes}
        types = {
            name: np.result_type(dtype, found[name])
            for name, dtype in self.dtypes.items()
            if dtype != found[name]
        }
        if types:
            frame = frame.astype(types)
        return frame.rename(columns=self.new_names) if self.new_names else frame


def survey(path: Paths, columns: Columns, tree: str | None) -> Tables:
    """Look into all files before the first is read.

    Parameters
    ----------
    path, columns, tree
        As for `read_events`.

    Returns
    -------
    Tables
        The files; as many as memory allows stay open.

    Raises
    ------
    ImportError, FileNotFoundError, TypeError, ValueError
        As by `read_events`.
    """
    asked = _check_columns_asked(columns)
    sources = find_tables(path, tree)
    wanted, first = asked, sources[0]
    files: list[tuple[Source, EventTable | None, int]] = []
    dtypes: dict[str, np.dtype[Any]] = {}
    n_open = 0
    for source in sources:
        table = open_table(source)
        if not table.n_events:
            # What a job without selected events has left: it need not even have columns.
            table.close()
            continue
        if wanted is None:
            wanted, first = table.features, source
            _warn_unreadable(table)
        elif asked is None:
            _warn_only_here(table, wanted, first)
        _check_columns(table, wanted)
        for name in wanted:
            dtype = table.dtype(name)
            dtypes[name] = np.result_type(dtypes.get(name, dtype), dtype)
        n_open += len(table.known)
        stays = not files or (len(files) < _OPEN_FILES and n_open <= _OPEN_COLUMNS)
        if not stays:
            table.close()
        files.append((source, table if stays else None, table.n_events))
    if wanted is None or not files:
        several = f" and the {len(sources) - 1} other files" if len(sources) > 1 else ""
        holds = "hold" if several else "holds"
        raise ValueError(f"{first}{several} {holds} no events; check how it was written.")
    return Tables(files, wanted, dtypes, dict(columns) if isinstance(columns, Mapping) else {})


def _check_columns_asked(columns: Any) -> list[str] | None:
    """Check the names of columns, before any file is opened."""
    if columns is None:
        return None
    if isinstance(columns, (set, frozenset)):
        raise TypeError("columns is a set, which has no order; pass a list.")
    if not isinstance(columns, Iterable):
        raise TypeError(f"columns={columns!r}; expected a list of names, a dict or None.")
    names = [columns] if isinstance(columns, str) else list(columns)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(
            f"columns names {wrong[0]!r}, which is no str; pass the names that the file has."
        )
    new = list(columns.values()) if isinstance(columns, Mapping) else names
    if not names or len(set(new)) < len(new):
        raise ValueError(
            f"columns must name at least one column and none twice, got {shortened(new)}."
        )
    return names


def _check_columns(table: EventTable, wanted: Iterable[str]) -> None:
    """Refuse a file without the columns that are wanted, or in which they hold no numbers."""
    file, known = table.source, set(table.known)
    wanted = list(wanted)
    missing = [name for name in wanted if name not in known]
    if missing:
        hints = [f"for {name!r}, {did_you_mean(name, table.known)}" for name in missing[:4]]
        raise ValueError(f"{file} lacks the columns {shortened(missing)}: {' '.join(hints)}")
    bad = [name for name in wanted if table.dtype(name) is None]
    if bad:
        kinds = [f"{name!r}: {table.describe(name)}" for name in bad[:8]]
        more = f", … {len(bad) - 8} more" if len(bad) > 8 else ""
        good = [name for name in wanted if name not in bad]
        raise ValueError(
            f"{file}: columns with something else than one number per event: "
            f"{{{', '.join(kinds)}{more}}}. Read the others, columns={shortened(good)}, and lists "
            "of objects with awkward, for top_mass_observables."
        )
    if not wanted:
        raise ValueError(f"{file} has no column of one number per event.")


def _warn_unreadable(table: EventTable) -> None:
    """Tell of columns that are left out as nobody can read them."""
    if table.unreadable:
        kinds = [f"{name!r}: {reason}" for name, reason in table.unreadable.items()]
        warn_user(
            f"{table.source}: uproot cannot read the branches {shortened(table.unreadable)}, "
            f"which are left out ({kinds[0]}). Name the columns to read with columns=....",
            UserWarning,
        )


def _warn_only_here(table: EventTable, wanted: Sequence[str], first: Source) -> None:
    """Tell of columns that the first file lacks."""
    extra = [name for name in table.features if name not in set(wanted)]
    if extra:
        warn_user(
            f"{table.source} has the columns {shortened(extra)}, which {first} has not; they are "
            "left out. Name the columns to read with columns=....",
            UserWarning,
        )
