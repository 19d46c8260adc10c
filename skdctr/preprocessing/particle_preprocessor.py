"""Particles of a jet relative to its axis and its transverse momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdctr._utils.arguments import check_flag
from skdctr._utils.optional import is_awkward, require
from skdctr._utils.typing import FloatArray
from skdctr.events.packed import PackedEvents
from skdctr.events.unpack import join_rows
from skdctr.preprocessing.particle_base import (
    ParticleTransformer,
    check_momenta,
    particle_parts,
    wrap_angle,
)

__all__ = ["ParticlePreprocessor"]


class ParticlePreprocessor(ParticleTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Transverse momenta as fractions of the jet's, directions relative to the jet's axis.

    The preprocessing of the papers' particle flow networks. The axis is the mean of η and of φ,
    weighted by transverse momentum. Differences in φ are taken around the circle, from -π to π,
    which the papers' notebooks do not do. Fractions are of the scalar sum of the jet's transverse
    momenta. All other features and the particle type stay as they are, and so do events without
    particles. Each event is treated by itself: `fit` learns nothing but which features there are.

    Parameters
    ----------
    pt, eta, phi : str or int, default="pt", "eta", "phi"
        The features: names, or positions among the features. Where events have no names, "pt",
        "eta" and "phi" stand for the first three. φ is in radians.
    pt_fraction : bool, default=True
        Whether to divide transverse momenta by their sum in the event. Otherwise a network sees
        the jet's own transverse momentum, which the papers' networks do not.
    center : bool, default=True
        Whether to subtract the axis.
    align : bool, default=False
        Whether to turn each jet about its axis, in η and φ, so that the second moments of its
        transverse momentum are largest along η, and to reflect it so that the third moments along
        η and φ are positive. How a jet lies about its axis says next to nothing of how it came
        about. A network that is spared it need not learn that turned jets are alike, and learns as
        much from a fraction of the jets. The papers' networks see jets as they lie.

    Attributes
    ----------
    n_features_in_ : int
        Number of features of a particle.
    feature_names_in_ : ndarray of shape (f,)
        Their names, where the events have some.

    See Also
    --------
    PackedEvents : Sets of particles that are fast to split, which are accepted and returned too.

    References
    ----------
    A. Andreassen, B. Nachman (DCTR), arXiv:1907.08209, Sec. IV and its notebooks; P. Komiske,
    E. Metodiev, J. Thaler, arXiv:1810.05165, Sec. 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.preprocessing import ParticlePreprocessor
    >>> jet = [[3.0, 0.2, 3.1], [1.0, 0.2, -3.1], [np.nan, np.nan, np.nan]]  # pt, eta, phi
    >>> ParticlePreprocessor().fit_transform(np.array([jet])).round(3)
    array([[[ 0.75 ,  0.   , -0.021],
            [ 0.25 ,  0.   ,  0.062],
            [   nan,    nan,    nan]]])
    """

    def __init__(
        self,
        pt: str | int = "pt",
        eta: str | int = "eta",
        phi: str | int = "phi",
        *,
        pt_fraction: bool = True,
        center: bool = True,
        align: bool = False,
    ) -> None:
        super().__init__(pt, eta, phi)
        self.pt_fraction = pt_fraction
        self.center = center
        self.align = align

    def _check_parameters(self) -> None:
        for name in ("pt_fraction", "center", "align"):
            check_flag(name, getattr(self, name))
        if self.align and not self.center:
            raise ValueError(
                "align=True turns each jet about its axis, which center=False leaves where it is; "
                "set center=True, or align=False."
            )

    def transform(self, X: Any) -> Any:
        """Transform events.

        Parameters
        ----------
        X : awkward array, ndarray of shape (n, particles, f) or PackedEvents
            Events with the features of `fit`.

        Returns
        -------
        awkward array, ndarray or PackedEvents
            In the form and type of number in which they came; a list of events becomes an awkward
            array. In an ndarray padded particles stay all NaN.

        Raises
        ------
        ValueError
            If the features are not those of `fit`, or a transverse momentum is negative, or all
            of an event's are zero.
        """
        X = join_rows(X)
        packed, columns = self._checked(X)
        prepared = self._prepare(packed, columns)
        if isinstance(X, PackedEvents):
            return X.with_features(prepared)
        if not is_awkward(X):
            return _like_padded(prepared, X)
        return _like_awkward(prepared, packed, columns, X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the features, which are those that came in.

        Parameters
        ----------
        input_features : array-like of shape (f,), optional
            Names for features that have none.

        Returns
        -------
        ndarray of str
            Names of the features; ``x0``, ``x1`` and so on where there are none.
        """
        return self._names_in(input_features)

    def _prepare(self, packed: PackedEvents, columns: list[int]) -> NDArray[Any]:
        """Compute the new features of all particles, (m, f), a part of the events at a time."""
        prepared = np.empty_like(packed.features)
        for first, particles, part in particle_parts(packed):
            prepared[particles] = self._prepare_chunk(part, columns, first)
        return prepared

    def _prepare_chunk(self, packed: PackedEvents, columns: list[int], first: int) -> NDArray[Any]:
        """Compute the new features of some events, the first of which has the number `first`."""
        prepared = packed.features.copy()
        pt, eta, phi = packed.features[:, columns].astype(np.float64).T
        rows = np.repeat(np.arange(len(packed)), packed.counts)

        def total(values: FloatArray) -> FloatArray:
            return np.bincount(rows, weights=values, minlength=len(packed)).astype(np.float64)

        sum_pt = total(pt)
        check_momenta(pt, packed, first)
        empty = (sum_pt == 0) & (packed.counts > 0)
        if empty.any():
            raise ValueError(
                f"all transverse momenta of event {first + int(np.argmax(empty))} are zero, so "
                "that they have no fractions and no axis; drop the event, or mark its particles as "
                "padding."
            )
        safe = np.where(sum_pt > 0, sum_pt, 1.0)
        if self.center:
            # Relative to a direction close to the jet's, φ has no jump within the jet.
            near = np.arctan2(total(pt * np.sin(phi)), total(pt * np.cos(phi)))
            relative = wrap_angle(phi - near[rows])
            prepared[:, columns[2]] = wrap_angle(relative - (total(pt * relative) / safe)[rows])
            prepared[:, columns[1]] = eta - (total(pt * eta) / safe)[rows]
        if self.align:
            prepared[:, columns[1:]] = _aligned(prepared[:, columns[1:]], pt, rows, total)
        if self.pt_fraction:
            prepared[:, columns[0]] = pt / safe[rows]
        return prepared


def _aligned(
    directions: NDArray[Any],
    pt: FloatArray,
    rows: NDArray[np.intp],
    total: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Turn jets about their axis, which is at 0, so that η is along their principal axis.

    Parameters
    ----------
    directions : ndarray of shape (m, 2)
        Angles η and φ of all particles.
    pt : ndarray of shape (m,)
        Transverse momenta.
    rows : ndarray of int of shape (m,)
        Which jet each particle belongs to.
    total : callable
        Sums values of particles, (m,), over each jet, (n,).

    Returns
    -------
    ndarray of shape (m, 2)
        The turned angles. Each is reflected where its third moment would be negative.
    """
    eta, phi = directions.astype(np.float64).T
    angle = np.arctan2(2 * total(pt * eta * phi), total(pt * (eta**2 - phi**2))) / 2
    cos, sin = np.cos(angle)[rows], np.sin(angle)[rows]
    turned = cos * eta + sin * phi, cos * phi - sin * eta
    return np.stack([x * np.where(total(pt * x**3) < 0, -1.0, 1.0)[rows] for x in turned], axis=1)


def _like_padded(prepared: NDArray[Any], X: Any) -> NDArray[Any]:
    """Put features of real particles in their places in a padded array."""
    array = np.asarray(X)
    dtype = array.dtype if array.dtype.kind == "f" else np.float64
    result = np.array(array, dtype=dtype)
    result[~np.isnan(result).all(axis=2)] = prepared
    return result


def _like_awkward(prepared: NDArray[Any], packed: PackedEvents, columns: list[int], X: Any) -> Any:
    """Put features of all particles in their places in an awkward array."""
    ak = require("awkward")
    if packed.feature_names is None:
        dtype = np.asarray(ak.flatten(X, axis=None)).dtype
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        return ak.unflatten(ak.from_numpy(prepared.astype(dtype)), packed.counts)
    for column in columns:
        field = packed.feature_names[column]
        dtype = np.asarray(ak.flatten(X[field])).dtype
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
        values = ak.unflatten(prepared[:, column].astype(dtype), packed.counts)
        X = ak.with_field(X, values, field)
    return X
