"""A Gaussian for each class: the linear-Gaussian fit where the context holds a label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inncli.transforms.base import Context, Moved, Points
from inncli.transforms.linear import LinearGaussian
from inncli.types import Float, Int


class ClassGaussian(LinearGaussian):
    r"""The linear-Gaussian fit of x given the context, with a whitening of its own for each class.

    .. math:: z = W_k (x - A c - b), \quad \log|\det J| = \sum_i w_{ki}

    k is the class that c names: entries `first` to `first + classes` of c are its one-hot code. `initialise` sets
    A and b as `LinearGaussian` does (with the code in c that is a mean for each class), and W_k from the class's
    covariance, shrunk twice: towards the one that all classes share, and towards its diagonal. The two
    weights are those that serve held-out rows best: with few rows a class the shared covariance prevails.

    Reference: Friedman 1989, Regularized discriminant analysis.
    """

    towards_shared = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.03, 0.0)
    towards_diagonal = (1.0, 0.3, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-6)

    def __init__(self, dim: int, dim_context: int, classes: int, first: int = 0) -> None:
        super().__init__(dim, dim_context)
        self.code = slice(first, first + classes)
        self.lower = nn.Parameter(torch.zeros(classes, dim, dim))
        self.log_diagonal = nn.Parameter(torch.zeros(classes, dim))

    def _class(self, context: Tensor | None) -> Tensor:
        assert context is not None  # it holds the label: `Transform` refuses a call without it
        return context[:, self.code].argmax(1)

    def _w(self) -> Tensor:
        return torch.tril(self.lower, -1) + torch.diag_embed(self.log_diagonal.exp())

    def _forward(self, x: Points, context: Context) -> Moved:
        k = self._class(context)
        z = torch.einsum("bij,bj->bi", self._w()[k], x - self._mean(context))
        return z, self.log_diagonal.sum(1)[k]

    def _inverse(self, z: Points, context: Context) -> Moved:
        k = self._class(context)
        x = torch.linalg.solve_triangular(self._w()[k], z[:, :, None], upper=False)[:, :, 0]
        return x + self._mean(context), -self.log_diagonal.sum(1)[k]

    @torch.no_grad()
    def initialise(self, x: Points, context: Context = None) -> Points:
        """Sets A, b and every W_k in closed form from all of the training data."""
        residual = self._fit_mean(x, context)
        k = self._class(context)
        classes = self.log_diagonal.shape[0]
        shared, diagonal = self._weights(residual, k)
        freedom = max(len(x) - self.n_means, 1) / max(len(x), 1)
        eye = torch.eye(self.dim, dtype=torch.float64, device=x.device).expand(classes, -1, -1)
        factors = torch.linalg.cholesky(_shrunk(residual, k, classes, shared, diagonal) / freedom)
        w = torch.linalg.solve_triangular(factors, eye, upper=False)
        self.lower.copy_(torch.tril(w, -1))
        self.log_diagonal.copy_(torch.diagonal(w, dim1=1, dim2=2).log())
        return self(x, context)[0]

    def _weights(self, residual: Tensor, k: Tensor) -> tuple[float, float]:
        """The pair of weights under which Gaussians of four fifths of the rows give the others most likelihood."""
        fold = torch.arange(len(residual), device=residual.device) % 5
        classes = self.log_diagonal.shape[0]
        losses = {}
        for shared in self.towards_shared:
            for diagonal in self.towards_diagonal:
                loss = 0.0
                for held_out in range(5):
                    away, rows = fold != held_out, fold == held_out
                    factors = torch.linalg.cholesky(_shrunk(residual[away], k[away], classes, shared, diagonal))
                    z = torch.linalg.solve_triangular(factors[k[rows]], residual[rows][:, :, None], upper=False)
                    log_det = torch.diagonal(factors, dim1=1, dim2=2).log().sum(1)[k[rows]]
                    loss += 0.5 * float(z.square().sum()) + float(log_det.sum())
                losses[shared, diagonal] = loss
        return min(losses, key=losses.__getitem__)


def _shrunk(
    residual: Float[Tensor, "rows dim"], k: Int[Tensor, " rows"], classes: int, shared: float, diagonal: float
) -> Float[Tensor, "classes dim dim"]:
    """Covariance of each class, (classes, D, D), mixed with the shared one and then with its own diagonal.

    A class without rows has the shared one.
    """
    pooled = residual.T @ residual / max(len(residual), 1)
    each = []
    for label in range(classes):
        rows = residual[k == label]
        own = (1 - shared) * rows.T @ rows / len(rows) + shared * pooled if len(rows) else pooled
        variance = torch.diagonal(own).clamp_min(1e-8)
        each.append((1 - diagonal) * own + torch.diag(diagonal * variance + 1e-8))
    return torch.stack(each)
