"""Toys: samples with a known truth, drawn and fitted many times, in parallel and resumable.

`run_toys` draws a sample, fits it, and does so again with other random numbers; bias, spread, pulls
and coverage are in the `CoverageResult`. The file that it keeps them in is that of `toy_file`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from skdctr._utils.arguments import as_path, as_real_array, check_function
from skdctr._utils.numbers import check_count
from skdctr._utils.parallel import run_jobs
from skdctr._utils.record_file import claimed
from skdctr._utils.typing import FloatArray
from skdctr.coverage.result import CoverageResult
from skdctr.coverage.toy_file import described, finished_toys, open_toys, seed_of
from skdctr.events.frames import column_labels

__all__ = ["run_toys"]


def run_toys(
    simulate: Callable[[Any, int], Any],
    fit: Callable[[Any, int], Any],
    *,
    n_toys: int,
    theta: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    path: str | Path | None = None,
    retry_failed: bool = False,
    verbose: int = 0,
) -> CoverageResult:
    """Simulate and fit many times, and compare the fits with the truth.

    Every toy has its own seeds, which follow from `random_state` and its number only, so
    that neither `n_jobs` nor an interruption nor a larger `n_toys` changes it.

    Parameters
    ----------
    simulate : callable
        ``simulate(theta, random_state)`` returns a sample in any form. θ is an array of shape
        (p,), or None where `theta` is None; the random state is an int.
    fit : callable
        ``fit(sample, random_state)`` returns a fitted `SRGNFitter` or `DCTRFitter`, a `FitResult`,
        or anything with ``theta`` (p,), ``covariance`` (p, p) and ``names``.
    n_toys : int
        Number of toys.
    theta : float, array-like, mapping, DataFrame or callable, default=None
        The truth. It is one θ for all toys, of shape (p,), in order or by name; or one for each
        toy, of shape (n_toys, p); or ``theta(rng)``, which draws one with a numpy Generator. None
        takes the ``theta_true`` of each sample.
    n_jobs : int, default=None
        Number of processes, of one thread each; -1 takes as many as there are cores. None is one,
        or the backend of ``joblib.parallel_config``, such as a Dask cluster.
    random_state : int, RandomState instance or None, default=None
        Seed. None takes that of the file, where `path` has one already.
    path : str or Path, default=None
        File to which every finished toy is added at once. Where it exists, only the toys that it
        lacks are made: after an interruption, call again.
    retry_failed : bool, default=False
        Whether toys of the file that ended with an exception are made again. Where all have, a
        `simulate` and a `fit` that were mended may take the place of those in the file.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    CoverageResult
        The toys, those of the file included.

    Raises
    ------
    ValueError
        If `n_toys` is below 1, shapes do not fit together, or `path` holds toys of other settings.
    TypeError
        If `n_toys` is no integer, what `fit` returns is no fit, there is no truth, or `simulate`
        or `fit` has something in it whose contents cannot be compared with those of the file.
    RuntimeError
        If another call is adding toys to `path`, or all toys failed; the message has the first
        failure.

    Warns
    -----
    UserWarning
        If the file is damaged, where what was lost is made again, or was written by an earlier
        version, which kept no more of `simulate` and `fit` than their names.

    Notes
    -----
    A toy whose simulation or fit raises an exception is recorded with its text, counted and
    shown, and the others go on; warnings are recorded too.

    The file has fingerprints of `simulate` and `fit`, and other ones are refused. They cover the
    bytecode, and therefore the version of Python, the values of defaults, closures and
    `functools.partial`, an object's state, and the globals that are used; not functions of
    installed packages, nor files that are read. An object decides by ``__getstate__`` what counts.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from skdctr.coverage import run_toys
    >>> def simulate(theta, random_state):
    ...     return np.random.default_rng(random_state).normal(theta[0], 1.0, size=100)
    >>> def fit(sample, random_state):
    ...     return SimpleNamespace(theta=[sample.mean()], covariance=[[0.01]], names=["mu"])
    >>> result = run_toys(simulate, fit, n_toys=200, theta=0.5, random_state=1)
    >>> bool(abs(result.to_frame().loc["mu", "pull_mean"]) < 0.3)
    True
    """
    n_toys = check_count("n_toys", n_toys)
    check_function("simulate", simulate, "(theta, random_state)")
    check_function("fit", fit, "(sample, random_state)")
    check_count("verbose", verbose, least=0)
    path = None if path is None else as_path("path", path)
    seed = seed_of(random_state)
    functions = {} if path is None else described(simulate=simulate, fit=fit)
    with nullcontext() if path is None else claimed(path):
        file = None
        if path is not None:
            free = {"seed"} if random_state is None else set()
            file = open_toys(path, seed, functions, free=free, retry_failed=retry_failed)
            seed = file.settings["seed"]
        truths, names = _truths(theta, n_toys, seed)
        rows = {} if file is None else finished_toys(file, truths, retry_failed=retry_failed)
        missing = [toy for toy in range(n_toys) if toy not in rows]
        jobs = (partial(_run_toy, simulate, fit, toy, seed, truths[toy], names) for toy in missing)
        bar = tqdm(desc="toys", total=n_toys, initial=len(rows), disable=not verbose, unit="toy")
        with bar, run_jobs(jobs, n_jobs) as results:
            for row in results:
                if file is not None:
                    file.append(row)
                rows[row["toy"]] = row
                n_failed = sum(bool(other["failure"]) for other in rows.values())
                bar.set_postfix_str(f"{n_failed} failed" if n_failed else "", refresh=False)
                bar.update()
    _refuse_failure(rows, path)
    return CoverageResult.from_rows(list(rows.values()), seed)


def _refuse_failure(rows: Mapping[int, Mapping[str, Any]], path: Any) -> None:
    """Raise if no toy has a fit, with the reason that the first one has."""
    if all(row["failure"] for row in rows.values()):
        first = min(rows)
        kept = "" if path is None else f", and call again with retry_failed=True to go on in {path}"
        raise RuntimeError(
            f"All {len(rows)} toys failed, toy {first} with {rows[first]['failure']!r}: mend "
            f"simulate or fit{kept}."
        )


def _truths(theta: Any, n_toys: int, seed: int) -> tuple[list[FloatArray | None], list[str] | None]:
    """Settle the truth of every toy.

    Returns
    -------
    truths : list of (ndarray of shape (p,) or None)
        The truth of each toy; None where its sample tells it.
    names : list of str or None
        The names of the parameters, where `theta` has them.
    """
    names = column_labels(theta) if isinstance(theta, pd.DataFrame) else None
    if theta is None:
        return [None] * n_toys, None
    if callable(theta):
        rngs = (np.random.default_rng(_seed_sequence(seed, toy, 1)) for toy in range(n_toys))
        drawn = [np.atleast_1d(np.asarray(theta(rng), dtype=np.float64)) for rng in rngs]
        if len({point.shape for point in drawn}) > 1 or drawn[0].ndim > 1:
            raise ValueError(f"theta(rng) returned shape {drawn[0].shape}; expected (p,) always.")
        points = np.stack(drawn)
    else:
        if isinstance(theta, (Mapping, pd.Series)):
            names = [str(name) for name in theta.keys()]  # noqa: SIM118 - values of a Series
            theta = [theta[name] for name in names]
        points = np.atleast_1d(as_real_array(theta, "theta", expected="(p,) or (n_toys, p)"))
        points = points.astype(np.float64)
        if points.ndim == 1:
            points = np.tile(points, (n_toys, 1))
    if points.ndim != 2 or len(points) != n_toys or not points.shape[1]:
        raise ValueError(
            f"theta has shape {np.shape(theta)}; expected (p,), one truth for all toys, or "
            f"({n_toys}, p), one for each."
        )
    if not np.isfinite(points).all():
        raise ValueError("theta contains NaN or infinity; parameters must be finite.")
    return list(points), names


def _seed_sequence(seed: int, toy: int, use: int) -> np.random.SeedSequence:
    """Return the random numbers of a toy: use 0 is for its sample and fit, use 1 for its truth."""
    return np.random.SeedSequence(seed, spawn_key=(toy, use))


def _run_toy(
    simulate: Callable[[Any, int], Any],
    fit: Callable[[Any, int], Any],
    toy: int,
    seed: int,
    truth: FloatArray | None,
    names: list[str] | None,
) -> dict[str, Any]:
    """Draw and fit one toy, and return its row for the file."""
    # Seeds of 31 bits are what scikit-learn, numpy and torch all take.
    seeds = [int(state) for state in _seed_sequence(seed, toy, 0).generate_state(2) >> 1]
    row: dict[str, Any] = {"toy": toy, "names": names, "valid": False, "failure": ""}
    row |= {"seconds": 0.0, "warnings": [], "truth": None if truth is None else truth.tolist()}
    sample = fitted = None
    with _recording(row):
        sample = simulate(None if truth is None else truth.copy(), seeds[0])
    if not row["failure"]:
        known = _truth_in_sample(sample) if truth is None else truth
        row["truth"] = known.tolist()
        with _recording(row):
            fitted = fit(sample, seeds[1])
        if not row["failure"]:
            row |= _fitted_values(fitted, known, names)
    row["warnings"] = "\n".join(sorted(set(row["warnings"])))
    return row


@contextmanager
def _recording(row: dict[str, Any]) -> Iterator[None]:
    """Note the time, the warnings and the exception of a step, so that other toys can go on."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        # The filters of the process do not count: they differ with `n_jobs`.
        warnings.simplefilter("always")
        try:
            yield
        except Exception as error:
            row["failure"] = f"{type(error).__name__}: {error}".replace("\n", " ")
    row["seconds"] += max(0.0, time.perf_counter() - start)
    row["warnings"] += [str(one.message).replace("\n", " ") for one in caught]


