"""The parton-shower data set: its physics, its seeds and its cache.

Statistical tolerances are four standard errors, at fixed seeds.
"""

import inspect
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdctr._utils import optional
from skdctr.datasets import PARAMETERS, make_parton_shower, make_parton_shower_tuning
from skdctr.datasets.files import cache as cache_module
from skdctr.datasets.generator import blocks as blocks_module
from skdctr.datasets.generator import pythia as pythia_module
from skdctr.datasets.jets import parton_shower
from skdctr.datasets.jets.observables import jet_observables

PACKAGES = ["pythia8mc", "fastjet", "awkward"]
BOUNDS = {name: parameter.bounds for name, parameter in PARAMETERS.items()}
NOMINAL = {name: parameter.nominal for name, parameter in PARAMETERS.items()}
SETTINGS = tuple((known.pythia_name, known.nominal) for known in PARAMETERS.values())


@pytest.fixture(scope="session")
def extra():
    for package in PACKAGES:
        pytest.importorskip(package)


def needs_extra(test):
    return pytest.mark.pythia(pytest.mark.usefixtures("extra")(test))


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    """Keep the tests out of the user's own cache."""
    monkeypatch.setenv("SKDCTR_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def nominal(extra):
    return make_parton_shower(3000, random_state=1, cache=False)


@pytest.fixture(scope="module")
def varied(extra):
    return make_parton_shower(6000, **BOUNDS, events_per_theta=50, random_state=2, cache=False)


def assert_same_events(first, second):
    pd.testing.assert_frame_equal(first.theta, second.theta)
    pd.testing.assert_frame_equal(first.observables, second.observables)
    pd.testing.assert_frame_equal(first.jets, second.jets)
    if first.constituents is not None and second.constituents is not None:
        assert first.constituents.to_list() == second.constituents.to_list()


def momentum(pt, eta, phi):
    return np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])


# What comes back


@needs_extra
def test_shapes_and_names(nominal):
    assert list(nominal.observables) == ["multiplicity", "n_kaons"]
    assert list(nominal.jets) == ["pt", "eta", "phi", "mass"]
    assert nominal.constituents.fields == ["pt", "eta", "phi", "pid"]
    assert nominal.theta_names == []
    assert {len(nominal[name]) for name in ("theta", "observables", "jets", "event")} == {3000}
    assert nominal.theta.drop_duplicates().to_dict("records") == [NOMINAL]
    assert_array_equal(nominal.event, np.arange(3000))
    assert nominal.settings["pythia"].startswith("8.")
    assert "1907.08209" in nominal.DESCR


@needs_extra
def test_observables_are_those_of_the_constituents(nominal):
    ak = pytest.importorskip("awkward")
    pid = abs(nominal.constituents.pid)
    assert_array_equal(ak.num(pid), nominal.observables["multiplicity"])
    kaons = ak.sum((pid == 321) | (pid == 130) | (pid == 310), axis=1)
    assert_array_equal(kaons, nominal.observables["n_kaons"])
    assert not ak.any((pid == 12) | (pid == 14) | (pid == 16))
    # Final state: no partons, and nothing that Pythia lets decay.
    assert not ak.any((pid <= 6) | (pid == 21) | (pid == 111) | (pid == 310))


@needs_extra
def test_constituents_sum_to_their_jet(nominal):
    ak = pytest.importorskip("awkward")
    particles = nominal.constituents
    flat = [ak.to_numpy(ak.flatten(particles[axis])) for axis in ("pt", "eta", "phi")]
    rows = np.repeat(np.arange(3000), ak.to_numpy(ak.num(particles)))
    total = [np.bincount(rows, weights=component) for component in momentum(*flat)]
    jets = nominal.jets
    assert_allclose(total, momentum(jets.pt, jets.eta, jets.phi), atol=1e-4)
    assert jets.pt.max() < 91.2 / 2
    assert (jets.mass >= 0).all()
    assert np.abs(flat[2]).max() <= np.float32(np.pi)
    assert np.all(np.diff(flat[0])[np.diff(rows) == 0] <= 0), "the hardest comes first"


