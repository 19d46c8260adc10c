"""Observables of jets against brute force, jets known in closed form, and each other."""

import itertools
import types

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdctr._utils import optional
from skdctr.datasets import jet_observables
from skdctr.datasets.jets import observables
from skdctr.datasets.jets.observables import OBSERVABLES, STRANGE
from skdctr.preprocessing import PackedEvents

SUBSTRUCTURE = ["tau21", "tau32", "ecf3", "ecf4"]
COUNTS = [12, 0, 1, 2, 3, 4, 25, 9]


@pytest.fixture(scope="session")
def extra():
    for package in ("fastjet", "awkward", "vector"):
        pytest.importorskip(package)


def needs_fastjet(test):
    return pytest.mark.pythia(pytest.mark.usefixtures("extra")(test))


def make_jets(counts, seed=0, width=0.3):
    """NaN-padded jets of pt, eta, phi, pid; some lie across φ = π."""
    rng = np.random.default_rng(seed)
    jets = np.full((len(counts), max(counts), 4), np.nan)
    for i, n in enumerate(counts):
        jets[i, :n, 0] = rng.exponential(3, n)
        jets[i, :n, 1:3] = rng.normal([0.5, 3.1], width, (n, 2))
        jets[i, :n, 3] = rng.choice([211, -211, 22, 321, -321, 130, 310, 3122, -3312, 2212], n)
    jets[..., 2] = np.remainder(jets[..., 2] + np.pi, 2 * np.pi) - np.pi
    return jets


@pytest.fixture
def jets():
    return make_jets(COUNTS)


def distance(first, second):
    phi = np.remainder(first[2] - second[2] + np.pi, 2 * np.pi) - np.pi
    return np.hypot(first[1] - second[1], phi)


def brute_force(jet, n, beta=4.0):
    jet = jet[~np.isnan(jet[:, 0])]
    return sum(
        np.prod([p[0] for p in chosen])
        * np.prod([distance(p, q) ** beta for p, q in itertools.combinations(chosen, 2)])
        for chosen in itertools.combinations(jet, n)
    )


# Counts


def test_counts(jets):
    found = jet_observables(jets, ["multiplicity", "n_kaons", "n_strange"])
    assert list(found) == ["multiplicity", "n_kaons", "n_strange"]
    assert all(dtype.kind == "i" for dtype in found.dtypes)
    assert_array_equal(found["multiplicity"], COUNTS)
    codes = np.abs(jets[..., 3])
    kaons = np.isin(codes, [130, 310, 311, 321]).sum(axis=1)
    assert_array_equal(found["n_kaons"], kaons)
    assert_array_equal(found["n_strange"], kaons + np.isin(codes, [3122, 3312]).sum(axis=1))


def test_strange_hadrons_contain_a_strange_quark():
    """In a PDG code each quark is a digit; K_S and K_L are mixtures with codes of their own."""
    for code in set(STRANGE) - {130}:
        assert "3" in str(code)[:-1]
    assert set(STRANGE) >= {130, 310, 311, 321, 3122, 3222, 3212, 3112}


# Energy correlation functions


@needs_fastjet
def test_energy_correlation_functions(jets):
    found = jet_observables(jets, ["ecf3", "ecf4"])
    for name, n in (("ecf3", 3), ("ecf4", 4)):
        expected = [brute_force(jet, n) for jet in jets]
        assert_allclose(found[name], expected, rtol=1e-10)
        assert_array_equal(found[name] == 0, np.array(COUNTS) < n)


@needs_fastjet
def test_regular_polygons():
    """Particles of pt = 2 on a circle of radius 0.1."""
    angle = np.arange(4) * np.pi / 2
    square = np.stack([np.full(4, 2.0), 0.1 * np.cos(angle), 0.1 * np.sin(angle)], axis=1)
    angle = np.arange(3) * 2 * np.pi / 3
    triangle = np.stack([np.full(3, 2.0), 0.1 * np.cos(angle), 0.1 * np.sin(angle)], axis=1)
    found = jet_observables(square[None], ["ecf3", "ecf4"]).iloc[0]
    # Sides √2 r, diagonals 2 r; four triples with two sides and a diagonal.
    side, diagonal = (0.1 * np.sqrt(2)) ** 4, 0.2**4
    assert found["ecf3"] == pytest.approx(4 * 2**3 * side**2 * diagonal)
    assert found["ecf4"] == pytest.approx(2**4 * side**4 * diagonal**2)
    found = jet_observables(triangle[None], ["ecf3"]).iloc[0]
    assert found["ecf3"] == pytest.approx(2**3 * (0.1 * np.sqrt(3)) ** 12)


