"""The pair plot of a posterior: each unknown alone on the diagonal, each two of them below it.

Where reference draws are given they are an outline on the diagonal, and fill the cells above it.
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from inncli.errors import DataError, ShapeError, did_you_mean
from inncli.plots.style import (
    BLUE,
    BLUES,
    GREY,
    INK,
    ORANGE,
    ORANGES,
    interval_text,
    new_figure,
    shorten,
    styled,
    values_text,
    wrap,
)
from inncli.posterior import PosteriorSet

MOST = 12  # cells smaller than about 2 cm can't be read
_SCATTER_BELOW = 5_000  # draws; from there on a cell's points run together and a histogram says more


def posterior_pairs(draws: PosteriorSet, obs: int = 0, reference: np.ndarray | None = None,
                    names: tuple[str, ...] | None = None) -> Figure:
    """Draws the pair plot of observation `obs`.

    Args:
        draws: the posterior set.
        obs: which observation, from 0.
        reference: draws of the true posterior, to compare with.
        names: the unknowns to show, in order; None: all, or the first 12.

    Shape: reference (n, Dx).
    Raises:
        DataError: no such observation or unknown. ShapeError: the reference has another Dx.
    """
    if not 0 <= obs < draws.n_obs:
        raise DataError(f"expected an observation from 0 to {draws.n_obs - 1}, got {obs}; pick one of those")
    if reference is not None and (reference.ndim != 2 or reference.shape[1] != draws.x.shape[2]):
        raise ShapeError(f"reference: expected (n, {draws.x.shape[2]}), got {reference.shape}; "
                         "check its columns")
    for name in names or ():
        if name not in draws.x_names:
            raise DataError(f"expected an unknown out of {', '.join(draws.x_names)}, got {name!r}"
                            f"{did_you_mean(name, draws.x_names) or '; pick one of those'}")
    shown = tuple(names or draws.x_names[:MOST])
    index = [draws.x_names.index(name) for name in shown]
    x = draws.x[obs][:, index]
    truth = None if reference is None else reference[:, index]
    with styled():
        return _pairs(draws, obs, shown, x, truth)


def _pairs(draws: PosteriorSet, obs: int, names: tuple[str, ...], x: np.ndarray,
           truth: np.ndarray | None) -> Figure:
    d = len(names)
    cell = {1: 3.6, 2: 2.4, 3: 1.9}.get(d, max(1.15, 1.7 - 0.09 * (d - 3)))
    heading = 0.5 if d == 1 or truth is not None else 0.0  # else it goes into the empty triangle
    fig = new_figure(cell * d + (1.6 if d == 1 else 0.9), cell * d + 1.0 + heading)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    grid = fig.subplots(d, d, squeeze=False)
    truths = [None] * d if truth is None else truth.T
    frames = [_frame(x[:, i], truths[i]) for i in range(d)]
    small = 7 if d > 4 else 8
    width = int(cell * 72 / (small + 1) / 0.68)  # characters along a cell's side; the font's mean is .6
    for row in range(d):
        for col in range(d):
            axes = grid[row, col]
            if col > row and truth is None:
                axes.remove()
                continue
            if row == col:
                _marginal(axes, x[:, row], truths[row], frames[row], width, small)
            elif col < row:
                _joint(axes, x[:, col], x[:, row], frames[col], frames[row], BLUE, BLUES)
            else:
                _joint(axes, truth[:, col], truth[:, row], frames[col], frames[row], ORANGE, ORANGES)
            _edges(axes, row, col, d, names, width, small)
    fig.align_labels()
    _heading(fig, draws, obs, d, x, truth, frames)
    return fig


def _frame(values: np.ndarray, truth: np.ndarray | None) -> tuple[float, float]:
    """The axis: the central 99.8 % of the draws and a margin; a few stray draws don't shrink the rest."""
    both = [np.quantile(v, (0.001, 0.999)) for v in (values, truth) if v is not None]
    low, high = min(q[0] for q in both), max(q[1] for q in both)
    margin = 0.06 * (high - low) or 0.5 * abs(low) or 0.5
    return float(low - margin), float(high + margin)


def _marginal(axes, values: np.ndarray, truth: np.ndarray | None, frame, width: int, small: int) -> None:
    edges = np.linspace(*frame, int(np.clip(2 * len(values) ** (1 / 3), 12, 60)) + 1)
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


def _joint(axes, a: np.ndarray, b: np.ndarray, frame_a, frame_b, colour: str, colours) -> None:
    if len(a) < _SCATTER_BELOW:
        size = float(np.clip(2_000 / len(a), 1.0, 6.0))
        axes.scatter(a, b, s=size, color=colour, alpha=0.45, linewidths=0, rasterized=True)
    else:
        bins = int(np.clip(len(a) ** 0.5 / 1.6, 40, 90))
        counts, edges_a, edges_b = np.histogram2d(a, b, bins, (frame_a, frame_b))
        # A heap of equal values fills one row of cells; beside it the rest must not fade to white:
        # the root of the counts, and an end of the scale that the fullest cells exceed.
        top = np.quantile(counts[counts > 0], 0.99) if counts.any() else 1.0
        axes.pcolormesh(edges_a, edges_b, counts.T, cmap=colours, norm=PowerNorm(0.6, 0, top),
                        rasterized=True)
    axes.set_xlim(frame_a)
    axes.set_ylim(frame_b)


def _edges(axes, row: int, col: int, d: int, names, width: int, small: int) -> None:
    """Numbers and names only at the outer edges of the grid."""
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


def _heading(fig: Figure, draws: PosteriorSet, obs: int, d: int, x: np.ndarray, truth, frames) -> None:
    width = max(34, int(13 * fig.get_figwidth()))
    given = values_text(draws.y_outside(obs))
    title = shorten(f"Posterior given {given}" if given else "Draws of x", width)
    low, high = np.array(frames).T
    outside = float(np.mean(((x < low) | (x > high)).any(axis=1)))
    lines = [f"{len(x):,} draws"]
    if draws.meta.get("run"):
        lines.append(f"run {draws.meta['run']}")
    if d < len(draws.x_names):
        lines.append(f"{d} of {len(draws.x_names)} unknowns")
    if outside > 0:
        lines.append(f"{100 * outside:.2g} % of the draws lie outside the frame")
    handles = [Patch(facecolor=BLUE, alpha=0.45, edgecolor=BLUE, label="model"),
               Line2D([], [], color=INK, linewidth=1.0, label="median"),
               Line2D([], [], color=INK, linewidth=0.8, linestyle=":", label="5 % and 95 %")]
    if truth is not None:
        handles.insert(1, Line2D([], [], color=ORANGE, linewidth=1.6, linestyle="--", label="reference"))
    if truth is None and d > 1:  # the empty triangle has room
        fig.text(0.99, 0.985, title, ha="right", va="top", fontsize=11)
        fig.text(0.99, 0.985 - 0.28 / fig.get_figheight(), "\n".join(lines), ha="right", va="top", fontsize=8,
                 color=GREY, linespacing=1.4)
        fig.legend(handles=handles, loc="upper right", fontsize=8, borderaxespad=0,
                   bbox_to_anchor=(0.99, 0.985 - (0.34 + 0.17 * len(lines)) / fig.get_figheight()))
    else:
        rest = [", ".join(lines[:2]), ", ".join(lines[2:])]
        fig.suptitle("\n".join([title, *filter(None, rest)]), fontsize=9)
        fig.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, columnspacing=1.2)
