"""χ² of estimating equations against closed forms, brute force and iminuit."""

import sys
import warnings

import numpy as np
import pytest
from scipy import optimize, stats

from skdctr.exceptions import ConvergenceWarning, IdentifiabilityWarning
from skdctr.inference import ChiSquare
from skdctr.results import FitResult

NAMES = ["a", "b", "c"]
BEST = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[0.04, 0.012, 0.002], [0.012, 0.01, -0.002], [0.002, -0.002, 0.0025]])
SLOPE = np.array([[2.0, 0.3, 0.0], [-0.5, 1.0, 0.2], [0.1, 0.0, 3.0]])


def linear(**changes):
    """Three equations, linear in θ, whose covariance of θ is `COVARIANCE`."""
    arguments = {
        "residual": lambda theta: SLOPE @ (theta - BEST),
        "covariance": SLOPE @ COVARIANCE @ SLOPE.T,
        "names": NAMES,
        "theta": BEST,
    }
    return ChiSquare(**(arguments | changes))


def bent(**changes):
    """Two parameters and one to profile: a banana of twenty degrees' curvature and more."""

    def residual(theta):
        x, y, z = theta
        return np.array([x + 0.3 * x**2, y - 0.7 * x**2 + 0.5 * z, z + 0.4 * np.sin(x)])

    arguments = {
        "residual": residual,
        "covariance": np.array([[0.09, 0.01, 0.0], [0.01, 0.04, 0.01], [0.0, 0.01, 0.16]]),
        "names": ["x", "y", "z"],
        "theta": np.zeros(3),
    }
    return ChiSquare(**(arguments | changes))


def profiled_by_force(chi_square, fixed):
    """χ² minimised over all but the fixed parameters by Nelder and Mead."""
    free = [k for k in range(len(chi_square.names)) if k not in fixed]

    def cost(others):
        theta = np.empty(len(chi_square.names))
        theta[list(fixed)] = list(fixed.values())
        theta[free] = others
        return chi_square(theta)

    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 10_000, "maxfev": 10_000}
    start = chi_square.minimum()[0][free]
    return optimize.minimize(cost, start, method="Nelder-Mead", options=options).fun


def test_value_is_the_quadratic_form():
    theta = np.array([1.1, -2.2, 0.45])
    shift = theta - BEST
    assert linear()(theta) == pytest.approx(shift @ np.linalg.solve(COVARIANCE, shift))
    assert linear()({"c": 0.45, "a": 1.1, "b": -2.2}) == pytest.approx(linear()(theta))
    constrained = linear(constraints={"b": (-2.0, 0.1)})
    assert constrained(theta) == pytest.approx(linear()(theta) + 4.0)


def test_linear_covariance_and_minimum_are_exact():
    chi_square = linear()
    theta, least = chi_square.minimum()
    np.testing.assert_allclose(theta, BEST, atol=1e-9)
    assert least == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(chi_square.covariance(), COVARIANCE, rtol=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.6827, 0.9545])
@pytest.mark.parametrize("name", NAMES)
def test_linear_intervals_are_multiples_of_the_error(name, level):
    k = NAMES.index(name)
    half = np.sqrt(stats.chi2.ppf(level, 1) * COVARIANCE[k, k])
    interval = linear().confidence_interval(name, level)
    np.testing.assert_allclose(interval, [BEST[k] - half, BEST[k] + half], rtol=1e-6)


def test_linear_cost_is_small():
    chi_square = linear()
    chi_square.confidence_interval("a")
    assert chi_square.n_calls < 30
    before = chi_square.n_calls
    chi_square.confidence_interval("a")
    assert chi_square.n_calls == before


def test_cost_of_a_contour_without_others_to_profile_is_two_calls_a_point():
    two = ChiSquare(
        lambda theta: theta + 0.05 * theta**2,
        COVARIANCE[:2, :2],
        names=["a", "b"],
        theta=[0.0, 0.0],
    )
    (points,) = two.contour("a", "b", n_points=30)
    assert two.n_calls < 4 * len(points)


@pytest.mark.parametrize("pair", [("a", "b"), ("c", "a")])
def test_linear_contour_is_the_ellipse(pair):
    index = [NAMES.index(name) for name in pair]
    levels = (0.95, 0.6827)
    lines = linear().contour(*pair, levels, n_points=24)
    sub = np.linalg.inv(COVARIANCE[np.ix_(index, index)])
    for line, level in zip(lines, levels, strict=True):
        assert line.shape == (25, 2)
        np.testing.assert_array_equal(line[0], line[-1])
        shift = line - BEST[index]
        rise = np.einsum("ni,ij,nj->n", shift, sub, shift)
        np.testing.assert_allclose(rise, stats.chi2.ppf(level, 2), rtol=1e-6)