@pytest.mark.parametrize("n", [3, 4])
def test_products_of_matrices(n):
    for counts in ([1], [2], [3], [4], [9], [30]):
        (jet,) = make_jets(counts, seed=counts[0])
        found = observables._energy_correlation(*jet[:, :3].T, n)
        assert found == pytest.approx(brute_force(jet, n), rel=1e-12)


@needs_fastjet
def test_both_ways_agree(monkeypatch):
    jets = make_jets([40, 55, 47, 60], seed=3)[..., :3]
    found = []
    for limit in (0, 48, 100):
        monkeypatch.setattr(observables, "_ENUMERATED", limit)
        found.append(jet_observables(jets, ["ecf3", "ecf4"]))
    assert_allclose(found[0], found[1], rtol=1e-10)
    assert_allclose(found[0], found[2], rtol=1e-10)


@needs_fastjet
def test_scaling():
    jets = make_jets([12, 20], seed=4)
    wider, harder = jets.copy(), jets.copy()
    wider[..., 1] *= 2
    wider[..., 2] = 2 * np.remainder(jets[..., 2], 2 * np.pi) - 2 * np.pi
    harder[..., 0] *= 10
    first, second, third = (jet_observables(X, SUBSTRUCTURE) for X in (jets, wider, harder))
    assert_allclose(second["ecf3"] / first["ecf3"], 2.0**12)
    assert_allclose(second["ecf4"] / first["ecf4"], 2.0**24)
    assert_allclose(third["ecf3"] / first["ecf3"], 10.0**3)
    assert_allclose(third["ecf4"] / first["ecf4"], 10.0**4)
    for other in (second, third):
        assert_allclose(other[["tau21", "tau32"]], first[["tau21", "tau32"]], rtol=1e-3)


# n-subjettiness


@needs_fastjet
def test_few_particles():
    """With no more particles than axes, each particle has its own: τ is zero."""
    found = jet_observables(make_jets([0, 1, 2, 3]), ["tau21", "tau32"])
    assert_array_equal(found["tau21"][:3], 0)
    assert_array_equal(found["tau32"], 0)
    assert 0 < found["tau21"][3] < 1


@needs_fastjet
def test_two_and_three_prongs():
    """Narrow pairs far apart: with the right number of axes what is left is their width."""
    prongs = np.array([[20.0, 0.0, 0.0], [30.0, 0.4, 0.0], [25.0, 0.0, 0.5]])
    pairs = np.repeat(prongs, 2, axis=0)
    pairs[1::2, 2] += 1e-3
    found = jet_observables(np.stack([pairs]), ["tau21", "tau32"]).iloc[0]
    # Any axis between two equal particles gives the same sum: half of pt times their distance.
    tau3 = sum(pt * 1e-3 for pt in prongs[:, 0])
    assert found["tau32"] == pytest.approx(tau3 / (2 * 20 * 0.4), rel=0.02)
    found = jet_observables(np.stack([pairs[:4]]), ["tau21", "tau32"]).iloc[0]
    assert found["tau21"] == pytest.approx((20 + 30) * 1e-3 / (2 * 20 * 0.4), rel=0.02)


@needs_fastjet
def test_axes_are_no_worse_than_particles():
    """τ with the best of all particles as axes bounds the minimum from above, nearly."""
    jets = make_jets([8] * 20, seed=6)
    tau = np.empty((len(jets), 4))
    for jet, row in zip(jets, tau, strict=True):
        for n in (1, 2, 3):
            row[n] = min(
                sum(p[0] * min(distance(p, axis) for axis in axes) for p in jet)
                for axes in itertools.combinations(jet, n)
            )
    found = jet_observables(jets, ["tau21", "tau32"])
    assert_allclose(found["tau21"], tau[:, 2] / tau[:, 1], rtol=0.35)
    assert np.median(found["tau21"] * tau[:, 1] / tau[:, 2]) == pytest.approx(1, abs=0.1)
    assert ((found >= 0) & (found <= 1 + 1e-9)).all(axis=None)


# Forms and invariances


@needs_fastjet
def test_order_padding_and_company_do_not_matter(jets):
    expected = jet_observables(jets)
    order = np.random.default_rng(1).permutation(jets.shape[1])
    found = jet_observables(jets[:, order])
    assert_array_equal(found.iloc[:, :3], expected.iloc[:, :3])
    assert_allclose(found.iloc[:, 3:], expected.iloc[:, 3:], rtol=1e-7)
    wider = np.pad(jets, ((0, 0), (4, 9), (0, 0)), constant_values=np.nan)
    pd.testing.assert_frame_equal(jet_observables(wider), expected)
    alone = pd.concat([jet_observables(jets[[i]]) for i in range(len(jets))], ignore_index=True)
    pd.testing.assert_frame_equal(alone, expected)


