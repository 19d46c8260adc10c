"""Tables of the accuracy cases, and the paired comparison of two states of the code."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from _cases import CASES
from _densities import Array

Row = dict[str, Any]
# A fit of a broken case is right within so many of its errors, and so many times the bound; weights
# without a fit are, within so much in log w.
_PULL, _DISTANCE, _LOG_W = 3.0, 10.0, 0.1


def read_toys(path: Path) -> list[Row]:
    """Read the finished toys; a last line that a kill has torn is left out."""
    rows = []
    lines = path.read_text().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line if line.endswith("\n") else ""))
        except ValueError:
            if number < len(lines):
                raise ValueError(f"{path}, line {number} is damaged: {line[:60]!r}") from None
    return rows


def report(rows: list[Row]) -> str:
    """Make the tables of a file of toys, in Markdown."""
    codes = {row["code"] for row in rows}
    if len(codes) > 1:
        raise ValueError(f"The toys are of several states of the code: {sorted(codes)}.")
    parts = []
    for n_events in sorted({row["events"] for row in rows}):
        chosen = [row for row in rows if row["events"] == n_events]
        clean = [row for row in chosen if CASES[row["case"]].is_clean]
        broken = [row for row in chosen if not CASES[row["case"]].is_clean]
        title = f"{n_events} events, {len(clean)} toys of {_n_cases(clean)} clean cases and "
        title += f"{len(broken)} of {_n_cases(broken)} broken ones, code {', '.join(codes)}"
        parts += [
            title,
            _by_objective(clean),
            _by_case(clean),
            _false_alarms(clean),
            _missed_alarms(broken),
        ]
    return "\n\n".join(parts)


def _n_cases(rows: list[Row]) -> int:
    return len({row["case"] for row in rows})


def _table(head: list[str], body: Iterable[list[str]]) -> str:
    first, *others = ("| " + " | ".join(line) + " |" for line in (head, *body))
    return "\n".join([first, "|" + "---|" * len(head), *others])


def _objectives(rows: list[Row]) -> list[str]:
    """List the objectives in the order in which they were fitted."""
    return list(dict.fromkeys(objective for row in rows for objective in row["fits"]))


def _fits(rows: list[Row], objective: str) -> list[tuple[Row, Row]]:
    """List toys with their fits by an objective."""
    return [(row, row["fits"][objective]) for row in rows if objective in row["fits"]]


def _pulls(rows: list[Row], objective: str) -> Array:
    """Collect the finite pulls of all parameters."""
    found = [pull for _, fit in _fits(rows, objective) for pull in fit.get("pulls", [])]
    pulls = np.array(found, dtype=float)
    return pulls[np.isfinite(pulls)]


def _distances(row: Row, fit: Row) -> Array:
    """Compute the distances of θ* from the truth over the bound, (p,); empty where unknown."""
    if row["bound"] is None or "theta" not in fit:
        return np.empty(0)
    return np.asarray((np.array(fit["theta"]) - row["truth"]) / row["bound"])


def _rms(values: Array, digits: int = 2) -> str:
    """Write a root mean square with the error that it has for a Gaussian."""
    if not len(values):
        return ""
    rms = float(np.sqrt(np.mean(values**2)))
    return f"{rms:.{digits}f} ± {rms / math.sqrt(2 * len(values)):.{digits}f}"


def _percent(count: int, total: int) -> str:
    """Write a share with its error, of a count that is at least one half."""
    if not total:
        return ""
    share = count / total
    least = max(count, 0.5) / total
    error = math.sqrt(least * (1 - min(share, 1 - 0.5 / total)) / total)
    return f"{100 * share:.1f} ± {100 * error:.1f}%"


def _by_objective(rows: list[Row]) -> str:
    head = ["objective", "fits", "parameters", "distance over bound, rms (median)", "pull width"]
    head += ["inside 1σ", "inside 2σ", "CPU seconds"]
    body = []
    for objective in _objectives(rows):
        fits = _fits(rows, objective)
        pulls = _pulls(rows, objective)
        # What is not valid is no number to use; it is among the false alarms.
        far = np.concatenate([_distances(*pair) for pair in fits if pair[1].get("valid")])
        seconds = np.mean([fit["seconds"] for _, fit in fits])
        body.append(
            [objective, str(len(fits)), str(len(pulls))]
            + [f"{_rms(far)} ({np.median(abs(far)):.2f})", _rms(pulls)]
            + [_percent(int((abs(pulls) <= k).sum()), len(pulls)) for k in (1, 2)]
            + [f"{seconds:.0f}"]
        )
    return _table(head, body)


def _by_case(rows: list[Row]) -> str:
    objectives = _objectives(rows)
    head = ["case", "toys", "rms of log w"]
    for objective in objectives:
        head += [f"{objective}: distance over bound", "pull width"]
    body = []
    for name in CASES:
        chosen = [row for row in rows if row["case"] == name]
        if not chosen:
            continue
        known = [row["learning"].get("rms_log_w", math.nan) for row in chosen]
        line = [name, str(len(chosen)), f"{math.sqrt(np.mean(np.square(known))):.3f}"]
        for objective in objectives:
            far = [_distances(*pair) for pair in _fits(chosen, objective)]
            line += [_rms(np.concatenate(far)) if far else "", _rms(_pulls(chosen, objective))]
        body.append(line)
    return _table(head, body)


def _false_alarms(rows: list[Row]) -> str:
    """Count the trainings and fits of clean cases that warn, by class of the warning, and where."""
    runs = {"reweighter": [(row["case"], row["learning"]) for row in rows]}
    for objective in _objectives(rows):
        runs[objective] = [(row["case"], fit) for row, fit in _fits(rows, objective)]
    classes = {name for found in runs.values() for _, run in found for name in run["warnings"]}
    body = []
    for name in [*sorted(classes), "not valid", "error"]:
        alarmed = {what: [case for case, run in runs[what] if _alarms(run, name)] for what in runs}
        where = Counter(case for cases in alarmed.values() for case in cases)
        shares = [_percent(len(alarmed[what]), len(runs[what])) for what in runs]
        places = ", ".join(f"{case} {count}" for case, count in where.most_common())
        body.append([name, *shares, places])
    return _table(["false alarms", *runs, "of these"], body)


def _alarms(run: Row, name: str) -> bool:
    """Say whether a training or a fit warns, is not valid, or fails."""
    if name == "not valid":
        return not run.get("valid", True)
    return bool(run["failure"]) if name == "error" else name in run["warnings"]


def _verdict(row: Row, fit: Row | None) -> str:
    """Judge what a user of a broken case is told: right, told, not valid, or missed."""
    case = CASES[row["case"]]
    runs = [row["learning"], *([] if fit is None else [fit])]
    warned = {name for run in runs for name in run["warnings"]}
    if warned & set(case.told_by) or any(run["failure"] for run in runs):
        return "told"
    if case.can_be_right and _is_right(row, fit):
        return "right"
    return "missed" if fit is None or fit["valid"] else "not valid"


def _is_right(row: Row, fit: Row | None) -> bool:
    if fit is None:
        return bool(row["learning"]["rms_log_w"] < _LOG_W)
    near = bool((np.abs(np.array(fit["pulls"])) < _PULL).all())
    return near and bool((np.abs(_distances(row, fit)) < _DISTANCE).all())


def _missed_alarms(rows: list[Row]) -> str:
    """Tabulate what users of the broken cases are told."""
    objectives = _objectives(rows)
    body = []
    missed = Counter[str]()
    total = Counter[str]()
    for name in CASES:
        chosen = [row for row in rows if row["case"] == name]
        if not chosen:
            continue
        line = [name, " or ".join(CASES[name].told_by)]
        for objective in objectives:
            found = Counter(_verdict(row, row["fits"].get(objective)) for row in chosen)
            missed[objective] += found["missed"]
            total[objective] += len(chosen)
            line.append(", ".join(f"{verdict} {count}" for verdict, count in found.items()))
        body.append(line)
    body.append(["**missed**", "", *(_percent(missed[name], total[name]) for name in objectives)])
    return _table(["broken case", "to be told by", *objectives], body)


def compare(old: list[Row], new: list[Row]) -> str:
    """Compare two states of the code by the toys of clean cases that both have.

    A ratio of sums has the error of the spread of its toys. Every toy has the same samples in both;
    those of which a case has changed in between are left out, and so are fits that are not valid in
    one of the two.
    """
    before = {(row["case"], row["toy"], row["events"]): row for row in old}
    after = {(row["case"], row["toy"], row["events"]): row for row in new}
    common = [key for key in before if key in after and CASES[key[0]].is_clean]
    same = [key for key in common if before[key]["sample"] == after[key]["sample"]]
    pairs = [(before[key], after[key]) for key in same]
    if not pairs:
        return "No toys of clean cases with the same samples are in both."
    lines = [f"{len(pairs)} toys of {_n_cases([row for row, _ in pairs])} clean cases in both"]
    if len(same) < len(common):
        lines.append(f"{len(common) - len(same)} toys left out: their samples are not the same")
    squares = {"log w": [(_log_w(a), _log_w(b)) for a, b in pairs]}
    for objective in _objectives([row for pair in pairs for row in pair]):
        valid = [[_is_valid(row, objective) for row in pair] for pair in pairs]
        both = [pair for pair, known in zip(pairs, valid, strict=True) if all(known)]
        counts = " before, ".join(str(count) for count in np.sum(valid, axis=0, dtype=int))
        lines.append(f"fits by {objective} that are valid: {counts} after")
        squares[f"θ by {objective}"] = [
            tuple(float((_distances(row, row["fits"][objective]) ** 2).sum()) for row in pair)
            for pair in both
        ]
    head = ["squared error of", "toys", "before", "after", "after / before", "cases alike"]
    body = []
    for what, of_toys in squares.items():
        a, b = np.array(of_toys, dtype=float).reshape(-1, 2).T
        known = np.isfinite(a) & np.isfinite(b) & (a > 0)
        a, b = a[known], b[known]
        if not len(a):
            continue
        ratio = b.sum() / a.sum()
        error = math.sqrt(np.sum((b - ratio * a) ** 2)) / a.sum()
        logs = np.log(b / a)
        alike, of_alike = math.exp(logs.mean()), logs.std() / math.sqrt(len(logs))
        body.append(
            [
                *(what, str(len(a)), f"{a.sum():.4g}", f"{b.sum():.4g}"),
                *(f"{ratio:.3f} ± {error:.3f}", f"{alike:.3f} ± {alike * of_alike:.3f}"),
            ]
        )
    return "\n\n".join(["\n".join(lines), _table(head, body), _changes(pairs)])


def _is_valid(row: Row, objective: str) -> bool:
    return objective in row["fits"] and bool(row["fits"][objective].get("valid"))


def _log_w(row: Row) -> float:
    return float(row["learning"].get("rms_log_w", math.nan)) ** 2


def _changes(pairs: list[tuple[Row, Row]]) -> str:
    """Tabulate the cases whose mean squared error of log w changes most."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for a, b in pairs:
        sums[a["case"]][0] += _log_w(a)
        sums[a["case"]][1] += _log_w(b)
    ratios = {name: b / a for name, (a, b) in sums.items() if a > 0}
    ordered = sorted(ratios, key=lambda name: -abs(math.log(ratios[name] or 1e-9)))
    body = [[name, f"{ratios[name]:.3f}"] for name in ordered]
    return _table(["case", "squared error of log w, after / before"], body)
