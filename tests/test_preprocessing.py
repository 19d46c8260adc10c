"""The preprocessing of features and particles: formulas, forms of events, scikit-learn's ways."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skdctr.exceptions import FeatureWarning
from skdctr.preprocessing import (
    FeatureCoder,
    PackedEvents,
    ParticleMoments,
    ParticlePreprocessor,
    particle_base,
)

COUNTS = [4, 0, 1, 9, 2]


@pytest.fixture
def ak():
    return pytest.importorskip("awkward")


@pytest.fixture
def jets(rng):
    """Jets of shape (5, 9, 4): pt, eta, phi and a code; the second has no particles."""
    array = np.full((len(COUNTS), 9, 4), np.nan)
    for i, n in enumerate(COUNTS):
        axis = rng.uniform([-1, -np.pi], [1, np.pi])
        array[i, :n, 0] = rng.exponential(3, n)
        array[i, :n, 1:3] = axis + rng.normal(0, 0.3, (n, 2))
        array[i, :n, 3] = rng.choice([211, -211, 22], n)
    array[..., 2] = np.remainder(array[..., 2] + np.pi, 2 * np.pi) - np.pi
    return array


@pytest.fixture
def records(ak, jets):
    real = [jet[~np.isnan(jet[:, 0])] for jet in jets]
    columns = {name: [jet[:, i] for jet in real] for i, name in enumerate(("pt", "eta", "phi"))}
    return ak.zip({**columns, "pid": [jet[:, 3].astype(int) for jet in real]})


def published(x):
    """What the papers' notebooks do to a jet that does not lie across φ = π."""
    mask = x[:, 0] > 0
    x[mask, 1:3] -= np.average(x[mask, 1:3], weights=x[mask, 0], axis=0)
    x[mask, 0] /= x[:, 0].sum()
    return x


# The formulas


def test_as_the_papers_do(jets):
    jets = np.delete(jets, 1, axis=0)
    # Turned to where no jet crosses φ = π.
    for jet in jets:
        phi = jet[:, 2]
        jet[:, 2] = np.remainder(phi - phi[0] + np.pi, 2 * np.pi) - np.pi
    expected = np.stack([published(jet) for jet in np.nan_to_num(jets)])
    found = ParticlePreprocessor().fit_transform(jets)
    assert_allclose(np.nan_to_num(found), expected, atol=1e-12)


def test_where_the_jet_points_does_not_matter(jets):
    moved = jets.copy()
    moved[..., 1] += 0.7
    moved[..., 2] = np.remainder(moved[..., 2] + 2.5, 2 * np.pi) - np.pi
    moved[..., 0] *= 3
    first, second = (ParticlePreprocessor().fit_transform(X) for X in (jets, moved))
    assert_allclose(first, second, atol=1e-12)
    assert_allclose(np.nansum(first[..., 0], axis=1), [1, 0, 1, 1, 1])
    for column in (1, 2):
        assert_allclose(np.nansum(first[..., 0] * first[..., column], axis=1), 0, atol=1e-12)
    assert np.nanmax(np.abs(first[..., 2])) < 2


def test_one_particle_is_its_axis():
    found = ParticlePreprocessor().fit_transform(np.array([[[5.0, 1.2, 3.1]]]))
    assert_allclose(found, [[[1, 0, 0]]], atol=1e-15)


def test_order_of_the_particles_does_not_matter(jets, rng):
    order = rng.permutation(9)
    found = ParticlePreprocessor().fit_transform(jets)
    assert_allclose(ParticlePreprocessor().fit_transform(jets[:, order]), found[:, order])


def test_padding_does_not_matter(jets):
    wider = np.pad(jets, ((0, 0), (2, 3), (0, 0)), constant_values=np.nan)
    found = ParticlePreprocessor().fit_transform(wider)
    assert_array_equal(found[:, 2:-3], ParticlePreprocessor().fit_transform(jets))
    assert np.isnan(found[:, :2]).all()


def test_each_event_by_itself(jets):
    transformer = ParticlePreprocessor().fit(jets)
    alone = [transformer.transform(jets[[i]])[0] for i in range(5)]
    assert_array_equal(transformer.transform(jets), alone)


