"""Events that are sets of particles: the forms they come in, what is refused, rows and tensors."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing, indexable

from skdctr.events import chunks
from skdctr.events.coding import EventCoder
from skdctr.events.kinds import (
    concatenate_events,
    count_features,
    count_type_codes,
    event_columns,
    event_parts,
    feature_table,
    holds_sets,
)
from skdctr.events.packed import PackedTensors, is_sets
from skdctr.preprocessing import PackedEvents

COUNTS = [3, 0, 1, 5, 2, 0]


@pytest.fixture
def ak():
    return pytest.importorskip("awkward")


@pytest.fixture
def lists(rng):
    """Particles of each event: pt, eta, phi as rows of float32, and a code."""
    return [
        (rng.uniform(0.1, 9.0, (n, 3)).astype(np.float32), rng.choice([211, -211, 321], n))
        for n in COUNTS
    ]


@pytest.fixture
def padded(lists):
    """With room to spare, and padding before and between particles too."""
    array = np.full((len(lists), 7, 3), np.nan, dtype=np.float32)
    for i, (features, _) in enumerate(lists):
        array[i, np.sort(np.random.default_rng(i).permutation(7)[: len(features)])] = features
    return array


@pytest.fixture
def records(ak, lists):
    columns = {name: [f[:, i] for f, _ in lists] for i, name in enumerate(("pt", "eta", "phi"))}
    return ak.zip({**columns, "pid": [codes for _, codes in lists]})


@pytest.fixture
def packed(records):
    return PackedEvents.from_events(records)


def assert_same(first, second):
    assert_array_equal(first.features, second.features)
    assert_array_equal(first.offsets, second.offsets)
    assert first.feature_names == second.feature_names
    if first.types is None or second.types is None:
        assert first.types is second.types is None
    else:
        assert_array_equal(first.types, second.types)


def events(packed):
    return np.split(packed.features, packed.offsets[1:-1])


# The forms


def test_padded_array(padded, lists):
    packed = PackedEvents.from_events(padded)
    assert_array_equal(packed.counts, COUNTS)
    for found, (expected, _) in zip(events(packed), lists, strict=True):
        assert_array_equal(found, expected)
    assert packed.features.dtype == np.float32
    assert packed.feature_names is packed.types is packed.type_name is None
    assert (len(packed), packed.n_particles, packed.n_features) == (6, 11, 3)


def test_width_of_padding_does_not_matter(padded):
    wider = np.pad(padded, ((0, 0), (3, 11), (0, 0)), constant_values=np.nan)
    assert_same(PackedEvents.from_events(padded), PackedEvents.from_events(wider))


def test_awkward_records(packed, lists):
    assert packed.feature_names == ("pt", "eta", "phi")
    assert packed.type_name == "pid"
    assert packed.types.dtype == np.int32
    assert_array_equal(packed.types, np.concatenate([codes for _, codes in lists]))
    for found, (expected, _) in zip(events(packed), lists, strict=True):
        assert_array_equal(found, expected)
    assert repr(packed) == ("PackedEvents(6 events, 11 particles of ('pt', 'eta', 'phi') and pid)")
    assert packed.nbytes == 11 * 3 * 4 + 7 * 8 + 11 * 4


def test_awkward_record_of_lists(ak, records, packed):
    assert_same(PackedEvents.from_events(ak.Array({f: records[f] for f in records.fields})), packed)


def test_awkward_regular_fields(ak, lists, padded):
    jagged = ak.Array([features.tolist() for features, _ in lists])
    assert_same(PackedEvents.from_events(jagged), PackedEvents.from_events(padded))
    regular = ak.Array(np.arange(24.0).reshape(2, 3, 4))
    packed = PackedEvents.from_events(regular)
    assert_array_equal(packed.features, np.arange(24).reshape(6, 4))
    assert_array_equal(packed.offsets, [0, 3, 6])


def test_awkward_views(ak, records, packed):
    """Slices, masks and reordered arrays have other layouts."""
    for rows in (slice(2, 5), [3, 1, 1], np.array(COUNTS) > 1):
        assert_same(PackedEvents.from_events(records[rows]), packed[rows])
    assert_same(PackedEvents.from_events(ak.to_packed(records)), packed)
    chosen = PackedEvents.from_events(records[records.pid > 0])
    assert (chosen.types > 0).all()
    assert len(chosen) == 6


def test_packed_is_returned_as_it_is(packed):
    assert PackedEvents.from_events(packed) is packed


@pytest.mark.parametrize("particle_type", [3, -1])
def test_type_by_position(particle_type, padded, records):
    codes = np.full((*padded.shape[:2], 1), np.nan)
    codes[~np.isnan(padded[:, :, 0])] = PackedEvents.from_events(records).types[:, None]
    packed = PackedEvents.from_events(
        np.concatenate([padded, codes], axis=2), particle_type=particle_type
    )
    assert packed.n_features == 3
    assert_array_equal(packed.types, PackedEvents.from_events(records).types)


def test_type_by_name(ak, records):
    other = ak.with_field(records, records.pid, "species")
    packed = PackedEvents.from_events(other, particle_type="species")
    assert packed.feature_names == ("pt", "eta", "phi", "pid")
    assert packed.type_name == "species"
    assert PackedEvents.from_events(other, particle_type=None).n_features == 5
    # A float by the name of a type is a feature: it may be anything.
    assert PackedEvents.from_events(ak.values_astype(records, np.float32)).n_features == 4


def test_no_particles_at_all(ak):
    for empty in (np.full((3, 4, 2), np.nan), np.empty((3, 0, 2))):
        packed = PackedEvents.from_events(empty)
        assert (len(packed), packed.n_particles, packed.n_features) == (3, 0, 2)
        mean, scale = packed.mean_and_scale()
        assert_array_equal([mean, scale], [[0, 0], [1, 1]])
    none = ak.zip({"pt": [[]], "eta": [[]]})
    assert PackedEvents.from_events(none).n_features == 2
    assert len(PackedEvents.from_events(np.empty((0, 4, 2)))) == 0


def test_500_particles(rng):
    packed = PackedEvents.from_events(rng.normal(size=(2, 500, 3)))
    assert_array_equal(packed.counts, [500, 500])
    assert packed.to_padded().shape == (2, 500, 3)


def test_is_sets(records, padded, packed):
    assert all(is_sets(X) for X in (records, padded, packed, [records[0]]))
    assert not any(is_sets(X) for X in (padded[0], padded[0, 0], [[1.0]], [], None))


# What is refused


def test_nan_in_a_particle(ak, records, padded):
    # Padding must not move the number of the event.
    row = int(np.flatnonzero(~np.isnan(padded[3, :, 0]))[2])
    padded[3, row, 1] = np.nan
    with pytest.raises(ValueError, match="sim has NaN in feature 1 of particle 2 of event 3"):
        PackedEvents.from_events(padded, name="sim")
    pt = ak.to_list(records.pt)
    pt[3][4] = float("nan")
    with pytest.raises(ValueError, match="X has NaN in 'pt' of particle 4 of event 3"):
        PackedEvents.from_events(ak.with_field(records, pt, "pt"))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinite(value):
    X = np.ones((3, 2, 2))
    X[2, 1, 0] = value
    with pytest.raises(ValueError, match=r"infinite or too large .*feature 0 .*1 of event 2"):
        PackedEvents.from_events(X)


def test_opposite_infinities():
    X = np.ones((2, 2, 1))
    X[0, :, 0] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinite"):
        PackedEvents.from_events(X)


def test_large_numbers_whose_sum_overflows():
    X = np.full((4, 1, 1), 1e308)
    assert len(PackedEvents.from_events(X, dtype=np.float64)) == 4


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.ones((3, 2)), r"shape \(3, 2\); expected an awkward array of lists of records"),
        (np.ones(3), r"shape \(3,\)"),
        (None, "NoneType"),
        ("jets", "X is str"),
        ([[[1.0]], [[1.0], [2.0]]], "ragged"),
        (np.ones((3, 2, 0)), "no features"),
    ],
)
def test_wrong_shape(X, match):
    with pytest.raises(ValueError, match=match):
        PackedEvents.from_events(X)


def test_no_numbers(ak):
    with pytest.raises(TypeError, match="expected real numbers"):
        PackedEvents.from_events(np.full((1, 1, 1), "a"))
    with pytest.raises((TypeError, ValueError), match="field 'a' of X"):
        PackedEvents.from_events(ak.Array([[{"a": "x"}]]))


def test_wrong_awkward(ak, records):
    with pytest.raises(ValueError, match=r"X is of type 3 \* float64; expected n_events lists"):
        PackedEvents.from_events(ak.Array(np.ones(3)))
    with pytest.raises(ValueError, match="field 'a' of X is of type"):
        PackedEvents.from_events(ak.Array([{"a": 1.0}]))
    with pytest.raises(ValueError, match="field 'b' of X has 1 particles in event 1, field 'a'"):
        PackedEvents.from_events(ak.Array({"a": [[1.0], [2.0, 3.0]], "b": [[1.0], [2.0]]}))
    with pytest.raises(ValueError, match=r"event 1 of X has 3 features, the first .*has 2"):
        PackedEvents.from_events(ak.Array([[[1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0, 3.0]]]))
    with pytest.raises(ValueError, match="features are unknown"):
        PackedEvents.from_events(ak.Array([[[1.0]]])[:, :0])
    with pytest.raises(ValueError, match="missing value in event 1"):
        PackedEvents.from_events(ak.Array([[{"a": 1.0}], None]))
    with pytest.raises(ValueError, match="missing value in event 1"):
        PackedEvents.from_events(ak.Array([[{"a": 1.0}], [{"a": 1.0}, {"a": None}]]))


def test_wrong_type(ak, records):
    with pytest.raises(ValueError, match=r"particle_type is 'pdg'.*\['pt', 'eta', 'phi', 'pid'\]"):
        PackedEvents.from_events(records, particle_type="pdg")
    with pytest.raises(ValueError, match="particle_type is 4, but X has 4 features"):
        PackedEvents.from_events(records, particle_type=4)
    with pytest.raises(
        ValueError, match=r"particle type .*\('pt'\) in event 0; expected an integer"
    ):
        PackedEvents.from_events(records, particle_type="pt")
    with pytest.raises(ValueError, match="particle type 3000000000"):
        PackedEvents.from_events(ak.zip({"a": [[1.0]], "pid": [[3_000_000_000]]}))
    with pytest.raises(ValueError, match=r"particle type nan \(feature 0\) in event 1"):
        PackedEvents.from_events(np.array([[[1.0, 1.0]], [[np.nan, 1.0]]]), particle_type=0)
    with pytest.raises(ValueError, match="no features but the particle type"):
        PackedEvents.from_events(records[["pid"]])


def test_no_silent_array(packed):
    with pytest.raises(TypeError, match="sets of particles are no array"):
        np.asarray(packed)


# Rows


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(1, 4),
        slice(4, 2),
        slice(None, None, -2),
        slice(10, 20),
        [5, 0, 0, -1],
        np.array([3, 2], dtype=np.uint8),
        [],
        np.array(COUNTS) > 1,
        [True, False] * 3,
    ],
)
def test_rows(rows, packed):
    chosen = packed[rows]
    index = np.arange(6)[rows if isinstance(rows, slice) or len(rows) else slice(0)]
    all_events = events(packed)
    assert_array_equal(chosen.counts, np.array(COUNTS)[index])
    if len(index):
        assert_array_equal(chosen.features, np.concatenate([all_events[i] for i in index]))
    types = np.split(packed.types, packed.offsets[1:-1])
    assert_array_equal(chosen.types, [code for i in index for code in types[i]])
    assert chosen.offsets[0] == 0
    assert chosen.feature_names == packed.feature_names


def test_single_events(packed):
    assert_same(packed[3], packed[3:4])
    assert_same(packed[np.int64(-1)], packed[5:])
    assert [len(event.features) for event in packed] == COUNTS


@pytest.mark.parametrize("rows", [[6], [-7], 6, [0.5], [[0]], [True], np.ones(7, bool)])
def test_wrong_rows(rows, packed):
    with pytest.raises(IndexError):
        packed[rows]


def test_concatenate(packed):
    assert_same(PackedEvents.concatenate([packed[:2], packed[2:2], packed[2:]]), packed)
    assert_same(PackedEvents.concatenate([packed[[i]] for i in range(6)]), packed)
    with pytest.raises(ValueError, match=r"sample 1 is .*, sample 0 is"):
        PackedEvents.concatenate([packed, PackedEvents.from_events(np.ones((1, 1, 3)))])
    with pytest.raises(ValueError, match="at least one"):
        PackedEvents.concatenate([])


def test_permuted_particles(packed, rng):
    order = np.concatenate(
        [
            start + rng.permutation(n)
            for start, n in zip(packed.offsets[:-1], packed.counts, strict=True)
        ]
    ).astype(int)
    shuffled = PackedEvents(packed.features[order], packed.offsets)
    for found, expected in zip(shuffled.mean_and_scale(), packed.mean_and_scale(), strict=True):
        assert_allclose(found, expected, rtol=1e-6)


def test_padding_and_back(packed, padded):
    array = packed.to_padded(9)
    assert array.shape == (6, 9, 4)
    back = PackedEvents.from_events(array, particle_type=3)
    assert_array_equal(back.features, packed.features)
    assert_array_equal(back.types, packed.types)
    again = PackedEvents.from_events(padded)
    assert_same(PackedEvents.from_events(again.to_padded()), again)
    with pytest.raises(ValueError, match="n_particles is 4, but event 3 has 5"):
        packed.to_padded(4)


# Standardisation


def test_mean_and_scale_of_real_particles(packed, lists):
    values = np.concatenate([features for features, _ in lists]).astype(np.float64)
    mean, scale = packed.mean_and_scale()
    assert_allclose(mean, values.mean(axis=0))
    assert_allclose(scale, values.std(axis=0))
    weight = np.array([1.0, 5.0, 2.0, 0.0, 3.0, 1.0])
    repeated = packed[np.repeat(np.arange(6), weight.astype(int))]
    assert_allclose(packed.mean_and_scale(weight), repeated.mean_and_scale())
    assert_array_equal(packed.mean_and_scale(np.zeros(6)), [[0] * 3, [1] * 3])


def test_mean_and_scale_do_not_depend_on_the_parts(rng, monkeypatch):
    features = rng.normal(5.0, 3.0, (50_000, 4)).astype(np.float32)
    packed = PackedEvents(features, np.arange(0, 50_001, 10))
    assert len(list(chunks.row_chunks(features))) == 1
    for weight in (None, rng.exponential(size=5000)):
        whole = packed.mean_and_scale(weight)
        monkeypatch.setattr(chunks, "_NUMBERS", 1 << 14)
        assert_array_equal(packed.mean_and_scale(weight), whole)
        monkeypatch.undo()


def test_standardised_in_little_memory(rng):
    features = rng.normal(5.0, 3.0, (2_000_000, 3)).astype(np.float32)
    packed = PackedEvents(features, np.arange(0, 2_000_001, 10))
    tracemalloc.start()
    EventCoder.fit(packed, np.ones(len(packed)))(packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result, and a weight for each particle.
    assert peak < 1.5 * (features.nbytes + 8 * len(features))


def test_scale_of_a_constant_feature():
    X = np.stack([np.full((20, 3), 0.1), np.zeros((20, 3))], axis=2)
    assert_array_equal(PackedEvents.from_events(X).mean_and_scale()[1], [1, 1])


# Tensors


def test_tensors(packed):
    tensors = packed.to_torch("cpu")
    assert isinstance(tensors, PackedTensors)
    assert tensors.features.dtype == torch.float32
    assert tensors.offsets.dtype == torch.int64
    assert_array_equal(tensors.counts, COUNTS)
    assert_array_equal(tensors.segments, np.repeat(np.arange(6), COUNTS))
    for rows in (torch.tensor([5, 3, 3, 0]), torch.tensor([], dtype=torch.long)):
        chosen, expected = tensors[rows], packed[rows.numpy()]
        assert_array_equal(chosen.features, expected.features)
        assert_array_equal(chosen.offsets, expected.offsets)
        assert_array_equal(chosen.types, expected.types)
    for rows in (slice(1, 4), slice(4, None), slice(4, 2)):
        chosen, expected = tensors[rows], packed[rows]
        assert_array_equal(chosen.features, expected.features)
        assert_array_equal(chosen.offsets, expected.offsets)
        assert_array_equal(chosen.types, expected.types)
        assert len(chosen) == len(expected)
    with pytest.raises(IndexError, match="step is 2"):
        tensors[::2]
    tensors.features.zero_()
    assert packed.features.any()
    assert PackedEvents.from_events(np.ones((2, 2, 1))).to_torch()[:1].types is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tensors_on_a_gpu(packed):
    rows = torch.tensor([5, 3, 0], device="cuda")
    assert_array_equal(packed.to_torch("cuda")[rows].features.cpu(), packed[[5, 3, 0]].features)


# scikit-learn


def test_sklearn_splits_packed_events(packed):
    y = np.arange(6)
    X_train, X_test, y_train, y_test = train_test_split(packed, y, random_state=0)
    assert_same(X_train, packed[y_train])
    assert_same(X_test, packed[y_test])
    for train, test in KFold(3, shuffle=True, random_state=0).split(packed, y):
        assert_same(_safe_indexing(packed, train), packed[train])
        assert_same(_safe_indexing(packed, test), packed[test])
    assert_same(_safe_indexing(packed, y > 2), packed[3:])
    assert_same(_safe_indexing(packed, slice(1, 3)), packed[1:3])
    assert indexable(packed, y)[0] is packed


def test_sklearn_splits_awkward_and_padded_arrays(ak, records, padded, packed):
    """scikit-learn makes a list of an awkward array's rows, which from_events understands."""
    lists = ak.Array({f: records[f] for f in records.fields})
    for train, test in KFold(3, shuffle=True, random_state=0).split(records):
        for rows in (train, test):
            for X in (records, lists):
                assert_same(PackedEvents.from_events(_safe_indexing(X, rows)), packed[rows])
            part = PackedEvents.from_events(_safe_indexing(padded, rows))
            assert_array_equal(part.features, packed[rows].features)


