"""The sandwich covariance: known matrices, and directions that nothing determines."""

import numpy as np
import pytest

from skdctr.results.covariance import sandwich

NAMES = ["a", "b", "c"]


def matrices(rng, p=3):
    root, other = rng.normal(size=(2, p, p))
    return root @ root.T + np.eye(p), {
        "data": 1e-3 * other @ other.T,
        "simulation": 1e-3 * np.eye(p),
    }


def test_sandwich_by_source(rng):
    curvature, scatter = matrices(rng)
    width = np.array([1.0, 2.0, 0.1])
    sources, messages = sandwich(curvature, scatter, width, NAMES)
    inverse = np.linalg.inv(curvature) * width[:, None]
    for source, v in scatter.items():
        np.testing.assert_allclose(sources[source], inverse @ v @ inverse.T)
    assert not messages


def test_flat_direction_leaves_the_others(rng):
    curvature, scatter = matrices(rng)
    curvature[2] = curvature[:, 2] = 0.0
    sources, messages = sandwich(curvature, scatter, np.ones(3), NAMES)
    inverse = np.linalg.inv(curvature[:2, :2])
    for source, v in scatter.items():
        np.testing.assert_allclose(sources[source][:2, :2], inverse @ v[:2, :2] @ inverse)
        assert np.isnan(sources[source][2]).all()
        assert np.isnan(sources[source][:, 2]).all()
    assert messages == ["not identified: ['c']"]


@pytest.mark.parametrize(("variance", "known"), [(0.8, True), (1.2, False)])
def test_limit_is_an_error_of_the_whole_range(variance, known):
    curvature = np.diag([2.0, 1.0])
    scatter = {"data": np.diag([0.1, variance])}
    _, messages = sandwich(curvature, scatter, np.array([3.0, 5.0]), NAMES[:2])
    assert messages == ([] if known else ["not identified: ['b']"])


def test_maximum_in_place_of_a_minimum_is_not_identified():
    sources, messages = sandwich(
        np.diag([1.0, -1.0]), {"data": 0.01 * np.eye(2)}, np.ones(2), NAMES[:2]
    )
    assert messages == ["not identified: ['b']"]
    assert sources["data"][0, 0] == pytest.approx(0.01)
