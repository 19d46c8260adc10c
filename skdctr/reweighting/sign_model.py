"""A classifier of the sign of event weights, and the mean weight that follows from it.

The penalised logistic regression reproduces, but for its penalty, the signed sums of all functions
that its columns span: splines of each feature and parameter, and products of two. What these do not
describe is left to trees, whose log-odds for events that they have not seen are one more column.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import SplineTransformer, StandardScaler

from skdctr._utils.typing import FloatArray
from skdctr.events.chunks import row_chunks

__all__ = ["MeanSign", "mean_sign"]

# Events of either sign without which only the mean over all events is learned.
_LEAST_OF_A_SIGN = 10
# Parts of the cross-validation.
_N_FOLDS = 5
# Knots of the splines of a column, and the normal scores that they end at.
_N_KNOTS, _LARGEST_SCORE = 6, 3.0
# Quantiles that stand for a column, and the number of features beyond which no products of two of
# them are taken, as these would be too many.
_N_QUANTILES, _MOST_PAIRED = 1000, 12
# Inverse strengths of the penalty, of columns of variance 1, and the gain in cross-validated loss,
# in standard errors, from which on a stronger penalty is taken. The weakest one reproduces signed
# sums best; to take that of least loss moves the mean of weighted events by a tenth more of its
# error, towards that of all events.
_INVERSE_PENALTIES, _BETTER_AT = (10.0, 1.0, 0.1, 0.01, 1e-3), 2.0
# Signs are noisy, so that trees have few leaves of many events.
_TREES: dict[str, Any] = {
    "max_leaf_nodes": 15,
    "min_samples_leaf": 50,
    "max_bins": 64,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "random_state": 0,
}
# Rows that are learned from, at the most, which bounds memory and time.
_MOST_ROWS = 500_000


class MeanSign(NamedTuple):
    """The mean weight at each event, in units of the mean size of weights there.

    Attributes
    ----------
    value : ndarray of shape (n,)
        E[w|x]/E[|w||x], between -1 and 1.
    error : ndarray of shape (n,)
        Standard error of the value.
    unseen : ndarray of shape (n,)
        The value by classifiers that have not seen the event.
    """

    value: FloatArray
    error: FloatArray
    unseen: FloatArray

    def positive(self, least: float) -> FloatArray:
        """Return the expected value where it is known to be positive, (n,), if not below `least`.

        It is the mean of a normal distribution about the value without its negative part. By more
        than two errors it is the value itself; one that is negative by chance becomes a part of its
        error, so that its logarithm is no larger than the events justify.
        """
        distance = (self.value / self.error).clip(-30.0)
        beyond = np.exp(-(distance**2) / 2 - 0.5 * math.log(2 * math.pi) - log_ndtr(distance))
        return np.maximum(self.value + self.error * beyond, least)


def mean_sign(x: FloatArray, theta: FloatArray, weight: FloatArray) -> MeanSign:
    """Learn E[w|x, θ]/E[|w||x, θ] = 2 p₊ - 1, with p₊ the share of weight that is positive.

    Parameters
    ----------
    x : ndarray of shape (n, f)
        Numbers that describe the events; NaN where there is no value.
    theta : ndarray of shape (n, p)
        Parameters that the mean depends on as well; p may be 0.
    weight : ndarray of shape (n,)
        Event weights, none of them zero.

    Returns
    -------
    MeanSign
    """
    positive, size = weight > 0, np.abs(weight)
    if min(positive.sum(), (~positive).sum()) < _LEAST_OF_A_SIGN:
        share = weight.sum() / size.sum()
        error = math.sqrt((1 - share**2) * np.square(size).sum()) / size.sum()
        return MeanSign(*(np.full(len(weight), value) for value in (share, error, share)))
    n, table = len(weight), np.concatenate([x, theta], axis=1)
    if n <= _MOST_ROWS:
        return _learn(table, x.shape[1], positive, size)[0]
    chosen = np.random.default_rng(0).permutation(n)[:_MOST_ROWS]
    some, classifier = _learn(table[chosen], x.shape[1], positive[chosen], size[chosen])
    parts = [classifier.mean_sign(classifier.columns(part)) for _, part in row_chunks(table)]
    value, error = (np.concatenate(each) for each in zip(*parts, strict=True))
    every = MeanSign(value, error, value.copy())
    for learned, of_some in zip(every, some, strict=True):
        learned[chosen] = of_some
    return every


def _learn(
    table: FloatArray, n_features: int, positive: NDArray[np.bool_], size: FloatArray
) -> tuple[MeanSign, _SignClassifier]:
    """Train the classifier, and apply it to the rows that it was trained on.

    Parameters
    ----------
    table : ndarray of shape (n, f + p)
        Features and parameters.
    n_features : int
        Number of features, f.
    positive, size : ndarray of shape (n,)
        Sign and size of the weights.
    """
    size = size / size.mean()
    splitter = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=0)
    folds = list(splitter.split(table, positive))
    basis = _Basis(table, n_features)
    trees, by_trees = _cross_fit(
        HistGradientBoostingClassifier(**_TREES), basis.scores(table), positive, size, folds
    )
    scaler = StandardScaler(copy=False)
    columns = scaler.fit_transform(np.column_stack([basis(table), by_trees]))
    best, losses, unseen = _INVERSE_PENALTIES[0], np.full(len(size), np.inf), by_trees
    for inverse_penalty in _INVERSE_PENALTIES:
        _, log_odds = _cross_fit(_regression(inverse_penalty), columns, positive, size, folds)
        tried = size * np.logaddexp(0.0, np.where(positive, -log_odds, log_odds))
        if inverse_penalty == best or _excess(losses - tried) > _BETTER_AT:
            best, losses, unseen = inverse_penalty, tried, log_odds
    regression = _regression(best).fit(columns, positive, size)
    covariance = _covariance(regression, columns, positive, size)
    classifier = _SignClassifier(trees, basis, scaler, regression, covariance)
    return MeanSign(*classifier.mean_sign(columns), np.tanh(unseen / 2)), classifier


@dataclass(frozen=True)
class _SignClassifier:
    """The trained classifier of signs.

    Attributes
    ----------
    trees : list of classifier
        Those of the cross-fit, whose mean log-odds new rows have.
    basis : _Basis
        Splines and products.
    scaler : StandardScaler
        Gives the columns of both variance 1.
    regression : LogisticRegression
        Regression of the sign on these columns.
    covariance : ndarray of shape (k + 1, k + 1)
        Covariance of its constant and coefficients.
    """

    trees: list[Any]
    basis: _Basis
    scaler: StandardScaler
    regression: LogisticRegression
    covariance: FloatArray

    def columns(self, table: FloatArray) -> FloatArray:
        """Return what the regression takes of new rows, (n, k)."""
        scores = self.basis.scores(table)
        mean = np.mean([model.decision_function(scores) for model in self.trees], axis=0)
        columns: FloatArray = self.scaler.transform(np.column_stack([self.basis(table), mean]))
        return columns

    def mean_sign(self, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return 2 p₊ - 1 and its error, both (n,)."""
        value = np.tanh(self.regression.decision_function(columns) / 2)
        constant, slopes = self.covariance[0], self.covariance[1:, 1:]
        variance = np.einsum("ij,ij->i", columns @ slopes, columns)
        variance += constant[0] + 2 * columns @ constant[1:]
        return value, (1 - value**2) / 2 * np.sqrt(variance)


