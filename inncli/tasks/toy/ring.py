"""The ring: two unknowns, and y shows their squared radius alone."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from inncli.errors import ConfigError
from inncli.tasks.base import Task
from inncli.types import NonNegativeFloat, PositiveInt
from inncli.variables import Variables


class Ring(Task):
    r"""x in the plane, y its squared radius.

    .. math:: x \sim N(0, I_2), \quad y = |x|^2 + \sigma \epsilon

    With u = |x|^2 the prior is Exp(1/2), so p(u | y) is proportional to exp(-u/2) N(y; u, sigma^2) on u >= 0:
    a normal of mean y - sigma^2/2 and sd sigma, cut at zero; without noise u is y. The angle is uniform.
    Both are drawn exactly.

    Args:
        noise: sd of the noise on y.
        n_train, fresh: see `Task`.
    """

    x = Variables.numbered("x", 2)
    y = Variables.numbered("y", 1)
    noise_sd: np.ndarray
    differentiable = True
    default_n_train = 16_000  # 40 epochs of it train the default model in about half a minute

    def __init__(
        self, noise: NonNegativeFloat = 0.05, n_train: PositiveInt | None = None, fresh: bool | None = None
    ) -> None:
        super().__init__(n_train, fresh)
        self.noise_sd = np.array([float(noise)])

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((n, 2))

    def observe(self, x: np.ndarray) -> np.ndarray:
        return (x**2).sum(-1)[:, None]

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), by the inverse of the survival function of u = |x|^2.

        In logarithms, since a y below zero lies far in the tail. Shape: y (1,), out (n, 2).

        Raises: ConfigError without noise if y < 0, which no x has.
        """
        sd, at = self.noise_sd[0], float(np.asarray(y).reshape(-1)[0])
        u = np.full(n, at) if sd == 0 else self._squared_radii(at, n, rng)
        if at < 0 and sd == 0:
            raise ConfigError(f"expected a y of 0 or more, got {at:g}, which no x has without noise")
        r = np.sqrt(np.maximum(u, 0.0))  # rounding can put u an ulp below zero
        angle = 2 * np.pi * rng.random(n)
        return r[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])

    def _squared_radii(self, y: float, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of u given y, (n,)."""
        sd = self.noise_sd[0]
        mean = y - sd**2 / 2
        # P(U > u) = Phi((mean - u)/sd) / Phi(mean/sd) = q, with q uniform on (0, 1]
        log_q = np.log1p(-rng.random(n))
        return mean - sd * ndtri_exp(log_q + log_ndtr(mean / sd))
