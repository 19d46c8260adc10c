"""Values of a smooth function at many points."""

import numpy as np
import pytest

from skdctr.parameters.interpolation import smooth_values


def counted(function):
    def wrapper(point):
        wrapper.calls += 1
        return function(point)

    wrapper.calls = 0
    return wrapper


@pytest.mark.parametrize("p", [1, 2, 3])
def test_smooth_function_needs_few_evaluations(rng, p):
    function = counted(lambda t: np.log(np.cosh(t[0] / 4)) + np.sin(t).sum() * np.exp(-t[-1] / 2))
    points = rng.uniform(-1, 2, (40_000, p))
    found = smooth_values(function, points)
    assert function.calls < 10_000
    rows = rng.integers(len(points), size=50)
    np.testing.assert_allclose(found[rows], [function(t) for t in points[rows]], atol=1e-11)


def test_column_that_stays_the_same_takes_no_nodes(rng):
    function = counted(lambda t: np.exp(t[0]) * t[1])
    points = np.column_stack([rng.uniform(0, 1, 1000), np.full(1000, 3.0)])
    np.testing.assert_allclose(smooth_values(function, points), 3 * np.exp(points[:, 0]))
    assert function.calls < 100


@pytest.mark.parametrize(
    "function",
    [lambda t: np.abs(t[0]), lambda t: np.nan, lambda t: float(t[0] > 0.3)],
    ids=["kink", "nan", "step"],
)
def test_what_is_not_smooth_is_evaluated_at_every_point(rng, function):
    points = rng.uniform(-1, 1, (700, 1))
    function = counted(function)
    found = smooth_values(function, points)
    np.testing.assert_array_equal(found, [function(t) for t in points])
    assert function.calls < 3.5 * len(points)


def test_few_points_are_exact(rng):
    points = rng.normal(size=(5, 2))
    np.testing.assert_array_equal(smooth_values(lambda t: t @ t, points), [t @ t for t in points])
    np.testing.assert_array_equal(smooth_values(lambda t: 2.0, np.ones((50, 1))), np.full(50, 2.0))
