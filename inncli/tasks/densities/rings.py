"""Four thin rings, one in the other: a density without an observation."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.densities.curves import circle, log_circles
from inncli.variables import Variables

RADII = np.array([0.75, 1.5, 2.25, 3.0])
SD = 0.08


class Rings(Task):
    r"""An even mixture of four circles, smeared by a normal: thinner than `circles`, each with as much mass.

    .. math:: x = R (\cos a, \sin a) + \sigma \epsilon, \quad R \in \{.75, 1.5, 2.25, 3\}, \quad a \sim U[0, 2 \pi)

    Its density has a closed form with the Bessel function I_0, see `curves.log_circles`.

    Args:
        n_train, fresh: see `Task`.

    Reference: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return circle(rng.choice(RADII, n), SD, rng)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return log_circles(x, RADII, SD)
