"""Tables, verdicts and the picture of `peers.py`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

Record = dict[str, Any]

OURS = "skdctr"
FIT_OURS = "skdctr, optimal observable"
PROTOCOL = "SRGN protocol"
REFERENCES = ("unweighted", "exact")
FASTER = 50.0
_MIB = 2**20
_DISCRETE = (
    "features",
    "method",
    "training",
    "prediction",
    "wall clock",
    "peak",
    "rise",
    "AUC",
    "effective",
    "error of ln w",
)
_FIT = ("method", "toys", "whole fit", "wall clock", "peak", "error of μ", "quoted")
_COLOURS = {
    "unweighted": "0.6",
    "exact": "black",
    "skdctr": "C3",
    "hep_ml": "C0",
    "omnifold": "C1",
    "sbi": "C2",
    "skorch": "C4",
    "skdctr, optimal observable": "C3",
    "skdctr, AUC": "C5",
    "SRGN protocol": "C1",
}


def latest(records: list[Record]) -> list[Record]:
    """Keep the last record of each task, in the order of the first."""
    names = ("kind", "method", "events", "features", "judged", "seed", "threads")
    return list({tuple(record[name] for name in names): record for record in records}.values())


def power(n: int) -> str:
    """Write a number of events, powers of ten as such."""
    exponent = round(math.log10(n)) if n > 0 else 0
    if 10**exponent != n:
        return f"{n:,}".replace(",", "\u202f")
    return "10" + "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(exponent))


def seconds(value: float) -> str:
    """Write a time to three digits, or to a hundredth of a second."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def trouble(record: Record) -> str:
    """Say why there is no result."""
    if record["status"] == "limit":
        return f"> {record['limit']:g} s"
    # What reStructuredText would take for markup goes, so that any message can stand in a table.
    message = re.sub(r"[`*|\\<>]|_+(?=\W|$)", " ", record.get("message", ""))
    return f"{record['status']}: {shorten(message, 60, placeholder=' …')}"


def discrete_row(record: Record) -> list[str]:
    """Write one line of a table of reweighting."""
    row = [str(record["features"]), record["method"]]
    if record["status"] != "ok":
        return [*row, *[""] * 5, trouble(record), "", ""]
    if "fit_cpu" in record:
        row += [seconds(record["fit_cpu"]), seconds(record["predict_cpu"])]
        row += [seconds(record["fit_wall"] + record["predict_wall"])]
        row += [f"{record['peak'] / _MIB:.0f}", f"{(record['peak'] - record['base']) / _MIB:.0f}"]
    else:
        row += [""] * 5
    log_error = record["log_error"]
    return [
        *row,
        f"{record['auc']:.4f} ± {record['auc_error']:.4f}",
        f"{record['effective']:.1%}",
        "" if math.isnan(log_error) else f"{log_error:.4f}",
    ]


def fit_row(toys: list[Record]) -> list[str]:
    """Write one line of a table of fits: means over the toys, root mean square of the errors."""
    good = [record for record in toys if record["status"] == "ok"]
    bad = [record for record in toys if record["status"] != "ok"]
    row = [toys[0]["method"], str(len(toys))]
    if not good:
        return [*row, "", "", "", trouble(bad[0]), ""]
    quoted = [record["quoted"] for record in good if "quoted" in record]
    return [
        *row,
        seconds(mean(good, "fit_cpu")),
        seconds(mean(good, "fit_wall")),
        f"{max(record['peak'] for record in good) / _MIB:.0f}",
        f"{rms(good):.4f}" + (f" ({len(bad)}: {trouble(bad[0])})" if bad else ""),
        f"{np.mean(quoted):.4f}" if quoted else "",
    ]


def mean(records: list[Record], name: str) -> float:
    """Average one figure."""
    return float(np.mean([record[name] for record in records]))


def rms(records: list[Record]) -> float:
    """Root mean square of the errors of fits."""
    return float(np.sqrt(np.mean([record["error"] ** 2 for record in records])))


def table(header: tuple[str, ...], rows: list[list[str]]) -> str:
    """Lay out a simple table of reStructuredText."""
    cells = [list(header), *[[cell or "\\" for cell in row] for row in rows]]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def verdicts(records: list[Record]) -> list[str]:
    """Say where ours leads, and where and by how much it does not."""
    groups: dict[tuple[str, int, int], list[Record]] = {}
    for r in records:
        if r["status"] == "ok" and r["method"] not in REFERENCES:
            groups.setdefault((r["kind"], r["events"], r["features"]), []).append(r)
    lines = []
    for (kind, events, features), rows in sorted(groups.items(), key=lambda item: item[0]):
        if kind == "discrete":
            where = f"{power(events)} events, {features} feature{'s' * (features > 1)}"
            lines += [f"{where}, {line}" for line in _leads(rows)]
        else:
            lines += [f"fit of {power(events)} events: {line}" for line in _fit_verdicts(rows)]
    return lines


def _leads(rows: list[Record]) -> list[str]:
    ours = [r for r in rows if r["method"] == OURS]
    peers = [r for r in rows if r["method"] != OURS]
    if not ours or not peers:
        return []
    lines = []
    figures: list[tuple[str, Callable[[Record], float]]] = [
        ("distance of the AUC from 0.5", lambda r: abs(r["auc"] - 0.5)),
        ("error of ln w", lambda r: r["log_error"]),
        ("CPU seconds", lambda r: r["fit_cpu"] + r["predict_cpu"]),
    ]
    for name, figure in figures:
        best = min(peers, key=figure)
        mine, theirs = figure(ours[0]), figure(best)
        verdict = "ours leads" if mine <= theirs else f"{best['method']} LEADS"
        error = math.hypot(ours[0]["auc_error"], best["auc_error"])
        if "AUC" in name and abs(mine - theirs) < error:
            verdict = "level within the errors"
        lines.append(f"{name}: {verdict}, ours {mine:.4g}, {best['method']} {theirs:.4g}")
    return lines


