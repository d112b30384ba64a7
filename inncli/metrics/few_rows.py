"""Draws judged on fewer rows than tests of ranks take: they can be found to be wrong by far, and no more."""

from __future__ import annotations

import numpy as np
from scipy import stats

from inncli.metrics.contradictions import FEW as FEW_NOT_FINITE
from inncli.metrics.contradictions import WIDE, carried_by_one, times
from inncli.metrics.diagnosis import ALPHA, POWER
from inncli.metrics.diagnosis_words import RULE, WORTH
from inncli.metrics.sbc import z_scores
from inncli.metrics.verdicts import FEWEST, Verdict, rows_needed
from inncli.numerics.statistics import mean_and_sd
from inncli.types import Float

FAR = 30.0  # sds of the draws: a true value so far off, at a typical row, is not theirs
FAR_WIDE = 10.0  # times as far as x: so wide where few values say how far x itself spreads
SHIFT_SE = 1.023  # sds over the root of the rows: standard error of the shift of a normal by its ranks
TESTS, TESTS_A_COLUMN = 3, 3  # of `diagnosis.check`


def calibrated_on_few(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    names: tuple[str, ...],
    xs: Float[np.ndarray, "n dim"],
    nonfinite: float = 0.0,
) -> Verdict:
    """No where the draws are wrong by far, else can't tell.

    Args:
        draws: at each y, finite, (n, S, Dx).
        truth: the true x of each, (n, Dx).
        names: of the unknowns.
        xs: values of x by which it is known how far x spreads, (m, Dx).
        nonfinite: share of the draws that were no numbers.
    """
    rows = len(truth)
    found = [f"{nonfinite:.1%} of its draws are no numbers"] if nonfinite > FEW_NOT_FINITE else []
    if rows:
        for test in (_too_wide, _far_off, _beyond):
            found += test(draws, truth, names, xs)[:1]
    if found:
        return Verdict(False, f"{'; '.join(found)}; on {rows} row{'' if rows == 1 else 's'}", RULE)
    level = ALPHA / (TESTS + TESTS_A_COLUMN * len(names))
    needed = (SHIFT_SE * (stats.norm.isf(level / 2) + POWER) / WORTH) ** 2
    return Verdict(None, f"{rows_needed(needed)}: {rows} held-out row{'' if rows == 1 else 's'} show no fault", RULE)


def _too_wide(draws: np.ndarray, truth: np.ndarray, names: tuple[str, ...], xs: np.ndarray) -> list[str]:
    found = []
    for k, name in enumerate(names):
        spread = float(mean_and_sd(xs[:, k])[1])
        if len(xs) < 3 or carried_by_one(xs[:, k]) or not spread > 0:
            continue
        ratio = float(np.sqrt((mean_and_sd(draws[:, :, k], 1)[1] ** 2).mean())) / spread
        if ratio > (WIDE if len(xs) >= FEWEST else FAR_WIDE):
            found.append((ratio, f"too wide: draws of {name} spread {times(ratio)} times as far as {name} itself"))
    return [text for _, text in sorted(found, reverse=True)]


def _far_off(draws: np.ndarray, truth: np.ndarray, names: tuple[str, ...], xs: np.ndarray) -> list[str]:
    z = np.abs(z_scores(draws, truth))
    typical = np.median(z, axis=0)
    order = [k for k in np.argsort(-typical) if typical[k] > FAR]
    return [f"biased: {names[k]} lies {times(typical[k])} sds of the draws off" for k in order]


def _beyond(draws: np.ndarray, truth: np.ndarray, names: tuple[str, ...], xs: np.ndarray) -> list[str]:
    """True values beyond all of their draws, which happens to 2 in S + 1 where draws are right."""
    rows, n = draws.shape[:2]
    outside = ((truth < draws.min(1)) | (truth > draws.max(1))).sum(0)
    p = stats.binom.sf(outside - 1, rows, 2 / (n + 1)) * len(names)
    k = int(np.argmin(p))
    return [f"{names[k]} lies beyond all draws at {outside[k]} of them"] if p[k] < ALPHA else []
