"""Well-formed calls of the example samples: Gaussians, jets of Pythia and the top quark mass."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd

from fuzz import kinds
from fuzz.kinds import ANY, REFUSED, Given, Kinds, Unknown
from fuzz.verdict import Entry
from skdctr import datasets
from skdctr.datasets.top_mass.detector import TrueEvents

RNG = np.random.default_rng(7)
FOLDER = Path(tempfile.mkdtemp())
X = RNG.normal(size=(50, 1))
X2 = RNG.normal(size=(50, 2))


def entries() -> Iterator[Entry]:
    """Go through all calls."""
    yield from _gaussian()
    yield from _pythia()
    yield from _observables()
    yield from _loaded()


def _gaussian() -> Iterator[Entry]:
    size = kinds.count(20, optional=True)
    for make, name in (
        (datasets.make_gaussian, "mu"),
        (datasets.make_gaussian_2d, "mu"),
        (datasets.make_dependent_detector, "mu"),
    ):
        # Bounds of the other parameter are as they are.
        bounds = kinds.bounds({name: (-1.0, 1.0)})
        if make is datasets.make_gaussian_2d:
            bounds = Given({"mu": (-2.0, 0.0), "sigma": (0.5, 2.0)}, bounds.kinds)
            bounds = bounds.without("in order", "an array")
        # Any mean is possible, but samples of 1e300 are not of finite moments.
        number = kinds.number(0.5, negative=ANY, zero=ANY)
        options = {
            "mu": number,
            "n_gen": size,
            "n_sim": size,
            "n_data": size,
            "bounds": bounds.without("flat"),
            "as_frame": kinds.flag(),
            "random_state": kinds.seed(),
        }
        if make is not datasets.make_dependent_detector:
            options["epsilon"] = kinds.number(0.5, zero=ANY)
        if make is datasets.make_gaussian_2d:
            options["sigma"] = kinds.number(0.75)
        yield Entry(
            f"skdctr.datasets.{make.__name__}",
            lambda make=make, **given: _without_function(
                make(**{"n_events": 20, "random_state": 0, **given})
            ),
            {"n_events": kinds.count(20), **options},
        )
    rows = kinds.known_events(X)
    two = kinds.known_events(X2)
    # Formulas of arrays and tensors alike: values that are not finite go through them.
    passing = ("infinite", "minus infinite", "all NaN", "one NaN", "masked", "one None", "huge")
    for function, given, theta in (
        (datasets.gaussian_log_weight, rows, [0.5]),
        (datasets.gaussian_2d_log_weight, rows, [0.5, 0.8]),
        (datasets.dependent_detector_log_weight, two, [1.5]),
        (datasets.dependent_detector_log_weight_primary, rows, [1.5]),
    ):
        at = kinds.point(np.array(theta), "mu").without(
            "one NaN", "masked", "huge", "far away", "one None", "infinite", "minus infinite"
        )
        yield Entry(
            f"skdctr.datasets.{function.__name__}",
            function,
            {
                # No events have no weights; values of theta count in their order.
                "X": given.without(*passing, "a column more").allowing(
                    "an empty array", "duplicate names"
                ),
                "theta": at.without("two rows").allowing("Series without the name"),
            },
        )


def _without_function(bunch: Any) -> Any:
    return {key: value for key, value in bunch.items() if not callable(value)}


def _pythia() -> Iterator[Entry]:
    size = kinds.count(2, optional=True)
    common = {
        "n_events": kinds.count(2),
        "events_per_theta": kinds.count(2).allowing("huge"),
        # As many processes as cores are started in seconds that say nothing.
        "n_jobs": kinds.count(1, optional=True).without("negative"),
        "random_state": kinds.seed(),
        "cache": kinds.flag(False),
        "verbose": kinds.count(0, least=0).without("huge"),
    }
    value = kinds.number(0.14).refusing("huge", "tiny")
    quick = {"cache": False, "random_state": 0}
    observables = kinds.names(["multiplicity", "n_kaons"])
    yield Entry(
        "skdctr.datasets.make_parton_shower",
        lambda **given: datasets.make_parton_shower(**{"n_events": 2, **quick, **given}),
        {
            **common,
            "alphaS": value,
            "jets_per_event": kinds.count(1).refusing("huge"),
            "observables": observables,
            "constituents": kinds.flag(),
        },
    )
    numbers = kinds.number(0.7, zero=ANY).refusing("huge").kinds
    for name, nominal in (("aLund", 0.7), ("probStoUD", 0.2)):
        yield Entry(
            f"skdctr.datasets.make_parton_shower {name}",
            lambda **given: datasets.make_parton_shower(**{"n_events": 2, **quick, **given}),
            {name: Given(nominal, numbers)},
        )
    yield Entry(
        "skdctr.datasets.make_parton_shower_tuning",
        lambda **given: datasets.make_parton_shower_tuning(**{"n_events": 2, **quick, **given}),
        {
            **common,
            "vary": kinds.names(["alphaS"], optional=False),
            "target": _targets({"alphaS": 0.13}),
            "bounds": kinds.bounds({"alphaS": (0.11, 0.17)}).without("in order", "an array"),
            "n_gen": size,
            "n_sim": size,
            "n_data": size,
            "observables": observables,
            "constituents": kinds.flag(),
        },
    )
    mass = kinds.number(172.5).refusing("huge", "tiny")
    detector = kinds.instance(datasets.ParametricDetector(), optional=False)
    yield Entry(
        "skdctr.datasets.make_top_mass_events",
        lambda **given: datasets.make_top_mass_events(**{"n_events": 2, **quick, **given}),
        {**common, "mt": mass, "detector": detector},
    )
    yield Entry(
        "skdctr.datasets.make_top_mass",
        lambda **given: datasets.make_top_mass(**{"n_events": 2, **quick, **given}),
        {
            **common,
            "mt": mass,
            "bounds": _pair((170.0, 176.0)),
            "level": kinds.choice("paired"),
            "jet_scale": kinds.number(1.01).without("huge", "tiny"),
            "detector": detector,
            "n_gen": size,
            "n_sim": size,
            "n_data": size,
        },
    )


def _pair(value: tuple[float, float]) -> Given:
    refused = {
        "an object": lambda x: Unknown(),
        "a string": lambda x: "abc",
        "None": lambda x: None,
        "a number": lambda x: 172.0,
        "one end": lambda x: x[:1],
        "three ends": lambda x: (*x, x[1]),
        "reversed": lambda x: x[::-1],
        "equal": lambda x: (x[0], x[0]),
        "of NaN": lambda x: (float("nan"), x[1]),
        "of infinity": lambda x: (x[0], float("inf")),
        "of strings": lambda x: ("abc", "def"),
        "of None": lambda x: (None, x[1]),
        "negative": lambda x: (-x[1], -x[0]),
        "a dict": lambda x: {"mt": x},
    }
    kinds_: Kinds = {kind: (REFUSED, make) for kind, make in refused.items()}
    return Given(value, {**kinds_, "a list": (kinds.SAME, list)})


def _targets(value: dict[str, float]) -> Given:
    refused = {
        "an object": lambda x: Unknown(),
        "a string": lambda x: "abc",
        "a list": lambda x: [0.13],
        "a number": lambda x: 0.13,
        "of NaN": lambda x: {"alphaS": float("nan")},
        "of infinity": lambda x: {"alphaS": float("inf")},
        "of strings": lambda x: {"alphaS": "abc"},
        "of None": lambda x: {"alphaS": None},
        "negative": lambda x: {"alphaS": -1.0},
        "unknown name": lambda x: {"nonsense": 0.13},
        "no name": lambda x: {3: 0.13},
        "of lists": lambda x: {"alphaS": [0.12, 0.13]},
    }
    kinds_: Kinds = {kind: (REFUSED, make) for kind, make in refused.items()}
    return Given(value, {**kinds_, "None": (ANY, lambda x: None)})


@cache
def _jets() -> tuple[ak.Array, ak.Array, ak.Array]:
    n = 30
    jets = {
        "pt": RNG.exponential(50, (n, 6)) + 20,
        "eta": RNG.normal(size=(n, 6)),
        "phi": RNG.uniform(-3, 3, (n, 6)),
        "mass": np.ones((n, 6)),
        "btag": np.tile([1, 1, 0, 0, 0, 0], (n, 1)),
    }
    lists = ak.zip({name: ak.from_regular(ak.Array(values)) for name, values in jets.items()})
    one = {"pt": RNG.exponential(30, n) + 20, "eta": RNG.normal(size=n), "phi": RNG.normal(size=n)}
    muon = ak.zip(one)
    return lists, muon, ak.zip({"pt": one["pt"], "phi": -one["phi"]})


def _records(value: ak.Array, field: str) -> Given:
    """Records of awkward."""

    def changed(values: Any) -> Any:
        return lambda x: ak.with_field(x, values, field)

    kinds_: Kinds = {
        "an object": (REFUSED, lambda x: Unknown()),
        "None": (REFUSED, lambda x: None),
        "a number": (REFUSED, lambda x: 3.0),
        "a string": (REFUSED, lambda x: "abc"),
        "a list": (REFUSED, lambda x: [1.0, 2.0]),
        "an array": (REFUSED, lambda x: np.ones((len(x), 3))),
        "a dict": (REFUSED, lambda x: {"pt": 1.0}),
        "a field missing": (REFUSED, lambda x: x[[f for f in x.fields if f != field]]),
        "no records": (REFUSED, lambda x: x[field]),
        "fewer events": (REFUSED, lambda x: x[:-1]),
        "strings": (REFUSED, changed("abc")),
        "infinite": (REFUSED, changed(np.inf)),
        "complex": (REFUSED, changed(1 + 1j)),
    }
    return Given(value, kinds_)


def _observables() -> Iterator[Entry]:
    jets, muon, missing = _jets()
    cut = kinds.number(20.0, zero=ANY, negative=ANY).allowing("infinite")
    yield Entry(
        "skdctr.datasets.top_mass_observables",
        datasets.top_mass_observables,
        {
            "jets": _records(jets, "pt"),
            "muon": _records(muon, "pt"),
            "neutrino": _records(missing, "pt"),
            "min_jet_pt": cut.without("huge", "infinite"),
            "max_b_eta": kinds.number(2.5).allowing("infinite").without("zero", "negative", "tiny"),
            "overlap": kinds.number(0.4, zero=ANY).without("infinite", "huge"),
            "w_mass": kinds.number(80.4).without("tiny", "huge"),
        },
    )
    factor = kinds.number(1.01).without("huge", "tiny", "an array").without("a list")
    yield Entry(
        "skdctr.datasets.scale_jets",
        datasets.scale_jets,
        {"jets": _records(jets, "pt"), "missing": _records(missing, "pt"), "factor": factor},
    )
    masses = pd.DataFrame(
        100 + 50 * RNG.random((20, 4)), columns=["m_b1munu", "m_b2munu", "m_b1j1j2", "m_b2j1j2"]
    )
    yield Entry(
        "skdctr.datasets.scale_observables",
        datasets.scale_observables,
        {
            "observables": Given(
                masses,
                {
                    "an object": (REFUSED, lambda x: Unknown()),
                    "None": (REFUSED, lambda x: None),
                    "an array": (REFUSED, lambda x: x.to_numpy()),
                    "a dict": (REFUSED, dict),
                    "a column missing": (REFUSED, lambda x: x.iloc[:, 1:]),
                    "strings": (REFUSED, lambda x: x.assign(m_b1munu="abc")),
                    "duplicate names": (REFUSED, lambda x: pd.concat([x, x], axis=1)),
                    "infinite": (REFUSED, lambda x: x.assign(m_b1munu=np.inf)),
                    "complex": (REFUSED, lambda x: x.assign(m_b1munu=1j)),
                },
            ),
            "factor": factor,
            "w_mass": kinds.number(80.4).without("huge", "tiny"),
        },
    )
    momenta = {
        name: kinds.vector(value, paired=True).without("one NaN", "all NaN", "masked", "one None")
        for name, value in {
            "muon_pt": 20 + RNG.random(10),
            "muon_eta": RNG.normal(size=10),
            "muon_phi": RNG.normal(size=10),
            "missing_pt": 20 + RNG.random(10),
            "missing_phi": RNG.normal(size=10),
        }.items()
    }
    # One number stands for all events; where there is no solution the result is NaN.
    momenta = {
        name: given.without("0-d", "a number", "one row", "huge", "zeros", "booleans", "integers")
        for name, given in momenta.items()
    }
    yield Entry(
        "skdctr.datasets.neutrino_pz",
        datasets.neutrino_pz,
        {**momenta, "w_mass": kinds.number(80.4).without("huge", "tiny")},
    )
    particles = np.concatenate(
        [1 + RNG.random((20, 5, 1)), RNG.normal(size=(20, 5, 2)), np.full((20, 5, 1), 211.0)],
        axis=2,
    )
    yield Entry(
        "skdctr.datasets.jet_observables",
        datasets.jet_observables,
        {
            "constituents": kinds.sets(particles)
            .allowing("one event", "fewer events", "all padding", "no particles")
            .without("huge", "tiny", "an empty array"),
            "names": kinds.names(["multiplicity", "n_kaons"]),
            # As many processes as cores are started in seconds that say nothing.
            "n_jobs": kinds.count(1, optional=True).without("negative"),
        },
    )
    # Smeared by a resolution of 10³⁰⁰ nothing is finite.
    seen = {
        "jet_stochastic": kinds.number(0.9, zero=ANY),
        "muon_efficiency": kinds.number(0.9, zero=ANY).refusing("huge"),
        "muon_eta": kinds.vector(np.array([0.5, 1.5, 2.4])).refusing("one row", "two rows"),
    }
    events = TrueEvents(
        np.repeat(np.arange(4), 2),
        20 + RNG.random((4, 8)),
        20 + RNG.random((3, 4)),
        np.zeros(4),
        1 + RNG.random((3, 4)),
    )
    instance = kinds.instance(events)
    yield Entry(
        "skdctr.datasets.ParametricDetector.see",
        lambda events, rng: datasets.ParametricDetector().see(events, np.random.default_rng(rng)),
        {"events": instance, "rng": Given(0, {})},
    )
    for name, one in seen.items():
        yield Entry(
            f"skdctr.datasets.ParametricDetector.__init__ {name}",
            lambda **given: datasets.ParametricDetector(**given).see(
                events, np.random.default_rng(0)
            ),
            {name: one.without(*{"huge", "tiny"} & set(one.kinds))},
        )


def _loaded() -> Iterator[Entry]:
    yield Entry(
        "skdctr.datasets.load_top_mass",
        datasets.load_top_mass,
        {"level": kinds.choice("paired")},
    )
    home = FOLDER / "home"
    folder = home / "zenodo" / "3518708"
    folder.mkdir(parents=True)
    jets = np.zeros((4, 51, 7))
    jets[:, :3] = 0.1 + RNG.random((4, 3, 7))
    jets[:, :3, 3] = 211
    jets[..., 4:] = [0.1, 0.68, 0.217]
    np.savez(folder / "a.npz", X=jets, Y=np.array([0, 1, 1, 0]))
    fetch = {
        "file": kinds.choice("a").without("misspelt", "upper case", "empty"),
        "record": kinds.choice("parton_shower"),
        "form": kinds.choice("padded"),
        "n_events": kinds.count(2, optional=True).allowing("huge"),
        "data_home": Given(
            home,
            {
                "an object": (REFUSED, lambda x: Unknown()),
                "a number": (REFUSED, lambda x: 3.5),
                "an empty folder": (REFUSED, lambda x: FOLDER / "nothing"),
                "a null character": (REFUSED, lambda x: "a\0b"),
                "a string": (kinds.SAME, str),
            },
            (str(FOLDER),),
        ),
        "verbose": kinds.count(0, least=0).without("huge"),
    }
    yield Entry(
        "skdctr.datasets.fetch_published",
        lambda **given: datasets.fetch_published(
            **{"file": "a", "data_home": home, "download_if_missing": False, **given}
        ),
        fetch,
    )
    yield Entry(
        "skdctr.datasets.fetch_top_mass",
        lambda **given: datasets.fetch_top_mass(**{"data_home": _top_mass_home(), **given}),
        {
            "data_home": Given(_top_mass_home(), fetch["data_home"].kinds),
            "level": kinds.choice("paired"),
            "data": kinds.choice("mt175"),
        },
    )


@cache
def _top_mass_home() -> Path:
    """Files of the form of the large sample, with a few events."""
    home = FOLDER / "top_mass"
    home.mkdir()
    n = 20
    observables = ["m_b1munu", "m_b2munu", "m_b1j1j2", "m_b2j1j2"]

    def frame(prefixes: tuple[str, ...], **more: Any) -> pd.DataFrame:
        columns = {
            f"{prefix}_{name}": 100 + RNG.random(n) for prefix in prefixes for name in observables
        }
        return pd.DataFrame({**columns, **more})

    passed = {"pass_gen": np.ones(n, dtype=bool), "pass_reco": np.ones(n, dtype=bool)}
    both = ("gen", "reco")
    frame(("gen",), mt=np.linspace(165, 182, n)).to_parquet(home / "varied_gen.parquet")
    frame(("gen",), mt=np.full(n, 172.5)).to_parquet(home / "nominal_gen.parquet")
    for level in ("paired", "either"):
        frame(both, **passed).to_parquet(home / f"nominal_{level}.parquet")
        frame(both, **passed).to_parquet(home / f"data_mt175_{level}.parquet")
    return home
