"""Refit of the couplings against exponential families, whose couplings are known exactly.

Statistical tolerances are four standard errors, at fixed seeds.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from skdctr.networks import SeparableNetwork
from skdctr.reweighting import training
from skdctr.reweighting.couplings import choice_likelihood, theta_choices
from skdctr.reweighting.couplings.choice_likelihood import ChoiceLikelihood
from skdctr.reweighting.couplings.refit import GaussianPrior, Refit, refit_again, refit_couplings
from skdctr.reweighting.couplings.theta_choices import ChoiceSample, choice_losses

N_EVENTS = 20_000
FEATURE_TERMS = ((0,), (0, 0))
PARAMETER_TERMS = ((0,), (0, 0))
# Terms of the coupling matrix: rows 1, x, x², b(x); columns μ, 2μ² − 1, a(μ), normalisation.
EXACT = {(1, 0): 1.0, (0, 1): -0.25}


@pytest.fixture
def network():
    """A network whose learned functions vanish, so that the monomials have to do all the work."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - inside a fork of the generator's state
        made = SeparableNetwork(
            1,
            1,
            [0.0],
            rank=1,
            feature_terms=FEATURE_TERMS,
            parameter_terms=PARAMETER_TERMS,
        )
    with torch.no_grad():
        for layers in (made.a, made.b):
            layers[-1].weight.zero_()
            layers[-1].bias.zero_()
    return made


def draw(n=N_EVENTS, seed=0, n_varied=None):
    """Nominal N(0, 1) and varied N(μ, 1) with μ in [-1, 1]."""
    rng = np.random.default_rng(seed)
    n_varied = n if n_varied is None else n_varied
    theta = rng.uniform(-1, 1, (n_varied, 1))
    nominal = rng.standard_normal((n, 1))
    return ChoiceSample(
        x=torch.tensor(
            np.concatenate([theta + rng.standard_normal((n_varied, 1)), nominal])
        ).float(),
        reference=torch.arange(n_varied, n_varied + n),
        reference_weight=torch.ones(n),
        varied=torch.arange(n_varied),
        varied_theta=torch.tensor(theta).float(),
        varied_weight=torch.ones(n_varied),
        prior_logit=float(np.log(n_varied / n)),
    )


def couplings(network, sample, **arguments):
    refits = refit_couplings(network, sample, **arguments)
    return refits[0].coupling if refits else None


def standard_errors(network, sample):
    """Of all couplings at the truth, from the curvature of the likelihood."""
    truth = torch.zeros_like(network.coupling, dtype=torch.float64)
    for index, value in EXACT.items():
        truth[index] = value
    curvature = ChoiceLikelihood(network, sample, 0).curvature(truth.flatten())
    used = curvature.diagonal() > 0
    errors = torch.full_like(truth.flatten(), torch.inf)
    errors[used] = torch.linalg.inv(curvature[used][:, used]).diagonal().sqrt()
    return truth, errors.reshape(truth.shape)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_the_couplings_of_an_exponential_family(network, seed):
    sample = draw(seed=seed)
    fitted = couplings(network, sample)
    truth, errors = standard_errors(network, sample)
    monomials = errors.isfinite()
    assert int(monomials.sum()) == 6
    pulls = ((fitted - truth) / errors)[monomials]
    assert float(pulls.abs().max()) < 4


@pytest.mark.slow
def test_posterior_covariance_covers_the_truth(network):
    """Of what the data determine, over seeds; the prior takes little of it away."""
    distances = []
    for seed in range(12):
        sample = draw(n=5_000, seed=seed)
        refit, *_ = refit_couplings(network, sample)
        truth, errors = standard_errors(network, sample)
        used = errors.isfinite().flatten()
        off = (refit.coupling - truth).flatten()[used]
        assert refit.columns.tolist() == list(range(network.coupling.shape[1]))
        covariance = refit.covariance.double()[used][:, used]
        distances.append(float(off @ torch.linalg.pinv(covariance, hermitian=True) @ off))
    # χ² of six couplings has a variance of 12; those that the prior holds near zero, where the
    # truth is, count less. Never above; not below that of the three that are needed.
    assert 3 - 3 * np.sqrt(6 / 12) < np.mean(distances) < 6 + 3 * np.sqrt(12 / 12)


