r"""A net with a certified Lipschitz constant in x, and none in the context.

.. math:: g(x, c) = L \, W_K \phi_{K-1}(\dots W_2 \, \phi_1(W_1 x, c) \dots), \qquad
          \phi_k(u, c) = \sin(\beta_k \odot u + U_k c + b_k) \oslash \beta_k, \qquad \|W_k\|_2 \le 1

Why the sine: its slope is a cosine, so for *any* curvature :math:`\beta` the map :math:`\sin(\beta u)/\beta` has
Lipschitz constant 1. Its second derivative :math:`-\beta\sin` vanishes at isolated points only, which a log-det that is
learned through the Jacobian needs; ReLU's is zero everywhere, and Swish's dies out on both sides. On the ring at equal
steps the sine ended .09 nats ahead of Swish and softplus, and .5 ahead of tanh. It is bounded, so that far from the
data x + g is a shift and a tail stays a tail. Slope and second derivative together cost one cosine.

Why a curvature for each unit: a matrix of 64 rows and norm 1 has rows of norm 1/8, for which a sine is a straight line.
The curvature restores the bend without raising the Lipschitz constant; it starts at sqrt(width / dim).

Reference: Behrmann et al. 2019, Invertible residual networks, arXiv:1811.00995; Chen et al. 2019, Residual flows,
    arXiv:1906.02735 (second derivatives); Sitzmann et al. 2020, arXiv:2006.09661 (sines).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


class LipschitzNet(nn.Module):
    """g(x, context) with Lip(g) <= `lipschitz` in x, whatever values the parameters take.

    Each weight is used as W / max(1, its spectral norm). The norm is the root of the largest eigenvalue of the
    smaller Gram matrix, by LAPACK and differentiable: not power iteration, which approaches it from below. So
    the bound holds at every step of training and for averaged weights. `certificate` is the proof.

    Args:
        dim: columns of x, and of g.
        dim_context: columns of the context; 0 for none.
        hidden: widths of the hidden layers.
        lipschitz: L; it is saved with the weights, so that a checkpoint is judged by its own L.

    Shape: x, g (B, dim); context (B, dim_context), None where dim_context is 0.
    """

    lipschitz: Tensor

    def __init__(self, dim: int, dim_context: int, hidden: Sequence[int], lipschitz: float) -> None:
        super().__init__()
        self.dim, self.hidden = dim, list(hidden)
        widths = [dim, *hidden, dim]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(n_out, n_in) / (math.sqrt(n_in) + math.sqrt(n_out)))
            for n_in, n_out in pairwise(widths)
        )
        with torch.no_grad():
            self.weights[-1].mul_(0.05)  # near the identity
        self.biases = nn.ParameterList(nn.Parameter(math.pi * (2 * torch.rand(n) - 1)) for n in hidden)
        self.log_curvatures = nn.ParameterList(nn.Parameter(torch.full((n,), 0.5 * math.log(n / dim))) for n in hidden)
        self.context = nn.Linear(dim_context, sum(hidden), bias=False) if dim_context else None
        self.register_buffer("lipschitz", torch.tensor(lipschitz, dtype=torch.float64))

    def at(self, context: Tensor | None) -> Conditioned:
        """The net at given contexts, (B, dim_context): all that does not depend on x is computed here, once."""
        biases: list[Tensor] = list(self.biases)
        if self.context is not None:
            assert context is not None  # the transform that owns this net has checked it
            # 100 sds out is far beyond any data; phases of 1e12 would leave the sine no digit that x could move.
            context = context / (context.norm(dim=1, keepdim=True) / 100).clamp_min(1.0)
            biases = [b + shift for b, shift in zip(biases, self.context(context).split(self.hidden, 1), strict=True)]
        weights = self.effective_weights()
        # sin(beta * (W u) + b) / beta: the curvatures are multiplied into the matrices, which costs no pass over rows.
        for k, log in enumerate(self.log_curvatures):
            weights[k] = log.exp()[:, None] * weights[k]
            weights[k + 1] = weights[k + 1] * (-log).exp()
        return Conditioned(weights, biases)

    def effective_weights(self) -> list[Tensor]:
        """The weights as they are used, (width out, width in) each: within the unit ball, the last one times L."""
        *weights, last = [_within_unit_ball(w) for w in self.weights]
        return [*weights, self.lipschitz.to(last.dtype) * last]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """G at each row: x (B, dim), context (B, dim_context) or None, out (B, dim)."""
        return self.at(context)(x)

    @torch.no_grad()
    def certificate(self) -> float:
        """The product of the weights' exact spectral norms as they are used: Lip(g) is at most this.

        By singular values in float64, without the Gram matrix; the sines contribute factors of 1. Infinite if a weight
        is not finite.
        """
        if not all(w.isfinite().all() for w in self.effective_weights()):
            return math.inf
        return math.prod(float(torch.linalg.svdvals(w.double())[0]) for w in self.effective_weights())


@dataclass(frozen=True)
class Conditioned:
    """A Lipschitz net at fixed contexts, a function of x alone.

    Attributes:
        weights: the matrices A_k = beta_k W_k / beta_{k-1}, one for each layer.
        biases: the phases of each hidden layer: (width,), or (B, width) where they depend on the context.

    Shape: x, g (B, d); tangents (B, n, d), n directions a row; slopes: (B, width) a hidden layer.
    """

    weights: list[Tensor]
    biases: list[Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """g(x), (B, d)."""
        for a, b in zip(self.weights[:-1], self.biases, strict=True):
            x = torch.sin(torch.addmm(b, x, a.T))
        return x @ self.weights[-1].T

    def with_slopes(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """g(x), and each sine's derivative there: all that Jacobians and their products need."""
        slopes = []
        for a, b in zip(self.weights[:-1], self.biases, strict=True):
            x, slope = SinCos.apply(torch.addmm(b, x, a.T))
            slopes.append(slope)
        return x @ self.weights[-1].T, slopes

    def jacobian(self, slopes: list[Tensor]) -> Tensor:
        """J[b, i, j] = dg_i/dx_j, (B, d, d), by one batched product a layer."""
        first, second, *others = self.weights
        rows, dim = len(slopes[0]), first.shape[1]
        # sum_l second[k, l] slope[b, l] first[l, j]: first a table of the products, which don't depend on the row.
        table = first[:, :, None] * second.T[:, None]
        v = (slopes[0] @ table.reshape(len(table), -1)).reshape(rows, dim, -1)
        return self._through(others, slopes[1:], v).mT

    def push(self, slopes: list[Tensor], tangents: Tensor) -> Tensor:
        """J v for each tangent v. Shape: (B, n, d)."""
        return self._through(self.weights[1:], slopes, tangents @ self.weights[0].T)

    def pull(self, slopes: list[Tensor], v: Tensor) -> Tensor:
        """J^T v, one v a row. Shape: (B, d)."""
        for a, slope in zip(reversed(self.weights[1:]), reversed(slopes), strict=True):
            v = (v @ a) * slope
        return v @ self.weights[0]

    def rows(self, index: Tensor) -> Conditioned:
        """The same net at some of the rows: index (m,) integers, or (B,) bool."""
        return Conditioned(self.weights, [b if b.ndim == 1 else b[index] for b in self.biases])

    def double(self) -> Conditioned:
        """The same net in float64."""
        return Conditioned(*([t.double() for t in part] for part in (self.weights, self.biases)))

    @staticmethod
    def _through(weights: list[Tensor], slopes: list[Tensor], v: Tensor) -> Tensor:
        for a, slope in zip(weights, slopes, strict=True):
            v = (slope[:, None] * v) @ a.T
        return v


class SinCos(torch.autograd.Function):
    """sin and cos of a phase, computed once.

    Each is the other's derivative. Autograd differentiates them one by one and would compute both twice, and a training
    step spends most of its time on them.
    """

    @staticmethod
    def forward(ctx: Any, phase: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = torch.cos(phase), phase.sin_()  # in place: nobody else uses this phase
        ctx.mark_dirty(phase)
        ctx.save_for_backward(sin, cos)
        return sin, cos

    @staticmethod
    def backward(ctx: Any, to_sin: Tensor, to_cos: Tensor) -> Tensor:
        sin, cos = ctx.saved_tensors
        return (to_sin * cos).addcmul_(to_cos, sin, value=-1)


def _within_unit_ball(w: Tensor) -> Tensor:
    """W / max(1, its spectral norm)."""
    gram = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
    return w / torch.linalg.eigvalsh(gram)[-1].clamp_min(1.0).sqrt()