def test_constraint_shrinks_and_shifts_as_the_product_of_gaussians():
    mean, sigma = -1.9, 0.05
    chi_square = linear(constraints={"b": (mean, sigma)})
    unit = np.array([0.0, 1.0, 0.0])
    inverse = np.linalg.inv(COVARIANCE) + np.outer(unit, unit) / sigma**2
    covariance = np.linalg.inv(inverse)
    expected = covariance @ (np.linalg.inv(COVARIANCE) @ BEST + unit * mean / sigma**2)
    theta, least = chi_square.minimum()
    np.testing.assert_allclose(theta, expected, rtol=1e-6)
    assert least == pytest.approx((mean - BEST[1]) ** 2 / (COVARIANCE[1, 1] + sigma**2), rel=1e-6)
    np.testing.assert_allclose(chi_square.covariance(), covariance, rtol=1e-5)
    half = np.sqrt(stats.chi2.ppf(0.6827, 1) * covariance[0, 0])
    interval = chi_square.confidence_interval("a")
    np.testing.assert_allclose(interval, [expected[0] - half, expected[0] + half], rtol=1e-5)


def test_constraint_stands_in_for_a_missing_equation():
    """One equation in two parameters, of which one is known from elsewhere."""
    chi_square = ChiSquare(
        lambda theta: theta[:1] + theta[1:],
        [[0.09]],
        names=["mass", "alphaS"],
        theta=[0.0, 0.0],
        constraints={"alphaS": (0.0, 0.4)},
    )
    np.testing.assert_allclose(
        chi_square.covariance(), [[0.25, -0.16], [-0.16, 0.16]], rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("name", ["x", "y", "z"])
def test_bent_interval_against_brute_force(name):
    chi_square = bent()
    k = chi_square.names.index(name)
    interval = chi_square.confidence_interval(name, 0.9)
    for end in interval:
        rise = profiled_by_force(chi_square, {k: end})
        assert rise == pytest.approx(stats.chi2.ppf(0.9, 1), rel=2e-3)
    middle = np.mean(interval)
    error = np.sqrt(chi_square.covariance()[k, k])
    if name == "x":
        assert abs(middle) > 0.05 * error  # not the parabola's


@pytest.mark.parametrize("limits", [{}, {"low": np.full(2, -5.0), "high": np.full(2, 5.0)}])
def test_contour_of_parameters_without_correlation(limits):
    deviation = np.array([0.2, 0.1])
    chi_square = ChiSquare(
        lambda theta: theta,
        np.diag(deviation**2),
        names=["a", "b"],
        theta=np.zeros(2),
        **limits,
    )
    (line,) = chi_square.contour("a", "b", 0.6827, n_points=16)
    radius = np.sqrt(stats.chi2.ppf(0.6827, 2))
    np.testing.assert_allclose(np.hypot(*(line / deviation).T), radius, rtol=2e-3)


def test_bent_contour_against_a_grid():
    chi_square = bent()
    (line,) = chi_square.contour("x", "y", 0.6827, n_points=40)
    goal = stats.chi2.ppf(0.6827, 2)
    for point in line[::5]:
        rise = profiled_by_force(chi_square, dict(enumerate(point)))
        assert rise == pytest.approx(goal, rel=5e-3)
    # The area inside, against that of the cells of a grid with the same rise.
    x, y = line.T
    area = 0.5 * abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))
    grid_x, grid_y = np.linspace(-1.5, 1.2, 41), np.linspace(-1.0, 1.6, 41)
    inverse = np.linalg.inv([[0.09, 0.01, 0.0], [0.01, 0.04, 0.01], [0.0, 0.01, 0.16]])
    inside = 0
    z = np.linspace(-3, 3, 1201)
    for a in grid_x:
        for b in grid_y:
            u = np.stack([np.full_like(z, a + 0.3 * a**2), b - 0.7 * a**2 + 0.5 * z, z])
            u[2] += 0.4 * np.sin(a)
            inside += np.einsum("in,ij,jn->n", u, inverse, u).min() < goal
    cell = (grid_x[1] - grid_x[0]) * (grid_y[1] - grid_y[0])
    assert area == pytest.approx(inside * cell, rel=0.05)


def test_contour_that_is_not_star_shaped_is_told():
    with pytest.warns(ConvergenceWarning, match="contour of x and y is not star-shaped"):
        bent().contour("x", "y", 0.9973)


def test_profile_minimises_over_the_others():
    chi_square = bent()
    table = chi_square.profile("x", n_points=11, n_sigma=2)
    assert list(table.columns) == ["x", "y", "z", "chi2", "delta_chi2"]
    assert (np.diff(table["x"]) > 0).all()
    for _, row in table.iloc[::3].iterrows():
        assert row["chi2"] == pytest.approx(profiled_by_force(chi_square, {0: row["x"]}), abs=1e-4)
    given = chi_square.profile("x", [0.2, -0.1])
    assert given["x"].tolist() == [-0.1, 0.2]


