"""Exact draws of a density in two coordinates, by rejection from a table of cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MARGIN = 0.1  # log p may exceed that at the corners of its cell by so much, and is still drawn exactly


def sample_cells(
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray],
    edges: tuple[np.ndarray, np.ndarray],
    n: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    r"""N draws of p(s, t) on the box of `edges`, known up to a constant.

    A cell is drawn with a probability proportional to its area times the largest p of its four corners, and a point in
    it uniformly. The point is kept with the probability p / (1.1 times that largest p). The draws are exact where p
    exceeds that largest p by a tenth at most; where p exceeds it by more, the surplus is missing from the draws.

    Args:
        log_density: log p of coordinates (m,) or of a grid, elementwise.
        edges: the ends of the cells along s, (cells + 1,), and along t.
        n: number of draws.
        rng: draws them.

    Shape: out two arrays (n,), s and t.
    """
    p = log_density(*np.meshgrid(*edges, indexing="ij"))
    envelope = np.maximum(np.maximum(p[:-1, :-1], p[1:, :-1]), np.maximum(p[:-1, 1:], p[1:, 1:])) + MARGIN
    area = np.log(np.diff(edges[0]))[:, None] + np.log(np.diff(edges[1]))
    mass = np.cumsum(np.exp((envelope + area - (envelope + area).max()).ravel()))
    kept, found = [], 0
    while found < n:
        cell = np.searchsorted(mass, rng.random(2 * n) * mass[-1], side="right")
        index = np.unravel_index(np.minimum(cell, len(mass) - 1), envelope.shape)
        s, t = (edge[i] + rng.random(2 * n) * (edge[i + 1] - edge[i]) for edge, i in zip(edges, index, strict=True))
        accepted = np.log(rng.random(2 * n)) < log_density(s, t) - envelope[index]
        kept.append(np.stack([s, t])[:, accepted])
        found += int(accepted.sum())
    s, t = np.concatenate(kept, 1)[:, :n]
    return s, t