def _covariance(
    regression: LogisticRegression,
    columns: FloatArray,
    positive: NDArray[np.bool_],
    size: FloatArray,
) -> FloatArray:
    """Compute the covariance of a weighted regression's constant and k coefficients.

    The variance of its gradient comes from the squares of the weights, and is not its curvature.
    """
    design = np.column_stack([np.ones(len(columns)), columns])
    share = regression.predict_proba(columns)[:, 1]
    curvature = design.T @ (design * (size * share * (1 - share))[:, None])
    curvature[1:, 1:] += np.eye(columns.shape[1]) / regression.C
    variance = design.T @ (design * np.square(size * (positive - share))[:, None])
    inverse = np.linalg.inv(curvature)
    covariance: FloatArray = inverse @ variance @ inverse
    return covariance


def _excess(difference: FloatArray) -> float:
    """Compute the mean of a difference of losses, (n,), in units of its standard error."""
    error = difference.std() / np.sqrt(len(difference))
    return float(difference.mean() / error) if error > 0 else 0.0


def _regression(inverse_penalty: float) -> LogisticRegression:
    return LogisticRegression(C=inverse_penalty, solver="newton-cholesky")


def _cross_fit(
    model: Any,
    columns: FloatArray,
    positive: NDArray[np.bool_],
    size: FloatArray,
    folds: list[tuple[NDArray[Any], NDArray[Any]]],
) -> tuple[list[Any], FloatArray]:
    """Train a classifier without each fold, and return all of them and the log-odds of each event.

    Parameters
    ----------
    model : classifier of scikit-learn
        The classifier, whose clones are trained.
    columns : ndarray of shape (n, k)
        What it learns from.
    positive, size : ndarray of shape (n,)
        Sign and size of the weights.
    folds : list of pair of ndarray of int
        Rows to train on, and rows to predict, by fold.
    """
    models, log_odds = [], np.empty(len(columns))
    for train, test in folds:
        models.append(clone(model).fit(columns[train], positive[train], size[train]))
        log_odds[test] = models[-1].decision_function(columns[test])
    return models, log_odds


