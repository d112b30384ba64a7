"""Numbers put into words: for each question a yes or no, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUESTIONS = {
    "calibrated": "Is it calibrated?",
    "invertible": "Is it invertible to working precision?",
    "reproduces_y": "Do its draws reproduce y?",
    "matches_truth": "Does it match the exact answer?",
}
C2ST_LIMIT = 0.55  # a classifier that is right 11 times in 20
NOISE_LIMIT, SPREAD_LIMIT = 1.25, 0.01


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
