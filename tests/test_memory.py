"""Memory of training and prediction, and events in files mapped into memory."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdctr import AnalyticReweighter, DCTRReweighter
from skdctr.events.chunks import is_mapped, release, row_chunks
from skdctr.events.validation import check_events
from skdctr.reweighting.nominal import most_frequent, repeated_near

# Peak memory beyond the one before the call, in bytes, with the pages of mapped files.
_MEASURE = """
import json, resource, sys
import numpy as np, torch
from skdctr import DCTRReweighter

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

torch.set_num_threads(1)
what, folder = sys.argv[1:]
events, theta = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in ("x", "theta"))
part = slice(len(events) // 2 - 3000, len(events) // 2 + 3000)
reweighter = DCTRReweighter(random_state=1, max_epochs=1, refit=False)
reweighter.fit(events[part], theta[part])
reweighter.predict_weights(events[part], 0.5)
before = peak()
if what == "fit":
    reweighter.fit(events, theta)
else:
    out = np.lib.format.open_memmap(f"{folder}/weights.npy", "w+", np.float64, (len(events),))
    reweighter.predict_weights(events, 0.5, normalize=True, out=out)
print(json.dumps(peak() - before))
"""
_ROWS, _FEATURES = 3_000_000, 4


def sample(n, n_features, seed=0, dtype=np.float64):
    """Nominal events, then as many at other θ."""
    rng = np.random.default_rng(seed)
    theta = np.where(np.arange(n) < n // 2, 0.0, rng.uniform(-1, 1, n)).astype(dtype)
    events = rng.standard_normal((n, n_features), dtype=np.float32).astype(dtype)
    events[:, 0] += theta
    return events, theta


def mapped(array, path, mode="r"):
    np.save(path, array)
    return np.load(path, mmap_mode=mode)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    events, theta = sample(_ROWS, _FEATURES, dtype=np.float32)
    np.save(folder / "x.npy", events)
    np.save(folder / "theta.npy", theta)
    return folder, events.nbytes + theta.nbytes


def peak_memory(what, folder):
    found = subprocess.run(
        [sys.executable, "-c", _MEASURE, what, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")
def test_training_takes_three_times_the_memory_of_its_input(files):
    folder, size = files
    assert peak_memory("fit", folder) < 3 * size


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")
def test_prediction_from_file_to_file_takes_no_memory(files):
    folder, _ = files
    # Input and output are 72 MB; what is allowed is less than half of that.
    assert peak_memory("predict", folder) < 32 << 20
    weights = np.load(folder / "weights.npy", mmap_mode="r")
    assert_allclose(weights.mean(), 1.0, rtol=1e-12)


# --- mapped files and arrays ----------------------------------------------------------------


@pytest.fixture(scope="module")
def reweighter():
    return DCTRReweighter(random_state=1, max_epochs=2).fit(*sample(4000, 3))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_training_on_mapped_files_is_training_on_arrays(tmp_path, dtype):
    events, theta = sample(4000, 2, dtype=dtype)
    weight = np.random.default_rng(1).uniform(0.5, 1.5, 4000).astype(dtype)
    from_arrays, from_files = (DCTRReweighter(random_state=1, max_epochs=2) for _ in range(2))
    from_arrays.fit(events.astype(np.float64), theta.astype(np.float64), weight)
    from_files.fit(
        mapped(events, tmp_path / "x.npy"),
        mapped(theta, tmp_path / "theta.npy"),
        mapped(weight, tmp_path / "w.npy"),
    )
    assert_array_equal(
        from_arrays.predict_weights(events, 0.5), from_files.predict_weights(events, 0.5)
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_prediction_from_a_mapped_file_is_that_from_an_array(tmp_path, reweighter, mode, order):
    # More rows than a part has.
    events = np.asarray(sample(300_000, 3, seed=1)[0], order=order)
    file = mapped(events, tmp_path / "x.npy", mode)
    theta = np.random.default_rng(2).uniform(-0.9, 0.9, (len(events), 1))
    for at in (0.5, theta):
        expected = reweighter.predict_log_weights(events, at)
        assert_array_equal(reweighter.predict_log_weights(file, at), expected)
    backwards = reweighter.predict_weights(file[::-1], theta[::-1])
    # Rounding in float32, which a batch of other rows may do otherwise.
    assert_allclose(backwards[::-1], np.exp(expected), rtol=1e-5)
    assert_allclose(
        reweighter.log_weight_gradient(file, 0.5),
        np.concatenate([reweighter.log_weight_gradient(part, 0.5) for part in np.split(events, 3)]),
        rtol=1e-4,
        atol=1e-6,
    )
    assert_array_equal(file, events)


def test_changes_to_a_copy_on_write_file_are_not_lost(tmp_path, reweighter):
    events = sample(100_000, 3, seed=1)[0]
    file = mapped(events, tmp_path / "x.npy", "c")
    file += 0.25
    reweighter.predict_weights(file, 0.5)
    assert_array_equal(file, events + 0.25)


def test_changes_to_a_file_are_kept_in_it(tmp_path):
    file = mapped(np.zeros((50_000, 3)), tmp_path / "x.npy", "r+")
    for _, part in row_chunks(file[::-2, 1:]):
        part += 1
    assert_array_equal(file[:, 0], 0)
    assert_array_equal(file[1::2, 1:], 1)
    del file
    assert np.load(tmp_path / "x.npy").sum() == 50_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bad_values_in_a_mapped_file(tmp_path, reweighter, value, dtype):
    events, theta = sample(200_000, 3, dtype=dtype)
    events[123_456, 1] = value
    errors = []
    for given in (events, mapped(events, tmp_path / "x.npy")):
        with pytest.raises(ValueError, match=r"NaN|infinity") as prediction:
            reweighter.predict_weights(given, 0.5)
        errors.append(str(prediction.value))
        if not np.isnan(value):
            with pytest.raises(ValueError, match="infinity") as training:
                DCTRReweighter().fit(given, theta)
            errors[-1] += str(training.value)
    assert errors[0] == errors[1]


def test_bad_theta_in_a_mapped_file(tmp_path):
    events, theta = sample(1000, 1)
    theta[500] = np.nan
    with pytest.raises(ValueError, match="y contains NaN"):
        DCTRReweighter().fit(events, mapped(theta, tmp_path / "theta.npy"))


def test_large_sums_are_no_infinity(tmp_path):
    events = np.full((5000, 3), 1e306)
    file = mapped(events, tmp_path / "x.npy")
    assert_array_equal(check_events(file, name="X", keep_single=True), events)


# --- where weights go -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_out(tmp_path, reweighter, dtype):
    events = sample(200_000, 3, seed=1)[0]
    out = np.lib.format.open_memmap(tmp_path / "w.npy", "w+", dtype, (len(events),))
    assert reweighter.predict_weights(events, 0.5, normalize=True, out=out) is out
    expected = reweighter.predict_weights(events, 0.5, normalize=True)
    assert_allclose(np.load(tmp_path / "w.npy"), expected, rtol=4 * np.finfo(dtype).eps)
    exact = AnalyticReweighter().fit(events)
    assert exact.predict_log_weights(events, [0.1, 0, 0], out=out) is out
    assert_allclose(out, exact.predict_log_weights(events, [0.1, 0, 0]), rtol=1e-6)


def test_out_that_cannot_be_written_to(reweighter):
    events = sample(10, 3)[0]
    read_only = np.zeros(10)
    read_only.flags.writeable = False
    for out, message, error in [
        (np.zeros(9), r"out has shape \(9,\), expected \(10,\)", ValueError),
        (np.zeros(10, dtype=int), "out is an array of int64", TypeError),
        ([0.0] * 10, "out is list", TypeError),
        (read_only, "out is read-only", ValueError),
    ]:
        with pytest.raises(error, match=message):
            reweighter.predict_weights(events, 0.5, out=out)


def test_weights_that_overflow_are_counted_over_all_parts(reweighter):
    exact = AnalyticReweighter(lambda x, theta: x[:, 0] * theta[..., 0]).fit(np.zeros((1, 1)))
    events = np.zeros((600_000, 1))
    events[[5, 300_000, 599_999], 0] = [800, 900, 1000]
    message = "3 of 600000 weights are not finite (largest log-weight 1000)"
    with pytest.raises(ValueError, match=re.escape(message)):
        exact.predict_weights(events, 1.0)
    assert events.max() == 1000


def test_weights_of_a_formula_that_returns_its_input():
    exact = AnalyticReweighter(lambda x, theta: x[:, 0]).fit(np.zeros((1, 1)))
    events = np.ones((3, 1))
    assert_allclose(exact.predict_weights(events, 1.0), np.e)
    assert_array_equal(events, 1.0)


# --- parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (500_000, 2), (3, 1_000_000), (300_000,)])
def test_parts_are_all_of_an_array(shape):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    parts = list(row_chunks(array))
    assert sum(len(part) for _, part in parts) == len(array)
    for rows, part in parts:
        assert_array_equal(array[rows], part)


def test_mapped_arrays_are_known(tmp_path):
    file = mapped(np.zeros((4, 2)), tmp_path / "x.npy")
    assert is_mapped(file)
    assert is_mapped(np.asarray(file)[1:, :1])
    assert not is_mapped(np.array(file))
    assert not is_mapped([[0.0]])
    for part in (file[:0], file[:, 1], file.T):
        release(part)


# --- values of θ ----------------------------------------------------------------------------


def test_most_frequent_theta_over_many_parts():
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(400_000, 2))
    found = most_frequent(theta)
    assert found.row is None
    assert found.n_distinct == 3
    # Just above 5%, and in no part more often than elsewhere.
    theta[rng.permutation(400_000)[:20_100]] = [1.0, -2.0]
    found = most_frequent(theta)
    assert_array_equal(found.row, [1.0, -2.0])
    assert found.n_distinct == 3
    # Sorted, each of 15 values is alone in its part; the largest count decides.
    values = np.repeat(np.arange(15.0), 27_000)[:, None]
    assert_array_equal(most_frequent(np.concatenate([values, [[11.0]]])).row, [11.0])
    # Of equally frequent ones the smallest.
    assert_array_equal(most_frequent(values).row, [0.0])
    assert most_frequent(np.repeat([[1.0], [2.0]], 200_000, axis=0)).n_distinct == 2
    assert most_frequent(np.ones((300_000, 1))).n_distinct == 1


def test_theta_that_is_repeated():
    theta = np.array([[0.1, 1.0], [0.5, 1.0], [0.1, 1.0], [0.5, 2.0]], dtype=np.float32)
    assert_array_equal(repeated_near(theta, np.array([0.1, 1.0])), theta[0].astype(np.float64))
    assert_array_equal(repeated_near(theta, np.array([0.5, 1.0])), [0.5, 1.0])
