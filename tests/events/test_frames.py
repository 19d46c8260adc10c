"""Tables in every form that users have in hand: the same numbers and names, or a clear refusal."""

import awkward as ak
import dask.array
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.model_selection import GridSearchCV, KFold

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.events.frames import as_table, column_labels
from skdctr.events.validation import check_events, check_same_columns, check_weights

N = 60
VALUES = np.random.default_rng(7).normal(size=(N, 2))
A, B = VALUES.T


FORMS = {
    "pandas": pd.DataFrame({"a": A, "b": B}),
    "nullable": pd.DataFrame({"a": A, "b": B}).astype("Float64"),
    "pyarrow types": pd.DataFrame({"a": A, "b": B}).astype("float64[pyarrow]"),
    "several levels": pd.DataFrame(
        VALUES, columns=pd.MultiIndex.from_tuples([("a", ""), ("b", "")])
    ),
    "pyarrow": pa.table({"a": A, "b": B}),
    "dict of columns": {"a": A, "b": B},
    "dict of lists": {"a": A.tolist(), "b": B.tolist()},
    "dict of awkward columns": {"a": ak.Array(A), "b": ak.Array(B)},
    "dict of tensors": {"a": torch.tensor(A), "b": torch.tensor(B)},
    "structured": np.rec.fromarrays([A, B], names="a,b"),
    "flat awkward records": ak.Array({"a": A, "b": B}),
    "rows of awkward records": list(ak.Array({"a": A, "b": B})),
}
UNNAMED = {
    "array": VALUES,
    "numbered columns": pd.DataFrame(VALUES),
    "list": VALUES.tolist(),
    "big endian": VALUES.astype(">f8"),
    "tensor": torch.tensor(VALUES),
    "tensor with a gradient": torch.tensor(VALUES, requires_grad=True),
    "masked, nothing hidden": np.ma.masked_array(VALUES, mask=False),
}


@pytest.mark.parametrize("form", [*FORMS, *UNNAMED])
def test_the_same_numbers_and_names(form):
    given = (FORMS | UNNAMED)[form]
    np.testing.assert_array_equal(check_events(given, name="X"), VALUES)
    labels = column_labels(given)
    assert labels == (None if form in UNNAMED else ["a.", "b."] if "levels" in form else ["a", "b"])


def test_polars_frames():
    frame = pl.DataFrame({"a": A, "b": B})
    np.testing.assert_array_equal(check_events(frame, name="X"), VALUES)
    assert column_labels(frame) == ["a", "b"]
    with pytest.raises(TypeError, match=r"X is a lazy frame.*X.collect\(\)"):
        as_table(frame.lazy(), name="X")


@pytest.mark.parametrize("form", [ak.Array(A), torch.tensor(A), pa.chunked_array([A]), A.tolist()])
def test_one_column(form):
    np.testing.assert_array_equal(check_events(form, name="X"), A[:, None])
    np.testing.assert_array_equal(check_weights(abs(A), N, name="w"), abs(A))


@pytest.mark.parametrize("form", FORMS)
def test_swapped_columns_are_noticed_whatever_holds_them(form):
    """A swapped column moves a fit by many errors, in silence."""
    other = pd.DataFrame({"b": B, "a": A})
    if "levels" in form:
        other = pd.DataFrame(VALUES, columns=pd.MultiIndex.from_tuples([("b", ""), ("a", "")]))
    with pytest.raises(ValueError, match=r"The columns of data are .* those of y \(sim_reco\) are"):
        check_same_columns(FORMS[form], other, name="data", reference_name="y (sim_reco)")


def test_swapped_numbers_of_columns_are_noticed():
    frame = pd.DataFrame(VALUES)
    with pytest.raises(ValueError, match="The columns of data"):
        check_same_columns(frame[[1, 0]], frame, name="data", reference_name="X")


