"""Draws of a smooth density of two unknowns, known up to a constant, however narrow it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.optimize import brentq
from scipy.special import softmax

from inncli.errors import ConvergenceError
from inncli.tasks.rejection import accepted

POINTS = 41  # a side of the grids that look for the mass
REACH = 7.0  # sds on either side of the mean that they cover
FEW = 20  # points that must share the weight before mean and covariance are believed
DEPTH = 20.0  # nats below the top at which the mass ends; further down a normal has 2e-9 of it
ROUNDS = 50  # each grid is about .44 times as wide as the last
STEPS = (0.23, 0.115, 0.06)  # sds between points of the last grid: the first that shows all detail
SLACK = 0.1  # nats by which a cell may rise above the highest of its corners


def plane_draws(
    log_p: Callable[[np.ndarray], np.ndarray], centre: np.ndarray, sd: np.ndarray, n: int, rng: np.random.Generator,
    y: np.ndarray,
) -> np.ndarray:
    r"""n draws of p(x), x in the plane.

    A grid is put where the mass is: on p(x)^T at first, with T below 1 so that more than a few points share the
    weight, and from its mean and covariance the next, narrower one, until T = 1. On the last grid log p is
    interpolated by a cubic spline, and its draws are exact, by rejection from a density that is flat on each cell.

    Exact up to the spline (about 1e-4 nats for a nearly normal density) and to mass more than 20 nats below the top.
    A second mode is found if it lies within about 16 sds of the first.

    Args:
        log_p: log density up to a constant, (m, 2) to (m,); finite.
        centre, sd: where to begin: p(x) has its mass within 7 of these sds, each (2,).
        y: the observation, for an error.

    Raises: ConvergenceError if the density has more detail than a grid can show.
    """
    mean, basis = np.asarray(centre, dtype=np.float64), np.diag(sd)
    seen = []
    side = np.linspace(-REACH, REACH, POINTS)
    for _ in range(ROUNDS):
        x = mean + _square(side, side) @ basis.T
        height = log_p(x)
        seen.append((x, height))
        power, mean, covariance = _narrower(x, height)
        # A point stands for its cell, so that points all in a line have a width.
        basis = np.linalg.cholesky(covariance + (side[1] - side[0]) ** 2 / 12 * basis @ basis.T)
        if power == 1:
            break
    else:
        raise ConvergenceError(f"the posterior given y = {np.asarray(y).tolist()} is too narrow a ridge for a grid")
    x, height = (np.concatenate(part) for part in zip(*seen))
    u = np.linalg.solve(basis, (x[height > height.max() - DEPTH] - mean).T).T  # in sds
    for step in STEPS:
        axes = [np.arange(low - 1, high + 1 + step, step) for low, high in zip(u.min(0), u.max(0))]
        height = log_p(mean + _square(*axes) @ basis.T).reshape(len(axes[0]), len(axes[1]))
        height = height - height.max()
        spline = RectBivariateSpline(*axes, height)
        top = np.max([height[1:, 1:], height[1:, :-1], height[:-1, 1:], height[:-1, :-1]], axis=0) + SLACK
        if _below(spline, axes, top):
            break
    else:
        raise ConvergenceError(f"the posterior given y = {np.asarray(y).tolist()} has more detail than a grid of "
                               f"{height.size:,} points")
    share = softmax(top.ravel())

    def propose(m: int) -> np.ndarray:
        i, j = np.divmod(rng.choice(top.size, m, p=share), top.shape[1])
        u = np.stack([axes[0][i], axes[1][j]]) + step * rng.random((2, m))
        return mean + u[:, np.log(rng.random(m)) < spline.ev(*u) - top[i, j]].T @ basis.T

    return accepted(propose, n, y)


def _narrower(x: np.ndarray, height: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """T, and the mean and the covariance of p(x)^T on a grid."""
    def spare(log_power: float) -> float:  # effective number of points, less the few that are asked for
        return 1 / np.square(softmax(np.exp(log_power) * height)).sum() - FEW

    power = 1.0 if spare(0.0) >= 0 else np.exp(brentq(spare, -100.0, 0.0))
    weight = softmax(power * height)
    mean = weight @ x
    return power, mean, (x - mean).T * weight @ (x - mean)


def _below(spline: RectBivariateSpline, axes: list[np.ndarray], top: np.ndarray) -> bool:
    """Whether no cell that has any mass rises above its top, by three points between its corners either way."""
    quarters = [np.add.outer(axis[:-1], (axis[1] - axis[0]) * np.array([0.25, 0.5, 0.75])).ravel() for axis in axes]
    inner = spline(*quarters).reshape(top.shape[0], 3, top.shape[1], 3).max((1, 3))
    return bool((inner <= top)[top > -DEPTH].all())


def _square(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(first, second, indexing="ij"), -1).reshape(-1, 2)
