"""Ridge regression whose penalty is chosen by leaving one row out, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inncli.types import Float

MOST_ROWS = 50_000  # of a fit; more rows change no digit that anybody sees
FEW_ROWS = 1_000  # by so few a prediction is not believed that predicts no better than the mean, within its error
MOST_WORK = 2e10  # multiplications of its decomposition: some seconds


@dataclass(frozen=True)
class Ridge:
    """A fitted regression of x on f, column by column of x.

    Args:
        coefficients: (dim, dim_f), in the units of x and f.
        intercept: (dim,).
        residual: what each row of the fit is off by when it is left out, (rows, dim).
    """

    coefficients: Float[Tensor, "dim dim_f"]
    intercept: Float[Tensor, " dim"]
    residual: Float[Tensor, "rows dim"]


class Design:
    r"""Features f of some rows, decomposed once; many x can then be regressed on them.

    With :math:`F = U S V^\top`, f standardised, the prediction of x at penalty :math:`\lambda` is

    .. math:: \hat x = U \frac{S^2}{S^2 + \lambda} U^\top x, \qquad
        x_i - \hat x_{-i} = \frac{x_i - \hat x_i}{1 - h_i}, \quad
        h_i = \frac{1}{n} + \sum_k \frac{s_k^2}{s_k^2 + \lambda} U_{ik}^2

    and each column of x takes the :math:`\lambda` of the smallest mean square of the right-hand side, the smaller
    one where two are alike. So least squares is what many rows get, and more features than rows do no harm. All is
    in float64, and no product of f with itself is formed: it would lose half of the digits.

    Shape: f (rows, dim_f).
    Reference: Allen 1974, The relationship between variable selection and data augmentation.
    """

    def __init__(self, f: Float[Tensor, "rows dim_f"]) -> None:
        f = f.double()
        self.rows, self.mean = len(f), f.mean(0)
        sd = f.std(0, correction=0)
        # A column that varies by rounding alone is constant.
        self.sd = torch.where(sd > 1e-13 * f.abs().amax(0), sd, torch.inf) if f.numel() else sd
        f = (f - self.mean) / self.sd
        if f.shape[0] > f.shape[1]:
            q, r = torch.linalg.qr(f)
            u, s, vt = torch.linalg.svd(r, full_matrices=False)
            u = q @ u
        else:
            u, s, vt = torch.linalg.svd(f, full_matrices=False)
        known = s > 1e-13 * max(f.shape) * s.amax() if len(s) else s > 0
        self.u, self.s, self.vt = u[:, known], s[known], vt[known]

    def fit(self, x: Float[Tensor, "rows dim"]) -> Ridge:
        """The regression of x on f."""
        x = x.double()
        mean = x.mean(0)
        t = self.u.T @ (x - mean)
        best = x.new_full((x.shape[1],), torch.inf)
        kept, residual = torch.zeros_like(t), torch.zeros_like(x)
        for penalty in self._penalties():
            shrink = self.s.square() / (self.s.square() + penalty)
            h = 1 / self.rows + self.u.square() @ shrink
            if self.rows > 1 and not h.max() < 1 - 1e-9:
                continue  # it goes through a row whatever that holds
            off = (x - mean - self.u @ (shrink[:, None] * t)) / (1 - h)[:, None]
            square = off.square().mean(0)
            better = square < best * (1 - 1e-3)
            best = torch.where(better, square, best)
            kept = torch.where(better, (shrink / self.s)[:, None] * t, kept)
            residual = torch.where(better, off, residual)
        if self.rows < FEW_ROWS:
            alone = (x - mean) * self.rows / max(self.rows - 1, 1)  # each row, left out, by the mean of the others
            gain = alone.square() - residual.square()
            told = gain.mean(0) > gain.std(0, correction=0) / max(self.rows - 1, 1) ** 0.5
            kept, residual = torch.where(told, kept, 0.0), torch.where(told, residual, alone)
        coefficients = (self.vt.T @ kept).T / self.sd
        return Ridge(coefficients, mean - coefficients @ self.mean, residual)

    def _penalties(self) -> list[float]:
        # Columns of f have sd 1, so that n is the square of a singular value of a feature by itself.
        return [0.0, *(self.rows * 10.0 ** torch.arange(-10, 6.1, 0.5, dtype=torch.float64)).tolist()]


def rows_for(rows: int, dim_f: int, work: float = MOST_WORK) -> int:
    """How many of so many rows a fit on `dim_f` features takes, so that its cost stays bounded."""
    most = max(int(work / max(dim_f, 1) ** 2), int((work / max(dim_f, 1)) ** 0.5))
    return min(rows, MOST_ROWS, most)
