"""Sets of particles through every estimator, against the exact likelihood ratio of a toy."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from _set_toy import generate, log_weight, sums, to_awkward, training_sample, without_types
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline

from skdctr import AnalyticReweighter, DCTRFitter, DCTRReweighter, SRGNFitter
from skdctr.closure import classifier_test
from skdctr.comparison.classifier import Classifier
from skdctr.exceptions import ConvergenceWarning, ExtrapolationWarning, SkdctrWarning
from skdctr.networks import MLP, DeepSets, PackedTensors, SeparableDeepSets
from skdctr.networks.build import event_network
from skdctr.preprocessing import PackedEvents, ParticlePreprocessor
from skdctr.training.settings import NetworkSettings

N_TRAIN = 16_000
quick = partial(DCTRReweighter, max_epochs=2, batch_size=500, random_state=0)


def exact():
    return AnalyticReweighter(log_weight, {"theta": 0.0}, theta_bounds=[(-1, 1)])


@pytest.fixture
def ak():
    return pytest.importorskip("awkward")


@pytest.fixture(scope="module")
def learned():
    """A reweighter with its defaults, but for a shorter training."""
    X, theta = training_sample(N_TRAIN, np.random.default_rng(1))
    return DCTRReweighter(max_epochs=30, batch_size=1000, random_state=1).fit(X, theta)


@pytest.fixture(scope="module")
def nominal():
    return generate(np.zeros(20_000), np.random.default_rng(2))


@pytest.fixture(scope="module")
def small():
    """Few events to train on, and nominal ones to predict."""
    rng = np.random.default_rng(3)
    X, theta = training_sample(2_000, rng)
    return X, theta, generate(np.zeros(300), rng)


@pytest.fixture(scope="module")
def fitted(small):
    X, theta, _ = small
    return quick().fit(X, theta)


def padded(events, room=60):
    return without_types(events).to_padded(room)


# --- what is learned --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("theta", [-0.8, 0.4, 0.8])
def test_learned_weights_move_the_sample(learned, nominal, theta):
    """Moments of the sufficient statistics, beside those with exact weights on the same events."""
    statistics = sums(nominal)
    found = np.average(statistics, axis=0, weights=learned.predict_weights(nominal, theta))
    expected = np.average(statistics, axis=0, weights=np.exp(log_weight(nominal, [theta])))
    # The error of what is learned of a slope in θ: varied events of rms θ of 1/√3 against as many
    # nominal ones. Training leaves as much again.
    error = abs(theta) * statistics.std(axis=0) * np.sqrt(2 * 3 / (N_TRAIN / 2))
    assert (np.abs(found - expected) < 2 * 4 * error).all(), (found - expected) / error


@pytest.mark.slow
def test_default_network_is_separable(learned):
    network = learned.net_.module_
    assert isinstance(network, SeparableDeepSets)
    assert network.encoder.n_types == 3
    assert_array_equal(
        learned.predict_log_weights(generate([0.0] * 5, np.random.default_rng(0)), 0), 0
    )


@pytest.mark.slow
def test_gradient_is_that_of_the_log_weights(learned, nominal):
    some, step = nominal[:500], 0.02
    found = learned.log_weight_gradient(some, 0.3)[:, 0]
    above, below = (learned.predict_log_weights(some, 0.3 + s) for s in (step, -step))
    # Third derivatives of order one, float32 rounding of log-weights of order ten.
    assert_allclose(found, (above - below) / (2 * step), atol=2e-3)
    each = np.full((500, 1), 0.3)
    assert_allclose(learned.log_weight_gradient(some, each)[:, 0], found, atol=1e-4)
    assert_allclose(
        learned.predict_log_weights(some, each), learned.predict_log_weights(some, 0.3), atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("theta_input", ["event", "particle"])
def test_plain_deep_sets(small, theta_input):
    X, theta, events = small
    reweighter = quick(module=DeepSets, module__theta_input=theta_input, max_epochs=40, n_folds=1)
    reweighter.fit(X, theta)
    log_w = reweighter.predict_log_weights(events, 0.8)
    # Far from converged, but it knows up from down.
    assert np.corrcoef(log_w, log_weight(events, [0.8]))[0, 1] > 0.5
    found = reweighter.log_weight_gradient(events, 0.3)[:, 0]
    above, below = (reweighter.predict_log_weights(events, 0.3 + s) for s in (0.02, -0.02))
    assert_allclose(found, (above - below) / 0.04, atol=5e-3)


class Moments(torch.nn.Module):
    """A user's network: linear in sums of features and in numbers of particles."""

    def __init__(self, n_features, n_parameters=0, n_types=0):
        super().__init__()
        self.n_types = n_types
        self.weights = torch.nn.Linear(n_features + n_types, max(n_parameters, 1))

    def forward(self, x, theta=None):
        assert isinstance(x, PackedTensors)
        codes = torch.nn.functional.one_hot(x.types.long(), self.n_types).float()
        slopes = self.weights(x.sum_particles(torch.cat([x.features, codes], dim=1)) / 12)
        return (slopes if theta is None else slopes * theta).sum(dim=1)