def _fit_verdicts(rows: list[Record]) -> list[str]:
    ours = [r for r in rows if r["method"] == FIT_OURS]
    theirs = [r for r in rows if r["method"] == PROTOCOL]
    if not ours or not theirs:
        return []
    ratio = mean(theirs, "fit_cpu") / mean(ours, "fit_cpu")
    faster = "met" if ratio >= FASTER else "MISSED"
    precise = "met" if rms(ours) < rms(theirs) else "MISSED"
    return [
        f"{ratio:.0f} times as fast as the protocol, {FASTER:g} wanted: {faster}",
        f"error {rms(ours):.4f}, below the protocol's {rms(theirs):.4f}: {precise}",
    ]


def tables(records: list[Record]) -> str:
    """Write all tables."""
    parts = []
    order = list(dict.fromkeys(r["method"] for r in records))
    for events in sorted({r["events"] for r in records if r["kind"] == "discrete"}):
        rows = [r for r in records if (r["kind"], r["events"]) == ("discrete", events)]
        rows.sort(key=lambda r: (r["features"], order.index(r["method"])))
        parts += [
            f"Reweighting, {power(events)} events of either kind:",
            table(_DISCRETE, [discrete_row(row) for row in rows]),
        ]
    for events in sorted({r["events"] for r in records if r["kind"] == "fit"}):
        rows = [r for r in records if (r["kind"], r["events"]) == ("fit", events)]
        methods = list(dict.fromkeys(row["method"] for row in rows))
        parts += [
            f"Fit of the Gaussian mean, {power(events)} events of each kind:",
            table(_FIT, [fit_row([r for r in rows if r["method"] == m]) for m in methods]),
        ]
    versions: dict[str, str] = {}
    for record in records:
        versions |= record.get("versions", {})
    if versions:
        parts.append("Versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".")
    return "\n\n".join(parts) + "\n"


def write_report(records: list[Record], docs: Path | None) -> str:
    """Return tables and verdicts; with `docs` write peers.inc and images/peers.png there too."""
    records = latest(records)
    text = tables(records)
    if docs is not None:
        (docs / "peers.inc").write_text(text)
        plot(records, docs / "images" / "peers.png")
    return text + "\n" + "\n".join(verdicts(records))


def plot(records: list[Record], path: Path) -> None:
    """Draw closure against time, a panel for each number of features, and the fit."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    good = [r for r in records if r["status"] == "ok"]
    features = sorted({r["features"] for r in good if r["kind"] == "discrete"})
    fits = [r for r in good if r["kind"] == "fit"]
    n_panels = len(features) + bool(fits)
    if not n_panels:
        return
    figure, axes = plt.subplots(
        1, n_panels, figsize=(4 * n_panels, 4.6), layout="constrained", squeeze=False
    )
    for ax in axes[0][1 : len(features)]:
        ax.sharex(axes[0][0])
        ax.sharey(axes[0][0])
    sizes = sorted({r["events"] for r in good if r["kind"] == "discrete"})
    for ax, n_features in zip(axes[0], features, strict=False):
        rows = [r for r in good if r["kind"] == "discrete" and r["features"] == n_features]
        largest = max(r["events"] for r in rows)
        for r in rows:
            marker = "os^D"[sizes.index(r["events"]) % 4]
            y = r["auc"] - 0.5
            if r["method"] in REFERENCES:
                if r["method"] == "exact" and r["events"] == largest:
                    band = 2 * r["auc_error"]
                    ax.axhspan(-band, band, color="0.9", zorder=0, label="±2 errors")
                continue
            x = r["fit_cpu"] + r["predict_cpu"]
            ax.errorbar(x, y, r["auc_error"], marker=marker, color=_COLOURS[r["method"]], ms=7)
        ax.axhline(0, color="black", lw=1)
        ax.set(
            xscale="log",
            xlabel="training and prediction [CPU s]",
            title=f"{n_features} feature{'s' * (n_features > 1)}",
        )
        ax.set_yscale("symlog", linthresh=0.01)
        # Figures at parts of a decade would overlap.
        ax.xaxis.set_minor_formatter(NullFormatter())
    if features:
        axes[0][0].set_ylabel("AUC of held-out events − ½")
        methods = dict.fromkeys(r["method"] for r in good if r["kind"] == "discrete")
        for method in methods:
            if method not in REFERENCES:
                axes[0][0].plot([], [], "o", color=_COLOURS[method], label=method)
        for size, marker in zip(sizes, "os^D", strict=False):
            axes[0][0].plot([], [], marker, color="0.5", mfc="none", label=f"{power(size)} events")
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower left", ncols=9)
    if fits:
        _plot_fits(axes[0][-1], fits)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _plot_fits(ax: Any, fits: list[Record]) -> None:
    from matplotlib.ticker import NullFormatter

    sizes = sorted({r["events"] for r in fits})
    for method in dict.fromkeys(r["method"] for r in fits):
        for size in sizes:
            toys = [r for r in fits if (r["method"], r["events"]) == (method, size)]
            if toys:
                x = [mean(toys, "fit_cpu")]
                marker = "os^D"[sizes.index(size) % 4]
                ax.loglog(x, [rms(toys)], marker, color=_COLOURS[method], ms=7)
        ax.plot([], [], "o", color=_COLOURS[method], label=method)
    for size, marker in zip(sizes, "os^D", strict=False):
        ax.plot([], [], marker, color="0.5", mfc="none", label=f"{power(size)} events")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="whole fit [CPU s]", ylabel="error of μ", title="Gaussian fit")
    ax.legend(fontsize="small")
