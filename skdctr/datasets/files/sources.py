"""The files that a path, an address or a pattern stands for, and how to open them."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote

from skdctr._utils.arguments import shorten
from skdctr._utils.optional import require
from skdctr._utils.spelling import did_you_mean

__all__ = ["PathLike", "Paths", "Source", "find_file", "find_tables", "shortened"]

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike] | Mapping[PathLike, str]

# How the names of tables end, and the bytes that their files begin with. The grid numbers its
# files behind their suffix: x.root.1.
_ENDINGS: Final = {
    "parquet": re.compile(r"\.(parquet|parq|pq)$", re.IGNORECASE),
    "root": re.compile(r"\.root(\.\d+)?$", re.IGNORECASE),
}
_MAGIC: Final = {b"PAR1": "parquet", b"root": "root"}
_KNOWN: Final = [".parquet", ".parq", ".pq", ".root"]
_ELSEWHERE: Final = {
    ".lhe": "Read it with skdctr.datasets.read_lhe.",
    ".hepmc": "Read it with skdctr.datasets.read_hepmc.",
    ".npy": 'Map it with numpy.load(path, mmap_mode="r"), which estimators take as it is.',
}
# What follows "file.root:" is the tree, unless it is the port of a server or a chained address.
_TREE: Final = re.compile(
    r"(?P<file>.+\.root(?:\.\d+)?):(?P<tree>(?!\d+/)[^:]+)", re.IGNORECASE | re.DOTALL
)
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+(://|::)")
_COLLAPSED: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:/[^/]")
_SHOWN: Final = 8


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes
    ----------
    address : str
        The path with ``~`` expanded, or the address in the form that fsspec takes.
    is_local : bool
        Whether it is a path.
    kind : str
        Of a table "parquet" or "root"; empty for other files.
    tree : str or None
        The tree that stood behind the file's name.
    columns : dict of str to str
        Columns that the names of its directories give to all of its events: ``mt=172.5/``.
    """

    address: str
    is_local: bool
    kind: str = ""
    tree: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The last part of the address, without what an inquiry adds to it."""
        return re.split(r"[/\\]", _plain(self.address).rstrip("/\\"))[-1]

    def open(self) -> IO[bytes]:
        """Open the file for reading; it has to be closed.

        Raises
        ------
        FileNotFoundError, ImportError, OSError, ValueError
            If there is no such file, or no package for such addresses.
        """
        if self.is_local:
            return Path(self.address).open("rb")

        def opened(fsspec: Any) -> Any:
            system, path = fsspec.core.url_to_fs(self.address)
            stream = system.open(path, "rb")
            # An archive is closed when nobody holds it any more.
            with contextlib.suppress(AttributeError):
                stream.file_system = system
            return stream

        stream: IO[bytes] = _fsspec(self.address, opened)
        return stream


def find_tables(path: Paths, tree: str | None = None) -> list[Source]:
    """Find the files of tables that a user means.

    Parameters
    ----------
    path : str, path, sequence of these, or mapping of these to str
        Files, patterns, directories and addresses; ``file.root:tree`` and ``{file: tree}`` name
        trees too.
    tree : str, default=None
        The tree of all that do not name one.

    Returns
    -------
    list of Source
        The files, in the order given; those of a pattern or a directory by their names, with
        numbers in order.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If something is no path, or stands for no file, or for one that is no table.
    """
    if tree is not None and not isinstance(tree, str):
        raise TypeError(f"tree={shorten(tree)}; expected the name of a tree, or None.")
    found: list[Source] = []
    expanded: list[Source] = []
    for each, its_tree in _entries(path):
        text = _text(each)
        name, own = _split_tree(text)
        trees = {name for name in (tree, own, its_tree) if name is not None}
        if len(trees) > 1:
            raise ValueError(
                f"path and tree name the trees {sorted(trees)} for {name}; give one of them."
            )
        sources = list(_expand(name, trees.pop() if trees else None))
        several = len(sources) > 1 or sources[0].name != Path(name).name
        for source in sources:
            if source in found and (several or source in expanded):
                raise ValueError(
                    f"path names {source} twice, once by a pattern or a directory ({text}): its "
                    "events would count twice."
                )
        expanded += sources if several else []
        found += sources
    if not found:
        raise ValueError("path is an empty sequence; expected at least one file.")
    return found


def find_file(path: PathLike) -> Source:
    """Find the one file, of any kind, that a path or an address stands for.

    Raises
    ------
    TypeError, FileNotFoundError
        If it is no path, or there is no such file.
    """
    text = _text(path)
    if _is_address(text):
        return Source(text, is_local=False)
    file = Path(_from_uri(text)).expanduser()
    _check_file(file)
    return Source(str(file), is_local=True)


def shortened(items: Iterable[object], ending: str = "") -> str:
    """Write a list in a message, its beginning only where it is long."""
    items = list(items)
    more = f", … {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"[{', '.join(map(repr, items[:_SHOWN]))}{more}]{ending}"


def _entries(path: Any) -> Iterator[tuple[Any, str | None]]:
    """Give each path of a request, with the tree that a mapping has for it."""
    if isinstance(path, (str, os.PathLike)):
        yield path, None
    elif isinstance(path, Mapping):
        yield from path.items()
    elif isinstance(path, (set, frozenset)):
        yield from ((each, None) for each in sorted(path, key=str))
    elif isinstance(path, Iterable) and not hasattr(path, "columns"):
        yield from ((each, None) for each in path)
    else:
        yield _text(path), None


def _text(path: Any) -> str:
    """Check that a path is one, and write it as a string."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path is or holds a {type(path).__name__}; expected the name of a file as str or "
            "pathlib.Path, or a list of them."
        )
    text = os.fspath(path)
    if not isinstance(path, str) and _COLLAPSED.match(text) and not Path(text).exists():
        raise FileNotFoundError(
            f"path is the address {text} as {type(path).__name__}, which has taken a slash out of "
            "it; give it as str."
        )
    return text


