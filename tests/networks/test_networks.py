"""Networks: shapes, the dictionary of monomials, and what is exact by construction."""

import math

import numpy as np
import pytest
import torch

from skdctr.datasets import gaussian_2d_log_weight, gaussian_log_weight
from skdctr.networks import ACTIVATIONS, MLP, SeparableNetwork
from skdctr.networks.separable import determined_terms, dictionary_terms, monomial_exponents


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def seeded():
    """Initialise modules from a fixed seed, and give the global generator back."""
    with torch.random.fork_rng():
        torch.manual_seed(3)  # noqa: TID251 - inside a fork of the generator's state
        yield


def coupling_of(network, values):
    """Couplings that are zero but for monomials, given as {(term of x, term of θ): value}."""
    coupling = torch.zeros_like(network.coupling)
    rows = {(): 0} | {term: 1 + k for k, term in enumerate(network.feature_terms)}
    columns = {term: k for k, term in enumerate(network.parameter_terms)}
    for (feature, parameter), value in values.items():
        coupling[rows[feature], columns[parameter]] = value
    return coupling


# --- monomials ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "degree"), [(1, 3), (2, 2), (3, 3), (5, 1)])
def test_number_of_monomials(n, degree):
    terms = monomial_exponents(n, degree)
    assert len(terms) == len(set(terms)) == math.comb(n + degree, degree) - 1
    pure = monomial_exponents(n, degree, cross_terms=False)
    assert len(pure) == n * degree
    assert set(pure) <= set(terms)


def test_monomials_are_products_of_their_factors(seeded):
    network = SeparableNetwork(2, 1, [0.0], feature_terms=[(0,), (1, 1), (0, 1)])
    x = torch.tensor([[2.0, 3.0], [-1.0, 0.5]])
    values = network.event_functions(x)[:, 1:4]
    torch.testing.assert_close(values, torch.tensor([[2.0, 9.0, 6.0], [-1.0, 0.25, -0.5]]))


@pytest.mark.parametrize("n_features", [1, 3, 10, 300])
@pytest.mark.parametrize("n_parameters", [1, 2, 6])
@pytest.mark.parametrize("rank", [1, 4, 8])
def test_dictionary_keeps_its_budget(n_features, n_parameters, rank, seeded):
    features, parameters, further = dictionary_terms(n_features, n_parameters, rank)
    network = SeparableNetwork(
        n_features,
        n_parameters,
        [0.0] * n_parameters,
        rank=rank,
        feature_terms=features,
        parameter_terms=parameters,
    )
    assert network.coupling.numel() <= 600
    assert (1 + len(features)) * (len(parameters) + len(further)) <= 600
    assert not set(parameters) & set(further)
    if not features:
        assert not further
    # Large enough for a Gaussian of unknown mean and width where that fits in.
    if n_features == 1 and n_parameters <= 2 and rank <= 4:
        assert (0, 0) in features
        assert (0,) * 2 in parameters


@pytest.mark.parametrize("n_flagged", [0, 5, 40])
def test_monomials_of_few_events_are_left_out(rng, n_flagged):
    x = rng.standard_normal((20_000, 3))
    x[:, 1] = np.arange(len(x)) < n_flagged
    if n_flagged:
        x[:, 1] = (x[:, 1] - x[:, 1].mean()) / x[:, 1].std()
    x[:, 2] = np.tan(np.pi * (rng.random(len(x)) - 0.5))
    kept = determined_terms(monomial_exponents(3, 2), torch.tensor(x).float())
    assert {(0,), (0, 0)} <= set(kept)
    # Of a Cauchy distribution a few events have nearly all of the variance.
    assert not any(2 in term for term in kept)
    assert ((1,) in kept) == (n_flagged == 40)


def test_larger_budget_never_drops_terms():
    sizes = [
        tuple(map(len, dictionary_terms(3, 2, 4, budget=budget)))[:2]
        for budget in (40, 100, 200, 1000)
    ]
    n_features = [features for features, _ in sizes]
    assert n_features == sorted(n_features)
    assert sizes[-1] == (9, 44)


def test_powers_of_one_parameter_go_further_than_products():
    # Five features and three parameters: the pole of a correlation's density needs degree 6.
    features, parameters, further = dictionary_terms(5, 3, 4)
    assert len(features) == 20
    assert set(parameters) == set(monomial_exponents(3, 3))
    assert set(further) == {(k,) * power for k in range(3) for power in (4, 5, 6)}


# --- MLP ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_mlp_gives_one_logit_per_event(activation, generator, seeded):
    x, theta = (torch.randn(7, k, generator=generator) for k in (3, 2))
    network = MLP(3, 2, hidden_layer_sizes=(8, 4), activation=activation)
    assert network(x, theta).shape == (7,)
    # Each logit is a function of its own event.
    torch.testing.assert_close(network(x[2:3], theta[2:3]), network(x, theta)[2:3])
    # And of θ as a further input, not as something added.
    assert not torch.allclose(network(x, theta), network(x, theta + 1))


