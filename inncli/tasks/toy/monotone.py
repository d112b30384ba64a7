"""An increasing function of one unknown, Kepler's equation: the inverse problem that has an inverse."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.sampling.array_api import sin
from inncli.types import PositiveFloat, PositiveInt, Share
from inncli.variables import Variables

_BISECTIONS = 60  # halvings of an interval of length 2 e, down to rounding
_TABLE = 4_001  # points over 24 sds of the noise


class Monotone(Task):
    r"""x on the line, y an increasing function of it: Kepler's equation.

    .. math:: x \sim N(0, 2^2), \quad y = f(x) + \sigma \epsilon, \quad f(x) = x - e \sin x

    f has slopes from 1 - e to 1 + e, so it has an inverse, and p(x | y) is one narrow hump around
    :math:`f^{-1}(y)`, of sd about :math:`\sigma / f'(x)`: wide where f is flat, at x = 0. `inn plot cobweb
    --map kepler` draws f, its mirror image and the fixed-point iteration x <- y + e sin x that inverts it.

    Args:
        e: the eccentricity, below 1.
        noise: sd of the noise on y.
        n_train, fresh: see `Task`.
    """

    x = Variables.numbered("x", 1)
    y = Variables.numbered("y", 1)
    noise_sd: np.ndarray
    differentiable = True
    sd = 2.0

    def __init__(
        self, e: Share = 0.8, noise: PositiveFloat = 0.1, n_train: PositiveInt | None = None, fresh: bool | None = None
    ) -> None:
        super().__init__(n_train, fresh)
        self.e = float(e)
        self.noise_sd = np.array([float(noise)])

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.sd * rng.standard_normal((n, 1))

    def observe(self, x: np.ndarray) -> np.ndarray:
        return x - self.e * sin(x)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """The x with f(x) = y, by bisection of [y - e, y + e]. Shape: y (n,), out (n,)."""
        low, high = np.asarray(y) - self.e, np.asarray(y) + self.e
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            above = middle - self.e * np.sin(middle) > y
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of p(x | y), by the inverse of its distribution function on a table around f^{-1}(y).

        Exact up to the table: the density counts as linear in each of 4,000 cells, so fine that no test of a
        million draws could tell. Shape: y (1,), out (n, 1).
        """
        at, sd = float(np.asarray(y).reshape(-1)[0]), self.noise_sd[0]
        # 12 sds of noise about y, and further in, since the prior pulls a far y by x s^2 / (4 f') at most.
        pull = at * sd**2 / self.sd**2 / (1 - self.e)
        low, high = self.inverse(np.array([min(at, at - pull) - 12 * sd, max(at, at - pull) + 12 * sd]))
        x = np.linspace(low, high, _TABLE)
        log_p = -0.5 * (x / self.sd) ** 2 - 0.5 * ((x - self.e * np.sin(x) - at) / sd) ** 2
        p = np.exp(log_p - log_p.max())
        mass = (p[1:] + p[:-1]) / 2
        k = np.searchsorted(np.cumsum(mass), rng.random(n) * mass.sum()).clip(0, len(mass) - 1)
        # Within a cell the density is linear from p_k to p_k+1: the root of a quadratic.
        a, b, u = p[k], p[k + 1], rng.random(n)
        along = u * (a + b) / (a + np.sqrt(a**2 + u * (b**2 - a**2)))
        return (x[k] + along * (x[1] - x[0]))[:, None]

    def describe(self) -> list[str]:
        return [
            *super().describe(),
            f"y = x - {self.e:g} sin x, increasing: slopes {1 - self.e:.3g} to {1 + self.e:.3g}",
        ]