def _split_tree(text: str) -> tuple[str, str | None]:
    """Split ``file.root:tree``, unless a file has this whole name."""
    match = _TREE.fullmatch(text)
    if match is None or (not _is_address(text) and os.path.lexists(text)):
        return text, None
    return match["file"], match["tree"]


def _is_address(text: str) -> bool:
    """Say whether a path is an address for fsspec; one of a local file is a path."""
    return bool(_ADDRESS.match(text)) and not text.startswith(("file://", "local://"))


def _from_uri(text: str) -> str:
    """Take the path out of ``file:///path``, as `Path.as_uri` writes it or as it is."""
    for prefix in ("file://", "local://"):
        if text.startswith(prefix):
            bare = text.removeprefix(prefix)
            return bare if os.path.lexists(bare) else unquote(bare)
    return text


def _expand(text: str, tree: str | None) -> Iterator[Source]:
    """Find the files of one path, pattern, directory or address."""
    if _is_address(text):
        yield from _expand_address(text, tree)
        return
    path = Path(_from_uri(text)).expanduser()
    if not os.path.lexists(path) and glob.has_magic(str(path)):
        # pathlib's own leaves links to nothing out, whose events would be lost.
        matches = _in_order(glob.glob(str(path), recursive=True))  # noqa: PTH207
        if not matches:
            raise FileNotFoundError(f"path matches no file: {path}.")
    else:
        matches = [str(path)]
    for each in matches:
        if Path(each).is_dir():
            yield from _in_directory(Path(each), tree)
        else:
            yield Source(each, True, _kind_of(Path(each)), tree)


def _kind_of(file: Path) -> str:
    """Tell the kind of a local file, by its name or, where that says nothing, by its first bytes.

    Raises
    ------
    ValueError, FileNotFoundError
        If it is no table, or there is none.
    """
    kind = _kind_by_name(str(file))
    if not kind:
        kind = _sniffed(file)
    if not kind:
        hints = [hint for suffix, hint in _ELSEWHERE.items() if suffix in file.suffixes]
        raise ValueError(
            f"path ends in {file.suffix!r}, expected one of {_KNOWN}: {file}. "
            f"{hints[0] if hints else 'Convert the file, or read it with pandas.'}"
        )
    _check_file(file)
    return kind


def _kind_by_name(name: str) -> str:
    found = [kind for kind, ending in _ENDINGS.items() if ending.search(_plain(name))]
    return found[0] if found else ""


def _plain(address: str) -> str:
    """Leave out what follows the name in an address: ``?download=1``, ``::cache``."""
    if not _is_address(address):
        return address
    return re.split(r"::|[?#]", _ADDRESS.sub("", address, count=1) or address)[0]


def _sniffed(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return _MAGIC.get(stream.read(4), "")


def _check_file(file: Path) -> None:
    """Refuse what is no file, and say what is in its place or beside it."""
    if file.is_file():
        return
    if file.is_symlink():
        hint = f"it is a link to {file.readlink()}, which does not exist."
    elif file.is_dir():
        hint = "it is a directory."
    elif file.parent.is_dir():
        hint = did_you_mean(file.name, sorted(p.name for p in file.parent.iterdir()))
    else:
        hint = "its directory does not exist."
    raise FileNotFoundError(f"path is no file: {file}; {hint}")


def _in_order(names: Iterable[str]) -> list[str]:
    """Sort names, with the numbers in them by value: part.2 comes before part.10."""

    def key(name: str) -> list[Any]:
        return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]

    return sorted(names, key=key)


