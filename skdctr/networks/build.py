"""The choice of a network that suits events of either kind: rows of features, or sets."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from skdctr.events.kinds import count_features, count_type_codes, holds_sets
from skdctr.events.tensors import EventTensors
from skdctr.networks.deep_sets import DeepSets
from skdctr.networks.mlp import MLP

__all__ = ["check_takes", "constructor_arguments", "event_network", "standardise_sums"]

# Layers of Φ. On a toy they reach the AUC - 1/2 of the papers' layers to within 1%, in a fifth of
# the time.
_PHI_SIZES = (32, 32)


def check_takes(module: type[nn.Module], x: EventTensors) -> None:
    """Refuse a network of rows of features for sets, and the other way round.

    Parameters
    ----------
    module : type
        Class of the network, which says by `takes_sets` what it takes. One that does not say is
        accepted for either.
    x : Tensor of shape (n, f) or PackedTensors
        Events.

    Raises
    ------
    ValueError
        If the network takes the other kind of events.
    """
    sets = holds_sets(x)
    if getattr(module, "takes_sets", sets) != sets:
        given, expected = ("sets of particles", "rows of features")[:: 1 if sets else -1]
        raise ValueError(
            f"module={module.__name__} takes {expected}, the events are {given}: leave out module, "
            f"or give {'DeepSets or SeparableDeepSets' if sets else 'MLP or SeparableNetwork'}."
        )


def constructor_arguments(
    module: type[nn.Module], offered: Mapping[str, Any], explicit: Mapping[str, Any]
) -> dict[str, Any]:
    """Choose the arguments that a network's constructor is given.

    A constructor that passes ``**kwargs`` on takes what the constructor of its base class takes.

    Parameters
    ----------
    module : type
        Class of the network.
    offered : mapping of str to object
        What it may have, where it has a name for it. One that takes any argument, as
        ``torch.nn.Module`` seems to do, is given `n_features` and `n_parameters` of these.
    explicit : mapping of str to object
        What the user has set, which is never left out.

    Returns
    -------
    dict of str to object

    Raises
    ------
    TypeError
        If the constructor does not take what the user has set.
    """
    names: set[str] = set()
    takes_any = True
    for each in inspect.getmro(module):
        if each is nn.Module or not takes_any:
            break
        constructor = vars(each).get("__init__")
        if constructor is not None:
            parameters = inspect.signature(constructor).parameters
            names |= parameters.keys()
            takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    refused = [] if takes_any else [name for name in explicit if name not in names]
    if refused:
        raise TypeError(
            f"{refused[0]}={explicit[refused[0]]!r} was set, but {module.__name__} takes no "
            f"{refused[0]}: leave it out, or give the network's own arguments as module__name."
        )
    if takes_any:
        names |= {"n_features", "n_parameters"}
    return {name: value for name, value in offered.items() if name in names} | dict(explicit)


def standardise_sums(network: nn.Module, x: EventTensors, *theta: Tensor) -> None:
    """Give a network of sets the scale of its sums over particles; all others need none.

    Parameters
    ----------
    network : nn.Module
        It is moved to the device of the events if it has a method ``standardise``, which is called.
    x : Tensor of shape (n, f) or PackedTensors
        Events.
    *theta : Tensor of shape (n, p)
        Parameters of each event, for a network that has them.
    """
    if holds_sets(x) and hasattr(network, "standardise"):
        sets: Any = network.to(x.device)
        sets.standardise(x, *theta)


def event_network(
    x: EventTensors,
    *,
    hidden_layer_sizes: Sequence[int],
    activation: str,
    n_outputs: int | None = None,
    **further: Any,
) -> nn.Module:
    """Make the network without θ that suits scaled events.

    Parameters
    ----------
    x : Tensor of shape (n, f) or PackedTensors
        Events, for the number of features and the scale of sums over particles.
    hidden_layer_sizes : sequence of int
        Nodes of each hidden layer; `DeepSets` has them in F.
    activation : str
        A key of `ACTIVATIONS`.
    n_outputs : int or None, default=None
        Number of values of an event; None is one logit.
    **further
        Other arguments of the network.

    Returns
    -------
    DeepSets or MLP
        `DeepSets` has a smaller Φ than that of the papers.
    """
    layers: dict[str, Any] = {
        "hidden_layer_sizes": hidden_layer_sizes,
        "activation": activation,
        "n_outputs": n_outputs,
    }
    if not holds_sets(x):
        return MLP(count_features(x), 0, **layers, **further)
    of_sets = {"phi_sizes": _PHI_SIZES, "n_types": count_type_codes(x)}
    sets = DeepSets(count_features(x), 0, **{**of_sets, **layers, **further})
    standardise_sums(sets, x)
    return sets
