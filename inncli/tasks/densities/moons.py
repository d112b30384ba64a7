"""Two moons facing each other: a density without an observation (`two_moons` is the inverse problem of that name)."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.densities.curves import log_integral, log_normal, nodes
from inncli.variables import Variables

RADIUS, SD = 2.0, 0.2  # as published: radius 1, sd .1, all times 2
CENTERS = np.array([[-1.0, -0.2], [1.0, 0.8]])  # of the moon that opens downwards, and of the one that opens upwards


class Moons(Task):
    r"""An even mixture of two half circles, smeared by a normal.

    .. math:: x = m_k \pm R (\cos a, \sin a) + \sigma \epsilon, \quad a \sim U[0, \pi]

    The density is a smooth integral over a, by 200 Gauss-Legendre nodes: right to a relative 1e-12.

    Args:
        n_train, fresh: see `Task`.

    Reference: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        moon = rng.integers(2, size=n)
        return _arc(moon, rng.uniform(0, np.pi, n)) + SD * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        angle, weight = nodes(0, np.pi, 200)
        curve = np.concatenate([_arc(np.full(len(angle), moon), angle) for moon in (0, 1)])
        return log_integral(x, lambda part: log_normal(part, curve, SD), np.tile(weight, 2) / (2 * np.pi))


def _arc(moon: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points of the curves, (n, 2): moon 0 is the upper half of its circle, moon 1 the lower."""
    return CENTERS[moon] + np.where(moon == 0, RADIUS, -RADIUS)[:, None] * np.column_stack(
        [np.cos(angle), np.sin(angle)]
    )
