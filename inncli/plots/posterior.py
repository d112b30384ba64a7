"""The pair plot of a posterior: each unknown on the diagonal, each pair of them below it.

Reference draws, where there are some, are an outline on the diagonal and fill the cells above it. The ys that the
simulator gives for the draws, where they are known, stand beside it in y's space, around the y that was observed.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from inncli.errors import DataError, ShapeError, did_you_mean
from inncli.inference.posterior_set import PosteriorSet
from inncli.numerics import circle
from inncli.plots.pairs import MARK, cell_size, pair_grid
from inncli.plots.style import BLUE, GREY, INK, ORANGE, RED, new_figure, shorten, styled, values_text
from inncli.variables import Circle

MOST = 12  # cells smaller than about 2 cm can't be read
MOST_Y = 4  # of the cloud beside them
LARGEST = 1e150  # its square is finite
_TIGHT = {"w_pad": 0.02, "h_pad": 0.02, "wspace": 0.02, "hspace": 0.02}


class _Rows:
    """The rows of one figure; those on a circle are cut opposite to the draws' mean direction.

    So an angle near 0 is drawn from -10 to 10, or from 350 to 370: never at both ends.

    Attributes:
        x: draws, (S, d).
        reference: draws to compare with, (n, d), or None.
        truth: the x that y came from, (d,), or None.
        circles: of the columns.
        ends: those of the period in which a column lies, None for a line.
    """

    def __init__(
        self,
        x: np.ndarray,
        reference: np.ndarray | None,
        truth: np.ndarray | None,
        circles: tuple[Circle | None, ...],
    ) -> None:
        self.x, self.reference, self.truth, self.circles = x, reference, truth, circles
        self.ends: list[Circle | None] = [None] * x.shape[1]
        if not any(circles):
            return
        self.x = x.copy()
        self.reference = None if reference is None else reference.copy()
        for i, on in enumerate(circles):
            if on is None:
                continue
            self.x[:, i], ends = circle.cut(x[:, i], on)
            self.ends[i] = ends
            for others in (self.reference, self.truth):
                if others is not None:
                    others[..., i] = circle.unrolled(others[..., i], sum(ends) / 2, on)


def posterior_pairs(
    draws: PosteriorSet,
    obs: int = 0,
    reference: np.ndarray | None = None,
    names: tuple[str, ...] | None = None,
    truth: np.ndarray | None = None,
    cloud: np.ndarray | None = None,
) -> Figure:
    """Draws the pair plot of observation `obs`.

    Args:
        draws: the posterior set.
        obs: which observation, from 0.
        reference: draws of the true posterior, to compare with.
        names: the unknowns to show, in order; None: all, or the first 12.
        truth: the x that y came from, where it is known; marked.
        cloud: s(x) of the draws, shown beside them around the observed y; failed simulations (NaN) are left out.

    Shape: reference (n, Dx); truth (Dx,); cloud (S, Dy).

    Raises:
        DataError: no such observation or unknown, or no simulation came out. ShapeError: the reference has another
            Dx, or the cloud another Dy.
    """
    if not 0 <= obs < draws.n_obs:
        raise DataError(f"expected an observation from 0 to {draws.n_obs - 1}, got {obs}; pick one of those")
    if reference is not None and (reference.ndim != 2 or reference.shape[1] != draws.x.shape[2]):
        raise ShapeError(f"reference: expected (n, {draws.x.shape[2]}), got {reference.shape}; check its columns")
    if cloud is not None and (cloud.ndim != 2 or cloud.shape[1] != len(draws.y_names)):
        raise ShapeError(f"cloud: expected (n, {len(draws.y_names)}), got {cloud.shape}; check its columns")
    for name in names or ():
        if name not in draws.x_names:
            raise DataError(
                f"expected an unknown out of {', '.join(draws.x_names)}, got {name!r}"
                f"{did_you_mean(name, draws.x_names) or '; pick one of those'}"
            )
    if cloud is not None:
        cloud = cloud[np.isfinite(cloud).all(1)]
        if not len(cloud):
            raise DataError(
                "expected the simulation of a draw at least, got none that came out; look at the draws first"
            )
    shown = tuple(names or draws.x_names[:MOST])
    index = [draws.x_names.index(name) for name in shown]
    for name, column in zip(shown, draws.x[obs][:, index].T, strict=True):
        if not (np.abs(column) < LARGEST).all():
            raise DataError(
                f"expected finite draws of {name}, got some that are not, or beyond {LARGEST:g}; they can't be drawn"
            )
    rows = _Rows(
        draws.x[obs][:, index],
        None if reference is None else reference[:, index],
        None if truth is None else np.asarray(truth, dtype=np.float64)[index],
        tuple(draws.circles[i] for i in index),
    )
    wide, high = _size(len(shown), heading=len(shown) == 1 or reference is not None)
    with styled():
        if cloud is None:
            fig = new_figure(wide, high, **_TIGHT)
            _pairs(fig, wide, high, draws, obs, shown, rows)
            return fig
        few = min(len(draws.y_names), MOST_Y)
        wide_y, high_y = (3.4, 3.6) if few == 1 else _size(few, heading=True)
        fig = new_figure(wide + wide_y, max(high, high_y), **_TIGHT)
        left, right = fig.subfigures(1, 2, squeeze=False, width_ratios=[wide, wide_y])[0]
        _pairs(left, wide, max(high, high_y), draws, obs, shown, rows)
        _cloud(right, wide_y, draws, obs, cloud, few)
    return fig


def _size(d: int, heading: bool) -> tuple[float, float]:
    """Width and height in inches; a heading that does not fit into the empty triangle takes half an inch."""
    return cell_size(d) * d + (1.6 if d == 1 else 0.9), cell_size(d) * d + 1.0 + 0.5 * heading


def _pairs(
    fig: FigureBase,
    wide: float,
    high: float,
    draws: PosteriorSet,
    obs: int,
    names: tuple[str, ...],
    rows: _Rows,
) -> None:
    frames = pair_grid(fig, names, rows.x, rows.reference, rows.truth, rows.ends)
    periodic = [
        f"{name} is periodic, {on[0]:g} is {on[1]:g}" for name, on in zip(names, rows.circles, strict=True) if on
    ]
    _heading(fig, wide, high, draws, obs, rows, frames, periodic)


def _cloud(fig: FigureBase, wide: float, draws: PosteriorSet, obs: int, cloud: np.ndarray, few: int) -> None:
    """Draws s(x) of the draws in y's space, and the y that was observed."""
    y = draws.y[obs]
    pair_grid(fig, draws.y_names[:few], cloud[:, :few], mark=y[:few])
    off = float(np.sqrt(np.mean(np.sum((cloud - y) ** 2, axis=1))))
    lines = ["The draws simulated again", f"root mean square distance to y: {off:.3g}"]
    if few < len(draws.y_names):
        lines.append(f"{few} of {len(draws.y_names)} columns of y")
    fig.suptitle("\n".join(shorten(line, int(13 * wide)) for line in lines), fontsize=9)
    fig.legend(
        handles=[
            Patch(facecolor=BLUE, alpha=0.45, edgecolor=BLUE, label="s(x) of the draws"),
            Line2D([], [], **MARK, label="observed y"),
        ],
        loc="outside lower center",
        ncols=2,
        fontsize=8,
    )


