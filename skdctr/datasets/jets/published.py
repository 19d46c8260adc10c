"""The reader of the files that the papers published on Zenodo."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skdctr._utils.arguments import check_flag, shorten
from skdctr._utils.atomic import default_mode, file_sha256, replacing
from skdctr._utils.numbers import check_count
from skdctr._utils.optional import require
from skdctr._utils.spelling import did_you_mean
from skdctr.datasets.files.archives import open_npz, read_array
from skdctr.datasets.files.cache import cache_directory
from skdctr.datasets.generator.parameters import PARAMETERS

__all__ = ["RECORDS", "fetch_published"]

RECORDS: Final = {
    "parton_shower": "10.5281/zenodo.3518708",
    "top_mass": "10.5281/zenodo.4067673",
}
_PARTICLE: Final = ("pt", "eta", "phi", "pid")
# The two kinds of file call their jets so, and both call the classes Y.
_PARTICLES: Final = ("X", "jet")
_LABELS: Final = "Y"
# More than a sum and the name of a file take.
_LONGEST_SUM: Final = 4096
_NO_ARCHIVE: Final = (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile)
_DESCR: Final = """\
Published with {paper} at https://doi.org/{doi}. Results that use these files should cite both."""
_PAPERS: Final = {"parton_shower": "arXiv:1907.08209", "top_mass": "arXiv:2010.03569"}


def fetch_published(
    file: str,
    *,
    record: str = "parton_shower",
    form: str = "awkward",
    n_events: int | None = None,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    verbose: int = 0,
) -> Bunch:
    """Load a file that the papers published, downloading it if it is not there yet.

    Zenodo's own checksum is checked after the download, by pooch
    (``pip install "skdctr[download]"``), and a SHA-256 sum is kept next to the file, which
    every later call checks.

    Parameters
    ----------
    file : str
        Name of the file in the record, with or without ``.npz``: of the parton showers
        ``"1D_alphaS_train"``, ``"1D_probStoUD_train"`` and ``"3D_train"`` for training,
        ``"test1D_default"``, ``"test1D_alphaS"`` and ``"test_3D_known"`` among those for tests; of
        the top quark mass ``"DCTR_Mt_train"``. An unknown name is answered with the record's own
        list.
    record : {"parton_shower", "top_mass"}, default="parton_shower"
        Zenodo record 3518708 or 4067673.
    form : {"awkward", "padded"}, default="awkward"
        Form of the particles: an awkward array, or an array with padding.
    n_events : int, default=None
        How many events to return, the first ones; None for all. The training files of the parton
        showers hold 1.8 million jets, which take gigabytes.
    data_home : str or path, default=None
        Directory of the files; they lie in ``zenodo`` in it. None stands for the environment
        variable ``SKDCTR_DATA`` and, where it is not set, for ``skdctr`` in the user's cache
        directory.
    download_if_missing : bool, default=True
        Whether to download a file that is not there, rather than to raise.
    verbose : int, default=0
        Whether to show the progress of a download.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        The content of the file, with the attributes, None where it has no such thing,

        constituents : awkward array or ndarray of shape (n, particles, 4)
            Particles of each jet: ``pt``, ``eta``, ``phi`` and ``pid`` as `make_parton_shower` has
            them, in an ndarray in this order, float32, padding all NaN. In the file padding is
            zeros: what has no ``pt`` is no particle. Angles are as published, without units or
            frame told.
        theta : DataFrame of shape (n, 3)
            Parameters ``alphaS``, ``aLund`` and ``probStoUD``, which the file repeats for every
            particle; NaN for a jet without particles.
        features : DataFrame
            Events that are rows, as those of the top quark mass; the file names no columns.
        y : ndarray of shape (n,)
            Class of each event, as in the file.
        observables : DataFrame
            All other columns with one number for each event, by the names that they have in the
            file; where there are k for each event, with ``_0`` to ``_k-1`` appended.
        path : Path
            The file.
        sha256 : str
            Its checksum.
        DESCR : str
            Description.

    Raises
    ------
    ImportError
        If pooch is needed and not installed, or awkward with ``form="awkward"``.
    FileNotFoundError
        If the file is not there and `download_if_missing` is False.
    ConnectionError
        If the download fails. The message says where to put a file that came another way.
    TypeError, ValueError
        If an argument is unknown, the record has no such file, or the file's content or checksum
        is not what it was.

    See Also
    --------
    make_parton_shower : New events by the same recipe.

    References
    ----------
    A. Andreassen, B. Nachman, arXiv:1907.08209; A. Andreassen et al., arXiv:2010.03569.

    Examples
    --------
    >>> bunch = fetch_published("1D_alphaS_train", n_events=100_000)  # doctest: +SKIP
    >>> bunch.theta.columns.tolist()  # doctest: +SKIP
    ['alphaS', 'aLund', 'probStoUD']
    """
    choices: list[tuple[str, Any, list[str]]] = [
        ("record", record, list(RECORDS)),
        ("form", form, ["awkward", "padded"]),
    ]
    for argument, value, known in choices:
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{argument} is {shorten(value)}; {did_you_mean(value, known)}")
    check_flag("download_if_missing", download_if_missing)
    check_count("verbose", verbose, least=0)
    given: Any = file
    if not isinstance(given, str) or not given or Path(given).name != given:
        raise ValueError(f"file is {file!r}; expected the name of a file, e.g. '1D_alphaS_train'.")
    limit = None if n_events is None else check_count("n_events", n_events)
    name = file if file.endswith(".npz") else f"{file}.npz"
    directory = cache_directory(data_home) / "zenodo" / RECORDS[record].rsplit(".", 1)[1]
    path = directory / name
    if not path.exists():
        if not download_if_missing:
            raise FileNotFoundError(
                f"{path} does not exist. Pass download_if_missing=True, or put the file there; it "
                f"is part of https://doi.org/{RECORDS[record]}."
            )
        _download(directory, name, RECORDS[record], progress=bool(verbose))
    checksum = _checked_sum(path)
    arrays = _read(path)
    _keep_sum(path, checksum)
    n = _number_of_events(arrays, path)
    return Bunch(
        **_convert({key: values[:limit] for key, values in arrays.items()}, form, n, limit),
        path=path,
        sha256=checksum,
        DESCR=_DESCR.format(paper=_PAPERS[record], doi=RECORDS[record]),
    )


