"""The pinwheel: five bent wings, a density without an observation."""

from __future__ import annotations

import numpy as np

from inncli.tasks.base import Task
from inncli.tasks.densities.curves import log_normal
from inncli.variables import Variables

WINGS, TURN = 5, 2 * np.pi / 5
MEAN, SD = np.array([1.0, 0.0]), np.array([0.3, 0.1])
RATE = 0.25
SCALE = 2.0
_CELLS = 1_000  # of the circle, in each of which at most one solution lies
_ROWS = 2_000  # at a time


class Pinwheel(Task):
    r"""A normal, turned by an angle that depends on its own first coordinate, in five copies around the origin.

    .. math:: f \sim N((1, 0), diag(.3, .1)^2), \quad x = 2 R(-\theta) f, \quad
        \theta = 2 \pi k / 5 + e^{f_1} / 4, \quad k \sim U\{0, ..., 4\}

    A turn keeps the length r = |x| / 2 = |f|, so f is known up to its angle a, which solves

    .. math:: h(a) = a - \tfrac14 e^{r \cos a} \equiv \arg x \pmod{2 \pi / 5}

    The determinant of f to x is 4 h'(a) = 4 (1 + f_2 e^{f_1} / 4): not 1, since the angle does not depend on r alone.
    Far out h is no longer monotone and x has more than five solutions (a mass of 2e-9 lies where h' < 0); all are
    counted,

    .. math:: p(x) = \frac15 \sum_a \frac{N(f(a))}{4 |h'(a)|}

    They are bracketed on a grid of 1,000 angles and bisected to working precision: exact, except within 1e-5 or so
    of a fold, where two solutions in one cell go unseen.

    Args:
        n_train, fresh: see `Task`.

    Reference: Johnson et al. 2016, Composing graphical models with neural networks, arXiv:1603.06277; here with
        the numbers of Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        f = MEAN + SD * rng.standard_normal((n, 2))
        theta = TURN * rng.integers(WINGS, size=n) + RATE * np.exp(f[:, 0])
        angle = np.arctan2(f[:, 1], f[:, 0]) - theta
        return SCALE * np.linalg.norm(f, axis=1)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])

    def log_density(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        return np.concatenate([_log_density(part) for part in np.split(x, range(_ROWS, len(x), _ROWS))])


def _log_density(x: np.ndarray) -> np.ndarray:
    r, target = np.linalg.norm(x, axis=1) / SCALE, np.arctan2(x[:, 1], x[:, 0])
    grid = np.linspace(-np.pi, np.pi, _CELLS + 1)
    # The fifth of a turn in which h(a) - arg x lies. Where it changes between two angles, a solution lies between them.
    fifth = np.floor((_h(grid, r[:, None]) - target[:, None]) / TURN)
    row, cell = np.nonzero(np.diff(fifth, axis=1))
    level = target[row] + TURN * np.maximum(fifth[row, cell], fifth[row, cell + 1])
    low, high, r = grid[cell], grid[cell + 1], r[row]
    rising = fifth[row, cell + 1] > fifth[row, cell]
    for _ in range(50):
        middle = (low + high) / 2
        beyond = (_h(middle, r) >= level) == rising
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    f = r[:, None] * np.column_stack([np.cos(low), np.sin(low)])
    slope = 1 + RATE * f[:, 1] * np.exp(_bounded(f[:, 0]))
    log_p = log_normal((f - MEAN) / SD, 0.0, 1.0) - np.log(SD.prod() * WINGS * SCALE**2 * np.abs(slope))
    total = np.full(len(x), -np.inf)
    np.logaddexp.at(total, row, log_p)
    return total


def _h(angle: np.ndarray, r: np.ndarray) -> np.ndarray:
    return angle - RATE * np.exp(_bounded(r * np.cos(angle)))


def _bounded(f: np.ndarray) -> np.ndarray:
    # No draw is that far out, and the exponential must not overflow for any x that a user asks about.
    return np.minimum(f, 20.0)
