"""Least squares within bounds, with the solution of the linear problem as reference."""

import numpy as np
import pytest

from skdctr._utils.least_squares import bounded_least_squares

SLOPE = np.array([[1.0, 0.8], [0.8, 1.0], [0.3, 0.6]])
CENTRE = np.array([-1.0, 0.5])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([-2, -2], [2, 2], CENTRE),
        ([-2, -2], [0, 2], CENTRE),  # the start lies on one bound
        ([-2, 0], [0, 2], CENTRE),  # and on two
        ([-2, 0], [np.inf, np.inf], CENTRE),
        # Held by a bound: z₁ = 0 minimises over z₀ alone.
        ([-2, -2], [0, 0], [-1 + 0.5 * SLOPE[:, 0] @ SLOPE[:, 1] / (SLOPE[:, 0] @ SLOPE[:, 0]), 0]),
    ],
)
def test_start_on_a_bound_finds_the_minimum(low, high, expected):
    found = bounded_least_squares(
        lambda z: SLOPE @ (z - CENTRE),
        lambda z: SLOPE,
        bounds=(np.array(low, dtype=float), np.array(high, dtype=float)),
        slack=1e-12,
        xtol=1e-8,
        max_steps=100,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
