"""Exact draws of a density in two coordinates, by rejection from a table of cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MARGIN = 0.1  # by how much log p may exceed the largest of a cell's corners, and still be drawn exactly


def sample_cells(
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray],
    edges: tuple[np.ndarray, np.ndarray],
    n: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    r"""N draws of p(s, t) on the box of `edges`, known up to a constant.

    A cell is drawn by the largest p of its four corners times its area, a point of it uniformly, and the point is
    kept with the probability p / (1.1 times that largest p). Exact where p exceeds the corners by no more than a
    tenth anywhere in a cell; where it does, draws are short by what it exceeds them.

    Args:
        log_density: log p of coordinates (m,) or of a grid, elementwise.

    Shape: out two arrays (n,).
    """
    p = log_density(*np.meshgrid(*edges, indexing="ij"))
    envelope = np.maximum(np.maximum(p[:-1, :-1], p[1:, :-1]), np.maximum(p[:-1, 1:], p[1:, 1:])) + MARGIN
    area = np.log(np.diff(edges[0]))[:, None] + np.log(np.diff(edges[1]))
    mass = np.cumsum(np.exp((envelope + area - (envelope + area).max()).ravel()))
    kept, found = [], 0
    while found < n:
        cell = np.searchsorted(mass, rng.random(2 * n) * mass[-1], side="right")
        index = np.unravel_index(np.minimum(cell, len(mass) - 1), envelope.shape)
        s, t = (edge[i] + rng.random(2 * n) * (edge[i + 1] - edge[i]) for edge, i in zip(edges, index))
        accepted = np.log(rng.random(2 * n)) < log_density(s, t) - envelope[index]
        kept.append(np.stack([s, t])[:, accepted])
        found += int(accepted.sum())
    return tuple(np.concatenate(kept, 1)[:, :n])
