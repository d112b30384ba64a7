"""Is a posterior calibrated, and if not, what is wrong with it? One answer with one rate of false alarms.

    ranks --tests--> alarm? --> the shift and width that would mend it --tests again--> its name

A fault is named by its remedy. Draws that are right once they are moved were biased; once they are scaled, too wide
or too narrow; if then they still don't go along with y, they ignore it. So every test may see every fault, as they
do, and the name stays clear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from inncli.metrics.recalibration import Recalibration, recalibrated, recalibration
from inncli.metrics.sbc import centre_p, chi_square, kolmogorov_smirnov_p, ranks, spread_p
from inncli.metrics.tarp import tarp_ranks
from inncli.metrics.y_dependence import YDependence, y_dependence

# Chance that a right posterior raises any alarm, over all of its tests together (Bonferroni). An alarm is to be
# believed, also by who evaluates a hundred runs. It costs little: on 1,000 rows a width off by half has p < 1e-40, and
# on the 103 rows of concrete 1 % would show a width off by 1.36 where this shows 1.41.
ALPHA = 0.001
FOLLOWS = 0.25  # a model whose draws go along with y by less than this share of what is right ignores it
PARTLY = 0.75  # by less than this it follows y too little; a remedy that is not quite right leaves more
LEFT = 0.25  # of the chi-square of ranks: a shift and a width that leave more do not mend them
POWER = 0.84  # sds: what is called visible is seen 4 times out of 5


@dataclass(frozen=True)
class Checks:
    """What the tests work on and what they say, in one piece for draws as they are or as corrected.

    Attributes:
        u: ranks by test quantity: the unknowns, `tarp`, `log_prob`.
        y_dependence: how the draws go along with y.
        p: p-value by test.
    """

    u: dict[str, np.ndarray]
    y_dependence: YDependence
    p: dict[str, float]

    @property
    def level(self) -> float:
        """Below which p a single test raises an alarm."""
        return ALPHA / len(self.p)

    @property
    def alarms(self) -> list[str]:
        """The tests that raise one."""
        return [name for name, p in self.p.items() if p < self.level]


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a posterior.

    Attributes:
        faults: `ignores y`, `too wide`, `too narrow`, `biased`, `follows y too little`, `wrong in shape`; none where
            calibrated.
        checks: of the draws as they are.
        recalibrations: shift and width by unknown.
        wrong: the unknowns of which width or shift are wrong, by fault.
    """

    faults: list[str]
    checks: Checks
    recalibrations: dict[str, Recalibration]
    wrong: dict[str, list[str]]


def check(
    draws: np.ndarray,
    truth: np.ndarray,
    y: np.ndarray,
    names: tuple[str, ...],
    seed: int,
    log_prob: np.ndarray | None = None,
) -> Checks:
    """All tests of one set of draws.

    Args:
        log_prob: the ranks of log q(x*|y) among those of draws, (n,), where there is a density.

    Shape: draws (n, S, Dx), truth (n, Dx), y (n, Dy) with labels as one-hot columns.
    """
    rng = np.random.default_rng([seed, 0])
    u = dict(zip(names, ranks(draws, truth, rng).T))
    p = {
        f"{test} of {name}": function(u[name])
        for name in names
        for test, function in (("centre", centre_p), ("spread", spread_p), ("ranks", lambda u: chi_square(u)[1]))
    }
    u["tarp"] = tarp_ranks(draws, truth, y, np.random.default_rng([seed, 1]))
    p["tarp"] = kolmogorov_smirnov_p(u["tarp"])
    if log_prob is not None:
        u["log_prob"] = log_prob
        p["log_prob"] = kolmogorov_smirnov_p(log_prob)
    follows = y_dependence(draws, truth, y, np.random.default_rng([seed, 2]))
    p["follows_y"] = centre_p(follows.u)
    return Checks(u, follows, p)


def diagnose(
    draws: np.ndarray,
    truth: np.ndarray,
    y: np.ndarray,
    names: tuple[str, ...],
    seed: int,
    log_prob: np.ndarray | None = None,
) -> Diagnosis:
    """Tests the draws and names what is wrong with them; see the module, and `check` for the arguments."""
    checks = check(draws, truth, y, names, seed, log_prob)
    fixes = {name: recalibration(draws[:, :, k], truth[:, k]) for k, name in enumerate(names)}
    if not checks.alarms:
        return Diagnosis([], checks, fixes, {})
    after = check(recalibrated(draws, list(fixes.values())), truth, y, names, seed)
    wrong = {fault: found for fault, found in _by_remedy(fixes).items() if found}
    if "follows_y" in after.alarms and after.y_dependence.share < PARTLY:
        first = ["ignores y" if after.y_dependence.share < FOLLOWS else "follows y too little"]
    else:
        first = [] if wrong else [_by_test(checks, fixes)]
    if any(_uneven(name, checks, after) for named in wrong.values() for name in named):
        wrong["wrong in shape"] = []
    return Diagnosis([*first, *wrong], checks, fixes, wrong)


def _uneven(name: str, before: Checks, after: Checks) -> bool:
    """Whether the ranks of an unknown stay uneven once its draws are moved and scaled: its shape is wrong too.

    By their chi-squares and not by the alarm alone: the remedy is a little off, which many rows would show.
    """
    left, was = (chi_square(checks.u[name])[0] for checks in (after, before))
    return f"ranks of {name}" in after.alarms and left > LEFT * was


def _by_remedy(fixes: dict[str, Recalibration]) -> dict[str, list[str]]:
    """The unknowns whose width or shift differs from 1 and 0 beyond chance, by the fault's name."""
    limit = significant(len(fixes))
    return {
        "too wide": [name for name, fix in fixes.items() if np.log(fix.width) > limit * fix.log_width_se],
        "too narrow": [
            name for name, fix in fixes.items() if np.log(fix.width) + fix.log_width_slack < -limit * fix.log_width_se
        ],
        "biased": [name for name, fix in fixes.items() if abs(fix.shift) > limit * fix.shift_se],
    }


def _by_test(checks: Checks, fixes: dict[str, Recalibration]) -> str:
    """The fault of the test that is surest, where no remedy stands out: just beyond chance, or of another kind."""
    test, _, name = min(checks.p, key=checks.p.get).partition(" of ")
    if test == "spread":
        return "too wide" if fixes[name].width > 1 else "too narrow"
    return "biased" if test == "centre" else "wrong in shape"


def significant(unknowns: int) -> float:
    """How many standard errors a shift or a width must be off, over all unknowns."""
    return float(stats.norm.isf(ALPHA / (4 * unknowns)))


def visible(diagnosis: Diagnosis) -> tuple[float, float]:
    """The factor of width and the shift in sds of all unknowns that these rows would have shown 4 times out of 5."""
    reach = stats.norm.isf(diagnosis.checks.level / 2) + POWER
    fixes = diagnosis.recalibrations.values()
    width = np.median([fix.log_width_se for fix in fixes])
    return float(np.exp(reach * width)), float(reach * np.median([fix.shift_se for fix in fixes]))
