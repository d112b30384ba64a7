"""Is a posterior calibrated, and if not, what is wrong with it? One answer with one rate of false alarms.

    ranks --tests--> alarm? --> the shift and width that would mend it --tests again--> its name

A fault is named by its remedy. Draws that are right once they are moved were biased. Draws that are right once they
are scaled were too wide or too narrow. Draws that then still don't go along with y ignore it. Every test sees every
fault a little; a name by the remedy is clear all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from inncli.metrics.recalibration import Recalibration, recalibrated, recalibration
from inncli.metrics.sbc import centre_p, chi_square, kolmogorov_smirnov_p, ranks, spread_p
from inncli.metrics.tarp import tarp_ranks
from inncli.metrics.y_dependence import YDependence, y_dependence
from inncli.numerics import circle
from inncli.types import Float, Real
from inncli.variables import Circle

# Chance that a right posterior raises any alarm, over all of its tests together (Bonferroni). It is small, so that a
# user who evaluates a hundred runs can believe an alarm. That costs little: on 1,000 rows a width off by half has
# p < 1e-40. On the 103 rows of concrete this shows a width off by a factor of 1.41; a chance of 1 % would show 1.36.
ALPHA = 0.001
FOLLOWS = 0.25  # `YDependence.share` below which a model ignores y
PARTLY = 0.75  # below which it follows y too little; a remedy that is not quite right leaves more than this
LEFT = 0.25  # share of the ranks' chi-square: a shift and a width that leave more than this do not mend the draws
POWER = 0.84  # sds: a fault that is called visible raises an alarm 4 times out of 5


@dataclass(frozen=True)
class Checks:
    """What the tests work on and what they say, of draws as they are or as corrected.

    Attributes:
        u: ranks, (n,), by test quantity: the unknowns, `tarp`, `log_prob`.
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
        wrong: by fault, the unknowns whose width or shift is wrong.
    """

    faults: list[str]
    checks: Checks
    recalibrations: dict[str, Recalibration]
    wrong: dict[str, list[str]]


def unrolled(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    circles: tuple[Circle | None, ...],
) -> tuple[Float[np.ndarray, "rows draws dim"], Float[np.ndarray, "rows dim"]]:
    """Each circle is cut, at each y opposite to the mean direction of the draws and the truth together.

    Together, since whatever treats the true value as one of the draws ranks it evenly where it is one of them.

    Shape: draws (n, S, Dx), truth (n, Dx); out as given.
    """
    if not any(circles):
        return draws, truth
    draws, truth = draws.copy(), truth.copy()
    for i, on in enumerate(circles):
        if on is not None:
            both = np.concatenate([draws[:, :, i], truth[:, [i]]], 1)
            both = circle.unrolled(both, circle.mean(both, on, 1, keepdims=True), on)
            draws[:, :, i], truth[:, i] = both[:, :-1], both[:, -1]
    return draws, truth


def check(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    y: Real[np.ndarray, "rows dim_y"],
    names: tuple[str, ...],
    seed: int,
    log_prob: Float[np.ndarray, " rows"] | None = None,
    circles: tuple[Circle | None, ...] = (),
) -> Checks:
    """All tests of one set of draws.

    Args:
        draws: draws of the posterior at each y, (n, S, Dx).
        truth: the true x of each y, (n, Dx).
        y: (n, Dy), with labels as one-hot columns.
        names: of the unknowns, one for each column of x.
        seed: of the ties between ranks and of the regression on y.
        log_prob: rank of log q(x*|y) among the log densities of the draws, (n,), where there is a density.
        circles: of the columns of x; draws and truth are `unrolled`. Empty: none has one.
    """
    rng = np.random.default_rng([seed, 0])
    u = dict(zip(names, ranks(draws, truth, rng).T, strict=True))
    p = {
        f"{test} of {name}": function(u[name])
        for name in names
        for test, function in (("centre", centre_p), ("spread", spread_p), ("ranks", lambda u: chi_square(u)[1]))
    }
    draws, truth = (circle.embedded(values, circles) for values in (draws, truth))
    u["tarp"] = tarp_ranks(draws, truth, y, np.random.default_rng([seed, 1]))
    p["tarp"] = kolmogorov_smirnov_p(u["tarp"])
    if log_prob is not None:
        u["log_prob"] = log_prob
        p["log_prob"] = kolmogorov_smirnov_p(log_prob)
    follows = y_dependence(draws, truth, y, np.random.default_rng([seed, 2]))
    p["follows_y"] = centre_p(follows.u)
    return Checks(u, follows, p)


def diagnose(
    draws: Float[np.ndarray, "rows draws dim"],
    truth: Float[np.ndarray, "rows dim"],
    y: Real[np.ndarray, "rows dim_y"],
    names: tuple[str, ...],
    seed: int,
    log_prob: Float[np.ndarray, " rows"] | None = None,
    circles: tuple[Circle | None, ...] = (),
) -> Diagnosis:
    """Tests the draws and names what is wrong with them; see the module, and `check` for the arguments."""
    checks = check(draws, truth, y, names, seed, log_prob, circles)
    fixes = {name: recalibration(draws[:, :, k], truth[:, k]) for k, name in enumerate(names)}
    if not checks.alarms:
        return Diagnosis([], checks, fixes, {})
    after = check(recalibrated(draws, list(fixes.values())), truth, y, names, seed, circles=circles)
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

    The alarm alone does not decide: the remedy is a little off, which many rows would show. So the chi-squares do.
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
    test, _, name = min(checks.p, key=checks.p.__getitem__).partition(" of ")
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
