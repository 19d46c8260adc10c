"""Moments of particles, whose sums are what a jet is usually described by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdctr.events.packed import PackedEvents
from skdctr.preprocessing.particle_base import (
    ParticleTransformer,
    check_momenta,
    particle_parts,
)

__all__ = ["ParticleMoments"]

# Least fraction of a jet's transverse momentum that a logarithm is taken of. No detector sees less.
_LEAST_FRACTION = 1e-5


class ParticleMoments(ParticleTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Logarithm and moments of transverse momentum, whose sums over particles are jet shapes.

    The transverse momentum z gives way to its logarithm, and z·r, z·η², z·φ², z·η·φ and z² are
    added, with r² = η² + φ². Their sums over the particles are the girth, the second moments of the
    jet's energy flow and the square of its dispersion (pT D). A network of sets can learn all
    these, but it learns them badly from few events: given them, weights of all particles are as
    good as those of three times as many networks.

    This transformer comes after `ParticlePreprocessor`, whose fractions and axis it takes as they
    are.

    Parameters
    ----------
    pt, eta, phi : str or int, default="pt", "eta", "phi"
        The features, as in `ParticlePreprocessor`.

    Attributes
    ----------
    n_features_in_ : int
        Number of features of a particle.
    feature_names_in_ : ndarray of shape (f,)
        Their names, where the events have some.

    References
    ----------
    A. Larkoski, J. Thaler, W. Waalewijn, arXiv:1408.3122, for girth and pT D.

    Examples
    --------
    >>> import numpy as np
    >>> from skdctr.preprocessing import ParticleMoments, ParticlePreprocessor
    >>> jet = np.array([[[3.0, 0.2, 0.1], [1.0, -0.2, 0.1]]])  # pt, eta, phi
    >>> moments = ParticleMoments()
    >>> packed = moments.fit_transform(ParticlePreprocessor().fit_transform(jet))
    >>> packed.features.shape
    (2, 8)
    >>> moments.get_feature_names_out().tolist()
    ['log(x0)', 'x1', 'x2', 'x0*r', 'x0*x1^2', 'x0*x2^2', 'x0*x1*x2', 'x0^2']
    """

    def transform(self, X: Any) -> PackedEvents:
        """Transform events.

        Parameters
        ----------
        X : awkward array, ndarray of shape (n, particles, f) or PackedEvents
            Events with the features of `fit`.

        Returns
        -------
        PackedEvents
            The events, with five features more.

        Raises
        ------
        ValueError
            If the features are not those of `fit`, or a transverse momentum is negative.
        """
        packed, columns = self._checked(X)
        f = packed.n_features
        features = np.empty((len(packed.features), f + 5), dtype=packed.features.dtype)
        features[:, :f] = packed.features
        for first, particles, part in particle_parts(packed):
            z, eta, phi = part.features[:, columns].astype(np.float64).T
            check_momenta(z, part, first)
            features[particles, columns[0]] = np.log(np.maximum(z, _LEAST_FRACTION))
            moments = [z * np.hypot(eta, phi), z * eta**2, z * phi**2, z * eta * phi, z**2]
            features[particles, f:] = np.stack(moments, axis=1)
        names = None if packed.feature_names is None else tuple(self.get_feature_names_out())
        return replace(packed, features=features, feature_names=names)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of shape (f,), optional
            Names for features that have none.

        Returns
        -------
        ndarray of str
            The names that came in, that of the transverse momentum turned into that of its
            logarithm, and those of the five new features.
        """
        names = self._names_in(input_features).copy()
        given = tuple(names) if hasattr(self, "feature_names_in_") else None
        z, eta, phi = names[self._find_columns(given, len(names))]
        names[names == z] = f"log({z})"
        new = [f"{z}*r", f"{z}*{eta}^2", f"{z}*{phi}^2", f"{z}*{eta}*{phi}", f"{z}^2"]
        return np.append(names, np.array(new, dtype=object))
