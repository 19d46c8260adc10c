"""What a caller does to its arrays after a fit does not change the fit."""

import numpy as np
import pandas as pd
import pytest

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter

N = 1500
pytestmark = pytest.mark.filterwarnings("ignore::skdctr.exceptions.SkdctrWarning")


def samples(form):
    """Make the samples of a fit in one form, with the arrays that they look into."""
    rng = np.random.default_rng(0)
    sim = rng.normal(size=(N, 1))
    theta = np.repeat([0.0, 1.0], N) * rng.uniform(-1, 1, 2 * N)
    arrays = {
        "X": sim,
        "y": sim + rng.normal(0, 0.1, sim.shape),
        "data": rng.normal(0.3, 1, (N, 1)),
        "gen": rng.normal(theta)[:, None],
        "theta": theta,
        "gen_weight": np.ones(2 * N),
        "sample_weight": np.ones(N),
        "data_weight": np.ones(N),
    }
    is_table = {"X", "y", "data", "gen"}
    given = {name: form(a) if name in is_table else a for name, a in arrays.items()}
    return arrays, given


FORMS = {"array": lambda a: a, "frame": lambda a: pd.DataFrame(a, columns=["x"], copy=False)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("objective", "n_folds"), [("auc", 1), ("optimal_observable", 1), ("optimal_observable", 2)]
)
def test_a_fit_by_classifiers_or_the_observable(form, objective, n_folds):
    arrays, given = samples(FORMS[form])
    reweighter = DCTRReweighter(0.0, n_folds=n_folds, max_epochs=3, device="cpu", random_state=0)
    fitter = SRGNFitter(reweighter, objective=objective, max_evaluations=6, max_epochs=3)
    fitter.set_params(random_state=0, device="cpu").fit(**given)
    same = {name: FORMS[form](arrays[name].copy()) for name in ("X", "y")}

    def found():
        return [
            fitter.expected_covariance(0.2, 1000).to_numpy(),
            fitter.chi_square_(fitter.theta_ + 0.05),
            fitter.score(**same),
            fitter.reweighter_.predict_weights(same["X"], 0.4),
        ]

    before = found()
    for array in arrays.values():
        array[:] = 0.5
    for one, other in zip(found(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", FORMS)
def test_a_fit_at_generator_level(form):
    arrays, given = samples(FORMS[form])
    exact = AnalyticReweighter(theta_bounds=[(-1, 1)])
    fitter = DCTRFitter(exact, random_state=0).fit(given["X"], None, given["data"])
    same = FORMS[form](arrays["X"].copy())
    before = fitter.score(same), exact.fit(given["X"]).predict_weights(same, 0.3)
    for array in arrays.values():
        array[:] = 0.5
    assert fitter.score(same) == before[0]
    np.testing.assert_array_equal(exact.predict_weights(same, 0.3), before[1])


def test_generator_level_samples_stay_one_and_mapped_files_are_not_copied(tmp_path):
    arrays, _ = samples(FORMS["array"])
    np.save(tmp_path / "x.npy", arrays["X"])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for X in (arrays["X"], mapped):
        fitter = DCTRFitter(AnalyticReweighter(theta_bounds=[(-1, 1)])).fit(X, None, arrays["data"])
        kept = fitter._samples
        assert kept.sim is kept.sim_gen
        assert np.may_share_memory(kept.sim, X) == (X is mapped)
