"""Well-formed calls of the estimators: reweighters and fitters, their parameters and methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from fuzz import kinds
from fuzz.kinds import ANY, Given
from fuzz.verdict import Entry
from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.networks import MLP

RNG = np.random.default_rng(3)
N = 200
THETA = np.repeat([0.0, 1.0, 0.5, -0.5], [N, N // 2, N // 4, N // 4])[:, None]
GEN = RNG.normal(THETA, 1.0) + np.zeros((1, 2))
GEN[:, 1] = RNG.normal(size=2 * N)
SIM = RNG.normal(size=(N, 2))
RECO = SIM[:, :1] + RNG.normal(scale=0.5, size=(N, 1))
DATA = RNG.normal(0.3, np.hypot(1, 0.5), size=(N, 1))
SETS = np.where(RNG.random((40, 4, 2)) < 0.2, np.nan, 1 + RNG.random((40, 4, 2)))
SETS[np.isnan(SETS).any(axis=2)] = np.nan
SET_THETA = np.repeat([0.0, 1.0], 20)[:, None]

FAST = {"max_epochs": 1, "refit": False, "n_folds": 1, "random_state": 0, "module": MLP}
FIT = {
    "bounds": {"mu": (-1.0, 1.0)},
    "max_evaluations": 3,
    "max_epochs": 1,
    "hidden_layer_sizes": (4,),
    "random_state": 0,
}


def log_weight(X: Any, theta: Any) -> Any:
    """Log p(x|mu)/p(x|0) of a Gaussian in the first feature."""
    x, mu = X[:, 0], np.asarray(theta)[..., 0]
    return x * mu - mu**2 / 2


@cache
def exact() -> AnalyticReweighter:
    """A fitted formula."""
    return AnalyticReweighter(log_weight, {"mu": 0.0}, theta_bounds={"mu": (-2, 2)}).fit(SIM)


@cache
def learned() -> DCTRReweighter:
    """A fitted reweighter, for a parameter named theta."""
    return DCTRReweighter(**FAST, theta_nominal=0.0, n_estimators=2).fit(GEN, THETA)


@cache
def learned_of_sets() -> DCTRReweighter:
    """A reweighter that was fitted on sets of particles."""
    options = {key: value for key, value in FAST.items() if key != "module"}
    return DCTRReweighter(**options).fit(SETS, SET_THETA)


@cache
def fitted(objective: str = "auc") -> SRGNFitter:
    """A fitted fitter."""
    return SRGNFitter(exact(), objective=objective, **FIT).fit(SIM, RECO, DATA)


@cache
def fitted_dctr() -> DCTRFitter:
    """A fitted gradient fitter."""
    return DCTRFitter(exact(), bounds={"mu": (-1.0, 1.0)}).fit(SIM, data=SIM[:, :2] + 0.3)


def entries() -> Iterator[Entry]:
    """Go through all calls of estimators."""
    yield from _reweighter_fits()
    yield from _reweighter_methods()
    yield from _fitter_fits()
    yield from _fitter_methods()
    yield from _members()


def _constructed(
    name: str, make: Callable[..., Any], usual: Mapping[str, Any], given: Mapping[str, Given]
) -> Iterator[Entry]:
    """Make an entry for each constructor parameter, which is checked by `fit`."""
    for parameter, one in given.items():
        yield Entry(
            f"{name}.__init__ {parameter}",
            lambda **changed: make(**{**usual, **changed}),
            {parameter: one},
        )


NETWORK: dict[str, Given] = {
    "hidden_layer_sizes": kinds.sizes((4,)),
    "activation": kinds.choice("relu"),
    "max_epochs": kinds.count(1).without("huge"),
    "batch_size": kinds.count(100).allowing("huge"),
    "lr": kinds.number(0.01),
    "optimizer": kinds.choice("SGD").without("upper case"),
    "lr_schedule": kinds.choice("constant"),
    "callbacks": kinds.instance(None, optional=True).without("the class", "a dict", "an array"),
    "device": kinds.choice("cpu"),
    "random_state": kinds.seed(0),
    "verbose": kinds.count(0, least=0).without("huge"),
}


def _reweighter_fits() -> Iterator[Entry]:
    def fit(X: Any, y: Any, sample_weight: Any = None, **options: Any) -> Any:
        return DCTRReweighter(**{**FAST, **options}).fit(X, y, sample_weight)

    yield Entry(
        "skdctr.DCTRReweighter.fit",
        fit,
        {
            "X": kinds.events(GEN).allowing("a column more"),
            "y": kinds.theta_rows(THETA).called("theta", "θ"),
            "sample_weight": kinds.weights(np.ones(2 * N)),
        },
    )

    def fit_sets(X: Any) -> Any:
        return DCTRReweighter(max_epochs=1, refit=False, random_state=0).fit(X, SET_THETA)

    yield Entry("skdctr.DCTRReweighter.fit sets", fit_sets, {"X": kinds.sets(SETS, fitted=True)})
    network = {key: value for key, value in NETWORK.items() if key != "module"}
    yield from _constructed(
        "skdctr.DCTRReweighter",
        lambda **options: fit(GEN, THETA, **options),
        {"hidden_layer_sizes": (4,)},
        {
            "theta_nominal": kinds.point(np.array([0.0]), "theta").allowing("None"),
            "theta_bounds": kinds.bounds({"theta": (-1.0, 2.0)}),
            "theta_scale": kinds.choice("linear"),
            "n_estimators": kinds.count(1).without("huge"),
            "refit": kinds.flag(False),
            "n_folds": kinds.count(1).allowing("huge"),
            "patience": kinds.count(1, optional=True).allowing("huge"),
            "validation_fraction": kinds.number(0.1, zero=ANY),
            "module": kinds.instance(MLP, optional=True).without("the class"),
            **network,
        },
    )

    def fit_exact(X: Any = SIM, sample_weight: Any = None, **options: Any) -> Any:
        given = {"log_weight": log_weight, "theta_nominal": {"mu": 0.0}, "theta_bounds": None}
        reweighter = AnalyticReweighter(**{**given, **options}).fit(X, None, sample_weight)
        return reweighter, reweighter.predict_log_weights(X, 0.5)

    yield Entry(
        "skdctr.AnalyticReweighter.fit",
        fit_exact,
        {
            "X": kinds.events(SIM, paired=False).allowing("huge").without("a column more"),
            "sample_weight": kinds.weights(np.ones(N)),
        },
    )
    yield from _constructed(
        "skdctr.AnalyticReweighter",
        fit_exact,
        {},
        {
            "log_weight": kinds.function(log_weight, optional=True).without("None"),
            "theta_nominal": kinds.point(np.array([0.0]), "mu")
            .without(
                "far away", "unknown name", "another name", "Series without the name", "one more"
            )
            .allowing("huge"),
            # Without bounds the range is infinite.
            "theta_bounds": kinds.bounds({"mu": (-1.0, 2.0)}).without("None"),
        },
    )

    def fit_tilt(X: Any, sample_weight: Any) -> Any:
        reweighter = AnalyticReweighter().fit(X, None, sample_weight)
        return reweighter, reweighter.predict_weights(X, [0.1, 0.2])

    yield Entry(
        "skdctr.AnalyticReweighter.fit tilt",
        fit_tilt,
        {
            "X": kinds.events(SIM).allowing("one row", "two rows").without("a column more"),
            "sample_weight": kinds.weights(np.ones(N)),
        },
    )


def _reweighter_methods() -> Iterator[Entry]:
    for name, make, parameter in (
        ("DCTRReweighter", learned, "theta"),
        ("AnalyticReweighter", exact, "mu"),
    ):
        X = kinds.known_events(SIM)
        theta = kinds.point(np.array([0.5]), parameter)
        near = theta.allowing("huge", "far away")

        def call(method: str, make: Any = make) -> Callable[..., Any]:
            return getattr(make(), method)

        for method in ("predict_log_weights", "predict_weights", "log_weight_gradient"):
            yield Entry(f"skdctr.{name}.{method}", call(method), {"X": X, "theta": theta})
        yield Entry(
            f"skdctr.{name}.predict_weights normalize",
            call("predict_weights"),
            {"X": kinds.known_events(SIM), "theta": theta, "normalize": kinds.flag(True)},
        )
        yield Entry(
            f"skdctr.{name}.expected_auc",
            call("expected_auc"),
            {
                "X": kinds.events(SIM).allowing("two rows", "fewer rows", "one row"),
                "theta": theta,
            },
        )
        yield Entry(
            f"skdctr.{name}.expected_auc weights",
            lambda call=call, **given: call("expected_auc")(X=SIM, theta=0.5, **given),
            {"sample_weight": kinds.weights(np.ones(N))},
        )
        for method in ("predict_log_weights", "predict_weights"):
            yield Entry(
                f"skdctr.{name}.{method} out",
                lambda call=call, method=method, **given: call(method)(X=SIM, theta=0.5, **given),
                {"out": kinds.instance(np.empty(N), optional=True).without("the class")},
            )
        checked = {"X": kinds.instance(SIM).called("X (sim_gen)").without("the class")}

        def bind(X: Any, make: Any = make) -> Any:
            return make().bind(X).log_weights(np.array([0.5]))

        yield Entry(f"skdctr.{name}.bind", bind, checked)
        yield Entry(
            f"skdctr.{name}.unseen_folds",
            call("unseen_folds"),
            {"X": kinds.instance(SIM).without("the class")},
        )
        yield Entry(f"skdctr.{name}.unsupported", call("unsupported"), {"theta": near})
    for name, make, parameter, method in (
        ("DCTRReweighter", learned, "theta", "predict_log_weight_spread"),
        ("AnalyticReweighter", exact, "mu", "predict_log_weight_spread"),
        ("DCTRReweighter", learned, "theta", "network_inputs"),
    ):
        theta = kinds.point(np.array([0.5]), parameter)
        yield Entry(
            f"skdctr.{name}.{method}",
            lambda make=make, method=method, **given: getattr(make(), method)(**given),
            {"X": kinds.known_events(SIM), "theta": theta},
        )
    yield Entry(
        "skdctr.DCTRReweighter.predict_log_weights out_of_fold",
        lambda **given: learned().predict_log_weights(GEN, 0.5, **given),
        {"out_of_fold": kinds.flag(False)},
    )
    yield Entry(
        "skdctr.DCTRReweighter.score",
        lambda **given: learned().score(**given),
        {
            "X": kinds.events(GEN),
            "y": kinds.theta_rows(THETA).called("theta", "θ"),
            "sample_weight": kinds.weights(np.ones(2 * N)),
        },
    )
    yield Entry(
        "skdctr.DCTRReweighter.predict_weights sets",
        lambda **given: learned_of_sets().predict_weights(theta=1.0, **given),
        {"X": kinds.sets(SETS).allowing("one event", "fewer events")},
    )

    def set_params(**params: Any) -> Any:
        return DCTRReweighter().set_params(**params).fit(GEN, THETA)

    # Any name is refused that is no parameter; values are checked by `fit`, as those above.
    yield Entry("skdctr.DCTRReweighter.get_params", lambda **g: learned().get_params(**g), {})
    yield Entry("skdctr.DCTRReweighter.set_params", set_params, {})
    yield Entry("skdctr.SRGNFitter.get_params", lambda: SRGNFitter().get_params(), {})
    yield Entry("skdctr.SRGNFitter.set_params", lambda: SRGNFitter().set_params(lr=0.1), {})


def _samples(*, y: bool = True) -> dict[str, Given]:
    given = {"X": kinds.events(SIM).called("sim_gen").allowing("a column more")}
    if y:
        given["y"] = kinds.events(RECO).called("sim_reco").allowing("None", "a column more")
    return {
        **given,
        "sample_weight": kinds.weights(np.ones(N)),
        "data_weight": kinds.weights(np.ones(N)),
    }


def _fitter_fits() -> Iterator[Entry]:
    def fit(
        X: Any = SIM,
        y: Any = RECO,
        data: Any = DATA,
        reweighter: Any = None,
        gen: Any = None,
        theta: Any = None,
        gen_weight: Any = None,
        sample_weight: Any = None,
        data_weight: Any = None,
        **options: Any,
    ) -> Any:
        reweighter = exact() if reweighter is None and gen is None else reweighter
        return SRGNFitter(reweighter, **{**FIT, **options}).fit(
            X,
            y,
            data,
            gen=gen,
            theta=theta,
            gen_weight=gen_weight,
            sample_weight=sample_weight,
            data_weight=data_weight,
        )

    data = kinds.events(DATA).allowing("None", "fewer rows").refusing("one row", "two rows")
    yield Entry("skdctr.SRGNFitter.fit", fit, {**_samples(), "data": data})
    generated = {
        "gen": kinds.events(GEN).called("X"),
        "theta": kinds.theta_rows(THETA).called("y", "θ"),
        "gen_weight": kinds.weights(np.ones(2 * N)).called("sample_weight"),
    }

    def fit_generator(**given: Any) -> Any:
        return fit(reweighter=DCTRReweighter(**FAST), bounds=None, **given)

    yield Entry("skdctr.SRGNFitter.fit gen", fit_generator, generated)

    def fit_observable(**given: Any) -> Any:
        return fit(objective="optimal_observable", **given)

    yield Entry(
        "skdctr.SRGNFitter.fit optimal_observable", fit_observable, {**_samples(), "data": data}
    )

    def fit_score_free(X: Any) -> Any:
        return SRGNFitter(learned_of_sets(), max_evaluations=3, max_epochs=1).fit(X, None, SETS)

    search = {
        "bounds": kinds.bounds({"mu": (-1.0, 1.0)}),
        "constraints": kinds.constraints({"mu": (0.0, 1.0)}).allowing("None"),
    }
    yield from _constructed(
        "skdctr.SRGNFitter",
        fit,
        {},
        {
            "reweighter": kinds.instance(exact(), optional=True),
            "objective": kinds.choice("auc"),
            "search": kinds.choice("surrogate"),
            **search,
            "max_evaluations": kinds.count(3, least=2, optional=True).allowing("huge"),
            "n_folds": kinds.count(2, least=2),
            "n_runs": kinds.count(1).without("huge"),
            "module": kinds.instance(MLP, optional=True).without("the class"),
            "n_jobs": kinds.count(1, optional=True).allowing("negative", "huge"),
            **NETWORK,
        },
    )
    yield from _constructed(
        "skdctr.SRGNFitter",
        lambda **given: fit(search="scan", max_evaluations=None, **given),
        {"n_points": 3},
        {"n_points": kinds.count(3, least=3).without("huge")},
    )
    yield from _constructed(
        "skdctr.SRGNFitter",
        lambda **given: fit(search="powell", **given),
        {},
        {"max_iter": kinds.count(2).allowing("huge"), "tol": kinds.number(0.1)},
    )

    def fit_gradient(
        X: Any = SIM, data: Any = SIM + 0.3, sample_weight: Any = None, **options: Any
    ) -> Any:
        data_weight = options.pop("data_weight", None)
        given = {"reweighter": exact(), "bounds": {"mu": (-1.0, 1.0)}, "random_state": 0}
        return DCTRFitter(**{**given, **options}).fit(
            X, None, data, sample_weight=sample_weight, data_weight=data_weight
        )

    yield Entry(
        "skdctr.DCTRFitter.fit",
        fit_gradient,
        {
            **_samples(y=False),
            "data": kinds.events(SIM + 0.3)
            .allowing("None", "fewer rows", "two rows")
            .refusing("one row"),
        },
    )
    yield from _constructed(
        "skdctr.DCTRFitter",
        fit_gradient,
        {},
        {
            "reweighter": kinds.instance(exact(), optional=True).without("None"),
            "solver": kinds.choice("lbfgs"),
            "bounds": search["bounds"],
            "max_iter": kinds.count(50).allowing("huge"),
            "tol": kinds.number(1e-3),
            "random_state": kinds.seed(0),
            "verbose": kinds.count(0, least=0).without("huge"),
        },
    )
    yield from _constructed(
        "skdctr.DCTRFitter",
        lambda **given: fit_gradient(solver="adam", max_iter=3, **given),
        {},
        {"lr": kinds.number(0.05)},
    )

    def fit_gradient_generator(**given: Any) -> Any:
        return DCTRFitter(DCTRReweighter(**FAST)).fit(SIM, data=SIM + 0.3, **given)

    yield Entry("skdctr.DCTRFitter.fit gen", fit_gradient_generator, generated)


def _fitter_methods() -> Iterator[Entry]:
    level = kinds.number(0.6827)
    level = Given(
        level.value,
        {**level.kinds, "one": (kinds.REFUSED, lambda x: 1.0), "two": (kinds.REFUSED, lambda x: 2)},
    )
    names = Given("mu", {**kinds.names(["mu"]).kinds, **kinds.choice("mu", optional=True).kinds})
    names = names.without("an array", "misspelt", "upper case")
    for objective in ("auc", "optimal_observable"):
        yield Entry(
            f"skdctr.SRGNFitter.confidence_interval {objective}",
            lambda objective=objective, **given: fitted(objective).confidence_interval(**given),
            {
                "name": names.without("twice", "one unknown", "of None", "nested"),
                "level": level.refusing("huge"),
                "method": kinds.choice("profile"),
            },
        )
    yield Entry(
        "skdctr.SRGNFitter.expected_covariance",
        lambda **given: fitted().expected_covariance(**given),
        {"theta": kinds.point(np.array([0.3]), "mu"), "n_events": kinds.number(1000.0)},
    )
    score = {
        **_samples(),
        "data": kinds.events(DATA).allowing("None", "fewer rows").refusing("one row", "two rows"),
    }
    score["y"] = score["y"].refusing("None", "a column more")
    yield Entry("skdctr.SRGNFitter.score", lambda **given: fitted().score(**given), score)
    yield Entry(
        "skdctr.DCTRFitter.score",
        lambda **given: fitted_dctr().score(**given),
        {
            **_samples(y=False),
            "data": kinds.events(SIM + 0.3).allowing("None", "fewer rows", "two rows"),
        },
    )


def _members() -> Iterator[Entry]:
    member_seed = kinds.seed(5).without("RandomState", "None")
    inputs = {
        "a list": (kinds.REFUSED, lambda x: [GEN]),
        "None": (kinds.REFUSED, lambda x: None),
        "a number": (kinds.REFUSED, lambda x: 3),
        "an unknown name": (kinds.REFUSED, lambda x: {**x, "nonsense": GEN}),
        "empty": (kinds.REFUSED, lambda x: {}),
    }
    for name, make, given in (
        ("DCTRReweighter", lambda: DCTRReweighter(**FAST), {"X": GEN, "y": THETA}),
        (
            "SRGNFitter",
            lambda: SRGNFitter(exact(), **FIT),
            {"X": SIM, "y": RECO, "data": DATA},
        ),
    ):

        def fit_member(make: Any = make, given: Any = given, **arguments: Any) -> Any:
            return make().fit_member(**{"number": 0, "seed": 5, "inputs": given, **arguments})

        yield Entry(
            f"skdctr.{name}.fit_member",
            fit_member,
            {
                "number": kinds.count(0, least=0).without("huge"),
                "seed": member_seed,
                "inputs": Given(given, inputs),
            },
        )

        def assemble(
            members: Any, make: Any = make, given: Any = given, fit_member: Any = fit_member
        ) -> Any:
            made = members if members != "made" else [fit_member()]
            return make().assemble(made, given)

        yield Entry(
            f"skdctr.{name}.assemble",
            assemble,
            {
                "members": Given(
                    "made",
                    {
                        "an empty list": (kinds.REFUSED, lambda x: []),
                        "None": (kinds.REFUSED, lambda x: None),
                        "of numbers": (kinds.REFUSED, lambda x: [3]),
                        "a number": (kinds.REFUSED, lambda x: 3),
                    },
                )
            },
        )
