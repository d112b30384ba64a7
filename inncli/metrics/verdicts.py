"""Numbers put into words: for each question a yes or no, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inncli.metrics.diagnosis import Diagnosis, visible

QUESTIONS = {
    "calibrated": "Is it calibrated?",
    "invertible": "Is it invertible to working precision?",
    "reproduces_y": "Do its draws reproduce y?",
    "matches_truth": "Does it match the exact answer?",
}
C2ST_LIMIT = 0.55  # a classifier that is right 11 times in 20
NOISE_LIMIT, SPREAD_LIMIT = 1.25, 0.01
SHOWN = 3  # unknowns that a line names


@dataclass(frozen=True)
class Verdict:
    """The answer to one question: `ok`, and one line with its number and what it was held against."""

    ok: bool
    text: str


def round_trip(error: float, dtype: str) -> Verdict:
    """Invertible: the round trip keeps half of the digits of the number format."""
    limit = float(np.sqrt(np.finfo(dtype).eps))
    ok = error <= limit
    return Verdict(ok, f"round trip off by {error:.1e} at most, {'within' if ok else 'beyond'} half of the digits "
                       f"of {dtype} ({limit:.1e})")


def reproduces_y(error: float, truth: float, spread: float) -> Verdict:
    """Draws give back y as well as the true x does, up to a quarter more or a hundredth of y's spread.

    Args:
        error: resimulation error of the draws. truth: of the true x, which is the noise.
        spread: sd of y over the held-out pairs.
    """
    ok = error <= max(NOISE_LIMIT * truth, SPREAD_LIMIT * spread)
    if truth > SPREAD_LIMIT * spread:
        return Verdict(ok, f"resimulation error {error:.3g}, {error / truth:.2f} times that of the true x")
    return Verdict(ok, f"resimulation error {error:.3g}, {error / spread:.2%} of the spread of y")


def matches_truth(score: float) -> Verdict:
    """Close to the truth: the classifier is hardly better than a coin."""
    how = next(word for limit, word in
               ((C2ST_LIMIT, "hardly to be told from exact draws"), (0.7, "near the exact draws, but told from them"),
                (np.inf, "far from the exact draws")) if score <= limit)
    return Verdict(score <= C2ST_LIMIT, f"C2ST {score:.3f}, {how} (.5 perfect, 1 useless)")


def calibrated(diagnosis: Diagnosis, coverage: float, coverage_se: float) -> Verdict:
    """Calibrated: no test raised an alarm; else what is wrong, in which unknowns and by how much.

    Args:
        coverage, coverage_se: share of true values inside their central 90 % interval, over all unknowns.
    """
    rows = len(diagnosis.checks.u["tarp"])
    held = f"90 % intervals hold {coverage:.1%} +- {coverage_se:.1%} of the true values"
    if not diagnosis.faults:
        width, shift = visible(diagnosis)
        return Verdict(True, f"{held}; with {rows:,} rows a width off by less than {width - 1:.0%}, or a shift of less "
                             f"than {shift:.2g} sd, would not show")
    return Verdict(False, f"{'; '.join(_fault(fault, diagnosis) for fault in diagnosis.faults)}; {held}")


def _fault(fault: str, diagnosis: Diagnosis) -> str:
    fixes = diagnosis.corrections
    names = diagnosis.wrong.get(fault, [])
    if fault == "biased":
        parts = [f"{name} too {'high' if fixes[name].shift > 0 else 'low'} by {abs(fixes[name].shift):.2f} +- "
                 f"{fixes[name].shift_se:.2f} sd" for name in names]
        return f"biased: {_listed(parts)}" if parts else "biased, just beyond chance"
    if fault in ("too wide", "too narrow"):
        means = "under-confident" if fault == "too wide" else "over-confident"
        parts = [f"{name} spreads {fixes[name].width:.2f} +- {fixes[name].width * fixes[name].log_width_se:.2f} times as "
                 f"far as it should" for name in names]
        return f"{fault} ({means}): {_listed(parts)}" if parts else f"{fault} ({means}), just beyond chance"
    if fault == "wrong in shape":
        test = min(diagnosis.checks.p, key=diagnosis.checks.p.get)
        return f"wrong in shape, no shift or width would mend it: {test.replace('_', ' ')}, p = {diagnosis.checks.p[test]:.1e}"
    share = diagnosis.checks.following.share
    return f"{fault}: its draws go along with y by {share:.2f} +- {diagnosis.checks.following.share_se:.2f} of what is right"


def _listed(parts: list[str]) -> str:
    shown = ", ".join(parts[:SHOWN])
    return shown if len(parts) <= SHOWN else f"{shown} and {len(parts) - SHOWN} more"
