"""Networks of events that are sets of particles: Deep Sets, or particle flow networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skdctr._utils.arguments import check_choice, check_flag
from skdctr.events.core import core_edges, most_outliers
from skdctr.events.tensors import PackedTensors, set_chunks
from skdctr.networks.checks import check_inputs, check_rows, check_sets, check_sizes
from skdctr.networks.layers import ACTIVATIONS, fully_connected
from skdctr.networks.separable import SeparableNetwork

__all__ = ["DeepSets", "SeparableDeepSets", "SetEncoder"]

# Particles that Φ is evaluated on at once when its sums are standardised.
_CHUNK_PARTICLES = 1 << 13
# Number of events that the scale of Φ's sums is taken from; that of plain sums is taken from all.
_LATENT_EVENTS = 10_000
# Least scale of a number of particles. Numbers of rare particles have so small a spread that one
# particle more would be a huge step.
_LEAST_COUNT_SCALE = 0.25


class SetEncoder(nn.Module):
    """What a network sees of a set: sums over its particles, standardised.

    Columns are the plain sums of each feature, the number of particles of each type, or of all
    where there are no types, and the sums of learned functions Φ of each particle. No padding
    takes part, and the order of the particles does not matter.

    Parameters
    ----------
    n_features : int
        Features of a particle, its type not counted.
    n_parameters : int, default=0
        Parameters θ that are inputs of Φ.
    phi_sizes : sequence of int, default=(100, 100, 128)
        Nodes of the layers of Φ; those of the last layer are summed.
    activation : str, default="relu"
        A key of `ACTIVATIONS`; it follows each layer of Φ.
    n_types : int, default=0
        Codes of particle types, 0 to ``n_types - 1``; the last one stands for all types that are
        unknown. 0 for particles without types.
    embedding_size : int, default=4
        Numbers that a type is embedded in.
    plain_sums : bool, default=True
        Whether to have the plain sums beside those of Φ.
    """

    def __init__(
        self,
        n_features: int,
        n_parameters: int = 0,
        phi_sizes: Sequence[int] = (100, 100, 128),
        activation: str = "relu",
        n_types: int = 0,
        embedding_size: int = 4,
        plain_sums: bool = True,
    ) -> None:
        super().__init__()
        phi_sizes = check_sizes(
            "phi_sizes",
            phi_sizes,
            activation,
            n_features=(n_features, 1),
            n_parameters=(n_parameters, 0),
            n_types=(n_types, 0),
            embedding_size=(embedding_size, 1),
        )
        if not phi_sizes:
            raise ValueError("phi_sizes is empty; expected one layer at least, e.g. (32, 32).")
        check_flag("plain_sums", plain_sums)
        self.n_parameters = n_parameters
        self.n_features, self.n_types = n_features, n_types
        self.n_sums = n_features + max(n_types, 1) if plain_sums else 0
        self.n_outputs = self.n_sums + phi_sizes[-1]
        self.embedding = None
        if n_types:
            self.embedding = nn.Embedding(n_types, embedding_size)
            # The code of unknown types stays at zero unless training has such particles.
            nn.init.zeros_(self.embedding.weight[-1])
        n_inputs = n_features + n_parameters + (embedding_size if n_types else 0)
        self.phi = nn.Sequential(
            *fully_connected((n_inputs, *phi_sizes), activation), ACTIVATIONS[activation]()
        )
        self.shift: Tensor
        self.register_buffer("shift", torch.zeros(self.n_outputs))
        self.inverse_scale: Tensor
        self.register_buffer("inverse_scale", torch.ones(self.n_outputs))

    def _plain_sums(self, x: PackedTensors, segments: Tensor) -> Tensor:
        """Sum the features, and count the particles of each type: n sets to (n, n_sums)."""
        if self.n_types and x.types is not None:
            cells = segments * self.n_types + x.types
            ones = x.features.new_ones(1).expand(len(cells))
            counts = x.features.new_zeros(len(x) * self.n_types).index_add(0, cells, ones)
            counts = counts.view(len(x), self.n_types)
        else:
            counts = x.counts[:, None].to(x.features.dtype)
        return torch.cat([x.sum_particles(x.features, segments), counts], dim=1)

    def _latent_sums(self, x: PackedTensors, segments: Tensor, theta: Tensor | None) -> Tensor:
        """Sum Φ over the particles: n sets to (n, phi_sizes[-1])."""
        inputs = [x.features]
        if self.embedding is not None:
            if x.types is None:
                raise ValueError(
                    f"The network has {self.n_types} particle types, the particles have none."
                )
            inputs.append(self.embedding.weight.index_select(0, x.types))
        if theta is not None:
            inputs.append(theta.index_select(0, segments))
        return x.sum_particles(self.phi(torch.cat(inputs, dim=1)), segments)

    def _check(self, x: Any, theta: Any) -> None:
        """Refuse what are no sets of the network's features, or no θ of each of them."""
        check_sets(x, self.n_features)
        if self.n_parameters and theta is not None:
            check_rows("theta", theta, self.n_parameters)
            if len(theta) != len(x):
                raise ValueError(f"theta has {len(theta)} rows for {len(x)} events; one for each.")

    def _sums(self, x: PackedTensors, theta: Tensor | None) -> Tensor:
        """Put the plain sums, where there are some, before those of Φ: n sets to (n, n_outputs)."""
        self._check(x, theta)
        segments = x.segments
        latent = self._latent_sums(x, segments, theta)
        return torch.cat([self._plain_sums(x, segments), latent], dim=1) if self.n_sums else latent

    @torch.no_grad()
    def standardise(self, x: PackedTensors, theta: Tensor | None = None) -> None:
        """Take mean and scale of the sums from a sample, Φ being as it is before training.

        A few events with far larger sums, such as one of ten thousand particles, do not count.

        Sums that do not vary, such as the number of particles of a type that the sample never has,
        are set to zero.

        Parameters
        ----------
        x : PackedTensors of n events
            The sample.
        theta : Tensor of shape (n, p), optional
            Parameters of each event, which are needed if Φ has θ as inputs.
        """
        self._check(x, theta)
        # The events are taken from all over the sample, which may be in the order of θ.
        n_some = min(len(x), _LATENT_EVENTS)
        some = torch.linspace(0, len(x) - 1, n_some, dtype=torch.float64, device=x.device).long()
        part, given = x[some], None if theta is None else theta[some]
        columns = [
            torch.cat(
                [
                    self._latent_sums(chunk, chunk.segments, None if given is None else given[rows])
                    for rows, chunk in set_chunks(part, _CHUNK_PARTICLES)
                ]
            )
        ]
        if self.n_sums:
            columns.insert(0, self._plain_sums(x, x.segments))
        shift, scale = (torch.cat(each) for each in zip(*map(_core_moments, columns), strict=True))
        # The spread of a constant is what rounding leaves.
        varies = scale > 1e-6 * shift.abs().clamp_min(1.0)
        least = torch.zeros_like(scale)
        least[self.n_features : self.n_sums] = _LEAST_COUNT_SCALE
        self.shift.copy_(shift)
        self.inverse_scale.copy_(torch.where(varies, 1 / scale.clamp_min(least), 0.0))

    def forward(self, x: PackedTensors, theta: Tensor | None = None) -> Tensor:
        """Map n sets, and θ (n, p) where Φ has it as input, to standardised sums (n, n_outputs)."""
        return (self._sums(x, theta) - self.shift) * self.inverse_scale


