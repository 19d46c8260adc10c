"""Preparation of features and of sets of particles, as scikit-learn transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skdctr._utils.optional import is_awkward, require
from skdctr._utils.rollback import all_or_nothing
from skdctr._utils.spelling import did_you_mean
from skdctr._utils.warn import warn_user
from skdctr.events.chunks import particle_chunks
from skdctr.events.coder import Coder
from skdctr.events.kinds import feature_table
from skdctr.events.packed import PackedEvents
from skdctr.events.unpack import join_rows
from skdctr.events.validation import check_estimator_events, check_weights
from skdctr.exceptions import FeatureWarning

__all__ = ["FeatureCoder", "PackedEvents", "ParticleMoments", "ParticlePreprocessor"]

# Least fraction of a jet's transverse momentum that a logarithm is taken of. No detector sees less.
_LEAST_FRACTION = 1e-5
# Particles that are prepared at once, as what is computed on the way is several times as large.
_CHUNK_PARTICLES = 1 << 16

_Floats = NDArray[np.float64]


class FeatureCoder(TransformerMixin, BaseEstimator):
    """Turn features of any kind into numbers that networks learn well on.

    A feature that is a number has a core, in which the bulk of it lies, however far single values
    are away. Its mean and standard deviation in the core become 0 and 1. The core of a Gaussian has
    12 standard deviations to either side; that of a power law ends where the law begins, and a
    value z beyond the edge e becomes e + log(1 + z - e). Where no more than ten events, or 0.1%,
    lie outside of the core they are outliers: they get the nearest value in the core that `fit` has
    seen.

    Atoms are values that many events share, and that are apart from all others or have far more
    events than their neighbours: -999 for "not measured", or the zeros of an energy that is not
    always there. Each has a flag, a column that tells who has it; the number is then 0, which is
    the mean of the others. A missing value, NaN, has one too. Categories, such as PDG codes, become
    one flag for each frequent one. Angles become sine and cosine.

    Where all events are in the core, this is scikit-learn's ``StandardScaler``, whose mean and
    deviation one event at 10⁹ would decide alone.

    Parameters
    ----------
    periodic : list of str or int, or dict of these to float, default=()
        Features that are angles, by name or position. A dict has their periods; 2π by default.
    categorical : list of str or int, or "auto", default="auto"
        Features that are categories. "auto": integers whose names end in ``pdgId``, ``pdg_id`` or
        ``pid``, such as ``GenPart_pdgId`` and ``Particle.PID``, and an ``id`` that has PDG codes.
    atoms : list of float, or "auto", default="auto"
        Values that have a flag in each feature that has them. "auto" looks for those that at least
        20 events and 0.1% of all share. Integers, which may be numbers of something, are atoms only
        far from all others.

    Attributes
    ----------
    n_outside_ : ndarray of int of shape (f,)
        How many events of the fit lie outside of the core of each feature, without those that
        have a flag. A few are outliers, many are a heavy tail.
    core_ : ndarray of shape (f, 2)
        Edges of the cores. They are infinite where a feature is no number.
    flags_ : list of ndarray of length f
        The values of each feature that have a flag, with NaN for a missing one.
    n_features_in_ : int
        Number of features, those of a particle for sets.
    feature_names_in_ : ndarray of shape (f,)
        Their names, where the events have some.

    Warns
    -----
    FeatureWarning
        If a feature looks like PDG codes or like an angle, and is neither by the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdctr.preprocessing import FeatureCoder
    >>> rng = np.random.default_rng(1)
    >>> events = pd.DataFrame({"pt": rng.exponential(30, 1000), "phi": rng.uniform(-3, 3, 1000)})
    >>> events.loc[:99, "pt"] = -999
    >>> events.loc[100, "pt"] = 1e9
    >>> coder = FeatureCoder(periodic=["phi"]).fit(events)
    >>> coder.get_feature_names_out().tolist()
    ['pt', 'pt == -999', 'sin phi', 'cos phi']
    >>> coder.n_outside_.tolist()
    [1, 0]
    >>> bool(np.abs(coder.transform(events)).max() < 10)
    True
    """

    def __init__(
        self,
        *,
        periodic: Iterable[str | int] | Mapping[str | int, float] = (),
        categorical: str | Iterable[str | int] = "auto",
        atoms: str | Iterable[float] = "auto",
    ) -> None:
        self.periodic = periodic
        self.categorical = categorical
        self.atoms = atoms

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find out what the features are.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Events. NaN stands for a missing value, and in sets for padding.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Event weights, which count by their absolute values.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a feature that is named does not exist, or a parameter is none of its values.
        """
        for name, value in (("categorical", self.categorical), ("atoms", self.atoms)):
            if isinstance(value, str) and value != "auto":
                raise ValueError(f"{name} is {value!r}; expected 'auto' or a list.")
        with all_or_nothing(self):
            events = check_estimator_events(self, X, keep_single=True, allow_nan=True)
            weight = np.abs(check_weights(sample_weight, len(events), name="sample_weight"))
            if isinstance(events, PackedEvents):
                weight = np.repeat(weight, events.counts)
            known = getattr(self, "feature_names_in_", None)
            self._coder = Coder.fit(
                feature_table(events),
                weight,
                None if known is None else list(known),
                periodic=self.periodic,
                categorical=self.categorical,
                atoms=self.atoms,
            )
            self.n_outside_ = self._coder.n_outside
            self.core_ = np.stack([self._coder.low, self._coder.high], axis=1)
            self.flags_ = [column.values for column in self._coder.columns]
        for text in self._coder.advice:
            warn_user(text, FeatureWarning)
        return self

    def transform(self, X: Any) -> Any:
        """Code events.

        Parameters
        ----------
        X : array-like of shape (n, f), or n sets of particles
            Events with the features of `fit`.

        Returns
        -------
        ndarray of shape (n, k) or PackedEvents
            The columns. Those of particles are the features of sets, whose types stay as they are.

        Raises
        ------
        ValueError
            If the features are not those of `fit`, or one is missing that was never missing there.
        """
        check_is_fitted(self)
        events = check_estimator_events(self, X, reset=False, keep_single=True, allow_nan=True)
        coded = self._coder(feature_table(events))
        if not isinstance(events, PackedEvents):
            return coded
        names = None if events.feature_names is None else self._coder.names_out
        return replace(events, features=coded.astype(events.features.dtype), feature_names=names)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : array-like of shape (f,), optional
            Names for features that have none.

        Returns
        -------
        ndarray of str
            ``x`` for a number, ``sin x`` and ``cos x`` for an angle, and for flags ``x == -99``,
            ``x missing`` and ``x = 211``, ``x = other`` for categories.
        """
        check_is_fitted(self)
        names = list(_check_feature_names_in(self, input_features))
        return np.array(self._coder.rename(names), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_coder")


class _ParticleTransformer(  # type: ignore[call-arg]
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
        packed = _pack(X)
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
        packed = _pack(X)
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
        names = np.asarray(input_features, dtype=object)
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
            if not isinstance(given, str):
                column = given
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


class ParticlePreprocessor(_ParticleTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]
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
        for first, particles, part in _chunks(packed):
            prepared[particles] = self._prepare_chunk(part, columns, first)
        return prepared

    def _prepare_chunk(self, packed: PackedEvents, columns: list[int], first: int) -> NDArray[Any]:
        """Compute the new features of some events, the first of which has the number `first`."""
        prepared = packed.features.copy()
        pt, eta, phi = packed.features[:, columns].astype(np.float64).T
        rows = np.repeat(np.arange(len(packed)), packed.counts)

        def total(values: _Floats) -> _Floats:
            return np.bincount(rows, weights=values, minlength=len(packed)).astype(np.float64)

        sum_pt = total(pt)
        _check_momenta(pt, packed, first)
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
            relative = _wrap(phi - near[rows])
            prepared[:, columns[2]] = _wrap(relative - (total(pt * relative) / safe)[rows])
            prepared[:, columns[1]] = eta - (total(pt * eta) / safe)[rows]
        if self.align:
            prepared[:, columns[1:]] = _aligned(prepared[:, columns[1:]], pt, rows, total)
        if self.pt_fraction:
            prepared[:, columns[0]] = pt / safe[rows]
        return prepared


class ParticleMoments(_ParticleTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]
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
        for first, particles, part in _chunks(packed):
            z, eta, phi = part.features[:, columns].astype(np.float64).T
            _check_momenta(z, part, first)
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


def _chunks(packed: PackedEvents) -> Iterator[tuple[int, slice, PackedEvents]]:
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


def _check_momenta(pt: _Floats, packed: PackedEvents, first: int) -> None:
    """Refuse negative transverse momenta, (m,), of events from the number `first` on."""
    if (pt < 0).any():
        particle = int(np.argmax(pt < 0))
        event = first + int(np.searchsorted(packed.offsets, particle, side="right")) - 1
        raise ValueError(f"X has a negative transverse momentum in event {event}.")


def _aligned(
    directions: NDArray[Any],
    pt: _Floats,
    rows: NDArray[np.intp],
    total: Callable[[_Floats], _Floats],
) -> _Floats:
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


def _wrap(phi: _Floats) -> _Floats:
    """Take angles to the interval from -π to π."""
    wrapped: _Floats = np.remainder(phi + np.pi, 2 * np.pi) - np.pi
    return wrapped


def _pack(X: Any) -> PackedEvents:
    """Pack events in double precision, as sums over many particles are taken of them."""
    return PackedEvents.from_events(X, dtype=np.float64)


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