@pytest.mark.parametrize(
    "transformer", [ParticlePreprocessor(align=True), ParticleMoments()], ids=["axis", "moments"]
)
def test_how_many_at_a_time_does_not_matter(transformer, jets, monkeypatch):
    packed = PackedEvents.from_events(jets)
    whole = transformer.fit_transform(packed).features
    monkeypatch.setattr(particle_base, "_CHUNK_PARTICLES", 4)
    assert_array_equal(transformer.transform(packed).features, whole)
    jets[3, 2, 0] = -1
    with pytest.raises(ValueError, match="negative transverse momentum in event 3"):
        transformer.transform(PackedEvents.from_events(jets))


@pytest.mark.slow
def test_memory_on_the_way_is_small(rng):
    """Of 2·10⁵ jets of ten particles: the results have 12 and 32 bytes a particle."""
    n = 200_000
    features = np.exp(rng.normal(0, 0.1, (10 * n, 3))).astype(np.float32)
    packed = PackedEvents(features, np.arange(0, 10 * n + 1, 10))
    for transformer, size in ((ParticlePreprocessor(align=True), 12), (ParticleMoments(), 32)):
        tracemalloc.start()
        transformer.fit_transform(packed)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * size * 10 * n


def test_parts_of_it(jets):
    real = ~np.isnan(jets[..., 0])
    whole = ParticlePreprocessor().fit_transform(jets)[real]
    only_pt = ParticlePreprocessor(center=False).fit_transform(jets)[real]
    only_axis = ParticlePreprocessor(pt_fraction=False).fit_transform(jets)[real]
    assert_array_equal(only_pt[:, 0], whole[:, 0])
    assert_array_equal(only_pt[:, 1:], jets[real][:, 1:])
    assert_array_equal(only_axis[:, 1:], whole[:, 1:])
    assert_array_equal(only_axis[:, 0], jets[real][:, 0])


@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("angle", [0.3, 2.0, -1.2])
def test_how_an_aligned_jet_lies_does_not_matter(jets, angle, mirror):
    cos, sin = np.cos(angle), np.sin(angle)
    lying = ParticlePreprocessor().fit_transform(jets)
    turned = lying.copy()
    turned[..., 1] = cos * lying[..., 1] - sin * lying[..., 2]
    turned[..., 2] = mirror * (sin * lying[..., 1] + cos * lying[..., 2])
    first, second = (ParticlePreprocessor(align=True).fit_transform(X) for X in (lying, turned))
    # Two particles lie on a line, beside which only rounding has a sign.
    assert_allclose(first, second, atol=1e-12)
    assert_allclose(first[..., [0, 3]], lying[..., [0, 3]], rtol=1e-12)


def test_aligned_jets_are_as_far_apart_along_their_axis(jets):
    lying, aligned = (
        np.nan_to_num(ParticlePreprocessor(align=align).fit_transform(jets))
        for align in (False, True)
    )
    tensor, expected = (
        np.einsum("ij,ijk,ijl->ikl", X[..., 0], X[..., 1:3], X[..., 1:3]) for X in (aligned, lying)
    )
    assert_allclose(tensor[:, 0, 1], 0, atol=1e-12)
    assert_allclose(tensor[:, [0, 1], [0, 1]], np.linalg.eigvalsh(expected)[:, ::-1], atol=1e-12)
    third = np.einsum("ij,ijk->ik", aligned[..., 0], aligned[..., 1:3] ** 3)
    assert (third > -1e-12).all()


def test_what_is_aligned_has_to_be_centered(jets):
    with pytest.raises(ValueError, match="set center=True"):
        ParticlePreprocessor(align=True, center=False).fit(jets)


# The forms


def test_same_in_all_forms(ak, jets, records):
    real = ~np.isnan(jets[..., 0])
    expected = ParticlePreprocessor().fit_transform(jets)
    assert isinstance(expected, np.ndarray)
    found = ParticlePreprocessor().fit_transform(records)
    assert isinstance(found, ak.Array)
    assert found.fields == records.fields
    assert_array_equal(ak.num(found), COUNTS)
    assert found.pid.to_list() == records.pid.to_list()
    for i, name in enumerate(("pt", "eta", "phi")):
        assert_allclose(ak.flatten(found[name]), expected[real][:, i], atol=1e-12)
    lists = ParticlePreprocessor().fit_transform(ak.Array({f: records[f] for f in records.fields}))
    assert lists.phi.to_list() == found.phi.to_list()
    packed = PackedEvents.from_events(records)
    prepared = ParticlePreprocessor().fit_transform(packed)
    assert isinstance(prepared, PackedEvents)
    assert_allclose(prepared.features, expected[real][:, :3], atol=1e-6)
    assert_array_equal(prepared.types, packed.types)
    assert_array_equal(prepared.offsets, packed.offsets)
    jagged = ak.Array([jet[~np.isnan(jet[:, 0])].tolist() for jet in jets])
    regular = ParticlePreprocessor().fit_transform(jagged)
    assert_allclose(ak.flatten(regular), expected[real], atol=1e-12)
    assert_array_equal(ak.num(regular), COUNTS)


