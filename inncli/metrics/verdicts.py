"""Numbers put into words: for each question yes, no or can't tell, and why.

A verdict never says more than its numbers. Where one of them contradicts a yes, the answer is no; where there are too
few rows or draws to show a fault, it is that nobody can tell, with how many would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inncli.types import Float

QUESTIONS = {
    "calibrated": "Is it calibrated?",
    "beats_marginal": "Does it beat ignoring y?",
    "invertible": "Is it invertible to working precision?",
    "reproduces_y": "Do its draws reproduce y?",
    "matches_truth": "Does it match the exact answer?",
}
C2ST_LIMIT = 0.55  # a classifier that is right 11 times in 20
WORST_LIMIT = 0.6  # of a single observation
NOISE_LIMIT, SPREAD_LIMIT = 1.25, 0.01
FAR, FEW = 3, 0.05  # a y is far off beyond 3 times that limit; one in twenty may be
NOT_FINITE = 0.01  # share of draws that are no numbers
FEWEST = 20  # rows: of fewer a median says little
MOST_ROWS = 1_000_000  # that a can't tell asks for
PART_DRAWS = 1_000  # a side: fewer would not show a part that is missing


@dataclass(frozen=True)
class Verdict:
    """The answer to one question.

    Attributes:
        ok: yes or no; None where nobody can tell.
        text: one line with its number and what it was held against. Of None it begins with what would tell, such as
            "380 rows needed".
        rule: one line that says when the answer is which; empty in evaluations of releases up to 0.4.
    """

    ok: bool | None
    text: str
    rule: str = ""

    @property
    def answer(self) -> str:
        """`Yes`, `No` or `Can't tell`."""
        return {True: "Yes", False: "No", None: "Can't tell"}[self.ok]

    @property
    def line(self) -> str:
        """Answer and reason: `No: biased: ...`, `Can't tell, 380 rows needed: ...`."""
        return f"{self.answer}{', ' if self.ok is None else ': '}{self.text}"


def rows_needed(n: float, what: str = "rows") -> str:
    """`380 rows needed`: two digits, rounded up.

    Args:
        n: how many would tell, a guess; may be infinite.
        what: they are.
    """
    if not n <= MOST_ROWS:
        return f"more than {MOST_ROWS:,} {what} needed"
    unit = 10 ** max(math.floor(math.log10(max(n, 1))) - 1, 0)
    return f"{math.ceil(round(n / unit, 6)) * unit:,} {what} needed"


def round_trip(error: float, dtype: str) -> Verdict:
    """Invertible: the round trip keeps half of the digits of the number format."""
    limit = float(np.sqrt(np.finfo(dtype).eps))
    rule = f"yes up to {limit:.1e} sds of x, half of the digits of {dtype}"
    if not np.isfinite(error):
        return Verdict(False, "the round trip gives no finite number", rule)
    ok = error <= limit
    return Verdict(
        ok,
        f"round trip off by {error:.1e} at most, {'within' if ok else 'beyond'} half of the digits "
        f"of {dtype} ({limit:.1e})",
        rule,
    )


def reproduces_y(squares: Float[np.ndarray, " n_obs"], truth: float, spread: float, nonfinite: float = 0.0) -> Verdict:
    """At a typical y, draws give it back as well as the true x does, and at few ys they are far off.

    Typical is the median, since a few ys at the rim of what training saw can dominate the mean; the text says how
    many they are. They may not carry it beyond what one y is called far off at. "As well" allows a quarter more, or a
    hundredth of y's spread.

    Args:
        squares: mean square resimulation error of the draws at each y, (n_obs,).
        truth: root mean square of that of the true x, which is the noise.
        spread: sd of y over the held-out pairs.
        nonfinite: share of the draws that are no numbers.
    """
    limit = max(NOISE_LIMIT * truth, SPREAD_LIMIT * spread)
    rule = (
        f"yes up to {limit:.3g} ({NOISE_LIMIT:g} times the true x's, or {SPREAD_LIMIT:.0%} of y's spread), if at most "
        f"{FEW:.0%} of ys and no root mean square go beyond {FAR * limit:.3g}"
    )
    typical, mean = float(np.sqrt(np.median(squares))), float(np.sqrt(np.mean(squares)))
    far = float(np.mean(np.sqrt(squares) > FAR * limit))
    against = (
        f"{typical / truth:.2f} times that of the true x"
        if truth > SPREAD_LIMIT * spread
        else f"{typical / spread:.2%} of the spread of y"
    )
    rest = f"; at {far:.1%} of ys beyond {FAR * limit:.3g}" if far else ""
    if mean > FAR * limit:
        rest += f", so that the root mean square is {mean:.3g}"
    if nonfinite > NOT_FINITE:
        rest += f"; {nonfinite:.1%} of the draws are no numbers"
    text = f"typical resimulation error {typical:.3g}, {against}{rest}"
    if not (typical <= limit and far <= FEW and mean <= FAR * limit and nonfinite <= NOT_FINITE):
        return Verdict(False, text, rule)
    if len(squares) < FEWEST:
        return Verdict(None, f"{rows_needed(FEWEST)}: {text}, at {len(squares)} ys", rule)
    return Verdict(True, text, rule)


@dataclass(frozen=True)
class Part:
    """A part of the space that holds enough of one side and little of the other.

    Attributes:
        exact: share of the exact draws in it.
        draws: share of the model's draws in it.
    """

    exact: float
    draws: float

    @property
    def weight(self) -> float:
        """By how much the shares differ."""
        return abs(self.exact - self.draws)

    @property
    def text(self) -> str:
        """What is wrong, in words."""
        if self.exact > self.draws:
            return f"misses a part that holds {self.exact:.1%} of the exact draws (its own: {self.draws:.1%})"
        return f"{self.draws:.1%} of its draws lie where {self.exact:.1%} of the exact ones do"


def matches_truth(
    scores: Sequence[float],
    draws: int,
    parts: Sequence[Part | None] = (),
    names: Sequence[str] = (),
    nonfinite: float = 0.0,
) -> Verdict:
    """Close to the truth: the classifier is hardly better than a coin, at no y much better, and no part is missing.

    Args:
        scores: C2ST at each observation; none where no draw could be compared.
        draws: of each side.
        parts: at each observation, where draws are many and exact ones few or the other way; None where nowhere.
        names: of the observations, in words.
        nonfinite: share of the draws that are no numbers.
    """
    limit = WORST_LIMIT + 1.5 / math.sqrt(2 * max(draws, 1))  # three standard errors of a coin
    rule = (
        f"yes up to C2ST {C2ST_LIMIT} ({limit:.2g} at any y), if no part with 1 % of one side's draws has less "
        "than a third of that on the other"
    )
    if not len(scores):
        return Verdict(False, f"{nonfinite:.1%} of the draws are no numbers", rule)
    score, worst = float(np.mean(scores)), float(np.max(scores))
    how = next(
        word
        for most, word in (
            (C2ST_LIMIT, "hardly to be told from exact draws"),
            (0.7, "near the exact draws, but told from them"),
            (np.inf, "far from the exact draws"),
        )
        if score <= most
    )
    text = f"C2ST {score:.3f}, {how} (.5 perfect, 1 useless)"
    at = [f" at y = {name}" if name else "" for name in names] or [""] * len(scores)
    against = []
    if worst > limit and len(scores) > 1:
        against.append(f"C2ST {worst:.3f}{at[int(np.argmax(scores))]}")
    uneven = [(part, where) for part, where in zip(parts, at, strict=False) if part is not None]
    if uneven:
        part, where = max(uneven, key=lambda entry: entry[0].weight)
        against.append(part.text + where)
    if nonfinite > NOT_FINITE:
        against.append(f"{nonfinite:.1%} of the draws are no numbers")
    text = "; ".join([*against, text])
    if score > C2ST_LIMIT or against:
        return Verdict(False, text, rule)
    if draws < PART_DRAWS:
        return Verdict(None, f"{rows_needed(PART_DRAWS, 'draws a side')}: {text}, of {draws:,}", rule)
    return Verdict(True, text, rule)
