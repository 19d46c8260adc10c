"""What transformers of sets of particles share: which features there are, and the way through."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skdctr._utils.arguments import check_names, shorten
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import particle_chunks
from skdctr.events.packed import PackedEvents

__all__ = ["ParticleTransformer", "check_momenta", "pack_events", "particle_parts", "wrap_angle"]

# Particles that are prepared at once, as what is computed on the way is several times as large.
_CHUNK_PARTICLES = 1 << 16


class ParticleTransformer(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Base of transformers that treat each event by itself, and learn which features there are.

    Parameters
    ----------
    pt, eta, phi : str or int, default="pt", "eta", "phi"
        Names of the features, or their positions.
    """

    def __init__(
        self, pt: str | int = "pt", eta: str | int = "eta", phi: str | int = "phi"
    ) -> None:
        self.pt = pt
        self.eta = eta
        self.phi = phi

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the events and remember their features.

        Parameters
        ----------
        X : awkward array, ndarray of shape (n, particles, f) or PackedEvents
            Events, as `PackedEvents.from_events` takes them.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If the events are no sets of particles, or lack one of the three features, or if
            parameters exclude each other.
        """
        self._check_parameters()
        packed = pack_events(X)
        if not len(packed):
            raise ValueError("X holds no events (0 samples); expected one at least.")
        self._find_columns(packed.feature_names, packed.n_features)
        self.n_features_in_ = packed.n_features
        if packed.feature_names is not None:
            self.feature_names_in_ = np.array(packed.feature_names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def _check_parameters(self) -> None:
        """Refuse parameters that exclude each other."""

    def _checked(self, X: Any) -> tuple[PackedEvents, list[int]]:
        """Pack events, check that they are like those of `fit`, and find pt, eta and phi."""
        check_is_fitted(self)
        packed = pack_events(X)
        known = tuple(getattr(self, "feature_names_in_", ())) or None
        if packed.n_features != self.n_features_in_ or packed.feature_names != known:
            raise ValueError(
                f"X has the features {packed.feature_names or packed.n_features}, fit had "
                f"{known or self.n_features_in_}: give the same ones, in the same order."
            )
        return packed, self._find_columns(packed.feature_names, packed.n_features)

    def _names_in(self, input_features: ArrayLike | None) -> NDArray[Any]:
        """Return the names of the features that come in, x0 and so on if they have none."""
        check_is_fitted(self)
        known = getattr(self, "feature_names_in_", None)
        if input_features is None:
            if known is not None:
                return np.asarray(known)
            return np.array([f"x{i}" for i in range(self.n_features_in_)], dtype=object)
        names = np.asarray(check_names("input_features", input_features), dtype=object)
        if len(names) != self.n_features_in_:
            raise ValueError(
                f"input_features has {len(names)} names, expected {self.n_features_in_}."
            )
        if known is not None and (names != known).any():
            raise ValueError(f"input_features is {list(names)}, fit had {list(known)}.")
        return names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = True
        return tags

    def _find_columns(self, names: tuple[str, ...] | None, n_features: int) -> list[int]:
        """Find the positions of pt, eta and phi among the features."""
        columns = []
        for position, (argument, given) in enumerate(
            {"pt": self.pt, "eta": self.eta, "phi": self.phi}.items()
        ):
            column: int
            if isinstance(given, bool) or not isinstance(given, (str, Integral)):
                raise TypeError(
                    f"{argument}={shorten(given)}; expected the name or the position of a feature."
                )
            if not isinstance(given, str):
                column = int(given)
            elif names is not None and given in names:
                column = names.index(given)
            elif names is None and given == argument:
                column = position
            else:
                known = names or [f"0 to {n_features - 1}, which have no names"]
                raise ValueError(
                    f"{argument} is {given!r}, which is no feature of X; "
                    f"{did_you_mean(given, known)}"
                )
            if not 0 <= column < n_features:
                raise ValueError(
                    f"{argument} is feature {column} of a particle, but X has "
                    f"{n_features}; expected 0 to {n_features - 1}."
                )
            columns.append(column)
        if len(set(columns)) < 3:
            raise ValueError(f"pt, eta and phi are the features {columns}; expected three of them.")
        return columns


def pack_events(X: Any) -> PackedEvents:
    """Pack events in double precision, as sums over many particles are taken of them."""
    return PackedEvents.from_events(X, dtype=np.float64)


def particle_parts(packed: PackedEvents) -> Iterator[tuple[int, slice, PackedEvents]]:
    """Go through events a part at a time.

    Yields
    ------
    first : int
        Number of the part's first event.
    particles : slice
        Which of all particles are the part's.
    part : PackedEvents
        The events.
    """
    for rows in particle_chunks(packed.offsets, _CHUNK_PARTICLES):
        yield rows.start, slice(*packed.offsets[[rows.start, rows.stop]]), packed[rows]


def check_momenta(pt: FloatArray, packed: PackedEvents, first: int) -> None:
    """Refuse negative transverse momenta, (m,), of events from the number `first` on."""
    if (pt < 0).any():
        particle = int(np.argmax(pt < 0))
        event = first + int(np.searchsorted(packed.offsets, particle, side="right")) - 1
        raise ValueError(f"X has a negative transverse momentum in event {event}.")


def wrap_angle(phi: FloatArray) -> FloatArray:
    """Take angles to the interval from -π to π."""
    wrapped: FloatArray = np.remainder(phi + np.pi, 2 * np.pi) - np.pi
    return wrapped
