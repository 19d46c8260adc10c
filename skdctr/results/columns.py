"""Names of the columns of a table that has a column for each parameter of the user's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["columns_beside", "profile_columns", "scan_columns"]


def scan_columns(names: Sequence[str]) -> dict[str, str]:
    """Name the columns of `SRGNFitter.scan_` beside those of the parameters."""
    of_evaluations = ["auc", "auc_error", "loss", "effective_sample_size"]
    return columns_beside(names, [*of_evaluations, "run"])


def profile_columns(names: Sequence[str]) -> dict[str, str]:
    """Name the columns of `ChiSquare.profile` beside those of the parameters."""
    return columns_beside(names, ["chi2", "delta_chi2"])


def columns_beside(names: Sequence[str], further: Iterable[str]) -> dict[str, str]:
    """Name columns apart from those of the parameters, and from each other.

    Parameters
    ----------
    names : sequence of str
        Names of the parameters, which are columns.
    further : iterable of str
        What the other columns are called where no parameter is called so.

    Returns
    -------
    dict of str to str
        The column of each: its name, with underscores at its end as far as need be.

    Examples
    --------
    >>> from skdctr.results.columns import columns_beside
    >>> columns_beside(["mu", "auc"], ["auc", "loss"])
    {'auc': 'auc_', 'loss': 'loss'}
    """
    taken, columns = set(names), {}
    for plain in further:
        column = plain
        while column in taken:
            column += "_"
        taken.add(column)
        columns[plain] = column
    return columns
