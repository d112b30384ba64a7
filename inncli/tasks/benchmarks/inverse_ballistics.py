"""The thrown ball with drag: which throws come down at a given place?"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import gammaln, ndtri

from inncli.errors import ConfigError
from inncli.tasks.base import Task
from inncli.tasks.sampling.array_api import Array, at_least, cos, detached, exp, expm1, log, sin, stack, where
from inncli.types import PositiveInt
from inncli.variables import Variables

GRAVITY, DRAG, MASS = 9.81, 0.25, 0.2  # m/s^2, kg/s, kg
TAU = MASS / DRAG  # s
SD_X1, MEAN_X2, SD_X2, MEAN_V0 = 0.5, 1.5, 0.5, 15
HEIGHT_CELLS, ANGLE_CELLS, FASTEST = 16, 48, 90  # of the table; a Poisson count above 90 has a chance of e^-93
HIGHEST = ndtri(1 - 1e-15)  # sds; the last cell of heights ends there


class InverseBallistics(Task):
    r"""A ball thrown from (x1, x2) at an angle with a speed v0, slowed by drag; y is where it hits the ground.

    .. math:: x_1 \sim N(0, .5^2), \quad x_2 \sim \max(0, N(1.5, .5^2)), \quad \mathrm{angle} \sim U(9°, 81°), \quad
        v_0 \sim \mathrm{Poisson}(15)

    With tau = m/k and s = t/tau the path is

    .. math:: X(s) = x_1 + \tau v_0 \cos(\mathrm{angle}) (1 - e^{-s}), \quad
        Z(s) / g\tau^2 = H + B (1 - e^{-s}) - s, \quad H = \frac{x_2}{g \tau^2}, \;
        B = 1 + \frac{v_0 \sin(\mathrm{angle})}{g \tau}

    and y = X at the zero of Z behind the apex, s = H + B + W(-B e^{-H-B}) with Lambert's W. Newton's steps find it:
    -Z is convex and H + B lies right of its zeros, so that the steps fall towards the larger zero and reach it to
    the last digit, also where W loses half of its digits (a low flat throw). The gradient is that of one more step,
    which is the implicit function's. A throw that never reaches the ground (x2 < 0, outside the prior) is NaN.

    y is free of noise and moves with x1, so the posterior is p(x2, angle, v0 | y) with x1 = y - R(x2, angle, v0):
    `reference_posterior` draws them by rejection from cells. The values of R at the corners of a cell, widened by a
    tenth of their spread, bound p(x1) there. x2 is drawn as a quantile, so that its atom at 0 is included.

    Units: m, radians, m/s; y in m. g = 9.81 m/s^2, k = .25 kg/s, m = .2 kg.

    Args:
        v0: `integer` as published, or `dequantised`, spread uniformly over [v0 - 1/2, v0 + 1/2).
        angle: range of the angle in degrees.
        n_train, fresh: see `Task`.

    Raises: ConfigError if `angle` is not a range within 0 to 90.
    Reference: Kruse et al. 2021, Benchmarking invertible architectures on inverse problems, arXiv:2101.10763 (its
        code takes the nearest point of a grid of times, and drops throws that leave the grid; this one solves).
    """

    y = Variables.numbered("y", 1)
    noise_sd = np.zeros(1)
    differentiable = True
    default_n_train = 40_000  # draws cost nothing, and validating every 10,000 takes a tenth of a training
    path_axes = ("distance", "height")

    def __init__(
        self,
        v0: Literal["integer", "dequantised"] = "integer",
        angle: list[float] = [9.0, 81.0],  # noqa: B006 read only; a list, as in the yaml
        n_train: PositiveInt | None = None,
        fresh: bool | None = None,
    ) -> None:
        super().__init__(n_train, fresh)
        if len(angle) != 2 or not 0 <= angle[0] < angle[1] <= 90:
            raise ConfigError(f"task.angle: expected [low, high] in degrees within 0 to 90, got {list(angle)}")
        low, high = np.deg2rad(angle)
        self.angle: tuple[float, float] = (low, high)
        self.integer = v0 == "integer"
        self.x = Variables(
            ("x1", "x2", "angle", "v0"),
            bounds=((None, None), (0.0, None), self.angle, (0.0 if self.integer else -0.5, None)),
            steps=(0.0, 0.0, 0.0, 1.0 if self.integer else 0.0),
        )

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        x1 = SD_X1 * rng.standard_normal(n)
        x2 = np.maximum(0, MEAN_X2 + SD_X2 * rng.standard_normal(n))
        angle, v0 = rng.uniform(*self.angle, n), rng.poisson(MEAN_V0, n).astype(np.float64)
        return np.column_stack([x1, x2, angle, v0 if self.integer else v0 + rng.random(n) - 0.5])

    def observe(self, x: np.ndarray) -> np.ndarray:
        return stack([x[:, 0] + _distance(x[:, 1], x[:, 2], x[:, 3])])

    def flight_time(self, x: np.ndarray) -> np.ndarray:
        """Seconds until the ball hits the ground. Shape: x (n, 4), out (n,)."""
        return TAU * _crossing(x[:, 1], x[:, 2], x[:, 3])

    def paths(self, x: np.ndarray) -> np.ndarray:
        """Each throw from the hand to the ground, at 100 times. Shape: x (n, 4), out (n, 100, 2)."""
        s = np.linspace(0, 1, 100) * (self.flight_time(x) / TAU)[:, None]
        x1, x2, angle, v0 = (column[:, None] for column in x.T)
        height, rise = _shape(x2, angle, v0)
        gone = -np.expm1(-s)
        return np.stack([x1 + TAU * v0 * np.cos(angle) * gone, GRAVITY * TAU**2 * (height + rise * gone - s)], -1)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), see the class. Shape: y (1,), out (n, 4).

        Raises: ConfigError if a million proposals in a row are refused: y is further than any throw.
        """
        at = float(np.asarray(y).reshape(-1)[0])
        low, high, log_mass = self._cells
        nearest = np.clip(at, low, high)
        log_bound = log_mass - 0.5 * ((at - nearest) / SD_X1) ** 2
        mass = np.cumsum(np.exp(log_bound - log_bound.max()))
        gap = (at - nearest) ** 2
        kept, found, missed, batch = [], 0, 0, max(2 * n, 10_000)
        while found < n:
            cell = np.minimum(np.searchsorted(mass, rng.random(batch) * mass[-1], side="right"), len(mass) - 1)
            x2, angle, v0 = self._within(cell, rng)
            x1 = at - _distance(x2, angle, v0)
            log_share = -0.5 * (x1**2 - gap[cell]) / SD_X1**2
            accepted = np.log(rng.random(batch)) < log_share
            kept.append(np.column_stack([x1, x2, angle, v0])[accepted])
            found += int(accepted.sum())
            missed = 0 if accepted.any() else missed + batch
            if missed > 1_000_000:
                raise ConfigError(f"y = {at:g} m is further than any throw of this prior; pass a y near its range")
        return np.concatenate(kept)[:n]

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Low and high end of R, a little widened, and log prior in each cell (height, angle, v0): (cells,) each."""
        quantile, angle, speeds = self._edges
        counts = np.arange(FASTEST + 1)
        ends = speeds if self.integer else np.append(counts - 0.5, FASTEST + 0.5)
        r = _distance(*np.broadcast_arrays(_height(quantile)[:, None, None], angle[:, None], ends))
        corners = [r[i : i + HEIGHT_CELLS, j : j + ANGLE_CELLS] for i in (0, 1) for j in (0, 1)]
        if not self.integer:
            corners = [part[..., k : k + FASTEST + 1] for part in corners for k in (0, 1)]
        low, high = np.min(corners, 0), np.max(corners, 0)
        slack = 0.1 * (high - low)
        log_poisson = counts * np.log(MEAN_V0) - MEAN_V0 - gammaln(counts + 1)
        log_mass = np.broadcast_to(log_poisson, low.shape)
        return (low - slack).ravel(), (high + slack).ravel(), log_mass.ravel()

    @property
    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (
            np.linspace(0, 1, HEIGHT_CELLS + 1),
            np.linspace(*self.angle, ANGLE_CELLS + 1),
            np.arange(FASTEST + 1.0),
        )

    def _within(self, cell: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """A draw (x2, angle, v0) of the prior in each `cell`, (n,): they are equally wide in quantile and angle."""
        i, j, k = np.unravel_index(cell, (HEIGHT_CELLS, ANGLE_CELLS, FASTEST + 1))
        u, v, w = rng.random((3, len(cell)))
        low, high = self.angle
        v0 = k.astype(np.float64) if self.integer else k + w - 0.5
        return _height((i + u) / HEIGHT_CELLS), low + (high - low) * (j + v) / ANGLE_CELLS, v0

    def describe(self) -> list[str]:
        low, high = np.rad2deg(self.angle)
        v0 = "an integer" if self.integer else "spread over its cell"
        return [*super().describe(), f"angle from {low:g} to {high:g} degrees; v0 {v0}"]


def _height(quantile: np.ndarray) -> np.ndarray:
    """x2 by the inverse of its distribution function, with the atom at 0."""
    return np.maximum(0, MEAN_X2 + SD_X2 * np.minimum(ndtri(quantile), HIGHEST))


def _shape(x2: Array, angle: Array, v0: Array) -> tuple[Array, Array]:
    """H and B of the path's height."""
    return x2 / (GRAVITY * TAU**2), 1 + v0 * sin(angle) / (GRAVITY * TAU)


