"""FitResult: numbers as shown, and validity."""

import numpy as np
import pytest

from skdctr.exceptions import (
    ExtrapolationWarning,
    LowEffectiveSampleSizeWarning,
    ModelMismatchWarning,
)
from skdctr.inference import ChiSquare
from skdctr.results import FitResult, round_to_error
from skdctr.results.covariance import Sources
from skdctr.results.messages import UNKNOWN_WEIGHTS, Message


def make(**changes):
    values = {
        "theta": np.array([0.123456, -1.0]),
        "names": ["mu", "sigma"],
        "covariance": np.array([[0.0004, 0.0001], [0.0001, 0.01]]),
        "sources": {
            "data": np.array([[0.0003, 0.0001], [0.0001, 0.006]]),
            "simulation": np.array([[0.0001, 0.0], [0.0, 0.004]]),
        },
        "auc": 0.50123,
        "auc_error": 0.0021,
        "n_evaluations": 7,
        "effective_sample_size": 812.4,
        "n_events": {"simulated": 1000, "data": 500},
        "converged": True,
        "method": "auc objective, surrogate search",
    }
    return FitResult(**(values | changes))


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (1.23456, 0.0123, ("1.235", "0.012")),
        (1.23456, 0.5, ("1.23", "0.50")),
        (1234.56, 45.6, ("1235", "46")),
        (-0.000123456, 0.0000021, ("-0.0001235", "0.0000021")),
        (1.0, 0.0999, ("1.00", "0.10")),
        (1.0, 0.00996, ("1.000", "0.010")),
        (1.23456, np.nan, ("1.235", "?")),
        (1.23456, np.inf, ("1.235", "?")),
        (1.23456, 0.0, ("1.235", "?")),
    ],
)
def test_rounding(value, error, expected):
    assert round_to_error(value, error) == expected


def test_text():
    text = str(make())
    assert text == repr(make())
    assert text.splitlines() == [
        "FitResult (auc objective, surrogate search): valid",
        "  mu = 0.123 ± 0.020",
        "  sigma = -1.00 ± 0.10",
        "  AUC = 0.5012 ± 0.0021 (p = 0.28)",
        "  error of mu: data 0.017, simulation 0.01",
        "  error of sigma: data 0.077, simulation 0.063",
        "  7 evaluations; 1000 simulated, 500 data; effective sample size at θ 812",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"converged": False, "messages": ["it stopped"]},
        {"covariance": np.full((2, 2), np.nan)},
        {"covariance": np.array([[1.0, 0.0], [0.0, np.nan]])},
        {"covariance": np.array([[1.0, 0.0], [0.0, -1.0]])},
    ],
)
def test_what_is_not_valid_says_so(changes):
    result = make(**changes)
    assert not result.valid
    assert "NOT VALID" in repr(result)
    assert "not valid" in result._repr_html_()
    for message in result.messages:
        assert f"! {message}" in repr(result)


def test_html():
    html = make(names=["<mu>", "sigma"], messages=["a < b & c"])._repr_html_()
    assert "&lt;mu&gt;" in html
    assert "<mu>" not in html
    assert "a &lt; b &amp; c" in html
    for shown in ("0.12346", "0.02", "AUC = 0.5012 ± 0.0021 (p = 0.28)", "auc objective", "valid"):
        assert shown in html


def test_no_auc_is_not_shown():
    result = make(auc=np.nan, auc_error=np.nan)
    assert "AUC" not in repr(result)
    assert "AUC" not in result._repr_html_()


def test_table():
    table = make().to_frame()
    assert table.index.tolist() == ["mu", "sigma"]
    assert table.index.name == "parameter"
    assert table.columns.tolist() == ["value", "error", "error_data", "error_simulation"]
    np.testing.assert_allclose(table["value"], [0.123456, -1.0])
    np.testing.assert_allclose(table["error"], [0.02, 0.1])
    np.testing.assert_allclose(
        table["error"] ** 2, table["error_data"] ** 2 + table["error_simulation"] ** 2
    )


def test_correlation():
    correlation = make().correlation
    np.testing.assert_allclose(correlation, [[1.0, 0.05], [0.05, 1.0]])
    assert correlation.loc["mu", "sigma"] == correlation.loc["sigma", "mu"]


@pytest.mark.parametrize(
    ("category", "valid"),
    [
        (ModelMismatchWarning, False),
        (ExtrapolationWarning, False),
        (LowEffectiveSampleSizeWarning, True),
        (None, True),
    ],
)
def test_a_result_that_a_warning_objects_to_is_not_valid(category, valid):
    remark = Message("a remark", None)
    objection = Message("the reason", category)
    shown = make(messages=[remark, objection])
    assert shown.valid is valid
    lines = str(shown).splitlines()
    if not valid:
        # What makes a result useless stands before its numbers.
        assert "NOT VALID" in lines[0]
        assert lines[1] == "  ! the reason"
        assert shown._repr_html_().index("the reason") < shown._repr_html_().index("a remark")
    assert [line for line in lines if "!" in line].count("  ! the reason") == 1


def unknown(**changes):
    """A result whose weights do not know their error."""
    sources = Sources(
        data=np.diag([0.0003, 0.006]),
        simulation=np.diag([0.0001, 0.004]),
        generator=np.full((2, 2), np.nan),
    )
    values = {"sources": sources, "covariance": sources.total(2), "messages": [UNKNOWN_WEIGHTS]}
    return make(**values | changes)


def test_unknown_source_is_in_the_sum_and_in_the_text():
    result = unknown()
    assert np.isnan(result.errors).all()
    assert not result.valid
    np.testing.assert_allclose(result.known_covariance, np.diag([0.0004, 0.01]))
    assert str(result).splitlines()[:7] == [
        "FitResult (auc objective, surrogate search): NOT VALID",
        f"  ! {UNKNOWN_WEIGHTS}",
        "  mu = 0.1235 ± ? (± 0.02 from the known sources alone)",
        "  sigma = -1 ± ? (± 0.1 from the known sources alone)",
        "  AUC = 0.5012 ± 0.0021 (p = 0.28)",
        "  error of mu: data 0.017, simulation 0.01, generator ?",
        "  error of sigma: data 0.077, simulation 0.063, generator ?",
    ]
    assert "not valid" in result._repr_html_()
    frame = result.to_frame()
    assert frame["error"].isna().all()
    assert frame["error_data"].notna().all()


def test_known_covariance_is_all_where_all_is_known():
    result = make()
    np.testing.assert_allclose(result.known_covariance, sum(result.sources.values()))


def test_parameter_that_is_not_identified_has_no_known_error_either():
    sources = Sources(data=np.full((1, 1), np.nan), simulation=np.full((1, 1), np.nan))
    result = make(
        theta=np.zeros(1), names=["mu"], sources=sources, covariance=sources.total(1), messages=[]
    )
    assert np.isnan(result.known_covariance).all()
    assert "known sources" not in str(result)


def test_intervals_of_an_unknown_covariance_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="not finite; the error of the learned weights is not"):
        ChiSquare.from_result(unknown())
