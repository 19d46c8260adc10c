"""Code of the user guide, run as it stands on small samples."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from skdctr import AnalyticReweighter, DCTRReweighter, SRGNFitter
from skdctr.datasets import scale_observables

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide"
COLUMNS = ["m_b1munu", "m_b2munu", "m_b1j1j2", "m_b2j1j2"]


def code_block(page, text):
    """Return the block of a page that a text stands in."""
    blocks = (GUIDE / page).read_text(encoding="utf-8").split(".. code-block:: python\n")[1:]
    (block,) = (block for block in blocks if text in _indented(block))
    return textwrap.dedent(_indented(block))


def _indented(block):
    lines = block.splitlines()
    end = next((k for k, line in enumerate(lines) if line and not line.startswith(" ")), None)
    return "\n".join(lines[:end])


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")  # few events, one epoch
def test_jet_energy_scale(rng):
    n, mass = 2000, 172.5

    def masses(size, mt=mass):
        return pd.DataFrame(rng.normal(mt, 15, (size, 4)), columns=COLUMNS)

    def features(table):
        return np.arcsinh((table - mass) / 20.0)

    mt = np.where(rng.random(n) < 0.5, mass, rng.uniform(165, 182, n))
    sim_gen = masses(n)
    quick = {"refit": False, "max_epochs": 1, "hidden_layer_sizes": 8, "random_state": 1}
    gen = features(masses(n, mt[:, None]))
    names = {
        "np": np,
        "pd": pd,
        "AnalyticReweighter": AnalyticReweighter,
        "DCTRReweighter": lambda random_state: DCTRReweighter(**quick),
        "SRGNFitter": SRGNFitter,
        "scale_observables": scale_observables,
        "features": features,
        "events": Bunch(sim_gen=sim_gen, sim_reco=sim_gen + rng.normal(0, 5, (n, 4))),
        "seen": pd.Series(np.arange(n) % 3 > 0),
        "gen": gen,
        "reweighter": DCTRReweighter(**quick).fit(gen, pd.DataFrame({"mt": mt})),
        "data": features(masses(n, 175.0)),
        "data_weight": np.ones(n),
    }
    exec(code_block("top_mass.rst", "def log_weight"), names)
    fitter, scale = names["fitter"], names["scale"]
    assert fitter.theta_names_ == ["mt", "jes"]
    assert np.isfinite(fitter.theta_).all()
    # The detector's ratio is a function of the features at both levels.
    assert scale.n_features_in_ == 2 * len(COLUMNS)


def test_before_you_train():
    """The blocks run one after the other, and their comments say what comes out."""
    page = (GUIDE / "events.rst").read_text(encoding="utf-8")
    blocks = page.split(".. code-block:: python\n")[1:]
    names = {}
    for block in blocks:
        exec(textwrap.dedent(_indented(block)), names)
    seen = names["FeatureCoder"]().fit(names["events"])
    assert seen.get_feature_names_out().tolist() == ["pt", "pt == -999", "met"]
    assert seen.n_outside_[0] == 1
    assert 2000 < seen.n_outside_[1] < 2500
    assert names["coder"].get_feature_names_out().tolist() == ["pt", "sin phi", "cos phi"]


def test_callbacks(rng, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theta = np.repeat([0.0, 1.0], 500)
    x = rng.normal(theta)[:, None]
    quick = {"refit": False, "max_epochs": 3, "hidden_layer_sizes": 8}
    names = {
        "DCTRReweighter": lambda **given: DCTRReweighter(**given, **quick),
        "x": x,
        "theta": theta,
    }
    exec(code_block("weights.rst", "def weighted_auc"), names)
    history = names["net"].history
    assert len(history[:, "event_lr"]) == len(history[:, "weighted_auc"]) == 3
    # Without weights the two agree, and both find the shift.
    assert history[:, "roc_auc"] == pytest.approx(history[:, "weighted_auc"])
    assert names["probability"][500:].mean() > names["probability"][:500].mean()
    assert (tmp_path / "run1" / "train_end_params.pt").exists()