def test_profile_stays_within_the_bounds():
    chi_square = linear(low=[0.9, -3, 0], high=[2, 0, 1])
    table = chi_square.profile("a", n_points=5)
    assert table["a"].min() == pytest.approx(0.9)
    with pytest.raises(ValueError, match="leave the bounds"):
        chi_square.profile("a", [0.5])


def test_interval_beyond_a_bound_is_the_bound():
    chi_square = linear(low=[0.9, -3, 0], high=[2, 0, 1])
    with pytest.warns(ConvergenceWarning, match=r"a: χ² does not rise by 1 before the bound 0\.9"):
        low, high = chi_square.confidence_interval("a")
    assert low == 0.9
    assert high == pytest.approx(1.2, rel=1e-4)


def test_interval_of_a_fit_at_its_bound():
    chi_square = ChiSquare(
        lambda theta: theta + 0.5, [[0.25]], names=["s"], theta=[0.0], low=[0.0], high=[5.0]
    )
    with pytest.warns(ConvergenceWarning, match="the bound 0"):
        low, high = chi_square.confidence_interval("s")
    # ((s + 1/2) / (1/2))² = 1 + 1
    assert (low, high) == (0.0, pytest.approx((np.sqrt(2) - 1) / 2, rel=1e-3))


def test_flat_direction_gives_infinite_ends():
    saturating = ChiSquare(np.tanh, [[0.04]], names=["x"], theta=[0.0])
    with pytest.warns(ConvergenceWarning, match="bound -?inf"):
        low, high = saturating.confidence_interval("x", 1 - 1e-9)
    assert (low, high) == (-np.inf, np.inf)


