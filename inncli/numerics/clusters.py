"""Which of many found points are one solution: isolated points, or pieces of a curve or a surface."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def distinct(z: np.ndarray, link: float) -> np.ndarray:
    """The number of the solution that each point belongs to, the largest being 0.

    Points closer than `link` are one solution, and so is whatever hangs together by such links: the copies of
    one point, or all of a closed curve. Points further apart than 1.5 link are joined only through others.
    (Each cell of a grid of width link / (4 sqrt D) is represented by its first point, so that ten thousand
    copies of one point don't make fifty million links.)

    Shape: z (n, D), out (n,) int.
    """
    if not len(z):
        return np.zeros(0, dtype=int)
    width = link / (4 * np.sqrt(z.shape[1]))
    _, first, cell = np.unique(np.floor(z / width), axis=0, return_index=True, return_inverse=True)
    cell = cell.reshape(-1)
    pairs = cKDTree(z[first]).query_pairs(1.5 * link, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(first), len(first)))
    piece = connected_components(graph, directed=False)[1][cell]
    # By size, then by whichever has the earlier row.
    names, where, sizes = np.unique(piece, return_index=True, return_counts=True)
    rank = np.empty(len(names), dtype=int)
    rank[np.lexsort((where, -sizes))] = np.arange(len(names))
    return rank[piece]
