"""The linear-Gaussian fit of x given y as a scaling: what training starts from, and never changes."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.numerics.inverse_regression import inverse_regression
from inncli.numerics.ridge import Design, Ridge, rows_for
from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.types import Float


class Whitening(Transform):
    r"""Takes off what is linear in the context, and scales what is left to N(0, I).

    .. math:: z = W (x - A c - b), \quad \log|\det J| = \sum_i \log W_{ii}

    A and b are a ridge regression whose penalty leaving one row out chooses, and :math:`W = C^{-1}` follows from the
    Cholesky factor C of the covariance of what remains. So z ~ N(0, I) exactly where x given c is linear-Gaussian.
    Not trainable, and in float64: where y tells x to a millionth of its sd, blocks in float32 see sizes of 1, and a
    step of the optimizer is one in these.

    That covariance is shrunk towards its diagonal by the weight that serves held-out rows best: next to nothing where
    there are many rows or columns hang closely together, all where there are fewer rows than columns.
    """

    a: Tensor  # (dim, dim_context)
    b: Tensor  # (dim,)
    w: Tensor  # (dim, dim), lower triangular

    def __init__(self, dim: int, dim_context: int = 0) -> None:
        super().__init__(dim, dim_context)
        self.register_buffer("a", torch.zeros(dim, dim_context, dtype=torch.float64))
        self.register_buffer("b", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("w", torch.eye(dim, dtype=torch.float64))

    def mean(self, context: Context) -> Tensor:
        """A c + b of each row, (rows, dim), or (dim,) without a context."""
        return self.b if context is None else context.to(self.a.dtype) @ self.a.T + self.b

    def _log_det(self, rows: int, like: Tensor) -> Tensor:
        return torch.diagonal(self.w).log().sum().to(like.dtype).expand(rows)

    def _forward(self, x: Points, context: Context) -> Moved:
        z = (x.to(self.w.dtype) - self.mean(context)) @ self.w.T
        return z.to(x.dtype), self._log_det(x.shape[0], x)

    def _inverse(self, z: Points, context: Context) -> Moved:
        x = torch.linalg.solve_triangular(self.w, z.to(self.w.dtype).T, upper=False).T
        return (x + self.mean(context)).to(z.dtype), -self._log_det(z.shape[0], z)

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Sets A, b and W in closed form, from a sample of the rows where they are very many."""
        n = rows_for(len(x), self.dim_context)
        part = slice(None) if n == len(x) else torch.arange(n, device=x.device) * len(x) // n
        if context is None:
            residual = x[part].double() - x[part].double().mean(0)
            self.b.copy_(x[part].double().mean(0))
            residual = residual * len(residual) / max(len(residual) - 1, 1)  # of the row left out
        else:
            fitted = _best_fit(context[part].double(), x[part].double())
            self.a.copy_(fitted.coefficients)
            self.b.copy_(fitted.intercept)
            residual = fitted.residual
        covariance = shrunk(residual, shrinkage(residual))
        eye = torch.eye(self.dim, dtype=torch.float64, device=x.device)
        self.w.copy_(torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), eye, upper=False))
        return self(x, context)[0]


def _best_fit(context: Float[Tensor, "rows dim_context"], x: Float[Tensor, "rows dim"]) -> Ridge:
    """The linear prediction of x that serves rows best which had no part in it."""
    ridge = Design(context).fit(x)
    if context.shape[1] <= FEW:
        return ridge
    inverse = inverse_regression(context, x)
    loss = [float(fitted.residual.square().mean(0).clamp_min(1e-300).log().sum()) for fitted in (ridge, inverse)]
    return inverse if loss[1] < loss[0] else ridge


FEW = 10  # entries of the context; so few are found as well by the ridge alone
SHRINKAGES = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12)


def shrinkage(residual: Float[Tensor, "rows dim"]) -> float:
    """The weight under which a Gaussian of four fifths of the rows gives the others most likelihood."""
    fold = torch.arange(len(residual), device=residual.device) % 5
    losses = []
    for weight in SHRINKAGES:
        loss = 0.0
        for k in range(5):
            factor, failed = torch.linalg.cholesky_ex(shrunk(residual[fold != k], weight))
            z = torch.linalg.solve_triangular(factor, residual[fold == k].T, upper=False)
            loss += 0.5 * float(z.square().sum()) + z.shape[1] * float(torch.diagonal(factor).log().sum())
            loss = torch.inf if failed or not loss < torch.inf else loss
        losses.append(loss)
    return SHRINKAGES[losses.index(min(losses))]


def shrunk(residual: Float[Tensor, "rows dim"], weight: float) -> Float[Tensor, "dim dim"]:
    """Covariance of rows of mean 0, its off-diagonal part made smaller by a share `weight`."""
    covariance = residual.T @ residual / max(len(residual), 1)
    # x has been scaled to an sd near 1: a column that its context tells to the last digit keeps some width.
    variance = torch.diagonal(covariance).clamp_min(1e-26)
    scale = variance.sqrt()
    correlation = covariance / scale / scale[:, None]
    correlation = (1 - weight) * correlation + weight * torch.eye(len(scale), dtype=scale.dtype, device=scale.device)
    correlation.diagonal().fill_(1.0)
    return correlation * scale * scale[:, None]
