"""Regular grids that hold nearly all of a density's mass."""

from __future__ import annotations

import numpy as np

from inncli.errors import RequestError
from inncli.numerics import circle
from inncli.variables import Bound, Circle

MAX_POINTS = 4_000_000
MARGIN = 0.25  # of the draws' range, added at either end: the part of a normal tail that 10,000 draws miss lies within


def axes_around(
    draws: np.ndarray,
    grid: int,
    bounds: tuple[Bound, ...],
    circles: tuple[Circle | None, ...] = (),
    steps: tuple[float, ...] = (),
) -> list[np.ndarray]:
    """Divides the range of the draws and a margin, inside the bounds, into `grid` even cells along each unknown.

    A recorded value stands for half a step to either side, which the margin holds.

    Points are the midpoints of the cells, so that the sum times the cell's volume is the integral. On a circle they
    surround the mean direction, at most once round, and may lie outside [low, high).

    Shape: draws (S, Dx); returns Dx arrays (grid,).
    Raises: RequestError where the grid would have more than four million points.
    """
    dim = draws.shape[1]
    if grid**dim > MAX_POINTS:
        raise RequestError(
            f"`grid={grid}` has {grid}^{dim} points for {dim} unknowns, at most {MAX_POINTS:,} are computed; "
            "pass fewer, or a table with `points`",
            "grid",
            "points",
        )
    axes = []
    known = circles or (None,) * dim
    for step, (column, (lowest, highest)) in zip(
        steps or (0.0,) * dim,
        (
            (column, bound) if on is None else circle.cut(column, on)
            for column, bound, on in zip(draws.T, bounds, known, strict=True)
        ),
        strict=True,
    ):
        margin = MARGIN * max(float(np.ptp(column)), 1e-6 * max(1.0, float(np.abs(column).max())))
        margin = max(margin, step / 2)
        low, high = float(column.min()) - margin, float(column.max()) + margin
        low = low if lowest is None else max(low, lowest)
        high = high if highest is None else min(high, highest)
        width = (high - low) / grid
        axes.append(low + width * (np.arange(grid) + 0.5))
    return axes


def points(axes: list[np.ndarray]) -> np.ndarray:
    """All points of the grid, the first unknown slowest. Shape: Dx axes (n,), out (n^Dx, Dx)."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def integral(axes: list[np.ndarray], log_prob: np.ndarray) -> float:
    """The integral of a density by the midpoint rule: near 1 where the grid holds the mass and resolves it.

    Shape: Dx axes (n,); log_prob (n^Dx,), in nats, at the `points` of the axes.
    """
    volume = float(np.prod([axis[1] - axis[0] for axis in axes]))
    return float(np.exp(log_prob).sum() * volume)
