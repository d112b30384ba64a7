"""A grid of cells over columns: each column on the diagonal, each pair of them below it, a reference above it.

The pair plots of draws, of simulations and of anything else with rows and columns share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, PowerNorm
from matplotlib.figure import FigureBase
from matplotlib.ticker import MaxNLocator

from inncli.plots.style import BLUE, BLUES, INK, ORANGE, ORANGES, RED, interval_text, wrap

MARK: dict[str, Any] = {
    "marker": "X",
    "markersize": 8,
    "color": RED,
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
    "linestyle": "",
    "zorder": 5,
}
_SCATTER_BELOW = 5_000  # rows; the points of more run together, and a histogram shows more


def cell_size(d: int) -> float:
    """The side of a cell in inches, where there are d columns."""
    return {1: 3.6, 2: 2.4, 3: 1.9}.get(d, max(1.15, 1.7 - 0.09 * (d - 3)))


def pair_grid(
    fig: FigureBase,
    names: Sequence[str],
    x: np.ndarray,
    truth: np.ndarray | None = None,
    mark: np.ndarray | None = None,
    ends: Sequence[tuple[float, float] | None] | None = None,
) -> np.ndarray:
    """Fills the figure with the cells; without `truth` those above the diagonal are left out.

    Args:
        fig: an empty figure.
        names: of the columns.
        x: the rows.
        truth: rows to compare with: an outline on the diagonal, and the cells above it.
        mark: one row to point at in every cell.
        ends: beyond which the frame of a column does not reach, None where it may; None for all.

    Shape: x (n, d); truth (m, d); mark (d,). Returns the frame of each column, (d, 2).
    """
    d = len(names)
    grid = fig.subplots(d, d, squeeze=False)
    truths = [None] * d if truth is None else truth.T
    marks = [None] * d if mark is None else mark
    frames = [_frame(x[:, i], truths[i], marks[i], None if ends is None else ends[i]) for i in range(d)]
    small = 7 if d > 4 else 8
    width = int(cell_size(d) * 72 / (small + 1) / 0.68)  # characters along a cell's side; the font's mean is .6
    for row in range(d):
        for col in range(d):
            axes = grid[row, col]
            if col > row and truth is None:
                axes.remove()
                continue
            if row == col:
                _marginal(axes, x[:, row], truths[row], frames[row], width, small)
                if mark is not None:
                    axes.axvline(mark[row], color=RED, linewidth=1.6)
            else:
                if col < row or truth is None:
                    rows, colour, colours = x, BLUE, BLUES
                else:
                    rows, colour, colours = truth, ORANGE, ORANGES
                _joint(axes, rows[:, col], rows[:, row], frames[col], frames[row], colour, colours)
                if mark is not None:
                    axes.plot(*mark[[col, row]], **MARK)
            _edges(axes, row, col, d, names, width, small)
    fig.align_labels()
    return np.array(frames)


def _frame(
    values: np.ndarray, truth: np.ndarray | None, mark: float | None, ends: tuple[float, float] | None
) -> tuple[float, float]:
    """The ends of an axis: the central 99.8 % of the rows (a stray row must not shrink the rest), mark and margin."""
    both = [np.quantile(v, (0.001, 0.999)) for v in (values, truth) if v is not None]
    both += [] if mark is None else [(mark, mark)]
    low, high = min(q[0] for q in both), max(q[1] for q in both)
    margin = 0.06 * (high - low) or 0.5 * abs(low) or 0.5
    low, high = float(low - margin), float(high + margin)
    return (low, high) if ends is None else (max(low, ends[0]), min(high, ends[1]))


def _marginal(
    axes: Axes, values: np.ndarray, truth: np.ndarray | None, frame: tuple[float, float], width: int, small: int
) -> None:
    edges = np.linspace(frame[0], frame[1], int(np.clip(2 * len(values) ** (1 / 3), 12, 60)) + 1).tolist()
    axes.hist(values, edges, density=True, color=BLUE, alpha=0.35, linewidth=0)
    axes.hist(values, edges, density=True, color=BLUE, histtype="step", linewidth=1.2)
    if truth is not None:
        axes.hist(truth, edges, density=True, color=ORANGE, histtype="step", linewidth=1.6, linestyle="--")
    q05, q50, q95 = np.quantile(values, (0.05, 0.5, 0.95))
    axes.axvline(q50, color=INK, linewidth=1.0)
    for q in (q05, q95):
        axes.axvline(q, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(frame)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    text = interval_text(q50, q05, q95)
    axes.set_title(text if len(text) <= width + 2 else text.replace("  [", "\n["), fontsize=small, pad=3)


def _joint(
    axes: Axes,
    a: np.ndarray,
    b: np.ndarray,
    frame_a: tuple[float, float],
    frame_b: tuple[float, float],
    colour: str,
    colours: Colormap,
) -> None:
    if len(a) < _SCATTER_BELOW:
        size = float(np.clip(2_000 / len(a), 1.0, 6.0))
        axes.scatter(a, b, s=size, color=colour, alpha=0.45, linewidths=0, rasterized=True)
    else:
        bins = int(np.clip(len(a) ** 0.5 / 1.6, 40, 90))
        counts, edges_a, edges_b = np.histogram2d(a, b, bins, (frame_a, frame_b))
        # A point mass fills one row of cells, and beside it the rest must not fade to white. So the scale is that of
        # a root of the counts, and ends below the fullest cells.
        top = np.quantile(counts[counts > 0], 0.99) if counts.any() else 1.0
        axes.pcolormesh(edges_a, edges_b, counts.T, cmap=colours, norm=PowerNorm(0.6, 0, top), rasterized=True)
    axes.set_xlim(frame_a)
    axes.set_ylim(frame_b)


def _edges(axes: Axes, row: int, col: int, d: int, names: Sequence[str], width: int, small: int) -> None:
    """Keeps numbers and names at the outer edges of the grid alone."""
    axes.tick_params(labelsize=small, length=2.5)
    axes.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
    if row != col:
        axes.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
    if row == d - 1:
        axes.tick_params(axis="x", labelrotation=45 if d > 3 else 0)
        axes.set_xlabel(wrap(names[col], width), fontsize=small + 1)
    else:
        axes.tick_params(axis="x", labelbottom=False)
    if col == 0 and row > 0:
        axes.set_ylabel(wrap(names[row], width), fontsize=small + 1)
    else:
        axes.tick_params(axis="y", labelleft=False)
