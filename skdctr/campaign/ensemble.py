"""Ensembles on more than one machine: every member is kept at once, and none is trained twice.

`fit_ensemble` trains the networks of a `DCTRReweighter` or the runs of an `SRGNFitter` one by one,
on any backend of joblib. After an interruption the same call trains those that are missing.
"""

from __future__ import annotations

import builtins
import platform
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from skdctr import exceptions
from skdctr._utils.arguments import as_path
from skdctr._utils.atomic import file_sha256, refuse_link, replacing
from skdctr._utils.device import spawn_seeds
from skdctr._utils.fingerprint import describe
from skdctr._utils.numbers import check_count
from skdctr._utils.parallel import run_jobs, runs_here
from skdctr._utils.record_file import RecordFile, claimed
from skdctr._utils.warn import warn_user
from skdctr.campaign.member_files import (
    intact_members,
    keep_member,
    pack_member,
    refuse_pickles,
    unpack_members,
)
from skdctr.campaign.members import bound_inputs, n_members, settings_of, unique_warnings

__all__ = ["fit_ensemble", "read_manifest"]

# Names of the files beside those of the members: one line for each member, and the data that other
# processes read.
_MANIFEST, _INPUTS = "manifest.jsonl", "inputs.joblib"
# Packages whose versions the manifest keeps, as they decide what a member has learned.
_PACKAGES = ("skdctr", "torch", "skorch", "numpy", "scikit-learn")