def _crossing(x2: Array, angle: Array, v0: Array) -> Array:
    """The s > 0 at which the ball meets the ground, with the gradient of the implicit function."""
    height, rise = _shape(x2, angle, v0)
    s = _root(detached(height), detached(rise))
    # F(s) = s - H - B (1 - e^-s) = 0, and ds = -dF / F'
    f = s - height + rise * expm1(-s)
    return s - f / at_least(1 - detached(rise) * exp(-s), 1e-12)


def _root(height: Array, rise: Array) -> Array:
    """The larger zero of F without gradients, by Newton's steps from the right; NaN where there is none."""
    # F is smallest at the apex, s = log B.
    exists = (rise > 0) & (log(at_least(rise, 1e-300)) - height - rise + 1 <= 0)
    s = where(exists, height + rise, rise * np.nan)
    for _ in range(100):
        f, slope = s - height + rise * expm1(-s), 1 - rise * exp(-s)
        step = where((f > 0) & (slope > 0), f / at_least(slope, 1e-300), 0.0 * s)
        lower = s - step
        if not bool((lower < s).any()):
            break
        s = lower
    return s


def _distance(x2: Array, angle: Array, v0: Array) -> Array:
    """R: how far from x1 the ball comes down."""
    return TAU * v0 * cos(angle) * -expm1(-_crossing(x2, angle, v0))
