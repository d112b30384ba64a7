"""Eight Gaussians on a circle: a density without an observation."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from inncli.tasks.base import Task
from inncli.types import PositiveInt
from inncli.variables import Variables

# As published: radius 4 and sd .5, all divided by 1.414 (not by the square root of two).
RADIUS = 4 / 1.414
SD = 0.5 / 1.414
ENTROPY = 2.8314  # nats, by simulation, +- .0007


class EightGaussians(Task):
    r"""An even mixture of eight normals on a circle.

    .. math:: p(x) = \frac{1}{8} \sum_{k=0}^{7} N(x; r (\cos k\pi/4, \sin k\pi/4), \sigma^2 I)

    Args:
        n_train, fresh: see `Task`.

    Reference: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        super().__init__(n_train, fresh)
        angle = np.arange(8) * np.pi / 4
        self.centers = RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.centers[rng.integers(8, size=n)] + SD * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        squares = ((np.asarray(x)[:, None] - self.centers) ** 2).sum(-1)
        return logsumexp(-squares / (2 * SD**2), axis=1) - np.log(8 * 2 * np.pi * SD**2)

    def describe(self) -> list[str]:
        return [*super().describe(), f"entropy: {ENTROPY} nats"]
