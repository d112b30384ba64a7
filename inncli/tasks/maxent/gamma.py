"""A positive unknown with a known mean and a known mean of its logarithm."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import digamma

from inncli.tasks.maxent.base import MaxentTask
from inncli.tasks.sampling.array_api import Array, log, stack
from inncli.types import PositiveFloat
from inncli.variables import Variables


class MaxentGamma(MaxentTask):
    r"""x > 0 with :math:`E x = a/b, \; E \ln x = \psi(a) - \ln b`, which gives Gamma(a, b).

    .. math:: H = a - \ln b + \ln\Gamma(a) + (1 - a)\,\psi(a)

    Args:
        shape: a.
        rate: b.
    """

    x = Variables.numbered("x", 1, bounds=((0.0, None),))
    statistic_names = ("x", "ln x")

    def __init__(self, shape: PositiveFloat = 3.0, rate: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.shape, self.rate = shape, rate
        self.moments = np.array([shape / rate, digamma(shape) - np.log(rate)])
        self.entropy = float(stats.gamma(shape, scale=1 / rate).entropy())

    def statistics(self, x: Array) -> Array:
        return stack([x[:, 0], log(x[:, 0])])

    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N log-normal draws around the given mean, e times larger or smaller at one sd. Shape: (n, 1)."""
        return rng.lognormal(np.log(self.moments[0]), 1.0, (n, 1))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.gamma(self.shape, 1 / self.rate, (n, 1))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return stats.gamma.logpdf(x[:, 0], self.shape, scale=1 / self.rate)
