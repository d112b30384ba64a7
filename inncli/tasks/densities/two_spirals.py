"""Two spirals wound into each other: a density without an observation."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from inncli.tasks.base import Task
from inncli.tasks.densities.curves import log_integral, nodes
from inncli.variables import Variables

TURN = 3 * np.pi  # the largest angle
SIDE, SD = 1 / 6, 0.1


class TwoSpirals(Task):
    r"""A spiral and its mirror image through the origin, smeared by a small square and by a normal.

    .. math:: x = \pm \left( \tfrac{t}{3} (-\cos t, \sin t) + u \right) + \sigma \epsilon, \quad
        u \sim U[0, 1/6]^2, \quad p(t) = \frac{2 t}{(3 \pi)^2} \text{ on } [0, 3 \pi]

    The square is the published code's: its uniform noise is not centred on the curve. Smeared by square and normal
    a coordinate has the density (Phi(d / sigma) - Phi((d - 1/6) / sigma)) / (1/6), d its distance from the curve; what
    is left is a smooth integral over t, by 600 Gauss-Legendre nodes: right to a relative 1e-10.

    Args:
        n_train, fresh: see `Task`.

    Reference: Grathwohl et al. 2019, FFJORD, arXiv:1810.01367 (its toy data).
    """

    x = Variables.numbered("x", 2)

    def prior(self, n: int, rng: np.random.Generator) -> np.ndarray:
        t = TURN * np.sqrt(rng.random(n))
        arm = rng.choice([-1.0, 1.0], (n, 1))
        return arm * (_curve(t) + SIDE * rng.random((n, 2))) + SD * rng.standard_normal((n, 2))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        t, weight = nodes(0, TURN, 600)
        curve, weight = _curve(t), weight * 2 * t / TURN**2
        arms = [log_integral(arm * np.asarray(x), lambda part: _log_smear(part - curve), weight / 2) for arm in (1, -1)]
        return np.logaddexp(*arms)


def _curve(t: np.ndarray) -> np.ndarray:
    return t[:, None] / 3 * np.column_stack([-np.cos(t), np.sin(t)])


def _log_smear(d: np.ndarray) -> np.ndarray:
    """Log density of square plus normal at distance d, summed over the last axis."""
    # The same from either end of the square: counted from the left one both Phis are small where d is.
    left = np.minimum(d, SIDE - d)
    log_high, log_low = log_ndtr(left / SD), log_ndtr((left - SIDE) / SD)
    return (log_high + np.log1p(-np.exp(log_low - log_high)) - np.log(SIDE)).sum(-1)
