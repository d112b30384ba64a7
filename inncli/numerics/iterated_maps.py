r"""Maps of the line to itself, x <- T(x): fixed points, their stability, Lipschitz constants and orbits.

A fixed point is stable where :math:`|T'(x^*)| < 1`: a small error shrinks by that factor a step. Where the Lipschitz
constant L is below 1 the map is a contraction, there is one fixed point, and every orbit goes there with
:math:`|x_n - x^*| \le L^n / (1 - L) \, |x_1 - x_0|`: Banach's theorem, and the inverse of an i-ResNet.

Reference: Banach 1922, Fundamenta Mathematicae 3; May 1976, Nature 261 (logistic map); Arnold 1965 (circle map);
    Behrmann et al. 2019, Invertible residual networks, arXiv:1811.00995.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

Function = Callable[[np.ndarray], np.ndarray]
GRID = 20_001  # points on which roots are bracketed and slopes compared
TOLERANCE = 1e-9  # of a fixed point that only touches, and of an orbit that repeats
LONGEST_CYCLE = 64
NEUTRAL = 1e-9  # |slope| this near 1 decides nothing


@dataclass(frozen=True)
class Map:
    """x <- T(x) on an interval.

    Args:
        name: its formula, with numbers.
        function: T, elementwise.
        slope: its analytic derivative, elementwise.
        low: lower end of the interval that is looked at.
        high: its upper end.
        period: T(x) means T(x) modulo this; None is the plain line.
        inverts: the function h, where T solves h(x) = y; None for other maps.
        target: that y.
    """

    name: str
    function: Function
    slope: Function
    low: float
    high: float
    period: float | None = None
    inverts: Function | None = None
    target: float | None = None

    def __call__(self, x: np.ndarray | float) -> np.ndarray:
        """T(x), wrapped where the map has a period. Shape: that of x."""
        y = self.function(np.asarray(x, dtype=np.float64))
        return y if self.period is None else y % self.period


@dataclass(frozen=True)
class FixedPoint:
    """x* = T(x*), with T'(x*)."""

    x: float
    slope: float

    @property
    def stable(self) -> bool | None:
        """|T'(x*)| < 1: it attracts. None where |T'(x*)| is 1, which decides nothing."""
        return None if abs(abs(self.slope) - 1) <= NEUTRAL else abs(self.slope) < 1

    @property
    def kind(self) -> str:
        """stable, unstable or neutral."""
        return {True: "stable", False: "unstable", None: "neutral"}[self.stable]


# ---- the maps ----------------------------------------------------------------------------------------
def logistic(r: float) -> Map:
    """X <- r x (1 - x) on [0, 1]. Fixed points 0, of slope r, and 1 - 1/r, of slope 2 - r."""
    return Map(f"x <- {r:g} x (1 - x)", lambda x: r * x * (1 - x), lambda x: r * (1 - 2 * x), 0.0, 1.0)


def circle(omega: float, k: float) -> Map:
    r"""X <- x + omega - k/(2 pi) sin(2 pi x) modulo 1.

    Fixed points where sin(2 pi x) = 2 pi omega / k, up to whole turns, of slope 1 - k cos(2 pi x): a pair of them
    while |omega| <= k / (2 pi), the first Arnold tongue.
    """
    turn = 2 * np.pi
    return Map(
        f"x <- x + {omega:g} - {k:g}/(2 pi) sin(2 pi x) mod 1",
        lambda x: x + omega - k / turn * np.sin(turn * x),
        lambda x: 1 - k * np.cos(turn * x),
        0.0,
        1.0,
        period=1.0,
    )


def kepler(e: float, y: float) -> Map:
    """X <- y + e sin(x), which solves Kepler's equation x - e sin(x) = y: increasing in x while e < 1."""
    return inversion(
        lambda x: -e * np.sin(x), lambda x: -e * np.cos(x), y, y - np.pi, y + np.pi, f"x <- {y:g} + {e:g} sin(x)"
    )


