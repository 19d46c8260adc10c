"""Features of any kind as numbers that networks learn well on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skdctr._utils.arguments import check_names
from skdctr._utils.rollback import all_or_nothing
from skdctr._utils.warn import warn_user
from skdctr.events.coder import Coder
from skdctr.events.kinds import feature_table
from skdctr.events.packed import PackedEvents
from skdctr.events.validation import check_estimator_events, check_weights
from skdctr.exceptions import FeatureWarning

__all__ = ["FeatureCoder"]


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
        if input_features is not None:
            input_features = np.asarray(check_names("input_features", input_features), dtype=object)
        names = list(_check_feature_names_in(self, input_features))
        return np.array(self._coder.rename(names), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_coder")
