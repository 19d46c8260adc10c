"""Open tables of events, in parquet and ROOT files."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from skdctr._utils.optional import require
from skdctr._utils.spelling import did_you_mean
from skdctr.datasets.files.sources import Source, shortened

__all__ = ["EventTable", "damage_error", "open_table"]

# The index that pandas and Dask write where it has no name.
_INDEX: Final = re.compile(r"__index_level_\d+__|__null_dask_index__")
_NTUPLE_NUMBER: Final = re.compile(
    r"(std::)?u?int(8|16|32|64)_t|bool|float|double|char|Double32_t|std::byte"
)


def damage_error(file: object, kind: str, error: Exception, part: str = "") -> ValueError:
    """Make the error for a file, or a part of it, that its package cannot read."""
    # Some of the packages' messages run over many lines.
    said = " ".join(str(error).split())
    return ValueError(
        f"{file} cannot be read as {kind}{part} ({type(error).__name__}: {said}). It may be "
        "damaged or incomplete: copy it again, or check that its name fits what it is."
    )


def open_table(source: Source) -> EventTable:
    """Open a table.

    Raises
    ------
    ImportError
        If the package that reads such files is not installed.
    FileNotFoundError, PermissionError, ValueError
        If the file is not there, may not be read, or is not what its name says.
    """
    readers: dict[str, Callable[[Source], EventTable]] = {
        "parquet": _ParquetTable,
        "root": _RootTable,
    }
    return readers[source.kind](source)


class EventTable:
    """An open file of events, with the names and kinds of its columns and their values.

    Parameters
    ----------
    source : Source
        The file.

    Attributes
    ----------
    known : list of str
        Names of all columns.
    n_events : int
        Number of its rows.
    constants : dict of str to float or str
        Columns that the names of its directories give.
    """

    known: list[str]
    n_events: int

    def __init__(self, source: Source) -> None:
        self.source = source
        self.constants = {name: _value(text) for name, text in source.columns.items()}

    def add_constants(self) -> None:
        """Count the columns of the directories among the others, where the file has none such."""
        self.constants = {k: v for k, v in self.constants.items() if k not in self.known}
        self.known = [*self.known, *self.constants]

    @property
    def features(self) -> list[str]:
        """Names of the columns that are read where none are asked for by name."""
        return [*self._features(), *self.constants]

    @property
    def unreadable(self) -> dict[str, str]:
        """Columns that are left out of `features` as nobody can read them, and why."""
        return {}

    def dtype(self, name: str) -> np.dtype[Any] | None:
        """Return the type of a column, or None where it is not one number per event."""
        if name in self.constants:
            kind = np.asarray(self.constants[name]).dtype
            return kind if kind.kind in "iuf" else None
        return self._dtype(name)

    def describe(self, name: str) -> str:
        """Say what a column holds that is not one number per event."""
        return repr(self.constants[name]) if name in self.constants else self._describe(name)

    def parts(self, names: list[str], size: int | None = None) -> Iterator[pd.DataFrame]:
        """Read these columns, all events at once or `size` at most."""
        stored = [name for name in names if name not in self.constants]
        if stored:
            frames = self._parts(stored, size)
        else:
            step = size or self.n_events
            frames = (
                pd.DataFrame(index=pd.RangeIndex(min(step, self.n_events - start)))
                for start in range(0, self.n_events, step)
            )
        for frame in frames:
            yield frame.assign(**self.constants)[names] if self.constants else frame

    def close(self) -> None:
        """Close the file."""

    def _features(self) -> list[str]:
        raise NotImplementedError

    def _dtype(self, name: str) -> np.dtype[Any] | None:
        raise NotImplementedError

    def _describe(self, name: str) -> str:
        raise NotImplementedError

    def _parts(self, names: list[str], size: int | None) -> Iterator[pd.DataFrame]:
        raise NotImplementedError


def _value(text: str) -> int | float | str:
    """Read the value of a directory's column, ``mt=172.5``."""
    if text == "__HIVE_DEFAULT_PARTITION__":
        return np.nan
    # Python would read 2018_01 as 201801.
    for kind in (int, float) if "_" not in text else ():
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class _ParquetTable(EventTable):
    """A parquet file, read by pyarrow."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        if source.tree is not None:
            raise ValueError(
                f"tree={source.tree!r} was given for a parquet file, which has none: {source}."
            )
        self._arrow = require("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
        self._stream = None if source.is_local else source.open()
        try:
            self._content = parquet.ParquetFile(self._stream or source.address)
        except PermissionError:
            raise
        except (self._arrow.ArrowException, OSError) as error:
            raise damage_error(source, "parquet", error) from error
        schema = self._content.schema_arrow
        self._types = dict(zip(schema.names, schema.types, strict=True)) if schema.names else {}
        self._names = list(schema.names)
        indices = (schema.pandas_metadata or {}).get("index_columns", [])
        self._indices = {name for name in indices if isinstance(name, str)}
        self.known = list(self._types)
        self.n_events = self._content.metadata.num_rows
        self.add_constants()

    def _features(self) -> list[str]:
        return [n for n in self._types if n not in self._indices and not _INDEX.fullmatch(n)]

    def _dtype(self, name: str) -> np.dtype[Any] | None:
        kind, types = self._types[name], self._arrow.types
        if self._names.count(name) > 1:
            return None
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            return np.dtype(kind.to_pandas_dtype())
        return np.dtype(np.float64) if types.is_decimal(kind) or types.is_null(kind) else None

    def _describe(self, name: str) -> str:
        times = self._names.count(name)
        return f"{times} columns of this name" if times > 1 else str(self._types[name])

    def _frame(self, table: Any, names: list[str]) -> pd.DataFrame:
        """Turn an arrow table into a data frame of numbers."""
        types = self._arrow.types
        for name in names:
            kind, place = self._types[name], table.schema.get_field_index(name)
            if types.is_dictionary(kind) or types.is_decimal(kind):
                target = kind.value_type if types.is_dictionary(kind) else self._arrow.float64()
                table = table.set_column(place, name, table.column(place).cast(target))
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)[names]
        # A missing truth value makes a column of objects.
        return frame.astype({n: float for n in names if frame[n].dtype == object})

    def _parts(self, names: list[str], size: int | None) -> Iterator[pd.DataFrame]:
        try:
            if size is None:
                yield self._frame(self._content.read(columns=names), names)
                return
            for batch in self._content.iter_batches(size, columns=names):
                yield self._frame(self._arrow.Table.from_batches([batch]), names)
        except (self._arrow.ArrowException, OSError) as error:
            raise damage_error(self.source, "parquet", error) from error

    def close(self) -> None:
        self._content.close()
        if self._stream is not None:
            self._stream.close()


class _RootTable(EventTable):
    """A tree of a ROOT file, read by uproot."""

    # A damaged file may hold any bytes, and uproot raises any kind of error for them.

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        uproot = require("uproot")
        self._unknown: Any = uproot.interpretation.identify.UnknownInterpretation
        # As a key of a dictionary a name is not searched for a tree.
        try:
            # Everything is read once; uproot's cache would hold 100 MB of it in vain.
            content = uproot.open({source.address: None}, array_cache=None)
        except ImportError as error:
            raise ImportError(f"{source} needs a package that is not installed: {error}") from error
        except FileNotFoundError as error:
            raise FileNotFoundError(f"path is no file: {source}; check the address.") from error
        except PermissionError:
            raise
        except Exception as error:
            raise damage_error(source, "ROOT", error) from error
        self._file = content
        try:
            self._tree = content[_tree_of(content, source)]
            self.known = list(dict.fromkeys(self._tree.keys(recursive=False)))
            self.n_events = int(self._tree.num_entries)
        except _NoTreeError as error:
            content.close()
            raise ValueError(str(error)) from None
        except Exception as error:
            content.close()
            raise damage_error(source, "ROOT", error) from error
        self._is_ntuple = not hasattr(self._tree, "branches")
        self._top = set(self.known)
        self.known += [name for name in self._nested if name not in self._top]
        self.add_constants()

    @cached_property
    def _nested(self) -> dict[str, int]:
        """Branches within others, by path and by last name, and how many have that name."""
        if not self._is_ntuple and not any(len(b.branches) for b in self._tree.branches):
            return {}
        paths = list(self._tree.keys(recursive=True))
        names = dict.fromkeys(paths, 1)
        if not self._is_ntuple:
            for name in self._tree.keys(recursive=True, full_paths=False):
                if name not in paths:
                    names[name] = names.get(name, 0) + 1
        return names

    def _features(self) -> list[str]:
        top = [name for name in self.known if name in self._top]
        if self._is_ntuple:
            return top
        counters = set()
        for branch in self._tree.itervalues(recursive=True):
            try:
                if branch.count_branch is not None:
                    counters.add(branch.count_branch.name)
            # Of a branch that cannot be read not even that is known.
            except Exception:
                continue
        # Delphes counts the objects of `Jet` in `Jet_size`.
        counters |= {f"{n}_size" for n in top if self._dtype(n) is None}
        return [name for name in top if name not in counters and name not in self.unreadable]

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Branches of a type that uproot does not know."""
        if self._is_ntuple:
            return {}
        found = {b.name: b for b in self._tree.branches if not len(b.branches)}
        kinds = {name: branch.interpretation for name, branch in found.items()}
        return {
            name: str(kind.reason)
            for name, kind in kinds.items()
            if isinstance(kind, self._unknown)
        }

    def _dtype(self, name: str) -> np.dtype[Any] | None:
        if self._nested.get(name, 1) > 1:
            return None
        if self._is_ntuple:
            if not _NTUPLE_NUMBER.fullmatch(self._tree[name].typename):
                return None
            return self._array(name, 0, 1).dtype
        interpretation = self._tree[name].interpretation
        # An unknown one raises itself, whatever it is asked.
        if isinstance(interpretation, self._unknown):
            return None
        kind = getattr(interpretation, "to_dtype", None)
        if not isinstance(kind, np.dtype) or kind.shape or kind.kind not in "biuf":
            return None
        return kind.newbyteorder("=")

    def _describe(self, name: str) -> str:
        if self._nested.get(name, 1) > 1:
            paths = [path for path in self._nested if path.endswith(f"/{name}")]
            return f"one of {paths}: give the whole path"
        branch = self._tree[name]
        kind = None if self._is_ntuple else branch.interpretation
        if isinstance(kind, self._unknown):
            return f"unreadable: {kind.reason}"
        below = [] if self._is_ntuple else [f"{name}/{key}" for key in branch.keys(recursive=False)]
        if below:
            return shortened(below, " within it")
        return str(branch.typename or "a structure")

    def _array(self, name: str, start: int, stop: int | None) -> np.ndarray[Any, Any]:
        """Read a branch, from event `start` to `stop`."""
        try:
            found: np.ndarray[Any, Any] = self._tree[name].array(
                library="np", entry_start=start, entry_stop=stop
            )
        except Exception as error:
            raise damage_error(self.source, "ROOT", error, f": branch {name!r}") from error
        return found

    def _arrays(self, names: list[str], start: int, stop: int | None) -> dict[str, Any]:
        """Read branches, from event `start` to `stop`."""
        if not self.source.is_local:
            # One inquiry for all of them; here it would cost more than it spares.
            try:
                found = self._tree.arrays(
                    names, library="np", entry_start=start, entry_stop=stop, array_cache=None
                )
                return {name: found[name] for name in names}
            # Branch by branch it comes out which one is at fault.
            except Exception:
                pass
        return {name: self._array(name, start, stop) for name in names}

    def _parts(self, names: list[str], size: int | None) -> Iterator[pd.DataFrame]:
        step = size or self.n_events
        for start in range(0, self.n_events, step):
            stop = min(start + step, self.n_events)
            yield pd.DataFrame(self._arrays(names, start, stop))

    def close(self) -> None:
        self._file.close()


class _NoTreeError(ValueError):
    """A file has no such tree, or none, or several."""


def _tree_of(content: Any, source: Source) -> str:
    """Find the name of the tree to read."""
    classes = content.classnames(cycle=False)
    trees = [name for name, kind in classes.items() if kind.startswith(("TTree", "TNtuple"))]
    trees += [name for name, kind in classes.items() if kind.endswith("RNTuple")]
    tree = source.tree
    if tree is None:
        if len(trees) == 1:
            return trees[0]
        raise _NoTreeError(
            f"{source} has {len(trees)} trees, {shortened(trees)}; name the one to read with "
            "tree=..."
            if trees
            else f"{source} holds no tree; what it has is {dict(classes)}."
        )
    tree = tree.strip("/")
    # A name without its cycle is that of the latest.
    bare, _, cycle = tree.partition(";")
    cycles = list(content.keys(cycle=True))
    if bare not in trees or (cycle and tree not in cycles):
        known = [name for name in cycles if name.partition(";")[0] in trees] if cycle else trees
        raise _NoTreeError(f"{source} has no tree {tree!r}; {did_you_mean(tree, known)}")
    return tree
