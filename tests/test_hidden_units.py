"""A separable network whose hidden units are functions of x of their own."""

import numpy as np
import pytest
import torch

from skdctr.networks import SeparableNetwork
from skdctr.networks._hidden_units import with_hidden_units
from skdctr.networks._separable import monomial_exponents
from skdctr.refinement import ChoiceSample, choice_losses, refit_couplings

N_FEATURES = 2
MANY = 10**6


def make_network(n_parameters=1, degree=2, layers=(32, 32)):
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - inside a fork of the generator's state
        return SeparableNetwork(
            N_FEATURES,
            n_parameters,
            [0.0] * n_parameters,
            layers,
            rank=1,
            parameter_terms=monomial_exponents(n_parameters, degree),
        )


@pytest.fixture
def x(rng):
    return torch.tensor(rng.normal(size=(14_000, N_FEATURES))).float()


@pytest.mark.parametrize(("n_parameters", "degree"), [(1, 8), (2, 3), (2, 8)])
def test_before_a_refit_it_is_the_network(x, n_parameters, degree):
    network = make_network(n_parameters, degree)
    wider = with_hidden_units(network, x, MANY)
    theta = torch.linspace(-1, 1, len(x) * n_parameters).reshape(len(x), -1)
    torch.testing.assert_close(wider.log_ratio(x, theta), network.log_ratio(x, theta))
    assert len(wider.coupling) > len(network.coupling)
    assert max(map(len, wider.parameter_terms)) <= 3
    assert wider.coupling.numel() <= 600


def test_components_are_uncorrelated_and_of_unit_spread(x):
    with torch.no_grad():
        components = with_hidden_units(make_network(), x[:10_000], MANY).event_functions(
            x[:10_000]
        )[:, 2:]
    covariance = torch.cov(components.double().T)
    torch.testing.assert_close(covariance, torch.eye(len(covariance)).double(), atol=1e-3, rtol=0)


def test_many_parameters_leave_no_room(x):
    assert with_hidden_units(make_network(5, 3), x, MANY) is None


def test_few_events_leave_few_components_or_none(x):
    sizes = [len(with_hidden_units(make_network(1, 8), x, n).coupling) for n in (40_000, MANY)]
    assert sizes[0] < sizes[1]
    assert with_hidden_units(make_network(1, 8), x, 20_000) is None


def test_a_network_without_hidden_units_stays_as_it_is(x):
    assert with_hidden_units(make_network(layers=()), x, MANY) is None


def test_refit_finds_what_the_last_layer_has_left_out(x, rng):
    """log w is θ times a combination of hidden units that the one learned function is not."""
    network = make_network()
    wider = with_hidden_units(network, x, MANY)
    with torch.no_grad():
        tilt = wider.event_functions(x)[:, 2:7].sum(dim=1).clamp(-3, 3).double().numpy()
    theta = rng.uniform(-0.5, 0.5, len(x))
    # Of the first events those accepted have the density that the tilt says; the last are nominal.
    accepted = rng.random(len(x)) < np.exp(theta * tilt - 1.5)
    kept = np.flatnonzero(accepted & (np.arange(len(x)) < 10_000))
    nominal = np.arange(len(x) - len(kept), len(x))
    assert nominal[0] >= 10_000
    halves = [slice(None, None, 2), slice(1, None, 2)]
    learn, judge = (
        ChoiceSample(
            x=x,
            varied=torch.tensor(kept[half], dtype=torch.int32),
            varied_theta=torch.tensor(theta[kept[half], None]).float(),
            varied_weight=torch.ones(len(kept[half])),
            reference=torch.tensor(nominal[half], dtype=torch.int32),
            reference_weight=torch.ones(len(nominal[half])),
            prior_logit=0.0,
        )
        for half in halves
    )
    losses = []
    for module in (network, wider):
        (refit, *_) = refit_couplings(module, learn, seed=0)
        module.coupling.copy_(refit.coupling)
        losses.append(choice_losses(module, judge, seed=0))
    gain = losses[0] - losses[1]
    assert float(gain.mean()) > 5 * float(gain.std()) / len(gain) ** 0.5
