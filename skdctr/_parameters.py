"""Constructor parameters in skorch's style: ``module__rank=8`` beside the plain ones."""

from __future__ import annotations

import inspect
from typing import Any, Self

from sklearn.base import BaseEstimator

from skdctr._utils.spelling import did_you_mean

__all__ = ["PREFIXES", "NetworkParametersMixin"]

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
        for name in prefixed:
            if not name.startswith(PREFIXES):
                known = inspect.signature(type(self)).parameters
                raise TypeError(
                    f"{type(self).__name__} has no parameter {name!r}; " + did_you_mean(name, known)
                )
        self.__dict__.update(prefixed)

    def _prefixed(self, prefix: str) -> dict[str, Any]:
        """Return the arguments given with one prefix, the prefix stripped."""
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
        """
        prefixed = {k: params.pop(k) for k in list(params) if k.startswith(PREFIXES)}
        super().set_params(**params)
        self.__dict__.update(prefixed)
        return self
