"""The sine: a wavy surface whose level sets fall apart into islands."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, label
from scipy.special import ellipj, ellipkm1

from inncli.errors import ConfigError
from inncli.tasks.base import Task
from inncli.tasks.sampling.array_api import cos, sin
from inncli.types import NonNegativeFloat, PositiveInt
from inncli.variables import Variables

_TABLE = 20_000  # cells of the table from which the level of a noisy y is drawn


class Sine(Task):
    r"""x in a square, y a sum of two waves.

    .. math:: x \sim U[-1, 1]^2, \quad y = \sin 3\pi x_1 + \cos 3\pi x_2 + \sigma \epsilon

    Without noise (the default) p(x | y) lives on the curve f(x) = y, with the density 1/|grad f| along it
    (the coarea formula). Each wave makes three whole turns, so s = sin 3 pi x_1 and c = cos 3 pi x_2 have the
    arcsine density, and given s + c = t

    .. math:: p(s | t) \propto \frac{1}{\sqrt{(1 - s^2)(1 - (t - s)^2)}}, \quad p(t) = K(m) / \pi^2, \quad
        m = 1 - t^2/4,

    an elliptic integral, whose inverse is Jacobi's sn: with w = sn^2(U K(m) | m), U uniform and t > 0,
    s = ((2 - t) w + 2 (t - 1)) / (2 - (2 - t) w). All solutions x_1 of one s are equally likely, and so are
    those x_2 of one c. With noise the level t is drawn first, from K(m) N(y; t, sigma^2).

    The draws are exact, but for t with noise, which comes from a table of 20,000 cells with a linear density in each.
    At t = 0 the curves cross at saddles and 1/|grad f| has no finite integral; a |t| below 1e-6 counts as 1e-6.

    Args:
        noise: sd of the noise on y.
        n_train, fresh: see `Task`.
    """

    x = Variables.numbered("x", 2, bounds=((-1.0, 1.0), (-1.0, 1.0)))
    y = Variables.numbered("y", 1)
    noise_sd: np.ndarray
    differentiable = True

    def __init__(
        self, noise: NonNegativeFloat = 0.0, n_train: PositiveInt | None = None, fresh: bool | None = None
    ) -> None:
        super().__init__(n_train, fresh)
        self.noise_sd = np.array([float(noise)])

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-1.0, 1.0, (n, 2))

    def observe(self, x: np.ndarray) -> np.ndarray:
        return (sin(3 * np.pi * x[:, 0]) + cos(3 * np.pi * x[:, 1]))[:, None]

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), see the class. Shape: y (1,), out (n, 2).

        Raises: ConfigError without noise if |y| > 2, which no x has.
        """
        at = float(np.asarray(y).reshape(-1)[0])
        if self.noise_sd[0] > 0:
            t = self._levels(at, n, rng)
        elif abs(at) <= 2:
            t = np.full(n, at)
        else:
            raise ConfigError(f"expected a y from -2 to 2, got {at:g}, which no x has without noise")
        size = np.clip(np.abs(t), 1e-6, 2.0)
        # k'^2 = t^2/4 is passed as it is: 1 - m would lose its digits near t = 0.
        sn = ellipj(rng.random(n) * ellipkm1(size**2 / 4), 1 - size**2 / 4)[0]
        w = sn**2
        s = np.where(t < 0, -1.0, 1.0) * ((2 - size) * w + 2 * (size - 1)) / (2 - (2 - size) * w)
        s = np.clip(s, np.maximum(-1, t - 1), np.minimum(1, t + 1))
        turns = 2 * np.pi * rng.integers(-1, 2, (n, 2))
        first = np.arcsin(s)
        mirrored = rng.random(n) < 0.5  # sin(pi - a) = sin(a), brought back to [-pi, pi]
        first = np.where(mirrored, np.where(first > 0, np.pi, -np.pi) - first, first)
        second = np.arccos(t - s) * rng.choice([-1.0, 1.0], n)
        return np.clip((np.column_stack([first, second]) + turns) / (3 * np.pi), -1.0, 1.0)

    def islands(self, y: float, x: np.ndarray, cells: int = 900) -> tuple[int, np.ndarray]:
        """The number of pieces of the curve f(x) = y, and for each x the nearest piece, from 0.

        By brute force: the cells of a grid that have corners on both sides of y, joined where they touch. Two pieces
        closer than two cells count as one, and a piece smaller than a cell may be missed.

        Shape: x (n, 2), out (n,).
        """
        axis = np.linspace(-1, 1, cells + 1)
        above = self.observe(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)) > y
        above = above.reshape(cells + 1, cells + 1)
        corners = np.stack([above[:-1, :-1], above[1:, :-1], above[:-1, 1:], above[1:, 1:]])
        labels, count = label(corners.any(0) & ~corners.all(0), structure=np.ones((3, 3)))
        i, j = np.clip(((x + 1) / 2 * cells).astype(int), 0, cells - 1).T
        nearest = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
        return count, labels[tuple(nearest[:, i, j])] - 1

    def _levels(self, y: float, n: int, rng: np.random.Generator) -> np.ndarray:
        """N draws of t = f(x) given y, by the inverse of a piecewise quadratic distribution function."""
        sd = self.noise_sd[0]
        # Where N(y; t, sd^2) is more than e^-40 of its largest value, also for a y far outside [-2, 2].
        reach = np.sqrt((y - np.clip(y, -2, 2)) ** 2 + 80 * sd**2)
        low, high = max(-2.0, y - reach), min(2.0, y + reach)
        near_zero = np.geomspace(1e-9, 2, 1000)  # the logarithmic pole of K
        t = np.concatenate([np.linspace(low, high, _TABLE), near_zero, -near_zero])
        t = np.unique(t[(t >= low) & (t <= high)])
        log_p = np.log(ellipkm1(np.maximum(t**2 / 4, 1e-20))) - (t - y) ** 2 / (2 * sd**2)
        p = np.exp(log_p - log_p.max())
        mass = np.diff(t) * (p[1:] + p[:-1]) / 2
        k = np.searchsorted(np.cumsum(mass), rng.random(n) * mass.sum()).clip(0, len(mass) - 1)
        # Within a cell the density is linear from p_k to p_k+1: the root of a quadratic.
        a, b, u = p[k], p[k + 1], rng.random(n)
        along = u * (a + b) / (a + np.sqrt(a**2 + u * (b**2 - a**2)))
        return t[k] + along * (t[k + 1] - t[k])