@needs_fastjet
def test_all_forms(jets):
    ak = pytest.importorskip("awkward")
    real = [jet[~np.isnan(jet[:, 0])] for jet in jets]
    records = ak.zip(
        {
            "pid": [jet[:, 3].astype(int) for jet in real],
            **{name: [jet[:, i] for jet in real] for i, name in enumerate(("pt", "eta", "phi"))},
        }
    )
    expected = jet_observables(jets)
    assert list(expected) == list(OBSERVABLES)
    pd.testing.assert_frame_equal(jet_observables(records), expected)
    pd.testing.assert_frame_equal(
        jet_observables(PackedEvents.from_events(records, dtype=np.float64)), expected
    )
    pd.testing.assert_frame_equal(jet_observables(records, n_jobs=2), expected)


@needs_fastjet
def test_chunks(jets, monkeypatch):
    expected = jet_observables(jets)
    monkeypatch.setattr(observables, "_CHUNK", 3)
    pd.testing.assert_frame_equal(jet_observables(jets), expected)


@needs_fastjet
def test_no_jets_and_empty_jets():
    assert jet_observables(np.empty((0, 3, 4))).shape == (0, 7)
    assert (jet_observables(np.full((2, 3, 4), np.nan)) == 0).all(axis=None)


@pytest.mark.slow
@needs_fastjet
def test_500_particles():
    jets = make_jets([500, 3], seed=2)
    found = jet_observables(jets, ["multiplicity", "tau21", "tau32", "ecf3"])
    assert found["multiplicity"].tolist() == [500, 3]
    assert found.loc[0, "ecf3"] > 0
    # The same jet in 500 particles or with each of a hundred cut in five, collinear pieces.
    (whole,) = make_jets([100], seed=2)
    pieces = np.repeat(whole, 5, axis=0)
    pieces[:, 0] /= 5
    first, second = (jet_observables(X[None], ["ecf3", "ecf4"]) for X in (whole, pieces))
    assert_allclose(first, second, rtol=1e-10)


@needs_fastjet
def test_nothing_is_printed(capfd):
    jet_observables(make_jets([5, 9]))
    assert capfd.readouterr() == ("", "")


# What is refused


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        ("tau21", TypeError, "names must be a sequence of names, got 'tau21'; pass e.g."),
        (["tau12"], ValueError, "names names 'tau12', which is no observable; did you mean 'tau"),
        (["mass"], ValueError, r"'mass', which is no observable; known are \['multiplicity'"),
        ([], ValueError, "names must name at least one observable"),
        (["ecf3", "ecf3"], ValueError, "none twice"),
    ],
)
def test_wrong_names(names, error, match, jets):
    with pytest.raises(error, match=match):
        jet_observables(jets, names)


def test_wrong_particles(jets):
    ak = pytest.importorskip("awkward")
    with pytest.raises(ValueError, match=r"constituents has no integer pid, which n_kaons"):
        jet_observables(ak.Array([[{"pt": 1.0, "eta": 0.0, "phi": 0.0}]]), ["n_kaons"])
    with pytest.raises(ValueError, match=r"\['E', 'eta'\], but not \['phi', 'pt'\]; give pt"):
        jet_observables(ak.Array([[{"E": 1.0, "eta": 0.0}]]), ["multiplicity"])
    with pytest.raises(ValueError, match="particle_type is 3, but constituents has 3 features"):
        jet_observables(jets[..., :3], ["n_kaons"])
    assert jet_observables(jets[..., :3], ["multiplicity"])["multiplicity"].tolist() == COUNTS
    negative, nan = jets.copy(), jets.copy()
    negative[6, 3, 0] = -1
    nan[6, 3, 1] = np.nan
    with pytest.raises(ValueError, match="negative pt in event 6"):
        jet_observables(negative, ["multiplicity"])
    with pytest.raises(ValueError, match=r"constituents has NaN in feature 1 .*3 of event 6"):
        jet_observables(nan, ["multiplicity"])


def test_without_fastjet(jets, monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optional, "importlib", types.SimpleNamespace(import_module=import_module))
    with pytest.raises(ImportError, match=r'fastjet.*pip install "skdctr\[pythia\]"'):
        jet_observables(jets, ["multiplicity", "ecf3"])
    assert jet_observables(jets, ["multiplicity", "n_strange"]).shape == (8, 2)