@pytest.mark.slow
def test_learned_functions_of_x_are_left_out_in_a_second_refit(network):
    with torch.no_grad():
        network.b[-1].weight.fill_(1.0)
    every, monomials = refit_couplings(network, draw(n=5_000))
    learned = slice(-network.rank, None)
    assert every.coupling[learned].any()
    assert not monomials.coupling[learned].any()
    n_x, n_theta = network.coupling.shape
    assert every.covariance.shape == (n_x * n_theta,) * 2
    assert monomials.covariance.shape == ((n_x - network.rank) * n_theta,) * 2
    assert bool((monomials.covariance.diagonal() > 0).all())


@pytest.mark.slow
def test_monomials_alone_have_further_polynomials(network):
    """x has a mean of θ: exact with θ² in the constant, which the refit with b(x) leaves out."""
    with torch.random.fork_rng():
        smaller = SeparableNetwork(
            1,
            1,
            [0.0],
            rank=1,
            feature_terms=FEATURE_TERMS,
            parameter_terms=PARAMETER_TERMS[:1],
            further_parameter_terms=PARAMETER_TERMS[1:],
        )
    smaller.load_state_dict({**network.state_dict(), "coupling": smaller.coupling})
    sample = draw(n=5_000)
    every, monomials = refit_couplings(smaller, sample)
    assert every.columns.tolist() == [0, 2, 3]
    assert not every.coupling[:, 1].any()
    assert monomials.columns.tolist() == [0, 1, 2, 3]
    truth, errors = standard_errors(network, sample)
    used = errors.isfinite()
    assert float(((monomials.coupling - truth) / errors)[used].abs().max()) < 4


@pytest.mark.slow
def test_unequal_classes_give_the_same_couplings(network):
    sample = draw(n=40_000, n_varied=4_000)
    fitted = couplings(network, sample)
    truth, errors = standard_errors(network, sample)
    monomials = errors.isfinite()
    assert float(((fitted - truth) / errors)[monomials].abs().max()) < 4


@pytest.mark.long  # 24 refits
def test_many_competing_values_of_theta_lower_the_error(network, monkeypatch):
    fitted = {}
    for n_shared in (0, 16):
        monkeypatch.setattr(theta_choices, "_SHARED", n_shared)
        fitted[n_shared] = torch.stack(
            [couplings(network, draw(n=5_000, seed=seed))[1, 0] for seed in range(12)]
        )
    # Curvatures promise a ratio of 1.4 or more; the ratio of two spreads of 12 has a relative
    # error of 1/√11, less what the common events take off.
    assert fitted[0].std() / fitted[16].std() > 1
    assert abs(float(fitted[16].mean()) - 1) < 4 * float(fitted[16].std()) / np.sqrt(12)


@pytest.mark.slow
def test_without_nominal_events_theta_compete_with_each_other(network):
    sample = draw(seed=3)
    sample = replace(
        sample,
        reference=sample.reference[:0],
        reference_weight=sample.reference_weight[:0],
        prior_logit=np.inf,
    )
    fitted = couplings(network, sample)
    truth, errors = standard_errors(network, sample)
    monomials = errors.isfinite()
    assert float(((fitted - truth) / errors)[monomials].abs().max()) < 4


