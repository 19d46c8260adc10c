r"""Means of functions of x_G at any θ, from generator events at many θ.

All generator events, nominal or not, are one mixture of known composition. An event weighted by
w(x; θ)/q(x), where q is the average of w over the θ of the sample, stands for θ with a bounded
weight, however far θ is from nominal. The error of the weights' couplings, where it is known, adds
to that of the events. Where it is not known, or the events exclude the weights or have not been
seen by them, a polynomial in θ is fitted to what the events of each θ say beyond the weights, and
takes out what these have wrong: the prediction is right if the weights or the polynomial are. Of
the couplings' error the polynomial leaves what varies faster with θ.

References
----------
A. B. Owen and Y. Zhou, J. Am. Stat. Assoc. 95, 135 (2000), for the mixture; J. M. Robins,
A. Rotnitzky and L. P. Zhao, J. Am. Stat. Assoc. 89, 846 (1994), for the double robustness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from skdctr._utils.linear import pseudo_inverse
from skdctr._utils.typing import FloatArray
from skdctr.parameters.cells import theta_cells
from skdctr.parameters.polynomials import Product, Selection, ThetaBasis, exponents, interpolate
from skdctr.weights.couplings import Couplings
from skdctr.weights.error import DERIVATIVE_ROWS, coupling_covariance
from skdctr.weights.event_weights import EventWeights

__all__ = ["Correction", "GeneratorPrediction", "GeneratorSample", "predict_generator"]

IndexArray = NDArray[np.intp]

# Values of θ that the mixture density is averaged over, and those at which means are tabulated, by
# the number of parameters; the last line is for three parameters and more.
_DENSITY_NODES = {1: 128, 2: 512}
_NODES = {1: 64, 2: 128}
_MORE_DENSITY_NODES, _MORE_NODES = 1024, 256
# Elements of the table of weights, events times nodes: 200 MB in single precision.
_TABLE_SIZE = 50_000_000
# p-value below which the generator events exclude weights that know their error, which are then
# corrected all the same.
_EXCLUDED_AT = 0.001


@dataclass(frozen=True)
class Correction:
    """Which polynomial in θ corrects the weights, and where.

    Attributes
    ----------
    degree : int
        Total degree; −1 for no correction.
    share : float
        Part of the generator events that it is fitted to, those with θ nearest to the reference.
    """

    degree: int
    share: float


@dataclass(eq=False)
class _MixtureDependence:
    """How k sums of means at several θ depend on the weights, by the numerator w and the mixture q.

    Attributes
    ----------
    weights : EventWeights
        Weights of n events.
    theta : ndarray of shape (t, p)
        Values of θ at which the means are taken.
    columns : ndarray of shape (k, n, t)
        Derivative of each number by the log-weight of each event at each θ.
    nodes : ndarray of shape (q, p)
        Values of θ that the mixture is made of.
    shares : ndarray of shape (n, q)
        Posterior share of each node in each event.
    """

    weights: EventWeights
    theta: FloatArray
    columns: FloatArray
    nodes: FloatArray
    shares: FloatArray

    def by_coupling(self, couplings: Couplings) -> FloatArray:
        """Return the derivative by each coupling, (k, b·a)."""
        functions = couplings.event_functions.cpu().numpy().astype(np.float64)
        numerator = couplings.parameter_functions(self.theta)
        mixture = self.shares @ couplings.parameter_functions(self.nodes)
        slopes = [
            functions.T @ column @ numerator - (functions * column.sum(axis=1)[:, None]).T @ mixture
            for column in self.columns
        ]
        return np.stack([slope.ravel() for slope in slopes])


class GeneratorSample:
    """Generator events and the mixture that they are, tabulated once for all that follows.

    Parameters
    ----------
    weights : EventWeights
        Log-weights of the generator events as a function of θ.
    theta : ndarray of shape (n, p)
        The parameters that each event was generated with.
    event_weight : ndarray of shape (n,)
        Event weights.
    nominal : ndarray of shape (p,)
        θ₀.
    rng : Generator
        Chooses the events of the table.

    Attributes
    ----------
    mixture_rows : ndarray of int of shape (m,)
        Numbers of the events of the table.
    nodes : ndarray of shape (q, p)
        Values of θ at which means are tabulated.
    table : ndarray of float32 of shape (m, q)
        Weight of each event at each node; columns sum to 1.
    """

    def __init__(
        self,
        weights: EventWeights,
        theta: FloatArray,
        event_weight: FloatArray,
        nominal: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        self.theta, self.event_weight = theta, event_weight
        p = theta.shape[1]
        is_nominal = (theta == nominal).all(axis=1)
        varied, varied_weight = theta[~is_nominal], event_weight[~is_nominal]
        density = theta_cells(varied, varied_weight, _DENSITY_NODES.get(p, _MORE_DENSITY_NODES))
        nodes, _ = theta_cells(varied, varied_weight, _NODES.get(p, _MORE_NODES))
        self.nodes = np.concatenate([nodes, nominal[None]])
        n_rows = min(len(theta), _TABLE_SIZE // len(self.nodes))
        rows = np.sort(rng.choice(len(theta), n_rows, replace=False))
        self.mixture_rows = rows
        self.weights = weights.subset(rows) if n_rows < len(theta) else weights
        self.log_base = np.log(np.abs(event_weight[rows]))
        self.sign = np.sign(event_weight[rows])
        # Shares of the mixture are sums of signed weights, as negative ones make up for others.
        self._tabulate(*density, max(float(event_weight[is_nominal].sum()), 0.0))

    def _tabulate(self, nodes: FloatArray, shares: FloatArray, nominal_share: float) -> None:
        """Compute the density of the mixture and the table of weights.

        Parameters
        ----------
        nodes : ndarray of shape (q, p)
            Values of θ that the mixture is made of, beside θ₀.
        shares : ndarray of shape (q,)
            Sum of event weights of each.
        nominal_share : float
            Sum of event weights of θ₀, whose weights w are 1.
        """
        with np.errstate(divide="ignore"):
            logarithm = np.log(np.append(shares, nominal_share))
        logarithm -= np.logaddexp.reduce(logarithm)
        density = np.full(len(self.mixture_rows), logarithm[-1])
        self.density_nodes, self.log_shares = nodes, logarithm[:-1]
        for node, log_share in zip(nodes, logarithm, strict=False):
            np.logaddexp(density, self.weights.log_weights(node) + log_share, out=density)
        self.log_density = density
        self.log_base -= density
        self.table = np.empty((len(density), len(self.nodes)), dtype=np.float32)
        for column, node in enumerate(self.nodes):
            self.table[:, column] = self.mixture_weights(node)

    def mixture_weights(self, theta: FloatArray) -> FloatArray:
        """Return the weights with which the events of the table stand for θ, (m,), of sum 1."""
        weight = self.sign * np.exp(self.log_base + self.weights.log_weights(theta))
        normalised: FloatArray = weight / weight.sum()
        return normalised

    @property
    def knows_weights(self) -> bool:
        """Whether the weights know their own error."""
        return bool(self.weights.couplings())

    def weight_covariance(
        self, values: FloatArray, theta: FloatArray, combine: FloatArray
    ) -> FloatArray | None:
        """Propagate the error of the weights' couplings to sums of means of values.

        Parameters
        ----------
        values : ndarray of shape (m, k)
            Values of the events of the table.
        theta : ndarray of shape (t, p)
            Values of θ at which the means are taken.
        combine : ndarray of shape (t, k)
            Share of the mean at each θ in each sum.

        Returns
        -------
        ndarray of shape (k, k), or None
            None where the weights do not know their error.
        """
        if not self.knows_weights:
            return None
        # `DERIVATIVE_ROWS` says why fewer events will do.
        rows = np.arange(0, len(values), math.ceil(len(values) / DERIVATIVE_ROWS))
        part = self.weights.subset(rows)
        columns = np.empty((values.shape[1], len(rows), len(theta)))
        for t, point in enumerate(theta):
            weight = self.mixture_weights(point)
            scale = weight.sum() / weight[rows].sum()
            centred = (values[rows] - weight @ values) * (weight[rows] * scale)[:, None]
            columns[:, :, t] = (centred * combine[t]).T
        shares = self._node_shares(rows)
        dependence = _MixtureDependence(part, theta, columns, self.density_nodes, shares)
        return coupling_covariance([dependence])

    def _node_shares(self, rows: IndexArray) -> FloatArray:
        """Return the posterior share of each density node in events of the table, (m, q)."""
        part = self.weights.subset(rows)
        shares = np.empty((len(self.log_density[rows]), len(self.density_nodes)))
        for k, (node, log_share) in enumerate(
            zip(self.density_nodes, self.log_shares, strict=True)
        ):
            shares[:, k] = np.exp(part.log_weights(node) + log_share - self.log_density[rows])
        return shares


class GeneratorPrediction:
    """E_θ[r] as a function of θ, with what each generator event contributes to its error.

    Parameters
    ----------
    sample : GeneratorSample
        The events.
    values : ndarray of shape (n, k)
        The function r of every generator event.
    reference : ndarray of shape (p,)
        θ near which the prediction is wanted.
    information : ndarray of shape (p, p)
        Fisher information, the metric of the distance from the reference.
    correction : Correction
        Polynomial that corrects the weights.

    Attributes
    ----------
    mixed : ndarray of shape (m, k)
        r of the events of the table.
    node_means : ndarray of shape (q, k)
        E[r] by the weights alone at the nodes of the table.
    rows : ndarray of int of shape (c,)
        Generator events that the correction is fitted to; this and what follows exists only where
        there is a correction.
    residual : ndarray of shape (c, k)
        What these events say beyond the weights and the correction.
    combine : ndarray of shape (c, t, k)
        Derivative of the t coefficients of the correction by what each of these events says.
    """

    def __init__(
        self,
        sample: GeneratorSample,
        values: FloatArray,
        reference: FloatArray,
        information: FloatArray,
        correction: Correction,
    ) -> None:
        self.sample, self.values, self.correction = sample, values, correction
        self.interpolation: Selection | Product
        self.mixed = values[sample.mixture_rows]
        self.node_means = (sample.table.T @ self.mixed.astype(np.float32)).astype(np.float64)
        if correction.degree >= 0:
            self._fit_correction(reference, information)

    def _fit_correction(self, reference: FloatArray, information: FloatArray) -> None:
        """Fit a polynomial in θ to what the events near the reference say beyond the weights."""
        sample, values = self.sample, self.values
        step = sample.theta - reference
        distance = np.einsum("np,pq,nq->n", step, information, step)
        n_taken = math.ceil(self.correction.share * len(distance))
        edge = np.partition(distance, n_taken - 1)[n_taken - 1]
        self.rows = np.flatnonzero(distance <= edge)
        theta, weight = sample.theta[self.rows], sample.event_weight[self.rows]
        self.interpolation = interpolate(sample.nodes, theta)
        self.basis = ThetaBasis.over(theta, self.correction.degree)
        functions = self.basis(theta)
        self.residual = values[self.rows] - self.interpolation @ self.node_means
        # Where r varies more an event says less; the nodes tell how much it varies.
        variance = sample.table.T @ (self.mixed**2).astype(np.float32) - self.node_means**2
        log_variance = np.log(np.maximum(variance, 1e-3 * np.median(variance, axis=0)))
        event_variance = np.exp(self.interpolation @ log_variance)
        self.combine = np.empty((len(theta), len(self.basis.terms), values.shape[1]))
        self.coefficients = np.empty((len(self.basis.terms), values.shape[1]))
        for k in range(values.shape[1]):
            weighted = functions * (weight / event_variance[:, k])[:, None]
            normal = np.linalg.pinv(weighted.T @ functions, hermitian=True)
            self.combine[:, :, k] = weighted @ normal
            self.coefficients[:, k] = self.combine[:, :, k].T @ self.residual[:, k]
        self.residual = self.residual - functions @ self.coefficients

    def mean(self, theta: FloatArray) -> FloatArray:
        """Predict E_θ[r], (k,)."""
        mean: FloatArray = self.sample.mixture_weights(theta) @ self.mixed
        if self.correction.degree >= 0:
            mean = mean + (self.basis(theta[None]) @ self.coefficients)[0]
        return mean

    def covariances(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Compute the two parts of the covariance of the mean, (k, k) each.

        The first is that of the scatter of events, the second that of the weights' own error, as
        far as no correction takes it out. They are not independent, but their sum is never too
        small by much.
        """
        influence = self.influence(theta)
        event_covariance: FloatArray = influence.T @ influence
        points, shares = theta[None], np.ones((1, len(event_covariance)))
        if self.correction.degree >= 0:
            points = np.concatenate([points, self.sample.nodes])
            shares = np.concatenate([shares, -self._correction_shares(theta)[1]])
        weight_covariance = self.sample.weight_covariance(self.mixed, points, shares)
        if weight_covariance is None:
            return event_covariance, np.zeros_like(event_covariance)
        return event_covariance, weight_covariance

    def correction_covariance(self, theta: FloatArray) -> FloatArray | None:
        """Compute the covariance that the weights' own error gives the correction, (k, k).

        None is returned where the weights do not know their error.
        """
        return self.sample.weight_covariance(
            self.mixed, self.sample.nodes, self._correction_shares(theta)[1]
        )

    def _correction_shares(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the shares that the correction at θ adds of events and takes off nodes.

        Returns
        -------
        event_shares : ndarray of shape (c, k)
            Share of r of each event of `rows`.
        node_shares : ndarray of shape (q, k)
            Share of the mean by the weights at each node.
        """
        combine = np.einsum("ntk,t->nk", self.combine, self.basis(theta[None])[0])
        return combine, self.interpolation.T @ combine

    def influence(self, theta: FloatArray) -> FloatArray:
        """Return what each generator event adds to the error of the mean, (n, k)."""
        sample = self.sample
        weight = sample.mixture_weights(theta)
        share = weight[:, None] * (self.mixed - weight @ self.mixed)
        total = np.zeros_like(self.values)
        if self.correction.degree >= 0:
            event_shares, node_shares = self._correction_shares(theta)
            total[self.rows] += event_shares * self.residual
            projected = sample.table @ node_shares.astype(np.float32)
            means = sample.table @ (node_shares * self.node_means).astype(np.float32)
            share = share - (projected * self.mixed - means)
        # The table may hold a part of the events, whose scatter is then that of fewer.
        total[sample.mixture_rows] += share
        return total


def predict_generator(
    sample: GeneratorSample,
    values: FloatArray,
    reference: FloatArray,
    information: FloatArray,
    corrections: Sequence[Correction],
    metric: FloatArray,
) -> GeneratorPrediction:
    """Predict with the correction that promises the smallest error at the reference.

    Weights that know their error need no correction, unless the most flexible one excludes them.
    Otherwise the variance and the bias of each are estimated: the bias from the difference to the
    last one, the most flexible, as far as it exceeds its own error.

    Parameters
    ----------
    sample, values, reference, information
        As for `GeneratorPrediction`.
    corrections : sequence of Correction
        Polynomials, from the stiffest to the most flexible.
    metric : ndarray of shape (k, k)
        Weight that errors of the k means have in the choice, the inverse of a covariance.

    Returns
    -------
    GeneratorPrediction

    References
    ----------
    G. Claeskens and N. L. Hjort, J. Am. Stat. Assoc. 98, 900 (2003): the focused criterion.
    """
    n_distinct = len(np.unique(sample.theta[:: max(1, len(sample.theta) // 10_000)], axis=0))
    p = sample.theta.shape[1]
    usable = [c for c in corrections if len(exponents(p, c.degree)) <= n_distinct]

    def make(correction: Correction) -> GeneratorPrediction:
        return GeneratorPrediction(sample, values, reference, information, correction)

    *stiffer, last = usable or corrections[:1]
    flexible = make(last)
    if not stiffer:
        return flexible
    flexible_mean, flexible_influence = flexible.mean(reference), flexible.influence(reference)

    def difference(prediction: GeneratorPrediction) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the difference to the flexible one, its covariance, and the own influence."""
        influence = prediction.influence(reference)
        change = influence - flexible_influence
        return prediction.mean(reference) - flexible_mean, change.T @ change, influence

    def risk(prediction: GeneratorPrediction) -> float:
        bias, covariance, influence = difference(prediction)
        excess = float(bias @ metric @ bias) - float(np.sum(covariance * metric))
        return float(np.sum((influence @ metric) * influence) + max(excess, 0.0))

    if stiffer[0].degree < 0:
        weight_covariance = flexible.correction_covariance(reference)
        if weight_covariance is not None:
            plain = make(stiffer.pop(0))
            bias, covariance, _ = difference(plain)
            inverse = pseudo_inverse(covariance + weight_covariance)
            if chi2.sf(float(bias @ inverse @ bias), len(bias)) > _EXCLUDED_AT:
                return plain
    return min([*map(make, stiffer), flexible], key=risk)
