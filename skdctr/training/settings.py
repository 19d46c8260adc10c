"""The training settings that estimators have in common, under skorch's names, and their checks."""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from skdctr._utils.spelling import did_you_mean
from skdctr.networks import ACTIVATIONS
from skdctr.training.options import TrainingOptions

__all__ = ["NETWORK_CONSTRAINTS", "PREFIXES", "NetworkEstimator", "NetworkParametersMixin"]

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


PREFIXES = ("module__", "optimizer__")


class NetworkParametersMixin(BaseEstimator):
    """Let an estimator take arguments of its module and optimizer by prefix, under `clone` too."""

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
        """Store the arguments of module and optimizer that the constructor was given."""
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


class NetworkEstimator(NetworkParametersMixin):
    """Base of estimators that train networks, with settings under skorch's names."""

    hidden_layer_sizes: Any
    activation: str
    max_epochs: Any
    batch_size: int
    lr: float
    optimizer: Any
    lr_schedule: str
    callbacks: Any
    device: Any
    verbose: int

    def _training_options(self, max_epochs: int, **further: Any) -> TrainingOptions:
        """Collect the options of a training from the estimator's parameters and further ones."""
        if isinstance(self.optimizer, str) and not hasattr(torch.optim, self.optimizer):
            known = [name for name in dir(torch.optim) if name[0].isupper()]
            raise ValueError(
                f"optimizer={self.optimizer!r} is not in torch.optim; "
                + did_you_mean(self.optimizer, known)
            )
        return TrainingOptions(
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            optimizer=self.optimizer,
            optimizer_params=self._prefixed("optimizer__"),
            lr_schedule=self.lr_schedule,
            callbacks=() if self.callbacks is None else tuple(self.callbacks),
            verbose=int(self.verbose),
            accelerate=self.device == "accelerate",
            **further,
        )

    def _hidden_layer_sizes(self, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Check the sizes of the hidden layers; `default` takes the place of None."""
        sizes = self.hidden_layer_sizes
        if sizes is None:
            sizes = (50, 50) if default is None else default
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(int(size) for size in sizes)
        if not all(size > 0 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r}: every layer needs at least one "
                "node."
            )
        return sizes
