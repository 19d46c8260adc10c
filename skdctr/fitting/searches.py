"""The search that an `SRGNFitter` makes with classifiers, with its settings, and its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from skdctr.comparison.classifier_objective import Evaluation
from skdctr.comparison.search import ignore, powell, scan
from skdctr.comparison.surrogate import surrogate
from skdctr.results.solution import Solution

__all__ = ["Search", "choose_search", "progress"]


@dataclass(frozen=True)
class Search:
    """A search with its settings.

    Attributes
    ----------
    first : callable
        ``search(objective, kind, space, report=report)`` returns a `Solution`.
    resume : callable or None
        The same with the further arguments ``start`` and ``constraints``; None where there is no
        going on.
    max_evaluations : int or None
        Evaluations at most, that of the fitted θ included; None is no limit.
    """

    first: Callable[..., Solution]
    resume: Callable[..., Solution] | None
    max_evaluations: int | None


def choose_search(fitter: Any, n_parameters: int) -> Search:
    """Return the search that the parameters of a fitter describe.

    Parameters
    ----------
    fitter : SRGNFitter
        Its `search`, with the parameters of this search, `objective`, `n_jobs` and `n_runs`.
    n_parameters : int
        Number of parameters θ.

    Returns
    -------
    Search

    Raises
    ------
    ValueError
        If the grid has more points than evaluations are allowed.
    """
    # The last evaluation is that of the fitted θ.
    limit = None if fitter.max_evaluations is None else fitter.max_evaluations - 1
    if fitter.search == "powell":
        first = partial(powell, max_iter=fitter.max_iter, tol=fitter.tol, max_evaluations=limit)
        return Search(first, None, fitter.max_evaluations)
    if fitter.search == "scan":
        n_grid = fitter.n_points**n_parameters
        if limit is not None and n_grid > limit:
            raise ValueError(
                f"A scan with n_points={fitter.n_points} takes {n_grid} evaluations and one at "
                f"the end; max_evaluations is {fitter.max_evaluations}: lower n_points."
            )
        # Several runs are in parallel themselves.
        n_jobs = fitter.n_jobs if fitter.n_runs == 1 else 1
        first = partial(scan, n_points=fitter.n_points, n_jobs=n_jobs)
        return Search(first, None, fitter.max_evaluations)
    if limit is None:
        limit = 7 + 4 * n_parameters
        if fitter.objective == "loss":
            limit += 4 * n_parameters**2
    search = partial(surrogate, max_evaluations=limit)
    return Search(search, search, limit + 1)


@contextmanager
def progress(description: str, verbose: int) -> Iterator[Callable[[Evaluation], None]]:
    """Show a progress bar, and give the function that evaluations are reported to.

    Parameters
    ----------
    description : str
        Label of the bar.
    verbose : int
        0 shows no bar.
    """
    if not verbose:
        yield ignore
        return
    with tqdm(desc=description, unit="θ") as bar:

        def report(evaluation: Evaluation) -> None:
            theta = ", ".join(f"{value:.4g}" for value in evaluation.theta)
            bar.set_postfix_str(f"θ = {theta}, AUC = {evaluation.auc:.4f}", refresh=False)
            bar.update()

        yield report
