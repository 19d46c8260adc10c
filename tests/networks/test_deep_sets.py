"""Deep Sets: sums over real particles only, in any order, and apart from θ where that is cheap."""

import math

import numpy as np
import pytest
import torch
from _set_toy import generate
from torch import nn

from skdctr.events.coding import EventCoder
from skdctr.events.tensors import PackedTensors, event_chunks, join_events
from skdctr.networks import DeepSets, SeparableDeepSets, SeparableNetwork, SetEncoder
from skdctr.preprocessing import PackedEvents
from skdctr.training.prediction import predict_logits, to_tensor

CPU = torch.device("cpu")


@pytest.fixture
def seeded():
    """Initialise modules from a fixed seed, and give the global generator back."""
    with torch.random.fork_rng():
        torch.manual_seed(3)  # noqa: TID251 - inside a fork of the generator's state
        yield


@pytest.fixture
def events(rng):
    """Of 0 to 20 particles, on the scale of networks."""
    packed = generate(rng.uniform(-1, 1, 200), rng)
    return EventCoder.fit(packed, np.ones(200))(packed).to_torch()


@pytest.fixture
def theta():
    return torch.linspace(-1, 1, 200)[:, None]


def networks(n_types=3, **options):
    sizes = {"phi_sizes": (16, 8), "hidden_layer_sizes": (16,), "n_types": n_types, **options}
    yield DeepSets(2, 1, activation="silu", **sizes)
    yield DeepSets(2, 1, activation="silu", plain_sums=False, **sizes)
    yield DeepSets(2, 1, activation="silu", theta_input="particle", **sizes)
    yield SeparableDeepSets(
        2, 1, [0.1], feature_terms=[(0,), (2, 3)], parameter_terms=[(0,)], **sizes
    )


def shuffled(x, generator):
    """The same events, the particles of each in another order."""
    keys = x.segments + torch.rand(len(x.features), generator=generator)
    order = keys.argsort()
    types = None if x.types is None else x.types[order]
    return PackedTensors(x.features[order], x.offsets, types, x.n_types)


def assert_close(first, second):
    """To float precision of sums of tens of terms of order one."""
    torch.testing.assert_close(first, second, rtol=2e-5, atol=2e-5)


# --- what a network of sets has to be -------------------------------------------------------


def test_order_of_particles_does_not_matter(events, theta, seeded):
    other = shuffled(events, torch.Generator().manual_seed(1))
    assert not torch.equal(other.features, events.features)
    for network in networks():
        network.standardise(events, theta)
        assert_close(network(other, theta), network(events, theta))


def test_width_of_padding_does_not_matter(rng, seeded):
    padded = np.full((50, 12, 2), np.nan)
    for event, n in enumerate(rng.integers(0, 13, 50)):
        padded[event, :n] = rng.normal(size=(n, 2))
    wider = np.pad(padded, ((0, 0), (5, 34), (0, 0)), constant_values=np.nan)
    narrow, wide = (PackedEvents.from_events(X).to_torch() for X in (padded, wider))
    for network in networks(n_types=0):
        theta = torch.full((50, 1), 0.5)
        assert torch.equal(network(narrow, theta), network(wide, theta))


def test_each_output_is_a_function_of_its_own_event(events, theta, seeded):
    rows = torch.tensor([7, 3, 150])
    for network in networks():
        network.standardise(events, theta)
        assert_close(network(events[rows], theta[rows]), network(events, theta)[rows])
        assert not torch.allclose(network(events, theta), network(events, theta + 1))


def test_the_same_as_a_masked_sum_over_padded_particles(events, seeded):
    """The formula of the papers, F(Σ Φ), written out for padded arrays."""
    network = DeepSets(2, 0, (16, 8), (16,), plain_sums=False)
    x = PackedTensors(events.features, events.offsets)
    room = int(x.counts.max())
    mask = torch.arange(room) < x.counts[:, None]
    padded = torch.zeros(len(x), room, 2)
    padded[mask] = x.features
    latent = (network.encoder.phi(padded) * mask[..., None]).sum(dim=1)
    assert_close(network(x), network.layers(latent).squeeze(1))


def test_default_layers_are_those_of_the_papers(seeded):
    network = DeepSets(4, 2, theta_input="particle", plain_sums=False)

    def shapes(module):
        return [tuple(layer.weight.shape) for layer in module if isinstance(layer, nn.Linear)]

    assert shapes(network.encoder.phi) == [(100, 6), (100, 100), (128, 100)]
    assert shapes(network.layers) == [(100, 128), (100, 100), (100, 100), (1, 100)]
    assert isinstance(network.encoder.phi[-1], nn.ReLU)


