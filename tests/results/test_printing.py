"""Results print wherever the output goes, and their tables hold parameters of any name."""

import os
import subprocess
import sys

import numpy as np
import pytest

from skdctr import AnalyticReweighter, SRGNFitter
from skdctr._utils.printable import printable
from skdctr.coverage import CoverageResult
from skdctr.results.columns import columns_beside

PRINT = """
import numpy as np, warnings
warnings.simplefilter("ignore")
from skdctr import AnalyticReweighter, DCTRFitter
from skdctr.closure import closure_report, classifier_test
from skdctr.inference import ChiSquare
from skdctr.coverage import CoverageResult
rng = np.random.default_rng(0)
sim, data = rng.normal(size=(400, 1)), rng.normal(0.3, 1, (400, 1))
exact = AnalyticReweighter(theta_nominal={"α_S": 0.0}, theta_bounds={"α_S": (-1, 1)})
fitter = DCTRFitter(exact).fit(sim, None, data)
print(fitter.result_)
print(repr(ChiSquare.from_result(fitter.result_)))
print(closure_report(exact.fit(sim), sim, data, {"α_S": 0.3}, device="cpu", random_state=0))
print(repr(classifier_test(data, sim, device="cpu", random_state=0)))
row = {"toy": 0, "failure": "", "names": ["α_S"], "theta": [0.1], "truth": [0.0], "seconds": 1.0,
       "covariance": [[0.01]], "valid": True, "warnings": "few events at θ"}
print(CoverageResult.from_rows([row], 0))
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_every_result_prints(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", PRINT], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode(encoding)
    assert ("effective sample size at θ" in printed) == (encoding == "utf-8")
    assert ("effective sample size at theta" in printed) == (encoding != "utf-8")
    assert ("±" in printed) == (encoding != "ascii")


def test_text_is_left_alone_where_it_fits(monkeypatch):
    class Output:
        encoding = "cp1252"

    assert printable("χ² = 1.0 ± 0.1 at θ") == "χ² = 1.0 ± 0.1 at θ"
    monkeypatch.setattr(sys, "stdout", Output())
    assert printable("χ² = 1.0 ± 0.1 at θ") == "chi2 = 1.0 ± 0.1 at theta"
    assert printable("x² ± 1") == "x² ± 1"
    assert printable("√s, ⟨p⟩") == "sqrts, \\u27e8p\\u27e9"
    for encoding in (None, "no-such-codec"):
        Output.encoding = encoding
        assert printable("θ ± 1") == "θ ± 1"
    monkeypatch.setattr(sys, "stdout", None)
    assert printable("θ") == "θ"


ODD_NAMES = [
    ["valid", "seconds", "warnings", "failure"],
    ["mu", "mu_true", "mu_error", "mu_pull"],
    ["mu", "mu_true", "mu_true_"],
    ["valid", "valid_", "mu_true", "mu"],
]


@pytest.mark.parametrize("names", ODD_NAMES)
def test_toys_of_parameters_that_are_called_like_columns(names):
    plain = [f"p{k}" for k in range(len(names))]

    def result(called):
        generator = np.random.default_rng(1)
        rows = [
            {
                "toy": k,
                "failure": "",
                "names": called,
                "valid": k > 0,
                "seconds": 2.0,
                "theta": generator.normal(size=len(names)).tolist(),
                "warnings": "w",
                "truth": [0.0] * len(names),
                "covariance": np.eye(len(names)).tolist(),
            }
            for k in range(20)
        ]
        return CoverageResult.from_rows(rows, 0)

    odd, even = result(names), result(plain)
    assert odd.frame.columns.is_unique
    assert odd.frame.shape == even.frame.shape
    np.testing.assert_array_equal(odd.to_frame(), even.to_frame())
    np.testing.assert_array_equal(odd.joint(), even.joint())
    for one, other in zip(names, plain, strict=True):
        np.testing.assert_array_equal(odd.pulls(one), even.pulls(other))
        np.testing.assert_array_equal(odd.frame[one], even.frame[other])
    assert str(odd).count("1 of 20 fits are not valid") == 1


def test_columns_beside_parameters():
    assert columns_beside(["a"], ["auc"]) == {"auc": "auc"}
    found = columns_beside(["auc", "auc_", "loss"], ["auc", "loss", "loss_"])
    assert found == {"auc": "auc__", "loss": "loss_", "loss_": "loss__"}


@pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")
def test_a_fit_of_parameters_that_are_called_like_columns(rng):
    names = ["auc", "chi2"]
    fitter = SRGNFitter(
        AnalyticReweighter(theta_nominal=dict.fromkeys(names, 0.0)),
        max_epochs=2,
        max_evaluations=8,
        n_runs=2,
        random_state=0,
        device="cpu",
    ).fit(rng.normal(size=(600, 2)), None, rng.normal(0.2, 1, (600, 2)))
    assert fitter.scan_.columns.is_unique
    assert fitter.runs_.columns.is_unique
    assert {"auc", "auc_", "loss", "run"} <= set(fitter.scan_)
    assert fitter.scan_["auc_"].between(0, 1).all()
    table = fitter.chi_square_.profile("chi2", n_points=3)
    assert list(table.columns) == ["auc", "chi2", "chi2_", "delta_chi2"]
    assert (table["delta_chi2"] >= -1e-9).all()