@needs_extra
def test_jets_are_those_of_fastjet_event_by_event():
    fastjet = pytest.importorskip("fastjet")
    pythia = pythia_module.new_pythia()
    pythia_module.start(pythia, pythia_module.Block(40, SETTINGS, 7))
    events = pythia_module.final_state(pythia, 40)
    found = pythia_module.hardest_jets(events, 2)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8)
    expected, sizes = [], []
    for begin, end in zip(events.offsets[:-1], events.offsets[1:], strict=True):
        particles = [fastjet.PseudoJet(*p) for p in events.momentum[:, begin:end].T.tolist()]
        sequence = fastjet.ClusterSequence(particles, definition)
        for jet in fastjet.sorted_by_pt(sequence.inclusive_jets())[:2]:
            expected.append([jet.pt(), jet.eta(), jet.phi_std(), jet.m()])
            sizes.append(len(jet.constituents()))
    assert_array_equal(found["multiplicity"], sizes)
    assert_allclose(found["jets"], expected, atol=1e-6)


@needs_extra
def test_batches_are_the_events_of_pythia_one_by_one():
    block = pythia_module.Block(20, SETTINGS, 7)
    pythia = pythia_module.new_pythia()
    pythia_module.start(pythia, block)
    events = pythia_module.final_state(pythia, 20)
    pythia_module.start(pythia, block)
    energy, pid, counts = [], [], []
    for _ in range(20):
        assert pythia.next()
        final = [
            p for p in pythia.event if p.isFinal() and p.idAbs() not in pythia_module.NEUTRINOS
        ]
        energy += [p.e() for p in final]
        pid += [p.id() for p in final]
        counts.append(len(final))
    assert_array_equal(events.pid, pid)
    assert_array_equal(events.momentum[3], energy)
    assert_array_equal(np.diff(events.offsets), counts)