def test_a_network_of_the_user(small, data):
    X, theta, events = small
    log_w = (
        quick(module=Moments, max_epochs=40, lr=0.1).fit(X, theta).predict_log_weights(events, 0.8)
    )
    assert np.corrcoef(log_w, log_weight(events, [0.8]))[0, 1] > 0.7
    fitter = SRGNFitter(exact(), module=Moments, random_state=0, max_epochs=5, max_evaluations=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert np.isfinite(fitter.fit(events, data=data[:300]).theta_).all()


@pytest.mark.slow
@pytest.mark.parametrize("module", [None, DeepSets])
def test_without_nominal_events(small, rng, module):
    theta = rng.uniform(-1, 1, 2_000)
    X = generate(theta, rng)
    reweighter = quick(0.0, module=module, max_epochs=15).fit(X, theta)
    log_w = reweighter.predict_log_weights(small[2], 0.8)
    assert np.corrcoef(log_w, log_weight(small[2], [0.8]))[0, 1] > 0.5
    assert not reweighter.predict_log_weights(small[2], 0.0).any()


@pytest.mark.slow
def test_further_theta_cost_no_pass_over_the_particles(fitted, small, monkeypatch):
    calls = []
    forward = DeepSets.forward, type(fitted.net_.module_.encoder).forward

    def count(self, x, theta=None):
        calls.append(len(x))
        return forward[1](self, x, theta)

    monkeypatch.setattr(type(fitted.net_.module_.encoder), "forward", count)
    weights = fitted._bind(small[2])
    n_passes = 300 * len(fitted.nets_)
    assert sum(calls) == n_passes
    for theta in (0.1, 0.5):
        weights.log_weights(np.array([theta]))
        weights.gradient(np.array([theta]))
        weights.subset(np.arange(10)).log_weights(np.array([theta]))
    assert sum(calls) == n_passes


# --- the forms of events ------------------------------------------------------------------------


@pytest.mark.slow
def test_all_forms_give_the_same_weights(ak, small, fitted):
    X, theta, events = small
    expected = fitted.predict_log_weights(events, 0.5)
    jagged = to_awkward(X, ak)
    records = ak.Array({field: jagged[field] for field in jagged.fields})
    for form in (jagged, records, [jagged[i] for i in range(len(jagged))]):
        reweighter = quick().fit(form, theta)
        assert_array_equal(reweighter.predict_log_weights(events, 0.5), expected)
        assert_array_equal(reweighter.feature_names_in_, ["z", "eta"])
    assert_array_equal(fitted.predict_log_weights(to_awkward(events, ak), 0.5), expected)
    assert fitted.n_features_in_ == 2


@pytest.mark.slow
def test_padded_arrays_give_the_same_weights(ak, small):
    X, theta, events = small
    # The refit sees the same sets as the training, whatever they came from.
    trained = partial(quick, refit=False)
    plain = trained().fit(without_types(X), theta)
    expected = plain.predict_log_weights(without_types(events), 0.5)
    for room in (60, 200):
        reweighter = trained().fit(padded(X, room), theta)
        assert not hasattr(reweighter, "feature_names_in_")
        assert reweighter.n_features_in_ == 2
        assert_array_equal(reweighter.predict_log_weights(padded(events), 0.5), expected)
    regular = ak.unflatten(ak.from_numpy(X.features.astype(float)), X.counts)
    reweighter = trained().fit(regular, theta)
    assert_array_equal(reweighter.predict_log_weights(padded(events), 0.5), expected)


def test_order_and_company_do_not_matter(fitted, small, rng):
    events = small[2]
    expected = fitted.predict_log_weights(events, 0.5)
    order = rng.permutation(300)
    assert_allclose(fitted.predict_log_weights(events[order], 0.5), expected[order], atol=1e-5)
    rows = np.repeat(np.arange(300), events.counts)
    order = np.lexsort([rng.random(len(rows)), rows])
    other = PackedEvents(
        events.features[order], events.offsets, events.feature_names, events.types[order], "pid"
    )
    assert_allclose(fitted.predict_log_weights(other, 0.5), expected, atol=1e-5)


@pytest.mark.slow
def test_same_seed_same_bits(fitted, small):
    X, theta, events = small
    for again in (quick().fit(X, theta), clone(fitted).fit(X, theta)):
        assert_array_equal(
            again.predict_log_weights(events, 0.5), fitted.predict_log_weights(events, 0.5)
        )
    copied = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(
        copied.predict_log_weights(events, 0.5), fitted.predict_log_weights(events, 0.5)
    )
    # What is fitted must not carry the events along.
    assert len(pickle.dumps(fitted)) < 300_000 * len(fitted.nets_)


@pytest.mark.slow
def test_fit_on_a_table_forgets_the_sets(small, rng):
    X, theta, events = small
    reweighter = quick().fit(X, theta)
    reweighter.fit(sums(X), theta)
    assert reweighter.n_features_in_ == 4
    assert not hasattr(reweighter, "feature_names_in_")
    assert reweighter.predict_log_weights(sums(events), 0.5).shape == (300,)


# --- unusual sets ---------------------------------------------------------------------------------


def test_unusual_sets_among_others(fitted, small, rng):
    """No particles, 500 of them, and a particle never seen: each weight is its own event's."""
    empty = PackedEvents(
        np.empty((0, 2), np.float32), np.zeros(2, int), ("z", "eta"), np.empty(0, np.int32), "pid"
    )
    huge = PackedEvents(
        rng.uniform(0.5, 1.5, (500, 2)).astype(np.float32),
        np.array([0, 500]),
        ("z", "eta"),
        np.full(500, 211, np.int32),
        "pid",
    )
    strange = small[2][:1]
    strange = PackedEvents(
        strange.features,
        strange.offsets,
        ("z", "eta"),
        np.where(np.arange(len(strange.types)) == 1, 13, strange.types),
        "pid",
    )
    unusual = [empty, huge, strange]
    together = PackedEvents.concatenate([small[2][:100], *unusual, small[2][100:]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fitted.predict_log_weights(together, 0.5)
        alone = [fitted.predict_log_weights(event, 0.5)[0] for event in unusual]
    assert {w.category for w in caught} == {ExtrapolationWarning}
    assert np.isfinite(found).all()
    assert_allclose(found[100:103], alone, rtol=1e-4, atol=1e-5)
    expected = fitted.predict_log_weights(small[2], 0.5)
    assert_allclose(np.delete(found, [100, 101, 102]), expected, atol=1e-5)


def test_unseen_types_weigh_alike_and_a_warning_says_so(fitted, small):
    events = small[2]

    def weights(code):
        types = np.where(np.arange(events.n_particles) % 7, events.types, code).astype(np.int32)
        changed = PackedEvents(events.features, events.offsets, ("z", "eta"), types, "pid")
        with pytest.warns(ExtrapolationWarning, match=rf"have a type that no .* as \[{code}\]"):
            return fitted.predict_log_weights(changed, 0.5)

    assert_array_equal(weights(13), weights(-2212))


@pytest.mark.slow
def test_learns_of_empty_sets(rng):
    """Half of the events at θ = 1 are empty, a quarter of those at θ = 0."""
    theta = np.repeat([0.0, 1.0], 4_000)
    X = generate(np.zeros(8_000), rng)
    keep = rng.random(8_000) > np.where(theta == 1, 0.5, 0.25)
    mask = np.repeat(keep, X.counts)
    offsets = np.concatenate([[0], np.cumsum(X.counts * keep)])
    X = PackedEvents(X.features[mask], offsets, X.feature_names, X.types[mask], "pid")
    weights = DCTRReweighter(max_epochs=20, batch_size=500, random_state=0).fit(X, theta)
    log_w = weights.predict_log_weights(X)
    empty = X.counts == 0
    # Binomial errors of the shares in training.
    error = np.sqrt((0.5 / 0.5 + 0.75 / 0.25) / 4_000)
    assert abs(log_w[empty].mean() - np.log(0.5 / 0.25)) < 5 * error
    assert abs(log_w[~empty].mean() - np.log(0.5 / 0.75)) < 5 * error


# --- extrapolation --------------------------------------------------------------------------------


def test_no_warning_within_the_support(fitted, small):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict_log_weights(small[2], 0.5)
        fitted.predict_log_weights(small[0], -0.5)


def test_warning_names_the_feature_and_counts_particles(fitted, small):
    events = small[2]
    features = events.features.copy()
    features[17, 1] = 1e4
    with pytest.warns(ExtrapolationWarning, match=rf"1 of {len(features)} particles have eta out"):
        fitted.predict_log_weights(events.with_features(features), 0.5)
    many = PackedEvents(
        np.tile(events.features[:50], (10, 1)),
        np.array([0, 500]),
        ("z", "eta"),
        np.tile(events.types[:50], 10),
        "pid",
    )
    with pytest.warns(ExtrapolationWarning, match="1 of 1 events have a number of part"):
        fitted.predict_log_weights(many, 0.5)


# --- fits -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return generate(np.full(20_000, 0.4), np.random.default_rng(4))


def test_gradient_fit(nominal, data, ak):
    fitter = DCTRFitter(exact()).fit(nominal, data=data)
    error = fitter.covariance_[0, 0] ** 0.5
    assert abs(fitter.theta_[0] - 0.4) < 4 * error
    assert error < 0.02
    again = DCTRFitter(exact()).fit(to_awkward(nominal, ak), data=to_awkward(data, ak))
    assert_array_equal(again.theta_, fitter.theta_)
    assert fitter.n_features_in_ == 2


@pytest.mark.slow
def test_gradient_fit_with_learned_weights(learned, nominal, data):
    fitter = DCTRFitter(learned).fit(nominal, data=data)
    statistical = fitter.covariance_[0, 0]
    # The weights are learned from not many more events than are fitted.
    assert abs(fitter.theta_[0] - 0.4) < 4 * (statistical * (1 + 3 * 20_000 / N_TRAIN)) ** 0.5


@pytest.mark.slow
def test_fit_at_two_levels(nominal, data):
    """Both levels sets: a detector that loses a tenth of the particles."""

    def detector(events, seed):
        rng = np.random.default_rng(seed)
        kept = rng.random(events.n_particles) < 0.9
        rows = np.repeat(np.arange(len(events)), events.counts)
        counts = np.bincount(rows[kept], minlength=len(events))
        return PackedEvents(
            events.features[kept],
            np.concatenate([[0], counts.cumsum()]),
            events.feature_names,
            events.types[kept],
            events.type_name,
        )

    nominal, data = nominal[:3_000], data[:3_000]
    reco, seen = detector(nominal, 1), detector(data, 2)
    fitter = SRGNFitter(
        exact(), random_state=0, max_epochs=10, batch_size=500, max_evaluations=6
    ).fit(nominal, reco, seen)
    assert abs(fitter.theta_[0] - 0.4) < 4 * fitter.covariance_[0, 0] ** 0.5
    assert fitter.covariance_[0, 0] ** 0.5 < 0.1
    assert 0.4 < fitter.score(nominal, reco, seen) < 0.53
    # A mixture of levels: sets of particles where they are generated, an observable beside data.
    mixed = SRGNFitter(exact(), random_state=0, max_epochs=10, batch_size=500, max_evaluations=6)
    mixed.fit(nominal, reco.counts, seen.counts)
    assert abs(mixed.theta_[0] - 0.4) < 4 * mixed.covariance_[0, 0] ** 0.5


@pytest.mark.slow
def test_generator_sample_in_the_fit(small, data):
    X, theta, events = small
    fitter = SRGNFitter(quick(), random_state=0, max_epochs=1, max_evaluations=3)
    with warnings.catch_warnings():
        # Far too little of everything.
        warnings.simplefilter("ignore")
        fitter.fit(events, data=data[:300], gen=X, theta=theta)
    assert isinstance(fitter.reweighter_.net_.module_, SeparableDeepSets)


@pytest.mark.slow
def test_classifier_test_of_sets(rng):
    target, same, other = (generate([theta] * 500, rng) for theta in (0.0, 0.0, 1.0))
    assert classifier_test(target, same, random_state=0).p_value > 1e-3
    assert classifier_test(target, other, random_state=0).p_value < 1e-6
    exchanged = classifier_test(target[:20], other[:20], n_permutations=2, random_state=0)
    assert exchanged.p_value >= 1 / 3


# --- scikit-learn ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("form", ["packed", "awkward", "padded"])
def test_cross_validation(form, small, ak):
    X, theta, _ = small
    forms = {"packed": X, "awkward": to_awkward(X, ak), "padded": padded(X)}
    folds = KFold(2, shuffle=True, random_state=0)
    # The refit of couplings takes most of the time of so small a fit.
    reweighter = quick(refit=False)
    search = GridSearchCV(reweighter, {"lr": [0.002, 0.01]}, cv=folds)
    search.fit(forms[form], theta)
    assert np.isfinite(search.best_score_)
    result = cross_validate(reweighter, forms[form], theta, cv=folds, return_estimator=True)
    train, test = next(folds.split(theta))
    events = forms[form] if form == "padded" else X
    by_hand = clone(reweighter).fit(events[train], theta[train]).score(events[test], theta[test])
    assert result["test_score"][0] == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["packed", "awkward"])
def test_cross_validation_of_fits(form, small, data, ak):
    events = small[2]
    frozen = FrozenEstimator(exact().fit(events))
    some = data[:301]
    params = {"data": some}
    if form == "awkward":
        events, params = to_awkward(events, ak), {"data": to_awkward(some, ak)}
    scores = cross_val_score(DCTRFitter(frozen), events, params=params, cv=2)
    assert ((scores > 0.2) & (scores < 0.8)).all()


@pytest.mark.slow
def test_pipeline(small, ak):
    """Preparation of the papers' jets, then a reweighter."""
    X, theta, events = small

    def jets(events):
        eta, phi = events.features[:, 1], np.cos(events.features[:, 1])
        features = np.stack([events.features[:, 0] + 0.1, eta, phi], axis=1)
        return PackedEvents(features, events.offsets, ("pt", "eta", "phi"), events.types, "pid")

    pipeline = make_pipeline(ParticlePreprocessor(), quick())
    pipeline.fit(to_awkward(jets(X), ak), theta)
    prepared = pipeline[:-1].transform(jets(events))
    assert pipeline[-1].predict_log_weights(prepared, 0.5).shape == (300,)
    assert np.isfinite(pipeline.score(jets(X), theta))


# --- what is refused ------------------------------------------------------------------------------


def spoilt(events, value):
    features = padded(events)
    features[3, int(events.counts[3]) - 1, 1] = value
    return features


@pytest.mark.slow
@pytest.mark.parametrize(("value", "text"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_what_is_not_finite(value, text, small):
    X, theta, events = small
    untyped = without_types(X)
    bad, good = spoilt(events, value), padded(events)
    where = f"{text}.* in feature 1 of particle {events.counts[3] - 1} of event 3"
    reweighter = quick().fit(untyped, theta)
    with pytest.raises(ValueError, match="X has .*" + where):
        reweighter.predict_weights(bad, 0.5)
    with pytest.raises(ValueError, match="X has .*" + where):
        quick().fit(bad, theta[:300])
    for arguments, name in (
        ((bad, None, good), "X"),
        ((good, bad, good), "y"),
        ((good, good, bad), "data"),
    ):
        with pytest.raises(ValueError, match=name + " has .*" + where):
            SRGNFitter(reweighter).fit(*arguments)
    with pytest.raises(ValueError, match="data has .*" + where):
        DCTRFitter(reweighter).fit(good, data=bad)


@pytest.mark.slow
def test_sets_and_tables_do_not_mix(fitted, small):
    X, theta, events = small
    table = sums(X)
    with pytest.raises(
        ValueError, match=r"X holds rows of features, the fit of DCTRReweighter was on sets .*'z'"
    ):
        fitted.predict_weights(table, 0.5)
    on_table = quick().fit(table, theta)
    with pytest.raises(ValueError, match=r"X holds sets of particles, the fit of .* was on rows"):
        on_table.predict_weights(X, 0.5)
    with pytest.raises(ValueError, match=r"X \(sim_gen\) holds sets of particles, the reweighter"):
        SRGNFitter(on_table).fit(events, data=events)
    with pytest.raises(ValueError, match=r"X \(sim_gen\) holds rows of features, the reweighter"):
        DCTRFitter(fitted).fit(table, data=table)
    with pytest.raises(
        ValueError, match=r"y \(sim_reco\) holds sets of particles, data holds rows"
    ):
        SRGNFitter(exact()).fit(events, events, table)
    with pytest.raises(
        ValueError, match=r"data holds sets of particles, y \(sim_reco\) holds rows"
    ):
        SRGNFitter(exact()).fit(events, events.counts, events)
    with pytest.raises(ValueError, match="data holds rows of features"):
        DCTRFitter(exact()).fit(events, data=table)
    with pytest.raises(ValueError, match="sample holds sets of particles, target holds rows"):
        classifier_test(table, X)


def test_other_features(fitted, small, ak):
    X, theta, events = small
    fewer = PackedEvents(events.features[:, :1], events.offsets, ("z",), events.types, "pid")
    renamed = PackedEvents(events.features, events.offsets, ("eta", "z"), events.types, "pid")
    for other, match in (
        (fewer, "has 1 features of a particle, .* has 2"),
        (renamed, r"\('eta', 'z'\), those of .* are \('z', 'eta'\)"),
        (without_types(events), "has particle types, .* has none"),
    ):
        with pytest.raises(ValueError, match=match):
            fitted.predict_weights(other, 0.5)
        with pytest.raises(ValueError, match=match):
            SRGNFitter(fitted).fit(other, data=other)
        with pytest.raises(ValueError, match=r"data|X|sim"):
            DCTRFitter(fitted).fit(events, data=other)
        with pytest.raises(ValueError, match="data"):
            SRGNFitter(exact()).fit(events, events, other)
    with pytest.raises(ValueError, match=r"y \(sim_reco\) has 299 events, X \(sim_gen\) has 300"):
        SRGNFitter(exact()).fit(events, events[1:], events)
    with pytest.raises(ValueError, match="y has 1999 rows for 2000 events"):
        quick().fit(X, theta[1:])


def test_networks_of_the_other_form(small):
    X, theta, events = small
    with pytest.raises(ValueError, match=r"module=MLP takes rows .*, the events are sets"):
        quick(module=MLP).fit(X, theta)
    with pytest.raises(ValueError, match=r"module=DeepSets takes sets .*, the events are rows"):
        quick(module=DeepSets).fit(sums(X), theta)
    with pytest.raises(ValueError, match=r"module=MLP takes rows .*, the events are sets"):
        SRGNFitter(exact(), module=MLP).fit(events, data=events)


def test_no_events_and_no_tilt(small, ak):
    X, theta, events = small
    with pytest.raises(ValueError, match="0 sample"):
        quick().fit(X[:0], theta[:0])
    with pytest.raises(ValueError, match="0 samples"):
        SRGNFitter(exact()).fit(events, events, events[:0])
    with pytest.raises(ValueError, match="sets of particles, which have no exponential tilt"):
        AnalyticReweighter().fit(events)
    with pytest.raises(ValueError, match="sets of particles, which have no exponential tilt"):
        SRGNFitter().fit(events, data=events)


def test_formula_gets_packed_events(nominal, ak):
    seen = []

    def formula(X, theta):
        seen.append(X)
        return np.zeros(len(X))

    reweighter = AnalyticReweighter(formula).fit(to_awkward(nominal[:50], ak))
    reweighter.predict_weights(to_awkward(nominal[:50], ak), 0.5)
    assert isinstance(seen[-1], PackedEvents)
    assert_array_equal(seen[-1].types, nominal[:50].types)


# --- device ---------------------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(small):
    X, theta, events = small
    log_w = [
        quick(device=device, max_epochs=10).fit(X, theta).predict_log_weights(events, 0.5)
        for device in ("cpu", "cuda")
    ]
    assert np.corrcoef(*log_w)[0, 1] > 0.9


def test_classifier_is_scaled_where_the_events_are(small, monkeypatch):
    """On another device, which has no numbers."""
    seen = []

    def note(network, x):
        seen.append((next(network.parameters()).device.type, x.device.type))

    monkeypatch.setattr(DeepSets, "standardise", note)
    x = PackedEvents.from_events(small[0]).to_torch("meta")
    with torch.random.fork_rng():
        event_network(x, hidden_layer_sizes=(4,), activation="relu")
        settings = NetworkSettings.of(SRGNFitter(module=DeepSets, device="cpu"))
        Classifier.of(settings, n_folds=2).build(x)
    assert seen == [("meta", "meta")] * 2


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("objective", ["auc", "optimal_observable"])
def test_fit_on_a_gpu(small, objective):
    X, theta, events = small
    reweighter = quick(device="cuda", max_epochs=2).fit(X, theta)
    fitter = SRGNFitter(reweighter, objective=objective, max_epochs=1, device="cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkdctrWarning)
        fitter.fit(events, data=events[:200])
    assert np.isfinite(fitter.score(events))
