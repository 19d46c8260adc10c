"""Regions in words: the features by which some events differ from all others."""

import numpy as np
import pytest

from skdctr.events.region import region_in_words
from skdctr.preprocessing import PackedEvents

N = 5000


def test_names_the_one_feature_that_matters(rng):
    others = rng.normal(size=(N, 3))
    inside = rng.normal(size=(100, 3))
    inside[:, 1] = np.linspace(7, 8, 100)
    assert region_in_words(inside, others, ["a", "b", "c"]) == "b in [7.05, 7.95]"


def test_names_two_features_where_neither_is_enough(rng):
    """A corner beside a diagonal band: each feature by itself lies among the others."""
    x = rng.normal(size=N)
    others = np.c_[x, rng.normal(size=N), x + 0.05 * rng.normal(size=N)]
    inside = np.c_[rng.normal(1, 0.1, 200), rng.normal(size=200), rng.normal(-1, 0.1, 200)]
    words = region_in_words(inside, others, ["pt", "eta", "mass"])
    assert "pt in" in words
    assert "mass in" in words
    assert "eta" not in words


def test_says_nothing_where_nothing_sets_it_apart(rng):
    assert region_in_words(rng.normal(size=(300, 2)), rng.normal(size=(N, 2)), ["a", "b"]) == ""


def test_missing_values_are_no_region(rng):
    others, inside = rng.normal(size=(N, 2)), rng.normal(size=(100, 2))
    inside[:, 0] = np.nan
    inside[:, 1] += 9
    assert region_in_words(inside, others, ["a", "b"]).startswith("b in [")


def test_sets_are_told_by_the_number_of_particles(rng):
    def sets(counts):
        return PackedEvents(rng.normal(size=(counts.sum(), 2)), np.r_[0, np.cumsum(counts)])

    inside, others = sets(rng.integers(30, 40, 60)), sets(rng.integers(1, 9, 500))
    words = region_in_words(inside, others, ["pt", "eta"])
    assert words.startswith("number of particles in [")
    low = float(words.partition("[")[2].partition(",")[0])
    assert low == pytest.approx(30, abs=1.5)
