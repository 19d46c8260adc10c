"""How features are coded: cores, tails, atoms, categories, angles and missing values."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdctr.events.atoms import find_atoms
from skdctr.events.coder import Coder
from skdctr.events.core import core_edges
from skdctr.events.scaling import Scaling

N = 20_000
FLT_MAX = float(np.finfo(np.float32).max)

CLEAN = {
    "Gaussian": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "gamma": lambda rng, n: rng.gamma(2.0, size=n),
    "chi-square": lambda rng, n: rng.gamma(0.5, size=n),
    "log-normal": lambda rng, n: np.exp(rng.normal(0, 0.5, n)),
    "Laplace": lambda rng, n: rng.laplace(size=n),
    "arcsine": lambda rng, n: rng.beta(0.5, 0.5, n),
    "Poisson(0.1)": lambda rng, n: rng.poisson(0.1, n).astype(float),
    "Poisson(3)": lambda rng, n: rng.poisson(3.0, n).astype(float),
    "Poisson(30)": lambda rng, n: rng.poisson(30.0, n).astype(float),
    "a flag": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "rounded": lambda rng, n: 20 + np.round(rng.exponential(10, n), 1),
    "a constant": lambda rng, n: np.full(n, 0.1),
}
# Not clean, but none of their values is an atom.
ORDINARY = {
    **CLEAN,
    "Cauchy": lambda rng, n: rng.standard_cauchy(n),
    "copies": lambda rng, n: np.repeat(rng.standard_cauchy(n // 50), 50),
    "bins": lambda rng, n: np.digitize(rng.normal(size=n), np.linspace(-3, 3, 20)) - 0.5,
    "half precision": lambda rng, n: (20 + rng.exponential(10, n)).astype(np.float16).astype(float),
    "steep integers": lambda rng, n: rng.zipf(3, n).astype(float),
    "flavours": lambda rng, n: rng.choice([0.0, 4.0, 5.0], n, p=[0.85, 0.05, 0.1]),
    "charges": lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n),
    "rare steps": lambda rng, n: 0.5 * rng.poisson(0.02, n),
    "-1 for no number of jets": lambda rng, n: rng.poisson(3, n) - 1.0 * (rng.random(n) < 0.1),
}


def is_affine(coder):
    """Say whether features only are shifted and scaled, for all events of the fit."""
    return all(column.is_plain for column in coder.columns) and not coder.n_outside.any()


def n_outside(coder, X):
    """Count the values of each feature that lie far from all others."""
    return [int(coder.is_outside(x, k).sum()) for k, x in enumerate(X.T)]


def with_atoms(x, rng, pairs):
    """Replace shares of a sample by values."""
    x, u, edge = x.copy(), rng.random(len(x)), 0.0
    for value, share in pairs:
        x[(u >= edge) & (u < edge + share)] = value
        edge += share
    return x


def coded(x, **options):
    """Code one feature by itself."""
    coder = Coder.fit(x[:, None], **options)
    return coder, coder(x[:, None])


# Clean features stay what they were, to the last bit


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_clean_features_are_standardised(rng, dtype, order):
    X = np.stack([draw(rng, N) for draw in CLEAN.values()], axis=1).astype(dtype, order=order)
    weight = rng.normal(1, 0.5, N)
    scaling, coder = Scaling.standard(X, weight), Coder.fit(X, weight)
    assert is_affine(coder)
    assert coder.names_out == coder.names_in
    assert_array_equal(coder.shift, scaling.shift)
    assert_array_equal(coder.scale, scaling.scale)
    assert_array_equal(coder(X), scaling(X))


def test_clean_features_beside_others_stay_what_they_are(rng):
    X = np.stack([draw(rng, N) for draw in CLEAN.values()], axis=1)
    scaling = Scaling.standard(X, np.ones(N))
    dirty = X.copy()
    dirty[:, 0] = with_atoms(X[:, 0], rng, pairs=[(-99, 0.3)])
    dirty[3, 1], dirty[4, 2] = 1e30, np.nan
    coder = Coder.fit(dirty)
    assert_array_equal(coder.shift[3:], scaling.shift[3:])
    assert_array_equal(coder(dirty)[:, 5:], scaling(X)[:, 3:])


@pytest.mark.parametrize("name", CLEAN)
def test_clean_samples_are_hardly_ever_touched(name):
    for n, n_samples in ((5, 200), (7, 200), (30, 200), (1000, 200), (N, 20)):
        touched = 0
        for seed in range(n_samples):
            x = np.sort(CLEAN[name](np.random.default_rng([seed, n]), n))
            low, high = core_edges(x, np.ones(n))
            touched += not low <= x[0] <= x[-1] <= high or len(find_atoms(x, np.ones(n))) > 0
        # Few events of a steep distribution may lie far apart.
        assert touched <= (n < 30), n


@pytest.mark.long
@pytest.mark.parametrize("name", CLEAN)
def test_clean_samples_are_touched_less_often_than_once_in_a_thousand(name):
    for n, n_samples in ((1000, 5000), (10_000, 3000), (100_000, 300), (1_000_000, 30)):
        touched = 0
        for seed in range(n_samples):
            rng = np.random.default_rng([seed, n])
            coder = Coder.fit(CLEAN[name](rng, n)[:, None])
            touched += not is_affine(coder)
        # Two standard deviations above the expected number.
        assert touched <= 1e-3 * n_samples + 2 * np.sqrt(1e-3 * n_samples), n


# Outliers and tails


@pytest.mark.parametrize("value", [-999_999.0, 1e9, FLT_MAX, 1.7e308])
def test_one_event_decides_nothing(rng, value):
    X = rng.normal(size=(N, 2))
    dirty = X.copy()
    dirty[7, 1] = value
    clean, coder = Coder.fit(X), Coder.fit(dirty)
    assert coder.n_outside.tolist() == [0, 1]
    # What is left differs by the event itself, the 20000th part of the whole.
    assert_allclose(coder.shift, clean.shift, atol=5 / N)
    assert_allclose(coder.scale, clean.scale, atol=20 / N)
    found = coder(dirty)
    assert np.isfinite(found).all()
    # It counts as the farthest of the others on its side.
    others = np.delete(found[:, 1], 7)
    assert found[7, 1] == (others.max() if value > 0 else others.min())
    assert n_outside(coder, dirty) == [0, 1]
    assert n_outside(coder, X) == [0, 0]


def test_the_edge_is_smooth_and_order_is_kept(rng):
    coder, _ = coded(rng.standard_cauchy(N))
    edge = (coder.high[0] - coder.shift[0]) / coder.scale[0]
    x = coder.high[0] + np.linspace(-1e-3, 1e-3, 201)
    z = coder(x[:, None])[:, 0]
    assert_allclose(np.diff(z) / np.diff(x) * coder.scale[0], 1, atol=2e-3)
    assert_allclose(z[100], edge, rtol=1e-12)
    far = np.concatenate([-np.logspace(300, 0, 100), np.logspace(0, 300, 100)])
    assert (np.diff(coder(far[:, None])[:, 0]) > 0).all()


def test_a_power_law_is_a_logarithm_beyond_its_core(rng):
    coder, z = coded(rng.standard_cauchy(N))
    # 1.5 times the distance of the median from the quantile of 84%, 1.82.
    assert_allclose([coder.low[0], coder.high[0]], [-2.73, 2.73], rtol=0.1)
    assert 0.2 < coder.n_outside[0] / N < 0.24
    assert np.abs(z).max() < 20
    coder, z = coded(91 + 1.25 * rng.standard_cauchy(N))
    assert_allclose([coder.low[0], coder.high[0]], [91 - 3.4, 91 + 3.4], rtol=0.02)


def test_tails_are_treated_one_by_one(rng):
    x = np.abs(rng.standard_cauchy(N))
    coder, _ = coded(x)
    assert coder.low[0] < 0
    assert coder.high[0] < 20
    assert (x > coder.high[0]).sum() == coder.n_outside[0] > N / 50


def test_dirt_beyond_a_light_tail_leaves_it_light(rng):
    x = rng.normal(size=N)
    x[: N // 100] = rng.uniform(-1e6, 1e6, N // 100)
    coder, _ = coded(x)
    assert 8 < coder.high[0] < 40
    assert_allclose([coder.shift[0], coder.scale[0]], [0, 1], atol=0.03)


# Atoms


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_values_are_no_atoms(name):
    for seed in range(10):
        x = np.sort(ORDINARY[name](np.random.default_rng(seed), N))
        assert find_atoms(x, np.ones(N)).tolist() == []


@pytest.mark.parametrize("n", [1000, N])
@pytest.mark.parametrize(
    ("base", "pairs"),
    [
        ("Gaussian", [(-99, 0.3)]),
        ("Gaussian", [(-999, 0.05)]),
        ("Gaussian", [(-10, 0.3)]),
        ("Gaussian", [(-999, 0.3), (-99, 0.2)]),
        ("Gaussian", [(-FLT_MAX, 0.05), (FLT_MAX, 0.1)]),
        ("Gaussian", [(-1.7e308, 0.05), (1.7e308, 0.1)]),
        ("exponential", [(0, 0.3)]),
        ("exponential", [(-3, 0.05), (-2, 0.1), (-1, 0.1)]),
        ("rounded", [(0, 0.3)]),
        ("log-normal", [(-1, 0.2)]),
        ("Cauchy", [(-999, 0.1)]),
        ("Poisson(3)", [(-99, 0.1)]),
        ("Poisson(3)", [(-999, 0.3), (-99, 0.1)]),
        ("Poisson(30)", [(-3000, 0.04), (-999, 0.1)]),
        ("a flag", [(-99, 0.1)]),
    ],
)
def test_sentinels_are_atoms(rng, base, pairs, n):
    x = np.sort(with_atoms(ORDINARY[base](rng, n), rng, pairs=pairs))
    assert find_atoms(x, np.ones(n)).tolist() == sorted(value for value, _ in pairs)


def test_the_end_of_a_range_that_is_cut_off_is_an_atom(rng):
    x = np.sort(np.minimum(rng.exponential(10, N), 30))
    assert find_atoms(x, np.ones(N)).tolist() == [30]


def test_outliers_hide_no_atom(rng):
    for name in ("Gaussian", "Poisson(3)"):
        x = with_atoms(CLEAN[name](rng, N), rng, pairs=[(-99, 0.1)])
        x[0] = -1e6
        assert find_atoms(np.sort(x), np.ones(N)).tolist() == [-99]


def test_too_few_events_make_no_atom(rng):
    x = rng.normal(size=N)
    x[:15] = -99
    coder, _ = coded(x)
    assert coder.names_out == ("x0",)
    assert coder.n_outside[0] == 15
    # By weight they are enough, if there are twenty of them.
    x[:25] = -99
    weight = np.where(np.arange(N) < 25, -100.0, 0.1)
    assert find_atoms(np.array([]), np.array([])).tolist() == []
    assert len(Coder.fit(np.tile(x, 2)[:, None]).names_out) == 2
    assert Coder.fit(x[:, None], weight).names_out == ("x0", "x0 == -99")


def test_an_atom_has_a_flag_and_the_rest_is_scaled_without_it(rng):
    real = rng.normal(5, 2, N)
    x = with_atoms(real, rng, pairs=[(-99, 0.3)])
    is_atom = x == -99
    coder, z = coded(x, names=["mass"])
    assert coder.names_out == ("mass", "mass == -99")
    assert_allclose(coder.shift[0], real[~is_atom].mean(), rtol=1e-12)
    assert_allclose(coder.scale[0], real[~is_atom].std(), rtol=1e-12)
    assert (z[is_atom, 0] == 0).all()
    assert_allclose(z[~is_atom, 0], (x[~is_atom] - coder.shift) / coder.scale)
    assert_allclose([z[:, 1].mean(), z[:, 1].std()], [0, 1], atol=1e-9)
    assert coder.n_outside[0] == 0


def test_a_rare_flag_is_no_large_number(rng):
    x = with_atoms(rng.normal(size=N), rng, pairs=[(-999, 0.002)])
    assert np.abs(coded(x)[1]).max() < 6


def test_an_atom_is_recognised_in_either_precision(rng):
    x = with_atoms(rng.normal(size=N), rng, pairs=[(-99.1, 0.1)])
    for of_fit, of_use in ((np.float64, np.float32), (np.float32, np.float64)):
        coder = Coder.fit(x[:, None].astype(of_fit))
        assert coder.names_out == ("x0", "x0 == -99.1")
        assert_allclose(coder(x[:, None].astype(of_use)), coder(x[:, None]), atol=1e-5)


def test_a_value_that_the_fit_did_not_see_is_a_number(rng):
    coder, of_fit = coded(with_atoms(rng.normal(size=N), rng, pairs=[(-99, 0.1)]))
    (new,) = coder(np.array([[-999.0]]))
    assert new[1] < 0
    # Far from all that the fit has seen, it counts as the lowest of the numbers there.
    assert new[0] == of_fit[:, 0].min()


def test_atoms_by_name(rng):
    x = rng.normal(size=N)
    x[:5] = -7
    assert coded(x, atoms=[-7])[0].names_out == ("x0", "x0 == -7")
    assert coded(with_atoms(x, rng, pairs=[(-99, 0.3)]), atoms=[])[0].names_out == ("x0",)
    assert coded(x[5:], atoms=[-7])[0].names_out == ("x0",)


# Missing values, constants, few events


def test_missing_values_have_a_flag(rng):
    x = rng.normal(3, 2, N)
    x[rng.random(N) < 0.2] = np.nan
    missing = np.isnan(x)
    coder, z = coded(x)
    assert coder.names_out == ("x0", "x0 missing")
    assert (z[missing, 0] == 0).all()
    assert_allclose(z[~missing, 0], (x[~missing] - x[~missing].mean()) / x[~missing].std())
    assert len(np.unique(z[:, 1])) == 2
    assert coder.n_outside[0] == 0


def test_what_was_never_missing_must_not_be_missing(rng):
    coder = Coder.fit(rng.normal(size=(100, 2)), names=["pt", "eta"])
    with pytest.raises(ValueError, match=r"eta is missing \(NaN\) in event 3"):
        coder(np.array([[0, 0], [1, 1], [2, 2], [0, np.nan]]))


def test_nothing_but_missing_values():
    coder, z = coded(np.full(30, np.nan))
    assert coder.names_out == ("x0", "x0 missing")
    assert_array_equal(z, np.zeros((30, 2)))
    assert np.isfinite(coder(np.array([[1e9]]))).all()


def test_a_constant_and_one_outlier():
    x = np.full(N, 3.0)
    assert_array_equal(coded(x)[1], np.zeros((N, 1)))
    x[0] = 1e9
    z = coded(x)[1]
    assert np.abs(z).max() < 1.01 * np.sqrt(N)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_events(rng, n):
    X = rng.normal(size=(n, 3))
    assert_array_equal(Coder.fit(X)(X), Scaling.standard(X, np.ones(n))(X))
    assert Coder.fit(X[:0])(X).shape == (n, 3)


def test_weights_count_by_their_absolute_values(rng):
    X, weight = rng.exponential(size=(N, 2)), rng.normal(size=N)
    first, second = Coder.fit(X, weight), Coder.fit(X, np.abs(weight))
    assert_array_equal(first.shift, second.shift)
    assert_array_equal(first.high, second.high)
    # Events that do not count.
    dirty = np.concatenate([X, np.full((100, 2), -99.0)])
    third = Coder.fit(dirty, np.concatenate([weight, np.zeros(100)]))
    assert third.names_out == first.names_out
    assert_allclose(third.shift, first.shift)
    assert_allclose(third.scale, first.scale)


# Categories


@pytest.mark.parametrize(
    "name",
    ["GenPart_pdgId", "Particle.PID", "pdgid", "pdg_id", "mother_pid", "motherPID", "pid", "id"],
)
def test_names_of_particle_types(rng, name):
    x = rng.choice([11.0, -11.0, 211.0, 22.0], N)
    x[0] = 12345.0
    coder, z = coded(x, names=[name])
    labels = [f"{name} = {code}" for code in (-11, 11, 22, 211, "other")]
    assert list(coder.names_out) == labels
    assert_array_equal(z.argmax(axis=1)[1:], np.searchsorted([-11, 11, 22, 211], x[1:]))
    assert z[0].argmax() == 4
    assert not coder.advice
    new = coder(np.array([[999.0], [11.0]]))
    assert new.argmax(axis=1).tolist() == [4, 1]


@pytest.mark.parametrize("name", ["rapid", "cupid", "event_id", "pt", "idx", "pdgId_mass"])
def test_names_of_no_particle_types(rng, name):
    coder, _ = coded(rng.poisson(20, N).astype(float), names=[name])
    assert coder.names_out == (name,)
    assert not coder.advice


def test_a_particle_type_is_an_integer(rng):
    assert coded(rng.normal(size=N), names=["e_pid"])[0].names_out == ("e_pid",)


def test_particle_types_of_another_name_are_told(rng):
    coder, _ = coded(rng.choice([11.0, -11.0, 211.0, 22.0], N), names=["kind"])
    assert coder.names_out == ("kind",)
    (text,) = coder.advice
    assert "kind looks like PDG codes (-11, 11, 22, 211, …)" in text
    for x in (rng.poisson(15, N), rng.choice([-1, 1], N), rng.integers(0, 7, N)):
        assert not coded(x.astype(float))[0].advice


def test_categories_by_name(rng):
    X = np.stack([rng.choice([0.0, 4.0, 5.0], N), rng.normal(size=N)], axis=1)
    coder = Coder.fit(X, names=["flavour", "pt"], categorical=["flavour"])
    assert coder.names_out == ("flavour = 0", "flavour = 4", "flavour = 5", "pt")
    assert Coder.fit(X, categorical=[0]).names_out[0] == "x0 = 0"
    assert Coder.fit(X, names=["pid", "pt"], categorical=[]).names_out == ("pid", "pt")
    X[::7, 0] = np.nan
    assert Coder.fit(X, categorical=[0]).names_out[3] == "x0 missing"
    with pytest.raises(ValueError, match="pt is to be categorical, but none of its 20000 values"):
        Coder.fit(X, names=["flavour", "pt"], categorical=["pt"])


def test_there_are_not_too_many_flags(rng):
    coder, z = coded(rng.integers(0, 500, 5 * N).astype(float), categorical=[0])
    assert len(coder.names_out) == 65
    assert z.shape == (5 * N, 65)


# Angles


def test_an_angle_is_its_sine_and_cosine(rng):
    phi = rng.uniform(-np.pi, np.pi, N)
    coder, z = coded(phi, names=["phi"], periodic=["phi"])
    assert coder.names_out == ("sin phi", "cos phi")
    assert_allclose(z, np.sqrt(2) * np.stack([np.sin(phi), np.cos(phi)], axis=1), atol=0.05)
    assert_allclose(*coder(np.array([[np.pi - 1e-9], [-np.pi + 1e-9]])), atol=1e-7)
    assert not coder.advice
    hours = rng.uniform(0, 24, N)
    coder = Coder.fit(hours[:, None], periodic={0: 24})
    assert_allclose(*coder(np.array([[0.0], [24.0]])), atol=1e-12)


def test_an_angle_may_be_missing(rng):
    phi = with_atoms(rng.uniform(-np.pi, np.pi, N), rng, pairs=[(-99, 0.1)])
    phi[0] = np.nan
    coder, z = coded(phi, names=["phi"], periodic="phi")
    assert coder.names_out == ("sin phi", "cos phi", "phi == -99", "phi missing")
    assert (z[(phi == -99) | np.isnan(phi), :2] == 0).all()


def test_angles_are_told(rng):
    for x, span in (
        (rng.uniform(-np.pi, np.pi, N).astype(np.float32), "(-π, π]"),
        (rng.uniform(0, 2 * np.pi, N), "[0, 2π)"),
        (with_atoms(rng.uniform(-np.pi, np.pi, N), rng, pairs=[(-99, 0.1)]), "(-π, π]"),
    ):
        (text,) = coded(x, names=["phi"])[0].advice
        assert f"phi fills {span} up to both ends" in text
    for x in (
        rng.uniform(-3, 3, N),
        rng.uniform(0, 1, N),
        np.arctan(rng.normal(size=N)),
        np.clip(rng.normal(0, 0.5, N), -np.pi, np.pi),
        rng.integers(0, 7, N).astype(float),
    ):
        assert not coded(x)[0].advice


def test_features_are_given_by_name_or_position(rng):
    X = rng.normal(size=(100, 2))
    for given, error, text in (
        (["ph"], ValueError, "'ph' is no feature of X; did you mean 'phi'?"),
        ([2], ValueError, "X has no feature 2; expected 0 to 1"),
        ([0.5], TypeError, "0.5 is no feature of X"),
        ({"phi": 0}, ValueError, "the period of 'phi' is 0.0"),
    ):
        with pytest.raises(error, match=text.replace("?", r"\?")):
            Coder.fit(X, names=["pt", "phi"], periodic=given)
    with pytest.raises(ValueError, match="'phi' is both periodic and categorical"):
        Coder.fit(X, names=["pt", "phi"], periodic=["phi"], categorical=[1])


# Many events


def test_parts_change_nothing(rng, monkeypatch, tmp_path):
    X = rng.normal(size=(3 * N, 4))
    X[:, 0] = with_atoms(X[:, 0], rng, pairs=[(-99, 0.3)])
    X[5, 1] = np.nan
    whole = Coder.fit(X)
    monkeypatch.setattr("skdctr.events.chunks._NUMBERS", 1 << 14)
    parts = Coder.fit(X)
    assert_allclose(parts.shift, whole.shift, atol=1e-14)
    assert_allclose(parts(X), whole(X), atol=1e-12)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert_array_equal(Coder.fit(mapped).shift, parts.shift)


def test_a_sample_of_the_events_tells_what_features_are(rng, monkeypatch):
    X = rng.normal(size=(N, 2))
    X[:, 0] = with_atoms(X[:, 0], rng, pairs=[(-99, 0.3)])
    X[N // 2, 1] = np.nan
    monkeypatch.setattr("skdctr.events.coder._SAMPLE_ROWS", 2000)
    coder = Coder.fit(X)
    assert coder.names_out == ("x0", "x0 == -99", "x1", "x1 missing")
    real = X[:, 0] != -99
    assert_allclose([coder.shift[0], coder.scale[0]], [X[real, 0].mean(), X[real, 0].std()])
