"""Ensembles on more than one machine: every member is kept at once, and none is trained twice.

`fit_ensemble` trains the networks of a `DCTRReweighter` or the runs of an `SRGNFitter` one by one,
on any backend of joblib. After an interruption the same call trains those that are missing.
"""

from __future__ import annotations

import builtins
import hashlib
import pickle
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
from skdctr._utils.atomic import replacing
from skdctr._utils.device import spawn_seeds
from skdctr._utils.fingerprint import describe
from skdctr._utils.numbers import check_count
from skdctr._utils.parallel import run_jobs, runs_here
from skdctr._utils.record_file import RecordFile, claimed
from skdctr._utils.warn import warn_user
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
        If the directory holds members of other settings, data or seed. Where the estimator has no
        `random_state`, that of the directory counts.
    TypeError
        If the estimator has no members, or its `fit` does not take the inputs.
    RuntimeError
        If another call is at work in the directory.

    Warns
    -----
    UserWarning
        If the file of a member is missing or damaged, which is then trained again.

    Notes
    -----
    Members are read by pickle: go on only with directories that you trust. Modules and callbacks
    are known by their names and arguments; choose another directory after changing their code.

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
    directory = as_path("path", path, is_file=False).resolve()
    with claimed(directory / _MANIFEST):
        rows = _train(estimator, arguments, directory, n, n_jobs=n_jobs, verbose=verbose)
    members = [pickle.loads((directory / row["file"]).read_bytes()) for row in rows]
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
    directory: Path,
    n: int,
    *,
    n_jobs: int | None,
    verbose: int,
) -> list[dict[str, Any]]:
    """Train the members that the directory lacks, and return the manifest's lines of all."""
    manifest = _open(directory, estimator, arguments)
    seeds = spawn_seeds(manifest.settings["random_state"], n)
    missing = _missing(directory, manifest, n)
    bar = tqdm(desc="members", total=n, initial=n - len(missing), disable=not verbose)
    with bar, _handed_over(arguments, directory, n_jobs) as inputs:
        jobs = (partial(_member, estimator, k, seeds[k], inputs) for k in missing)
        # A batch is one member, so that nothing else is lost with a process.
        with run_jobs(jobs, n_jobs, batch_size=1) as results:
            for record, content in results:
                with replacing(directory / record["file"]) as draft:
                    draft.write_bytes(content)
                manifest.append(record)
                bar.update()
    return [manifest.rows[k] for k in range(n)]


def _open(directory: Path, estimator: Any, arguments: Mapping[str, Any]) -> RecordFile:
    """Open the manifest of the given settings and data.

    The seed is the estimator's; where it has none, that of the file, or a fresh one.
    """
    given = estimator.random_state
    if isinstance(given, (int, np.integer)):
        seed = int(given)
    else:
        (seed,) = spawn_seeds(given, 1)
    settings = {"estimator": type(estimator).__name__, "random_state": seed}
    settings |= {name: describe(value) for name, value in settings_of(estimator).items()}
    settings |= {name: describe(value) for name, value in arguments.items()}
    free = {"random_state"} if given is None else set()
    return RecordFile(directory / _MANIFEST, "member", settings, free=free)


def _missing(directory: Path, manifest: RecordFile, n: int) -> list[int]:
    """List the members without an intact file, and warn of those that once had one."""
    missing = []
    for k in range(n):
        row = manifest.rows.get(k)
        if row is not None:
            file = directory / row["file"]
            if file.exists() and _sha256(file.read_bytes()) == row["sha256"]:
                continue
            warn_user(f"{file} is missing or damaged: member {k} is trained again.", UserWarning)
        missing.append(k)
    return missing


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _handed_over(
    arguments: dict[str, Any], directory: Path, n_jobs: int | None
) -> Iterator[dict[str, Any] | Path]:
    """Give the inputs as they are or, for other processes, the path of a file that holds them.

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
        yield file
    finally:
        file.unlink(missing_ok=True)


def _member(
    estimator: Any, member: int, seed: int, inputs: dict[str, Any] | Path
) -> tuple[dict[str, Any], bytes]:
    """Train a member, and return its line of the manifest and the content of its file."""
    start = time.perf_counter()
    if isinstance(inputs, Path):
        if not inputs.exists():
            raise FileNotFoundError(
                f"There is no {inputs} on {platform.node()}: the path of a campaign must be on a "
                "file system that all of its workers see."
            )
        arguments = joblib.load(inputs, mmap_mode="r")
    else:
        arguments = inputs
    with warnings.catch_warnings(record=True) as caught:
        # The filters of the process do not count, as they differ with `n_jobs`.
        warnings.simplefilter("always")
        trained = estimator.fit_member(member, seed, arguments)
    # Classes are pickled by value, so that another script can read what the user's script defines.
    content = pickle.dumps(joblib.wrap_non_picklable_objects(trained, keep_wrapper=False))
    record = {
        "member": member,
        "seed": seed,
        "file": f"member-{member:04d}.pickle",
        "sha256": _sha256(content),
        "seconds": round(time.perf_counter() - start, 3),
        "end": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "warnings": unique_warnings(caught),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
    }
    return record, content


def _category(name: str) -> type[Warning]:
    """Find the class of a warning by its name; `UserWarning` where there is none."""
    category: Any = getattr(exceptions, name, getattr(builtins, name, UserWarning))
    is_warning = isinstance(category, type) and issubclass(category, Warning)
    return category if is_warning else UserWarning