@needs_extra
def test_both_jets_of_an_event():
    one = make_parton_shower(30, random_state=4)
    two = make_parton_shower(59, jets_per_event=2, random_state=4)
    assert len(two.jets) == len(two.observables) == len(two.constituents) == 59
    assert_array_equal(two.event, np.arange(59) // 2)
    pd.testing.assert_frame_equal(two.jets[::2].reset_index(drop=True), one.jets)
    assert (two.jets.pt[1::2].to_numpy() <= two.jets.pt[:58:2].to_numpy()).all()


@needs_extra
def test_without_constituents():
    bunch = make_parton_shower(20, constituents=False, random_state=0)
    assert bunch.constituents is None
    assert_same_events(bunch, make_parton_shower(20, random_state=0, cache=False))


@needs_extra
def test_observables_of_the_papers():
    names = ["tau32", "multiplicity", "ecf4", "n_strange"]
    bunch = make_parton_shower(30, observables=names, random_state=0)
    assert list(bunch.observables) == names
    expected = jet_observables(bunch.constituents, names)
    pd.testing.assert_frame_equal(bunch.observables, expected)
    # The events do not depend on it, nor on whether the particles are returned.
    plain = make_parton_shower(30, random_state=0, cache=False)
    pd.testing.assert_frame_equal(bunch.jets, plain.jets)
    without = make_parton_shower(
        30, observables=names, constituents=False, random_state=0, cache=False
    )
    assert without.constituents is None
    pd.testing.assert_frame_equal(without.observables, expected)
    assert (bunch.observables["n_strange"] == plain.observables["n_kaons"]).all()


@pytest.mark.slow
@needs_extra
def test_observables_are_cached(monkeypatch, cache_dir):
    computed, generated = [], []

    def counting(calls, original):
        return lambda *args, **kwargs: calls.append(args) or original(*args, **kwargs)

    monkeypatch.setattr(
        parton_shower, "jet_observables", counting(computed, parton_shower.jet_observables)
    )
    monkeypatch.setattr(parton_shower, "run_blocks", counting(generated, parton_shower.run_blocks))
    first = make_parton_shower(30, random_state=0)
    assert len(list(cache_dir.iterdir())) == 1
    for names, constituents in ((["tau21"], True), (["ecf3"], False), (["tau32"], True)):
        bunch = make_parton_shower(30, observables=names, constituents=constituents, random_state=0)
        assert list(bunch.observables) == names
    assert len(computed) == len(generated) == 1
    assert len(list(cache_dir.iterdir())) == 2
    assert_same_events(first, make_parton_shower(30, random_state=0))
    # Without the particles of before they are generated once, to compute from.
    make_parton_shower(30, constituents=False, random_state=1)
    for _ in range(2):
        make_parton_shower(30, observables=["ecf4"], constituents=False, random_state=1)
    assert (len(computed), len(generated)) == (2, 3)


@pytest.mark.slow
@needs_extra
def test_observables_of_all_samples():
    bunch = make_parton_shower_tuning(20, observables=["ecf3", "tau21"], random_state=0)
    for name in ("gen", "sim_gen", "data"):
        assert list(bunch[name]) == ["ecf3", "tau21"]
    assert bunch.gen_constituents is None


# Physics


@needs_extra
def test_parameters_are_pythias():
    settings = pythia_module.new_pythia().settings
    for parameter in PARAMETERS.values():
        assert settings.parmDefault(parameter.pythia_name) == parameter.nominal
        # Pythia takes the ends of the range and keeps its value where it is given one outside.
        for end, outside in zip(parameter.allowed, (-1e-6, 1e-6), strict=True):
            settings.parm(parameter.pythia_name, end)
            settings.parm(parameter.pythia_name, end + outside)
            assert settings.parm(parameter.pythia_name) == end
    defaults = inspect.signature(make_parton_shower).parameters
    assert {name: defaults[name].default for name in PARAMETERS} == NOMINAL


@needs_extra
def test_charged_multiplicity_is_that_of_lep():
    pythia = pythia_module.new_pythia()
    pythia_module.start(pythia, pythia_module.Block(1000, SETTINGS, 3))
    events = pythia_module.final_state(pythia, 1000)
    types_, inverse = np.unique(events.pid, return_inverse=True)
    charged = np.array([pythia.particleData.charge(int(pid)) != 0 for pid in types_])[inverse]
    counts = np.add.reduceat(charged.astype(int), events.offsets[:-1])
    error = counts.std() / np.sqrt(len(counts))
    # Measured: 20.8. The tune is good to 2%.
    assert abs(counts.mean() - 20.8) < 0.02 * 20.8 + 4 * error
    # All energy but that of neutrinos, never more than there is.
    energy = np.add.reduceat(events.momentum[3], events.offsets[:-1])
    assert energy.max() < 91.2 + 1e-3
    assert np.median(energy) == pytest.approx(91.2, abs=1e-3)


@pytest.mark.slow
@needs_extra
def test_observables_follow_the_parameters(varied):
    design = np.column_stack([np.ones(len(varied.theta)), varied.theta])
    inverse = np.linalg.inv(design.T @ design)
    pull = {}
    for name, y in varied.observables.items():
        slope = inverse @ design.T @ y
        variance = inverse * np.var(y - design @ slope)
        pull[name] = dict(zip(PARAMETERS, (slope / np.sqrt(np.diag(variance)))[1:], strict=True))
    assert pull["multiplicity"]["alphaS"] > 4
    assert abs(pull["multiplicity"]["probStoUD"]) < 4
    assert pull["n_kaons"]["probStoUD"] > 4


@pytest.mark.slow
@needs_extra
def test_multiplicity_rises_with_a_lund():
    low, high = (
        make_parton_shower(1500, aLund=value, random_state=5, cache=False).observables
        for value in (0.2, 1.5)
    )
    error = np.sqrt((low.var() + high.var()) / 1500)
    assert high.multiplicity.mean() - low.multiplicity.mean() > 4 * error["multiplicity"]


# Parameters


def test_every_theta_is_drawn_uniformly():
    limits = {"alphaS": (0.10, 0.18), "aLund": (0.68, 0.68), "probStoUD": (0.1, 0.3)}
    theta, blocks = blocks_module.plan_blocks(limits, 20_000, 10, [1, 2])
    assert theta.shape == (2000, 3)
    assert_array_equal(theta[:, 1], 0.68)
    for column, (low, high) in ((0, (0.10, 0.18)), (2, (0.1, 0.3))):
        u = (theta[:, column] - low) / (high - low)
        assert u.min() >= 0
        assert u.max() <= 1
        # Moments of the uniform distribution, whose fourth central moment is 1/80.
        assert abs(u.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / 2000)
        assert abs(np.var(u) - 1 / 12) < 4 * np.sqrt((1 / 80 - 1 / 144) / 2000)
    assert abs(np.corrcoef(theta[:, 0], theta[:, 2])[0, 1]) < 4 / np.sqrt(2000)
    assert [dict(block.settings)["TimeShower:alphaSvalue"] for block in blocks] == list(theta[:, 0])
    assert len({block.seed for block in blocks}) == 2000
    assert all(1 <= block.seed <= 900_000_000 for block in blocks)


@pytest.mark.parametrize(("total", "per_theta"), [(1, 1), (7, 3), (2500, 2500), (5000, 1700)])
def test_blocks_add_up(total, per_theta):
    theta, blocks = blocks_module.plan_blocks(BOUNDS, total, per_theta, [0])
    sizes = pd.Series([block.n_events for block in blocks])
    by_theta = sizes.groupby([str(block.settings) for block in blocks], sort=False).sum().tolist()
    assert sum(by_theta) == total
    assert len(by_theta) == len(theta)
    assert by_theta[:-1] == [per_theta] * (len(theta) - 1)
    assert sizes.max() <= pythia_module.MAX_BATCH


@pytest.mark.slow
@needs_extra
def test_rows_carry_their_theta(varied):
    assert varied.theta_names == list(PARAMETERS)
    assert list(varied.theta) == list(PARAMETERS)
    groups = varied.theta.groupby(varied.event // 50)
    assert groups.ngroups == 120
    assert (groups.nunique() == 1).all(axis=None)
    assert len(varied.theta.drop_duplicates()) == 120


@needs_extra
def test_fixed_and_varied_parameters_together():
    bunch = make_parton_shower(
        60, aLund=0.9, probStoUD=(0.1, 0.3), events_per_theta=20, random_state=0
    )
    assert bunch.theta_names == ["probStoUD"]
    assert bunch.theta.nunique().tolist() == [1, 1, 3]
    assert bunch.theta.iloc[0, :2].tolist() == [0.1365, 0.9]


# Seeds


def test_samples_of_one_seed_and_other_parameters_are_independent():
    fixed = [{name: (value, value) for name, value in NOMINAL.items()} for _ in range(2)]
    fixed[1]["alphaS"] = (0.16, 0.16)
    seeds = [
        block.seed
        for ranges in fixed
        for block in blocks_module.plan_blocks(ranges, 9000, 9000, [1])[1]
    ]
    assert len(set(seeds)) == len(seeds) == 18


@pytest.mark.slow
@needs_extra
def test_seeds():
    first = make_parton_shower(40, random_state=3, cache=False)
    assert_same_events(first, make_parton_shower(40, random_state=3, cache=False))
    # A larger sample starts with the smaller one.
    more = make_parton_shower(60, random_state=3, cache=False)
    pd.testing.assert_frame_equal(first.jets, more.jets[:40])
    for other in (4, None, None):
        again = make_parton_shower(40, random_state=other, cache=False)
        assert not first.jets.equals(again.jets)
        first = again


@pytest.mark.slow  # starts processes
@needs_extra
def test_events_do_not_depend_on_the_number_of_processes(capfd):
    arguments = {"alphaS": (0.10, 0.18), "random_state": 6, "cache": False}
    # More than the 500 that a process makes at the least.
    one = make_parton_shower(600, n_jobs=1, **arguments)
    two = make_parton_shower(600, n_jobs=2, **arguments)
    assert_same_events(one, two)
    assert capfd.readouterr() == ("", "")


@needs_extra
def test_a_pythia_used_before_gives_the_events_of_a_fresh_one():
    _, blocks = blocks_module.plan_blocks(BOUNDS, 60, 20, [3])
    together = pythia_module.generate(blocks, 1, ["jets", "pid"])
    apart = [pythia_module.generate([block], 1, ["jets", "pid"]) for block in blocks]
    for name, values in together.items():
        assert_array_equal(values, np.concatenate([part[name] for part in apart]))


@needs_extra
def test_the_shortcuts_of_the_initialisation_change_no_event():
    module = optional.require("pythia8mc")
    plain = module.Pythia("", False)
    for command in pythia_module.COMMANDS:
        if "MPI" not in command:
            assert plain.readString(command)
    block = pythia_module.Block(100, SETTINGS, 11)
    events = []
    for pythia in (plain, pythia_module.new_pythia()):
        pythia_module.start(pythia, block)
        events.append(pythia_module.final_state(pythia, 100))
    assert_array_equal(events[0].momentum, events[1].momentum)
    assert_array_equal(events[0].pid, events[1].pid)


# Output


def run_python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.slow
@needs_extra
def test_silent_from_the_first_call():
    result = run_python(
        "from skdctr.datasets import make_parton_shower as make;"
        "make(5, random_state=0, cache=False)"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@needs_extra
def test_progress_bar(capfd):
    make_parton_shower(10, random_state=0, cache=False, verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert "10/10" in err


# Cache


@needs_extra
def test_cache_is_read_instead_of_generating(cache_dir, monkeypatch):
    arguments = {"alphaS": (0.10, 0.18), "random_state": 8}
    first = make_parton_shower(150, **arguments)
    assert len(list(cache_dir.iterdir())) == 1
    monkeypatch.setattr(
        parton_shower, "run_blocks", lambda *args, **kwargs: pytest.fail("generated")
    )
    second = make_parton_shower(150, **arguments)
    assert_same_events(first, second)
    assert first.settings == second.settings
    # The file with the particles serves who wants none.
    assert_same_events(first, make_parton_shower(150, constituents=False, **arguments))


@pytest.mark.slow
@needs_extra
def test_cache_tells_requests_apart(cache_dir):
    requests = [
        {},
        {"alphaS": 0.15},
        {"alphaS": (0.10, 0.18)},
        {"alphaS": (0.10, 0.18), "events_per_theta": 5},
        {"jets_per_event": 2},
        {"constituents": False, "aLund": 0.7},
    ]
    for number, request in enumerate(requests, start=1):
        make_parton_shower(10, random_state=0, **request)
        assert len(list(cache_dir.iterdir())) == number
    # Of no consequence where nothing varies.
    make_parton_shower(10, random_state=0, events_per_theta=5)
    assert len(list(cache_dir.iterdir())) == len(requests)


@needs_extra
@pytest.mark.parametrize(
    "arguments",
    [
        {"random_state": None},
        {"random_state": np.random.RandomState(0)},
        {"random_state": 0, "cache": False},
    ],
    ids=["no seed", "RandomState", "cache=False"],
)
def test_nothing_cached(arguments, cache_dir):
    make_parton_shower(5, **arguments)
    assert not cache_dir.exists()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def lone_array(path):
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))


def other_request(path):
    np.savez(path, request=np.array("{}"), multiplicity=np.zeros(5))


@pytest.mark.slow
@needs_extra
@pytest.mark.parametrize(
    "damage",
    [truncate, flip, lone_array, other_request, lambda path: path.write_bytes(b"")],
    ids=["truncated", "flipped byte", "lone array", "other request", "empty"],
)
def test_damaged_cache_is_noticed_and_replaced(damage, cache_dir):
    first = make_parton_shower(20, random_state=0)
    (path,) = cache_dir.iterdir()
    damage(path)
    with pytest.warns(UserWarning, match="damaged") as record:
        second = make_parton_shower(20, random_state=0)
    assert record[0].filename == __file__
    assert_same_events(first, second)
    assert list(cache_dir.iterdir()) == [path]
    assert_same_events(first, make_parton_shower(20, random_state=0))


@needs_extra
def test_cache_that_cannot_be_written_loses_no_event(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be cached.*SKDCTR_DATA") as record:
        bunch = make_parton_shower(20, random_state=0, cache_dir=tmp_path / "new" / ".." / "file")
    assert record[0].filename == __file__
    assert_same_events(bunch, make_parton_shower(20, random_state=0, cache=False))


def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "events.npz"
    cache_module.write_cache(path, "request", {"x": np.arange(3)})

    def full_disk(stream, **arrays):
        stream.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.warns(UserWarning, match="No space left"):
        cache_module.write_cache(path, "request", {"x": np.zeros(3)})
    assert list(tmp_path.iterdir()) == [path]
    assert_array_equal(cache_module.read_cache(path, "request", ["x"])["x"], [0, 1, 2])


def test_unreadable_cache_is_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="cannot be read"):
        assert cache_module.read_cache(tmp_path, "request", ["x"]) is None


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/c", "/c/skdctr"),
        ("linux", "XDG_CACHE_HOME", "", "/home/me/.cache/skdctr"),
        ("darwin", "XDG_CACHE_HOME", "/c", "/home/me/Library/Caches/skdctr"),
        ("win32", "LOCALAPPDATA", "/local", "/local/skdctr/Cache"),
        ("win32", "LOCALAPPDATA", "", "/home/me/AppData/Local/skdctr/Cache"),
    ],
)
def test_default_directory(platform, variable, value, expected, monkeypatch):
    monkeypatch.delenv("SKDCTR_DATA")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    monkeypatch.setenv(variable, value)
    assert cache_module.cache_directory() == Path(expected)
    assert cache_module.cache_directory("mine") == Path("mine")


