"""Gradient descent in batch, each row with a step length of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (z, target) -> (loss, goal reached), each (B,)
CHUNK = 4096  # rows at a time: the working set stays in the cache
PAD = 64  # a batch is filled up to a multiple of it, so that a row's last digits don't depend on how many rows are left


@dataclass
class PolyakDescent:
    """Where each row ended.

    Shape: z (B, D); reached (B,) bool; steps (B,), the gradient steps taken.
    """

    z: Tensor
    reached: Tensor
    steps: Tensor


def descend(
    evaluate: Evaluate,
    z: Tensor,
    target: Tensor,
    max_steps: int,
    patience: int,
    step_limit: float,
) -> PolyakDescent:
    r"""Minimises a loss of each row from its start, by Polyak's step for a loss whose least value is 0.

    .. math:: z \leftarrow z - \min\left(\frac{L}{|g|^2}, \frac{\text{limit}}{|g|}\right) g, \quad g = \nabla_z L

    No step goes beyond the point where the tangent of L is zero, so there is no learning rate to tune, and near a
    solution each step lowers L by a constant factor. A row that reaches its goal stops there. A row whose loss has not
    fallen by a thousandth for `patience` steps is given up, and left where its loss was least. Rows don't depend on
    each other.

    Args:
        evaluate: (z, target) -> (L, whether the row has reached its goal), each (B,), one row from one row.
        z: where each row starts.
        target: what `evaluate` needs of each row, (B, ...).
        max_steps: steps before a row is given up.
        patience: steps without progress before a row is given up.
        step_limit: the longest step, in units of z.

    Shape: z (B, D).
    Reference: Polyak 1987, Introduction to Optimization, section 5.3; Hazan and Kakade 2019, Revisiting the
        Polyak step size, arXiv:1905.00313.
    """
    chunks = zip(torch.split(z, CHUNK), torch.split(target, CHUNK), strict=True)
    parts = [_descend(evaluate, *chunk, max_steps, patience, step_limit) for chunk in chunks]
    return PolyakDescent(*(torch.cat([getattr(part, name) for part in parts]) for name in ("z", "reached", "steps")))


def _descend(
    evaluate: Evaluate, z: Tensor, target: Tensor, max_steps: int, patience: int, step_limit: float
) -> PolyakDescent:
    ended = PolyakDescent(
        z.clone(),
        torch.zeros(len(z), dtype=torch.bool, device=z.device),
        torch.zeros(len(z), dtype=torch.long, device=z.device),
    )
    rows = torch.arange(len(z), device=z.device)  # those still on their way
    least = torch.full_like(z[:, 0], torch.inf)  # the least loss of each of them
    waited = torch.zeros_like(rows)  # steps since it fell
    for step in range(max_steps + 1):
        loss, gradient, reached = _slope(evaluate, z, target)
        lower = loss < least
        waited = torch.where(loss < least * (1 - 1e-3), 0, waited + 1)
        least = torch.where(lower, loss, least)
        keep = lower | reached
        ended.z[rows[keep]] = z[keep]
        ended.reached[rows[reached]] = True
        ended.steps[rows] = step
        squared = gradient.square().sum(1)
        length = torch.minimum(loss / squared, step_limit / squared.sqrt())
        moved = length.isfinite() & (squared > 0) & squared.isfinite()  # else flat or overflowing: no way to go
        on = moved & ~reached & (waited < patience)
        if step == max_steps or not on.any():
            break
        z = z[on] - length[on, None] * gradient[on]
        rows, target, least, waited = rows[on], target[on], least[on], waited[on]
    return ended


def _slope(evaluate: Evaluate, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of each row, its gradient and whether the row has reached its goal: (B,), (B, D), (B,)."""
    n = len(z)
    fill = -n % PAD
    z = torch.cat([z, z[-1:].expand(fill, -1)]).detach().requires_grad_()
    with torch.enable_grad():
        loss, reached = evaluate(z, torch.cat([target, target[-1:].expand(fill, *target.shape[1:])]))
        (gradient,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach()[:n], gradient[:n], reached.detach()[:n]