def test_arguments(events, seeded):
    with pytest.raises(ValueError, match="theta_input='both' is unknown; known are"):
        DeepSets(2, 1, theta_input="both")
    untyped = PackedTensors(events.features, events.offsets)
    with pytest.raises(ValueError, match="3 particle types, the particles have none"):
        DeepSets(2, n_types=3)(untyped)
    assert DeepSets(2, n_types=3, n_outputs=4)(events).shape == (200, 4)


def test_gradients(seeded):
    counts = torch.tensor([2, 0, 3])
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    network = DeepSets(2, 1, (4,), (4,), "tanh").double()
    theta = torch.rand(3, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, theta: network(PackedTensors(x, offsets), theta), (x, theta)
    )


# --- unusual sets ---------------------------------------------------------------------------


def test_no_particles(events, theta, seeded):
    """An empty set is an event as any other: F of sums that are zero."""
    none = PackedTensors(events.features[:0], torch.zeros(4, dtype=torch.long), events.types[:0], 3)
    mixed = join_events([none, events])
    for network in networks():
        network.standardise(mixed, torch.cat([theta[:3], theta]))
        alone = network(none, theta[:3])
        assert alone.shape == (3,)
        together = network(mixed, torch.cat([theta[:3], theta]))
        assert_close(together[:3], alone)
        assert_close(together[3:], network(events, theta))
    encoder = SetEncoder(2, phi_sizes=(8,), n_types=3)
    assert bool((encoder(none) == 0).all())


def test_500_particles(rng, theta, seeded):
    counts = np.array([3, 500, 0, 7])
    packed = PackedEvents(
        rng.normal(size=(counts.sum(), 2)).astype(np.float32),
        np.concatenate([[0], counts.cumsum()]),
    )
    x = packed.to_torch()
    for network in networks(n_types=0):
        together = predict_logits(network, x, theta[:4], batch_size=16)
        for k in range(4):
            assert_close(together[k : k + 1], network(x[k : k + 1], theta[k : k + 1]))


def test_unknown_types_are_all_alike(rng, theta, seeded):
    packed = generate(np.zeros(200), rng)
    scaling = EventCoder.fit(packed, np.ones(200))
    assert scaling.types.tolist() == [211, 321]
    known = scaling(packed).to_torch()
    assert known.n_types == 3
    assert known.types.unique().tolist() == [0, 1]

    def replaced(code):
        types = np.where(np.arange(packed.n_particles) % 5, packed.types, code).astype(np.int32)
        changed = PackedEvents(packed.features, packed.offsets, None, types)
        return scaling(changed).to_torch()

    codes = [replaced(code).types for code in (13, -211, 2_000_000_000)]
    assert all(torch.equal(code, codes[0]) for code in codes)
    assert int((codes[0] == 2).sum()) == math.ceil(packed.n_particles / 5)
    for network in networks():
        network.standardise(known, theta)
        # Untrained, it must not move the logits by what its weights happen to be.
        encoder = network.encoder
        assert not encoder.embedding.weight[2].any()
        assert encoder.n_sums == 0 or encoder.inverse_scale[4] == 0
        assert bool(network(replaced(13), theta).isfinite().all())


def test_rare_types_share_the_bucket(rng):
    types = np.full(200_000, 211, dtype=np.int32)
    types[:150], types[150:200] = 321, 2212
    packed = PackedEvents(
        np.zeros((200_000, 1), np.float32), np.arange(0, 200_001, 10), None, types
    )
    scaling = EventCoder.fit(packed, np.ones(20_000))
    # 150 particles are enough to learn from, 50 are not.
    assert scaling.types.tolist() == [211, 321]
    assert scaling(packed).types[150:200].tolist() == [2] * 50


# --- scale of the sums ----------------------------------------------------------------------


def test_sums_are_standardised(events, seeded):
    encoder = SetEncoder(2, phi_sizes=(16, 8), n_types=3, activation="silu")
    encoder.standardise(events)
    sums = encoder(events).detach()
    constant = encoder.inverse_scale == 0
    assert constant.nonzero().flatten().tolist() == [4]
    assert not sums[:, constant].any()
    torch.testing.assert_close(sums.mean(dim=0), torch.zeros(13), atol=1e-4, rtol=0)
    scale = sums[:, ~constant].std(dim=0, correction=0)
    torch.testing.assert_close(scale, torch.ones(12), atol=1e-4, rtol=0)


def test_one_set_of_many_particles_does_not_decide_the_scale(rng, seeded):
    counts = rng.poisson(10, 2000)
    scales = []
    for largest in (10, 100_000):
        counts[7] = largest
        offsets = np.concatenate([[0], np.cumsum(counts)])
        packed = PackedEvents(rng.normal(size=(offsets[-1], 1)).astype(np.float32), offsets)
        encoder = SetEncoder(1, phi_sizes=(4,))
        encoder.standardise(packed.to_torch())
        scales.append(1 / encoder.inverse_scale[1])
    # The number of particles, whose spread is √10; the error of a spread is 1/√(2 n) of it.
    assert float(scales[0]) == pytest.approx(np.sqrt(10), rel=4 / np.sqrt(4000))
    assert float(scales[1]) == pytest.approx(float(scales[0]), rel=0.01)


