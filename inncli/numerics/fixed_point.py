r"""Solving x + g(x) = y for a contraction g: a batch of rows at once, each row on its own.

With r(x) = x + g(x) - y and Lip(g) <= L < 1 the one solution x* is known to lie within

.. math:: \|x - x^*\| \le \|r(x)\| / (1 - L),

and that bound is the stop rule: neither the length of a step nor a count of iterations says how far x is from x*.
A row leaves the batch when its bound is met, so that its answer doesn't depend on its batch mates.

Three methods propose the next x:

* `banach`: x - r, the fixed-point iteration; r shrinks at least by the factor L each time.
* `anderson`: the combination of the last steps that would cancel r if g were linear along them.
* `newton`: x - M r, with the inverse Jacobian M computed once, at the start, and corrected by each step since
  (the chord method with Broyden's update). The Jacobian costs d evaluations, so it pays in few dimensions.

The last two are guarded: where a proposal fails to shrink r by L, the next step is Banach's from the best x, which
can't fail. So they converge wherever Banach does.

Reference: Walker and Ni 2011, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49;
    Broyden 1965, A class of methods for solving nonlinear simultaneous equations, Math. Comp. 19.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from inncli.errors import ConvergenceError

Method = Literal["banach", "anderson", "newton"]
Map = Callable[[Tensor, Tensor], Tensor]  # (x of some rows, which rows they are) -> a value a row


@dataclass(frozen=True)
class Solution:
    """What `solve` found.

    Attributes:
        x: (B, d).
        residual: the norm of x + g(x) - y, (B,).
        error_bound: residual / (1 - L), which the error of x doesn't exceed, (B,).
        evaluations: how often g was evaluated for a row, (B,); a Jacobian counts as d.
        history: the largest residual of all rows after each iteration.
    """

    x: Tensor
    residual: Tensor
    error_bound: Tensor
    evaluations: Tensor
    history: list[float]


@torch.no_grad()
def solve(
    g: Map,
    y: Tensor,
    lipschitz: float,
    tolerance: float,
    method: Method = "anderson",
    jacobian: Map | None = None,
) -> Solution:
    """Solves x + g(x) = y, starting from x = y.

    Args:
        g: g(x, rows); `rows` says to which rows of y the x belong.
        y: the right-hand side.
        lipschitz: L < 1, certified.
        tolerance: largest error of x relative to 1 + |y|, certified by the residual.
        method: what proposes the next x, see the module.
        jacobian: dg/dx at (x, rows), (B, d, d), which `newton` needs.

    Shape: y (B, d). A row of y that isn't finite, or where g isn't, gives NaN.
    Raises: ConvergenceError if a row misses its bound after twice the evaluations in which Banach's iteration is
        sure to reach it: rounding is in the way, or g isn't Lipschitz with L. No x is returned then.
        ValueError for an L outside [0, 1), or `newton` without a Jacobian.
    """
    if not 0 <= lipschitz < 1:
        raise ValueError(f"expected a Lipschitz constant of 0 or more and below 1, got {lipschitz}")
    target = tolerance * (1 - lipschitz) * (1 + y.norm(dim=1))
    out, residual = torch.full_like(y, math.nan), torch.full_like(target, math.nan)
    rows = torch.arange(len(y), device=y.device)
    evaluations = torch.ones_like(rows)
    history: list[float] = []

    x, r = y, g(y, rows)
    norm = r.norm(dim=1)
    left = _banach_steps(norm, target, lipschitz)
    proposer, failed = None, torch.zeros_like(rows, dtype=torch.bool)
    while True:
        going = (norm > target[rows]) & norm.isfinite()
        if not going.all():
            over = ~going & norm.isfinite()
            out[rows[over]], residual[rows[over]] = x[over], norm[over]
            rows, x, r, norm, failed = (t[going] for t in (rows, x, r, norm, failed))
            if proposer is not None:
                proposer.keep(going)
        history.append(float(torch.cat([residual.nan_to_num(0.0), norm]).max()) if len(y) else 0.0)
        if not len(rows):
            return Solution(out, residual, residual / (1 - lipschitz), evaluations, history)
        if left == 0:
            raise ConvergenceError(
                f"{len(rows)} of {len(y)} rows did not converge: residual {float(norm.max()):.2g}, expected "
                f"{float(target[rows].min()):.2g} for an error below {tolerance:g} at Lipschitz constant "
                f"{lipschitz:.4f}; solve in float64, or ask for less"
            )
        if proposer is None:
            proposer = _proposer(method, x, rows, jacobian)
            evaluations[rows] += proposer.evaluations
        step = torch.where(failed[:, None], -r, proposer.step(r))
        new_x = x + step
        new_r = new_x + g(new_x, rows) - y[rows]
        evaluations[rows] += 1
        proposer.learn(step, new_r - r)
        new_norm = new_r.norm(dim=1)
        failed = ~(new_norm <= lipschitz * norm)  # so that NaN is a failure
        better = new_norm < norm
        x, r = torch.where(better[:, None], new_x, x), torch.where(better[:, None], new_r, r)
        norm = torch.where(better, new_norm, norm)
        left -= 1


def _banach_steps(norm: Tensor, target: Tensor, lipschitz: float) -> int:
    """Twice the steps that r takes to fall to its target at the rate L, and 20 for rounding."""
    ratio = (norm / target)[norm.isfinite()]
    if lipschitz == 0 or not (ratio > 1).any():
        return 20
    return 20 + 2 * math.ceil(math.log(float(ratio.max())) / -math.log(lipschitz))


class _Banach:
    evaluations = 0

    def step(self, r: Tensor) -> Tensor:
        return -r

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Learns nothing: each step depends on the current residual alone."""

    def keep(self, going: Tensor) -> None:
        """Has nothing to keep."""


