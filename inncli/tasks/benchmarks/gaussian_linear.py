"""Gaussian linear: the mean of a normal in ten dimensions, everything in closed form."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.benchmarks import published
from inncli.types import PositiveInt
from inncli.variables import Variables

DIM = 10
VARIANCE = 0.1  # of the prior and of the noise alike


class GaussianLinear(Task):
    r"""y is x and noise as wide as the prior.

    .. math:: x \sim N(0, v I), \quad y = x + \epsilon, \quad \epsilon \sim N(0, v I), \quad v = 0.1, \quad
        p(x | y) = N(x; y / 2, \tfrac{v}{2} I)

    Args:
        n_train, fresh: see `Task`.

    Reference: Lueckmann et al. 2021, arXiv:2101.04653, T.1.
    """

    x = Variables.numbered("x", DIM)
    y = Variables.numbered("y", DIM)
    noise_sd = np.full(DIM, np.sqrt(VARIANCE))
    differentiable = True

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        super().__init__(n_train, fresh)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.sqrt(VARIANCE) * rng.standard_normal((n, DIM))

    def observe(self, x: np.ndarray) -> np.ndarray:
        return x

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        return _log_normal(x, VARIANCE)

    def log_likelihood(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return _log_normal(y - x, VARIANCE)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y). Shape: y (10,), out (n, 10)."""
        return np.asarray(y).reshape(-1) / 2 + np.sqrt(VARIANCE / 2) * rng.standard_normal((n, DIM))

    def published_observations(self) -> np.ndarray:
        return published.observations(self.name)


def _log_normal(x: np.ndarray, variance: float) -> np.ndarray:
    return -(x**2).sum(1) / (2 * variance) - 0.5 * x.shape[1] * np.log(2 * np.pi * variance)
