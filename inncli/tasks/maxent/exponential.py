"""A positive unknown of which the mean is known."""

from __future__ import annotations

import numpy as np
from scipy import stats

from inncli.tasks.maxent.base import MaxentTask
from inncli.types import PositiveFloat
from inncli.variables import Variables


class MaxentExponential(MaxentTask):
    r"""x > 0 with :math:`E x = m`, which gives the exponential; :math:`H = 1 + \ln m`.

    Args:
        mean: m.
    """

    x = Variables.numbered("x", 1, bounds=((0.0, None),))
    statistic_names = ("x",)

    def __init__(self, mean: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.mean = mean
        self.moments = np.array([mean])
        self.entropy = float(1 + np.log(mean))

    def statistics(self, x):
        return x

    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Log-normal around the given mean, e times wider or narrower at one sd."""
        return rng.lognormal(np.log(self.mean), 1.0, (n, 1))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.exponential(self.mean, (n, 1))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return stats.expon.logpdf(x[:, 0], scale=self.mean)
