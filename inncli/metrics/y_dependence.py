r"""Do draws follow y? By a forward model that is learned from the held-out pairs themselves.

A model that answers every y with the prior passes ranks and coverage of each unknown. What it can't pass is a test
quantity that depends on y. Here: how far the y that x should have is from the y that was seen,

.. math:: f(x, y) = |y - h(x)|^2

where h is a regression of y on x, in sds of y. It needs no simulator, and h need not be good: f ranks the true x
evenly among the draws of a right posterior whatever h is, as long as h does not know the row that is judged. Rows are
judged in blocks, by an h of the blocks before, so that the ranks are exactly uniform and independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge

from inncli.metrics.sbc import ranks
from inncli.numerics.statistics import mean_and_sd
from inncli.types import Float, Real

BLOCKS = 5  # of rows; h only learns from the first
DRAWS = 50  # of each row that are judged
TREES, LEAF = 50, 3  # of the forest: trees, and the fewest rows in a leaf


@dataclass(frozen=True)
class YDependence:
    """How draws follow y.

    Attributes:
        u: rank of f(x*, y) among the draws' f, (rows judged,).
        share: how far h of the draws goes along with y, as a share of how far h of the true x does: 1 right, 0 not at
            all; NaN where h learned nothing.
        share_se: its standard error.
        r2: share of the variance of y that h finds in the true x: what the test could see.
    """

    u: np.ndarray
    share: float
    share_se: float
    r2: float


def y_dependence(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    y: Real[np.ndarray, "rows dim_y"],
    rng: np.random.Generator,
) -> YDependence:
    r"""Ranks f(x*, y) among f(draws, y), and how the mean of h over the draws goes along with y.

    .. math:: \mathrm{share} = \frac{\mathrm{cov}(y, h(x_s))}{\mathrm{cov}(y, h(x^*))}

    h is a linear regression with a forest of randomised trees on what it leaves.

    Shape: draws (n, S, Dx), truth (n, Dx), y (n, Dy), labels as one-hot columns.
    """
    middle, spread = mean_and_sd(y)
    if not spread.any():  # a constant y: nothing to follow
        return YDependence(rng.random(len(y)), float("nan"), float("nan"), 0.0)
    y = (y - middle)[:, spread > 0] / spread[spread > 0]
    draws = draws[:, :DRAWS]
    order = rng.permutation(len(y))
    blocks = np.array_split(order, BLOCKS)
    u, along_draws, along_truth, left = [], [], [], []
    for k in range(1, BLOCKS):
        h = _regression(truth[np.concatenate(blocks[:k])], y[np.concatenate(blocks[:k])], seed=k)
        rows = blocks[k]
        of_draws = h(draws[rows].reshape(-1, draws.shape[2])).reshape(len(rows), -1, y.shape[1])
        of_truth = h(truth[rows])
        error = ((of_truth - y[rows]) ** 2).sum(1)
        u.append(ranks(((of_draws - y[rows, None]) ** 2).sum(2), error, rng))
        left.append(error)
        along_draws.append((y[rows] * of_draws.mean(1)).sum(1))
        along_truth.append((y[rows] * of_truth).sum(1))
    a, b = np.concatenate(along_draws), np.concatenate(along_truth)
    share = a.mean() / b.mean()
    share_se = (a - share * b).std(ddof=1) / np.sqrt(len(a)) / abs(b.mean())
    r2 = 1 - np.concatenate(left).mean() / y.shape[1]
    return YDependence(np.concatenate(u), float(share), float(share_se), float(r2))


def _regression(
    x: Float[np.ndarray, "m dim"], y: Float[np.ndarray, "m dim_y"], seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function (m, Dx) -> (m, Dy) that was fitted to these pairs."""
    mean, sd = mean_and_sd(x)
    sd = np.where(sd > 0, sd, 1.0)
    x = (x - mean) / sd  # for the trees too, which see 32-bit floats
    line = Ridge(alpha=1.0).fit(x, y)
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=seed)
    left = y - line.predict(x).reshape(y.shape)
    trees.fit(x, left if y.shape[1] > 1 else left[:, 0])

    def predict(points: np.ndarray) -> np.ndarray:
        z = (points - mean) / sd
        return line.predict(z).reshape(len(z), -1) + trees.predict(z).reshape(len(z), -1)

    return predict
