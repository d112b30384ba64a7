"""The cobweb of a map and its orbit; beside it the function that the map inverts, where it inverts one."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from inncli.numerics.iterated_maps import FixedPoint, Map
from inncli.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, new_figure, styled

GRID = 1_001
MOST = 6  # fixed points described in words


def cobweb(map: Map, points: list[FixedPoint], orbit: np.ndarray, lipschitz: float, title: str = "") -> Figure:
    """Draws T, the diagonal and the staircase of an orbit; right of it the orbit against the step.

    Where T inverts a function h, a further panel shows h with its mirror image, the inverse. Where such a T is a
    contraction, the orbit's distance to the fixed point takes the place of the orbit, beside Banach's bound
    L^n / (1 - L) |x_1 - x_0|.

    Args:
        map: T.
        points: its fixed points, drawn filled where stable, open where not.
        orbit: x_0, x_1, ..., as `iterated_maps.orbit` gives it, (steps + 1,).
        lipschitz: the Lipschitz constant of T on its interval.
        title: one line; "" is the map's formula.
    """
    with styled():
        inverts = map.inverts is not None
        fig = new_figure(10.2 if inverts else 7.4, 4.3)
        panels = fig.subplots(1, 3 if inverts else 2)
        if inverts:
            _function_and_inverse(panels[0], map, points)
        _staircase(panels[-2], map, points, orbit)
        if inverts and lipschitz < 1 and len(points) == 1:
            _convergence(panels[-1], points[0], orbit, lipschitz)
        else:
            _orbit(panels[-1], map, points, orbit)
        sign = "< 1: a contraction" if lipschitz < 1 else "≥ 1"
        formula = (title or map.name).replace("<-", "←").replace("pi", "π")
        fig.suptitle(
            f"{formula}      Lipschitz constant {lipschitz:.4g} {sign}", x=0.01, ha="left", fontsize=10, color=INK
        )
        marks = [Line2D([], [], linestyle="none", label=_words(point), **_style(point)) for point in points[:MOST]]
        if len(points) > MOST:
            marks.append(Line2D([], [], linestyle="none", label=f"and {len(points) - MOST} more"))
        if marks:
            fig.legend(handles=marks, loc="outside lower center", ncols=3, handletextpad=0.3)
    return fig


def _staircase(axes: Axes, map: Map, points: list[FixedPoint], orbit: np.ndarray) -> None:
    low, high = _shown(map, orbit)
    if map.inverts is not None and len(points) == 1:  # the steps of a contraction soon become too small to be seen
        reach = 1.5 * np.abs(orbit - points[0].x).max() + 1e-3 * (high - low)
        low, high = max(low, points[0].x - reach), min(high, points[0].x + reach)
    x = np.linspace(low, high, GRID)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8)
    axes.plot(x, _with_gaps(map, x), color=BLUE, label="T(x)")
    stairs = np.repeat(orbit, 2)
    # (x0, x0), (x0, x1), (x1, x1), (x1, x2), ...
    axes.plot(stairs[:-1], np.concatenate([[orbit[0]], stairs[2:]]), color=ORANGE, linewidth=0.9, label="orbit")
    axes.plot(orbit[0], orbit[0], marker="s", color=ORANGE, ms=4, linestyle="none", label="its start")
    for point in points:
        axes.plot(point.x, point.x, linestyle="none", zorder=5, **_style(point))
    axes.set(xlim=_padded(low, high), ylim=_padded(low, high), xlabel="x", ylabel="T(x)", aspect="equal")
    _legend_above(axes)


def _orbit(axes: Axes, map: Map, points: list[FixedPoint], orbit: np.ndarray) -> None:
    for point in points:
        axes.axhline(
            point.x, color=GREEN if point.stable else RED, linewidth=0.8, linestyle="-" if point.stable else "--"
        )
    axes.plot(orbit, color=ORANGE, marker="o", ms=2.5, linewidth=0.8, label="orbit")
    axes.set(xlabel="step n", ylabel="x at step n", ylim=_padded(*_shown(map, orbit)))
    axes.set_box_aspect(1)


def _convergence(axes: Axes, point: FixedPoint, orbit: np.ndarray, lipschitz: float) -> None:
    n = np.arange(len(orbit))
    error = np.abs(orbit - point.x)
    seen = error > 4 * np.finfo(float).eps * max(1.0, abs(point.x))  # below that only rounding is left
    bound = lipschitz**n / (1 - lipschitz) * abs(orbit[1] - orbit[0])
    axes.semilogy(n[seen], error[seen], color=ORANGE, marker="o", ms=2.5, linewidth=0.8, label="|x at step n - x*|")
    axes.semilogy(n, bound, color=GREY, linestyle="--", linewidth=1, label="Banach's bound")
    last = int(np.flatnonzero(seen).max(initial=0))
    low = max(error[seen].min(initial=1.0), 1e-16) / 10
    axes.yaxis.set_major_formatter("{x:.0e}")
    axes.set(
        xlabel="step n",
        ylabel="distance to the fixed point",
        xlim=(-0.5, 1.5 * last + 2),
        ylim=(low, 10 * max(bound.max(), error.max(), 10 * low)),
    )
    axes.set_box_aspect(1)
    _legend_above(axes)


def _function_and_inverse(axes: Axes, map: Map, points: list[FixedPoint]) -> None:
    x = np.linspace(map.low, map.high, GRID)
    h, target = map.inverts, map.target
    assert h is not None and target is not None  # drawn only where the map inverts a function
    y = h(x)
    low, high = _padded(min(x[0], y.min()), max(x[-1], y.max()))
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8)
    axes.plot(x, y, color=BLUE, label="x + g(x)")
    axes.plot(y, x, color=GREEN, linestyle="--", label="its mirror image, the inverse")
    for point in points:
        axes.plot([low, point.x, point.x], [target, target, low], color=INK, linewidth=0.8, linestyle=":")
        axes.plot([target, target, low], [low, point.x, point.x], color=INK, linewidth=0.8, linestyle=":")
        axes.plot([point.x, target], [target, point.x], color=INK, marker="o", ms=3.5, linestyle="none")
    axes.set(
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
        xlabel="x, or y for the inverse",
        ylabel="y, or x for the inverse",
    )
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        borderaxespad=0.1,
        handlelength=1.4,
        columnspacing=1.0,
        handletextpad=0.4,
    )


def _style(point: FixedPoint) -> dict[str, Any]:
    """A filled green dot attracts, an open red one repels."""
    colour = GREEN if point.stable else RED
    return {
        "marker": "o",
        "ms": 6,
        "markeredgecolor": colour,
        "markeredgewidth": 1.4,
        "markerfacecolor": colour if point.stable else "white",
    }


def _words(point: FixedPoint) -> str:
    text = f"x* = {point.x:.5g}, slope {point.slope:.4g}: {point.kind}"
    return text.replace("-", "−")


def _padded(low: float, high: float) -> tuple[float, float]:
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _shown(map: Map, orbit: np.ndarray) -> tuple[float, float]:
    """The map's interval, wider where the orbit leaves it, up to three times as wide."""
    width = map.high - map.low
    low = max(min(map.low, orbit.min()), map.low - width)
    high = min(max(map.high, orbit.max()), map.high + width)
    return low, high


def _with_gaps(map: Map, x: np.ndarray) -> np.ndarray:
    """T(x), broken where it wraps around."""
    y = map(x)
    if map.period is not None:
        y[1:][np.abs(np.diff(y)) > map.period / 2] = np.nan
    return y