# Errors


def hide(monkeypatch, *missing, **present):
    def import_module(name):
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return present.get(name, sys.modules.get(name))

    monkeypatch.setattr(optional.importlib, "import_module", import_module)


@pytest.mark.parametrize("package", PACKAGES)
def test_missing_package(package, monkeypatch):
    hide(monkeypatch, package, "pythia8")
    with pytest.raises(ImportError, match=rf'{package}.*pip install "skdctr\[pythia\]"'):
        optional.require(package)


@pytest.mark.parametrize("make", [make_parton_shower, make_parton_shower_tuning])
def test_missing_extra(make, monkeypatch):
    hide(monkeypatch, *PACKAGES, "pythia8")
    with pytest.raises(ImportError, match=r'pip install "skdctr\[pythia\]"'):
        make(10)


def test_pythia_by_its_other_name(monkeypatch):
    other = types.SimpleNamespace()
    hide(monkeypatch, "pythia8mc", pythia8=other)
    assert optional.require("pythia8mc") is other


def test_broken_installation_is_not_called_missing(monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(optional.importlib, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="numba"):
        optional.require("awkward")


def test_pythia_without_batches(monkeypatch):
    build = types.SimpleNamespace(__name__="pythia8", Pythia=lambda path, banner: object())
    hide(monkeypatch, "pythia8mc", pythia8=build)
    with pytest.raises(ImportError, match="nextBatch"):
        pythia_module.new_pythia()


@needs_extra
def test_too_many_failures():
    pythia = pythia_module.new_pythia()
    # No event conserves energy to this precision.
    assert pythia.readString("Check:epTolErr = 1e-30")
    pythia_module.start(pythia, pythia_module.Block(10, SETTINGS, 1))
    with pytest.raises(RuntimeError, match="fewer than 10 events in 40 attempts"):
        pythia_module.final_state(pythia, 10)


@needs_extra
def test_too_few_jets(monkeypatch):
    blocks = [pythia_module.Block(10, SETTINGS, 1)]
    assert len(pythia_module.generate(blocks, 4, ["multiplicity"])["multiplicity"]) == 40
    with pytest.raises(RuntimeError, match="fewer than 60 jets"):
        pythia_module.generate(blocks, 60, ["multiplicity"])


@needs_extra
def test_pythia_that_does_not_initialise(capfd):
    pythia = pythia_module.new_pythia()
    assert pythia.readString("WeakSingleBoson:ffbar2gmZ = off")
    with pytest.raises(RuntimeError, match=r"initialise.*TimeShower:alphaSvalue"):
        pythia_module.start(pythia, pythia_module.Block(10, SETTINGS, 1))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"n_events": -5}, ValueError, r"n_events must be at least 1, got -5; pass"),
        ({"n_events": 10.0}, TypeError, r"n_events must be an int, got 10\.0; pass"),
        ({"n_events": True}, TypeError, "n_events must be an int, got True"),
        ({"jets_per_event": 3}, ValueError, "jets_per_event must be 1 or 2, got 3"),
        ({"observables": ["tau"]}, ValueError, "observables names 'tau', which is no obs"),
        ({"observables": "tau21"}, TypeError, "observables must be a sequence of names"),
        ({"events_per_theta": 0}, ValueError, "events_per_theta must be at least 1"),
        ({"alphaS": "high"}, TypeError, r"alphaS must be a number or a pair.*'high'; pass"),
        ({"alphaS": (0.18, 0.1)}, ValueError, r"alphaS .*low < high, got \(0.18, 0.1\); pass"),
        ({"alphaS": (0.1, 0.1)}, ValueError, "alphaS .*low < high"),
        ({"alphaS": (0.1, 0.2, 0.3)}, ValueError, "alphaS must be a pair"),
        ({"alphaS": (0.1, None)}, TypeError, "alphaS must be a number, got None"),
        ({"alphaS": 0.5}, ValueError, "alphaS must lie from 0.06 to 0.25.*got 0.5; pass"),
        ({"aLund": (0.5, 3.0)}, ValueError, "aLund must lie from 0 to 2.*got 3"),
        ({"probStoUD": float("nan")}, ValueError, "probStoUD must lie from 0 to 1.*got nan"),
        ({"random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_bad_input(arguments, error, match, extra):
    with pytest.raises(error, match=match):
        make_parton_shower(**{"n_events": 10, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"n_data": 0}, ValueError, "n_data must be at least 1"),
        ({"vary": "alphas"}, ValueError, "vary names 'alphas'.*Did you mean 'alphaS'"),
        ({"vary": ["StringZ:aLund"]}, ValueError, "vary .*Did you mean 'aLund'"),
        ({"vary": []}, ValueError, "vary must name at least one"),
        ({"vary": 0.16}, TypeError, r"vary must be a name or a sequence of names, got 0\.16"),
        ({"vary": ["aLund", "aLund"]}, ValueError, "vary .*none twice"),
        ({"target": {"alpha_s": 0.16}}, ValueError, "target names.*Did you mean 'alphaS'"),
        ({"target": {"aLund": 0.8}}, ValueError, r"target names 'aLund'.*add it to vary"),
        ({"target": 0.16}, TypeError, r"target must be a mapping.*got 0.16; pass \{'alphaS'"),
        ({"target": {"alphaS": (0.1, 0.2)}}, TypeError, "target of alphaS must be a number"),
        ({"target": {"alphaS": 0.5}}, ValueError, "target of alphaS must lie from 0.06"),
        ({"target": {"alphaS": 0.19}}, ValueError, r"target of alphaS .*\(0.1, 0.18\); pass"),
        ({"bounds": {"alphaS": 0.1}}, ValueError, "bounds of alphaS must be a pair"),
        ({"bounds": {"x": (0.1, 0.2)}}, ValueError, "bounds names 'x'"),
        ({"bounds": {"alphaS": (0.2, 0.1)}}, ValueError, "bounds of alphaS .*low < high"),
    ],
)
def test_bad_input_to_tuning(arguments, error, match):
    with pytest.raises(error, match=match):
        make_parton_shower_tuning(10, **arguments)


