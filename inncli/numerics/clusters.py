"""Which of many found points are one solution: isolated points, or pieces of a curve or a surface."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


def distinct(z: np.ndarray, link: float) -> np.ndarray:
    """Numbers the solutions that the points belong to, the one with most points first, as 0.

    Two points closer than `link` belong to one solution, and so do all that a chain of such links joins: the copies
    of one point, or all points of a closed curve. Points further apart than 1.5 link are joined only through others.
    (The first point in each cell of a grid of width link / (4 sqrt D) stands for the cell, so that ten thousand
    copies of one point don't make fifty million links.)

    Args:
        z: the points.
        link: a distance, in the units of z.

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
    number: np.ndarray = rank[piece]
    return number