def test_plain_sums(events, seeded):
    encoder = SetEncoder(2, phi_sizes=(4,), n_types=3)
    sums = encoder(events)[:, :5]
    for k in (0, 17, 199):
        one = events[k : k + 1]
        expected = torch.cat([one.features.sum(dim=0), one.types.bincount(minlength=3)])
        torch.testing.assert_close(sums[k], expected, rtol=1e-5, atol=1e-5)
    untyped = SetEncoder(2, phi_sizes=(4,))(PackedTensors(events.features, events.offsets))
    assert torch.equal(untyped[:, 2], events.counts.float())


# --- separation from θ -----------------------------------------------------------------------


def test_separable_is_exactly_zero_at_nominal(events, seeded):
    *_, network = networks()
    network.standardise(events)
    network.coupling.normal_()
    assert isinstance(network, SeparableNetwork)
    assert bool((network(events, torch.full((200, 1), 0.1)) == 0).all())
    assert bool((network(events, torch.full((200, 1), 0.3)) != 0).all())


def test_functions_of_the_events_serve_any_theta(events, theta, seeded):
    for network in networks():
        network.standardise(events, theta)
        if not network.has_event_functions:
            assert network.theta_per_particle
            continue
        functions = network.event_functions(events)
        for shift in (0.0, 0.5):
            assert_close(
                network.from_functions(functions, theta + shift), network(events, theta + shift)
            )


def test_free_reference(events, theta, seeded):
    network = SeparableDeepSets(2, 1, [0.0], (8,), (8,), n_types=3, free_reference=True)
    difference = network(events, theta) - network.log_ratio(events, theta)
    assert_close(difference, network.g(network.encode(events)).squeeze(1))


# --- packed tensors --------------------------------------------------------------------------


def test_rows_of_tensors(events):
    mask = torch.arange(200) % 3 == 0
    index = mask.nonzero().squeeze(1)
    for rows in (mask, index, index.numpy(), mask.numpy()):
        chosen = events[rows]
        assert torch.equal(chosen.counts, events.counts[mask])
        assert torch.equal(chosen.features, events.features[mask[events.segments]])
        assert torch.equal(chosen.types, events.types[mask[events.segments]])
        assert chosen.n_types == 3
    assert torch.equal(events.index_select(0, index).features, events[mask].features)
    with pytest.raises(ValueError, match="dim is 1"):
        events.index_select(1, index)


@pytest.mark.parametrize("size", [1, 7, 200, 1000])
def test_split_and_join(events, size):
    parts = list(events.split(size))
    assert [len(part) for part in parts] == [len(p) for p in torch.arange(200).split(size)]
    again = join_events(parts)
    for name in ("features", "offsets", "types"):
        assert torch.equal(getattr(again, name), getattr(events, name))
    assert again.n_types == 3
    assert parts[0].features.data_ptr() == events.features.data_ptr()


@pytest.mark.parametrize("n_rows", [1, 20, 100, 10**6])
def test_chunks_are_bounded_by_particles(rng, n_rows):
    counts = rng.choice([0, 1, 5, 30], 300)
    counts[[20, 21, 299]] = 500, 0, 500
    offsets = np.concatenate([[0], counts.cumsum()])
    x = PackedEvents(np.zeros((offsets[-1], 1), np.float32), offsets).to_torch()
    rows, parts = zip(*event_chunks(x, n_rows), strict=True)
    assert [slice_.start for slice_ in rows] == [0, *(slice_.stop for slice_ in rows[:-1])]
    assert rows[-1].stop == 300
    for part in parts:
        assert len(part) == 1 or len(part.features) <= n_rows
        assert len(part) <= max(1, n_rows)
    assert sum(len(part.features) for part in parts) == offsets[-1]
    assert not list(event_chunks(x[:0], n_rows))


def test_sums_have_the_same_bits_in_any_company(events):
    values = torch.randn(len(events.features), 8, generator=torch.Generator().manual_seed(0))
    together = events.sum_particles(values)
    for k in (0, 50, 199):
        one = slice(*events.offsets[[k, k + 1]].tolist())
        assert torch.equal(events[k : k + 1].sum_particles(values[one])[0], together[k])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(events, theta, seeded):
    for network in networks():
        network.standardise(events, theta)
        expected = network(events, theta)
        moved = PackedTensors(
            events.features.cuda(), events.offsets.cuda(), events.types.cuda(), events.n_types
        )
        found = predict_logits(network.cuda(), moved, theta.cuda(), batch_size=64)
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-4)


def test_to_tensor(rng):
    packed = generate(np.zeros(5), rng)
    assert isinstance(to_tensor(packed, CPU), PackedTensors)
