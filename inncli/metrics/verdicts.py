"""Numbers put into words: for each question a yes or no, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inncli.types import Float

QUESTIONS = {
    "calibrated": "Is it calibrated?",
    "invertible": "Is it invertible to working precision?",
    "reproduces_y": "Do its draws reproduce y?",
    "matches_truth": "Does it match the exact answer?",
}
C2ST_LIMIT = 0.55  # a classifier that is right 11 times in 20
NOISE_LIMIT, SPREAD_LIMIT = 1.25, 0.01
FAR, FEW = 3, 0.05  # a y is far off beyond 3 times that limit; one in twenty may be


@dataclass(frozen=True)
class Verdict:
    """The answer to one question: `ok`, and one line with its number and what it was held against."""

    ok: bool
    text: str


def round_trip(error: float, dtype: str) -> Verdict:
    """Invertible: the round trip keeps half of the digits of the number format."""
    limit = float(np.sqrt(np.finfo(dtype).eps))
    ok = error <= limit
    return Verdict(
        ok,
        f"round trip off by {error:.1e} at most, {'within' if ok else 'beyond'} half of the digits "
        f"of {dtype} ({limit:.1e})",
    )


def reproduces_y(squares: Float[np.ndarray, " n_obs"], truth: float, spread: float) -> Verdict:
    """At a typical y, draws give it back as well as the true x does, and at few ys they are far off.

    Typical is the median, since a few ys at the rim of what training saw can dominate the mean; the text says how
    many they are. "As well" allows a quarter more, or a hundredth of y's spread.

    Args:
        squares: mean square resimulation error of the draws at each y, (n_obs,).
        truth: root mean square of that of the true x, which is the noise.
        spread: sd of y over the held-out pairs.
    """
    limit = max(NOISE_LIMIT * truth, SPREAD_LIMIT * spread)
    typical = float(np.sqrt(np.median(squares)))
    far = float(np.mean(np.sqrt(squares) > FAR * limit))
    against = (
        f"{typical / truth:.2f} times that of the true x"
        if truth > SPREAD_LIMIT * spread
        else f"{typical / spread:.2%} of the spread of y"
    )
    rest = f"; at {far:.1%} of ys beyond {FAR * limit:.3g}" if far else ""
    return Verdict(typical <= limit and far <= FEW, f"typical resimulation error {typical:.3g}, {against}{rest}")


def matches_truth(score: float) -> Verdict:
    """Close to the truth: the classifier is hardly better than a coin."""
    how = next(
        word
        for limit, word in (
            (C2ST_LIMIT, "hardly to be told from exact draws"),
            (0.7, "near the exact draws, but told from them"),
            (np.inf, "far from the exact draws"),
        )
        if score <= limit
    )
    return Verdict(score <= C2ST_LIMIT, f"C2ST {score:.3f}, {how} (.5 perfect, 1 useless)")
