"""A separable network that takes over what another network has learned."""

import numpy as np
import pytest
import torch

from skdctr import DCTRReweighter
from skdctr.networks import MLP, SeparableNetwork
from skdctr.networks.separable import monomial_exponents
from skdctr.reweighting.couplings.join import join_networks

N_PARAMETERS = 2


class Peak(torch.nn.Module):
    """A narrow peak that moves with θ, in x of one feature."""

    def forward(self, x, theta):
        return 2 * torch.exp(-8 * (x[:, 0] - theta.sum(dim=1)) ** 2)


@pytest.fixture
def separable():
    terms = monomial_exponents(N_PARAMETERS, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - inside a fork of the generator's state
        return SeparableNetwork(1, N_PARAMETERS, [0.0] * N_PARAMETERS, parameter_terms=terms)


@pytest.fixture
def sample(rng):
    x = torch.tensor(rng.normal(size=(3_000, 1))).float()
    return x, torch.tensor(rng.uniform(-0.5, 0.5, (900, N_PARAMETERS))).float()


def test_before_a_refit_it_is_the_separable_network(separable, sample):
    x, theta = sample
    joined = join_networks(separable, Peak(), x, theta)
    before = separable.log_ratio(x[:900], theta)
    torch.testing.assert_close(joined.log_ratio(x[:900], theta), before)
    assert joined.coupling_covariance is None


def test_functions_span_the_other_network_at_any_theta(separable, sample):
    x, theta = sample
    peak = Peak()
    joined = join_networks(separable, peak, x, theta)
    with torch.no_grad():
        functions = joined.event_functions(x).double()
        left = []
        for point in theta[:20]:
            there = peak(x, point.expand(len(x), -1))
            target = (there - peak(x, torch.zeros(len(x), N_PARAMETERS))).double()
            coefficients = torch.linalg.lstsq(functions, target[:, None]).solution
            left.append(float((functions @ coefficients - target[:, None]).std() / target.std()))
    # Of θ there is one combination that matters, in which a peak of this width has a few nodes.
    assert len(joined.coupling) - len(separable.coupling) <= 8
    assert max(left) < 0.1


def test_few_functions_where_few_are_needed(separable, sample):
    class Linear(torch.nn.Module):
        def forward(self, x, theta):
            return x[:, 0] * theta[:, 0]

    joined = join_networks(separable, Linear(), *sample)
    assert len(joined.coupling) - len(separable.coupling) == 1


def draw(rng, theta):
    """A peak of width 0.05 on a broad one, which few smooth functions of x describe."""
    narrow = rng.random(len(theta)) < 0.7
    return np.where(narrow, rng.normal(theta, 0.05), rng.normal(0, 1, len(theta)))[:, None]


@pytest.mark.slow  # trains two networks long enough to differ
def test_where_the_second_network_wins_its_error_is_known_too(rng):
    theta = np.repeat([0.0, 1.0], 15_000) * rng.uniform(-1, 1, 30_000)
    x = draw(rng, theta)
    reweighter = DCTRReweighter(
        theta_nominal=0.0, hidden_layer_sizes=(40, 40), random_state=0, device="cpu", max_epochs=30
    ).fit(x, theta)
    alone = DCTRReweighter(
        theta_nominal=0.0,
        hidden_layer_sizes=(40, 40),
        random_state=0,
        device="cpu",
        max_epochs=30,
        module=MLP,
    ).fit(x, theta)
    module = reweighter.net_.module_
    assert isinstance(module, SeparableNetwork)
    assert module.coupling_covariance is not None
    assert len(module.coupling) > 7

    def mean_log_density(fitted):
        """Of fresh events at θ, the log-ratio to nominal: highest for the true one."""
        fresh = draw(np.random.default_rng(1), np.full(20_000, 0.5))
        nominal = draw(np.random.default_rng(2), np.zeros(20_000))
        weights = fitted.predict_log_weights(nominal, 0.5)
        return fitted.predict_log_weights(fresh, 0.5).mean() - np.log(np.exp(weights).mean())

    assert mean_log_density(reweighter) > mean_log_density(alone) - 0.01
