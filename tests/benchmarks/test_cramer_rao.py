"""Cramér-Rao bounds of `benchmarks/accuracy/precision.py`, against closed forms and likelihoods."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "accuracy" / "_cramer_rao.py"


@pytest.fixture(scope="module")
def bounds():
    spec = importlib.util.spec_from_file_location("_cramer_rao", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_closed_forms(bounds):
    # Mean and width of a Gaussian of variance σ² + 1/4.
    variance = 0.75**2 + 0.25
    expected = np.sqrt([variance, variance**2 / (2 * 0.75**2)]) / 1000
    found = bounds.least_errors("gaussian_2d", np.array([-1.0, 0.75]), 10**6)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    of_mean = bounds.least_errors("gaussian", np.array([1.0]), 10**6)
    np.testing.assert_allclose(of_mean, np.sqrt(1.25) / 1000)


@pytest.mark.slow
def test_folded_densities_agree_with_the_closed_form(bounds):
    folded = bounds.smeared(lambda x, theta: np.exp(-0.5 * (x - theta[0]) ** 2), -8.0, 10.0, 0.5)
    assert folded(np.array([1.0]), np.array([1e-3]))[0, 0] == pytest.approx(1 / 1.25, rel=1e-4)


@pytest.mark.slow
def test_acceptance_takes_information_away(bounds):
    theta, n = np.array([1.0]), 10**5
    lossy, full = (bounds.least_errors(task, theta, n)[0] for task in ("lossy", "gaussian"))
    # 80% of the events are seen, and more of those of large x.
    assert full / np.sqrt(0.8) < lossy < 2 * full


def test_correlated_bound_is_that_of_the_maximum_likelihood(bounds):
    """Without resolution the correlation of a unit Gaussian has the error (1 − ρ²)/√(n(1 + ρ²))."""
    rho = 0.3
    information = bounds.gaussian(
        lambda theta: np.zeros(2), lambda theta: np.array([[1, theta[0]], [theta[0], 1]])
    )
    found = information(np.array([rho]), np.array([1e-4]))[0, 0]
    assert found == pytest.approx((1 + rho**2) / (1 - rho**2) ** 2, rel=1e-4)
