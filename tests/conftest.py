"""Fixtures that all tests share, the threads they run with and the tiers they are in."""

import os

import pytest

# numpy, torch and skdctr are imported where they are used: the process that only hands tests to the
# workers would spend seconds on them before the first worker starts.


def pytest_addoption(parser):
    parser.addoption(
        "--torch-threads",
        type=int,
        default=1,
        metavar="N",
        help="threads of torch in each worker and in the processes that it starts (default: 1)",
    )


def pytest_configure(config):
    """Tell libraries their threads before anything imports them, here, in workers or in a test.

    Each worker would else use all cores, two of them on two cores four threads.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(config.getoption("--torch-threads"))
    # No test opens a window.
    os.environ["MPLBACKEND"] = "Agg"


def pytest_itemcollected(item):
    """Keep tests of the long tier out of `-m "not slow"`."""
    if item.get_closest_marker("long"):
        item.add_marker("slow")


def pytest_terminal_summary(terminalreporter):
    """Print the tables that tests have recorded, such as the counts of the fuzz tier."""
    reports = [each for name in ("passed", "failed") for each in terminalreporter.getreports(name)]
    tables = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "table"
    ]
    for table in tables:
        terminalreporter.section("verdicts on malformed inputs")
        terminalreporter.write_line(table)


def _torch_state():
    import torch

    return {
        "default generator": torch.get_rng_state(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "number of threads": torch.get_num_threads(),
    }


def _restore(state):
    import torch

    # ruff's ban is on changes of global state; this undoes one.
    torch.set_rng_state(state["default generator"])
    torch.set_default_dtype(state["default dtype"])  # noqa: TID251
    torch.set_default_device(None)  # noqa: TID251
    torch.set_num_threads(state["number of threads"])  # noqa: TID251


@pytest.fixture(scope="session", autouse=True)
def _torch_state_at_start(request):
    import torch

    # ruff's ban is on changes within tests, and in skdctr; a plugin may have imported torch before
    # the environment told it the number.
    torch.set_num_threads(request.config.getoption("--torch-threads"))  # noqa: TID251
    return _torch_state()


@pytest.fixture(autouse=True)
def _torch_state_untouched(_torch_state_at_start):
    """Fail any test, and any fixture of its module, that changes torch's global state."""
    yield
    before, after = _torch_state_at_start, _torch_state()
    changed = [name for name in before if not _equal(before[name], after[name])]
    if changed:
        _restore(before)
        pytest.fail(f"torch's global state was changed: {', '.join(changed)}")


def _equal(first, second):
    import torch

    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    return first == second


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(20201)


@pytest.fixture(scope="session")
def gaussian():
    """10⁴ events of each class at generator level, and 5·10⁴ nominal ones to reweight."""
    from skdctr.datasets import make_gaussian

    bunch = make_gaussian(10_000, n_sim=50_000, n_data=1, random_state=1)
    for sample in (bunch.gen, bunch.theta, bunch.sim_gen):
        sample.flags.writeable = False
    return bunch