def _heading(
    fig: FigureBase,
    wide: float,
    high: float,
    draws: PosteriorSet,
    obs: int,
    rows: _Rows,
    frames: np.ndarray,
    notes: list[str],
) -> None:
    x, referred, marked = rows.x, rows.reference is not None, rows.truth is not None
    d = x.shape[1]
    width = max(34, int(13 * wide))
    given = values_text(draws.y_outside(obs))
    title = shorten(f"Posterior given {given}" if given else "Draws of x", width)
    bottom, top = frames.T
    outside = float(np.mean(((x < bottom) | (x > top)).any(axis=1)))
    lines = [f"{len(x):,} draws"]
    if draws.meta.get("run"):
        lines.append(f"run {draws.meta['run']}")
    if d < len(draws.x_names):
        lines.append(f"{d} of {len(draws.x_names)} unknowns")
    if outside > 0:
        lines.append(f"{100 * outside:.2g} % of the draws lie outside the frame")
    lines += notes
    handles = [
        Patch(facecolor=BLUE, alpha=0.45, edgecolor=BLUE, label="model"),
        Line2D([], [], color=INK, linewidth=1.0, label="median"),
        Line2D([], [], color=INK, linewidth=0.8, linestyle=":", label="5 % and 95 %"),
    ]
    if marked:
        handles.append(
            Line2D([], [], color=RED, linewidth=1.6, marker="X", markersize=7, markeredgecolor="white", label="true x")
        )
    if referred:
        handles.insert(1, Line2D([], [], color=ORANGE, linewidth=1.6, linestyle="--", label="reference"))
    if not referred and d > 1:  # the empty triangle has room
        fig.text(0.99, 0.985, title, ha="right", va="top", fontsize=11)
        fig.text(
            0.99, 0.985 - 0.28 / high, "\n".join(lines), ha="right", va="top", fontsize=8, color=GREY, linespacing=1.4
        )
        fig.legend(
            handles=handles,
            loc="upper right",
            fontsize=8,
            borderaxespad=0,
            bbox_to_anchor=(0.99, 0.985 - (0.34 + 0.17 * len(lines)) / high),
        )
    else:
        rest = [", ".join(lines[:2]), ", ".join(lines[2:])]
        fig.suptitle("\n".join([title, *filter(None, rest)]), fontsize=9)
        fig.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(handles) if wide > 4.4 else 3,
            fontsize=8,
            columnspacing=1.2,
        )
