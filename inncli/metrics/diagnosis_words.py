"""A diagnosis put into words: yes, no, or how many rows would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inncli.metrics.diagnosis import ALPHA, Diagnosis, visible
from inncli.metrics.verdicts import Verdict, rows_needed

SHOWN = 3  # unknowns that a line names
WORTH = 0.25  # a width off by this share, or a shift by so many sds, is worth knowing
RULE = (
    f"yes if no test of all has p < {ALPHA:g}, no number contradicts, and a width off by {WORTH:.0%} or a shift of "
    f"{WORTH:g} sd would show"
)


def calibrated(
    diagnosis: Diagnosis, coverage: float, coverage_se: float, contradictions: Sequence[str] = ()
) -> Verdict:
    """Calibrated: no test raised an alarm, no number says otherwise, and a fault worth naming would have shown.

    Args:
        diagnosis: what is wrong with the draws.
        coverage: share of true values inside their central 90 % interval, over all unknowns.
        coverage_se: its standard error.
        contradictions: what speaks against it beside the tests, see `metrics.contradictions`.
    """
    rows = len(diagnosis.checks.u["tarp"])
    held = f"90 % intervals hold {coverage:.1%} +- {coverage_se:.1%} of the true values"
    named = [_fault(fault, diagnosis) for fault in diagnosis.faults]
    # What a fault already says is not said again.
    more = [text for text in contradictions if text.partition(":")[0] not in diagnosis.faults]
    if named or more:
        first = [text for text in more if text.startswith(("too wide", "ignores y"))]
        rest = [text for text in more if text not in first]
        return Verdict(False, "; ".join([*first, *named, *rest, *([] if held in rest else [held])]), RULE)
    width, shift = visible(diagnosis)
    unseen = (
        f"with {rows:,} rows a width off by less than {width - 1:.0%}, or a shift of less than {shift:.2g} sd, would "
        "not show"
    )
    if width > 1 + WORTH or shift > WORTH:
        needed = rows * max(math.log(width) / math.log1p(WORTH), shift / WORTH) ** 2
        return Verdict(None, f"{rows_needed(needed)}: {unseen}; {held}", RULE)
    return Verdict(True, f"{held}; {unseen}", RULE)


def _fault(fault: str, diagnosis: Diagnosis) -> str:
    fixes = diagnosis.recalibrations
    names = diagnosis.wrong.get(fault, [])
    if fault == "biased":
        parts = [
            f"{name} too {'high' if fixes[name].shift > 0 else 'low'} by "
            f"{_with_error(abs(fixes[name].shift), fixes[name].shift_se)} sd"
            for name in names
        ]
        return f"biased: {_listed(parts)}" if parts else "biased, just beyond chance"
    if fault in ("too wide", "too narrow"):
        means = "under-confident" if fault == "too wide" else "over-confident"
        parts = [
            f"{name} spreads {_with_error(fixes[name].width, fixes[name].width * fixes[name].log_width_se)} times as "
            f"far as it should"
            for name in names
        ]
        return f"{fault} ({means}): {_listed(parts)}" if parts else f"{fault} ({means}), just beyond chance"
    if fault == "wrong in shape":
        if diagnosis.wrong:
            return "and wrong in shape, which no shift or width would mend"
        test, p = min(diagnosis.checks.p.items(), key=lambda item: item[1])
        return f"wrong in shape, no shift or width would mend it: {test.replace('_', ' ')}, p = {p:.1e}"
    follows = diagnosis.checks.y_dependence
    return f"{fault}: its draws go along with y by {follows.share:.2f} +- {follows.share_se:.2f} of what is right"


def _with_error(value: float, error: float) -> str:
    decimals = max(2, -math.floor(math.log10(error))) if error > 0 else 2
    return f"{value:.{decimals}f} +- {error:.{decimals}f}"


def _listed(parts: list[str]) -> str:
    shown = ", ".join(parts[:SHOWN])
    return shown if len(parts) <= SHOWN else f"{shown} and {len(parts) - SHOWN} more"
