"""Unknowns on the whole space with a known mean and a known covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inncli.errors import ConfigError
from inncli.tasks.maxent.base import MaxentTask
from inncli.tasks.sampling.array_api import Array, stack
from inncli.variables import Variables


class MaxentGaussian(MaxentTask):
    r"""x in R^d with mean m and covariance C, which gives N(m, C); :math:`H = \tfrac12 \ln\det(2\pi e\, C)`.

    .. math:: T(x) = (x_i)_i,\; ((x_i - m_i)(x_j - m_j))_{i \le j}, \quad \kappa = m,\; (C_{ij})_{i \le j}

    Args:
        mean: one number a column.
        covariance: one list a column, symmetric and positive definite.

    Raises: ConfigError if the two don't fit each other, or `covariance` is no covariance matrix.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0.0, 0.0),
        covariance: Sequence[Sequence[float]] = ((1.0, 0.8), (0.8, 1.0)),
    ) -> None:
        super().__init__()
        dim = len(mean)
        self.mean = np.asarray(mean, dtype=np.float64)
        self.factor = _cholesky(covariance, dim)
        self.covariance = self.factor @ self.factor.T
        self.x = Variables.numbered("x", dim)
        self.pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
        self.statistic_names = (*self.x.names, *(f"x{i + 1} x{j + 1}" for i, j in self.pairs))
        self.moments = np.concatenate([self.mean, [self.covariance[pair] for pair in self.pairs]])
        self.log_det = 2 * np.log(np.diag(self.factor)).sum()
        self.entropy = float(0.5 * (dim * np.log(2 * np.pi * np.e) + self.log_det))

    def statistics(self, x: Array) -> Array:
        columns = [x[:, i] for i in range(self.x.dim)]
        moved = [column - float(m) for column, m in zip(columns, self.mean, strict=True)]
        return stack([*columns, *(moved[i] * moved[j] for i, j in self.pairs)])

    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N uncorrelated normal draws around the given mean, with twice the given sds. Shape: (n, d)."""
        return self.mean + 2 * np.sqrt(np.diag(self.covariance)) * rng.standard_normal((n, self.x.dim))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.mean + rng.standard_normal((n, self.x.dim)) @ self.factor.T

    def log_density(self, x: np.ndarray) -> np.ndarray:
        z = np.linalg.solve(self.factor, (x - self.mean).T)
        return -0.5 * ((z**2).sum(0) + self.log_det + self.x.dim * np.log(2 * np.pi))


def _cholesky(rows: Sequence[Sequence[float]], dim: int) -> np.ndarray:
    if {len(rows), *(len(row) for row in rows)} != {dim}:
        raise ConfigError(
            f"task.covariance must be {dim} x {dim} to fit the {dim} numbers of task.mean, got "
            f"{[list(row) for row in rows]}"
        )
    matrix = np.asarray(rows, dtype=np.float64)
    try:
        if np.isfinite(matrix).all() and np.array_equal(matrix, matrix.T):
            return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        pass
    raise ConfigError(f"task.covariance must be symmetric and positive definite, got {matrix.tolist()}")
