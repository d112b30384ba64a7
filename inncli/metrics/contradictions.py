"""Numbers that no yes can stand beside: a posterior that they describe is not calibrated, whatever its ranks say.

Ranks see how often the truth lies where. They don't see how far a few draws are thrown, nor draws that are no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from inncli.numerics.statistics import mean
from inncli.types import Float

SIGMAS = 4.0  # standard errors that a number lies from what is right
WIDE = 2.0  # times as far as x itself: draws that spread so are too wide, whatever the error
LITTLE, LITTLE_COVERAGE = 0.1, 0.02  # of a factor, of a share: off by less is as good as right, however small the error
FEW = 0.01  # share of draws that are no numbers, of true values without a density
FOLLOWS, PARTLY, TOO_MUCH = (
    0.25,
    0.75,
    1.33,
)  # `YDependence.share` below or above which draws don't follow y as they should
ONE_ROW = 1 / 3  # of the variance of x: where one row has so much of it, it says nothing


@dataclass(frozen=True)
class Numbers:
    """What a table of numbers says of the draws at held-out ys.

    Attributes:
        coverage: by nominal level, the share of true values inside their central intervals, and its standard error.
        z: root mean square of (x* - mean) / sd, and its standard error; None if not measured.
        z_own: the least and the largest of what draws in place of x* would give.
        contraction: by unknown, 1 - variance of the draws over that of x, and its standard error; without unknowns of
            which one row carries the variance.
        beyond: by unknown, the share of draws beyond all true values, the chance that no true value lies there, and how
            far off in sds of x the farthest is.
        follows: how far draws go along with y, and its standard error; None where y tells nothing.
        nonfinite: share of the draws that are no numbers.
        without_density: share of the true values where the model has no density.
    """

    coverage: Mapping[float, tuple[float, float]] = field(default_factory=dict)
    z: tuple[float, float] | None = None
    z_own: tuple[float, float] = (1.0, 1.0)
    contraction: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    beyond: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    follows: tuple[float, float] | None = None
    nonfinite: float = 0.0
    without_density: float = 0.0


def contradictions(numbers: Numbers, chance: float) -> list[str]:
    """Why the draws are not right, one line for each number that says so; the gravest first.

    Args:
        numbers: of the table.
        chance: that draws which are right are found beyond all true values; a small one.
    """
    found = []
    if numbers.nonfinite > FEW:
        found.append(f"{numbers.nonfinite:.1%} of its draws are no numbers")
    spread = {name: np.sqrt(1 - c) for name, (c, se) in numbers.contraction.items() if _wide(c, se)}
    if spread:
        name = max(spread, key=lambda key: spread[key])
        found.append(f"too wide: draws of {name} spread {times(spread[name])} times as far as {name} itself")
    elif numbers.beyond and min(p for _, p, _ in numbers.beyond.values()) < chance / len(numbers.beyond):
        name = min(numbers.beyond, key=lambda key: numbers.beyond[key][1])
        share, _, farthest = numbers.beyond[name]
        found.append(f"{share:.2%} of the draws of {name} lie beyond all true values, up to {times(farthest)} sds off")
    if numbers.without_density > FEW:
        found.append(f"{numbers.without_density:.1%} of the true values lie where the model says that none can")
    if numbers.follows is not None and (fault := follows_fault(*numbers.follows)):
        share, se = numbers.follows
        found.append(f"{fault}: its draws go along with y by {share:.2f} +- {se:.2f} of what is right")
    return found


def discrepancies(numbers: Numbers) -> list[str]:
    """Numbers off by more than their error that a fault with a name would explain; they count where there is none."""
    found = [
        f"{level:.0%} intervals hold {share:.1%} +- {se:.1%} of the true values"
        for level, (share, se) in numbers.coverage.items()
        if abs(share - level) > max(SIGMAS * se, LITTLE_COVERAGE)
    ]
    if numbers.z is not None:
        z, se = numbers.z
        low, high = numbers.z_own
        if abs(z - 1) > max(SIGMAS * se, LITTLE) and not low <= z <= high:
            found.append(f"true values lie {z:.3g} +- {se:.2g} sds of the draws from their mean, where 1 is right")
    return found


def times(value: float) -> str:
    """A factor as words hold it: `1.22`, `59.7`, `30,012`, `1e+12`."""
    if not value < 1e6:
        return f"{value:.0e}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _wide(contraction: float, se: float) -> bool:
    """Whether draws spread farther than x itself, beyond the error or by far."""
    return contraction < -max(SIGMAS * se, LITTLE) or contraction <= 1 - WIDE**2


def follows_fault(share: float, se: float) -> str | None:
    """What is wrong where draws go along with y too little or too much, beyond the error."""
    if share < PARTLY and share + SIGMAS * se < 1:
        return "ignores y" if share < FOLLOWS else "follows y too little"
    return "follows y too much" if share > TOO_MUCH and share - SIGMAS * se > 1 else None


def beyond_all(draws: Float[np.ndarray, "rows draws"], truth: Float[np.ndarray, " rows"]) -> tuple[float, float, float]:
    r"""Draws that lie farther from the middle than any true value does.

    Where draws are right the truth is one of them, so no row has its truth there with chance

    .. math:: \prod_i (1 - q_i)

    with q_i the share of the draws of row i that do.

    Shape: draws (n, S), truth (n,), one unknown.
    Returns: the share of all draws, that chance, and how far the farthest lies, in sds of x.
    """
    middle = np.median(truth)
    reach = np.abs(truth - middle).max()
    away = np.abs(draws - middle)
    there = (away > reach).sum(1)
    spread = float(truth.std()) or 1.0
    chance = float(np.exp(np.log1p(-there / (draws.shape[1] + 1)).sum()))
    return float(there.sum() / draws.size), chance, float(away.max() / spread)


def carried_by_one(truth: Float[np.ndarray, " rows"]) -> bool:
    """Whether one row has so much of the variance of x that this says nothing. Shape: (n,)."""
    squares = (truth - mean(truth)) ** 2
    return bool(squares.max() > ONE_ROW * squares.sum())


def z_of_draws(draws: Float[np.ndarray, "rows draws dim"]) -> tuple[float, float]:
    """The least and the largest root mean square z that a draw of each row has among the others of its row.

    So heavy tails, and few draws, are told from draws that are too narrow or too wide. Shape: (n, S, Dx).
    """
    n = draws.shape[1]
    if n < 4:
        return 0.0, np.inf
    from_mean = draws - mean(draws, 1)[:, None]
    squares = from_mean**2
    others = np.maximum(squares.sum(1, keepdims=True) - squares * n / (n - 1), 0.0) / (n - 2)
    least = np.finfo(float).tiny ** 0.5
    z = (squares * (n / (n - 1)) ** 2 / np.maximum(others, least)).mean((0, 2))
    return float(np.sqrt(z.min())), float(np.sqrt(z.max()))