def _in_directory(directory: Path, tree: str | None) -> Iterator[Source]:
    """Find the tables in a directory and below it, without those that are hidden."""
    files: list[str] = []
    seen: set[str] = set()
    for folder, below, names in os.walk(directory, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = [] if real in seen else [name for name in below if not _is_hidden(name)]
        if real not in seen:
            files += [str(Path(folder, name)) for name in names if not _is_hidden(name)]
        seen.add(real)
    kinds = {file: _kind_by_name(file) or _sniffed(Path(file)) for file in files}
    relative = {file: os.path.relpath(file, directory).replace(os.sep, "/") for file in files}
    yield from _tables_in(str(directory), kinds, relative, tree, is_local=True)


def _is_hidden(name: str) -> bool:
    """Say whether a name is one that writers of tables reserve: ``_SUCCESS``, ``.part.crc``."""
    return name.startswith((".", "_"))


def _tables_in(
    directory: str,
    kinds: Mapping[str, str],
    relative: Mapping[str, str],
    tree: str | None,
    *,
    is_local: bool,
) -> Iterator[Source]:
    """Take the tables among the files of a directory."""
    tables = _in_order(file for file, kind in kinds.items() if kind)
    if len({kinds[file] for file in tables}) != 1:
        what = "both parquet and ROOT files" if tables else "no parquet and no ROOT file"
        raise ValueError(
            f"path is a directory with {what}: {directory} has {shortened(relative.values())}. "
            "Name the files, e.g. by a pattern: directory/*.root."
        )
    for file in tables:
        if is_local:
            _check_file(Path(file))
        parts = [part.split("=", 1) for part in relative[file].split("/")[:-1] if "=" in part]
        columns = {name: unquote(value) for name, value in parts}
        yield Source(file, is_local, kinds[file], tree, columns)


def _fsspec(address: str, action: Any) -> Any:
    """Let fsspec act on an address, with errors that name it and say what to do."""
    fsspec = require("fsspec")
    try:
        return action(fsspec)
    except ImportError as error:
        raise ImportError(f"{address} needs a package that is not installed: {error}.") from error
    except FileNotFoundError as error:
        raise FileNotFoundError(f"path is no file: {address}; check the address.") from error
    except ValueError as error:
        raise ValueError(f"path is the address {address}, which fsspec refuses: {error}") from error


def _expand_address(text: str, tree: str | None) -> Iterator[Source]:
    """Find the files of an address, a pattern or a directory of it."""
    links = text.split("::")
    # In an address of the web a question mark begins an inquiry.
    magic = "*" if text.startswith(("http://", "https://")) else "*?["
    patterns = [k for k, link in enumerate(links) if any(sign in link for sign in magic)]
    kind = _kind_by_name(text)
    if not patterns and (kind == "root" or "://" not in text or text.startswith("http")):
        yield _far(text, kind, tree)
        return
    system, inside = _fsspec(text, lambda fsspec: fsspec.core.url_to_fs(text))

    def address(path: str) -> str:
        if len(links) == 1:
            return str(system.unstrip_protocol(path))
        k = patterns[0] if patterns else 0
        whole = f"{links[k].split('://')[0]}://{path}"
        return "::".join([*links[:k], whole, *links[k + 1 :]])

    if not patterns and not system.isdir(inside):
        yield _far(text, kind, tree)
        return
    matches = _in_order(system.glob(inside)) if patterns else [inside]
    if not matches:
        raise FileNotFoundError(f"path matches no file: {text}.")
    for match in matches:
        if not system.isdir(match):
            yield _far(address(match), _kind_by_name(match), tree)
            continue
        base = match.rstrip("/") + "/"
        files = {file: file.removeprefix(base) for file in system.find(match)}
        files = {f: r for f, r in files.items() if not any(map(_is_hidden, r.split("/")))}
        kinds = {address(file): _kind_by_name(file) for file in files}
        relative = {address(file): name for file, name in files.items()}
        yield from _tables_in(text, kinds, relative, tree, is_local=False)


def _far(address: str, kind: str, tree: str | None) -> Source:
    """Make the source of an address, whose name must tell what it is."""
    if not kind:
        raise ValueError(f"path ends in none of {_KNOWN}: {address}. Name a table, or a directory.")
    return Source(address, False, kind, tree)
