"""Moves draws onto the simulator's own y = s(x), each by as little as it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inncli.errors import RequestError

TARGET = 1e-12  # iterate until the residual is this small, in the units of y described below
ACCEPT = 1e-10  # what counts as converged: rounding in s(x) may keep the target out of reach
LEAST_DAMPING = 1e-12  # keeps J J^T invertible where y has redundant columns
Observe = Callable[[Any], Any]  # rows x (B, D) -> y (B, Dy), of NumPy arrays and of torch tensors alike


@dataclass
class Refined:
    """Where each draw ended.

    Attributes:
        x: the draws; those that did not converge are as they were.
        converged: which did.
        moved: distance from the draw, in sds of x; 0 for the others.
        before, after: |s(x) - y|, Euclidean, in task units.

    Shape: x (S, D); the others (S,).
    """

    x: np.ndarray
    converged: np.ndarray
    moved: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def report(self) -> dict[str, Any]:
        """Median and 99th percentile of `before`, `after` and `moved` over all draws; how many are unconverged."""
        spread = {
            name: {"q50": float(np.nanquantile(part, 0.5)), "q99": float(np.nanquantile(part, 0.99))}
            for name, part in (("error_before", self.before), ("error_after", self.after), ("moved", self.moved))
        }
        return {**spread, "unconverged": int((~self.converged).sum()), "draws": len(self.converged)}


def refine(
    observe: Observe,
    x: np.ndarray,
    y: np.ndarray,
    sd_x: np.ndarray,
    sd_y: np.ndarray,
    bounds: np.ndarray,
    fixed: np.ndarray | None = None,
    max_steps: int = 60,
    step_limit: float = 0.3,
) -> Refined:
    r"""Takes damped minimum-norm Gauss-Newton steps towards s(x) = y, each row for itself, in float64.

    .. math:: z = x / \text{sd}_x, \quad r = (y - s(x)) / u, \quad J = \partial (s/u) / \partial z, \quad
        \delta = J^T (J J^T + \lambda \bar{d} I)^{-1} r, \quad
        z \leftarrow z + \min(1, \text{limit} / |\delta|)\, \delta

    with :math:`\bar{d}` the mean of the diagonal of J J^T. Without damping delta is the shortest step, in sds of
    x, to where the tangent of s reaches y, so a draw goes to a near point of the set s(x) = y and not to its far
    side. A step that does not lower |r| is taken back and lambda grows tenfold; else it shrinks tenfold. An
    unknown that would leave its bounds is held there, and the step taken in the others.

    The unit u_j of a column of y is the larger of its sd and |y_j|, so that the tolerance follows the digits that
    float64 has. A row has converged at max |r_j| <= 1e-10, and goes on to 1e-12 where it can. Others
    (no such x near by, a flat place, too many steps) are left unmoved.

    A refined draw of a posterior lies on the set {s(x) = y}; the density along that set stays the model's own. Where
    y has noise, p(x | y) does not lie on that set at all.

    Args:
        observe: s, from (B, D) to (B, Dy), a row from a row; of tensors and of arrays, with the same values.
        x: the draws.
        y: the observation, (Dy,).
        sd_x: the spread of x in training, (D,).
        sd_y: that of y, (Dy,).
        bounds: low and high ends of x, (2, D), infinite where open.
        fixed: unknowns that are not moved (a count, say), (D,) bool.
        max_steps: steps before a row is given up.
        step_limit: the longest step, in sds of x.

    Shape: x (S, D).
    Raises: RequestError if `observe` does not work on tensors, or gives other values there.
    Reference: Ben-Israel 1966, A Newton-Raphson method for the solution of systems of equations; Nocedal and Wright
        2006, Numerical Optimization, chapter 10.
    """
    start = torch.as_tensor(np.asarray(x, dtype=np.float64))
    target = torch.as_tensor(np.asarray(y, dtype=np.float64).reshape(-1))
    unit = torch.maximum(torch.as_tensor(np.asarray(sd_y, dtype=np.float64)), target.abs())
    scale = torch.as_tensor(np.asarray(sd_x, dtype=np.float64))
    low, high = (torch.as_tensor(end) / scale for end in np.asarray(bounds, dtype=np.float64))
    free = torch.ones_like(scale, dtype=torch.bool) if fixed is None else ~torch.as_tensor(np.asarray(fixed))

    def residual(z: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = (target - observe(z * scale)) / unit
            return found

    _check_differentiable(observe, start[:8])
    z = start / scale
    inside = torch.minimum(torch.maximum(z, low), high)
    r = residual(inside)
    # A row whose simulation fails has no residual to lower.
    active = (r.isfinite().all(1) & (r.abs().amax(1) > TARGET)).nonzero().squeeze(1)
    best, best_r = inside.clone(), r.clone()
    damping = torch.full_like(r[:, 0], 1e-3)
    for _ in range(max_steps):
        if not len(active):
            break
        here, r_here = best[active], best_r[active]
        jacobian = _jacobian(observe, here * scale) * scale / unit[:, None]
        step = _step(jacobian, r_here, damping[active], here, low, high, free)
        step = step * (step_limit / step.norm(dim=1).clamp_min(step_limit))[:, None]
        there = torch.minimum(torch.maximum(here + step, low), high)
        r_there = residual(there)
        lower = r_there.square().sum(1) < r_here.square().sum(1)  # false for NaN
        best[active[lower]], best_r[active[lower]] = there[lower], r_there[lower]
        damping[active] = torch.where(lower, damping[active] / 10, damping[active] * 10).clamp_min(LEAST_DAMPING)
        done = best_r[active].abs().amax(1) <= TARGET
        stuck = (damping[active] > 1e8) | ~jacobian.isfinite().all(2).all(1)
        active = active[~done & ~stuck]
    converged = best_r.isfinite().all(1) & (best_r.abs().amax(1) <= ACCEPT)
    # Bounds and fixed unknowns hold to the last digit: z * scale may round across them.
    x_new = torch.minimum(torch.maximum(best * scale, low * scale), high * scale)
    x_new = torch.where(converged[:, None] & free, x_new, start)
    moved = ((x_new - start) / scale).norm(dim=1)
    with torch.no_grad():
        before, after = ((observe(rows) - target).norm(dim=1) for rows in (start, x_new))
    return Refined(*(part.numpy() for part in (x_new, converged, moved, before, after)))


def _step(jacobian: Tensor, r: Tensor, damping: Tensor, z: Tensor, low: Tensor, high: Tensor, free: Tensor) -> Tensor:
    """The damped minimum-norm step in the unknowns that are free and not pressed against a bound. (B, D)."""
    moves = free.expand_as(z)
    for _ in range(z.shape[1]):
        j = torch.where(moves[:, None], jacobian, 0.0).nan_to_num(0, 0, 0)
        gram = j @ j.mT
        mean = gram.diagonal(dim1=1, dim2=2).mean(1)
        ridge = damping * torch.where(mean > 0, mean, 1.0)
        gram = gram + ridge[:, None, None] * torch.eye(r.shape[1], dtype=r.dtype)
        step: Tensor = (j.mT @ torch.linalg.solve_ex(gram, r[..., None]).result)[..., 0]
        pressed = moves & (((z <= low) & (step < 0)) | ((z >= high) & (step > 0)))
        if not pressed.any():
            break
        moves = moves & ~pressed
    return step


def _jacobian(observe: Observe, x: Tensor) -> Tensor:
    """The derivative ds/dx at each row, (B, Dy, D), by a backward pass for each column of y."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y = observe(x)
        columns = [torch.autograd.grad(y[:, j].sum(), x, retain_graph=True)[0] for j in range(y.shape[1])]
    return torch.stack(columns, 1)


def _check_differentiable(observe: Observe, x: Tensor) -> None:
    try:
        _jacobian(observe, x)
    except RequestError:
        raise
    except Exception as error:  # a simulator may use anything that tensors lack
        what = " ".join(str(error).split())[:120]
        raise RequestError(
            "`refine=True` needs a simulator that torch can differentiate; observe(x) failed on a tensor "
            f"({type(error).__name__}: {what}); leave `refine` out",
            "refine",
        ) from error
    plain, tensor = observe(x.numpy()), observe(x).numpy()
    if not np.allclose(plain, tensor, rtol=1e-9, atol=1e-9 * np.abs(plain).max(), equal_nan=True):
        raise RequestError(
            f"`refine`: observe(x) gives {plain[0].tolist()} for an array and {tensor[0].tolist()} for "
            "the same numbers in a tensor; mend it, or leave `refine` out",
            "refine",
        )
