"""The jointed arm on a rail: which joint angles put the hand at a given point?"""

from __future__ import annotations

import numpy as np
from scipy.special import ellipj, ellipk

from inncli.errors import ConfigError
from inncli.tasks.base import Task
from inncli.tasks.sampling.array_api import cos, sin, stack
from inncli.tasks.sampling.grid_rejection import sample_cells
from inncli.types import PositiveInt
from inncli.variables import Variables

SD = np.array([0.25, 0.5, 0.5, 0.5])  # of x1 to x4
LENGTHS = (0.5, 0.5, 1.0)
C_CELLS, U_CELLS = 96, 192  # of the table that draws of the posterior are proposed from


class InverseKinematics(Task):
    r"""An arm of three segments on a vertical rail, and where its end comes to lie.

    .. math:: x \sim N(0, \mathrm{diag}(.25, .5, .5, .5)^2), \quad a = x_2, \; b = x_2 + x_3, \; c = x_2 + x_3 + x_4

    .. math:: y_1 = l_1 \cos a + l_2 \cos b + l_3 \cos c, \quad y_2 = x_1 + l_1 \sin a + l_2 \sin b + l_3 \sin c

    with lengths l = (.5, .5, 1). y is free of noise, so p(x | y) lives on a surface of two dimensions. Since
    1 - cos a = 2 sin^2(a/2) and l_3 = l_1 + l_2, the angles of one y_1 are those of a sphere,

    .. math:: \sin^2 \tfrac a2 + \sin^2 \tfrac b2 + 2 \sin^2 \tfrac c2 = 2 - y_1

    Given c the pair (a, b) lies on a curve sin^2(a/2) + sin^2(b/2) = r^2, along which delta(y_1 - ...) da db is
    uniform in the argument u of Jacobi's functions, with m = r^2 (2 - r^2):

    .. math:: \sin \tfrac a2 = \frac{r \, \mathrm{cn}\, u}{D}, \quad
        \sin \tfrac b2 = \frac{r \sqrt{1 - r^2} \, \mathrm{sn}\, u}{D}, \quad D = \sqrt{1 - r^2 \mathrm{sn}^2 u}

    (for r > 1 the same holds of the cosines, with 2 - r^2 for r^2). So in the coordinates (c, u / 4K(m)) p(x | y) is
    K(m) times the prior of x_2 to x_4, whose angles may have made whole turns, and of x_1, which y_2 then determines.
    There is no pole anywhere, not even at full extension: only the logarithm of K at r = 1.

    `reference_posterior` is exact by rejection from a table of 96 x 192 cells, see `grid_rejection.sample_cells`.

    Units: the arm's length at full extension is 2; angles in radians.

    Args:
        n_train, fresh: see `Task`.

    Reference: Ardizzone et al. 2019, arXiv:1808.04730; Kruse et al. 2021, Benchmarking invertible architectures on
        inverse problems, arXiv:2101.10763.
    """

    x = Variables.numbered("x", 4)
    y = Variables.numbered("y", 2, bounds=((-2.0, 2.0), (None, None)))
    noise_sd = np.zeros(2)
    differentiable = True
    default_n_train = 40_000  # draws cost nothing, and validating every 10,000 takes a tenth of a training
    path_axes = ("along the arm", "along the rail")

    def __init__(self, n_train: PositiveInt | None = None, fresh: bool | None = None) -> None:
        super().__init__(n_train, fresh)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return SD * rng.standard_normal((n, 4))

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        return -0.5 * ((x / SD) ** 2).sum(1) - np.log(SD).sum() - 2 * np.log(2 * np.pi)

    def observe(self, x: np.ndarray) -> np.ndarray:
        a = x[:, 1]
        b = a + x[:, 2]
        c = b + x[:, 3]
        l1, l2, l3 = LENGTHS
        return stack([l1 * cos(a) + l2 * cos(b) + l3 * cos(c), x[:, 0] + l1 * sin(a) + l2 * sin(b) + l3 * sin(c)])

    def paths(self, x: np.ndarray) -> np.ndarray:
        """The joints of each arm, from the rail to the hand. Shape: x (n, 4), out (n, 4, 2)."""
        angles = np.cumsum(x[:, 1:], 1)
        steps = np.stack([np.cos(angles), np.sin(angles)], -1) * np.array(LENGTHS)[:, None]
        start = np.stack([np.zeros(len(x)), x[:, 0]], -1)[:, None]
        return np.concatenate([start, start + np.cumsum(steps, 1)], 1)

    def reference_posterior(self, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """Exact draws of p(x | y), see the class. Shape: y (2,), out (n, 4).

        Raises: ConfigError if |y1| > 2, which no arm reaches.
        """
        y1, y2 = np.asarray(y, dtype=np.float64).reshape(-1)
        if not abs(y1) <= 2:
            raise ConfigError(f"expected a y1 from -2 to 2, got {y1:g}, which no arm reaches")
        middle, half = _range_of_c(2 - y1)

        def log_density(c: np.ndarray, u: np.ndarray) -> np.ndarray:
            a, b, c, k = _angles(2 - y1, middle + half * c, u)
            x1 = y2 - (LENGTHS[0] * np.sin(a) + LENGTHS[1] * np.sin(b) + LENGTHS[2] * np.sin(c))
            turned = sum(_log_wrapped_normal(angle) for angle in (a, b - a, c - b))
            return turned - 0.5 * (x1 / SD[0]) ** 2 + np.log(k)

        edges = np.linspace(-1, 1, C_CELLS + 1), np.linspace(0, 1, U_CELLS + 1)
        c, u = sample_cells(log_density, edges, n, rng)
        a, b, c, _ = _angles(2 - y1, middle + half * c, u)
        x2, x3, x4 = (_turns(angle, rng) for angle in (a, b - a, c - b))
        # x1 makes up for s(0, x2, x3, x4), which `observe` itself computes, so that y2 holds to the last digit.
        x = np.column_stack([np.zeros(n), x2, x3, x4])
        x[:, 0] = y2 - self.observe(x)[:, 1]
        return x


def _range_of_c(rho2: float) -> tuple[float, float]:
    """Middle and half of the range of angles c with 0 <= rho^2 - 2 sin^2(c/2) <= 2."""
    if rho2 <= 2:
        return 0.0, 2 * np.arcsin(np.sqrt(rho2 / 2))
    return np.pi, 2 * np.arcsin(np.sqrt((4 - rho2) / 2))


def _angles(rho2: float, c: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, ...]:
    """The angles a and b at the share u of their curve's period, c, and K(m)."""
    r2 = np.clip(rho2 - 2 * np.sin(c / 2) ** 2, 0, 2)
    far = r2 > 1
    r2 = np.where(far, 2 - r2, r2)
    # K is infinite at m = 1, and SciPy's sn and cn lose their period within 1e-10 of it
    m = np.minimum(r2 * (2 - r2), 1 - 2e-10)
    k = ellipk(m)
    sn, cn, _, _ = ellipj(4 * k * u, m)
    first = np.sqrt(r2 / (1 - r2 * sn**2).clip(1e-20)) * cn
    first = np.clip(first, -np.sqrt(r2), np.sqrt(r2))
    second = np.copysign(np.sqrt(np.maximum(r2 - first**2, 0)), sn)  # not by its own formula: y1 to the last digit
    a, b = 2 * np.arcsin(first), 2 * np.arcsin(second)
    turn = np.where(far, np.pi, 0.0)  # cos(a/2) = first: a = pi - 2 arcsin(first)
    return turn + np.where(far, -a, a), turn + np.where(far, -b, b), c, k


def _images(angle: np.ndarray) -> np.ndarray:
    """Each angle without whole turns, and a turn more either way; further turns hold less than e^-170 of the mass."""
    nearest = angle - 2 * np.pi * np.round(angle / (2 * np.pi))
    return nearest + 2 * np.pi * np.arange(-1, 2).reshape(-1, *[1] * angle.ndim)


def _log_wrapped_normal(angle: np.ndarray) -> np.ndarray:
    """Log of the prior of a joint, summed over whole turns, up to a constant."""
    images = _images(angle)
    return np.log(np.exp(-0.5 * (images / SD[1]) ** 2).sum(0))


def _turns(angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The angle plus whole turns, drawn from the prior of a joint."""
    images = _images(angle)
    share = np.cumsum(np.exp(-0.5 * (images / SD[1]) ** 2), 0)
    which = (rng.random(angle.shape) * share[-1] > share[:-1]).sum(0)
    return np.take_along_axis(images, which[None], 0)[0]