# All samples of a fit


@pytest.mark.slow
@needs_extra
def test_tuning_samples():
    bunch = make_parton_shower_tuning(
        200, target={"alphaS": 0.17}, n_data=30, n_sim=20, random_state=0, constituents=True
    )
    assert list(bunch.gen) == list(bunch.data) == list(bunch.sim_gen)
    assert [len(bunch[name]) for name in ("gen", "theta", "sim_gen", "data")] == [400, 400, 20, 30]
    assert bunch.theta_names == list(bunch.theta) == ["alphaS"]
    assert_array_equal(bunch.theta_nominal, [0.1365])
    assert_array_equal(bunch.theta_true, [0.17])
    assert bunch.bounds == {"alphaS": (0.10, 0.18)}
    assert (bunch.theta[:200] == 0.1365).all(axis=None)
    assert bunch.theta[200:].nunique().item() == 2
    assert bunch.theta[200:]["alphaS"].between(0.10, 0.18).all()
    assert bunch.settings["data"]["parameters"]["alphaS"] == [0.17, 0.17]
    for name in ("gen", "sim_gen", "data"):
        sizes = [len(jet) for jet in bunch[f"{name}_constituents"]]
        assert_array_equal(bunch[name]["multiplicity"], sizes)
    # Four independent samples.
    starts = [bunch.gen[:20], bunch.gen[200:220], bunch.sim_gen[:20], bunch.data[:20]]
    assert len({tuple(start["multiplicity"]) for start in starts}) == 4


@pytest.mark.slow
@needs_extra
def test_tuning_of_several_parameters(monkeypatch):
    generated = []
    original = parton_shower.run_blocks

    def counting(*args, **kwargs):
        generated.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(parton_shower, "run_blocks", counting)
    names = ["probStoUD", "alphaS"]
    bunch = make_parton_shower_tuning(
        20, vary=names, bounds={"probStoUD": (0.2, 0.3)}, events_per_theta=5, random_state=0
    )
    assert list(bunch.theta) == names
    assert_array_equal(bunch.theta_true, [0.275, 0.16])
    assert bunch.theta[20:]["probStoUD"].between(0.2, 0.3).all()
    assert bunch.theta[20:].nunique().tolist() == [4, 4]
    assert bunch.gen_constituents is bunch.sim_gen_constituents is bunch.data_constituents is None
    assert len(generated) == 4
    # The nominal samples serve another fit.
    make_parton_shower_tuning(20, vary="aLund", random_state=0)
    assert len(generated) == 6
