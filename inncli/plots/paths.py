"""Draws of x as lines in the plane: arms of a robot, trajectories of a throw."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from inncli.errors import DataError, ShapeError
from inncli.numerics.statistics import mean
from inncli.plots.style import BLUE, GREY, INK, ORANGE, RED, new_figure, shorten, styled

MOST = 400  # thin lines; more run together
_FEW = ((INK, "-"), (ORANGE, "--"), ("#56B4E9", "-."))


def paths(
    lines: np.ndarray,
    axes_names: tuple[str, str],
    target: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draws many thin lines and three strong ones among them, and the point where they should end.

    The three lie apart: at the quantiles 1/6, 1/2 and 5/6 of the direction in which lines differ most. Lines of at most
    eight points are arms, and get dots at their joints.

    Args:
        lines: the draws; rows with a value that is not finite are left out.
        axes_names: of the plane.
        target: the end point, as far as y tells it.
        reference: lines of exact draws, in a panel of their own.
        title: one line.

    Shape: lines, reference (n, points, 2); target (2,).

    Raises:
        ShapeError: not lines in a plane. DataError: no line is finite.
    """
    groups = [("model", np.asarray(lines, dtype=np.float64))]
    groups += [] if reference is None else [("reference", np.asarray(reference, dtype=np.float64))]
    for name, group in groups:
        if group.ndim != 3 or group.shape[2] != 2 or group.shape[1] < 2:
            raise ShapeError(f"{name}: expected (n, points, 2), got {group.shape}; a path is a line in the plane")
    groups = [(name, group[np.isfinite(group).all((1, 2))]) for name, group in groups]
    if any(not len(group) for _, group in groups):
        raise DataError("expected a path without a NaN at least, got none; look at the draws first")
    low, high = _frame([group for _, group in groups], target)
    shape = np.clip((high - low)[1] / (high - low)[0], 0.45, 1.4)
    with styled():
        fig = new_figure(0.6 + 4.4 * len(groups), 1.3 + 4.2 * shape, h_pad=0.07)
        panels = fig.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, group) in zip(panels, groups, strict=True):
            _panel(axes, group, target)
            axes.set_xlim(low[0], high[0])
            axes.set_ylim(low[1], high[1])
            if 0.4 < (high - low)[1] / (high - low)[0] < 1.5:
                axes.set_aspect("equal")
            axes.set_xlabel(axes_names[0])
            if len(groups) > 1:
                axes.set_title(name, loc="left")
        panels[0].set_ylabel(axes_names[1])
        handles = [LineCollection([], colors=BLUE, linewidths=0.8, label=f"{min(MOST, len(groups[0][1])):,} draws")]
        marks, labels = panels[0].get_legend_handles_labels()
        fig.legend(
            handles=[*handles, *marks], labels=[handles[0].get_label(), *labels], loc="outside lower center", ncols=3
        )
        if title:
            fig.suptitle(shorten(title, 46 * len(groups)), x=0.01, ha="left", fontsize=10)
    return fig


def _panel(axes: Axes, lines: np.ndarray, target: np.ndarray | None) -> None:
    few = lines[:MOST]
    axes.add_collection(
        LineCollection(
            list(few), colors=BLUE, linewidths=0.6, alpha=float(np.clip(40 / len(few), 0.1, 0.6)), rasterized=True
        )
    )
    joints = "o" if lines.shape[1] <= 8 else None
    chosen = zip(_apart(few, len(_FEW)), _FEW, strict=False)  # of one or two lines there are no three
    for number, (k, (colour, dash)) in enumerate(chosen):
        axes.plot(
            *few[k].T,
            color=colour,
            linestyle=dash,
            linewidth=1.8,
            marker=joints,
            ms=3.5,
            label="three of them" if number == 0 else None,
        )
    axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    if target is not None:
        axes.plot(
            *target, marker="X", ms=10, color=RED, mec="white", mew=1.0, linestyle="", zorder=6, label="y, the target"
        )


def _apart(lines: np.ndarray, n: int) -> list[int]:
    """N different rows at even quantiles of the first principal component."""
    flat = lines.reshape(len(lines), -1)
    flat = flat - mean(flat)
    along = flat @ np.linalg.svd(flat, full_matrices=False)[2][0]
    order = np.argsort(along, kind="stable")
    return list(dict.fromkeys(int(order[int((2 * k + 1) / (2 * n) * len(lines))]) for k in range(n)))


def _frame(groups: list[np.ndarray], target: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Two corners, (2,) each, of a box that holds the lines: 98 % of them stay within each of its sides."""
    lows = [np.quantile(group.min(1), 0.02, axis=0) for group in groups]
    highs = [np.quantile(group.max(1), 0.98, axis=0) for group in groups]
    marks = [] if target is None else [np.asarray(target, dtype=np.float64)]
    low, high = np.min(lows + marks, axis=0), np.max(highs + marks, axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-9 + 0.1 * np.max(high - low))
    return low - margin, high + margin
