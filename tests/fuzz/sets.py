"""Well-formed calls of preprocessing and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import awkward as ak
import numpy as np
import torch

from fuzz import kinds
from fuzz.estimators import SETS, SIM, N
from fuzz.kinds import ANY, REFUSED, SAME, Given, Unknown
from fuzz.verdict import Entry
from skdctr import networks
from skdctr.preprocessing import FeatureCoder, PackedEvents, ParticleMoments, ParticlePreprocessor

RNG = np.random.default_rng(11)
MOMENTA = np.stack(
    [1 + RNG.random((30, 4)), RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4))], axis=2
)
MOMENTA[::3, 2:] = np.nan


def entries() -> Iterator[Entry]:
    """Go through all calls."""
    yield from _coder()
    yield from _particles()
    yield from _packed()
    yield from _networks()
    yield from _packed_tensors()


def _coder() -> Iterator[Entry]:
    def fit(X: Any = SIM, sample_weight: Any = None, **options: Any) -> Any:
        coder = FeatureCoder(**options).fit(X, None, sample_weight)
        return coder.transform(X)

    yield Entry(
        "skdctr.preprocessing.FeatureCoder.fit",
        fit,
        {
            "X": kinds.events(SIM, paired=False).allowing("all NaN"),
            "sample_weight": kinds.weights(np.ones(N)).without("one row"),
        },
    )
    features: dict[str, Any] = {
        "an object": (REFUSED, lambda x: Unknown()),
        "a number": (REFUSED, lambda x: 1),
        "an unknown name": (REFUSED, lambda x: ["nonsense"]),
        "out of range": (REFUSED, lambda x: [7]),
        "negative": (REFUSED, lambda x: [-7]),
        "a fraction": (REFUSED, lambda x: [0.5]),
        "of NaN": (REFUSED, lambda x: [float("nan")]),
        "of None": (REFUSED, lambda x: [None]),
        "nested": (REFUSED, lambda x: [[0]]),
        "a string": (REFUSED, lambda x: "abc"),
        "None": (REFUSED, lambda x: None),
        "an array": (SAME, np.array),
    }
    periods = {
        "period of zero": (REFUSED, lambda x: {0: 0.0}),
        "negative period": (REFUSED, lambda x: {0: -1.0}),
        "period of NaN": (REFUSED, lambda x: {0: float("nan")}),
        "period of infinity": (REFUSED, lambda x: {0: float("inf")}),
        "period of a string": (REFUSED, lambda x: {0: "abc"}),
        "period of None": (REFUSED, lambda x: {0: None}),
    }
    atoms = {
        "of strings": (REFUSED, lambda x: ["abc"]),
        "of infinity": (REFUSED, lambda x: [float("inf")]),
        "of objects": (REFUSED, lambda x: [Unknown()]),
        "nested": (REFUSED, lambda x: [[1.0]]),
        "a number": (REFUSED, lambda x: 1.0),
        "a string": (REFUSED, lambda x: "abc"),
        "None": (REFUSED, lambda x: None),
        "an object": (REFUSED, lambda x: Unknown()),
        "of complex": (REFUSED, lambda x: [1j]),
    }
    for name, given in {
        "periodic": Given([0], {**features, **periods}),
        "categorical": Given([], features).without("an array"),
        "atoms": Given([-9.0], atoms),
    }.items():
        yield Entry(f"skdctr.preprocessing.FeatureCoder.__init__ {name}", fit, {name: given})
    coder = FeatureCoder().fit(SIM)
    yield Entry(
        "skdctr.preprocessing.FeatureCoder.transform",
        coder.transform,
        {"X": kinds.known_events(SIM, missing=False)},
    )
    yield Entry(
        "skdctr.preprocessing.FeatureCoder.get_feature_names_out",
        coder.get_feature_names_out,
        {"input_features": _names(["a", "b"])},
    )


def _names(value: list[str]) -> Given:
    refused = {
        "an object": lambda x: Unknown(),
        "a number": lambda x: 3,
        "one more": lambda x: [*x, "c"],
        "one fewer": lambda x: x[:-1],
        "a string": lambda x: "abc",
        "nested": lambda x: [x],
    }
    return Given(value, {kind: (REFUSED, make) for kind, make in refused.items()})


def _particles() -> Iterator[Entry]:
    for make in (ParticleMoments, ParticlePreprocessor):
        name = f"skdctr.preprocessing.{make.__name__}"

        def fit(X: Any = MOMENTA, make: Any = make, **options: Any) -> Any:
            return make(**options).fit(X).transform(X)

        events = kinds.sets(MOMENTA).without("all padding", "no particles", "huge", "tiny")
        events = events.allowing("one event", "fewer events", "a feature more")
        yield Entry(f"{name}.fit", fit, {"X": events})
        fitted = make().fit(MOMENTA)
        known = events.refusing("a feature more").allowing("an empty array")
        yield Entry(f"{name}.transform", fitted.transform, {"X": known})
        yield Entry(
            f"{name}.get_feature_names_out",
            fitted.get_feature_names_out,
            {"input_features": _names(["x0", "x1", "x2"])},
        )
        place = {
            "an object": (REFUSED, lambda x: Unknown()),
            "unknown": (REFUSED, lambda x: "nonsense"),
            "out of range": (REFUSED, lambda x: 7),
            "a fraction": (REFUSED, lambda x: 0.5),
            "NaN": (REFUSED, lambda x: float("nan")),
            "None": (REFUSED, lambda x: None),
            "a list": (REFUSED, lambda x: [0]),
            "another": (REFUSED, lambda x: "eta" if x == "pt" else "pt"),
            "NumPy integer": (SAME, lambda x: np.int64(["pt", "eta", "phi"].index(x))),
        }
        options = {word: Given(word, place) for word in ("pt", "eta", "phi")}
        if make is ParticlePreprocessor:
            options |= {"pt_fraction": kinds.flag(True), "center": kinds.flag(True)}
            options |= {"align": kinds.flag(True)}
        for option, given in options.items():
            yield Entry(f"{name}.__init__ {option}", fit, {option: given})


def _packed() -> Iterator[Entry]:
    name = "skdctr.preprocessing.PackedEvents"
    packed = PackedEvents.from_events(MOMENTA)
    typed = PackedEvents.from_events(
        ak.zip({"pt": ak.Array([[1.0, 2.0], [3.0]]), "pid": ak.Array([[211, 22], [13]])})
    )
    particle_type = {
        "an object": (REFUSED, lambda x: Unknown()),
        "unknown": (REFUSED, lambda x: "nonsense"),
        "out of range": (REFUSED, lambda x: 7),
        "a fraction": (REFUSED, lambda x: 0.5),
        "NaN": (REFUSED, lambda x: float("nan")),
        "a list": (REFUSED, lambda x: [0]),
        "of fractions": (REFUSED, lambda x: 0),
        "None": (ANY, lambda x: None),
    }
    dtype = {
        "a string": (REFUSED, lambda x: "abc"),
        "integers": (REFUSED, lambda x: np.int32),
        "complex": (REFUSED, lambda x: np.complex64),
        "an object": (REFUSED, lambda x: Unknown()),
        "strings": (REFUSED, lambda x: "U3"),
        "a number": (REFUSED, lambda x: 3),
    }
    yield Entry(
        f"{name}.from_events",
        PackedEvents.from_events,
        {
            "X": kinds.sets(MOMENTA)
            .allowing("one event", "fewer events", "a feature more", "all padding", "no particles")
            .without("an empty array", "tiny"),
            "particle_type": Given("auto", particle_type, ("particle type",)),
            "dtype": Given(np.float32, dtype),
        },
    )
    yield Entry(
        f"{name}.to_padded",
        packed.to_padded,
        {"n_particles": kinds.count(4, optional=True).without("huge")},
    )
    yield Entry(f"{name}.to_torch", packed.to_torch, {"device": kinds.choice("cpu")})
    yield Entry(
        f"{name}.mean_and_scale",
        packed.mean_and_scale,
        {
            "sample_weight": kinds.weights(np.ones(len(packed)))
            .refusing("one negative")
            .allowing("zeros")
        },
    )
    others = {
        "an object": (REFUSED, lambda x: Unknown()),
        "None": (REFUSED, lambda x: None),
        "a number": (REFUSED, lambda x: 3),
        "of numbers": (REFUSED, lambda x: [3]),
        "an empty list": (REFUSED, lambda x: []),
        "of arrays": (REFUSED, lambda x: [MOMENTA]),
        "of other features": (REFUSED, lambda x: [*x, typed]),
    }
    yield Entry(
        f"{name}.concatenate", PackedEvents.concatenate, {"events": Given([packed, packed], others)}
    )
    yield Entry(
        f"{name}.check_like",
        lambda known: packed.check_like(known, name="X", known_name="known"),
        {"known": kinds.instance(packed)},
    )
    yield Entry(
        f"{name}.with_features",
        packed.with_features,
        {
            "features": kinds.vector(packed.features)
            .without("two rows", "one row", "two columns", "pandas Series", "polars Series")
            .without("infinite", "minus infinite", "one NaN", "all NaN", "masked", "huge")
            .without("one None", "half precision")
            .refusing("fewer rows")
        },
    )


def _networks() -> Iterator[Entry]:
    x = torch.as_tensor(RNG.normal(size=(20, 2)), dtype=torch.float32)
    theta = torch.as_tensor(RNG.normal(size=(20, 1)), dtype=torch.float32)
    packed = PackedEvents.from_events(SETS[:20]).to_torch()
    features, parameters = kinds.count(2).without("huge"), kinds.count(1, least=0).without("huge")
    sizes = kinds.sizes((8,)).without("huge")
    phi = {"phi_sizes": sizes, "n_types": kinds.count(0, least=0).without("huge")}
    phi |= {"embedding_size": kinds.count(4).without("huge")}
    common = {"n_features": features, "n_parameters": parameters, "hidden_layer_sizes": sizes}
    common |= {"activation": kinds.choice("relu")}
    outputs = {"n_outputs": kinds.count(1, optional=True).without("huge")}
    nominal = {"theta_nominal": kinds.vector(np.zeros(1)).without("huge", "one row", "two rows")}
    terms = {
        "an object": (REFUSED, lambda t: Unknown()),
        "a number": (REFUSED, lambda t: 3),
        "a string": (REFUSED, lambda t: "abc"),
        "of numbers": (REFUSED, lambda t: [0]),
        "out of range": (REFUSED, lambda t: [(7,)]),
        "of fractions": (REFUSED, lambda t: [(0.5,)]),
        "empty terms": (REFUSED, lambda t: [()]),
    }
    separable = {
        **common,
        **nominal,
        "rank": kinds.count(2).without("huge"),
        "feature_terms": Given([(0,)], terms),
        "parameter_terms": Given([(0,)], terms),
        "further_parameter_terms": Given([(0, 0)], terms),
        "free_reference": kinds.flag(),
    }
    for name, make, given, events in (
        ("MLP", networks.MLP, {**common, **outputs}, x),
        (
            "DeepSets",
            networks.DeepSets,
            {**common, **outputs, **phi, "theta_input": kinds.choice("event")}
            | {"plain_sums": kinds.flag(True)},
            packed,
        ),
        ("SeparableNetwork", networks.SeparableNetwork, separable, x),
        (
            "SeparableDeepSets",
            networks.SeparableDeepSets,
            # Terms are those of many more sums than there are features.
            {
                **separable,
                **phi,
                "feature_terms": separable["feature_terms"].without("out of range"),
            },
            packed,
        ),
        (
            "SetEncoder",
            networks.SetEncoder,
            {key: value for key, value in common.items() if key != "hidden_layer_sizes"}
            | phi
            | {"n_parameters": Given(0, parameters.kinds), "plain_sums": kinds.flag(True)},
            packed,
        ),
    ):
        at = None if name == "SetEncoder" else theta
        usual = {key: one.value for key, one in given.items()}
        yield Entry(
            f"skdctr.networks.{name}.__init__",
            lambda make=make, events=events, at=at, **changed: _shape(make(**changed)(events, at)),
            {key: one.without(*{"NumPy integer"} & set(one.kinds)) for key, one in given.items()},
        )
        made = make(**usual)
        yield from _methods(name, made, events, at)


def _shape(values: torch.Tensor) -> list[int]:
    """The weights are random, the shape is not."""
    return list(values.shape)


def _methods(name: str, network: Any, events: Any, theta: Any) -> Iterator[Entry]:
    x = kinds.tensor(events) if isinstance(events, torch.Tensor) else kinds.instance(events)
    at = {} if theta is None else {"theta": kinds.tensor(theta)}
    given = {"x": x, **at}

    def entry(method: str, arguments: dict[str, Given]) -> Entry:
        return Entry(f"skdctr.networks.{name}.{method}", getattr(network, method), arguments)

    both = {"x": x, **at}
    if isinstance(events, torch.Tensor):
        both = {"x": x.refusing("fewer rows"), **at}
    yield entry("forward", {k: v.refusing(*{"fewer rows"} & set(v.kinds)) for k, v in both.items()})
    for method in ("event_functions", "encode", "standardise"):
        if hasattr(network, method):
            yield entry(method, {"x": given["x"]})
    if hasattr(network, "event_functions"):
        functions = network.event_functions(events).detach()
        yield entry(
            "from_functions",
            {
                "functions": kinds.tensor(functions).refusing("fewer rows"),
                "theta": kinds.tensor(theta).refusing("fewer rows"),
            },
        )
    if hasattr(network, "parameter_functions"):
        yield entry("parameter_functions", at)
        yield entry("event_coefficients", at)
        yield entry(
            "log_ratio",
            {k: v.refusing(*{"fewer rows"} & set(v.kinds)) for k, v in both.items()},
        )


def _packed_tensors() -> Iterator[Entry]:
    packed = PackedEvents.from_events(MOMENTA).to_torch()
    values = torch.as_tensor(RNG.normal(size=(len(packed.features), 2)), dtype=torch.float32)

    def entry(method: str, call: Callable[..., Any], given: dict[str, Given]) -> Entry:
        return Entry(f"skdctr.networks.PackedTensors.{method}", call, given)

    yield entry(
        "concatenate",
        networks.PackedTensors.concatenate,
        {
            "parts": Given(
                [packed, packed],
                {
                    "an empty list": (REFUSED, lambda x: []),
                    "None": (REFUSED, lambda x: None),
                    "of numbers": (REFUSED, lambda x: [3]),
                },
            )
        },
    )
    yield entry(
        "index_select",
        lambda rows, dim: packed.index_select(dim, rows),
        {
            "rows": Given(
                torch.tensor([0, 2]),
                {
                    "out of range": (REFUSED, lambda x: torch.tensor([10**6])),
                    "of fractions": (REFUSED, lambda x: torch.tensor([0.5])),
                    "None": (REFUSED, lambda x: None),
                    "a string": (REFUSED, lambda x: "abc"),
                },
            ),
            "dim": Given(0, {"one": (REFUSED, lambda x: 1), "None": (REFUSED, lambda x: None)}),
        },
    )
    yield entry(
        "split", lambda size: list(packed.split(size)), {"size": kinds.count(10).allowing("huge")}
    )
    yield entry(
        "sum_particles",
        packed.sum_particles,
        {"values": kinds.tensor(values).refusing("fewer rows").without("a column more")},
    )