def _download(directory: Path, name: str, doi: str, *, progress: bool) -> None:
    """Download a file of a Zenodo record.

    Raises
    ------
    ConnectionError
        If the download fails.
    ValueError
        If the record has no such file.
    """
    pooch = require("pooch")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        source = pooch.create(path=directory, base_url=f"doi:{doi}/", retry_if_failed=2)
        source.load_registry_from_doi()
        known = sorted(source.registry)
        if name in known:
            source.fetch(name, progressbar=progress)
            # Pooch makes files that nobody but their owner may read.
            (directory / name).chmod(default_mode(directory))
    # The errors of requests are OSErrors. Pooch raises ValueError for a wrong checksum and for what
    # is no record, and KeyError for an answer of another form than it expects.
    except (OSError, ValueError, KeyError) as error:
        raise ConnectionError(
            f"{name} could not be downloaded from https://doi.org/{doi} "
            f"({type(error).__name__}: {error}). Try again later, or download it by other means "
            f"and put it into {directory}."
        ) from error
    if name not in known:
        raise ValueError(f"https://doi.org/{doi} has no file {name!r}; {_suggestion(name, known)}")


def _suggestion(name: str, known: list[str]) -> str:
    """Write which file may have been meant, and which files there are."""
    return f"{did_you_mean(name, known)} Its files are {known}."


def _checked_sum(path: Path) -> str:
    """Compute the SHA-256 sum of a file, and compare it with that of the first time.

    Raises
    ------
    ValueError
        If the file has changed since.
    """
    found = file_sha256(path)
    record = _sum_file(path)
    if record.is_symlink():
        raise ValueError(
            f"{record} is a link, which is not followed: delete it, and the sum is kept anew."
        )
    if record.exists():
        with record.open("rb") as stream:
            expected = stream.read(_LONGEST_SUM)
        # As sha256sum writes it, of text or of a binary file.
        if expected not in {f"{found} {mark}{path.name}\n".encode() for mark in " *"}:
            raise ValueError(
                f"{path} has changed: its SHA-256 sum is {found}, but "
                f"{record.name} has {expected[:64].decode('ascii', 'replace') or 'none'}. Delete "
                "both files to download it again."
            )
    return found