def inversion(g: Function, slope: Function, y: float, low: float, high: float, name: str) -> Map:
    """X <- y - g(x), which solves x + g(x) = y: the inverse of a residual block.

    Args:
        g: the block's residual, elementwise.
        slope: its derivative, elementwise.
        y: the value to invert at.
        low: lower end of the interval that is looked at.
        high: its upper end.
        name: the formula, with numbers.
    """
    return Map(name, lambda x: y - g(x), lambda x: -slope(x), low, high, inverts=lambda x: x + g(x), target=y)


# ---- what is known about them ------------------------------------------------------------------------
def fixed_points(map: Map) -> list[FixedPoint]:
    """Finds all fixed points on the interval that a grid of 20,000 cells tells apart, in order.

    A change of the sign of T(x) - x brackets a point, which is solved to rounding. Where T(x) - x only touches zero,
    its extremum is solved for instead, and taken if it is zero to 1e-9.
    """
    x = np.linspace(map.low, map.high, GRID)
    gap = map.function(x) - x
    turns = (
        [0.0]
        if map.period is None
        else map.period * np.arange(np.floor(gap.min() / map.period), np.ceil(gap.max() / map.period) + 1)
    )
    found: list[float] = []
    for turn in turns:
        found += _roots(lambda x: map.function(x) - x - turn, x, gap - turn)  # noqa: B023 called at once
        extrema = _roots(lambda x: map.slope(x) - 1, x, map.slope(x) - 1)
        found += [at for at in extrema if abs(map.function(np.float64(at)) - at - turn) <= TOLERANCE]
    cell = x[1] - x[0]
    distinct: list[float] = []
    for at in sorted(found):
        if not distinct or at - distinct[-1] > cell:
            distinct.append(at)
    if map.period is not None and len(distinct) > 1 and distinct[-1] - distinct[0] >= map.period - cell:
        distinct.pop()  # 0 and 1 are one point of the circle
    return [FixedPoint(at, float(map.slope(np.float64(at)))) for at in distinct]


def lipschitz(map: Map) -> float:
    """Max |T'| over a grid on the interval; the supremum exceeds it by the second derivative times a cell at most."""
    return float(np.abs(map.slope(np.linspace(map.low, map.high, GRID))).max())


def orbit(map: Map, x0: float, steps: int) -> np.ndarray:
    """x0, T(x0), T(T(x0)), ...: `steps` steps, fewer where the orbit leaves for infinity. Shape: (steps + 1,)."""
    x = [float(x0)]
    for _ in range(steps):
        x.append(float(map(x[-1])))
        if not abs(x[-1]) < 1e6:
            break
    return np.array(x)


def cycle(map: Map, x0: float, transient: int = 10_000) -> np.ndarray | None:
    """The cycle on which the orbit settles, from its smallest point on; None if none of up to 64 points is found.

    Shape: (points of the cycle,).
    """
    start = orbit(map, x0, transient)
    if len(start) <= transient:
        return None
    tail = orbit(map, start[-1], LONGEST_CYCLE)
    apart = np.abs(tail[1:] - tail[0])
    if map.period is not None:
        apart = np.minimum(apart, map.period - apart)
    again = np.flatnonzero(apart <= TOLERANCE * (1 + abs(tail[0])))
    if not len(again):
        return None
    points = tail[: again[0] + 1]
    return np.roll(points, -int(np.argmin(points)))


def _roots(function: Function, x: np.ndarray, values: np.ndarray) -> list[float]:
    """Roots of a function: grid points where it is zero, and one in each cell where its sign changes."""
    exact: list[float] = x[values == 0].tolist()
    cells = np.flatnonzero(values[:-1] * values[1:] < 0)
    return exact + [float(brentq(function, x[i], x[i + 1], xtol=1e-15, rtol=8.9e-16)) for i in cells]
