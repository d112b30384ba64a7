r"""Is a model better than one that ignores y? By the difference of their scores, row by row.

Both are judged on the same held-out rows, so what makes a row easy or hard falls out of the difference, and its error
is that of a mean over independent rows.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from inncli.metrics.verdicts import FEWEST, Verdict, rows_needed
from inncli.types import Float

SIGMAS = 2.0  # standard errors that a difference lies from 0
CHUNK = 10**7  # numbers in memory at once


def energy_scores(
    draws: Float[np.ndarray, "sets draws dim"], truth: Float[np.ndarray, "rows dim"], among: bool = False
) -> Float[np.ndarray, " rows"]:
    r"""The energy score of each row, small where the draws are right; unbiased for any number of draws.

    .. math:: \frac1S \sum_s |x_s - x^*| - \frac{1}{2 S (S - 1)} \sum_{s \ne t} |x_s - x_t|

    Its expectation is least for the law of x* alone (strictly proper), and it takes nothing but draws. `among` says
    that each x* is itself one of the draws, and is not held against itself.

    Shape: draws (n, S, D) or, the same at each row, (1, S, D); truth (n, D).
    Reference: Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and estimation, section 4.2.
    """
    n, dim = draws.shape[1:]
    within = np.empty(len(draws))
    step = max(CHUNK // (n * n * dim), 1)
    for start in range(0, len(draws), step):
        part = draws[start : start + step]
        distance = np.linalg.norm(part[:, :, None] - part[:, None], axis=-1)
        within[start : start + step] = distance.sum((1, 2)) / (n * (n - 1))
    to_truth = np.concatenate(
        [
            np.linalg.norm((draws if len(draws) == 1 else draws[i : i + 100]) - truth[i : i + 100, None], axis=-1).mean(
                1
            )
            for i in range(0, len(truth), 100)
        ]
    )
    return to_truth * (n / (n - 1) if among else 1.0) - within / 2


def beats_marginal(
    differences: Float[np.ndarray, " rows"], against: str, unit: str = "nats", same_answer: bool = False
) -> Verdict:
    """Better than ignoring y: on held-out rows, by more than the error of the paired difference.

    Args:
        differences: by how much the model is better at each row, (rows,).
        against: what ignores y, in words.
        unit: of the differences.
        same_answer: whether the model's answer is the same at every y.
    """
    n = len(differences)
    sigmas = float(stats.t.isf(stats.norm.sf(SIGMAS), n - 1)) if n > 1 else math.inf
    rule = (
        f"yes or no beyond {SIGMAS:g} standard errors of the paired difference; no if the answer is the same at every y"
    )
    if same_answer:
        return Verdict(False, "it gives the same answer at every y", rule)
    mean = float(np.mean(differences)) if n else 0.0
    if n < 2:
        return Verdict(None, f"{rows_needed(FEWEST)}: there {'is 1 row' if n else 'are none'} to compare on", rule)
    error = float(np.std(differences, ddof=1) / math.sqrt(n))
    text = f"{'better' if mean > 0 else 'worse'} by {abs(mean):.3g} +- {error:.2g} {unit} a row than {against}"
    if abs(mean) > sigmas * error:
        return Verdict(mean > 0, text, rule)
    needed = n * (SIGMAS * error / abs(mean)) ** 2 if mean else math.inf
    return Verdict(None, f"{rows_needed(max(needed, n + 1))}: {text}, on {n:,} rows", rule)
