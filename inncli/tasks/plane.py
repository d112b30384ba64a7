"""Draws of any smooth density of two unknowns, known up to a constant, however narrow it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.optimize import brentq
from scipy.special import softmax

from inncli.tasks.rejection import accepted

COARSE, FINE = 41, 61  # points a side of the grids
REACH = 7.0  # sds on either side of the mean; a normal has 3e-12 of its mass beyond
FEW = 20  # points that must share the weight before mean and covariance are believed
SLACK = 0.1  # nats by which the density may exceed, inside a cell of .23 sd, the largest of its corners


def plane_draws(
    log_p: Callable[[np.ndarray], np.ndarray], centre: np.ndarray, sd: np.ndarray, n: int, rng: np.random.Generator,
    y: np.ndarray,
) -> np.ndarray:
    r"""n draws of p(x), x in the plane.

    A grid of 7 sds either way is put where the mass is: on p(x)^T at first, with T below 1 so that more than a few points
    share the weight, and from its mean and covariance the next, narrower one, until T = 1. On the last grid log p is
    interpolated by a cubic spline, and its draws are exact, by rejection from a density that is flat on each cell.

    Exact up to the spline (about 1e-4 nats in the mean for a nearly normal density), and to mass more than 7 sds from the
    mean; a second mode further away is not found.

    Args:
        log_p: log density up to a constant, (m, 2) to (m,); finite.
        centre, sd: where to begin: p(x) has its mass within 7 of these sds, each (2,).
        y: the observation, for an error.
    """
    mean, basis, power = np.asarray(centre, dtype=np.float64), np.diag(sd), 0.0
    while power < 1:
        power, mean, basis = _narrower(log_p, mean, basis)
    axis = np.linspace(-REACH, REACH, FINE)
    height = log_p(mean + _square(axis) @ basis.T).reshape(FINE, FINE)
    height = height - height.max()
    spline = RectBivariateSpline(axis, axis, height)
    top = np.maximum(np.maximum(height[1:, 1:], height[1:, :-1]), np.maximum(height[:-1, 1:], height[:-1, :-1])) + SLACK
    share = softmax(top.ravel())

    def propose(m: int) -> np.ndarray:
        i, j = np.divmod(rng.choice(top.size, m, p=share), FINE - 1)
        u = axis[0] + (axis[1] - axis[0]) * (np.stack([i, j]) + rng.random((2, m)))
        keep = np.log(rng.random(m)) < spline.ev(*u) - top[i, j]
        return mean + u[:, keep].T @ basis.T

    return accepted(propose, n, y)


def _narrower(log_p: Callable, mean: np.ndarray, basis: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """T, and the mean and the Cholesky factor of the covariance of p(x)^T on a grid."""
    x = mean + _square(np.linspace(-REACH, REACH, COARSE)) @ basis.T
    height = log_p(x)
    height = height - height.max()

    def spare(power: float) -> float:  # effective number of points, less the few that are asked for
        return 1 / np.square(softmax(power * height)).sum() - FEW

    power = 1.0 if spare(1.0) >= 0 else brentq(spare, 0.0, 1.0, rtol=1e-6)
    weight = softmax(power * height)
    mean = weight @ x
    return power, mean, np.linalg.cholesky((x - mean).T * weight @ (x - mean))


def _square(axis: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