def _truth_in_sample(sample: Any) -> FloatArray:
    """Read the truth off a sample that carries it."""
    truth = getattr(sample, "theta_true", None)
    if truth is None and isinstance(sample, Mapping):
        truth = sample.get("theta_true")
    if truth is None:
        raise TypeError(
            f"There is no truth to compare with: give theta, or let simulate return a sample with "
            f"theta_true; it returned {type(sample).__name__}."
        )
    return np.atleast_1d(np.asarray(truth, dtype=np.float64))


def _fitted_values(fitted: Any, truth: FloatArray, names: list[str] | None) -> dict[str, Any]:
    """Take from a fit what is kept of it.

    What is no fit is a mistake of the user's, and ends the whole campaign.

    Raises
    ------
    TypeError
        If it lacks θ, a covariance or names.
    ValueError
        If their shapes or names do not fit together or to the truth.
    """
    result = getattr(fitted, "result_", fitted)
    found: dict[str, Any] = {
        key: getattr(fitted, estimator, getattr(result, key, None))
        for key, estimator in (
            ("theta", "theta_"),
            ("covariance", "covariance_"),
            ("names", "theta_names_"),
        )
    }
    lacking = [key for key, value in found.items() if value is None]
    if lacking:
        raise TypeError(
            f"fit returned {type(fitted).__name__} without {lacking}: return a fitted SRGNFitter, "
            "its result_, or an object with theta, covariance and names."
        )
    theta = np.atleast_1d(np.asarray(found["theta"], dtype=np.float64))
    covariance = np.asarray(found["covariance"], dtype=np.float64)
    own = [str(name) for name in found["names"]]
    p = len(own)
    shapes = {"theta": theta.shape, "covariance": covariance.shape, "truth": truth.shape}
    if shapes != {"theta": (p,), "covariance": (p, p), "truth": (p,)}:
        raise ValueError(f"A fit of the parameters {own} came with shapes {shapes}.")
    if names is not None and names != own:
        if set(names) != set(own):
            raise ValueError(f"theta gives the truth of {names}, the fit has {own}.")
        order = [own.index(name) for name in names]
        theta, covariance, own = theta[order], covariance[np.ix_(order, order)], names
    return {
        "names": own,
        "theta": theta.tolist(),
        "covariance": covariance.tolist(),
        "valid": bool(getattr(result, "valid", True)),
    }