def test_what_came_in_is_left_alone(ak, jets, records):
    before, listed = jets.copy(), records.to_list()
    packed = PackedEvents.from_events(records)
    features = packed.features.copy()
    for X in (jets, records, packed):
        ParticlePreprocessor().fit_transform(X)
    assert_array_equal(jets, before)
    assert records.to_list() == listed
    assert_array_equal(packed.features, features)


@pytest.mark.parametrize(("given", "expected"), [("f4", "f4"), ("f8", "f8"), ("i8", "f8")])
def test_type_of_number(given, expected, ak):
    X = np.array([[[3, 1, 1], [1, 0, 2]]], dtype=given)
    assert ParticlePreprocessor().fit_transform(X).dtype == expected
    records = ak.zip(dict(zip(("pt", "eta", "phi"), X.transpose(2, 0, 1), strict=True)))
    found = ParticlePreprocessor().fit_transform(records)
    assert np.asarray(ak.flatten(found.pt)).dtype == expected


def test_no_particles(ak):
    empty = np.full((3, 4, 3), np.nan)
    assert_array_equal(ParticlePreprocessor().fit_transform(empty), empty)
    none = ak.Array([[{"pt": 1.0, "eta": 0.0, "phi": 0.0}]])[:, :0]
    assert ParticlePreprocessor().fit_transform(none).to_list() == [[]]


def test_500_particles(rng):
    X = np.stack([rng.exponential(1, (2, 500)), *rng.normal(0, 0.3, (2, 2, 500))], axis=2)
    found = ParticlePreprocessor().fit_transform(X)
    assert_allclose(found[..., 0].sum(axis=1), 1)


# Features


def test_features_by_name_and_position(ak, jets, records):
    expected = ParticlePreprocessor().fit_transform(jets)
    order = [3, 2, 0, 1]
    found = ParticlePreprocessor(pt=2, eta=3, phi=1).fit_transform(jets[..., order])
    assert_array_equal(found, expected[..., order])
    renamed = ak.zip({"eta": records.eta, "E": records.pt, "azimuth": records.phi})
    transformer = ParticlePreprocessor(pt="E", phi="azimuth").fit(renamed)
    assert list(transformer.feature_names_in_) == ["eta", "E", "azimuth"]
    found = transformer.transform(renamed)
    assert_allclose(ak.flatten(found.E), expected[~np.isnan(expected[..., 0])][:, 0])


def test_feature_names(jets, records):
    transformer = ParticlePreprocessor().fit(records)
    assert list(transformer.get_feature_names_out()) == ["pt", "eta", "phi"]
    assert list(transformer.get_feature_names_out(["pt", "eta", "phi"])) == ["pt", "eta", "phi"]
    with pytest.raises(ValueError, match="input_features is"):
        transformer.get_feature_names_out(["pt", "phi", "eta"])
    transformer.fit(jets)
    assert transformer.n_features_in_ == 4
    assert not hasattr(transformer, "feature_names_in_")
    assert list(transformer.get_feature_names_out()) == ["x0", "x1", "x2", "x3"]
    assert list(transformer.get_feature_names_out(list("abcd"))) == list("abcd")
    with pytest.raises(ValueError, match="input_features has 1 names, expected 4"):
        transformer.get_feature_names_out(["a"])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"pt": "energy"}, "pt is 'energy', which is no feature of X"),
        ({"eta": "Eta"}, "eta is 'Eta'.*did you mean 'eta'"),
        ({"phi": 7}, "phi is feature 7 of a particle, but X has 3; expected 0 to 2"),
        ({"phi": "eta"}, r"features \[0, 1, 1\]; expected three"),
    ],
)
def test_wrong_features(arguments, match, records):
    with pytest.raises(ValueError, match=match):
        ParticlePreprocessor(**arguments).fit(records)


