"""Displays of confidence regions, profiles and pulls."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator

from skdctr.coverage import run_toys
from skdctr.exceptions import ConvergenceWarning
from skdctr.inference import ChiSquare
from skdctr.plotting import ContourDisplay, ProfileDisplay, PullDisplay
from skdctr.results import FitResult

plt = pytest.importorskip("matplotlib.pyplot")

BEST = np.array([1.0, 0.8])
COVARIANCE = np.array([[0.01, 0.004], [0.004, 0.0064]])


@pytest.fixture(autouse=True)
def figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def bent():
    """A χ² that is no parabola."""
    return ChiSquare(
        lambda theta: (theta - BEST) + np.array([0.0, 2.0]) * (theta[0] - BEST[0]) ** 2,
        COVARIANCE,
        names=["mu", "sigma"],
        theta=BEST,
    )


@pytest.fixture(scope="module")
def coverage():
    def simulate(theta, random_state):
        return np.random.default_rng(random_state).normal(theta, 1.0, size=(20, 2)).mean(axis=0)

    def fit(sample, random_state):
        return SimpleNamespace(theta=sample, covariance=np.eye(2) / 20, names=["mu", "nu"])

    return run_toys(simulate, fit, n_toys=100, theta=[0.0, 1.0], random_state=0)


class Fitter(BaseEstimator):
    """As much of a fitted estimator as a picture needs."""

    def fit(self):
        raise NotImplementedError

    def __init__(self, chi_square=None):
        if chi_square is not None:
            self.chi_square_ = chi_square
        self.result_ = FitResult(
            theta=BEST,
            names=["mu", "sigma"],
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


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def test_contours_are_those_of_the_chi_square(bent):
    display = ContourDisplay.from_chi_square(
        bent, levels=(0.9545, 0.6827), truth=[1.05, 0.75], labels=["μ [GeV]", "σ [GeV]"]
    )
    for line, level in zip(display.contours, (0.9545, 0.6827), strict=True):
        rise = [bent(point) for point in line]
        np.testing.assert_allclose(rise, stats.chi2.ppf(level, 2), rtol=5e-3)
    np.testing.assert_allclose(display.fitted, BEST, atol=1e-6)
    assert labels(display.ax_) == ["68.27% CL", "95.45% CL", "Best fit", "Truth"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("μ [GeV]", "σ [GeV]")
    display.figure_.canvas.draw()


def test_contours_overlay_in_other_colours(bent):
    first = ContourDisplay.from_chi_square(bent, levels=0.6827, label="bent")
    second = ContourDisplay.from_estimator(Fitter(), levels=0.6827, label="flat", ax=first.ax_)
    assert second.ax_ is first.ax_
    lines = first.ax_.get_lines()
    assert len({line.get_color() for line in lines}) == 2
    assert {"bent, 68.27% CL", "flat, best fit"} <= set(labels(first.ax_))


def test_contours_of_a_fit(bent):
    of_parabola = ContourDisplay.from_estimator(Fitter(), parameters=["sigma", "mu"])
    np.testing.assert_allclose(of_parabola.fitted, BEST[::-1])
    shift = of_parabola.contours[0] - BEST[::-1]
    inverse = np.linalg.inv(COVARIANCE[::-1, ::-1])
    rise = np.einsum("ni,ij,nj->n", shift, inverse, shift)
    np.testing.assert_allclose(rise, stats.chi2.ppf(0.6827, 2), rtol=1e-6)
    own = ContourDisplay.from_estimator(Fitter(bent), n_points=12)
    other = ContourDisplay.from_chi_square(bent, n_points=12)
    np.testing.assert_array_equal(own.contours[0], other.contours[0])


@pytest.mark.parametrize("parameters", [["mu"], ["mu", "mu"], ["mu", "tau"]])
def test_contours_need_two_parameters(bent, parameters):
    with pytest.raises(
        ValueError, match=r"parameters.*(expected two of|a name twice|there is no 'tau')"
    ):
        ContourDisplay.from_chi_square(bent, parameters=parameters)


def test_profile_shows_intervals_and_parabola(bent):
    display = ProfileDisplay.from_chi_square(bent, parameter="sigma", xlabel="σ [GeV]")
    assert display.intervals[0.6827] == bent.confidence_interval("sigma", 0.6827)
    assert display.theta[0] < display.intervals[0.9545][0]
    assert display.theta[-1] > display.intervals[0.9545][1]
    np.testing.assert_allclose(display.fitted_error, 0.08, rtol=1e-3)
    assert display.ax_.get_xlabel() == "σ [GeV]"
    assert labels(display.ax_) == ["Profile", "Parabola of the error"]
    assert {text.get_text() for text in display.ax_.texts} == {"68.27%", "95.45%"}
    display.figure_.canvas.draw()


def test_profiles_overlay(bent):
    first = ProfileDisplay.from_chi_square(bent, label="one")
    second = ProfileDisplay.from_estimator(Fitter(), label="two", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert labels(first.ax_) == ["one", "Parabola of the error", "two"]
    np.testing.assert_allclose(second.intervals[0.6827], [0.9, 1.1], rtol=1e-4)


def test_profile_ends_at_a_bound():
    held = ChiSquare(
        lambda theta: theta - 1, [[0.04]], names=["mu"], theta=[1.0], low=[0.9], high=[2.0]
    )
    with pytest.warns(ConvergenceWarning, match="bound"):
        display = ProfileDisplay.from_chi_square(held)
    assert display.theta[0] == 0.9


def test_pulls_fill_the_histograms(coverage):
    display = PullDisplay.from_coverage(coverage, labels=["μ", "ν"])
    assert len(display.axes_) == 2
    np.testing.assert_array_equal(display.pulls["μ"], coverage.frame["mu_pull"])
    panel = display.axes_[0]
    row = coverage.to_frame().loc["mu"]
    (text,) = panel.texts
    assert f"mean {row['pull_mean']:.2f} ± {row['pull_mean_error']:.2f}" in text.get_text()
    assert f"width {row['pull_width']:.2f} ± {row['pull_width_error']:.2f}" in text.get_text()
    assert labels(panel) == ["100 toys", "N(0, 1)"]
    assert panel.get_xlabel() == "Pull of μ"
    display.figure_.canvas.draw()


def test_far_pulls_are_counted_in_the_last_bin():
    display = PullDisplay(pulls={"x": np.array([-9.0, 0.0, 99.0])}, edges=np.linspace(-4, 4, 9))
    bars = display.plot().axes_[0].patches[0].get_data().values
    assert (bars[0], bars.sum(), bars[-1]) == (1, 3, 1)


def test_pulls_take_axes_and_may_be_empty(coverage):
    figure, ax = plt.subplots(1, 2)
    assert PullDisplay.from_coverage(coverage, ax=ax).figure_ is figure
    one = PullDisplay.from_coverage(coverage, parameters=["nu"], bins=10, ax=ax[0])
    assert one.axes_ == [ax[0]]
    PullDisplay(pulls={"x": np.empty(0)}, edges=np.linspace(-4, 4, 9)).plot()


def test_pulls_refuse_what_does_not_fit(coverage):
    with pytest.raises(ValueError, match="there is no 'm'; did you mean 'mu'"):
        PullDisplay.from_coverage(coverage, parameters=["m"])
    with pytest.raises(ValueError, match="1 labels for the 2"):
        PullDisplay.from_coverage(coverage, labels=["μ"])
    with pytest.raises(ValueError, match="1 axes for 2"):
        PullDisplay.from_coverage(coverage, ax=plt.subplots()[1])