@pytest.mark.slow
def test_leaves_the_network_as_it_was(network):
    before = copy.deepcopy(network.state_dict())
    assert couplings(network, draw(n=2_000)) is not None
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.slow
def test_same_seed_same_bits(network):
    sample = draw(n=2_000)
    first, second, other = (couplings(network, sample, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


# --- degenerate samples ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_rounding_moves_weights_by_a_small_part_of_their_error(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - inside a fork of the generator's state
        network = SeparableNetwork(
            1,
            1,
            [0.0],
            feature_terms=FEATURE_TERMS,
            parameter_terms=tuple((0,) * degree for degree in range(1, 9)),
        )
    sample = draw(n=3_000, seed=seed)
    x, theta = torch.linspace(-2, 2, 50)[:, None], torch.full((50, 1), 0.7)
    log_weights = []
    for change in (0.0, 1e-6, -1e-6, 2e-6, -2e-6):
        changed = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in changed.parameters():
                parameter.mul_(1 + change)
        refit, *_ = refit_couplings(changed, sample)
        changed.coupling.copy_(refit.coupling)
        with torch.no_grad():
            log_weights.append(changed.log_ratio(x, theta))
    with torch.no_grad():
        functions = changed.event_functions(x)[:, :, None]
        of_theta = changed.parameter_functions(theta, learned=False)[:, None]
    gradient = (functions * of_theta).flatten(1)
    errors = ((gradient @ refit.covariance) * gradient).sum(dim=1).sqrt()
    spread = torch.stack(log_weights).std(dim=0)
    # Far from the step that a choice between optima makes.
    assert float((spread / errors).max()) < 0.005


@pytest.mark.slow
def test_too_few_events_are_no_error(network):
    for n in (1, 2, 5):
        fitted = couplings(network, draw(n=n))
        assert fitted is None or bool(fitted.isfinite().all())


def test_many_negative_weights_give_none(network):
    sample = draw(n=2_000)
    weight = torch.ones(2_000)
    # Negative where x is large: the signed density turns negative there, no likelihood has a peak.
    weight[sample.x[sample.varied, 0] > 1.0] = -1.0
    assert couplings(network, replace(sample, varied_weight=weight)) is None


def test_not_finite_events_give_none(network):
    sample = draw(n=100)
    sample.x[0] = torch.nan
    assert couplings(network, sample) is None


@pytest.mark.parametrize("signed", [False, True])
def test_functions_not_kept_give_the_same(network, monkeypatch, signed):
    """Beyond a size B(x) and A(θ) are computed again for each part of the events."""
    sample = draw(n=3_000)
    if signed:
        sample.varied_weight[::10] = -1.0
    beta = torch.linspace(-0.1, 0.1, network.coupling.numel(), dtype=torch.float64)
    results = []
    for held in (1 << 28, 0):
        monkeypatch.setattr(choice_likelihood, "_HELD_BYTES", held)
        likelihood = ChoiceLikelihood(network, sample, 0)
        rotated = likelihood.rotated(torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]).double()))
        results.append((*likelihood(beta), *rotated(beta), rotated.curvature(beta)))
    for kept, computed in zip(*results, strict=True):
        torch.testing.assert_close(kept, computed, rtol=1e-5, atol=1e-4)


def test_rotated_functions_are_those_of_rotated_couplings(network):
    sample = draw(n=3_000)
    likelihood = ChoiceLikelihood(network, sample, 0)
    n_x, n_theta = likelihood.shape
    turn = torch.as_tensor(np.random.default_rng(1).normal(size=(n_x, n_x)))
    rotation = torch.linalg.qr(turn)[0].contiguous()
    every = torch.kron(rotation, torch.eye(n_theta, dtype=torch.float64))
    beta = torch.linspace(-0.1, 0.1, n_x * n_theta, dtype=torch.float64)
    value, gradient = likelihood.rotated(rotation)(beta)
    expected, of_all = likelihood(every @ beta)
    assert value == pytest.approx(expected, abs=1e-3)
    torch.testing.assert_close(gradient, every.T @ of_all, rtol=1e-4, atol=1e-2)
    turned = likelihood.rotated(rotation).curvature(beta)
    torch.testing.assert_close(
        turned, every.T @ likelihood.curvature(every @ beta) @ every, rtol=1e-4, atol=1e-2
    )


def test_signed_events_without_nominal_ones_give_none(network):
    """One value of θ competes at a time then, and there is none that it could compete with."""
    sample = draw(n=1_000)
    sample.varied_weight[::10] = -1.0
    sample = replace(
        sample,
        reference=sample.reference[:0],
        reference_weight=sample.reference_weight[:0],
        prior_logit=np.inf,
    )
    assert couplings(network, sample) is None


# --- weights --------------------------------------------------------------------------------


def evaluate(network, sample, beta):
    likelihood = ChoiceLikelihood(network, sample, 0)
    quantities = (*likelihood(beta), likelihood.curvature(beta))
    return [quantity / likelihood.scale for quantity in quantities], likelihood.scale


def test_weights_count_as_repetition(network):
    """At one θ, where the pairing with θ adds no noise."""
    sample = draw(n=300)
    sample.varied_theta[:] = 0.5
    counts = torch.arange(300) % 3 + 1
    beta = torch.linspace(-1, 1, network.coupling.numel(), dtype=torch.float64)
    weighted, scale = evaluate(
        network,
        replace(sample, varied_weight=counts.float(), reference_weight=counts.float()),
        beta,
    )
    repeated, scale_of_repeated = evaluate(
        network,
        ChoiceSample(
            sample.x,
            *(
                column.repeat_interleave(counts, dim=0)
                for column in (
                    sample.varied,
                    sample.varied_theta,
                    sample.varied_weight,
                    sample.reference,
                    sample.reference_weight,
                )
            ),
            prior_logit=sample.prior_logit,
        ),
        beta,
    )
    for first, second in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)
    # Repeated events count in full; weighted ones by their effective number, (Σw)²/Σw² of 2·300.
    assert scale_of_repeated == pytest.approx(1.0)
    assert scale == pytest.approx(2 / (14 / 3))


