"""Priors that the evidence sets, on quadratic models of which the truth is known."""

import numpy as np
import pytest
import torch

from skdctr._coupling_priors import evidence_prior, posterior, relevance

N_X, N_THETA = 6, 8
SHAPE = (N_X, N_THETA)
# One parameter; the last row tells learned functions apart, of which there are none.
DEGREES = torch.stack([torch.arange(1, N_THETA + 1), torch.zeros(N_THETA, dtype=torch.long)])


def quadratic_model(truth, seed):
    """Observe every coupling with unit error: curvature 1, projection truth + noise."""
    noise = torch.as_tensor(np.random.default_rng(seed).normal(size=truth.numel()))
    return torch.eye(truth.numel(), dtype=torch.float64), truth.flatten() + noise


@pytest.fixture(scope="module")
def rank_one():
    """One function of x matters, the less the higher the degree; the constant does not."""
    of_x = torch.tensor([0.0, 3.0, 2.0, -1.0, 0.5, 1.0], dtype=torch.float64)
    return of_x[:, None] * 30 * 0.2 ** torch.arange(N_THETA, dtype=torch.float64)


def test_joint_prior_beats_no_prior(rank_one):
    losses = []
    for seed in range(20):
        prior = evidence_prior(*quadratic_model(rank_one, seed), N_X, DEGREES)
        found = prior.rotation @ prior.most_probable.reshape(SHAPE)
        losses.append(float((found - rank_one)[1:].square().sum()))
    # Without a prior the loss is χ² of 40; of rank one 12 directions are free at the most.
    # The mean of 20 has an error of at most √(80/20).
    assert np.mean(losses) < 40 - 10 * np.sqrt(80 / 20)


def test_posterior_covers_and_is_positive(rank_one):
    distances = []
    for seed in range(20):
        curvature, projection = quadratic_model(rank_one, seed)
        prior = evidence_prior(curvature, projection, N_X, DEGREES)
        table = prior.most_probable.reshape(SHAPE)
        # The curvature is the same in every basis.
        covariance = posterior(curvature, prior.precision, table)
        assert float(torch.linalg.eigvalsh(covariance)[0]) > 0
        # Error of the first and largest column, in the prior's basis.
        off = (table - prior.rotation.T @ rank_one)[1:, 0]
        rows = torch.arange(1, N_X) * N_THETA
        block = covariance[rows][:, rows]
        distances.append(float(off @ torch.linalg.solve(block, off)))
    # χ² of five, variance ten: the mean over 20 toys within four errors.
    assert abs(np.mean(distances) - 5) < 4 * np.sqrt(10 / 20)


def test_relevance_keeps_what_matters_and_drops_the_rest():
    truth = torch.zeros(48, dtype=torch.float64)
    truth[[3, 17]] = torch.tensor([20.0, -8.0], dtype=torch.float64)
    losses, n_kept = [], []
    for seed in range(20):
        precision, found = relevance(*quadratic_model(truth, seed))
        assert (precision[[3, 17]] < 1).all()
        losses.append(float((found - truth).square().sum()))
        n_kept.append(int((precision < 1e6).sum()))
    # Noise stays where it exceeds its own error, a share of 0.317; mean of 20 binomials.
    share = 0.3173
    assert abs(np.mean(n_kept) - 2 - 46 * share) < 4 * np.sqrt(46 * share * (1 - share) / 20)
    # Without a prior 48, with error √(96/20).
    assert np.mean(losses) < 48 - 4 * np.sqrt(96 / 20)


def test_no_signal_gives_small_couplings():
    truth = torch.zeros(SHAPE, dtype=torch.float64)
    curvature, projection = quadratic_model(truth, 0)
    prior = evidence_prior(curvature, projection, N_X, DEGREES)
    found = prior.most_probable.reshape(SHAPE)[1:]
    assert torch.isfinite(found).all()
    assert float(found.square().sum()) < float(projection.reshape(SHAPE)[1:].square().sum()) / 2
