"""TARP: coverage of balls around reference points, a test of the whole joint posterior."""

from __future__ import annotations

import numpy as np

from inncli.metrics.sbc import ranks
from inncli.numerics.statistics import sd
from inncli.types import Float, Int, Real


def tarp_ranks(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    y: Real[np.ndarray, "rows dim_y"],
    rng: np.random.Generator,
) -> Float[np.ndarray, " rows"]:
    r"""The share of draws nearer to a reference point than the true x is, uniform where the posterior is right.

    .. math:: u_i = \mathrm{rank\ of\ } |x_i^* - r_i| \mathrm{\ among\ } |x_{is} - r_i|, \quad s = 1 \dots S

    The reference r_i is the true x of another row, the one whose y is nearest among the rows that come before in a
    random order. It depends on y, as it must: points from the prior can't see a model that answers with the prior.
    And since it comes from rows before, the u_i are exactly uniform and independent where the posterior is right;
    two rows that took each other for reference would count twice.

    x is measured in sds of the true values, y in sds of its own, so that units don't matter.

    Shape: draws (n, S, Dx), truth (n, Dx), y (n, Dy); out (n,), the first row's by a random reference.
    Reference: Lemos et al. 2023, Sampling-based accuracy testing of posterior estimators for general inference,
        arXiv:2302.03026.
    """
    spread = sd(truth)
    scale = np.where(spread > 0, spread, 1.0)
    reference = truth[nearest_before(y, rng)]
    distance = np.linalg.norm((truth - reference) / scale, axis=-1)
    return ranks(np.linalg.norm((draws - reference[:, None]) / scale, axis=-1), distance, rng)


def nearest_before(y: Real[np.ndarray, "rows dim_y"], rng: np.random.Generator) -> Int[np.ndarray, " rows"]:
    """For each row another one: that of the nearest y among the rows that precede it in a random order.

    Exact ties go to a random one, so that labels don't all point at one row. The first has none before it and takes
    the second: one row of n, whose u is uniform all the same. Shape: y (n, Dy), out (n,) of int.
    """
    n = len(y)
    order = rng.permutation(n)
    spread = sd(y)
    rows = (y / np.where(spread > 0, spread, 1.0))[order]
    rows = rows + 1e-9 * rng.standard_normal(rows.shape)
    found = np.empty(n, dtype=int)
    found[order[0]] = order[min(1, n - 1)]
    for i in range(1, n):
        found[order[i]] = order[np.argmin(((rows[:i] - rows[i]) ** 2).sum(1))]
    return found
