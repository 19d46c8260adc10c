"""Checks of what networks are made of and given, before torch says something that names nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skdctr._utils.arguments import check_choice, shorten
from skdctr._utils.numbers import check_count
from skdctr.events.tensors import PackedTensors
from skdctr.networks.layers import ACTIVATIONS

__all__ = ["check_inputs", "check_rows", "check_sets", "check_sizes", "check_terms"]

# A layer of a million nodes would take terabytes.
_MOST_NODES = 10**6


def check_sizes(name: str, sizes: Any, activation: Any, **numbers: tuple[Any, int]) -> list[int]:
    """Check the layers of a network, its activation, and numbers of something.

    Parameters
    ----------
    name : str
        The argument of the layers, as the message calls it.
    sizes : sequence of int
        Nodes of each layer.
    activation : str
        A key of `ACTIVATIONS`.
    **numbers : tuple of object and int
        What the user gave for other arguments, and the least that makes sense.

    Returns
    -------
    list of int
        The nodes.

    Raises
    ------
    TypeError, ValueError
        If one is no int or too small, or the activation is unknown.
    """
    for argument, (value, least) in numbers.items():
        check_count(argument, value, least=least, most=_MOST_NODES)
    check_choice("activation", activation, ACTIVATIONS)
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, Iterable):
        raise TypeError(f"{name}={shorten(sizes)}; expected a sequence of int, e.g. (64, 64).")
    advice = "pass the nodes of each layer, e.g. (64, 64)"
    return [check_count(name, size, most=_MOST_NODES, advice=advice) for size in sizes]


def check_terms(name: str, terms: Any, n_variables: int) -> tuple[tuple[int, ...], ...]:
    """Check monomials, each of which lists the indices of its factors.

    Raises
    ------
    TypeError, ValueError
        If they are no such lists, one is empty, or an index is out of range.
    """
    expected = f"tuples of indices from 0 to {n_variables - 1}, e.g. [(0,), (0, 0)]"
    if isinstance(terms, (str, bytes)) or not isinstance(terms, Iterable):
        raise TypeError(f"{name}={shorten(terms)}; expected {expected}.")
    checked = []
    for term in terms:
        if not isinstance(term, Sequence) or not all(isinstance(k, int) for k in term):
            raise TypeError(f"{name} has the term {shorten(term)}; expected {expected}.")
        if not term or not all(0 <= k < n_variables for k in term):
            raise ValueError(f"{name} has the term {shorten(term)}; expected {expected}.")
        checked.append(tuple(term))
    return tuple(checked)


def check_rows(
    name: str, x: Any, width: int | None = None, n_rows: int | None = None, *, of: str = "x"
) -> None:
    """Check rows of real numbers in a tensor.

    Parameters
    ----------
    name : str
        The argument, as the message calls it.
    x : Tensor of shape (n, width)
        What the user gave.
    width : int, default=None
        Columns that it must have.
    n_rows : int, default=None
        Rows that it must have; one row stands for all.
    of : str
        What the caller calls that which has so many rows.

    Raises
    ------
    TypeError, ValueError
        If it is no such tensor.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is of type {type(x).__name__}, expected a torch.Tensor.")
    if not x.is_floating_point():
        raise TypeError(f"{name} is of {x.dtype}, expected floating-point numbers: {name}.float().")
    if x.ndim != 2 or (width is not None and x.shape[1] != width):
        columns = "k" if width is None else width
        raise ValueError(f"{name} has shape {tuple(x.shape)}, expected (n, {columns}).")
    if n_rows is not None and len(x) not in (1, n_rows):
        raise ValueError(f"{name} has {len(x)} rows, expected {n_rows}: as many as {of}.")


def check_inputs(x: Any, theta: Any, layers: nn.Module, *, name: str = "x") -> None:
    """Check rows of events, and θ of each where there is one, that go into layers together.

    Parameters
    ----------
    x : Tensor of shape (n, f)
        Events.
    theta : Tensor of shape (n, p), or None
        Parameters.
    layers : nn.Module
        What begins with a linear layer of f + p inputs.
    name : str
        What the caller calls the events.

    Raises
    ------
    TypeError, ValueError
        If they are no such tensors.
    """
    check_rows(name, x)
    width = x.shape[1]
    if theta is not None:
        check_rows("theta", theta)
        width += theta.shape[1]
        if len(theta) != len(x):
            raise ValueError(
                f"theta has {len(theta)} rows, {name} has {len(x)}; expected one for each."
            )
    weight = next(layers.parameters())
    if width != weight.shape[-1]:
        given = "no theta" if theta is None else f"theta of {theta.shape[1]}"
        raise ValueError(
            f"{name} of {x.shape[1]} columns and {given}, {width} in all: the network has "
            f"{weight.shape[-1]} inputs. Expected its n_features and n_parameters."
        )
    autocast = torch.is_autocast_enabled(x.device.type)
    for argument, given in ((name, x), ("theta", theta)):
        if given is not None and given.dtype != weight.dtype and not autocast:
            raise TypeError(
                f"{argument} is of {given.dtype}, the network of {weight.dtype}: expected the same,"
                f" e.g. {argument}.to({weight.dtype})."
            )


def check_sets(x: Any, n_features: int) -> None:
    """Check sets of particles on a device.

    Raises
    ------
    TypeError, ValueError
        If they are something else, or have other features.
    """
    if not isinstance(x, PackedTensors):
        raise TypeError(
            f"x is of type {type(x).__name__}, expected PackedTensors, e.g. of "
            "PackedEvents.from_events(X).to_torch()."
        )
    if x.n_features != n_features:
        raise ValueError(
            f"x has {x.n_features} features of a particle, expected {n_features}, the network's."
        )