def test_profiled_parameter_stops_at_its_bound():
    free, held = linear(), linear(low=[0.0, -2.01, 0.0], high=[2.0, -1.99, 1.0])
    wide = np.diff(free.confidence_interval("a"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        narrow = np.diff(held.confidence_interval("a"))
    conditional = np.delete(np.delete(np.linalg.inv(COVARIANCE), 1, 0), 1, 1)
    fixed = 2 * np.sqrt(np.linalg.inv(conditional)[0, 0])
    assert fixed < narrow < wide


def test_contour_cut_by_a_bound_says_so():
    chi_square = linear(low=[0.9, -3, 0], high=[2, 0, 1])
    with pytest.warns(ConvergenceWarning, match="contour of a and b is cut off"):
        (line,) = chi_square.contour("a", "b")
    assert line[:, 0].min() == pytest.approx(0.9)


def test_covariance_that_depends_on_theta():
    """Mean of a Poisson count: V = θ, of which the interval's ends are known."""
    n = 9.0
    chi_square = ChiSquare(
        lambda theta: theta - n,
        lambda theta: [[theta[0]]],
        names=["mean"],
        theta=[n],
        low=[1e-3],
        high=[100.0],
    )
    # (θ − n)² / θ = 1
    expected = n + 0.5 + np.array([-1, 1]) * np.sqrt(n + 0.25)
    np.testing.assert_allclose(chi_square.confidence_interval("mean"), expected, rtol=1e-3)


@pytest.mark.slow
def test_coverage_of_intervals_and_regions_for_counts():
    """Two rates from counts, fitted by their logarithms: intervals and regions cover."""
    rng = np.random.default_rng(3)
    truth = np.log([200.0, 60.0])
    inside, joint = [], []
    for counts in rng.poisson(np.exp(truth), size=(200, 2)):
        chi_square = ChiSquare(
            lambda theta, n=counts: np.exp(theta) - n,
            lambda theta: np.diag(np.exp(theta)),
            names=["signal", "background"],
            theta=np.log(counts),
        )
        low, high = chi_square.confidence_interval("background")
        inside.append(low < truth[1] < high)
        joint.append(chi_square(truth) - chi_square.minimum()[1] < stats.chi2.ppf(0.6827, 2))
    for covered in (inside, joint):
        assert abs(np.mean(covered) - 0.6827) < 3 * np.sqrt(0.6827 * 0.3173 / 200)


def test_parameters_that_are_not_identified_are_named():
    chi_square = ChiSquare(
        lambda theta: np.array([theta[0] + theta[1], theta[0] + theta[1], theta[2]]),
        np.diag([1.0, 2.0, 1.0]),
        names=NAMES,
        theta=np.zeros(3),
        low=np.full(3, -50.0),
        high=np.full(3, 50.0),
    )
    with pytest.warns(IdentifiabilityWarning, match=r"\['a', 'b'\]"):
        covariance = chi_square.covariance()
    assert np.isnan(covariance[:2]).all()
    assert covariance[2, 2] == pytest.approx(1)
    np.testing.assert_allclose(chi_square.confidence_interval("c"), [-1, 1], rtol=1e-4)


def test_a_lower_minimum_is_told():
    """Two solutions; the fit that was handed over is the worse one."""
    chi_square = ChiSquare(
        lambda theta: np.array([theta[0] ** 2 - 1, 0.2 * (theta[0] - 1)]),
        np.diag([0.25, 0.25]),
        names=["x"],
        theta=[-0.95],
    )
    with pytest.warns(ConvergenceWarning, match="lower minimum"):
        table = chi_square.profile("x", np.linspace(-1.5, 1.5, 13))
    assert table["delta_chi2"].min() < 0


def test_parabola_of_a_fit():
    result = FitResult(
        theta=BEST,
        names=NAMES,
        covariance=COVARIANCE,
        sources={"data": COVARIANCE},
        auc=np.nan,
        auc_error=np.nan,
        n_evaluations=1,
        effective_sample_size=1.0,
        n_events={},
        converged=True,
        method="any",
    )
    chi_square = ChiSquare.from_result(result, constraints={"b": (-2.0, 0.1)})
    assert chi_square.covariance()[1, 1] == pytest.approx(0.005)
    assert repr(chi_square) == "ChiSquare(names=['a', 'b', 'c'], constrained=['b'])"


@pytest.mark.parametrize("make", [linear, bent])
def test_minos_agrees(make):
    pytest.importorskip("iminuit")
    chi_square = make(low=np.full(3, -6.0), high=np.full(3, 6.0))
    name, other = chi_square.names[:2]
    own = chi_square.confidence_interval(name)
    np.testing.assert_allclose(
        chi_square.confidence_interval(name, method="minuit"), own, atol=2e-3
    )
    (line,) = chi_square.contour(name, other, method="minuit", n_points=12)
    np.testing.assert_array_equal(line[0], line[-1])
    for point in line[::4]:
        rise = profiled_by_force(chi_square, dict(enumerate(point)))
        assert rise == pytest.approx(stats.chi2.ppf(0.6827, 2), rel=0.02)


def test_minos_at_a_bound():
    pytest.importorskip("iminuit")
    chi_square = linear(low=[0.9, -3, 0], high=[2, 0, 1])
    with pytest.warns(ConvergenceWarning, match=r"the bound 0\.9"):
        low, _ = chi_square.confidence_interval("a", method="minuit")
    assert low == 0.9


def test_without_iminuit_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "iminuit", None)
    with pytest.raises(ImportError, match=r'iminuit.*pip install "skdctr\[minuit\]"'):
        linear().confidence_interval("a", method="minuit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": "abc"}, "list of different names"),
        ({"names": ["a", "a", "b"]}, "list of different names"),
        ({"theta": [0.0]}, r"theta has shape \(1,\), expected \(3,\)"),
        ({"theta": [0.0, np.nan, 0.0]}, "not finite"),
        ({"low": [0.0]}, r"low has shape"),
        ({"low": [2.0, -3, 0], "high": [1.0, 0, 1]}, "must be below high"),
        ({"low": [2.0, -3, 0]}, "outside the bounds"),
        ({"residual": lambda theta: np.eye(3)}, r"shape \(3, 3\); expected \(k,\)"),
        ({"residual": lambda theta: theta * np.nan}, "residual is not finite at {'a'"),
        ({"residual": lambda theta: theta[:2]}, "2 equations and 0 constraints"),
        ({"covariance": np.eye(2)}, r"covariance has shape \(2, 2\), expected \(3, 3\)"),
        ({"covariance": np.full((3, 3), np.nan)}, "finite and symmetric"),
        ({"covariance": np.triu(np.ones((3, 3)))}, "finite and symmetric"),
        ({"covariance": np.ones((3, 3))}, "not positive definite"),
        ({"constraints": {"alpha": (0.0, 1.0)}}, "unknown parameter 'alpha'"),
        ({"constraints": {"a": (0.0, 0.0)}}, r"expected \(mean, σ\)"),
        ({"constraints": {"a": (0.0, 1.0, 2.0)}}, r"expected \(mean, σ\)"),
        ({"constraints": {"a": (np.inf, 1.0)}}, r"expected \(mean, σ\)"),
        ({"constraints": {"a": 3.0}}, r"expected \(mean, σ\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        linear(**changes)


def test_wrong_calls_are_refused():
    chi_square = linear()
    with pytest.raises(ValueError, match="no parameter 'd'"):
        chi_square.confidence_interval("d")
    with pytest.raises(ValueError, match="probabilities"):
        chi_square.confidence_interval("a", 68)
    with pytest.raises(ValueError, match="known are"):
        chi_square.confidence_interval("a", method="minos")
    with pytest.raises(ValueError, match="name_x and name_y are both"):
        chi_square.contour("a", "a")
    with pytest.raises(ValueError, match="expected"):
        chi_square([1.0])
