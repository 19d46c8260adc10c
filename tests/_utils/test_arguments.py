"""The checks of single arguments: what passes as it is, and what a message says of the rest."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from skdctr import AnalyticReweighter, DCTRReweighter
from skdctr._utils import arguments
from skdctr._utils.member_inputs import check_member, check_members
from skdctr._utils.numbers import check_count
from skdctr.closure import classifier_test
from skdctr.metrics import effective_sample_size, weighted_auc
from skdctr.plotting import ClosureDisplay

X = np.random.default_rng(0).normal(size=(50, 2))
MASKED = np.ma.MaskedArray(np.ones(50), mask=np.arange(50) == 7)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (None, TypeError, "x is None, expected real numbers"),
        (csr_matrix(np.eye(2)), TypeError, r"x is a sparse matrix.*x.toarray\(\)"),
        ([[1.0], [1.0, 2.0]], ValueError, "x: setting an array element.*Expected real numbers"),
        ([1.0, "abc"], TypeError, "x must hold real numbers, got dtype <U"),
        (np.array([1.0, object()]), TypeError, "x must hold real numbers, got array"),
        ([1j], TypeError, "x must hold real numbers, got dtype complex128"),
        (np.array(["2020"], dtype="M8[D]"), TypeError, "x must hold real numbers, got dtype dat"),
    ],
)
def test_what_is_no_array_of_numbers(value, error, message):
    with pytest.raises(error, match=message):
        arguments.as_real_array(value, "x")


def test_forms_of_the_same_numbers():
    numbers = np.array([1.0, 2.0])
    for form in (
        numbers,
        [1, 2],
        numbers.astype(object),
        numbers.astype(">f8"),
        pd.Series(numbers),
    ):
        np.testing.assert_array_equal(arguments.as_real_array(form, "x"), numbers)
    np.testing.assert_array_equal(arguments.as_real_array(torch.tensor(numbers), "x"), numbers)
    hidden = arguments.as_real_array(np.ma.MaskedArray([1, 2], mask=[False, True]), "x")
    np.testing.assert_array_equal(hidden, [1.0, np.nan])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: arguments.check_number("x", True), TypeError, "x must be a real number, got True"),
        (lambda: arguments.check_number("x", np.nan), ValueError, "x must be finite, got nan"),
        (lambda: arguments.check_number("x", 1, below=1), ValueError, "x must be below 1, got 1"),
        (lambda: arguments.check_number("x", -1, above=-1), ValueError, "x must be above -1"),
        (lambda: arguments.check_flag("x", 1), TypeError, "x must be a bool, got 1"),
        (lambda: arguments.check_choice("x", 3, "ab"), TypeError, r"x=3 is no string"),
        (lambda: arguments.check_choice("x", "auk", ["auc"]), ValueError, "did you mean 'auc'"),
        (lambda: arguments.check_names("x", "abc"), ValueError, "x='abc'; expected a list"),
        (lambda: arguments.check_names("x", ["a", "a"]), ValueError, "has a name twice"),
        (lambda: arguments.check_names("x", ["c"], ["a"]), ValueError, "x: there is no 'c'"),
        (lambda: arguments.check_function("x", 3, "θ"), TypeError, "x=3 is not callable"),
        (lambda: arguments.check_instance("x", int, int, "an int"), TypeError, "the class int"),
        (lambda: arguments.as_path("x", 3), TypeError, "x=3; expected a str or a Path"),
        (lambda: arguments.as_path("x", "a\0b"), ValueError, "x=.* is no path"),
        (lambda: arguments.as_path("x", "."), ValueError, r"x='\.' is a folder"),
        (lambda: arguments.check_text("x", 3), TypeError, "x must be a string, got 3"),
        (lambda: check_count("x", 10**30), ValueError, "x must be at most 9223372036854775807"),
        (lambda: check_member(0, 1, [], ("X",)), TypeError, "inputs is of type list"),
        (lambda: check_member(0, 1, {"x": X}, ("X",)), ValueError, "did you mean 'X'|known are"),
        (lambda: check_members([], int), ValueError, "members is empty"),
        (lambda: check_members(["a"], int), TypeError, "members=.* what fit_member returned"),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_errors_of_others_get_the_name():
    message = r"^x: no good\. Expected numbers\.$"
    with pytest.raises(ValueError, match=message) as caught, arguments.named("x", "numbers"):
        raise OverflowError("no good")
    assert isinstance(caught.value.__cause__, OverflowError)
    with pytest.raises(TypeError, match=r"^x is no good$"), arguments.named("x", "numbers"):
        raise TypeError("x is no good")


def test_a_message_shows_the_beginning_of_what_is_long():
    assert arguments.shorten([1, 2]) == "[1, 2]"
    assert len(arguments.shorten(list(range(1000)))) == 80


def test_hidden_values_of_a_masked_array_do_not_count():
    with pytest.raises(ValueError, match="weights must be finite"):
        effective_sample_size(MASKED)
    with pytest.raises(ValueError, match="score_positive must be finite"):
        weighted_auc(MASKED, np.ones(3))


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        (X.astype("M8[s]"), TypeError, r"X holds dates \(dtype datetime64\[s\]\)"),
        (X.astype("m8[s]"), TypeError, "X holds time differences"),
        (pd.DataFrame(X, columns=["a", "a"]), ValueError, r"X has more than one column.*\['a'\]"),
        (pd.DataFrame({"a": X[:, 0], "b": "abc"}), ValueError, "X has the column 'b' of type"),
        (
            pd.DataFrame({"a": pd.date_range("2020", periods=50)}),
            ValueError,
            "X has the column 'a'",
        ),
        (pd.DataFrame(index=range(50)), ValueError, "X is a table without columns"),
        (np.where(X[3, 1] == X, np.inf, X), ValueError, "infinity.* first in event 3, feature 1"),
    ],
)
def test_events_that_are_no_numbers(events, error, message):
    with pytest.raises(error, match=message):
        AnalyticReweighter().fit(events)


def test_weights_whose_squares_leave_the_range_of_numbers():
    for factor in (1e300, 1e-300):
        with pytest.raises(ValueError, match=r"sample_weight has numbers up to .* their mean"):
            AnalyticReweighter().fit(X, sample_weight=np.full(50, factor))
    with pytest.raises(ValueError, match=r"weight_target .* one weight per event of target"):
        classifier_test(X, X, weight_target=np.ones(3))


def test_weights_in_two_columns_are_no_weights():
    with pytest.raises(ValueError, match="weights has two dimensions"):
        ClosureDisplay.from_predictions(X[:, 0], X[:, 0], np.ones((50, 2)))


def test_nodes_are_whole_numbers():
    reweighter = DCTRReweighter(hidden_layer_sizes=(8.5,))
    with pytest.raises(TypeError, match=r"hidden_layer_sizes must be an int, got 8\.5"):
        reweighter.fit(X, np.arange(50) % 2)
