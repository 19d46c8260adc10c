"""`paper_tables.py parton_shower` on a stub of jets whose likelihood ratio is known, no Pythia."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from skdctr import AnalyticReweighter
from skdctr.preprocessing import PackedEvents

PAPERS = Path(__file__).parents[2] / "benchmarks" / "papers"
SLOPE = 100.0


@pytest.fixture(scope="module")
def table():
    """Import the module with those beside it, which are no package."""
    sys.path.insert(0, str(PAPERS))
    try:
        import _parton_shower

        yield _parton_shower
    finally:
        sys.path.remove(str(PAPERS))


def poisson(alpha, rng):
    """Draw numbers of particles of mean 100 αs."""
    return pd.DataFrame({"multiplicity": rng.poisson(SLOPE * np.asarray(alpha))})


def log_weight(x, theta):
    alpha = np.asarray(theta, dtype=float)[..., 0]
    return x[:, 0] * np.log(alpha / 0.1365) - SLOPE * (alpha - 0.1365)


def stub(n_events, *, target, random_state, **_):
    rng = np.random.default_rng(random_state)
    nominal = np.full(n_events, 0.1365)
    theta = np.concatenate([nominal, rng.uniform(0.10, 0.18, n_events)])
    return Bunch(
        gen=poisson(theta, rng),
        theta=pd.DataFrame({"alphaS": theta}),
        sim_gen=poisson(nominal, rng),
        data=poisson(np.full(n_events, target["alphaS"]), rng),
    )


def known_weights(of, seed, epochs):
    exact = AnalyticReweighter(log_weight, {"alphaS": 0.1365}, theta_bounds=[(0.10, 0.18)])
    return exact.fit(of.sim)


@pytest.fixture
def arguments(table, monkeypatch):
    monkeypatch.setattr(table, "make_parton_shower_tuning", stub)
    monkeypatch.setattr(table, "train", known_weights)
    parser = argparse.ArgumentParser()
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, default=1)
    table.add_command(parser.add_subparsers(), common)

    def parse(*given):
        return parser.parse_args(["parton_shower", *map(str, given)])

    return parse


def test_wanted_is_half_the_published_error(table):
    wanted = {
        name: np.round(np.array(row.wanted) + 1e-9, 4).tolist()
        for name, row in table.ROWS.items()
        if name.endswith("omega") and not name.startswith("blinded")
    }
    assert wanted == {
        "alphaS-omega": [0.0005],
        "aLund-omega": [0.0139],
        "probStoUD-omega": [0.0035],
        "three-omega": [0.0011, 0.0187, 0.0036],
    }
    assert all(len(r.wanted) == len(r.names) for r in table.ROWS.values())


def test_fits_find_the_target_and_are_kept(table, arguments, tmp_path, monkeypatch):
    path = tmp_path / "fits.jsonl"
    given = arguments(
        "--rows", "alphaS-multiplicity", "--jets", 4000, "--samples", 0, 1, "--path", path
    )
    lines, content = table.run(given)
    assert len(content["fits"]) == 4
    for fit in content["fits"]:
        # Var n = 100 αs and d⟨n⟩/dαs = 100, for data and once more for the simulation, whose
        # weights and generator jets add some.
        assert fit["errors"][0] == pytest.approx(np.sqrt(2 * 0.16 / SLOPE / 4000), rel=0.25)
        # Four standard errors.
        assert abs(fit["values"][0] - 0.16) < 4 * fit["errors"][0]
    # Target, the SRGN paper's value, and what is wanted; the DCTR paper has no such row.
    cells = "| alphaS-multiplicity | alphaS | 0.1600 | 0.1601 ± 0.0014 |  | dctr |"
    assert any(text.startswith(cells) for text in lines)
    kept = path.read_text()
    assert [json.loads(text)["sample"] for text in kept.splitlines()] == [0, 0, 1, 1]

    monkeypatch.setattr(table, "train", None)  # a fit would fail
    again, _ = table.run(given)
    assert again == lines
    assert path.read_text() == kept


def test_missing_methods_alone_are_fitted_after_a_kill(table, arguments, tmp_path):
    path = tmp_path / "fits.jsonl"
    given = ["--rows", "alphaS-multiplicity", "--jets", 1000, "--path", path]
    table.run(arguments(*given))
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{second[:40]}")
    table.run(arguments(*given))
    lines = path.read_text().splitlines()
    assert lines[0] == first
    assert [json.loads(text)["method"] for text in lines] == ["optimal_observable", "dctr"]


def test_another_file_is_refused(table, tmp_path):
    path = tmp_path / "toys.jsonl"
    path.write_text('{"toy": 1}\n')
    with pytest.raises(ValueError, match="line 1 is no fit of a parton shower"):
        table.read(path)


def test_summary_scales_to_the_papers_jets(table):
    found = table.Summary.of([[1.0, 3.0]], [[3.0, 3.0]], 0.0, 9 * 10**5 // 4)
    assert (found.mean, found.quoted) == (2.0, 3.0)
    assert found.of_seeds == pytest.approx(np.sqrt(2))
    assert np.isnan(found.of_samples)
    # The seeds share their jets: only the spread of seeds averages away.
    assert found.pull == pytest.approx(2 / np.sqrt(9 + 1))
    assert found.scaled == pytest.approx(np.sqrt(9 + 2) / 2)
    several = table.Summary.of([[1.0], [3.0], [2.0]], [[3.0]] * 3, 0.0, 9 * 10**5)
    assert several.of_samples == pytest.approx(1.0)
    assert several.pull == pytest.approx(2 / (3 / np.sqrt(3)))


def test_particles_are_prepared_as_fractions_and_directions_from_the_aligned_axis(table):
    jet = PackedEvents(
        np.array([[3.0, 0.2, 0.1], [1.0, 0.2, 0.5]], dtype=np.float32),
        np.array([0, 2]),
        ("pt", "eta", "phi"),
        np.array([211, 22], dtype=np.int32),
        "pid",
    )
    prepared = table.prepare(jet)
    expected = [[np.log(0.75), -0.1, 0], [np.log(0.25), 0.3, 0]]
    np.testing.assert_allclose(prepared.features[:, :3], expected, atol=1e-6)
    assert prepared.feature_names[3:] == (
        "pt*r",
        "pt*eta^2",
        "pt*phi^2",
        "pt*eta*phi",
        "pt^2",
    )
