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

# Degree of the polynomial that interpolates between the nodes.
_INTERPOLATION_DEGREE = {1: 10, 2: 6, 3: 4}


def exponents(p: int, degree: int) -> list[tuple[int, ...]]:
    """List the degrees in each parameter of all terms up to a total degree."""
    return [term for term in itertools.product(range(degree + 1), repeat=p) if sum(term) <= degree]


@dataclass(frozen=True)
class ThetaBasis:
    """Products of Chebyshev polynomials in θ, mapped to [-1, 1] over a box."""

    centre: FloatArray
    half: FloatArray
    terms: list[tuple[int, ...]]

    @classmethod
    def over(cls, theta: FloatArray, degree: int) -> ThetaBasis:
        low, high = theta.min(axis=0), theta.max(axis=0)
        half = np.where(high > low, (high - low) / 2, 1.0)
        return cls((low + high) / 2, half, exponents(theta.shape[1], degree))

    def __call__(self, theta: FloatArray) -> FloatArray:
        u = (theta - self.centre) / self.half
        degree = max(max(term) for term in self.terms)
        polynomials = chebyshev.chebvander(u, degree)
        columns = [
            np.prod([polynomials[:, k, d] for k, d in enumerate(term)], axis=0)
            for term in self.terms
        ]
        return np.stack(columns, axis=1)


class Selection:
    """The matrix that takes one node for each event."""

    def __init__(self, places: NDArray[np.intp], n_nodes: int) -> None:
        self.places, self.n_nodes = places, n_nodes

    def __matmul__(self, values: FloatArray) -> FloatArray:
        taken: FloatArray = values[self.places]
        return taken

    @property
    def T(self) -> _Transposed:  # noqa: N802 - as of a matrix
        return _Transposed(self)


class _Transposed:
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
    """A product of two matrices, kept as such."""

    def __init__(self, left: FloatArray, right: FloatArray) -> None:
        self.left, self.right = left, right

    def __matmul__(self, values: FloatArray) -> FloatArray:
        product: FloatArray = self.left @ (self.right @ values)
        return product

    @property
    def T(self) -> Product:  # noqa: N802 - as of a matrix
        return Product(self.right.T, self.left.T)


def interpolate(nodes: FloatArray, theta: FloatArray) -> Selection | Product:
    """Find the nodes' shares in a mean at each event's θ.

    Parameters
    ----------
    nodes : ndarray of shape (q, p)
        Where means are known.
    theta : ndarray of shape (n, p)
        Where they are wanted.

    Returns
    -------
    matrix of shape (n, q)
        Takes the nodes themselves, where θ has no other values, or a polynomial through them.
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