class _Newton:
    r"""dx = -M r; after a step s that changed r by q, Broyden's M += (s - M q) s^T M / (s^T M q)."""

    def __init__(self, jacobian: Tensor) -> None:
        d = jacobian.shape[-1]
        self.m: Tensor = torch.linalg.inv(torch.eye(d, dtype=jacobian.dtype, device=jacobian.device) + jacobian)
        self.evaluations = d

    def step(self, r: Tensor) -> Tensor:
        return -(self.m @ r[:, :, None])[:, :, 0]

    def learn(self, step: Tensor, change: Tensor) -> None:
        s, q = step[:, :, None], change[:, :, None]
        mq = self.m @ q
        scale = s.mT @ mq
        update = (s - mq) @ (s.mT @ self.m) / scale
        safe = (scale.abs() > 1e-3 * s.square().sum(1, keepdim=True)) & update.isfinite().all((1, 2), keepdim=True)
        self.m = torch.where(safe, self.m + update, self.m)

    def keep(self, going: Tensor) -> None:
        self.m = self.m[going]


class _Anderson:
    r"""dx = -(r - \sum_i c_i q_i) - \sum_i c_i s_i, with c minimising |r - \sum_i c_i q_i|.

    The last steps s_i and the changes q_i of r that they made are kept at unit |q_i|: the later ones are smaller
    by orders of magnitude, and the normal equations square that.
    """

    evaluations = 0

    def __init__(self, x: Tensor, memory: int = 10) -> None:
        self.memory = min(memory, x.shape[1])
        self.steps, self.changes = x.new_zeros(len(x), 0, x.shape[1]), x.new_zeros(len(x), 0, x.shape[1])

    def step(self, r: Tensor) -> Tensor:
        gram = self.changes @ self.changes.mT
        eye = torch.eye(gram.shape[-1], dtype=r.dtype, device=r.device)
        ridge = 100 * torch.finfo(r.dtype).eps  # changes that are nearly parallel
        c: Tensor = torch.linalg.solve(gram + ridge * eye, self.changes @ r[:, :, None]).mT
        return (c @ (self.changes - self.steps))[:, 0] - r

    def learn(self, step: Tensor, change: Tensor) -> None:
        size = change.norm(dim=1, keepdim=True)
        safe = size.isfinite() & (size > 0)
        pair = [torch.where(safe, t / size, 0.0)[:, None] for t in (step, change)]
        self.steps = torch.cat([self.steps, pair[0]], 1)[:, -self.memory :]
        self.changes = torch.cat([self.changes, pair[1]], 1)[:, -self.memory :]

    def keep(self, going: Tensor) -> None:
        self.steps, self.changes = self.steps[going], self.changes[going]


def _proposer(method: Method, x: Tensor, rows: Tensor, jacobian: Map | None) -> _Banach | _Newton | _Anderson:
    if method == "newton":
        if jacobian is None:
            raise ValueError("expected a Jacobian for method 'newton', got none")
        return _Newton(jacobian(x, rows))
    return _Anderson(x) if method == "anderson" else _Banach()
