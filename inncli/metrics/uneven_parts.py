"""Parts of the space of x that draws miss, or where they lie and exact draws don't: a mode of small weight.

The accuracy of a classifier hardly sees them: a mode of weight .02 that gets .002 costs it .005. But it may know them
well. So the rows are counted where it is sure, out of fold, and in cells of the rows themselves, which no side chose:
either way counts of the two sides are those of a fair coin if both have one law.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from scipy import stats
from scipy.cluster.vq import kmeans2, vq

from inncli.metrics.verdicts import Part
from inncli.numerics.statistics import mean_and_sd
from inncli.types import Bool, Float, Real

SHARE = 0.01  # of one side's draws: smaller parts don't count
RATIO = 1 / 3  # what the other side has of that, or less
CHANCE = 1e-4  # of a fair coin, over all parts that are looked at
CELLS, ROWS, ROUNDS = 32, 4_000, 10  # of k-means
REACH = 10.0  # sds: farther rows count as there


def uneven_part(
    x: Real[np.ndarray, "n dim"],
    reference: Real[np.ndarray, "m dim"],
    log_odds: Float[np.ndarray, " rows"] | None = None,
    seed: int = 0,
) -> Part | None:
    """The part where the two sides differ most; None where none differs enough.

    Args:
        x: the model's draws, (n, Dx).
        reference: exact draws, (m, Dx).
        log_odds: that a row is the model's, of reference and x in this order, (m + n,), by a classifier which has not
            seen it; None looks at cells alone.
        seed: of the cells.
    """
    sides = np.repeat([False, True], [len(reference), len(x)])
    found = []
    for rows, parts in (*_sure(log_odds), *_cells(x, reference, seed)):
        of_model, of_exact = int((rows & sides).sum()), int((rows & ~sides).sum())
        share, other = of_exact / len(reference), of_model / len(x)
        low, high = sorted((share, other))
        p = stats.binomtest(of_model, of_model + of_exact, len(x) / len(sides)).pvalue if rows.any() else 1.0
        if high >= SHARE and low < RATIO * high and p < CHANCE / parts:
            found.append(Part(share, other))
    return max(found, key=lambda part: part.weight, default=None)


def _sure(log_odds: np.ndarray | None) -> Iterator[tuple[Bool[np.ndarray, " rows"], int]]:
    """Where the classifier gives the odds of `RATIO`, either way; with the number of such parts."""
    if log_odds is not None:
        yield log_odds < np.log(RATIO), 2
        yield log_odds > -np.log(RATIO), 2


def _cells(x: np.ndarray, reference: np.ndarray, seed: int) -> Iterator[tuple[Bool[np.ndarray, " rows"], int]]:
    """Cells of all rows by k-means, far rows drawn in."""
    middle, spread = mean_and_sd(reference)
    rows = np.clip((np.concatenate([reference, x]) - middle) / np.where(spread > 0, spread, 1.0), -REACH, REACH)
    rng = np.random.default_rng(seed)
    some = rows[rng.permutation(len(rows))[:ROWS]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cell is no fault
        centres = kmeans2(some, min(CELLS, len(some)), ROUNDS, minit="++", missing="warn", seed=rng)[0]
    cell = vq(rows, centres)[0]
    for k in range(len(centres)):
        yield cell == k, len(centres)
