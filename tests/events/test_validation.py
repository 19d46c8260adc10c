"""What comes in is checked once: events, weights, parameters, bounds, devices, seeds."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from skdctr import exceptions
from skdctr._utils.device import resolve_device, spawn_seeds, torch_seed
from skdctr._utils.spelling import did_you_mean
from skdctr.events.frames import column_labels
from skdctr.events.validation import check_events, check_same_columns, check_weights
from skdctr.parameters.space import ParameterSpace, check_theta_rows
from skdctr.training.settings import PrefixedParametersMixin

SPACE = ParameterSpace(
    ("alpha", "beta"), np.array([0.0, 1.0]), np.array([-1.0, 0.5]), np.array([1.0, np.inf])
)


# --- events ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [1, 2, 3],
        np.array([1.0, 2.0, 3.0], dtype=np.float32),
        pd.Series([1, 2, 3], name="x"),
        pd.DataFrame({"x": [1, 2, 3]}),
        np.array([[1.0], [2.0], [3.0]]),
    ],
    ids=lambda events: type(events).__name__,
)
def test_events_become_float64_of_two_dimensions(events):
    checked = check_events(events, name="data")
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, [[1.0], [2.0], [3.0]])


def test_fortran_and_read_only_events_are_taken(rng):
    events = np.asfortranarray(rng.normal(size=(5, 2)))
    events.flags.writeable = False
    np.testing.assert_array_equal(check_events(events, name="data"), events)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "0 sample"),
        (np.empty((3, 0)), "0 feature"),
        ([1.0, np.nan], "data contains NaN"),
        ([[np.inf]], "data contains infinity"),
        (np.zeros((2, 2, 2)), r"data has shape \(2, 2, 2\); expected \(n_events, n_features\)"),
        ([["a"]], "could not convert"),
    ],
)
def test_bad_events(events, message):
    with pytest.raises(ValueError, match=message):
        check_events(events, name="data")


def test_number_of_features():
    check_events([[1, 2]], name="data", n_features=2)
    with pytest.raises(ValueError, match="data has 2 features, expected 1"):
        check_events([[1, 2]], name="data", n_features=1)


def test_swapped_columns_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["pt", "eta"])
    check_same_columns(frame, frame, name="data", reference_name="sim_reco")
    check_same_columns(frame.to_numpy(), frame, name="data", reference_name="sim_reco")
    with pytest.raises(ValueError, match=r"columns of data are \['eta', 'pt'\].*reorder"):
        check_same_columns(frame[["eta", "pt"]], frame, name="data", reference_name="sim_reco")


def test_feature_names_are_strings_or_none():
    assert column_labels(pd.DataFrame({"a": [1], "b": [2]})) == ["a", "b"]
    assert column_labels(pd.Series([1], name="a")) == ["a"]
    for nameless in (pd.DataFrame([[1, 2]]), pd.Series([1]), np.zeros((1, 2)), [[1]]):
        assert column_labels(nameless) is None


# --- weights --------------------------------------------------------------------------------


def test_no_weights_are_ones():
    np.testing.assert_array_equal(check_weights(None, 3, name="weight"), np.ones(3))


@pytest.mark.parametrize("weights", [[1, 2, 0], pd.Series([1.0, 2.0, 0.0]), [3.0, -1.0, 1.0]])
def test_weights_are_copied_to_float64(weights):
    checked = check_weights(weights, 3, name="weight")
    assert checked.dtype == np.float64
    np.testing.assert_array_equal(checked, weights)
    given = np.ones(3)
    check_weights(given, 3, name="weight")[:] = 0
    assert (given == 1).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(2), r"weight has shape \(2,\), expected \(3,\): one weight per event"),
        (np.ones((3, 1)), r"shape \(3, 1\)"),
        ([1, 2, np.nan], "weight contains NaN"),
        ([1, 2, np.inf], "weight contains infinity"),
        (np.zeros(3), "weight sums to 0: .* at least one non-zero number"),
        ([1, -2, 1], "weight sums to 0: .* a positive sum"),
        ([1, -2, -1], "weight sums to -2"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, 3, name="weight")


# --- θ of every event -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theta", "names"),
    [
        ([1.0, 2.0], ["theta"]),
        ([[1.0], [2.0]], ["theta"]),
        ([[1.0, 3.0], [2.0, 4.0]], ["theta_0", "theta_1"]),
        (pd.Series([1.0, 2.0], name="mu"), ["mu"]),
        (pd.Series([1.0, 2.0]), ["theta"]),
        (pd.DataFrame({"mu": [1.0, 2.0], "sigma": [3, 4]}), ["mu", "sigma"]),
        (pd.DataFrame([[1.0, 3.0], [2.0, 4.0]]), ["theta_0", "theta_1"]),
    ],
)
def test_rows_and_names_of_theta(theta, names):
    rows, found = check_theta_rows(theta, 2, name="y")
    assert found == names
    np.testing.assert_array_equal(rows, np.array([[1.0, 3.0], [2.0, 4.0]])[:, : len(names)])
    with pytest.raises(ValueError, match="y has 2 rows for 3 events"):
        check_theta_rows(theta, 3, name="y")


# --- one θ ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "theta",
    [
        [0.5, 2],
        (0.5, 2),
        {"beta": 2, "alpha": 0.5},
        pd.Series({"beta": 2, "alpha": 0.5}),
        pd.Series([0.5, 2.0]),
    ],
    ids=lambda theta: type(theta).__name__,
)
def test_forms_of_a_point(theta):
    point = SPACE.point(theta)
    assert point.dtype == np.float64
    np.testing.assert_array_equal(point, [0.5, 2.0])


def test_a_scalar_is_a_point_in_one_dimension():
    space = ParameterSpace(("mu",), *np.zeros((3, 1)))
    for scalar in (1, 1.0, np.float32(1), np.array(1), {"mu": 1}):
        np.testing.assert_array_equal(space.point(scalar), [1.0])


def test_a_point_is_a_copy():
    theta = np.array([0.5, 2.0])
    SPACE.point(theta)[:] = 0
    np.testing.assert_array_equal(theta, [0.5, 2.0])


def test_points_per_event():
    rows = np.array([[0.5, 2.0], [0.1, 1.0], [0.0, 1.0]])
    frame = pd.DataFrame(rows, columns=["alpha", "beta"])
    for form in (rows, frame, frame[["beta", "alpha"]]):
        np.testing.assert_array_equal(SPACE.point(form, n_events=3), rows)
    with pytest.raises(ValueError, match=r"theta has shape \(3, 2\), expected \(2,\) for"):
        SPACE.point(rows)


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        (None, r"start is missing: give the parameters \['alpha', 'beta'\], e.g. start=\{'alpha'"),
        ({"alpha": 1, "bta": 2}, r"start names an unknown parameter 'bta'; did you mean 'beta'\?"),
        ({"alpha": 1, "q": 2}, r"unknown parameter 'q'; known are \['alpha', 'beta'\]"),
        ({"alpha": 1}, r"start lacks the parameters \['beta'\]"),
        (1.0, r"start has shape \(1,\), expected \(2,\) for the parameters \['alpha', 'beta'\]"),
        ([[1.0, 2.0, 3.0]], r"shape \(1, 3\)"),
        ([1.0, np.nan], "start contains NaN or infinity"),
        ("high", "start='high' is not numeric"),
        (["1", "2"], "is not numeric"),
        ([[1, 2], [3]], "not numeric"),
    ],
)
def test_bad_points(theta, message):
    with pytest.raises(ValueError, match=message):
        SPACE.point(theta, name="start")


def test_parameters_outside_their_range_are_described():
    assert SPACE.outside(np.array([1.0, 1e9])) == []
    assert SPACE.outside(np.array([-1.5, 0.4])) == [
        "alpha=-1.5 is outside [-1, 1]",
        "beta=0.4 is outside [0.5, inf]",
    ]
    # Of several rows, the worst.
    assert SPACE.outside(np.array([[1.1, 1.0], [3.0, 1.0], [-2.0, 1.0]])) == [
        "alpha=3 is outside [-1, 1]"
    ]


# --- bounds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        (None, [-1.0, 0.5], [1.0, np.inf]),
        ({"beta": (0.7, 0.8)}, [-1.0, 0.7], [1.0, 0.8]),
        ([(-3, 3), (0, 1)], [-3.0, 0.0], [3.0, 1.0]),
        (np.array([[-3, 3], [0, 1]]), [-3.0, 0.0], [3.0, 1.0]),
    ],
    ids=["none", "by name", "by order", "array"],
)
def test_bounds(bounds, low, high):
    found = SPACE.within(bounds)
    np.testing.assert_array_equal((found.low, found.high), (low, high))
    # The space keeps its own.
    np.testing.assert_array_equal(SPACE.low, [-1.0, 0.5])


def test_one_pair_bounds_one_parameter():
    space = ParameterSpace(("mu",), *np.zeros((3, 1)))
    found = space.within((-1, 2))
    np.testing.assert_array_equal((found.low, found.high), [[-1.0], [2.0]])


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"bta": (0, 1)}, r"bounds names an unknown parameter 'bta'; did you mean 'beta'\?"),
        ({"beta": (1, 0)}, r"bounds\['beta'\]=\(1, 0\); expected two finite numbers"),
        ({"beta": (1, 1)}, "low < high"),
        ({"beta": (1, np.inf)}, "two finite numbers"),
        ({"beta": 1}, "two finite numbers"),
        ([(0, 1)], r"has shape \(1, 2\), expected numbers of shape \(2, 2\)"),
        ((0, 1), r"has shape \(2,\), expected numbers of shape \(2, 2\)"),
    ],
)
def test_bad_bounds(bounds, message):
    with pytest.raises(ValueError, match=message):
        SPACE.within(bounds)


# --- names ----------------------------------------------------------------------------------


def test_did_you_mean():
    assert did_you_mean("sgima", ["mu", "sigma"]) == "did you mean 'sigma'?"
    assert did_you_mean("x", iter(["mu", "sigma"])) == "known are ['mu', 'sigma']."
    assert did_you_mean(3, ["mu"]) == "known are ['mu']."


class Estimator(PrefixedParametersMixin):
    def __init__(self, rate=1, **prefixed):
        self.rate = rate
        self._set_prefixed(prefixed)


def test_prefixed_parameters_are_parameters():
    estimator = Estimator(module__rank=3, optimizer__momentum=0.5)
    expected = {"rate": 1, "module__rank": 3, "optimizer__momentum": 0.5}
    assert estimator.get_params() == expected
    assert clone(estimator).get_params() == expected
    assert repr(estimator) == "Estimator(module__rank=3, optimizer__momentum=0.5)"
    assert estimator._prefixed("module__") == {"rank": 3}
    estimator.set_params(module__rank=4, module__bias=True, rate=2)
    assert estimator.get_params() == expected | {
        "module__rank": 4,
        "module__bias": True,
        "rate": 2,
    }


def test_unknown_parameters():
    with pytest.raises(TypeError, match=r"Estimator has no parameter 'raet'; did you mean 'rate'"):
        Estimator(raet=2)
    with pytest.raises(TypeError, match=r"no parameter 'modul__rank'; known are \['rate'\]"):
        Estimator(modul__rank=2)
    with pytest.raises(ValueError, match="Invalid parameter 'raet'"):
        Estimator().set_params(raet=2)


# --- devices and seeds ----------------------------------------------------------------------


def test_devices(monkeypatch):
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="torch sees no CUDA device: use 'auto' or 'cpu'"):
        resolve_device("cuda:0")
    with pytest.raises(ValueError, match="device='gpu' is not a device of torch"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


def test_seeded_block_gives_the_generator_back():
    before = torch.get_rng_state()
    draws = []
    for seed in (1, 1, 2):
        with torch_seed(seed, torch.device("cpu")):
            draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)

    def fail():
        with torch_seed(1, torch.device("cpu")):
            torch.rand(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_from_random_state():
    first, second = spawn_seeds(3, 4), spawn_seeds(np.random.RandomState(3), 4)
    assert first == second
    assert len(set(first)) == 4
    assert spawn_seeds(3, 2) == first[:2]
    assert all(type(seed) is int for seed in first)


# --- exceptions -----------------------------------------------------------------------------


def test_exceptions_derive_from_ours_and_from_scikit_learns():
    for name in exceptions.__all__:
        base = exceptions.SkdctrWarning if name.endswith("Warning") else exceptions.SkdctrError
        assert issubclass(getattr(exceptions, name), base), name
    assert issubclass(exceptions.SkdctrWarning, UserWarning)
    assert issubclass(exceptions.ConvergenceWarning, SklearnConvergenceWarning)
    assert issubclass(exceptions.NotFittedError, SklearnNotFittedError)
    assert issubclass(exceptions.NotFittedError, ValueError)
