"""The range of θ of a sample, declared or found, and events whose θ is far from all others."""

import warnings

import numpy as np
import pytest

from skdctr.exceptions import ExtrapolationWarning, OutlierWarning
from skdctr.parameters.trained_range import edge_tolerance, trained_range, without_lone_theta

N = 10_000


def absent(theta, **further):
    """Return which events count as absent."""
    theta = np.asarray(theta, dtype=float).reshape(len(theta), -1)
    names = [f"theta_{k}" for k in range(theta.shape[1])]
    return without_lone_theta(theta, names, np.ones(len(theta)), **further) == 0


def with_nominal(varied, nominal=0.0):
    return np.concatenate([np.full(len(varied), nominal), varied])


def ordinary(rng):
    """Samples of θ as people have them, none of which has a value that is far from all others."""
    varied = rng.random(N) < 0.02
    return {
        "uniform": rng.uniform(-2, 2, N),
        "two values": np.repeat([0.0, 1.0], N),
        "two values, one of few events": np.repeat([0.0, 50.0], [N, 20]),
        "grid": np.repeat(np.linspace(-2, 2, 11), N // 10),
        "grid with an end of fewer events": np.repeat([0.0, 1, 2, 3, 10], [N, N, N, N, N // 50]),
        "coarse logarithmic grid": np.repeat(10.0 ** np.arange(-3, 4), 500),
        "logarithmic grid, ever fewer events": np.repeat(
            10.0 ** np.arange(5), 10 ** np.arange(4, -1, -1)
        ),
        "log-uniform over 12 decades": 10 ** rng.uniform(-6, 6, N),
        "few log-uniform values": 10 ** rng.uniform(-6, 6, 150),
        "log-normal": rng.lognormal(0, 3, N),
        "normal": rng.normal(size=N),
        "exponential": rng.exponential(size=N),
        "nominal and varied": with_nominal(rng.uniform(170, 180, N), 172.5),
        "nominal far from varied": with_nominal(rng.uniform(170, 180, N), 0.0),
        "nominal and few varied": np.r_[np.zeros(N), rng.uniform(-2, 2, 30)],
        "from zero": rng.uniform(0, 0.5, N),
        "one exact zero": np.r_[0.0, rng.uniform(0.5, 1.8, N)],
        "one θ at a time": np.where(varied, rng.choice([-1.0, 1.0], N), 0.0),
        "benchmark points": rng.choice([0.0, 1.0, -1.0, 5.0, 50.0], N),
        "float32": rng.uniform(-2, 2, N).astype(np.float32),
        "a step beside rounding": 172.5 + rng.choice([0, 1e-9, 1], N),
        "constant": np.ones(N),
    }


@pytest.mark.parametrize("name", ordinary(np.random.default_rng(0)))
@pytest.mark.parametrize("seed", range(3))
def test_no_theta_of_an_ordinary_sample_is_far(name, seed):
    assert not absent(ordinary(np.random.default_rng(seed))[name]).any()


@pytest.mark.parametrize(
    "values",
    [
        [1e9],
        [1e4],
        [-1e9],
        [-999.0] * 5,
        [1e9, -999.0, -999.0],
        [1e9, -1e9],
        np.finfo(np.float32).max * np.ones(3),
        [1.7e308, -1.7e308],
    ],
)
@pytest.mark.parametrize("low", [-2.0, 0.5])
def test_few_values_far_from_all_others_are_named(rng, values, low):
    theta = np.r_[with_nominal(rng.uniform(low, 2, N), 1.0), values]
    with pytest.warns(OutlierWarning, match=rf"{len(values)} of {len(theta)} events have theta_0"):
        lone = absent(theta)
    assert lone[-len(values) :].all()
    assert lone.sum() == len(values)


@pytest.mark.parametrize("factor", [1000.0, 1e-3, 1e9, 1e-9])
def test_another_unit_for_a_handful_of_events(rng, factor):
    theta = rng.uniform(0.5, 1.8, N)
    theta[:30] *= factor
    with pytest.warns(OutlierWarning, match="30 of"):
        assert absent(theta)[:30].all()


def test_a_far_value_among_points(rng):
    theta = np.r_[rng.choice([0.0, 0.5, 1.0], N), -999.0]
    with pytest.warns(OutlierWarning, match=r"such as -999, where these lie in \[0, 1\]"):
        assert absent(theta).sum() == 1


def test_the_parameter_at_fault_is_named(rng):
    theta = rng.uniform(-1, 1, (N, 2))
    theta[7, 1] = 1e6
    with pytest.warns(OutlierWarning, match="have theta_1 far"):
        assert np.flatnonzero(absent(theta)).tolist() == [7]


def test_what_is_meant_stays(rng):
    """θ₀ that the user gave, and what lies in a declared range."""
    theta = np.r_[np.zeros(20), rng.uniform(170, 180, N)]
    with pytest.warns(OutlierWarning):
        assert absent(theta).sum() == 20
    assert not absent(theta, keep=np.zeros(1)).any()
    assert not absent(theta, bounds=[(0, 180)]).any()
    assert not absent(theta, bounds={"theta_0": (0, 180)}).any()
    with pytest.warns(OutlierWarning):
        assert absent(theta, bounds={"theta_1": (0, 180)}).any()


def test_absent_events_are_not_looked_at(rng):
    theta = np.r_[rng.uniform(-1, 1, N), 1e9][:, None]
    weight = np.r_[np.ones(N), 0.0]
    assert without_lone_theta(theta, ["a"], weight) is weight


# --- the range ------------------------------------------------------------------------------


def find(theta, bounds=None):
    return trained_range(np.asarray(theta).reshape(-1, 1), ["f"], np.array([0.2]), bounds)


def test_ends_of_an_even_sample_are_within_the_range(rng):
    """The ends of its range are outside in 0.1% of the samples, each."""
    outside = 0
    for _ in range(300):
        space = find(rng.uniform(0, 0.5, 1000))
        outside += bool(space.outside(np.array([0.0]))) + bool(space.outside(np.array([0.5])))
    assert outside <= 4
    assert not space.outside(np.array([0.5 + 1e-4]))
    assert space.outside(np.array([0.51]))


def test_chosen_values_have_no_tolerance():
    theta = np.repeat(np.linspace(-1, 1, 101), 50)
    assert find(theta).outside(np.array([1.001])) == ["f=1.001 is outside [-1, 1]"]


def test_tolerance_follows_the_density(rng):
    """Where values crowd at an end they say precisely where it is; where they thin out, nothing."""
    low, high = edge_tolerance(np.sort(10 ** rng.uniform(-3, 3, N)))
    assert low < 1e-4
    assert high < 2
    assert edge_tolerance(np.sort(rng.normal(size=N)))[1] == pytest.approx(10 * 8 / N, rel=0.2)


def test_declared_range_counts(rng):
    theta = rng.uniform(1e-5, 0.49997, 1000)
    space = find(theta, {"f": (0, 0.5)})
    assert (space.low[0], space.high[0]) == (0, 0.5)
    assert not space.outside(np.array([0.5]))
    assert space.outside(np.array([0.5001]))


def test_rounding_to_single_precision_is_within_the_declared_range():
    theta = np.repeat([79.4, 80.4, 81.4], 10).astype(np.float32)
    space = find(theta, [(79.4, 81.4)])
    assert (space.low[0], space.high[0]) == (79.4, 81.4)
    assert not space.outside(theta[-1:].astype(float))


def test_theta_outside_the_declared_range_is_refused(rng):
    theta = np.r_[rng.uniform(79.4, 81.4, 1000), 79.39999]
    with pytest.raises(
        ValueError,
        match=r"theta_bounds: 1 of 1001 events have f outside \[79.4, 81.4\], such as 79.39999",
    ):
        find(theta, [(79.4, 81.4)])


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"g": (0, 1)}, "theta_bounds names an unknown parameter 'g'"),
        ({"f": (1, 0)}, r"theta_bounds\['f'\]=.*low < high"),
        ([(0, 1), (0, 1)], r"theta_bounds=.* has shape \(2, 2\)"),
    ],
)
def test_a_range_that_is_none_is_refused(bounds, message):
    with pytest.raises(ValueError, match=message):
        find([0.2, 0.4], bounds)


def test_a_declared_range_that_is_not_filled_is_named(rng):
    theta = rng.uniform(0, 1, 1000)
    with pytest.warns(ExtrapolationWarning, match=r"theta_bounds has \[0, 10\] for f, but"):
        find(theta, [(0, 10)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find(np.repeat(np.linspace(0.1, 0.9, 5), 10), [(0, 1)])


def test_numbers_of_a_message_differ():
    theta = np.repeat([79.400012, 80.4, 81.4], 10)
    assert find(theta).outside(np.array([79.4])) == ["f=79.4 is outside [79.40001, 81.4]"]
