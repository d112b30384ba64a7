"""The Swiss roll, seen from its end: a density without an observation."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.densities.curves import log_integral, log_normal, nodes
from inncli.variables import Variables

LOW, HIGH = 1.5 * np.pi, 4.5 * np.pi
SD = 0.2  # as published: sd 1, all divided by 5


class Swissroll(Task):
    r"""A spiral, smeared by a normal.

    .. math:: x = t (\cos t, \sin t) / 5 + \sigma \epsilon, \quad t \sim U[3 \pi / 2, 9 \pi / 2]

    The density is a smooth integral over t, by 400 Gauss-Legendre nodes: right to a relative 1e-12.

    Args:
        n_train, fresh: see `Task`.

    Reference: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return _curve(rng.uniform(LOW, HIGH, n)) + SD * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        t, weight = nodes(LOW, HIGH, 400)
        curve = _curve(t)
        return log_integral(x, lambda part: log_normal(part, curve, SD), weight / (HIGH - LOW))


def _curve(t: np.ndarray) -> np.ndarray:
    return t[:, None] / 5 * np.column_stack([np.cos(t), np.sin(t)])
