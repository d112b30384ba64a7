"""Shares of a whole: the means of their logarithms are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import digamma, gammaln

from inncli.errors import ConfigError
from inncli.tasks.maxent.base import MaxentTask
from inncli.tasks.sampling.array_api import Array, at_least, log, stack
from inncli.types import PositiveFloat
from inncli.variables import Variables

EPS = 2.0**-53  # x_K is a difference of numbers of size 1: below this it has no digit


class MaxentDirichlet(MaxentTask):
    r"""x on the simplex, :math:`E \log x_k = \psi(\alpha_k) - \psi(\alpha_0)`, which gives Dirichlet(alpha).

    .. math:: H = \log B(\alpha) + (\alpha_0 - K)\,\psi(\alpha_0) - \sum_k (\alpha_k - 1)\,\psi(\alpha_k)

    The columns of x are the first K - 1 shares, the last is 1 minus their sum; densities and the entropy are
    per unit of those columns.

    Args:
        alpha: K numbers above 0. Below about .3 the last share has too few digits in float64.

    Raises: ConfigError with fewer than two shares.
    """

    def __init__(self, alpha: Sequence[PositiveFloat] = (1.0, 2.0, 3.0)) -> None:
        super().__init__()
        if len(alpha) < 2:
            raise ConfigError(f"task.alpha must have at least 2 numbers, one a share, got {list(alpha)}")
        self.alpha = np.asarray(alpha, dtype=np.float64)
        k, total = len(alpha), self.alpha.sum()
        self.x = Variables.numbered("x", k - 1, bounds=((0.0, 1.0),) * (k - 1), simplex=True)
        self.statistic_names = tuple(f"ln x{i + 1}" for i in range(k))
        self.moments = digamma(self.alpha) - digamma(total)
        self.log_beta = gammaln(self.alpha).sum() - gammaln(total)
        self.entropy = float(
            self.log_beta + (total - k) * digamma(total) - ((self.alpha - 1) * digamma(self.alpha)).sum()
        )

    def statistics(self, x: Array) -> Array:
        shares = [x[:, i] for i in range(self.x.dim)]
        return stack([*(log(share) for share in shares), log(at_least(1 - x.sum(1), EPS))])

    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of the uniform distribution on the simplex. Shape: (n, K - 1)."""
        return rng.dirichlet(np.ones_like(self.alpha), n)[:, :-1]

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.dirichlet(self.alpha, n)[:, :-1]

    def log_density(self, x: np.ndarray) -> np.ndarray:
        inside = (x > 0).all(1) & (x.sum(1) < 1)
        t = self.statistics(np.where(inside[:, None], x, 0.5 / len(self.alpha)))
        return np.where(inside, t @ (self.alpha - 1) - self.log_beta, -np.inf)