class _Basis:
    """Splines of the normal scores of features and parameters, and products of these.

    Scores are those of a normal distribution by rank, so that neither units nor outliers nor heavy
    tails count. Splines of features are multiplied by the parameters as well.

    Parameters
    ----------
    table : ndarray of shape (n, f + p)
        Features and parameters.
    n_features : int
        Number of features, f.
    """

    def __init__(self, table: FloatArray, n_features: int) -> None:
        self._n_features = n_features
        self._ranks = np.linspace(0.0, 1.0, _N_QUANTILES)
        missing = np.isnan(table)
        self._missing = missing.any(axis=0)
        known = np.where(missing.all(axis=0), 0.0, table)
        self._quantiles = np.nanquantile(known, self._ranks, axis=0).T
        self._n_columns = table.shape[1]
        self._splines = [_splines(column) for column in self.scores(table)[:, : self._n_columns].T]

    def scores(self, table: FloatArray) -> FloatArray:
        """Return normal scores by rank, and 1 where a column that lacks values has none.

        Equal values have the score of their middle rank, missing ones that of the median.
        """
        ranks, scores = self._ranks, np.empty(table.shape)
        for k, (column, quantiles) in enumerate(zip(table.T, self._quantiles, strict=True)):
            first = np.interp(column, quantiles, ranks)
            last = 1.0 - np.interp(-column, -quantiles[::-1], 1.0 - ranks[::-1])
            scores[:, k] = (first + last) / 2
        least = ndtr(-_LARGEST_SCORE)
        scores = np.nan_to_num(ndtri(scores.clip(least, 1.0 - least)), copy=False)
        return np.column_stack([scores, np.isnan(table[:, self._missing])])

    def __call__(self, table: FloatArray) -> FloatArray:
        """Return the functions of rows, (n, k)."""
        scores, missing = np.split(self.scores(table), [self._n_columns], axis=1)
        f = self._n_features
        functions = [
            spline.transform(column[:, None])
            for spline, column in zip(self._splines, scores.T, strict=True)
        ]
        functions += [part * theta[:, None] for theta in scores.T[f:] for part in functions[:f]]
        functions.append(missing)
        if f <= _MOST_PAIRED:
            functions += [scores[:, [k]] * scores[:, k + 1 : f] for k in range(f - 1)]
        return np.concatenate(functions, axis=1)


def _splines(scores: FloatArray) -> SplineTransformer:
    """Make the splines of n scores, with knots at those of their quantiles that differ."""
    knots = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, _N_KNOTS)))
    if len(knots) == 1:
        knots = np.array([knots[0], knots[0] + 1.0])
    return SplineTransformer(knots=knots[:, None], include_bias=False, extrapolation="linear").fit(
        scores[:, None]
    )
