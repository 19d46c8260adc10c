"""The Display classes: what they compute, what they draw, and what they refuse."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr.datasets import make_gaussian, make_gaussian_2d
from skdctr.exceptions import SkdctrWarning
from skdctr.plotting import ClosureDisplay, Scan2DDisplay, ScanDisplay, WeightDisplay

plt = pytest.importorskip("matplotlib.pyplot")
CLASSIFIER = {"hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0}


@pytest.fixture(autouse=True)
def figures():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def toy():
    return make_gaussian(2000, mu=0.5, random_state=0)


@pytest.fixture(scope="module")
def exact(toy):
    reweighter = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds={"mu": (-1, 2)})
    return reweighter.fit(toy.sim_gen)


@pytest.fixture(scope="module")
def scan(toy, exact):
    fitter = SRGNFitter(exact, search="scan", n_points=5, **CLASSIFIER)
    return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)


@pytest.fixture(scope="module")
def scan_2d():
    toy = make_gaussian_2d(1000, random_state=0)
    exact = AnalyticReweighter(
        toy.log_weight, {"mu": 0.0, "sigma": 1.0}, theta_bounds={"mu": (-2, 1), "sigma": (0.5, 1.5)}
    )
    fitter = SRGNFitter(exact, search="scan", n_points=4, **CLASSIFIER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkdctrWarning)  # few events, for speed
        return fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)


def labels(ax):
    return ax.get_legend_handles_labels()[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nominal": [1.0, np.nan, 2.0]}, "nominal has 1 of 3 values that are NaN or infinite"),
        ({"target": [1.0, np.inf, 2.0]}, "target has 1 of 3 values"),
        ({"weights": [1.0, np.nan, 2.0]}, "weights has 1 of 3 values"),
        ({"bins": 0}, "bins must be at least 1, got 0"),
        ({"bins": "auto"}, "bins='auto'; expected a number of bins"),
        ({"bins": [1.0, 0.0]}, "two edges or more in ascending order"),
        ({"nominal": np.ones((3, 2)), "feature": 2}, "feature=2: nominal has 2 columns"),
    ],
)
def test_closure_display_refuses(options, message):
    given = {"nominal": [0.0, 1.0, 2.0], "target": [0.0, 1.0, 2.0], "weights": np.ones(3)}
    given |= options
    samples = [given.pop(name) for name in ("nominal", "target", "weights")]
    with pytest.raises(ValueError, match=message):
        ClosureDisplay.from_predictions(*samples, **given)


def test_closure_display_of_many_weights_and_swapped_columns():
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [3.0, 4.0, 5.0]})
    ClosureDisplay.from_predictions(frame, frame, {f"w{k}": np.ones(3) for k in range(9)})
    with pytest.raises(ValueError, match="columns of target"):
        ClosureDisplay.from_predictions(frame, frame[["b", "a"]], np.ones(3))


def test_closure_histograms_are_fractions_with_errors(toy, exact):
    display = ClosureDisplay.from_estimator(exact, toy.sim_gen, toy.data_gen, 0.5, bins=30)
    assert display.edges.shape == (31,)
    assert 0.99 < display.target.sum() <= 1
    weights = exact.predict_weights(toy.sim_gen, 0.5)
    content, _ = np.histogram(toy.sim_gen[:, 0], display.edges, weights=weights)
    np.testing.assert_allclose(display.fractions["Reweighted"], content / weights.sum())
    square, _ = np.histogram(toy.sim_gen[:, 0], display.edges, weights=weights**2)
    np.testing.assert_allclose(display.errors["Reweighted"], np.sqrt(square) / weights.sum())
    assert list(display.fractions) == ["Nominal", "Reweighted"]


def test_closure_draws_two_panels(toy, exact):
    display = ClosureDisplay.from_estimator(
        exact, toy.sim_gen, toy.data, 0.5, observable=toy.sim_reco, xlabel="x [GeV]"
    )
    assert set(labels(display.ax_)) == {"Target", "Nominal", "Reweighted"}
    assert display.ratio_ax_.get_xlabel() == "x [GeV]"
    assert display.ax_.get_ylabel()
    assert display.ratio_ax_.get_ylabel()
    assert display.ax_.get_xlim() == display.ratio_ax_.get_xlim()
    display.figure_.canvas.draw()


def test_closure_takes_several_weights_and_the_place_of_axes(toy):
    figure, axes = plt.subplots(1, 2)
    w = {"a": np.ones(2000), "b": np.full(2000, 2.0)}
    display = ClosureDisplay.from_predictions(
        toy.sim_gen, toy.data_gen, w, bins=[-3, -1, 1, 3], ax=axes[0]
    )
    assert display.figure_ is figure
    assert {"a", "b"} < set(labels(display.ax_))
    np.testing.assert_allclose(display.fractions["a"], display.fractions["b"])
    assert len(figure.axes) == 3


def test_closure_weights_both_samples(toy):
    twice = np.repeat([0.0, 1.0], 1000)
    display = ClosureDisplay.from_predictions(
        toy.sim_gen,
        toy.data_gen,
        np.ones(2000),
        sample_weight=twice,
        target_weight=twice,
        bins=[-9, 0, 9],
    )
    expected = [(toy.data_gen[1000:, 0] < 0).mean(), (toy.data_gen[1000:, 0] >= 0).mean()]
    np.testing.assert_allclose(display.target, expected)


def test_closure_survives_empty_bins(toy):
    display = ClosureDisplay.from_predictions(
        toy.sim_gen, toy.data_gen, np.ones(2000), bins=np.linspace(-20, 20, 50)
    )
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(3)}, "3 weights for 2000"),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
        ({"target_weight": np.ones(3)}, "target_weight has 3"),
        ({"nominal": np.ones((2, 2, 2))}, "nominal has shape"),
    ],
)
def test_closure_refuses_what_does_not_fit(toy, change, message):
    arguments = {"nominal": toy.sim_gen, "target": toy.data_gen, "weights": np.ones(2000)}
    with pytest.raises(ValueError, match=message):
        ClosureDisplay.from_predictions(**{**arguments, **change})


def test_closure_needs_axes_of_a_grid(toy):
    ax = plt.figure().add_axes((0.1, 0.1, 0.8, 0.8))
    with pytest.raises(ValueError, match=r"plt\.subplots"):
        ClosureDisplay.from_predictions(toy.sim_gen, toy.data_gen, np.ones(2000), ax=ax)


def test_scan_is_sorted_and_marks_the_fit(scan):
    display = ScanDisplay.from_estimator(scan, xlabel="μ [GeV]")
    assert (np.diff(display.theta) > 0).all()
    assert len(display.theta) == len(scan.scan_)
    assert display.fitted == scan.theta_[0]
    assert display.fitted_error == scan.result_.errors[0]
    assert display.ax_.get_xlabel() == "μ [GeV]"
    assert any("±" in label for label in labels(display.ax_))


def test_scans_overlay_in_other_colours(scan):
    first = ScanDisplay.from_estimator(scan, label="one")
    second = ScanDisplay.from_estimator(scan, label="two", quantity="auc", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert {"one", "two"} <= set(labels(first.ax_))
    colors = {line.get_color() for line in first.ax_.get_lines()}
    assert len(colors) > 2
    rows = first.plot_fit()
    second.plot_fit(ax=rows.ax_)
    assert [tick.get_text() for tick in rows.ax_.get_yticklabels()] == ["one", "two"]


def test_cleared_axes_start_with_the_first_colour(scan):
    ax = ScanDisplay.from_estimator(scan).ax_
    before = ax.get_lines()[0].get_color()
    ax.clear()
    assert ScanDisplay.from_estimator(scan, ax=ax).ax_.get_lines()[0].get_color() == before


def test_scan_of_the_loss(scan):
    display = ScanDisplay.from_estimator(scan, quantity="loss")
    np.testing.assert_array_equal(np.sort(display.value), np.sort(scan.scan_["loss"]))
    assert "Loss" in display.ax_.get_ylabel()


def test_scan_without_an_error_draws():
    display = ScanDisplay(
        theta=np.arange(3.0),
        value=np.array([0.6, 0.5, 0.6]),
        error=np.zeros(3),
        fitted=1.0,
        fitted_error=np.nan,
    )
    display.plot().figure_.canvas.draw()
    display.plot_fit().figure_.canvas.draw()


def test_scan_refuses_unknown_names(scan):
    with pytest.raises(ValueError, match="parameter: there is no 'nu'"):
        ScanDisplay.from_estimator(scan, parameter="nu")
    with pytest.raises(ValueError, match="quantity='aic' is unknown; did you mean 'auc'"):
        ScanDisplay.from_estimator(scan, quantity="aic")


@pytest.mark.parametrize("display", [ScanDisplay, Scan2DDisplay])
def test_scan_needs_a_fit(display):
    with pytest.raises(ValueError, match="not fitted"):
        display.from_estimator(SRGNFitter())


def test_scan_2d_marks_the_points(scan_2d):
    display = Scan2DDisplay.from_estimator(scan_2d, truth=[-1.0, 0.75], labels=["μ", "σ"])
    assert display.theta.shape == (len(scan_2d.scan_), 2)
    np.testing.assert_array_equal(display.nominal, [0.0, 1.0])
    assert {"Fit", "Nominal", "Truth"} <= set(labels(display.ax_))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("μ", "σ")
    display.figure_.canvas.draw()


def test_scan_2d_zooms_to_the_errors(scan_2d):
    display = Scan2DDisplay.from_estimator(scan_2d)
    display.covariance = np.diag([0.01, 0.04])
    ax = display.plot(zoom=3).ax_
    np.testing.assert_allclose(ax.get_xlim(), display.fitted[0] + np.array([-0.3, 0.3]))
    ellipse = ax.get_lines()[0].get_xydata() - display.fitted
    np.testing.assert_allclose((ellipse**2 / [0.01, 0.04]).sum(axis=1), 1)
    display.covariance = np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match="errors of the fit"):
        display.plot(zoom=3)


def test_scan_2d_needs_two_parameters(scan):
    with pytest.raises(ValueError, match="two of"):
        Scan2DDisplay.from_estimator(scan)


def test_weights_of_an_exact_reweighter_lie_on_the_diagonal(toy, exact):
    display = WeightDisplay.from_estimator(exact, toy.sim_gen, 0.5, toy.log_weight)
    np.testing.assert_allclose(display.learned, display.exact)
    assert display.rms == pytest.approx(0, abs=1e-9)
    display.figure_.canvas.draw()


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    display = WeightDisplay(exact=np.zeros(2), learned=np.zeros(2), rms=0.0)
    with pytest.raises(
        ImportError, match=r'matplotlib is not installed, and plots.*pip install "skdctr\[plot\]"'
    ):
        display.plot()
