"""A share: the means of its logarithm and of that of the rest are known."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import digamma

from inncli.tasks.maxent.base import MaxentTask
from inncli.tasks.sampling.array_api import Array, at_least, log, stack
from inncli.types import PositiveFloat
from inncli.variables import Variables

EPS = 2.0**-53  # 1 - x has no smaller values in float64


class MaxentBeta(MaxentTask):
    r"""0 < x < 1 with :math:`E \ln x = \psi(a) - \psi(a+b), \; E \ln(1-x) = \psi(b) - \psi(a+b)`: Beta(a, b).

    .. math:: H = \ln B(a,b) - (a-1)\,\psi(a) - (b-1)\,\psi(b) + (a+b-2)\,\psi(a+b)

    Args:
        a, b: above 0; below about .3 for b, 1 - x has too few digits in float64.
    """

    x = Variables.numbered("x", 1, bounds=((0.0, 1.0),))
    statistic_names = ("ln x", "ln(1-x)")

    def __init__(self, a: PositiveFloat = 2.0, b: PositiveFloat = 5.0) -> None:
        super().__init__()
        self.a, self.b = a, b
        self.moments = digamma([a, b]) - digamma(a + b)
        self.entropy = float(stats.beta(a, b).entropy())

    def statistics(self, x: Array) -> Array:
        return stack([log(x[:, 0]), log(at_least(1 - x[:, 0], EPS))])

    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of the uniform distribution. Shape: (n, 1)."""
        return rng.random((n, 1))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.beta(self.a, self.b, (n, 1))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return stats.beta.logpdf(x[:, 0], self.a, self.b)
