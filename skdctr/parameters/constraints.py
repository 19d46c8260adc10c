"""What is known of parameters from elsewhere, as Gaussians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skdctr._utils.arguments import shorten
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr.parameters.space import numbers_of

__all__ = ["Constraints"]


class Constraints(dict[str, tuple[float, float]]):
    """Mean and standard deviation σ of each constrained parameter, by name."""

    @classmethod
    def read(cls, given: Mapping[str, Any] | None, names: Sequence[str]) -> Constraints:
        """Read what a user gave.

        Parameters
        ----------
        given : mapping of str to (float, float), or None
            Mean and standard deviation by name.
        names : sequence of str
            Names of all parameters.

        Raises
        ------
        ValueError
            If a name is unknown, or a value is not a finite mean with a positive finite σ.
        """
        checked = cls()
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(
                f"constraints={shorten(given)}; expected a dict of (mean, σ) by the name of the "
                "parameter, or None."
            )
        for name, pair in (given or {}).items():
            if name not in names:
                raise ValueError(
                    f"constraints names an unknown parameter {name!r}; {did_you_mean(name, names)}"
                )
            values = numbers_of(pair)
            if values.shape != (2,) or not np.isfinite(values).all() or not values[1] > 0:
                raise ValueError(
                    f"constraints[{name!r}]={shorten(pair)}; expected (mean, σ), both "
                    "finite, the latter positive."
                )
            checked[name] = (float(values[0]), float(values[1]))
        return checked

    def arrays(self, names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Return mean and σ of all parameters, (p,) each: 0 and infinity where nothing is known."""
        known = [self.get(name, (0.0, np.inf)) for name in names]
        mean, deviation = np.array(known, dtype=np.float64).T
        return mean, deviation
