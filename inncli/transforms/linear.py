"""Linear maps: a learned invertible matrix by LU, and the linear-Gaussian fit of x given y."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inncli.transforms.base import Context, Moved, Points, Transform
from inncli.transforms.permute import Rotation
from inncli.types import Float


class LULinear(Transform):
    r"""An invertible linear map whose determinant is cheap.

    .. math:: z = P L U x, \quad \log|\det J| = \sum_i u_i

    P is a fixed permutation, L unit lower triangular, U upper triangular with diagonal
    :math:`\sigma_i e^{u_i}`, its signs fixed. It starts as a random rotation.

    Reference: Kingma and Dhariwal 2018, Glow, arXiv:1807.03039, section 3.2.
    """

    p: Tensor  # (dim, dim)
    sign: Tensor  # (dim,)

    def __init__(self, dim: int, seed: int = 0) -> None:
        super().__init__(dim)
        self.register_buffer("p", torch.eye(dim))
        self.register_buffer("sign", torch.ones(dim))
        self.lower = nn.Parameter(torch.zeros(dim, dim))
        self.upper = nn.Parameter(torch.zeros(dim, dim))
        self.log_diagonal = nn.Parameter(torch.zeros(dim))
        self.set(Rotation(dim, seed).q)

    @torch.no_grad()
    def set(self, matrix: Float[Tensor, "dim dim"]) -> None:
        """Makes this the map z = matrix x; the matrix, (dim, dim), must be invertible."""
        p, lower, upper = torch.linalg.lu(matrix.double())
        diagonal = torch.diagonal(upper)
        self.p.copy_(p)
        self.sign.copy_(torch.sign(diagonal))
        self.lower.copy_(torch.tril(lower, -1))
        self.upper.copy_(torch.triu(upper, 1))
        self.log_diagonal.copy_(diagonal.abs().log())

    def _factors(self) -> tuple[Tensor, Tensor]:
        eye = torch.eye(self.dim, dtype=self.lower.dtype, device=self.lower.device)
        lower = torch.tril(self.lower, -1) + eye
        upper = torch.triu(self.upper, 1) + torch.diag(self.sign * self.log_diagonal.exp())
        return lower, upper

    def _forward(self, x: Points, context: Context) -> Moved:
        lower, upper = self._factors()
        return x @ (self.p @ lower @ upper).T, self.log_diagonal.sum().expand(x.shape[0])

    def _inverse(self, z: Points, context: Context) -> Moved:
        lower, upper = self._factors()
        x = torch.linalg.solve_triangular(lower, self.p.T @ z.T, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(upper, x, upper=True)
        return x.T, -self.log_diagonal.sum().expand(z.shape[0])


class LinearGaussian(Transform):
    r"""The linear-Gaussian fit of x given the context, as a whitening layer.

    .. math:: z = W (x - A c - b), \quad \log|\det J| = \sum_i w_i

    W is lower triangular with diagonal :math:`e^{w_i}`. `initialise` sets A and b by least
    squares and :math:`W = C^{-1}` from the Cholesky factor C of the residual covariance: then
    z ~ N(0, I) exactly where x given c is linear-Gaussian. All of it stays trainable.

    The residual covariance is shrunk towards its diagonal by the weight that serves held-out rows best: next
    to nothing where there are many rows or columns hang closely together, all where there are fewer rows than
    columns.
    """

    shrinkages = (1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)

    def __init__(self, dim: int, dim_context: int = 0) -> None:
        super().__init__(dim, dim_context)
        if dim_context:
            self.a = nn.Parameter(torch.zeros(dim, dim_context))
        self.b = nn.Parameter(torch.zeros(dim))
        self.lower = nn.Parameter(torch.zeros(dim, dim))
        self.log_diagonal = nn.Parameter(torch.zeros(dim))

    def _w(self) -> Tensor:
        return torch.tril(self.lower, -1) + torch.diag(self.log_diagonal.exp())

    def _mean(self, context: Context) -> Tensor:
        return self.b if context is None else context @ self.a.T + self.b

    def _forward(self, x: Points, context: Context) -> Moved:
        return (x - self._mean(context)) @ self._w().T, self.log_diagonal.sum().expand(x.shape[0])

    def _inverse(self, z: Points, context: Context) -> Moved:
        x = torch.linalg.solve_triangular(self._w(), z.T, upper=False).T
        return x + self._mean(context), -self.log_diagonal.sum().expand(z.shape[0])

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Sets A, b and W in closed form from all of the training data."""
        residual = self._fit_mean(x, context)
        rows = x.shape[0]
        freedom = max(rows - self.n_means, 1) / max(rows, 1)
        covariance = _shrunk(residual, self._shrinkage(residual)) / freedom
        eye = torch.eye(self.dim, dtype=torch.float64, device=x.device)
        w = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), eye, upper=False)
        self.lower.copy_(torch.tril(w, -1))
        self.log_diagonal.copy_(torch.diagonal(w).log())
        return self(x, context)[0]

    @property
    def n_means(self) -> int:
        """Numbers that A and b hold for each column of x."""
        return self.dim_context + 1

    def _fit_mean(self, x: Points, context: Context) -> Points:
        """Sets A and b by least squares; returns the residual x - A c - b in float64."""
        xd = x.double()
        design = torch.ones(x.shape[0], 1, dtype=torch.float64, device=x.device)
        if context is not None:
            design = torch.cat([context.double(), design], 1)
        # gelsd copes with collinear columns (one-hot labels sum to one); it lives on the CPU.
        solution = torch.linalg.lstsq(design.cpu(), xd.cpu(), driver="gelsd").solution.to(x.device)
        if context is not None:
            self.a.copy_(solution[:-1].T)
        self.b.copy_(solution[-1])
        return xd - design @ solution

    def _shrinkage(self, residual: Points) -> float:
        """The weight under which a Gaussian of four fifths of the rows gives the others most likelihood."""
        fold = torch.arange(len(residual), device=residual.device) % 5
        losses = []
        for weight in self.shrinkages:
            loss = 0.0
            for k in range(5):
                factor = torch.linalg.cholesky(_shrunk(residual[fold != k], weight))
                z = torch.linalg.solve_triangular(factor, residual[fold == k].T, upper=False)
                loss += 0.5 * float(z.square().sum()) + z.shape[1] * float(torch.diagonal(factor).log().sum())
            losses.append(loss)
        return self.shrinkages[losses.index(min(losses))]


def _shrunk(residual: Float[Tensor, "rows dim"], weight: float) -> Float[Tensor, "dim dim"]:
    """Covariance of rows of mean 0, its off-diagonal part made smaller by a share `weight`."""
    covariance = residual.T @ residual / max(len(residual), 1)
    variance = torch.diagonal(covariance).clamp_min(1e-8)
    return (1 - weight) * covariance + torch.diag(weight * variance + 1e-8)
