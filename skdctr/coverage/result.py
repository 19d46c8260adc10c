"""The result of many toys: bias, spread, pulls and coverage, as text, HTML and table."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from skdctr._utils.arguments import holds_all, shorten
from skdctr._utils.printable import printable
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr.results.columns import columns_beside
from skdctr.results.fit_result import round_to_error

__all__ = ["CoverageResult"]

# What a toy has beside its parameters, and a parameter beside its value.
_OF_TOYS = ("valid", "seconds", "warnings", "failure")
_OF_PARAMETERS = ("true", "error", "pull")

# The confidence levels of one and of two standard errors.
_LEVELS = tuple(math.erf(k / math.sqrt(2)) for k in (1, 2))


@dataclass(frozen=True, eq=False, repr=False)
class CoverageResult:
    """Fits of many toys with known truth.

    Attributes
    ----------
    frame : DataFrame
        A row for each toy, by its number. For every parameter it has the fitted value and, with
        ``_true``, ``_error`` and ``_pull`` appended to the name, the truth, the error and the
        pull. Then come ``valid``, ``seconds``, and the texts ``warnings`` and ``failure``, which
        are empty where there is none. A column of that name that a parameter has taken gets
        underscores at its end: beside parameters mu and mu_true the truth of mu is ``mu_true_``.
    names : list of str of length p
        Names of the parameters.
    covariance : ndarray of shape (n_toys, p, p)
        Covariance that the fit of each toy quotes; NaN where the fit failed.
    seed : int
        The seed that all random numbers follow from.
    """

    frame: pd.DataFrame
    names: list[str]
    covariance: FloatArray
    seed: int

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]], seed: int) -> Self:
        """Make the result of finished toys.

        Parameters
        ----------
        rows : sequence of dict
            One row for each toy, in any order, as a file of toys holds them.
        seed : int
            The seed that all random numbers follow from.

        Returns
        -------
        CoverageResult
            The toys in the order of their numbers.

        Raises
        ------
        ValueError
            If toys differ in the names of their parameters.
        """
        if not holds_all(rows, dict) or not all("toy" in row for row in rows):
            raise TypeError(f"rows={shorten(rows)}; expected a list of rows as toys write them.")
        rows = sorted(rows, key=lambda row: row["toy"])
        fitted = [row for row in rows if not row["failure"]]
        names = next((list(row["names"]) for row in [*fitted, *rows] if row["names"]), None)
        if names is None:
            # Where every toy failed, no more is known than how many parameters there are.
            p = max((len(row["truth"] or []) for row in rows), default=0)
            names = [f"theta_{k}" for k in range(p)]
        if any(row["names"] != names for row in fitted):
            raise ValueError("The toys differ in the names of their parameters.")
        p = len(names)

        def stacked(key: str, shape: tuple[int, ...]) -> FloatArray:
            unknown = np.full(shape, np.nan)
            values = [unknown if row.get(key) is None else np.array(row[key]) for row in rows]
            return np.stack(values) if rows else np.empty((0, *shape))

        theta, truth = stacked("theta", (p,)), stacked("truth", (p,))
        covariance = stacked("covariance", (p, p))
        with np.errstate(invalid="ignore"):
            errors = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        column = _columns(names)
        frame = pd.DataFrame(index=pd.Index([row["toy"] for row in rows], name="toy"))
        for k, name in enumerate(names):
            frame[name], frame[column[f"{name}_true"]] = theta[:, k], truth[:, k]
            frame[column[f"{name}_error"]] = errors[:, k]
            frame[column[f"{name}_pull"]] = (theta[:, k] - truth[:, k]) / errors[:, k]
        frame[column["valid"]] = [bool(row["valid"]) for row in rows]
        frame[column["seconds"]] = [float(row["seconds"]) for row in rows]
        for text in ("warnings", "failure"):
            frame[column[text]] = pd.array([row[text] for row in rows], dtype="str")
        return cls(frame, names, covariance, seed)

    def _column(self, name: str) -> pd.Series[Any]:
        """Return the column of what is called so beside the parameters."""
        return self.frame[_columns(self.names)[name]]

    @property
    def n_toys(self) -> int:
        """The number of toys that were made."""
        return len(self.frame)

    @property
    def n_failed(self) -> int:
        """The number of toys that ended with an exception."""
        return int((self._column("failure") != "").sum())

    def pulls(self, name: str) -> FloatArray:
        """Return the pulls (fitted − true) / error of one parameter.

        Parameters
        ----------
        name : str
            The parameter.

        Returns
        -------
        ndarray of shape (n,)
            The pulls of the toys in which it has a finite error.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        given: Any = name
        if not isinstance(given, str) or name not in self.names:
            raise ValueError(
                f"name={shorten(name)}: There is no parameter {name!r}; "
                f"{did_you_mean(name, self.names)}"
            )
        values = self._column(f"{name}_pull").to_numpy(dtype=np.float64)
        return values[np.isfinite(values)]

    def to_frame(self) -> pd.DataFrame:
        """Make a table of bias, spread, pulls and coverage.

        Returns
        -------
        DataFrame
            A row for each parameter. ``n`` is the number of toys with a finite error; ``bias`` is
            the mean of fitted − true, ``spread`` the standard deviation of these, and ``quoted``
            the root mean square of the errors that the fits quote. ``pull_mean`` and
            ``pull_width`` are mean and standard deviation of the pulls. All but ``n`` and
            ``quoted`` have a statistical error, with ``_error`` appended, which for the widths is
            that of a Gaussian. ``coverage_68`` and ``coverage_95`` are the shares of toys within
            one and two errors, of which 68.27% and 95.45% are expected; with ``_low`` and
            ``_high`` appended come the ends of their intervals after Clopper and Pearson at
            68.27%.
        """
        rows = {}
        for name in self.names:
            known = np.isfinite(self._column(f"{name}_pull"))
            off = (self.frame[name] - self._column(f"{name}_true"))[known].to_numpy()
            pulls = self.pulls(name)
            row: dict[str, float] = {"n": len(pulls)}
            for centre, width, sample in (
                ("bias", "spread", off),
                ("pull_mean", "pull_width", pulls),
            ):
                row |= _moments(centre, width, sample)
            row["quoted"] = _rms(self._column(f"{name}_error")[known].to_numpy())
            for k in (1, 2):
                inside = int((np.abs(pulls) <= k).sum())
                row |= _share(f"coverage_{(68, 95)[k - 1]}", inside, len(pulls))
            rows[name] = row
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index.name = "parameter"
        return table.astype({"n": int}) if len(table) else table

    def joint(self) -> pd.Series[float]:
        """Test all parameters together, by χ² = (θ − truth)ᵀ C⁻¹ (θ − truth) of every toy.

        Returns
        -------
        Series
            ``n`` is the number of toys with a regular covariance; ``coverage_68`` and
            ``coverage_95``, with ``_low`` and ``_high``, are the coverage of the joint regions at
            68.27% and 95.45%; ``uniformity`` is the p-value of the test of Kolmogorov and Smirnov
            that the toys' p-values are uniform.
        """
        p_values = self.joint_p_values()
        row: dict[str, float] = {"n": len(p_values)}
        for level, title in zip(_LEVELS, ("coverage_68", "coverage_95"), strict=True):
            row |= _share(title, int((p_values >= 1 - level).sum()), len(p_values))
        uniform = stats.kstest(p_values, "uniform").pvalue if len(p_values) else math.nan
        return pd.Series({**row, "uniformity": float(uniform)})

    def joint_p_values(self) -> FloatArray:
        """Compute the p-value of the truth in each toy.

        Returns
        -------
        ndarray of shape (n,)
            Probabilities of a larger χ² than that of the truth, uniform where the errors are right.
            Toys without a regular covariance are left out.
        """
        true = np.array([self._column(f"{name}_true") for name in self.names]).T
        off = self.frame[self.names].to_numpy() - true
        chi2 = []
        for shift, covariance in zip(off, self.covariance, strict=True):
            if np.isfinite(shift).all() and np.isfinite(covariance).all():
                try:
                    chi2.append(float(shift @ np.linalg.solve(covariance, shift)))
                except np.linalg.LinAlgError:
                    continue
        p_values: FloatArray = stats.chi2.sf(np.array(chi2), len(self.names))
        return p_values

    def _notes(self) -> list[str]:
        """List what went wrong in the toys, the most frequent warnings and failures first."""
        notes = []
        invalid = int((~self._column("valid") & (self._column("failure") == "")).sum())
        if invalid:
            notes.append(f"{invalid} of {self.n_toys} fits are not valid, and counted all the same")
        for name in self.names:
            missing = self.n_toys - self.n_failed - len(self.pulls(name))
            if missing:
                notes.append(f"{missing} of {self.n_toys} fits have no error of {name}: left out")
        for column, what in (("failure", "failed"), ("warnings", "warned")):
            texts = [set(text.split("\n")) for text in self._column(column) if text]
            counts = pd.Series([one for several in texts for one in several]).value_counts()
            notes += [f"{count} {what}: {text}" for text, count in counts.head(5).items()]
        return notes

    def _title(self) -> str:
        """Say how many toys there are, how many failed, how long they took, and the seed."""
        time = f"{self._column('seconds').mean():.3g} s each, " if self.n_toys else ""
        return f"{self.n_toys} toys, {self.n_failed} failed, {time}seed {self.seed}"

    def __str__(self) -> str:
        lines = [f"CoverageResult: {self._title()}"]
        for name, row in self.to_frame().iterrows():
            bias, bias_error = round_to_error(row["bias"], row["bias_error"])
            spread, spread_error = round_to_error(row["spread"], row["spread_error"])
            lines += [
                f"  {name}: bias {bias} ± {bias_error}",
                f"    spread {spread} ± {spread_error}, quoted error {row['quoted']:.3g}",
                f"    pull mean {row['pull_mean']:.2f} ± {row['pull_mean_error']:.2f}",
                f"    pull width {row['pull_width']:.2f} ± {row['pull_width_error']:.2f}",
                f"    coverage: {_percent(row)}",
            ]
        if len(self.names) > 1:
            joint = self.joint()
            lines.append(
                f"  jointly: {_percent(joint)}; p-values uniform with p = {joint['uniformity']:.2g}"
            )
        return printable("\n".join([*lines, *(f"  ! {note}" for note in self._notes())]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self._notes())
        table = self.to_frame().T.to_html(float_format="{:.4g}".format)
        return f"<p>{html.escape(self._title())}</p>{table}" + (
            f"<ul>{notes}</ul>" if notes else ""
        )


def _columns(names: Sequence[str]) -> dict[str, str]:
    """Name the columns beside those of the parameters' values."""
    of_parameters = (f"{name}_{kind}" for name in names for kind in _OF_PARAMETERS)
    return columns_beside(names, [*of_parameters, *_OF_TOYS])


def _rms(values: FloatArray) -> float:
    """Compute the root mean square; NaN where there are no values."""
    return float(np.sqrt(np.mean(values**2))) if len(values) else math.nan


def _moments(centre: str, width: str, sample: FloatArray) -> dict[str, float]:
    """Compute mean and standard deviation, with the errors that they have for a Gaussian."""
    n = len(sample)
    mean = float(sample.mean()) if n else math.nan
    deviation = float(sample.std(ddof=1)) if n > 1 else math.nan
    return {
        centre: mean,
        f"{centre}_error": deviation / math.sqrt(n) if n > 1 else math.nan,
        width: deviation,
        f"{width}_error": deviation / math.sqrt(2 * (n - 1)) if n > 1 else math.nan,
    }


def _share(title: str, inside: int, n: int) -> dict[str, float]:
    """Compute a share of toys, with the exact interval of Clopper and Pearson."""
    if not n:
        return {title: math.nan, f"{title}_low": math.nan, f"{title}_high": math.nan}
    interval = stats.binomtest(inside, n).proportion_ci(_LEVELS[0], method="exact")
    return {title: inside / n, f"{title}_low": interval.low, f"{title}_high": interval.high}


def _percent(row: pd.Series[float]) -> str:
    """Write the coverage of a row beside what is expected."""
    shown = [
        f"{100 * row[f'coverage_{short}']:.1f}% "
        f"[{100 * row[f'coverage_{short}_low']:.1f}, {100 * row[f'coverage_{short}_high']:.1f}] "
        f"of {100 * level:.2f}%"
        for short, level in zip((68, 95), _LEVELS, strict=True)
    ]
    return ", ".join(shown)
