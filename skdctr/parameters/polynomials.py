"""Polynomials in θ, and the interpolation between nodes by them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from skdctr._utils.typing import FloatArray
from skdctr.parameters.cells import distinct_theta

__all__ = ["Product", "Selection", "ThetaBasis", "exponents", "interpolate"]

# Degree of the polynomial that interpolates between the nodes, by the number of parameters. It is 3
# if there are more.
_INTERPOLATION_DEGREE = {1: 10, 2: 6, 3: 4}


def exponents(p: int, degree: int) -> list[tuple[int, ...]]:
    """List the terms of p parameters up to a total degree, as the degrees in each parameter."""
    return [term for term in itertools.product(range(degree + 1), repeat=p) if sum(term) <= degree]


@dataclass(frozen=True)
class ThetaBasis:
    """Products of Chebyshev polynomials in θ, which is mapped to [-1, 1] over a box.

    Attributes
    ----------
    centre, half : ndarray of shape (p,)
        Centre of the box, and half its width in each parameter.
    terms : list of tuple of int of length p
        Degrees of each product in every parameter.
    """

    centre: FloatArray
    half: FloatArray
    terms: list[tuple[int, ...]]

    @classmethod
    def over(cls, theta: FloatArray, degree: int) -> ThetaBasis:
        """Make the products up to a total degree, over the range of θ, (n, p)."""
        low, high = theta.min(axis=0), theta.max(axis=0)
        half = np.where(high > low, (high - low) / 2, 1.0)
        return cls((low + high) / 2, half, exponents(theta.shape[1], degree))

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Evaluate the products at θ: (n, p) to (n, terms)."""
        u = (theta - self.centre) / self.half
        degree = max(max(term) for term in self.terms)
        polynomials = chebyshev.chebvander(u, degree)
        columns = [
            np.prod([polynomials[:, k, d] for k, d in enumerate(term)], axis=0)
            for term in self.terms
        ]
        return np.stack(columns, axis=1)


class Selection:
    """The matrix that takes one node for each event, kept as the nodes' places.

    Parameters
    ----------
    places : ndarray of int of shape (n,)
        Which node each event takes.
    n_nodes : int
        Number of nodes.
    """

    def __init__(self, places: NDArray[np.intp], n_nodes: int) -> None:
        self.places, self.n_nodes = places, n_nodes

    def __matmul__(self, values: FloatArray) -> FloatArray:
        taken: FloatArray = values[self.places]
        return taken

    @property
    def T(self) -> _TransposedSelection:  # noqa: N802 - named as of any matrix
        """The transposed matrix, which sums values of events over each node."""
        return _TransposedSelection(self)


class _TransposedSelection:
    """The matrix that sums values of events, (n, k), over each node."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def __matmul__(self, values: FloatArray) -> FloatArray:
        return np.stack(
            [
                np.bincount(self.selection.places, column, self.selection.n_nodes)
                for column in values.T
            ],
            axis=1,
        )


class Product:
    """A matrix that is the product of two, kept as such.

    Parameters
    ----------
    left, right : ndarray of shape (n, r) and (r, q)
        The two matrices.
    """

    def __init__(self, left: FloatArray, right: FloatArray) -> None:
        self.left, self.right = left, right

    def __matmul__(self, values: FloatArray) -> FloatArray:
        product: FloatArray = self.left @ (self.right @ values)
        return product

    @property
    def T(self) -> Product:  # noqa: N802 - named as of any matrix
        """The transposed matrix."""
        return Product(self.right.T, self.left.T)


def interpolate(nodes: FloatArray, theta: FloatArray) -> Selection | Product:
    """Find the matrix that takes values at the nodes to values at each event's θ.

    Parameters
    ----------
    nodes : ndarray of shape (q, p)
        Values of θ where a function is known.
    theta : ndarray of shape (n, p)
        Values of θ where it is wanted.

    Returns
    -------
    matrix of shape (n, q)
        A `Selection` of the nodes themselves where θ has no other values. Otherwise a `Product`
        that evaluates a polynomial, fitted to the nodes within the range of θ.
    """
    known = {tuple(node): k for k, node in enumerate(nodes)}
    few = distinct_theta(theta, len(nodes))
    if few is not None and all(tuple(row) in known for row in few[0]):
        places = np.array([known[tuple(row)] for row in few[0]])[few[1]]
        return Selection(places, len(nodes))
    low, high = theta.min(axis=0), theta.max(axis=0)
    inside = ((nodes >= low) & (nodes <= high)).all(axis=1)
    p = theta.shape[1]
    degree = _INTERPOLATION_DEGREE.get(p, 3)
    while degree > 1 and 2 * len(exponents(p, degree)) > inside.sum():
        degree -= 1
    basis = ThetaBasis.over(theta, degree)
    at_nodes = basis(nodes[inside])
    solve = np.zeros((len(basis.terms), len(nodes)))
    solve[:, inside] = np.linalg.pinv(at_nodes)
    return Product(basis(theta), solve)