def _keep_sum(path: Path, checksum: str) -> None:
    """Keep the SHA-256 sum of a file beside it, where there is none yet."""
    record = _sum_file(path)
    # A directory that cannot be written holds what its owner put there.
    if not record.exists() and os.access(path.parent, os.W_OK):
        with replacing(record) as draft:
            draft.write_text(f"{checksum}  {path.name}\n", encoding="ascii")


def _sum_file(path: Path) -> Path:
    """Name the file that holds the SHA-256 sum of another."""
    return path.with_name(f"{path.name}.sha256")


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file.

    Raises
    ------
    ValueError
        If it is no npz file of numbers.
    """
    try:
        with path.open("rb") as stream, open_npz(stream) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            return {name: read_array(archive, name) for name in names}
    except (*_NO_ARCHIVE, zlib.error) as error:
        raise ValueError(
            f"{path} is no npz file of numbers ({type(error).__name__}: {error}). Delete it to "
            "download it again."
        ) from error


def _number_of_events(arrays: Mapping[str, NDArray[Any]], path: Path) -> int:
    """Return the length that all arrays must have in common.

    Raises
    ------
    ValueError
        If their lengths differ, or there is no array.
    """
    sizes = {key: len(values) if values.ndim else 0 for key, values in arrays.items()}
    if not sizes or len(set(sizes.values())) > 1:
        raise ValueError(
            f"the arrays of {path} have {sizes} rows; expected at least one array, and as many "
            "rows in each as there are events."
        )
    return next(iter(sizes.values()))


def _convert(
    arrays: dict[str, NDArray[Any]], form: str, n: int, limit: int | None
) -> dict[str, Any]:
    """Turn the arrays of a file into the attributes that `fetch_published` documents."""
    index = pd.RangeIndex(n if limit is None else min(n, limit))
    result: dict[str, Any] = dict.fromkeys(("constituents", "theta", "features"))
    events = next((arrays.pop(key) for key in _PARTICLES if key in arrays), None)
    result["y"] = arrays.pop(_LABELS, None)
    if events is not None and events.ndim == 3:
        result.update(_jet_attributes(events, form))
    elif events is not None:
        result["features"] = pd.DataFrame(events, index=index)
    columns: dict[str, NDArray[Any]] = {}
    for key, values in arrays.items():
        if values.ndim == 1:
            columns[key] = values
        else:
            flat = values.reshape(len(values), -1)
            columns |= {f"{key}_{k}": flat[:, k] for k in range(flat.shape[1])}
    result["observables"] = pd.DataFrame(columns, index=index) if columns else None
    return result


def _jet_attributes(events: NDArray[Any], form: str) -> dict[str, Any]:
    """Divide padded jets into particles, without the padding, and the parameters that they repeat.

    Raises
    ------
    ValueError
        If particles have neither 4 nor 7 features.
    """
    n, _, width = events.shape
    if width not in (4, 4 + len(PARAMETERS)):
        raise ValueError(
            f"the jets have shape {events.shape}; expected 4 features of a particle, {_PARTICLE}, "
            f"or these and {list(PARAMETERS)}."
        )
    real = events[..., 0] > 0
    theta = None
    if width > 4:
        values = np.full((n, len(PARAMETERS)), np.nan)
        rows = np.flatnonzero(real.any(axis=1))
        values[rows] = events[rows, real[rows].argmax(axis=1), 4:]
        theta = pd.DataFrame(values, columns=list(PARAMETERS))
    if form == "padded":
        jets = events[..., :4].astype(np.float32)
        jets[~real] = np.nan
        return {"constituents": jets, "theta": theta}
    ak = require("awkward")
    particles = events[real]
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    columns = [particles[:, k].astype(np.float32) for k in range(3)]
    columns.append(np.rint(particles[:, 3]).astype(np.int32))
    records = ak.contents.RecordArray(
        [ak.contents.NumpyArray(column) for column in columns], list(_PARTICLE)
    )
    lists = ak.contents.ListOffsetArray(ak.index.Index64(offsets), records)
    return {"constituents": ak.Array(lists), "theta": theta}
