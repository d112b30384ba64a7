"""A positive unknown with a known mean."""

from __future__ import annotations

import numpy as np
from scipy import stats

from inncli.tasks.maxent.base import MaxentTask
from inncli.tasks.sampling.array_api import Array
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

    def statistics(self, x: Array) -> Array:
        return x

    def reference(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """N log-normal draws around the given mean, e times larger or smaller at one sd. Shape: (n, 1)."""
        return rng.lognormal(np.log(self.mean), 1.0, (n, 1))

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.exponential(self.mean, (n, 1))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return stats.expon.logpdf(x[:, 0], scale=self.mean)