def test_mlp_without_parameters(generator, seeded):
    assert MLP(3)(torch.randn(7, 3, generator=generator)).shape == (7,)


def test_mlp_has_the_layers_asked_for(seeded):
    shapes = [tuple(p.shape) for p in MLP(2, 1, (5, 6)).parameters() if p.ndim == 2]
    assert shapes == [(5, 3), (6, 5), (1, 6)]


# --- separable network ----------------------------------------------------------------------


@pytest.mark.parametrize("n_parameters", [1, 3])
@pytest.mark.parametrize("monomials", [False, True])
def test_separable_is_exactly_zero_at_nominal(n_parameters, monomials, generator, seeded):
    nominal = [0.3, -0.7, 0.123456789][:n_parameters]
    terms = dictionary_terms(2, n_parameters, 4)._asdict() if monomials else {}
    network = SeparableNetwork(2, n_parameters, nominal, **terms)
    network.coupling.copy_(torch.randn(network.coupling.shape, generator=generator))
    x = 10 * torch.randn(1000, 2, generator=generator)
    at_nominal = torch.tensor([nominal]).expand(1000, -1)
    assert bool((network(x, at_nominal) == 0).all())
    assert bool((network.event_coefficients(at_nominal[:1]) == 0).all())
    assert float(network(x, at_nominal + 0.5).detach().abs().min()) > 0


@pytest.mark.slow
def test_log_ratio_is_a_product_of_event_and_parameter_functions(generator, seeded):
    features, parameters, _ = dictionary_terms(2, 2, 4)
    network = SeparableNetwork(
        2, 2, [0.0, 0.5], feature_terms=features, parameter_terms=parameters, free_reference=True
    )
    network.coupling.copy_(torch.randn(network.coupling.shape, generator=generator))
    x, theta = torch.randn(50, 2, generator=generator), torch.rand(50, 2, generator=generator)
    product = network.event_functions(x) @ network.event_coefficients(theta[:1]).T
    ratio = network.log_ratio(x, theta[:1].expand(50, -1))
    torch.testing.assert_close(product[:, 0], ratio)
    # The function of x alone is in the logit and not in the ratio.
    torch.testing.assert_close(network(x, theta) - network.log_ratio(x, theta), network.g(x)[:, 0])


def test_gaussian_mean_is_exact_within_the_dictionary(generator, seeded):
    features, parameters, _ = dictionary_terms(1, 1, 4)
    network = SeparableNetwork(1, 1, [0.0], feature_terms=features, parameter_terms=parameters)
    network.coupling.copy_(coupling_of(network, {((0,), (0,)): 1.0, ((), (0, 0)): -0.25}))
    x, mu = torch.randn(200, 1, generator=generator), torch.rand(200, 1, generator=generator)
    torch.testing.assert_close(network(x, mu), gaussian_log_weight(x, mu), rtol=1e-5, atol=1e-6)


def test_gaussian_width_is_exact_in_its_natural_parameters(generator, seeded):
    """With θ = (μ/σ², 1/σ²) the log-ratio of Eq. 11 is linear in θ but for its normalisation."""
    features, *_ = dictionary_terms(1, 2, 2)
    network = SeparableNetwork(
        1, 2, [0.0, 1.0], rank=2, feature_terms=features, parameter_terms=[(0,), (1,)]
    )
    network.coupling.copy_(coupling_of(network, {((0,), (0,)): 1.0, ((0, 0), (1,)): -0.5}))
    x = torch.randn(200, 1, generator=generator)
    mu, sigma = 0.4, 1.3
    natural = torch.tensor([[mu / sigma**2, 1 / sigma**2]]).expand(200, -1)
    difference = gaussian_2d_log_weight(x, [mu, sigma]) - network(x, natural)
    normalisation = -np.log(sigma) - mu**2 / (2 * sigma**2)
    np.testing.assert_allclose(difference.detach().numpy(), normalisation, atol=2e-5)


def test_nominal_and_couplings_travel_with_the_state(seeded):
    first = SeparableNetwork(1, 1, [0.5], feature_terms=[(0,)], parameter_terms=[(0,)])
    second = SeparableNetwork(1, 1, [0.0], feature_terms=[(0,)], parameter_terms=[(0,)])
    first.coupling.fill_(0.25)
    second.load_state_dict(first.state_dict())
    x, theta = torch.ones(3, 1), torch.full((3, 1), 0.9)
    torch.testing.assert_close(second(x, theta), first(x, theta))
    # Not trained: the optimizer sees the learned functions only.
    assert not {"coupling", "theta_nominal"} & dict(first.named_parameters()).keys()