@pytest.mark.slow
def test_signed_weights_give_the_couplings_of_the_signed_density(network):
    """A tenth of the varied events has weight −1, at random in x, more of them at large θ."""
    sample = draw(seed=4)
    rng = np.random.default_rng(4)
    theta = sample.varied_theta[:, 0].numpy()
    negative = torch.as_tensor(rng.random(N_EVENTS) < 0.1 * (1 + theta))
    weight = torch.where(negative, -1.0, 1.0)
    # The prior is that of signed sums.
    prior = np.log(float(weight.sum()) / N_EVENTS)
    sample = replace(sample, varied_weight=weight, prior_logit=prior)
    fitted = couplings(network, sample)
    assert fitted is not None
    truth, errors = standard_errors(network, replace(sample, varied_weight=torch.ones(N_EVENTS)))
    monomials = errors.isfinite()
    # Variance of a sum of weights ±1 over its square, against unweighted events.
    inflation = N_EVENTS / float(weight.sum())
    assert float(((fitted - truth) / errors / inflation)[monomials].abs().max()) < 4


def test_gradient_and_curvature_are_derivatives_of_the_value(network):
    sample = draw(n=500)
    likelihood = ChoiceLikelihood(network, sample, 0)
    beta = torch.zeros(network.coupling.numel(), dtype=torch.float64)
    beta[4] = 0.5
    _, gradient = likelihood(beta)
    curvature = likelihood.curvature(beta)
    step = 1e-2
    for k in (0, 1, 4, 5, 8, 9):
        shift = torch.zeros_like(beta)
        shift[k] = step
        (up, slope_up), (down, slope_down) = likelihood(beta + shift), likelihood(beta - shift)
        # float32 sums of 1000 terms of order one.
        assert (up - down) / (2 * step) == pytest.approx(float(gradient[k]), rel=1e-2, abs=0.05)
        np.testing.assert_allclose(
            (slope_down - slope_up) / (2 * step), curvature[k], rtol=1e-2, atol=0.05
        )


def test_curvature_of_a_part_stands_for_all(network):
    sample = draw(n=20_000)
    likelihood = ChoiceLikelihood(network, sample, 0)
    beta = torch.zeros(network.coupling.numel(), dtype=torch.float64)
    part = likelihood.part(4_000).curvature(beta).diagonal()
    every = likelihood.curvature(beta).diagonal()
    used = every > 0
    # 4000 of 40000 events; a square of x has a relative variance of 2, and θ² adds as much.
    assert float((part / every - 1)[used].abs().max()) < 4 * np.sqrt(10 / 4_000)


# --- losses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("nominal", [True, False])
def test_losses_are_minus_the_log_likelihood(network, nominal):
    sample = draw(n=1_000)
    if not nominal:
        sample = replace(
            sample,
            reference=sample.reference[:0],
            reference_weight=sample.reference_weight[:0],
            prior_logit=np.inf,
        )
    network.coupling[1, 0] = 0.7
    losses = choice_losses(network, sample, seed=3)
    assert len(losses) == len(sample.varied) + len(sample.reference)
    value, _ = ChoiceLikelihood(network, sample, 3)(network.coupling.double().flatten())
    assert float(losses.sum()) == pytest.approx(-value, rel=1e-4)


def test_losses_without_nominal_events_ignore_functions_of_x_alone(network):
    sample = replace(
        draw(n=500),
        reference=torch.zeros(0, dtype=torch.long),
        reference_weight=torch.zeros(0),
        prior_logit=np.inf,
    )
    network.coupling[1, 0] = 0.7
    plain = choice_losses(network, sample)
    shifted = choice_losses(lambda x, theta: network(x, theta) + 3 * x[:, 0], sample)
    torch.testing.assert_close(plain, shifted, rtol=1e-4, atol=1e-4)


def test_the_truth_has_the_lowest_losses(network):
    sample = draw()

    def log_ratio(slope):
        return lambda x, theta: slope * (x * theta - theta**2 / 2)[:, 0]

    truth = choice_losses(log_ratio(1.0), sample)
    for slope in (0.9, 1.1):
        excess = choice_losses(log_ratio(slope), sample) - truth
        assert float(excess.mean()) > 0


# --- within the training --------------------------------------------------------------------


