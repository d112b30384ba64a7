"""Draws of a smooth density of two unknowns, known up to a constant, which may be narrow or in several pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import softmax

from inncli.errors import ConvergenceError
from inncli.tasks.sampling.rejection import accepted

SIDE = 32  # cells along each unknown to begin with
DEPTH = 16.0  # nats below the top at which the mass counts as ended; a normal has 1e-7 of its mass further down
FLAT = 1.0  # nats by which neighbours at the top of the density may differ; further down more
SLACK = 0.1  # nats for the part of log p that a plane through neighbours misses
LEVELS, CELLS = 40, 1_000_000  # halvings, and cells at once, before the search is given up
QUARTERS = np.array([[-0.25, -0.25], [-0.25, 0.25], [0.25, -0.25], [0.25, 0.25]])


def plane_draws(
    log_p: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    n: int,
    rng: np.random.Generator,
    y: np.ndarray,
) -> np.ndarray:
    """N draws of p(x), x in a rectangle.

    The rectangle is cut into cells. A cell is cut into four as long as log p varies in it and it may hold mass, which
    its value in the middle and in the middles of the four tells. Draws come by rejection from a density that is flat
    on each cell and a little above p.

    They are exact, but for mass more than 16 nats below the top, and where p rises above its cell's bound. A piece is
    found if it causes a slope in the first 32 x 32 cells.

    Args:
        log_p: log density up to a constant, (m, 2) to (m,); finite.
        low: the lower corner, (2,).
        high: the upper corner, (2,).
        n: number of draws.
        rng: draws them.
        y: the observation, for an error.

    Shape: out (n, 2).
    Raises: ConvergenceError if the density has more detail than can be found so.
    """
    middles, size, bounds = _cells(log_p, np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64), y)
    share = softmax(bounds + np.log(size).sum(1))

    def propose(m: int) -> np.ndarray:
        cell = rng.choice(len(share), m, p=share)
        x = middles[cell] + size[cell] * (rng.random((m, 2)) - 0.5)
        return x[np.log(rng.random(m)) < log_p(x) - bounds[cell]]

    return accepted(propose, n, y)


def _cells(
    log_p: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells that hold the mass: middles (c, 2), sizes (c, 2), and an upper bound of log p (c,)."""
    size = (high - low) / SIDE
    steps = np.arange(SIDE) + 0.5
    x = low + size * np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    height, top = log_p(x), -np.inf
    done: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for _ in range(LEVELS):
        quarters = (x[:, None] + size * QUARTERS).reshape(-1, 2)
        heights = log_p(quarters).reshape(-1, 4)
        top = max(top, heights.max())
        slope = np.ptp(heights, axis=1)
        bend = np.abs(height - heights.mean(1))
        highest = heights.max(1)
        # A quarter's corner is half a neighbour's distance away; a summit in the cell, by a parabola, 4 bends above.
        keep = highest + 2 * slope + 8 * bend > top - DEPTH
        flat = slope + 4 * bend < FLAT + 0.8 * np.maximum(top - highest, 0)
        ready = keep & flat
        bounds = heights[ready] + (slope[ready] / 2 + bend[ready] + SLACK)[:, None]
        done.append((quarters.reshape(-1, 4, 2)[ready].reshape(-1, 2), bounds.ravel(), size / 2))
        again = np.repeat(keep & ~flat, 4)
        x, height, size = quarters[again], heights.ravel()[again], size / 2
        if not len(x):
            break
        if 4 * len(x) > CELLS:
            raise ConvergenceError(f"the posterior given y = {np.asarray(y).tolist()} needs more than {CELLS:,} cells")
    else:
        raise ConvergenceError(
            f"the posterior given y = {np.asarray(y).tolist()} is not smooth: after {LEVELS} halvings "
            "there is more to see"
        )
    middles = np.concatenate([middle for middle, _, _ in done])
    bounds = np.concatenate([bound for _, bound, _ in done])
    sizes = np.concatenate([np.broadcast_to(half, (len(bound), 2)) for _, bound, half in done])
    held = bounds > top - DEPTH
    return middles[held], sizes[held], bounds[held]
