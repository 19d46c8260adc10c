"""Well-formed calls of metrics, inference, closure, coverage, campaigns and results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import kinds
from fuzz.estimators import FAST, GEN, RNG, SIM, THETA, N, exact, fitted
from fuzz.kinds import ANY, REFUSED, Given, Unknown
from fuzz.verdict import Entry
from skdctr import DCTRReweighter
from skdctr.campaign import fit_ensemble, read_manifest
from skdctr.closure import classifier_test, closure_report
from skdctr.coverage import read_toys, run_toys
from skdctr.inference import ChiSquare
from skdctr.metrics import (
    auc_placements,
    effective_sample_size,
    histogram_chi2,
    pareto_tail_index,
    weighted_auc,
)
from skdctr.results import round_to_error

SCORE, OTHER = RNG.normal(size=150), RNG.normal(0.3, size=150)


def entries() -> Iterator[Entry]:
    """Go through all calls."""
    yield from _metrics()
    yield from _inference()
    yield from _closure()
    yield from _coverage()
    yield from _campaign()
    yield Entry(
        "skdctr.results.round_to_error",
        round_to_error,
        {
            "value": kinds.number(1.0, negative=ANY, zero=ANY).allowing(
                "NaN", "infinite", "minus infinite"
            ),
            "error": kinds.number(0.1, zero=ANY).allowing(
                "NaN", "infinite", "minus infinite", "negative"
            ),
        },
    )


def _metrics() -> Iterator[Entry]:
    vector = kinds.vector(SCORE)
    weight = kinds.weights(np.ones(150))
    scores = {
        "score_positive": kinds.vector(OTHER),
        "score_negative": vector,
        "weight_positive": weight,
        "weight_negative": weight,
    }
    yield Entry("skdctr.metrics.auc_placements", auc_placements, scores)
    yield Entry(
        "skdctr.metrics.weighted_auc", weighted_auc, {**scores, "return_error": kinds.flag(True)}
    )
    positive = kinds.vector(1 + RNG.random(150))
    yield Entry(
        "skdctr.metrics.effective_sample_size",
        effective_sample_size,
        {"weights": positive.refusing("zeros")},
    )
    # Of fewer than a hundred weights there is no index, as documented.
    yield Entry(
        "skdctr.metrics.pareto_tail_index",
        pareto_tail_index,
        {"weights": positive.without("one row", "two rows", "constant", "zeros", "booleans")},
    )
    edges = np.linspace(-3, 3, 7)
    samples = {
        "target": kinds.vector(OTHER),
        "sample": vector,
        "weight_target": weight,
        "weight_sample": weight,
    }
    yield Entry(
        "skdctr.metrics.histogram_chi2",
        histogram_chi2,
        {**samples, "bins": kinds.count(10, least=2).allowing("huge", "an array")},
    )
    # Two samples that share no bin have an infinite χ².
    yield Entry(
        "skdctr.metrics.histogram_chi2 edges",
        lambda **given: histogram_chi2(OTHER, SCORE, **given),
        {
            "bins": kinds.vector(edges).refusing(
                "zeros", "constant", "booleans", "one row", "two rows", "None"
            )
        },
    )
    yield Entry(
        "skdctr.metrics.histogram_chi2 range",
        lambda **given: histogram_chi2(OTHER, SCORE, **given),
        {"range": kinds.vector(np.array([-2.0, 2.0])).allowing("None", "two rows")},
    )


def _linear(theta: Any) -> Any:
    return np.asarray(theta) - np.array([1.0, 2.0])


@cache
def chi_square() -> ChiSquare:
    """A parabola of two parameters."""
    return ChiSquare(_linear, [[0.04, 0.01], [0.01, 0.09]], names=["a", "b"], theta=[1.0, 2.0])


def _inference() -> Iterator[Entry]:
    matrix = np.array([[0.04, 0.01], [0.01, 0.09]])
    low, high = np.array([-5.0, -5.0]), np.array([5.0, 5.0])

    def interval(
        residual: Any = _linear,
        covariance: Any = matrix,
        names: Any = ("a", "b"),
        theta: Any = (1.0, 2.0),
        **options: Any,
    ) -> Any:
        made = ChiSquare(residual, covariance, names=names, theta=theta, **options)
        return made.minimum(), made.covariance(), made.confidence_interval("a")

    square = kinds.vector(matrix).refusing(
        "one row", "fewer rows", "zeros", "constant", "booleans", "integers", "huge", "tiny"
    )
    square = square.without("two rows", "two columns", "pandas Series", "polars Series")
    ends = kinds.vector(low).allowing("None", "infinite", "minus infinite")
    ends = ends.without("two rows", "booleans", "half precision")
    yield Entry(
        "skdctr.inference.ChiSquare.__init__",
        interval,
        {
            "residual": kinds.function(_linear),
            "covariance": square.allowing("booleans").called("V", "residual"),
            "names": kinds.names(["a", "b"], optional=False),
            "theta": kinds.vector(np.array([1.0, 2.0]))
            .refusing("one row", "fewer rows")
            .without("two rows", "huge"),
            "low": ends.refusing("one row", "fewer rows").without("huge", "constant", "zeros"),
            "high": Given(high, ends.kinds).refusing("one row", "fewer rows").without("constant"),
            "constraints": kinds.constraints({"a": (0.0, 1.0)}),
        },
    )
    result = fitted().result_

    def from_result(result: Any = result, **options: Any) -> Any:
        made = ChiSquare.from_result(result, **options)
        return made.minimum(), made.covariance()

    yield Entry(
        "skdctr.inference.ChiSquare.from_result",
        from_result,
        {
            "result": kinds.instance(result),
            "low": kinds.vector(np.array([-3.0]))
            .without("two rows", "fewer rows", "one row")
            .allowing("None", "minus infinite"),
            "constraints": kinds.constraints({"mu": (0.0, 1.0)}),
        },
    )
    name, word = kinds.names(["a"]).kinds, kinds.choice("a", optional=False).kinds
    names = Given("a", {**{k: v for k, v in name.items() if k != "an array"}, **word})
    names = names.without("of None", "nested", "twice", "one unknown", "misspelt", "upper case")
    level = kinds.number(0.6827).refusing("huge")
    level = Given(
        level.value,
        {
            **level.kinds,
            "one": (REFUSED, lambda x: 1.0),
            "two": (REFUSED, lambda x: 2.0),
        },
    )
    method = kinds.choice("profile")
    yield Entry(
        "skdctr.inference.ChiSquare.confidence_interval",
        lambda **given: chi_square().confidence_interval(**given),
        # Without a name come the intervals of all.
        {"name": names.allowing("None"), "level": level, "method": method},
    )
    yield Entry(
        "skdctr.inference.ChiSquare.contour",
        lambda **given: chi_square().contour(**given),
        {
            "name_x": names,
            "name_y": Given("b", names.kinds),
            "level": level.allowing("a list", "an array"),
            "n_points": kinds.count(12, least=4),
            "method": method,
        },
    )
    yield Entry(
        "skdctr.inference.ChiSquare.profile",
        lambda **given: chi_square().profile(**given),
        {
            "name": names,
            "values": kinds.vector(np.array([0.5, 1.0, 1.5])).allowing("None", "0-d", "a number"),
        },
    )
    yield Entry(
        "skdctr.inference.ChiSquare.profile range",
        lambda **given: chi_square().profile("a", **given),
        {"n_points": kinds.count(5), "n_sigma": kinds.number(2.0).without("huge")},
    )
    for method in ("covariance", "minimum"):
        yield Entry(
            f"skdctr.inference.ChiSquare.{method}",
            lambda method=method: getattr(chi_square(), method)(),
            {},
        )
    yield Entry(
        "skdctr.inference.ChiSquare.__call__",
        chi_square(),
        {"theta": kinds.point(np.array([1.0, 2.5]), "a").without("huge", "far away")},
    )


def _closure() -> Iterator[Entry]:
    target = SIM + np.array([0.5, 0.0])
    weight = kinds.weights(np.ones(N))
    few = kinds.events(target).refusing("one row", "two rows").allowing("fewer rows")
    yield Entry(
        "skdctr.closure.classifier_test",
        lambda **given: classifier_test(
            **{
                "target": target,
                "sample": SIM,
                "n_folds": 2,
                "random_state": 0,
                **given,
            }
        ),
        {
            "target": few,
            "sample": Given(SIM, few.kinds),
            "weight_target": weight,
            "weight_sample": weight,
            "n_folds": kinds.count(2, least=2),
            "device": kinds.choice("cpu"),
            "random_state": kinds.seed(0),
        },
    )
    yield Entry(
        "skdctr.closure.classifier_test permutations",
        lambda **given: classifier_test(target, SIM, random_state=0, **given),
        {"n_permutations": kinds.count(1, optional=True).without("huge")},
    )
    share = kinds.number(0.01).refusing("huge")
    pair = {"first": (SIM[:, 0], target[:, 0])}
    observables: kinds.Kinds = {
        "a number": (REFUSED, lambda x: 3),
        "an object": (REFUSED, lambda x: Unknown()),
        "a string": (REFUSED, lambda x: "abc"),
        "None": (ANY, lambda x: None),
        "a list": (REFUSED, lambda x: ["first"]),
        "of numbers": (REFUSED, lambda x: {"first": 3}),
        "of one": (REFUSED, lambda x: {"first": (SIM[:, 0],)}),
        "of strings": (REFUSED, lambda x: {"first": (["abc"] * N, ["abc"] * N)}),
        "fewer rows": (REFUSED, lambda x: {"first": (SIM[1:, 0], target[:, 0])}),
        "infinite": (REFUSED, lambda x: {"first": (SIM[:, 0] * np.inf, target[:, 0])}),
        "complex": (REFUSED, lambda x: {"first": (SIM[:, 0] + 1j, target[:, 0])}),
        "dates": (REFUSED, lambda x: {"first": (SIM[:, 0].astype("M8[s]"), target[:, 0])}),
        "empty": (ANY, lambda x: {}),
    }
    yield Entry(
        "skdctr.closure.closure_report",
        lambda **given: closure_report(
            **{
                "reweighter": exact(),
                "nominal": SIM,
                "target": target,
                "theta": 0.5,
                "n_bins": 5,
                "random_state": 0,
                **given,
            }
        ),
        {
            "reweighter": kinds.instance(exact()),
            "nominal": Given(SIM, few.kinds),
            "target": few,
            "theta": kinds.point(np.array([0.5]), "mu"),
            "weight_nominal": weight,
            "weight_target": weight,
            "nominal_reco": Given(
                SIM, kinds.events(SIM).allowing("None", "one NaN", "masked", "one None").kinds
            ),
            "observables": Given(pair, observables),
            "n_bins": kinds.count(5, least=2),
            "level": share,
            # No tolerance at all is one.
            "mean_tolerance": share.allowing("None", "zero"),
            "min_effective_share": share,
            "max_weight_share": share,
            "device": kinds.choice("cpu"),
            "random_state": kinds.seed(0),
        },
    )


class Fitted:
    """What a fit of a toy gives."""

    def __init__(self, theta: float) -> None:
        self.theta, self.covariance, self.names = np.array([theta]), np.array([[0.01]]), ["mu"]


def simulate(theta: Any, random_state: int) -> float:
    """Draw one toy."""
    return float(theta[0] + 0.1 * np.random.default_rng(random_state).normal())


def fit(sample: float, random_state: int) -> Fitted:
    """Fit one toy."""
    return Fitted(sample)


def _coverage() -> Iterator[Entry]:
    function = {
        "a number": (REFUSED, lambda f: 3),
        "a string": (REFUSED, lambda f: "abc"),
        "None": (REFUSED, lambda f: None),
        "an object": (REFUSED, lambda f: Unknown()),
    }

    def toys(**given: Any) -> Any:
        return run_toys(
            **{
                "simulate": simulate,
                "fit": fit,
                "n_toys": 3,
                "theta": 0.5,
                "random_state": 0,
                **given,
            }
        )

    folder = Path(tempfile.mkdtemp())
    theta = kinds.point(np.array([0.5]), "mu").without("far away", "huge", "one more", "two rows")
    yield Entry(
        "skdctr.coverage.run_toys",
        toys,
        {
            "simulate": Given(simulate, function),
            "fit": Given(
                fit,
                {
                    **function,
                    "returns None": (REFUSED, lambda f: lambda sample, seed: None),
                    "returns a number": (REFUSED, lambda f: lambda sample, seed: 3.0),
                },
            ),
            "n_toys": kinds.count(3).without("huge"),
            "theta": theta.without("None", "a function", "unknown name", "another name").without(
                "Series without the name"
            ),
            "n_jobs": kinds.count(1, optional=True).without("negative"),
            # A numpy SeedSequence takes a seed of any size.
            "random_state": kinds.seed(0).allowing("huge"),
            "path": Given(
                None,
                {
                    "a number": (REFUSED, lambda x: 12345.5),
                    "an object": (REFUSED, lambda x: Unknown()),
                    "a folder": (REFUSED, lambda x: folder),
                    "a null character": (REFUSED, lambda x: "a\0b"),
                    "a file of something else": (REFUSED, lambda x: _garbage(folder)),
                },
            ),
            "verbose": kinds.count(0, least=0).without("huge"),
        },
    )
    path = folder / "toys.jsonl"
    toys(path=path)
    # The toys before a line that a crash has cut off are good.
    where = kinds.path(path, folder / "read").allowing("cut in half")
    yield Entry("skdctr.coverage.read_toys", read_toys, {"path": where})
    result = read_toys(path)
    name, word = kinds.names(["mu"]).kinds, kinds.choice("mu").kinds
    names = Given("mu", {**{k: v for k, v in name.items() if k != "an array"}, **word})
    yield Entry(
        "skdctr.coverage.CoverageResult.pulls",
        result.pulls,
        {"name": names.without("of None", "nested", "twice", "one unknown")},
    )
    for method in ("joint", "joint_p_values", "to_frame"):
        yield Entry(f"skdctr.coverage.CoverageResult.{method}", getattr(result, method), {})
    yield Entry(
        "skdctr.coverage.CoverageResult.from_rows",
        lambda rows: type(result).from_rows(rows, 0),
        {
            "rows": Given(
                [],
                {
                    "a number": (REFUSED, lambda x: 3),
                    "None": (REFUSED, lambda x: None),
                    "of numbers": (REFUSED, lambda x: [3]),
                    "of empty dicts": (REFUSED, lambda x: [{}]),
                },
            )
        },
    )


def _garbage(folder: Path) -> Path:
    path = folder / "garbage.txt"
    path.write_text("something else\n")
    return path


def _campaign() -> Iterator[Entry]:
    def ensemble(**given: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            usual = {
                "estimator": DCTRReweighter(**{**FAST, "n_estimators": 2}),
                "path": folder,
                "X": GEN,
                "y": THETA,
                **given,
            }
            return fit_ensemble(usual.pop("estimator"), **usual)

    yield Entry(
        "skdctr.campaign.fit_ensemble",
        ensemble,
        {
            "estimator": kinds.instance(DCTRReweighter(**{**FAST, "n_estimators": 2})).called(
                "members"
            ),
            "X": kinds.events(GEN).allowing("a column more"),
            "y": kinds.theta_rows(THETA).called("theta", "θ"),
            "n_jobs": kinds.count(1, optional=True).without("negative"),
            "verbose": kinds.count(0, least=0).without("huge"),
        },
    )
    yield Entry(
        "skdctr.campaign.fit_ensemble path",
        lambda **given: fit_ensemble(DCTRReweighter(**FAST), GEN, THETA, **given),
        {
            "path": kinds.target(Path(tempfile.mkdtemp()) / "members").without(
                "a string", "a missing folder", "a folder"
            )
        },
    )
    folder = Path(tempfile.mkdtemp()) / "members"
    fit_ensemble(DCTRReweighter(**FAST), GEN, THETA, path=folder)
    empty = Path(tempfile.mkdtemp())
    yield Entry(
        "skdctr.campaign.read_manifest",
        read_manifest,
        {
            "path": Given(
                folder,
                {
                    "an object": (REFUSED, lambda x: Unknown()),
                    "None": (REFUSED, lambda x: None),
                    "a number": (REFUSED, lambda x: 12345.5),
                    "a null character": (REFUSED, lambda x: "a\0b"),
                    "a missing folder": (REFUSED, lambda x: empty / "missing"),
                    "an empty folder": (REFUSED, lambda x: empty),
                    "a file": (REFUSED, lambda x: _garbage(empty)),
                    "a string": (kinds.SAME, str),
                },
                (str(empty),),
            )
        },
    )
