"""Warnings of a kind come once, with their number, and point to the user's line."""

import warnings

import pytest

from skdctr._utils.numbers import format_apart
from skdctr._utils.warn import warn_once, warn_user
from skdctr.exceptions import ExtrapolationWarning


def warn_at(values, kind="theta"):
    for value in values:
        warn_user(f"θ = {value} is far.", ExtrapolationWarning, kind=kind, badness=value)


def caught(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function()
    return [str(each.message) for each in found]


def test_the_worst_of_a_kind_comes_once_with_the_number():
    def fit():
        with warn_once():
            warn_at([1, 3, 2])
            warn_at([5], kind="x")

    assert caught(fit) == [
        "θ = 3 is far. This came up 3 times, here at its worst.",
        "θ = 5 is far.",
    ]


def test_outside_of_a_block_each_comes():
    assert len(caught(lambda: warn_at([1, 2]))) == 2


def test_the_outermost_block_counts():
    @warn_once()
    def inner():
        warn_at([1])

    @warn_once()
    def outer():
        inner()
        inner()

    assert len(caught(outer)) == 1
    # The decorated functions serve again.
    assert len(caught(outer)) == 1


def test_what_a_function_ignores_stays_ignored():
    def fit():
        with warn_once():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExtrapolationWarning)
                warn_at([1])
            warn_at([2])

    assert caught(fit) == ["θ = 2 is far."]


def test_a_block_that_fails_warns_as_well():
    def fit():
        with warn_once():
            warn_at([1])
            raise ZeroDivisionError

    def failing():
        with pytest.raises(ZeroDivisionError):
            fit()

    assert caught(failing) == ["θ = 1 is far."]


def test_a_warning_made_an_error_is_raised_at_the_end():
    with pytest.raises(ExtrapolationWarning), warn_once():
        warn_at([1])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1.5, 79.4), ["1.5", "79.4"]),
        ((79.4, 79.4000117, 81.4), ["79.4", "79.40001", "81.4"]),
        ((0.5, 0.5), ["0.5", "0.5"]),
        ((0.1 + 0.2, 0.3), ["0.30000000000000004", "0.29999999999999999"]),
        ((float("-inf"), 1e9), ["-inf", "1e+09"]),
    ],
)
def test_numbers_have_the_digits_by_which_they_differ(values, texts):
    assert format_apart(*values) == texts