def fit_ensemble(
    estimator: Any,
    *inputs: Any,
    path: str | Path,
    n_jobs: int | None = None,
    allow_pickle: bool = False,
    verbose: int = 0,
    **named: Any,
) -> Any:
    """Fit an ensemble member by member, each kept in a file as soon as it is trained.

    The result is that of ``estimator.fit`` with the same int as `random_state`, but for rounding
    where ``fit`` trains members together. Every member has its own seed, which follows from
    `random_state` and its number only, so that neither `n_jobs` nor an interruption nor a larger
    ensemble changes it.

    Parameters
    ----------
    estimator : DCTRReweighter or SRGNFitter
        Estimator whose members `n_estimators` or `n_runs` counts.
    *inputs : array-like
        Arguments of ``estimator.fit``.
    path : str or Path
        Directory of the campaign, which is made where there is none. Where it holds members, only
        those that it lacks are trained. If other machines take part, they must see it too.
    n_jobs : int, default=None
        Members at a time, each in a process of one thread; -1 takes as many as there are cores.
        None is one, or the backend of ``joblib.parallel_config``, such as a Dask cluster.
    allow_pickle : bool, default=False
        Whether members that an earlier call has left in `path` may be read. They are pickles,
        which can run anything: allow them only where you trust whoever may write there.
    verbose : int, default=0
        1 shows a progress bar.
    **named : array-like
        Arguments of ``estimator.fit`` by name.

    Returns
    -------
    estimator
        The one given, fitted.

    Raises
    ------
    ValueError
        If the directory holds members of other settings, data or seed, or members at all without
        `allow_pickle`, or its manifest names files that are not its own. Where the estimator has
        no `random_state`, that of the directory counts.
    TypeError
        If the estimator has no members, its `fit` does not take the inputs, or one of its
        settings or inputs has something in it whose contents cannot be compared.
    RuntimeError
        If another call is at work in the directory.
    OSError
        If a file of the campaign cannot be written, or is a link.

    Warns
    -----
    UserWarning
        If the file of a member or its line of the manifest is missing or damaged, which is then
        trained again, or the manifest was written by an earlier version, whose fingerprints of
        data cannot be compared.

    Notes
    -----
    A member that raises an exception ends the call, and the next call trains it again. Modules,
    callbacks and functions of your own count by their code and state, as in `run_toys`.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from skdctr import DCTRReweighter
    >>> from skdctr.campaign import fit_ensemble, read_manifest
    >>> rng = np.random.default_rng(1)
    >>> theta = np.repeat([0.0, 1.0], 500)
    >>> x = rng.normal(theta)[:, None]
    >>> reweighter = DCTRReweighter(n_estimators=3, max_epochs=2, random_state=1)
    >>> with tempfile.TemporaryDirectory() as path:
    ...     reweighter = fit_ensemble(reweighter, x, theta, path=path)
    ...     len(read_manifest(path))
    3
    """
    n = n_members(estimator)
    estimator._validate_params()
    arguments = bound_inputs(estimator, inputs, named)
    check_count("verbose", verbose, least=0)
    settings = _settings(estimator, arguments)
    directory = as_path("path", path, is_file=False).resolve()
    refuse_link(directory / _MANIFEST)
    with claimed(directory / _MANIFEST):
        free = {"random_state"} if estimator.random_state is None else set()
        manifest = RecordFile(directory / _MANIFEST, "member", settings, free=free)
        # What a kill left half-written belongs to nobody while the directory is claimed.
        for draft in directory.glob("*.part"):
            draft.unlink()
        intact = intact_members(directory, manifest.rows, n)
        refuse_pickles(directory, intact, allow_pickle)
        missing = [k for k in range(n) if k not in intact]
        _train(estimator, arguments, manifest, missing, n, n_jobs=n_jobs, verbose=verbose)
        rows = [manifest.rows[k] for k in range(n)]
        members = unpack_members(directory, rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.assemble(members, arguments)
    pairs = [tuple(pair) for row in rows for pair in row["warnings"]] + unique_warnings(caught)
    for category, text in dict.fromkeys(pairs):
        warn_user(text, _category(category))
    return estimator


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Read which members are trained, also while `fit_ensemble` is at work.

    Parameters
    ----------
    path : str or Path
        Directory that `fit_ensemble` was given.

    Returns
    -------
    DataFrame
        One row for each member, by its number: seed, file and its SHA-256, seconds, end, host,
        warnings, and the versions of the packages. ``attrs["settings"]`` has the settings that all
        members have in common.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    ValueError
        If the file is no manifest, or it is damaged.
    """
    manifest = RecordFile.read(as_path("path", path, is_file=False) / _MANIFEST, "member")
    rows = [
        {key: value for key, value in row.items() if key != "versions"} | row["versions"]
        for _, row in sorted(manifest.rows.items())
    ]
    columns = None if rows else ["member", "seed", "file", "sha256"]
    frame = pd.DataFrame(rows, columns=columns).set_index("member")
    frame.attrs["settings"] = manifest.settings
    return frame


def _train(
    estimator: Any,
    arguments: dict[str, Any],
    manifest: RecordFile,
    missing: list[int],
    n: int,
    *,
    n_jobs: int | None,
    verbose: int,
) -> None:
    """Train the members that the directory lacks, and add them to the manifest."""
    directory = manifest.path.parent
    seeds = spawn_seeds(manifest.settings["random_state"], n)
    bar = tqdm(desc="members", total=n, initial=n - len(missing), disable=not verbose)
    with bar, _handed_over(arguments, directory, n_jobs) as inputs:
        jobs = (partial(_member, estimator, k, seeds[k], inputs) for k in missing)
        # A batch is one member, so that nothing else is lost with a process.
        with run_jobs(jobs, n_jobs, batch_size=1) as results:
            for record, content in results:
                keep_member(directory, record, content)
                manifest.append(record)
                bar.update()


def _settings(estimator: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the settings and data, and the estimator's seed; where it has none, a fresh one."""
    given = estimator.random_state
    if isinstance(given, (int, np.integer)):
        seed = int(given)
    else:
        (seed,) = spawn_seeds(given, 1)
    kind = describe(type(estimator), "estimator").rpartition(".")[2]
    values = settings_of(estimator) | dict(arguments)
    described = {name: describe(value, name) for name, value in values.items()}
    return {"estimator": kind, "random_state": seed} | described


@contextmanager
def _handed_over(
    arguments: dict[str, Any], directory: Path, n_jobs: int | None
) -> Iterator[dict[str, Any] | tuple[Path, str]]:
    """Give the inputs as they are or, for other processes, a file that holds them and its checksum.

    A file is safer than the memory of a cluster, which is lost with the worker that holds it.
    """
    file = directory / _INPUTS
    if runs_here(n_jobs):
        file.unlink(missing_ok=True)
        yield arguments
        return
    # The file is replaced, not overwritten: processes of an earlier call may still read theirs.
    with replacing(file) as draft:
        joblib.dump(arguments, draft)
    try:
        yield file, file_sha256(file)
    finally:
        file.unlink(missing_ok=True)


def _member(
    estimator: Any, member: int, seed: int, inputs: dict[str, Any] | tuple[Path, str]
) -> tuple[dict[str, Any], bytes]:
    """Train a member, and return its line of the manifest and the content of its file."""
    start = time.perf_counter()
    arguments = inputs if isinstance(inputs, dict) else _received(*inputs)
    with warnings.catch_warnings(record=True) as caught:
        # The filters of the process do not count, as they differ with `n_jobs`.
        warnings.simplefilter("always")
        trained = estimator.fit_member(member, seed, arguments)
    of_file, content = pack_member(member, trained)
    record = {
        "member": member,
        "seed": seed,
        **of_file,
        "seconds": round(max(0.0, time.perf_counter() - start), 3),
        "end": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "warnings": unique_warnings(caught),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
    }
    return record, content


def _received(file: Path, sha256: str) -> dict[str, Any]:
    """Read the inputs that another process has written for this one.

    Raises
    ------
    FileNotFoundError
        If they are not there.
    RuntimeError
        If they are not what was written.
    """
    if not file.exists():
        raise FileNotFoundError(
            f"There is no {file} on {platform.node()}: the path of a campaign must be on a file "
            "system that all of its workers see."
        )
    if file_sha256(file) != sha256:
        raise RuntimeError(f"{file} is damaged on {platform.node()}: call again.")
    arguments: dict[str, Any] = joblib.load(file, mmap_mode="r")
    return arguments


def _category(name: str) -> type[Warning]:
    """Find the class of a warning by its name; `UserWarning` where there is none."""
    category: Any = getattr(exceptions, name, getattr(builtins, name, UserWarning))
    is_warning = isinstance(category, type) and issubclass(category, Warning)
    return category if is_warning else UserWarning