class DeepSets(nn.Module):
    r"""Particle flow network: :math:`F(\sum_i Φ(p_i))` of the particles of each set.

    Parameters
    ----------
    n_features : int
        Features of a particle, its type not counted.
    n_parameters : int, default=0
        Parameters θ; 0 for a classifier that knows of none.
    phi_sizes : sequence of int, default=(100, 100, 128)
        Nodes of the layers of Φ; those of the last layer are summed.
    hidden_layer_sizes : sequence of int, default=(100, 100, 100)
        Nodes of each hidden layer of F.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    n_types : int, default=0
        Codes of particle types, the last of which stands for all types that are unknown.
    embedding_size : int, default=4
        Numbers that a type is embedded in, which are learned with the rest.
    theta_input : {"event", "particle"}, default="event"
        Whether θ enters F once for an event, or Φ with each particle, as in the papers. The former
        is as accurate, and every further θ of the same events costs F alone.
    plain_sums : bool, default=True
        Whether F sees the sums of the features and the numbers of particles beside the sums of Φ.
        The papers' network has none.
    n_outputs : int or None, default=None
        Number of values of an event, for a regression; None is one logit.

    Raises
    ------
    ValueError
        If `theta_input` is none of the two.

    References
    ----------
    P. Komiske, E. Metodiev and J. Thaler, arXiv:1810.05165, Eq. 1.2; M. Zaheer et al.,
    arXiv:1703.06114; with θ arXiv:1907.08209.
    """

    takes_sets = True

    def __init__(
        self,
        n_features: int,
        n_parameters: int = 0,
        phi_sizes: Sequence[int] = (100, 100, 128),
        hidden_layer_sizes: Sequence[int] = (100, 100, 100),
        activation: str = "relu",
        n_types: int = 0,
        embedding_size: int = 4,
        theta_input: str = "event",
        plain_sums: bool = True,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        check_choice("theta_input", theta_input, ("event", "particle"))
        nodes = check_sizes(
            "hidden_layer_sizes",
            hidden_layer_sizes,
            activation,
            n_parameters=(n_parameters, 0),
            n_outputs=(1 if n_outputs is None else n_outputs, 1),
        )
        # If Φ does not have θ as input, the sums serve any θ.
        self.has_event_functions = theta_input == "event" and n_parameters > 0
        self.theta_per_particle = theta_input == "particle" and n_parameters > 0
        self.n_outputs = n_outputs
        self.encoder = SetEncoder(
            n_features,
            n_parameters if self.theta_per_particle else 0,
            phi_sizes,
            activation,
            n_types,
            embedding_size,
            plain_sums,
        )
        n_inputs = self.encoder.n_outputs + (n_parameters if self.has_event_functions else 0)
        self.layers = fully_connected((n_inputs, *nodes, n_outputs or 1), activation)

    def standardise(self, x: PackedTensors, theta: Tensor | None = None) -> None:
        """Take the scale of the sums from a sample; see `SetEncoder.standardise`."""
        self.encoder.standardise(x, theta if self.theta_per_particle else None)

    def event_functions(self, x: PackedTensors) -> Tensor:
        """Compute the sums over particles, which are functions of the events: n sets to (n, k)."""
        sums: Tensor = self.encoder(x)
        return sums

    def from_functions(self, functions: Tensor, theta: Tensor | None = None) -> Tensor:
        """Apply F to sums (n, k) and θ (n, p)."""
        check_inputs(functions, theta, self.layers, name="functions")
        inputs = functions if theta is None else torch.cat([functions, theta], dim=1)
        values: Tensor = self.layers(inputs)
        return values.squeeze(1) if self.n_outputs is None else values

    def forward(self, x: PackedTensors, theta: Tensor | None = None) -> Tensor:
        """Map n sets and θ (n, p) to one logit per event, (n,), or to values, (n, n_outputs)."""
        if self.theta_per_particle:
            return self.from_functions(self.encoder(x, theta))
        return self.from_functions(self.encoder(x), theta)


class SeparableDeepSets(SeparableNetwork):
    """`SeparableNetwork` of sets, with functions of sums over particles as in `DeepSets`.

    The sums of the features and the numbers of particles take the place of the features in the
    monomials. What is computed of the particles does not depend on θ, so that the weights at every
    further θ cost one matrix product.

    Parameters
    ----------
    n_features, n_types, phi_sizes, embedding_size
        As in `DeepSets`.
    n_parameters, theta_nominal, hidden_layer_sizes, activation, rank, free_reference
        As in `SeparableNetwork`.
    feature_terms, parameter_terms, further_parameter_terms : sequence of tuple of int, default=()
        As in `SeparableNetwork`. Indices in monomials of x are those of the features, followed by
        those of the particle types, or of the number of particles where there are no types.
    """

    takes_sets = True

    def __init__(
        self,
        n_features: int,
        n_parameters: int,
        theta_nominal: Sequence[float],
        phi_sizes: Sequence[int] = (100, 100, 128),
        hidden_layer_sizes: Sequence[int] = (32, 32),
        activation: str = "silu",
        n_types: int = 0,
        embedding_size: int = 4,
        rank: int = 4,
        feature_terms: Sequence[tuple[int, ...]] = (),
        parameter_terms: Sequence[tuple[int, ...]] = (),
        further_parameter_terms: Sequence[tuple[int, ...]] = (),
        free_reference: bool = False,
    ) -> None:
        encoder = SetEncoder(n_features, 0, phi_sizes, activation, n_types, embedding_size)
        super().__init__(
            encoder.n_outputs,
            n_parameters,
            theta_nominal,
            hidden_layer_sizes,
            activation,
            rank,
            feature_terms,
            parameter_terms,
            further_parameter_terms,
            free_reference,
        )
        self.encoder = encoder

    def standardise(self, x: PackedTensors, theta: Tensor | None = None) -> None:
        """Take the scale of the sums from a sample; see `SetEncoder.standardise`."""
        self.encoder.standardise(x)

    def encode(self, x: PackedTensors) -> Tensor:
        """Compute the standardised sums over particles: n sets to (n, k)."""
        sums: Tensor = self.encoder(x)
        return sums


def _core_moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of columns, (n, k), without a few outliers."""
    values = values.double()
    mean, deviation = values.mean(dim=0), values.std(dim=0, correction=0)
    ordered = values.sort(dim=0).values.cpu().numpy()
    for k, column in enumerate(ordered.T):
        low, high = core_edges(column, np.ones(len(column)))
        core = column[(column >= low) & (column <= high)]
        if 0 < len(column) - len(core) <= most_outliers(len(column)):
            mean[k], deviation[k] = float(core.mean()), float(core.std())
    return mean, deviation
