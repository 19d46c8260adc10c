"""Well-formed calls of the Displays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from fuzz import kinds
from fuzz.estimators import SIM, N, exact, fitted, log_weight
from fuzz.kinds import REFUSED, Given
from fuzz.others import chi_square, fit, simulate
from fuzz.verdict import Entry
from skdctr import AnalyticReweighter, SRGNFitter, plotting
from skdctr.coverage import run_toys
from skdctr.datasets import make_gaussian_2d

mpl.use("Agg")
LEVEL = kinds.vector(np.array([0.6827, 0.9545])).refusing("zeros", "huge", "integers", "booleans")
# Confidence levels: one is as good as several.
LEVEL = LEVEL.allowing("0-d", "a number").without("tiny", "two columns")


@cache
def fitted_2d() -> SRGNFitter:
    """A fit of two parameters."""
    toy = make_gaussian_2d(200, random_state=0)
    reweighter = AnalyticReweighter(
        toy.log_weight, {"mu": 0.0, "sigma": 1.0}, theta_bounds={"mu": (-2, 1), "sigma": (0.5, 1.5)}
    )
    fitter = SRGNFitter(
        reweighter, search="scan", n_points=3, hidden_layer_sizes=(4,), max_epochs=1, random_state=0
    )
    return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)


def entries() -> Iterator[Entry]:
    """Go through all calls."""
    weight = kinds.weights(np.ones(N))
    shown = {
        "feature": kinds.count(0, least=0).refusing("huge"),
        "sample_weight": weight,
        "target_weight": weight,
        "bins": kinds.count(10).allowing("an array").allowing("a list").without("huge"),
        "target_name": kinds.text("Target"),
        "xlabel": kinds.text("x"),
        "ax": kinds.axes(),
    }
    target = SIM + np.array([0.5, 0.0])
    column = kinds.events(SIM[:, :1], missing=False, paired=False).allowing("a column more")
    column = column.without("no columns")
    yield _entry(
        "ClosureDisplay.from_predictions",
        lambda **given: plotting.ClosureDisplay.from_predictions(
            **{"nominal": SIM[:, :1], "target": target[:, :1], "weights": np.ones(N), **given}
        ),
        {
            "nominal": column.refusing("one row", "two rows", "fewer rows"),
            "target": Given(target[:, :1], column.kinds),
            "weights": weight.refusing("None").allowing("dict"),
            **shown,
        },
    )
    yield _entry(
        "ClosureDisplay.from_estimator",
        lambda **given: plotting.ClosureDisplay.from_estimator(
            **{"reweighter": exact(), "X": SIM, "target": target, "theta": 0.5, **given}
        ),
        {
            "reweighter": kinds.instance(exact()),
            "X": kinds.known_events(SIM, missing=False),
            "target": kinds.known_events(target, missing=False).allowing("a column more"),
            "theta": kinds.point(np.array([0.5]), "mu"),
            "observable": kinds.events(SIM, missing=False).allowing("None", "a column more"),
            **shown,
        },
    )
    yield _entry(
        "WeightDisplay.from_estimator",
        lambda **given: plotting.WeightDisplay.from_estimator(
            **{
                "reweighter": exact(),
                "X": SIM,
                "theta": 0.5,
                "log_weight": log_weight,
                **given,
            }
        ),
        {
            "reweighter": kinds.instance(exact()),
            "X": kinds.known_events(SIM, missing=False),
            "theta": kinds.point(np.array([0.5]), "mu").without("far away", "huge"),
            "log_weight": kinds.function(log_weight),
            "ax": kinds.axes(),
        },
    )
    yield from _fits()
    toys = run_toys(simulate, fit, n_toys=20, theta=0.5, random_state=0)
    yield _entry(
        "PullDisplay.from_coverage",
        lambda **given: plotting.PullDisplay.from_coverage(**{"result": toys, **given}),
        {
            "result": kinds.instance(toys),
            "parameters": kinds.names(["mu"]).allowing("twice"),
            "labels": _labels(["μ"]),
            "bins": kinds.count(10, optional=True).without("huge"),
            "ax": kinds.axes(),
        },
    )
    yield from _plots(toys)


def _labels(value: list[str]) -> Given:
    refused: dict[str, Callable[[Any], Any]] = {
        "one more": lambda x: [*x, "c"],
        "empty": lambda x: [],
        "a number": lambda x: 3,
        "of numbers": lambda x: [3] * len(x),
    }
    return Given(value, {kind: (REFUSED, make) for kind, make in refused.items()})


def _entry(name: str, call: Callable[..., Any], given: dict[str, Given]) -> Entry:
    def draw(**arguments: Any) -> Any:
        try:
            return call(**arguments)
        finally:
            plt.close("all")

    return Entry(f"skdctr.plotting.{name}", draw, given)


def _fits() -> Iterator[Entry]:
    word = kinds.choice("mu", optional=True)
    label = {"label": kinds.text("fit"), "ax": kinds.axes()}
    xlabel = {"xlabel": kinds.text("x")}
    points = kinds.count(8, least=4).without("huge")
    result = kinds.instance(fitted().result_, optional=True)
    yield _entry(
        "ScanDisplay.from_estimator",
        lambda **given: plotting.ScanDisplay.from_estimator(**{"fitter": fitted(), **given}),
        {
            "fitter": kinds.instance(fitted()),
            "parameter": word,
            "quantity": kinds.choice("auc"),
            "result": result,
            **xlabel,
            **label,
        },
    )
    both = kinds.names(["mu", "sigma"])
    truth = kinds.vector(np.array([-1.0, 0.75])).allowing("None").refusing("one row", "fewer rows")
    truth = truth.without("two rows", "huge")
    yield _entry(
        "Scan2DDisplay.from_estimator",
        lambda **given: plotting.Scan2DDisplay.from_estimator(**{"fitter": fitted_2d(), **given}),
        {
            "fitter": kinds.instance(fitted_2d()),
            "parameters": both,
            "result": Given(fitted_2d().result_, result.kinds),
            "truth": truth,
            "labels": _labels(["a", "b"]),
            "ax": kinds.axes(),
        },
    )
    for name, source, value in (
        ("from_estimator", "fitter", fitted()),
        ("from_chi_square", "chi_square", chi_square()),
    ):
        parameter = Given(value.theta_names_[0] if source == "fitter" else "a", word.kinds)
        yield _entry(
            f"ProfileDisplay.{name}",
            lambda name=name, source=source, value=value, **given: getattr(
                plotting.ProfileDisplay, name
            )(**{source: value, **given}),
            {
                source: kinds.instance(value),
                "parameter": parameter.without("misspelt", "upper case"),
                "levels": LEVEL,
                "n_points": kinds.count(5).without("huge"),
                **xlabel,
                **label,
            },
        )
    for name, source, value in (
        ("from_estimator", "fitter", fitted_2d()),
        ("from_chi_square", "chi_square", chi_square()),
    ):
        names = ["mu", "sigma"] if source == "fitter" else ["a", "b"]
        yield _entry(
            f"ContourDisplay.{name}",
            lambda name=name, source=source, value=value, **given: getattr(
                plotting.ContourDisplay, name
            )(**{source: value, **given}),
            {
                source: kinds.instance(value),
                "parameters": Given(names, both.kinds),
                "levels": LEVEL,
                "n_points": points,
                "truth": truth,
                "labels": _labels(["a", "b"]),
                **label,
            },
        )


def _plots(toys: Any) -> Iterator[Entry]:
    """Draw again what has been computed."""
    target = SIM + np.array([0.5, 0.0])
    color = kinds.choice("red", optional=True).without("upper case", "misspelt")
    displays = {
        "ClosureDisplay": plotting.ClosureDisplay.from_predictions(
            SIM[:, 0], target[:, 0], np.ones(N)
        ),
        "WeightDisplay": plotting.WeightDisplay.from_estimator(exact(), SIM, 0.5, log_weight),
        "ScanDisplay": plotting.ScanDisplay.from_estimator(fitted()),
        "Scan2DDisplay": plotting.Scan2DDisplay.from_estimator(fitted_2d()),
        "ProfileDisplay": plotting.ProfileDisplay.from_estimator(fitted()),
        "ContourDisplay": plotting.ContourDisplay.from_chi_square(chi_square()),
        "PullDisplay": plotting.PullDisplay.from_coverage(toys),
    }
    plt.close("all")
    pair = kinds.vector(np.array([0.7, 1.3])).without("huge", "tiny", "two rows")
    pair = pair.refusing("one row", "fewer rows", "constant", "zeros")
    for name, display in displays.items():
        options: dict[str, Given] = {"ax": kinds.axes()}
        if name == "ClosureDisplay":
            options["ratio_range"] = pair
        elif name == "Scan2DDisplay":
            options["zoom"] = kinds.number(3.0, optional=True).without("huge", "tiny")
        elif name != "WeightDisplay":
            options["color"] = color
        yield _entry(f"{name}.plot", display.plot, options)
    yield _entry(
        "ScanDisplay.plot_fit",
        displays["ScanDisplay"].plot_fit,
        {"ax": kinds.axes(), "color": color},
    )
