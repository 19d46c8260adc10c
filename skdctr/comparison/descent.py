"""Descent of the loss of a frozen classifier to its minimum over θ, by its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.stats import qmc

from skdctr._utils.torch_state import default_torch
from skdctr._utils.typing import FloatArray
from skdctr.comparison.likelihood import Likelihood
from skdctr.parameters.derivatives import positive_steps
from skdctr.parameters.space import ParameterSpace
from skdctr.results.covariance import Sources, sandwich
from skdctr.results.messages import Message
from skdctr.results.solution import Solution

__all__ = ["Solver", "adam", "descend", "lbfgs"]

# A descent from a first θ, (p,): ``solver(likelihood, start, space, report)``.
Solver = Callable[[Likelihood, FloatArray, ParameterSpace, Callable[[], Any]], Solution]

# Step of second derivatives, as a share of the unit of each parameter.
_STEP = 1e-4
# Slope, in units of its statistical error, that is as good as none.
_LEAST_SLOPE = 0.01
# Rise of the loss that is as good as none, in units of what the numbers of events can resolve.
_LEAST_RISE = 0.01
# Values of θ, for each parameter, that are tried as the start beside θ₀.
_STARTS = 8


def descend(
    likelihood: Likelihood, space: ParameterSpace, solver: Solver, report: Callable[[], Any]
) -> tuple[Solution, FloatArray]:
    """Find the minimum of the loss with its covariance by source, and the Hessian there.

    Parameters
    ----------
    likelihood : Likelihood
        The loss that is minimised.
    space : ParameterSpace
        The range that is searched.
    solver : callable
        `lbfgs` or `adam` with their settings.
    report : callable
        Called at every step.

    Returns
    -------
    found : Solution
        θ* and its covariance by source.
    hessian : ndarray of shape (p, p)
        Second derivative of the loss at θ*.
    """
    start = _best_start(likelihood, space)
    found = _not_above(start, solver(likelihood, start, space, report), likelihood)
    width = space.width
    step = positive_steps(found.theta, _STEP * space.unit, space.low)
    scale = np.outer(width, width)
    hessian = likelihood.hessian(found.theta, step)
    scatter = likelihood.scatter(found.theta) | likelihood.weight_covariance(found.theta, step)
    scaled = {source: covariance * scale for source, covariance in scatter.items()}
    sources, unidentified = sandwich(hessian * scale, scaled, width, space.names)
    messages = [*found.messages, *unidentified]
    return replace(found, sources=sources, messages=messages), hessian


def _best_start(likelihood: Likelihood, space: ParameterSpace) -> FloatArray:
    """Return the best of θ₀ and some values within the bounds, (p,), where these are finite.

    Weights may flatten towards the end of the range: a descent whose first step leaps there finds
    another minimum.
    """
    nominal = space.clip(space.nominal)
    if not np.isfinite(space.high - space.low).all():
        return nominal
    # The first point of the sequence is the corner.
    design = qmc.Halton(len(space), scramble=False).random(_STARTS * len(space) + 1)[1:]
    points = space.low + (space.high - space.low) * design
    return min([nominal, *points], key=likelihood.loss)


def _not_above(start: FloatArray, found: Solution, likelihood: Likelihood) -> Solution:
    """Return what a descent found, or its start where the loss there is smaller."""
    rise = likelihood.loss(found.theta) - likelihood.loss(start)
    resolution = (likelihood.sim_share**2).sum() + (likelihood.data_share**2).sum()
    if rise <= _LEAST_RISE * resolution:
        return found
    text = (
        "the descent ended where the loss is larger than at its start, which is given: raise "
        "max_iter, lower lr, or use solver='lbfgs'"
    )
    return replace(found, theta=start, converged=False, messages=[*found.messages, Message(text)])


def lbfgs(
    likelihood: Likelihood,
    start: FloatArray,
    space: ParameterSpace,
    report: Callable[[], Any],
    *,
    max_iter: int,
    tol: float,
) -> Solution:
    """Descend by L-BFGS-B, within bounds, until the gradient is below `tol`.

    Parameters
    ----------
    likelihood, space, report
        As for `descend`.
    start : ndarray of shape (p,)
        First θ.
    max_iter : int
        Iterations at most.
    tol : float
        Largest component of the gradient at the end, per half of `space.unit` of each parameter.
    """
    width = space.unit / 2

    def value(z: FloatArray) -> tuple[float, FloatArray]:
        theta = start + z * width
        return likelihood.loss(theta), likelihood.gradient(theta) * width

    ends = (space.low - start) / width, (space.high - start) / width
    outcome = minimize(
        value,
        np.zeros_like(start),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(*ends, strict=True)),
        callback=lambda intermediate_result: report(),  # noqa: ARG005 - a name scipy looks for
        options={"maxiter": max_iter, "gtol": tol, "ftol": 1e-14},
    )
    theta = space.clip(start + outcome.x * width)
    # A line search fails (status 2) where rounding of the weights hides what is left to gain.
    free = (theta > space.low) & (theta < space.high)
    errors = np.sqrt(np.diag(likelihood.scatter(theta).total(len(theta)))) * width
    flat = bool((np.abs(outcome.jac) <= _LEAST_SLOPE * errors)[free].all())
    converged = bool(outcome.success) or (outcome.status == 2 and flat)
    messages = [] if converged else [Message(f"L-BFGS-B stopped early: {outcome.message}")]
    return Solution(theta, Sources(), converged, messages, n_evaluations=int(outcome.nit))


def adam(
    likelihood: Likelihood,
    start: FloatArray,
    space: ParameterSpace,
    report: Callable[[], Any],
    *,
    max_iter: int,
    tol: float,
    lr: float,
) -> Solution:
    """Descend by Adam, as the DCTR paper does, with a learning rate that decays to nothing.

    Parameters
    ----------
    likelihood, space, report
        As for `descend`.
    start : ndarray of shape (p,)
        First θ.
    max_iter : int
        Steps at most.
    tol : float
        Largest component of the gradient that ends the descent early, per half of `space.unit` of
        each parameter. At `max_iter` a hundred times as much counts as converged.
    lr : float
        First learning rate, in halves of `space.unit`.
    """
    width = space.unit / 2
    with default_torch():
        z = torch.zeros(len(start), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([z], lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max_iter)

    def steepest(theta: FloatArray, gradient: FloatArray) -> float:
        """Return the largest component of the gradient that no bound holds."""
        free = (theta > space.low) & (theta < space.high)
        return float(np.abs(gradient[free]).max(initial=0.0))

    theta = start
    for step in range(1, max_iter + 1):
        gradient = likelihood.gradient(theta) * width
        with default_torch():
            z.grad = torch.as_tensor(gradient)
            optimizer.step()
            schedule.step()
        report()
        moved = space.clip(start + z.detach().numpy() * width)
        # Adam's own position is kept within bounds, or it would have to come all the way back.
        z.data = torch.as_tensor((moved - start) / width)
        theta = moved
        if steepest(theta, gradient) < tol:
            return Solution(theta, Sources(), converged=True, n_evaluations=step)
    gradient = likelihood.gradient(theta) * width
    converged = steepest(theta, gradient) < 100 * tol
    stopped = Message("Adam stopped at max_iter: raise it, or use solver='lbfgs'")
    messages = [] if converged else [stopped]
    return Solution(theta, Sources(), converged, messages, n_evaluations=max_iter)