def test_names_for_what_has_none(jets):
    with pytest.raises(ValueError, match=r"pt is 'energy', .*0 to 3, which have no names"):
        ParticlePreprocessor(pt="energy").fit(jets)


def test_other_features_than_in_fit(ak, jets, records):
    transformer = ParticlePreprocessor().fit(records)
    with pytest.raises(ValueError, match=r"X has the features \('eta', 'pt', 'phi'\), fit had"):
        transformer.transform(records[["eta", "pt", "phi", "pid"]])
    with pytest.raises(ValueError, match=r"X has the features 4, fit had \('pt', 'eta', 'phi'\)"):
        transformer.transform(jets)


# What is refused


def test_bad_momenta(jets):
    negative, zero = jets.copy(), jets.copy()
    negative[3, 2, 0] = -1
    zero[4, :2, 0] = 0
    transformer = ParticlePreprocessor().fit(jets)
    with pytest.raises(ValueError, match="negative transverse momentum in event 3"):
        transformer.transform(negative)
    with pytest.raises(ValueError, match="all transverse momenta of event 4 are zero"):
        transformer.transform(zero)
    zero[4, 0, 0] = 1
    assert transformer.transform(zero)[4, 1, 0] == 0


def test_bad_events(jets):
    jets[3, 1, 1] = np.nan
    with pytest.raises(ValueError, match="NaN in feature 1 of particle 1 of event 3"):
        ParticlePreprocessor().fit(jets)
    with pytest.raises(ValueError, match=r"shape \(9, 4\)"):
        ParticlePreprocessor().fit(jets[0])
    with pytest.raises(NotFittedError):
        ParticlePreprocessor().transform(jets)


# scikit-learn


