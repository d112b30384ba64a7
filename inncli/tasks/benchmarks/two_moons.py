"""Two moons: a posterior of two crescents, narrow one way and long the other."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.benchmarks import published
from inncli.tasks.sampling.array_api import stack
from inncli.tasks.sampling.rejection import accepted
from inncli.types import PositiveInt
from inncli.variables import Variables

RADIUS, RADIUS_SD, OFFSET = 0.1, 0.01, 0.25


class TwoMoons(Task):
    r"""x in a square, y a point of a half circle that x moves about.

    .. math:: x \sim U[-1, 1]^2, \quad y = p + \frac{1}{\sqrt2} (-|x_1 + x_2|, \; x_2 - x_1), \quad
        p = (r \cos a + 0.25, \; r \sin a), \quad r \sim N(0.1, 0.01^2), \quad a \sim U(-\pi/2, \pi/2)

    The absolute value makes two moons of one. p has a density in the plane, in which r counts as a radius:

    .. math:: p(y | x) = \frac{N(r; 0.1, 0.01^2)}{\pi r}, \quad r = |y - s_0(x) - (0.25, 0)|

    on the right of (0.25, 0), with s_0 the shift by x, and 0 on its left. As x moves y without stretching, a draw of
    p given y is one of x: exact draws of p(x | y) are those for which x falls into the square.

    `observe` is the mean of y given x. (A radius below 0, ten sds away, counts as impossible.)

    Args:
        n_train, fresh: see `Task`.

    Reference: Greenberg et al. 2019, Automatic posterior transformation, arXiv:1905.07488; in the constants of
        Lueckmann et al. 2021, arXiv:2101.04653.
    """

    x = Variables.numbered("x", 2, bounds=((-1.0, 1.0), (-1.0, 1.0)))
    y = Variables.numbered("y", 2)
    differentiable = True

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        super().__init__(n_train, fresh)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-1.0, 1.0, (n, 2))

    def observe(self, x: np.ndarray) -> np.ndarray:
        shift = _shift(x)
        # E cos a = 2/pi on the half circle, E sin a = 0
        return stack([shift[:, 0] + OFFSET + RADIUS * 2 / np.pi, shift[:, 1]])

    def simulate(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return _moon(len(x), rng) + _shift(x)

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        return np.where((np.abs(x) <= 1).all(1), -np.log(4.0), -np.inf)

    def log_likelihood(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        u, v = (y - _shift(x)).T - np.array([[OFFSET], [0.0]])
        r = np.hypot(u, v)
        with np.errstate(divide="ignore"):  # r = 0
            log_p = -0.5 * ((r - RADIUS) / RADIUS_SD) ** 2 - np.log(RADIUS_SD * np.sqrt(2 * np.pi)) - np.log(np.pi * r)
        return np.where(u > 0, log_p, -np.inf)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), see the class. Shape: y (2,), out (n, 2).

        Raises: ConfigError if no x has this y.
        """
        y = np.asarray(y, dtype=np.float64).reshape(-1)

        def propose(m: int) -> np.ndarray:
            w, d = (_moon(m, rng) - y).T * np.array([[1.0], [-1.0]])  # |x1 + x2| and x2 - x1, over sqrt 2
            s = w * rng.choice([-1.0, 1.0], m)
            x = np.column_stack([s - d, s + d]) / np.sqrt(2)
            return x[(w >= 0) & (np.abs(x) <= 1).all(1)]

        return accepted(propose, n, y)

    def published_observations(self) -> np.ndarray:
        return published.observations(self.name)


def _moon(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of p: points near the right half of a circle, (n, 2)."""
    a = rng.uniform(-np.pi / 2, np.pi / 2, n)
    r = RADIUS + RADIUS_SD * rng.standard_normal(n)
    return np.column_stack([r * np.cos(a) + OFFSET, r * np.sin(a)])


def _shift(x: np.ndarray) -> np.ndarray:
    """s_0: the shift of the moon by x. Shape: x (n, 2), out (n, 2)."""
    return stack([-abs(x[:, 0] + x[:, 1]), x[:, 1] - x[:, 0]]) / np.sqrt(2)
