r"""By how much draws are shifted and too wide: the shift and the width that would make their ranks right.

.. math:: x' = m + (x - m) / w - b s

with m and s the mean and the sd of the draws of each y. It makes no assumption on the posterior's shape: several
modes, rings and boxes are moved and scaled as they are. b is in sds of the draws, positive where they lie too high;
w = 1.5 says that they spread 1.5 times too far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inncli.numerics.statistics import mean_and_sd
from inncli.types import Float

ALIKE = 1e-9  # of the spread of the true values: draws that vary less are one value
REACH = 6.0  # how far from the first guess a shift is sought, in sds of the true values
LOG_REACH = 2.5  # the same of the log of a width
HALVINGS = 14  # of these ranges


@dataclass(frozen=True)
class Recalibration:
    """Shift and width of one unknown, with the standard errors of b and of log w.

    Attributes:
        shift: b, in sds of the draws.
        shift_se: its standard error.
        width: w, a factor.
        log_width_se: standard error of log w.
        log_width_slack: by how much log w may be too low. A shift that differs from y to y, in sds, spreads the true
            values as draws that are too narrow would. It differs where the sds differ and the shift, in units of x,
            does not; and where few draws tell the sd at each y.
    """

    shift: float
    shift_se: float
    width: float
    log_width_se: float
    log_width_slack: float = 0.0


def recalibration(draws: Float[np.ndarray, "rows draws"], truth: Float[np.ndarray, " rows"]) -> Recalibration:
    r"""The b and w under which the ranks have the mean 1/2 and the mean square 1/12 about it of uniform ones.

    Bisection finds them, since each moment is monotone in its own unknown; for each w that is tried, b is found anew.
    It starts from the shift and the width that give the true values the median and the quartiles of the draws. The
    standard errors are those of the two moments over n rows, whose variances are 1/12n and 1/180n, carried through
    the derivatives by b and log w.

    Shape: draws (n, S), truth (n,), one unknown.
    """
    mean, sd = mean_and_sd(draws, 1)
    least = ALIKE * (_quartiles_apart(truth) or mean_and_sd(truth)[1])
    if sd.max() <= least:  # no sd to count a shift in
        return Recalibration(0.0, np.inf, ALIKE, 0.0)
    sd = np.maximum(sd, max(least, np.finfo(float).tiny ** 0.25))
    scaled = (draws - mean[:, None]) / sd[:, None]
    at = (truth - mean) / sd
    spread = (_quartiles_apart(at) or 1.0) / (_quartiles_apart(scaled) or 1.0)
    centre = np.median(at) - spread * np.median(scaled)
    at = (at - centre) / spread

    def moments(b: float, log_w: float) -> np.ndarray:
        # Moving the true value the other way is the same as moving all draws.
        t = (np.exp(log_w) * (at + b))[:, None]
        u = ((scaled < t).sum(1) + 0.5) / (scaled.shape[1] + 1)
        return np.array([u.mean() - 0.5, ((u - 0.5) ** 2).mean() - 1 / 12])

    def best_shift(log_w: float) -> float:
        return _root(lambda b: moments(b, log_w)[0], REACH)

    log_w = _root(lambda value: moments(best_shift(value), value)[1], LOG_REACH)
    b = best_shift(log_w)
    h = 0.1
    slopes = np.column_stack(
        [
            (moments(b + h, log_w) - moments(b - h, log_w)) / (2 * h),
            (moments(b, log_w + h) - moments(b, log_w - h)) / (2 * h),
        ]
    )
    across = np.linalg.pinv(slopes)
    errors = np.sqrt(across**2 @ (np.array([1 / 12, 1 / 180]) / len(truth)))
    shift, width = float(spread * b - centre), float(np.exp(log_w) / spread)
    by_shift = (width * shift * sd.std() / sd.mean()) ** 2  # of the mean square of w at, which is near 1
    slack = -0.5 * np.log1p(-by_shift) if by_shift < 1 else np.inf
    return Recalibration(shift, float(spread * errors[0]), width, float(errors[1]), float(slack))


def recalibrated(
    draws: Float[np.ndarray, "rows draws dim"], recalibrations: list[Recalibration]
) -> Float[np.ndarray, "rows draws dim"]:
    """The draws as they should be, every unknown by its own recalibration. Shape: draws, out (n, S, Dx)."""
    b, w = np.array([c.shift for c in recalibrations]), np.array([c.width for c in recalibrations])
    mean, sd = mean_and_sd(draws, 1, keepdims=True)
    return mean + (draws - mean) / w - b * sd


def _quartiles_apart(values: Float[np.ndarray, " ..."]) -> float:
    return float(np.subtract(*np.quantile(values, (0.75, 0.25))))


def _root(rising: Callable[[float], float], reach: float) -> float:
    """Where a rising function of [-reach, reach] is zero, by bisection."""
    low, high = -reach, reach
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