class Sums(TransformerMixin, BaseEstimator):
    """Sums over the particles, so that a regression can follow."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        packed = PackedEvents.from_events(X)
        values = np.column_stack([packed.features, packed.features**2])
        rows = np.repeat(np.arange(len(packed)), packed.counts)
        return np.stack([np.bincount(rows, v, minlength=len(packed)) for v in values.T], axis=1)


def test_clone_and_parameters():
    transformer = ParticlePreprocessor(pt=3, center=False)
    assert clone(transformer).get_params() == transformer.get_params()
    assert transformer.set_params(pt_fraction=False).pt_fraction is False
    assert transformer.__sklearn_tags__().input_tags.three_d_array


def test_output_of_pandas_is_not_forced(jets):
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(ParticlePreprocessor().fit_transform(jets), np.ndarray)
        assert isinstance(ParticleMoments().fit_transform(jets), PackedEvents)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["padded", "records", "lists", "packed"])
def test_pipeline_and_cross_validation(form, ak, rng):
    X = np.stack([rng.exponential(1, (60, 6)), *rng.normal(0, 0.3, (2, 60, 6))], axis=2)
    X[rng.random((60, 6)) < 0.4] = np.nan
    X[0] = np.nan
    y = np.nansum(ParticlePreprocessor().fit_transform(X)[..., 1] ** 2, axis=1)
    real = ~np.isnan(X[..., 0])
    columns = {
        name: ak.unflatten(X[..., i][real], real.sum(axis=1))
        for i, name in enumerate(("pt", "eta", "phi"))
    }
    events = {
        "padded": X,
        "records": ak.zip(columns),
        "lists": ak.Array(columns),
        "packed": PackedEvents.from_events(X),
    }[form]
    model = make_pipeline(ParticlePreprocessor(), Sums(), Ridge(1e-9))
    assert cross_val_score(model, events, y, cv=3).min() > 0.99
    search = GridSearchCV(model, {"particlepreprocessor__center": [False, True]}, cv=3)
    search.fit(events, y)
    assert search.best_params_ == {"particlepreprocessor__center": True}


# Moments


def test_sums_of_moments_are_jet_shapes(jets):
    prepared = ParticlePreprocessor().fit_transform(jets)
    found = ParticleMoments().fit_transform(prepared)
    assert found.counts.tolist() == COUNTS
    z, eta, phi = prepared[3, :, 0], prepared[3, :, 1], prepared[3, :, 2]
    expected = [z @ np.hypot(eta, phi), z @ eta**2, z @ phi**2, z @ (eta * phi), z @ z]
    assert_allclose(found[3].features[:, 4:].sum(axis=0), expected)
    assert_allclose(found[3].features[:, 0], np.log(z))
    assert_array_equal(found[3].features[:, 1:4], prepared[3, :, 1:])


def test_moments_of_named_features_keep_types_and_precision(records):
    packed = PackedEvents.from_events(records)
    moments = ParticleMoments()
    found = moments.fit_transform(packed)
    new = ["pt*r", "pt*eta^2", "pt*phi^2", "pt*eta*phi", "pt^2"]
    assert found.feature_names == ("log(pt)", "eta", "phi", *new)
    assert list(moments.get_feature_names_out()) == list(found.feature_names)
    assert found.features.dtype == packed.features.dtype == np.float32
    assert_array_equal(found.types, packed.types)
    assert_allclose(moments.transform(records).features, found.features, rtol=1e-5, atol=1e-6)


def test_momentum_of_zero_has_a_logarithm_and_a_negative_one_is_refused(jets):
    jets[3, 2, 0] = 0.0
    found = ParticleMoments().fit_transform(jets)
    assert np.isfinite(found.features).all()
    jets[3, 2, 0] = -1.0
    with pytest.raises(ValueError, match="negative transverse momentum in event 3"):
        ParticleMoments().fit_transform(jets)


def test_moments_in_a_pipeline(jets):
    pipeline = make_pipeline(ParticlePreprocessor(), ParticleMoments())
    found = pipeline.fit_transform(jets)
    assert found.features.shape == (sum(COUNTS), 9)
    with pytest.raises(ValueError, match="X has the features 3, fit had 4"):
        pipeline[1].transform(jets[..., :3])
    with pytest.raises(NotFittedError):
        clone(pipeline[1]).transform(jets)


# Features


@pytest.fixture
def table(rng):
    """A feature of each kind, one outlier and one missing value."""
    n = 2000
    frame = pd.DataFrame(
        {
            "pt": rng.exponential(30, n),
            "mass": rng.normal(91, 2, n),
            "phi": rng.uniform(-np.pi, np.pi, n),
            "pdgId": rng.choice([11, -11, 211], n),
            "n_jets": rng.poisson(3, n),
        }
    )
    frame.loc[:199, "pt"] = -999
    frame.loc[5, "mass"] = 1e9
    frame.loc[7, "n_jets"] = np.nan
    return frame


NAMES = [
    *("pt", "pt == -999", "mass", "sin phi", "cos phi", "pdgId = -11", "pdgId = 11"),
    *("pdgId = 211", "n_jets", "n_jets missing"),
]


def test_each_kind_of_feature(table):
    coder = FeatureCoder(periodic=["phi"])
    found = coder.fit_transform(table)
    assert coder.get_feature_names_out().tolist() == NAMES
    assert found.shape == (2000, 10)
    assert found.dtype == np.float64
    assert np.abs(found).max() < 50
    assert coder.n_outside_.tolist() == [0, 1, 0, 0, 0]
    assert coder.feature_names_in_.tolist() == list(table)
    assert [len(flags) for flags in coder.flags_] == [1, 0, 0, 3, 1]
    assert coder.core_.shape == (5, 2)
    assert 91 + 2 * 11 < coder.core_[1, 1] < 91 + 2 * 15
    assert np.isinf(coder.core_[2:4]).all()
    real = table["pt"] != -999
    pt = table["pt"][real]
    assert_allclose(found[real, 0], (pt - pt.mean()) / pt.std(ddof=0))


def test_frames_come_out_on_request(table):
    coder = FeatureCoder(periodic=["phi"]).set_output(transform="pandas").fit(table)
    found = coder.transform(table[5:9])
    assert list(found) == NAMES
    assert found.index.tolist() == [5, 6, 7, 8]
    again = pickle.loads(pickle.dumps(coder))
    pd.testing.assert_frame_equal(again.transform(table[5:9]), found)
    pd.testing.assert_frame_equal(clone(coder).fit(table).transform(table[5:9]), found)


def test_features_without_names(table):
    coder = FeatureCoder(periodic=[2], categorical=[3]).fit(table.to_numpy())
    assert coder.get_feature_names_out()[:4].tolist() == ["x0", "x0 == -999", "x1", "sin x2"]
    names = coder.get_feature_names_out(["a", "b", "c", "d", "e"])
    assert names[:4].tolist() == ["a", "a == -999", "b", "sin c"]
    with pytest.raises(ValueError, match="input_features"):
        coder.get_feature_names_out(["a"])


def test_what_looks_like_something_else_is_told(table):
    with pytest.warns(FeatureWarning, match=r"phi fills \(-π, π\] up to both ends") as told:
        FeatureCoder().fit(table)
    assert len(told) == 1
    assert told[0].filename == __file__
    with pytest.warns(FeatureWarning, match="x3 looks like PDG codes"):
        FeatureCoder(periodic=[2]).fit(table.to_numpy())


def test_weights_of_events(table):
    weight = np.where(np.arange(2000) < 1000, 0.0, 1.0)
    coder = FeatureCoder(periodic=["phi"])
    weighted = coder.fit(table, sample_weight=weight).transform(table[1000:])
    alone = coder.fit(table[1000:]).transform(table[1000:])
    assert_allclose(weighted[:, 0], alone[:, 0])
    with pytest.raises(ValueError, match="sample_weight has shape"):
        coder.fit(table, sample_weight=weight[:5])


def test_features_of_particles(records, jets):
    packed = PackedEvents.from_events(records)
    coder = FeatureCoder(periodic=["phi"])
    found = coder.fit_transform(records)
    assert isinstance(found, PackedEvents)
    assert found.feature_names == ("pt", "eta", "sin phi", "cos phi")
    assert found.feature_names == tuple(coder.get_feature_names_out())
    assert_array_equal(found.types, packed.types)
    assert_array_equal(found.offsets, packed.offsets)
    assert found.features.dtype == np.float32
    assert_allclose(found.features[:, 0].mean(), 0, atol=1e-6)
    assert_allclose(found.features[:, 0].std(), 1, atol=1e-6)
    # An event's weight counts for each of its particles.
    weight = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    few = coder.fit(records, sample_weight=weight).transform(records[:3])
    assert_allclose(few.features[:, 0].mean(), 0, atol=1e-6)
    assert FeatureCoder().fit_transform(jets[..., :2]).feature_names is None
    with pytest.raises(ValueError, match="rows of features"):
        coder.transform(jets[0])


def test_parameters_of_the_coder(table):
    assert (
        "pdgId"
        in FeatureCoder(periodic=["phi"], categorical=[])
        .fit(table.assign(pdgId=table["n_jets"]))
        .get_feature_names_out()
    )
    assert (
        "pt == -999"
        not in FeatureCoder(periodic=["phi"], atoms=[]).fit(table).get_feature_names_out()
    )
    for parameters, text in (
        ({"categorical": "all"}, "categorical is 'all'; expected 'auto' or a list"),
        ({"atoms": "no"}, "atoms is 'no'; expected 'auto' or a list"),
        ({"periodic": ["fi"]}, "'fi' is no feature of X"),
    ):
        coder = FeatureCoder(**parameters)
        with pytest.raises(ValueError, match=text):
            coder.fit(table)
        assert not hasattr(coder, "n_features_in_")


def test_infinity_is_refused(table):
    table.loc[3, "mass"] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        FeatureCoder().fit(table)


def test_a_mapped_file_may_have_missing_values(rng, tmp_path):
    X = rng.normal(size=(5000, 2))
    X[3, 1] = np.nan
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert_array_equal(FeatureCoder().fit_transform(mapped), FeatureCoder().fit_transform(X))
    X[4, 1] = np.inf
    np.save(tmp_path / "y.npy", X)
    with pytest.raises(ValueError, match="infinity"):
        FeatureCoder().fit(np.load(tmp_path / "y.npy", mmap_mode="r"))


def test_coder_in_a_pipeline(rng):
    """A line through a heavy tail: one event at 10⁹ would be all that a line sees."""
    X = rng.normal(size=(2000, 1))
    y = X[:, 0].copy()
    X[0] = 1e9
    assert Ridge().fit(X, y).score(X[1:], y[1:]) < 0.01
    assert make_pipeline(FeatureCoder(), Ridge()).fit(X, y).score(X[1:], y[1:]) > 0.8
