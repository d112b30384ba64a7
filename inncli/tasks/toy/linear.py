"""A linear problem with Gaussian noise: everything about it has a closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inncli.errors import ConfigError
from inncli.tasks.base import Task
from inncli.types import NonNegativeFloat, PositiveInt
from inncli.variables import Variables


class Linear(Task):
    r"""y = A x + b + noise, with x standard normal.

    .. math:: x \sim N(0, I), \quad y = A x + b + \sigma \epsilon

    With the singular values A = U diag(s) V^T, the posterior is normal with

    .. math:: E[x|y] = V \frac{s}{s^2+\sigma^2} U^T (y-b), \quad
        Cov[x|y] = I - V \frac{s^2}{s^2+\sigma^2} V^T,

    which holds for sigma = 0 too (then the directions that A sees are known exactly).

    Args:
        A: the matrix, one list a row of y.
        b: the offset, (Dy,); None is zero.
        noise: sd of the noise on each y.
        n_train, fresh: see `Task`.

    Raises: ConfigError if A is not a matrix of finite numbers or b does not fit it.
    """

    y: Variables
    noise_sd: np.ndarray
    differentiable = True

    def __init__(
        self,
        A: Sequence[Sequence[float]] = ((1.0, 0.5, -0.5, 0.0), (0.0, 1.0, 1.0, 2.0)),  # noqa: N803 as in the formula
        b: list[float] | None = None,
        noise: NonNegativeFloat = 0.2,
        n_train: PositiveInt | None = None,
        fresh: bool | None = None,
    ) -> None:
        super().__init__(n_train, fresh)
        self.A = _matrix(A)
        dy, dx = self.A.shape
        self.b = np.zeros(dy) if b is None else np.asarray(b, dtype=np.float64)
        if self.b.shape != (dy,) or not np.isfinite(self.b).all():
            raise ConfigError(f"task.b must have one finite number for each of the {dy} rows of task.A, got {b}")
        self.noise_sd = np.full(dy, float(noise))
        self.x = Variables.numbered("x", dx)
        self.y = Variables.numbered("y", dy)
        self._u, self._s, vt = np.linalg.svd(self.A)
        self._v = vt.T
        # numpy's own threshold for a rank
        self.rank = int((self._s > self._s.max() * max(dy, dx) * np.finfo(np.float64).eps).sum())
        if self.rank == 0:
            raise ConfigError("task.A is zero, so y says nothing about x; give it a non-zero row")

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((n, self.x.dim))

    def observe(self, x: np.ndarray) -> np.ndarray:
        # A torch tensor brings its own constructor, so that torch need not be imported here.
        a, b = (self.A, self.b) if isinstance(x, np.ndarray) else (x.new_tensor(self.A), x.new_tensor(self.b))
        return x @ a.T + b

    @property
    def kind(self) -> str:
        """bijective, injective (no y has two xs), surjective (every y has an x) or neither, by A's rank."""
        dy, dx = self.A.shape
        return {(True, True): "bijective", (True, False): "injective", (False, True): "surjective"}.get(
            (self.rank == dx, self.rank == dy), "neither"
        )

    @property
    def pinv(self) -> np.ndarray:
        """Moore-Penrose inverse of A, (Dx, Dy); its inverse where A is bijective."""
        r = self.rank
        return self._v[:, :r] / self._s[:r] @ self._u[:, :r].T

    @property
    def null_space(self) -> np.ndarray:
        """Orthonormal basis of {x : A x = 0}, one column each, (Dx, Dx - rank)."""
        return self._v[:, self.rank :]

    def posterior(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Exact mean (Dx,) and covariance (Dx, Dx) of p(x | y), y (Dy,)."""
        v, u, s = self._v[:, : self.rank], self._u[:, : self.rank], self._s[: self.rank]
        gain = s / (s**2 + self.noise_sd[0] ** 2)
        mean = v @ (gain * (u.T @ (np.asarray(y, dtype=np.float64).reshape(-1) - self.b)))
        return mean, np.eye(self.x.dim) - (v * (gain * s)) @ v.T

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), each right singular direction with its own variance. Shape: (n, Dx)."""
        mean, _ = self.posterior(y)
        s = np.zeros(self.x.dim)
        s[: self.rank] = self._s[: self.rank]
        # 1 - s^2/(s^2 + sigma^2), written without a difference of near-equal numbers
        variance = np.where(s > 0, self.noise_sd[0] ** 2 / np.where(s > 0, s**2 + self.noise_sd[0] ** 2, 1.0), 1.0)
        return mean + (rng.standard_normal((n, self.x.dim)) * np.sqrt(variance)) @ self._v.T

    def describe(self) -> list[str]:
        dy, dx = self.A.shape
        inverse = "inverse" if self.kind == "bijective" else "pseudo-inverse"
        lines = [
            *super().describe(),
            f"A is {dy} x {dx} of rank {self.rank}: {self.kind}",
            f"{inverse} of A: {_rows(self.pinv)}",
        ]
        if self.null_space.shape[1]:
            lines.append(f"null space of A, one basis vector a row: {_rows(self.null_space.T)}")
        return lines


def _matrix(rows: Sequence[Sequence[float]]) -> np.ndarray:
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or lengths == {0}:
        raise ConfigError(f"task.A must be rows of equal length, e.g. [[1,0],[0,2]], got {rows}")
    a = np.asarray(rows, dtype=np.float64)
    if not np.isfinite(a).all():
        raise ConfigError(f"task.A must hold finite numbers, got {rows}")
    return a


def _rows(matrix: np.ndarray) -> str:
    # + 0.0 turns a rounded -0 into 0
    return "[" + ", ".join("[" + ", ".join(f"{v:.4g}" for v in row + 0.0) + "]" for row in matrix.round(12)) + "]"
