"""Jobs in processes of this machine, or on the backend of `joblib.parallel_config`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from numbers import Integral
from typing import Any, TypeVar

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

from skdctr._utils.arguments import shorten
from skdctr._utils.process_lock import ProcessLock

__all__ = ["check_n_jobs", "run_jobs", "runs_here"]

T = TypeVar("T")

# Jobs catch warnings, and the filters of these belong to the process, so that a job in another
# thread waits.
_BUSY = ProcessLock()


# More processes than any machine has cores.
_MOST_JOBS = 10**5


def _backend() -> str:
    """Return the name of the class of joblib's active backend."""
    return type(get_active_backend()[0]).__name__


def check_n_jobs(n_jobs: Any) -> None:
    """Refuse what is no number of processes.

    Raises
    ------
    ValueError
        If it is neither None nor an int, or is zero.
    """
    if n_jobs is not None and (
        isinstance(n_jobs, bool)
        or not isinstance(n_jobs, Integral)
        or not 0 < abs(int(n_jobs)) <= _MOST_JOBS
    ):
        raise ValueError(
            f"n_jobs={shorten(n_jobs)}; expected None, a number of processes from 1 to "
            f"{_MOST_JOBS}, or a negative one, -1 for as many as there are cores."
        )


def runs_here(n_jobs: int | None) -> bool:
    """Say whether `run_jobs` would run one job after the other in this process."""
    check_n_jobs(n_jobs)
    name = _backend()
    return name == "SequentialBackend" or (name == "LokyBackend" and effective_n_jobs(n_jobs) == 1)


@contextmanager
def run_jobs(
    jobs: Iterable[Callable[[], T]],
    n_jobs: int | None,
    *,
    ordered: bool = False,
    batch_size: int | str = "auto",
) -> Iterator[Iterable[T]]:
    """Run jobs and give their results as they come; leave no process behind.

    Parameters
    ----------
    jobs : iterable of callable
        Functions without arguments, which cloudpickle can pickle.
    n_jobs : int or None
        Number of processes on this machine, with one thread each. None is one, or what the
        surrounding ``joblib.parallel_config`` says. Another backend than joblib's own is used as
        it is configured there.
    ordered : bool, default=False
        Whether results come in the order of the jobs.
    batch_size : int or "auto", default="auto"
        How many jobs are sent, and come back with their results, together.

    Yields
    ------
    iterable
        The results. An exception in a job is raised here.
    """
    if runs_here(n_jobs):
        yield (job() for job in jobs)
        return
    if _backend() == "LokyBackend":
        # Several processes with all threads each would be slower than one alone.
        config = parallel_config("loky", n_jobs=effective_n_jobs(n_jobs), inner_max_num_threads=1)
        options = {}
    else:
        config = nullcontext()
        # A cluster may still grow, so that all jobs are handed over at once.
        options = {"pre_dispatch": "all"} | ({} if n_jobs is None else {"n_jobs": n_jobs})
    with config:
        parallel = Parallel(
            return_as="generator" if ordered else "generator_unordered",
            batch_size=batch_size,
            **options,
        )
        with closing(parallel(delayed(_run_by_itself)(job) for job in jobs)) as results:
            yield results


def _run_by_itself(job: Callable[[], T]) -> T:
    """Run a job while its process has no other."""
    # What a job does in parallel by itself stays with it: Dask would send it round again.
    with _BUSY, parallel_config("sequential"):
        return job()