def fit(x, theta, **options):
    from skdctr import DCTRReweighter

    return DCTRReweighter(max_epochs=2, batch_size=500, random_state=0, **options).fit(x, theta)


@pytest.fixture
def small(rng):
    theta = np.where(np.arange(4000) % 2, rng.uniform(-1, 1, 4000), 0.0)
    return rng.normal(theta)[:, None], theta


@pytest.mark.slow
def test_refit_changes_the_couplings_and_nothing_else(small):
    states = [fit(*small, refit=refit).net_.module_.state_dict() for refit in (False, True)]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]) == (name != "coupling"), name


@pytest.mark.slow
@pytest.mark.parametrize("n_flagged", [3, 12])
def test_what_few_events_have_does_not_prevent_a_refit(n_flagged):
    rng = np.random.default_rng(0)
    theta = np.r_[np.zeros(10_000), rng.uniform(-1, 1, 10_000)]
    flag = np.zeros(len(theta))
    flag[rng.choice(len(theta), n_flagged, replace=False)] = 1
    x = np.column_stack([rng.normal(theta), flag])
    assert fit(x, theta).net_.module_.coupling_covariance is not None


def with_every_column(coupling):
    n = coupling.numel()
    prior = GaussianPrior(torch.ones(n, dtype=torch.float64))
    columns = torch.arange(coupling.shape[1])
    return Refit(coupling, columns, torch.eye(n), len(coupling), prior)


def test_a_refit_that_makes_the_loss_worse_is_not_taken(small, monkeypatch):
    monkeypatch.setattr(
        training,
        "refit_couplings",
        lambda network, sample, *, seed: [
            with_every_column(torch.full_like(network.coupling, 30.0))
        ],
    )
    trained, refused = (fit(*small, refit=refit).net_.module_.coupling for refit in (False, True))
    assert torch.equal(trained, refused)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, -1])
def test_the_refit_that_other_events_prefer_is_taken(small, monkeypatch, order):
    refits = []

    def with_a_worse_one(network, sample, *, seed):
        (good, *_), bad = refit_couplings(network, sample, seed=seed), network.coupling * 1.5
        refits[:] = [good, with_every_column(bad)][::order]
        return refits

    monkeypatch.setattr(training, "refit_couplings", with_a_worse_one)
    monkeypatch.setattr(training, "refit_again", lambda *args, **options: None)
    taken = fit(*small).net_.module_
    assert torch.equal(taken.coupling, refits[::order][0].coupling)
    assert torch.equal(taken.coupling_covariance, refits[::order][0].covariance)


@pytest.mark.slow
def test_events_that_have_judged_take_part_in_the_end(small, monkeypatch):
    def error_and_couplings():
        module = fit(*small, validation_fraction=0.5).net_.module_
        return module.coupling_covariance.trace(), module.coupling.clone()

    error, coupling = error_and_couplings()
    monkeypatch.setattr(training, "refit_again", lambda *args, **options: None)
    error_of_half, coupling_of_half = error_and_couplings()
    assert not torch.equal(coupling, coupling_of_half)
    # Twice the events; what the prior knows does not get better.
    assert 0.45 < error / error_of_half < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("rotated", [False, True])
def test_a_refit_of_the_same_events_with_the_same_prior_stays(network, rotated):
    sample = draw(n=5_000)
    first, *_ = refit_couplings(network, sample)
    n = first.n_functions * len(first.columns)
    # Among the monomials, as the constant has no part in the prior, and learned functions vanish.
    turn = torch.eye(first.n_functions, dtype=torch.float64)
    turn[1:3, 1:3] = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    prior = GaussianPrior(torch.ones(n, dtype=torch.float64), turn if rotated else None)
    once = refit_again(network, replace(first, prior=prior), sample)
    again = refit_again(network, once, sample)
    spread = once.covariance.diagonal().sqrt().reshape(first.n_functions, -1)
    change = (again.coupling - once.coupling)[: first.n_functions, first.columns]
    # Newton's method stops where a step would raise the log-likelihood by less than 0.05.
    assert (change.abs() <= 0.35 * spread).all()


@pytest.mark.slow
@pytest.mark.parametrize("n_events", [6, 20, 60])
def test_few_events_fit_without_an_error(rng, n_events):
    theta = np.where(np.arange(n_events) % 2, np.linspace(-1, 1, n_events), 0.0)
    reweighter = fit(rng.normal(theta)[:, None], theta)
    weights = reweighter.predict_weights(rng.uniform(-1, 1, (100, 1)), -0.1)
    assert np.isfinite(weights).all()