def test_parameters_are_read_by_name_from_any_frame():
    theta = np.random.default_rng(1).uniform(-1, 1, (N, 2))
    theta[::2] = 0.0
    options = {"max_epochs": 1, "refit": False, "random_state": 0, "theta_nominal": [0.0, 0.0]}
    reweighter = DCTRReweighter(**options).fit(
        VALUES, pa.table({"mu": theta[:, 0], "s": theta[:, 1]})
    )
    assert reweighter.theta_names_ == ["mu", "s"]
    swapped = pa.table({"s": theta[:, 1], "mu": theta[:, 0]})
    expected = reweighter.predict_log_weights(VALUES, theta)
    np.testing.assert_array_equal(reweighter.predict_log_weights(VALUES, swapped), expected)
    assert reweighter.score(VALUES, swapped) == reweighter.score(VALUES, theta)


def test_what_is_masked_or_missing_is_not_used():
    hidden = np.ma.masked_array(np.where(A > 1, -999.0, A), mask=A > 1)
    table = as_table(hidden, name="X")
    assert np.isnan(table[A > 1]).all()
    np.testing.assert_array_equal(table[A <= 1], A[A <= 1])
    options = ak.Array([1, None, 3])  # integers with a missing one
    np.testing.assert_array_equal(as_table(options, name="X"), [1.0, np.nan, 3.0])
    nullable = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64")})
    np.testing.assert_array_equal(as_table(nullable, name="X")["a"], [1.0, np.nan, 3.0])
    for missing in (hidden, options, nullable):
        with pytest.raises(ValueError, match="contains NaN"):
            check_events(missing, name="X")


def test_missing_rows_are_events_that_the_reconstruction_lost():
    """A nullable row of NA is the documented row of NaN."""
    rng = np.random.default_rng(3)
    gen = rng.normal(size=(400, 1))
    lost = np.arange(400) % 4 == 0
    reco = pd.DataFrame({"x": pd.array(np.where(lost, 0.0, gen[:, 0]), dtype="Float64")})
    reco.loc[lost, "x"] = pd.NA
    fitter = SRGNFitter(max_epochs=1, random_state=0, objective="optimal_observable")
    fitter.fit(gen, reco, pd.DataFrame({"x": rng.normal(size=300)}))
    assert fitter.result_.n_events["lost by the reconstruction"] == 100


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((row for row in VALUES), r"X is a generator, which gives its rows once only"),
        (iter(VALUES), "gives its rows once only"),
        ({"a": A, "b": B[:-1]}, r"X has columns of the shapes \{'a': \(60,\), 'b': \(59,\)\}"),
        ({"a": VALUES}, r"one number per event in each"),
    ],
)
def test_what_is_no_table_is_refused_by_name(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_events(given, name="X")


def test_collections_of_dask_are_refused_by_name():
    array = dask.array.from_array(VALUES)
    with pytest.raises(TypeError, match=r"X is a collection of Dask, not computed yet: X.compute"):
        check_events(array, name="X")


def test_a_grid_of_numpy_integers():
    """GridSearchCV passes what np.arange holds."""
    theta = np.repeat([0.0, 1.0], N // 2)
    grid = {"batch_size": np.array([20, 30]), "hidden_layer_sizes": np.array([4])}
    reweighter = DCTRReweighter(max_epochs=1, refit=False, random_state=0)
    folds = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(reweighter, grid, cv=folds, error_score="raise").fit(VALUES, theta)
    assert search.best_params_["batch_size"] in (20, 30)


def test_records_survive_the_splits_of_scikit_learn():
    records = ak.Array({"a": A, "b": B})
    exact = AnalyticReweighter(lambda x, theta: x[:, 0] * theta[..., 0], {"mu": 0.0}).fit(records)
    rows = [records[k] for k in (3, 5, 8)]
    np.testing.assert_array_equal(
        exact.predict_log_weights(rows, 0.5), exact.predict_log_weights(records[[3, 5, 8]], 0.5)
    )
