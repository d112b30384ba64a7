"""The regression of x on very many f, by way of the regression of f on x."""

from __future__ import annotations

import torch
from torch import Tensor

from inncli.numerics.ridge import Ridge
from inncli.types import Float

FOLDS = 5


def inverse_regression(f: Float[Tensor, "rows dim_f"], x: Float[Tensor, "rows dim"]) -> Ridge:
    r"""The linear prediction of x where the entries of f are independent once x is known.

    .. math:: f = B x + \epsilon, \; \epsilon \sim N(0, \Psi), \; \Psi \text{ diagonal} \quad \Rightarrow \quad
        A = (S_x^{-1} + B^\top \Psi^{-1} B)^{-1} B^\top \Psi^{-1}

    B is least squares with as many unknowns as x has columns, so that it needs few rows however many entries f has:
    1,500 readings of five unknowns are told apart by a hundred rows. Where the entries hang together beyond x, it
    believes the same thing many times over; `Ridge.residual` says so.

    Shape: f (rows, dim_f), x (rows, dim).
    Returns: as `Design.fit` does, its residual that of folds which had no part in the fit.
    Reference: Cook 2007, Fisher lecture: dimension reduction in regression.
    """
    f, x = f.double(), x.double()
    coefficients, intercept = _fit(f, x)
    fold = torch.arange(len(x), device=x.device) % FOLDS
    residual = torch.empty_like(x)
    for k in range(min(FOLDS, len(x))):
        a, b = _fit(f[fold != k], x[fold != k])
        residual[fold == k] = x[fold == k] - f[fold == k] @ a.T - b
    return Ridge(coefficients, intercept, residual)


def _fit(f: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    mean_f, mean_x = f.mean(0), x.mean(0)
    f, x = f - mean_f, x - mean_x
    rows, dim = x.shape
    covariance = x.T @ x / rows
    b = torch.linalg.lstsq(x.cpu(), f.cpu(), driver="gelsd").solution.to(x.device).T  # (dim_f, dim)
    psi = (f - x @ b.T).square().sum(0) / max(rows - dim - 1, 1)
    # An entry that x tells to the last digit would be believed without end.
    precision = 1 / torch.maximum(psi, 1e-12 * f.square().mean(0)).clamp_min(1e-300)
    precision = torch.where(f.square().mean(0) > 0, precision, 0.0)
    weighted = b.T * precision  # (dim, dim_f)
    eye = torch.eye(dim, dtype=x.dtype, device=x.device)
    # (S^-1 + M)^-1 = S (1 + M S)^-1, which asks of S no inverse
    a = covariance @ torch.linalg.solve(eye + weighted @ b @ covariance, weighted)
    return a, mean_x - a @ mean_f
