"""Priors that the evidence sets, on quadratic models of which the truth is known."""

import numpy as np
import pytest
import torch

from skdctr.reweighting.couplings.priors import evidence_prior, posterior, rowwise_prior

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


@pytest.mark.slow
def test_joint_prior_beats_no_prior(rank_one):
    losses = []
    for seed in range(20):
        rotation, _, most_probable = evidence_prior(*quadratic_model(rank_one, seed), N_X, DEGREES)
        found = rotation @ most_probable.reshape(SHAPE)
        losses.append(float((found - rank_one)[1:].square().sum()))
    # Without a prior the loss is χ² of 40; of rank one 12 directions are free at the most.
    # The mean of 20 has an error of at most √(80/20).
    assert np.mean(losses) < 40 - 10 * np.sqrt(80 / 20)


@pytest.mark.slow
def test_posterior_covers_and_is_positive(rank_one):
    distances = []
    for seed in range(20):
        curvature, projection = quadratic_model(rank_one, seed)
        rotation, precision, most_probable = evidence_prior(curvature, projection, N_X, DEGREES)
        table = most_probable.reshape(SHAPE)
        # The curvature is the same in every basis.
        covariance = posterior(curvature, precision, table)
        assert float(torch.linalg.eigvalsh(covariance)[0]) > 0
        # Error of the first and largest column, in the prior's basis.
        off = (table - rotation.T @ rank_one)[1:, 0]
        rows = torch.arange(1, N_X) * N_THETA
        block = covariance[rows][:, rows]
        distances.append(float(off @ torch.linalg.solve(block, off)))
    # χ² of five, variance ten: the mean over 20 toys within four errors.
    assert abs(np.mean(distances) - 5) < 4 * np.sqrt(10 / 20)


@pytest.fixture(scope="module")
def one_row():
    """Two functions of x matter, one to high degrees; the others do not."""
    truth = torch.zeros(SHAPE, dtype=torch.float64)
    truth[1] = 40 * 0.5 ** torch.arange(N_THETA, dtype=torch.float64)
    truth[2, :2] = torch.tensor([30.0, 8.0], dtype=torch.float64)
    return truth


@pytest.mark.slow
def test_rowwise_prior_beats_no_prior_without_bias(one_row):
    errors = []
    for seed in range(50):
        precision, found = rowwise_prior(*quadratic_model(one_row, seed), N_X, DEGREES)
        assert (precision > 0).all()
        errors.append((found.reshape(SHAPE) - one_row).numpy())
    square = np.square(errors).sum(axis=(1, 2))
    # Without a prior the loss is χ² of 48; the mean of 50 has an error of √(96/50).
    assert square.mean() < 48 - 10 * np.sqrt(96 / 50)
    # High degrees of one sign: the mean error of their sum is a small part of its error, √4,
    # within four errors of the mean.
    of_sum = np.sum(errors, axis=0)[1, 4:].sum() / 50
    assert abs(of_sum) < 0.25 * 2 + 4 * np.sqrt(4 / 50)


def test_rowwise_prior_does_not_depend_on_units(one_row):
    curvature, projection = quadratic_model(one_row, 0)
    _, found = rowwise_prior(curvature, projection, N_X, DEGREES)
    unit = torch.logspace(-1.5, 1.5, N_X, dtype=torch.float64).repeat_interleave(N_THETA)
    scaled = curvature / unit[:, None] / unit
    _, again = rowwise_prior(scaled, projection / unit, N_X, DEGREES)
    torch.testing.assert_close(again / unit, found, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_no_signal_gives_small_couplings():
    truth = torch.zeros(SHAPE, dtype=torch.float64)
    kept = []
    for seed in range(20):
        curvature, projection = quadratic_model(truth, seed)
        _, _, most_probable = evidence_prior(curvature, projection, N_X, DEGREES)
        found = most_probable.reshape(SHAPE)[1:]
        assert torch.isfinite(found).all()
        square = projection.reshape(SHAPE)[1:].square().sum()
        kept.append(float(found.square().sum() / square))
    # Without a prior all of the noise is kept.
    assert np.mean(kept) + 4 * np.std(kept, ddof=1) / np.sqrt(20) < 1


@pytest.mark.slow
def test_rowwise_prior_keeps_little_noise_where_the_signal_is_weak():
    """What falls from degree to degree needs no size of its own for each of them."""
    truth = torch.zeros(SHAPE, dtype=torch.float64)
    truth[1:, 0] = 6.0
    truth[1:, 1] = 1.0
    losses, kept = [], []
    for seed in range(20):
        _, found = rowwise_prior(*quadratic_model(truth, seed), N_X, DEGREES)
        off = found.reshape(SHAPE) - truth
        losses.append(float(off.square().sum()))
        kept.append(float(off[:, 3:].square().sum()))
    # Without a prior 48, and 30 of it in the five highest degrees; ten couplings matter, and
    # each of six rows may keep a half of a further one. The mean of 20 has an error of √(2·10/20).
    # A size for each degree keeps 22, and 9 of it there.
    assert np.mean(losses) < 10 + 3 + 4 * np.sqrt(20 / 20)
    assert np.mean(kept) < 3


@pytest.mark.slow
def test_rows_may_depend_on_few_of_the_parameters():
    terms = [(i, j) for i in range(4) for j in range(4) if 0 < i + j < 4]
    degrees = torch.tensor([*zip(*terms, strict=True), [0] * len(terms)])
    truth = torch.zeros(N_X, len(terms), dtype=torch.float64)
    truth[1, terms.index((1, 0))] = 200.0
    truth[2, [terms.index((0, d)) for d in (1, 2, 3)]] = torch.tensor([200.0, -60.0, 20.0]).double()
    losses = []
    for seed in range(20):
        _, found = rowwise_prior(*quadratic_model(truth, seed), N_X, degrees)
        losses.append(float((found.reshape(truth.shape) - truth)[1:].square().sum()))
    # Of 45 couplings 4 are needed. χ² of 4 has variance 8; that of the sizes doubles it at most.
    assert np.mean(losses) < 2 * (4 + 4 * np.sqrt(8 / 20))