def test_padding_with_zeros_is_refused():
    X = np.random.default_rng(0).normal(size=(50, 4, 3))
    X[::2, 2:] = 0.0
    with pytest.raises(ValueError, match=r"jets looks padded with zeros: .* 25 of 50 events"):
        PackedEvents.from_events(X, name="jets")
    X[(X == 0).all(axis=2)] = np.nan
    assert PackedEvents.from_events(X).counts.tolist() == [2, 4] * 25
    # One feature may well be zero.
    assert PackedEvents.from_events(np.zeros((5, 3, 1))).n_particles == 15


def test_questions_to_events_of_either_kind(packed, rng):
    rows = rng.normal(size=(6, 3))
    on_device = packed.to_torch()
    assert not holds_sets(rows)
    assert not holds_sets(torch.as_tensor(rows))
    assert holds_sets(packed)
    assert holds_sets(on_device)
    assert feature_table(rows) is rows
    assert feature_table(packed) is packed.features
    assert feature_table(on_device) is on_device.features
    assert count_features(rows) == 3
    assert count_features(packed) == packed.n_features
    assert count_type_codes(torch.as_tensor(rows)) == 0
    assert count_type_codes(on_device) == 0
    assert count_type_codes(replace(on_device, n_types=4)) == 4
    assert_array_equal(np.stack(event_columns(rows), axis=1), rows)
    assert event_columns(packed) == []
    assert list(event_parts(packed)) == [(slice(0, len(packed)), packed)]
    ((where, part),) = event_parts(rows)
    assert where == slice(0, 6)
    assert_array_equal(part, rows)
    assert_array_equal(concatenate_events([rows, rows[:2]]), np.concatenate([rows, rows[:2]]))
    joined = concatenate_events([packed, packed[:2]])
    assert_array_equal(joined.counts, np.concatenate([packed.counts, packed.counts[:2]]))
