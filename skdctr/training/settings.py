"""The training settings that estimators have in common, under skorch's names, and their checks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from skdctr._utils.numbers import check_count
from skdctr._utils.spelling import did_you_mean
from skdctr.networks import ACTIVATIONS
from skdctr.training.callbacks import check_callbacks
from skdctr.training.options import TrainingOptions

__all__ = [
    "NETWORK_CONSTRAINTS",
    "PREFIXES",
    "NetworkSettings",
    "PrefixedParametersMixin",
]

NETWORK_CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "optimizer": [str, type],
    "lr_schedule": [StrOptions({"one_cycle", "constant"})],
    "callbacks": ["array-like", None],
    "module": [type, None],
    "device": [str, torch.device],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


# A layer of a million nodes would take terabytes.
_MOST_NODES = 10**6
PREFIXES = ("module__", "optimizer__", "callbacks__")


class PrefixedParametersMixin(BaseEstimator):
    """Let an estimator take arguments of its networks by prefix, under `clone` too.

    The prefixes are those of the module, the optimizer and the callbacks.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Hide ``**prefixed`` from the signature: scikit-learn takes all it sees for parameters."""
        super().__init_subclass__(**kwargs)
        signature = inspect.signature(cls.__init__)
        cls.__signature__ = signature.replace(
            parameters=[
                parameter
                for name, parameter in signature.parameters.items()
                if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
            ]
        )

    def _set_prefixed(self, prefixed: dict[str, Any]) -> None:
        """Store the arguments by prefix that the constructor was given."""
        for name in prefixed:
            if not name.startswith(PREFIXES):
                known = inspect.signature(type(self)).parameters
                raise TypeError(
                    f"{type(self).__name__} has no parameter {name!r}; " + did_you_mean(name, known)
                )
        self.__dict__.update(prefixed)

    def _prefixed(self, prefix: str) -> dict[str, Any]:
        """Return the arguments that were given with a prefix, under their names without it."""
        return {
            name.removeprefix(prefix): value
            for name, value in vars(self).items()
            if name.startswith(prefix)
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of this estimator, those with a prefix included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of nested estimators.

        Returns
        -------
        dict
            Names and values.
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        params |= {k: v for k, v in vars(self).items() if k.startswith(PREFIXES)}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator, those with a prefix included.

        Parameters
        ----------
        **params : dict
            Names and new values.

        Returns
        -------
        self
        """
        prefixed = {k: params.pop(k) for k in list(params) if k.startswith(PREFIXES)}
        super().set_params(**params)
        self.__dict__.update(prefixed)
        return self


@dataclass(frozen=True)
class NetworkSettings:
    """What an estimator's parameters say of its networks and their training.

    Attributes
    ----------
    hidden_layer_sizes : tuple of int, or None
        Nodes of each hidden layer; None leaves them to the network's default.
    activation : str
        Activation of the hidden layers.
    explicit : mapping
        Those of the two that are not the estimator's defaults: a network of the user is given no
        others, and has to take these.
    module : type or None
        Class of the network; None is the default of its use.
    module_params : mapping
        Further arguments of the network, given as ``module__name``.
    max_epochs : int or "auto"
        Passes over the events.
    batch_size : int
        Events in a batch.
    device : str or torch.device
        As the user gave it.
    training : TrainingOptions
        All that one training has in common with the next, the number of epochs left open.
    """

    hidden_layer_sizes: tuple[int, ...] | None
    activation: str
    explicit: Mapping[str, Any]
    module: Any
    module_params: Mapping[str, Any]
    max_epochs: int | str
    batch_size: int
    device: Any
    training: TrainingOptions

    @classmethod
    def of(cls, estimator: Any) -> NetworkSettings:
        """Read and check the parameters of an estimator.

        Raises
        ------
        ValueError
            If a layer has no nodes, torch has no such optimizer, or a parameter is of no callback.
        TypeError
            If something is no callback.
        """
        defaults = inspect.signature(type(estimator)).parameters
        callback_params = estimator._prefixed("callbacks__")
        sizes = _layer_sizes(estimator.hidden_layer_sizes)
        explicit: dict[str, Any] = {}
        if sizes != _layer_sizes(defaults["hidden_layer_sizes"].default):
            explicit["hidden_layer_sizes"] = sizes
        if estimator.activation != defaults["activation"].default:
            explicit["activation"] = estimator.activation
        return cls(
            hidden_layer_sizes=sizes,
            activation=estimator.activation,
            explicit=explicit,
            module=estimator.module,
            module_params=estimator._prefixed("module__"),
            max_epochs=estimator.max_epochs,
            batch_size=int(estimator.batch_size),
            device=estimator.device,
            training=TrainingOptions(
                batch_size=int(estimator.batch_size),
                lr=float(estimator.lr),
                optimizer=_known_optimizer(estimator.optimizer),
                optimizer_params=estimator._prefixed("optimizer__"),
                lr_schedule=estimator.lr_schedule,
                callbacks=check_callbacks(estimator.callbacks, callback_params),
                callback_params=callback_params,
                verbose=int(estimator.verbose),
                accelerate=estimator.device == "accelerate",
            ),
        )

    def layers(self, default: tuple[int, ...] = (50, 50)) -> dict[str, Any]:
        """Return sizes and activation of the hidden layers as arguments of a network."""
        sizes = default if self.hidden_layer_sizes is None else self.hidden_layer_sizes
        return {"hidden_layer_sizes": sizes, "activation": self.activation}

    def options(self, auto_epochs: int, **changes: Any) -> TrainingOptions:
        """Return the options of a training, of `auto_epochs` where the user has set none."""
        epochs = auto_epochs if self.max_epochs == "auto" else int(self.max_epochs)
        return replace(self.training, max_epochs=epochs, **changes)


def _known_optimizer(optimizer: Any) -> Any:
    if isinstance(optimizer, str) and not hasattr(torch.optim, optimizer):
        known = [name for name in dir(torch.optim) if name[0].isupper()]
        raise ValueError(
            f"optimizer={optimizer!r} is not in torch.optim; " + did_you_mean(optimizer, known)
        )
    return optimizer


def _layer_sizes(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    sizes = (given,) if isinstance(given, Integral) else tuple(given)
    return tuple(
        check_count("hidden_layer_sizes", size, most=_MOST_NODES, advice="pass e.g. (64, 64)")
        for size in sizes
    )
