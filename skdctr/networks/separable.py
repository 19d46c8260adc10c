"""Networks that separate into functions of x and functions of θ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skdctr._utils.arguments import check_finite, check_flag
from skdctr.networks.checks import check_inputs, check_rows, check_sizes, check_terms
from skdctr.networks.layers import fully_connected

__all__ = [
    "Dictionary",
    "SeparableNetwork",
    "determined_terms",
    "dictionary_terms",
    "monomial_exponents",
    "monomials",
]

# Highest degree of a polynomial in θ.
_HIGHEST_DEGREE = 8
# Monomials whose variance is that of fewer events than this are left out.
_LEAST_EVENTS = 10
# Rows whose monomials are computed at once, so that they take little memory.
_MOMENT_ROWS = 1 << 14

Terms = tuple[tuple[int, ...], ...]


def monomial_exponents(n_variables: int, degree: int, *, cross_terms: bool = True) -> Terms:
    """List the variables of each monomial of degree 1 to `degree`.

    Parameters
    ----------
    n_variables, degree : int
        Number of variables, and highest degree.
    cross_terms : bool, default=True
        Whether to have products of several variables beside the powers of each.

    Returns
    -------
    tuple of tuple of int
        Indices of the factors of each monomial, e.g. (0, 0, 1) for z₀²z₁.
    """
    if cross_terms:
        return tuple(
            term
            for d in range(1, degree + 1)
            for term in itertools.combinations_with_replacement(range(n_variables), d)
        )
    return tuple((k,) * d for d in range(1, degree + 1) for k in range(n_variables))


class Dictionary(NamedTuple):
    """Terms of a `SeparableNetwork`, which has arguments of these names."""

    feature_terms: Terms
    parameter_terms: Terms
    further_parameter_terms: Terms


def dictionary_terms(
    n_features: int, n_parameters: int, rank: int, *, budget: int = 600
) -> Dictionary:
    """Choose the terms in x and θ of a `SeparableNetwork`, as many as a budget allows.

    A refit without learned functions of x has room for more terms in θ, which are listed as further
    ones. Densities with a pole beyond the range of a parameter, such as that of a correlation, need
    high powers of it, but of one parameter at a time.

    Parameters
    ----------
    n_features, n_parameters, rank : int
        As in `SeparableNetwork`.
    budget : int
        Largest number of couplings. The cost of their refit grows as its square times the events.

    Returns
    -------
    Dictionary
        The terms; there are none where even the fewest exceed the budget.
    """
    features = [
        monomial_exponents(n_features, 2),
        monomial_exponents(n_features, 2, cross_terms=False),
        monomial_exponents(n_features, 1),
        (),
    ]
    # Parameters stay within [-1, 1], where high degrees are harmless; features do not.
    degrees = range(_HIGHEST_DEGREE, 0, -1)
    for feature_terms, degree in itertools.product(features, degrees):
        parameter_terms = monomial_exponents(n_parameters, degree)
        if (1 + len(feature_terms) + rank) * (1 + len(parameter_terms) + rank) <= budget:
            break
    else:
        return Dictionary((), (), ())
    further: Terms = ()
    for degree in degrees if feature_terms else ():
        terms = monomial_exponents(n_parameters, degree)
        room = budget // (1 + len(feature_terms)) - len(terms)
        if room >= 0:
            powers = range(degree + 1, min(_HIGHEST_DEGREE, degree + room // n_parameters) + 1)
            terms += tuple((k,) * power for power in powers for k in range(n_parameters))
            further = tuple(term for term in terms if term not in set(parameter_terms))
            break
    return Dictionary(feature_terms, parameter_terms, further)


@torch.no_grad()
def determined_terms(terms: Terms, x: Tensor) -> Terms:
    """Leave out monomials whose variance is that of a handful of events.

    The coupling of a flag that three events have, or of the tail of a Cauchy distribution, would be
    fitted to the θ of these events alone, and extrapolate wherever else the monomial is large.

    Parameters
    ----------
    terms : sequence of tuple of int
        Monomials, as in `SeparableNetwork`.
    x : Tensor of shape (n, n_features)
        Standardised events.

    Returns
    -------
    tuple of tuple of int
        The monomials that are kept.
    """
    if not terms:
        return terms
    moments = torch.zeros(4, len(terms), dtype=torch.float64, device=x.device)
    for rows in x.split(_MOMENT_ROWS):
        values = power = monomials(rows, terms).double()
        for moment in moments:
            moment += power.sum(dim=0)
            power = power * values
    first, second, third, fourth = moments / len(x)
    variance = second - first**2
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    # The number of equal events that would have the same variance and fourth moment.
    n_events = len(x) * variance**2 / central.clamp_min(1e-300)
    kept = (variance > 1e-9 * second) & (n_events >= _LEAST_EVENTS)
    return tuple(term for term, keep in zip(terms, kept.tolist(), strict=True) if keep)


def monomials(z: Tensor, terms: Sequence[tuple[int, ...]]) -> Tensor:
    """Evaluate products of the columns of z, (n, k), to (n, terms)."""
    columns = z.unbind(dim=1)
    return torch.stack(
        [math.prod([columns[k] for k in term[1:]], start=columns[term[0]]) for term in terms], dim=1
    )


def _chebyshev(z: Tensor, terms: Sequence[tuple[int, ...]]) -> Tensor:
    """Evaluate products of Chebyshev polynomials of the columns of z, (n, k), to (n, terms).

    Each term is a product of one polynomial in each variable, whose degree is the number of times
    that the variable is among the term's factors.
    """
    degree = max(map(len, terms))
    polynomials = [torch.ones_like(z), z]
    for _ in range(degree - 1):
        polynomials.append(2 * z * polynomials[-1] - polynomials[-2])
    columns = []
    for term in terms:
        factors = [polynomials[term.count(k)][:, k] for k in sorted(set(term))]
        columns.append(torch.stack(factors).prod(dim=0))
    return torch.stack(columns, dim=1)


class SeparableNetwork(nn.Module):
    r"""Log density ratio as a sum of products of functions of x and of θ.

    .. math:: \log w(x, θ) = \sum_{kl} B_k(x)\, C_{kl}\, (A_l(θ) - A_l(θ_0))

    B holds 1, monomials of x and learned functions b(x); A holds Chebyshev polynomials of θ and
    learned functions a(θ). The ratio is exactly 1 at θ₀. Once B(x) is computed, the weights at
    every further θ are one matrix product. Exponential families are exact within this form.

    Parameters
    ----------
    n_features, n_parameters : int
        Features of an event and parameters θ.
    theta_nominal : sequence of float of length n_parameters
        Nominal θ₀, on the scale of the network's inputs.
    hidden_layer_sizes : sequence of int, default=(32, 32)
        Nodes of each hidden layer, of b and of a alike.
    activation : str, default="silu"
        A key of `ACTIVATIONS`.
    rank : int, default=4
        Number of learned functions of x, and of learned functions of θ.
    feature_terms, parameter_terms : sequence of tuple of int, default=()
        Monomials of x, each as the indices of its factors, and products of Chebyshev polynomials
        of θ, whose degrees are given in the same way.
    further_parameter_terms : sequence of tuple of int, default=()
        Such products of polynomials of θ that only the monomials of x are coupled with.
    free_reference : bool, default=False
        Whether to add a function of x alone to the logit. Training against a mixture of all θ
        needs it; it cancels in the ratio to θ₀.
    """

    def __init__(
        self,
        n_features: int,
        n_parameters: int,
        theta_nominal: Sequence[float],
        hidden_layer_sizes: Sequence[int] = (32, 32),
        activation: str = "silu",
        rank: int = 4,
        feature_terms: Sequence[tuple[int, ...]] = (),
        parameter_terms: Sequence[tuple[int, ...]] = (),
        further_parameter_terms: Sequence[tuple[int, ...]] = (),
        free_reference: bool = False,
    ) -> None:
        super().__init__()
        nodes = check_sizes(
            "hidden_layer_sizes",
            hidden_layer_sizes,
            activation,
            n_features=(n_features, 1),
            n_parameters=(n_parameters, 1),
            rank=(rank, 1),
        )
        check_flag("free_reference", free_reference)
        nominal = check_finite("theta_nominal", theta_nominal, (n_parameters,))
        self.feature_terms = check_terms("feature_terms", feature_terms, n_features)
        self.parameter_terms = check_terms("parameter_terms", parameter_terms, n_parameters)
        self.further_parameter_terms = check_terms(
            "further_parameter_terms", further_parameter_terms, n_parameters
        )
        self.rank = rank
        self.b: nn.Module = fully_connected((n_features, *nodes, rank), activation)
        self.a = fully_connected((n_parameters, *nodes, rank + 1), activation)
        self.g = fully_connected((n_features, *nodes, 1), activation) if free_reference else None
        self.theta_nominal: Tensor
        self.register_buffer("theta_nominal", torch.as_tensor(nominal[None]).float())
        n_polynomials = len(self.polynomials)
        coupling = torch.zeros(1 + len(self.feature_terms) + rank, n_polynomials + rank + 1)
        # Each learned b meets its own a; the constant meets the last a, which normalises.
        for k in range(rank):
            coupling[1 + len(self.feature_terms) + k, n_polynomials + k] = 1.0
        coupling[0, -1] = 1.0
        # Training leaves it as it is, as b and a absorb it. The refit replaces it, and couples the
        # monomials too.
        self.coupling: Tensor
        self.register_buffer("coupling", coupling)
        # After a refit these are the columns that it has fitted, and the posterior covariance of
        # the couplings in them: of the first rows in these columns, flattened.
        self.coupled_columns: Tensor | None
        self.register_buffer("coupled_columns", None)
        self.coupling_covariance: Tensor | None
        self.register_buffer("coupling_covariance", None)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        # A network that was refitted has two more tensors, which torch would not expect.
        for name in ("coupled_columns", "coupling_covariance"):
            given = state_dict.get(prefix + name)
            room = None if given is None else torch.empty_like(given, device=self.coupling.device)
            setattr(self, name, room)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def polynomials(self) -> Terms:
        """Terms of the first columns of the couplings; those of learned functions of θ follow."""
        return self.parameter_terms + self.further_parameter_terms

    takes_sets = False
    # Once computed, the functions of x serve any θ.
    has_event_functions = True

    def encode(self, x: Any) -> Tensor:
        """Turn events into the features that all functions of x see."""
        if isinstance(self.b, nn.Sequential):
            check_inputs(x, None, self.b)
        features: Tensor = x
        return features

    def event_functions(self, x: Any) -> Tensor:
        """Evaluate B(x): n events to (n, 1 + terms + rank)."""
        return self._functions_of(self.encode(x))

    def _functions_of(self, features: Tensor) -> Tensor:
        """Evaluate 1, the monomials and b on encoded events, (n, k), to (n, 1 + terms + rank)."""
        parts = [torch.ones_like(features[:, :1]), self.b(features)]
        if self.feature_terms:
            parts.insert(1, monomials(features, self.feature_terms))
        return torch.cat(parts, dim=1)

    def parameter_functions(self, theta: Tensor, *, learned: bool = True) -> Tensor:
        """Evaluate A(θ) − A(θ₀).

        Parameters
        ----------
        theta : Tensor of shape (m, p)
            Parameters, on the scale of the network's inputs.
        learned : bool, default=True
            Whether to have the learned functions too, or the polynomials alone.

        Returns
        -------
        Tensor of shape (m, terms + rank + 1), or (m, terms)
        """
        check_inputs(theta, None, self.a, name="theta")
        both = torch.cat([theta, self.theta_nominal])
        parts = [_chebyshev(both, self.polynomials)] if self.polynomials else []
        if learned:
            parts.append(self.a(both))
        values = torch.cat(parts, dim=1)
        return values[:-1] - values[-1:]

    def event_coefficients(self, theta: Tensor) -> Tensor:
        """Evaluate C (A(θ) − A(θ₀)), the coefficients of B(x) in log w: (m, p) to (m, k)."""
        return self.parameter_functions(theta) @ self.coupling.T

    def from_functions(self, functions: Tensor, theta: Tensor) -> Tensor:
        """Compute log w, (n,), from B(x) (n, k) and θ (n, p)."""
        check_rows("functions", functions, self.coupling.shape[0])
        check_rows("theta", theta, n_rows=len(functions), of="x (or functions)")
        return (functions * self.event_coefficients(theta)).sum(dim=1)

    def log_ratio(self, x: Any, theta: Tensor) -> Tensor:
        """Compute log w(x, θ), (n,), without the function of x alone."""
        return self.from_functions(self.event_functions(x), theta)

    def forward(self, x: Any, theta: Tensor) -> Tensor:
        """Map n events and θ (n, p) to one logit per event, (n,)."""
        features = self.encode(x)
        logit = self.from_functions(self._functions_of(features), theta)
        return logit if self.g is None else logit + self.g(features).squeeze(1)
