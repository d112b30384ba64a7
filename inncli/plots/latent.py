"""The latent of held-out pairs: standard normal and independent of y, where the model is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType
from scipy.stats import beta, norm

from inncli.errors import DataError, ShapeError
from inncli.plots.style import BLUE, GREY, INK, ORANGE, new_figure, shorten, styled

MOST = 8  # histograms; of more columns the farthest from the normal are shown
_FRAME = 4.2  # sds; the heading says how many rows lie beyond
# From dark blue to orange: the two differ in lightness too, and no part of the scale is white.
_CENTRES = LinearSegmentedColormap.from_list("inn_y", ["#002B45", "#0072B2", "#9BB8C4", "#F0B545", "#C47A00"])


def latent(
    z: np.ndarray, y: np.ndarray | None = None, y_name: str = "", title: str = "", labels: tuple[str, ...] | None = None
) -> Figure:
    r"""Draws z against N(0, 1): a histogram a column, quantiles against the normal's, and two columns by y.

    The band of the quantiles is where one of n sorted normals lies 95 times in 100,
    :math:`\Phi^{-1}(\mathrm{Beta}(k, n + 1 - k))`.

    Args:
        z: the latents of held-out pairs.
        y: a number for each row, which gives its colour.
        y_name: what it is called.
        title: one line.
        labels: names of the values 0, 1, ... of a categorical y.

    Shape: z (n, d); y (n,).

    Raises:
        ShapeError: the parts don't fit. DataError: no row of z is finite.
    """
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 2 or (y is not None and np.shape(y) != (len(z),)):
        given = () if y is None else np.shape(y)
        raise ShapeError(f"z, y: expected (n, d) and (n,), got {z.shape} and {given}; check their rows")
    good = np.isfinite(z).all(1)
    if not good.any():
        raise DataError("expected a finite z for one held-out row at least, got none; the model overflows")
    lost = int((~good).sum())
    z, y = z[good], None if y is None else np.asarray(y, dtype=np.float64)[good]
    far = [_distance(column) for column in z.T]
    shown = sorted(np.argsort(far, kind="stable")[::-1][:MOST].tolist())
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    two = z.shape[1] > 1 or y is not None
    with styled():
        fig = new_figure(3.9 + (3.9 if two else 0), 4.1 + 1.3 * rows)
        top, bottom = fig.subfigures(2, 1, squeeze=False, height_ratios=[3.6, 0.3 + 1.3 * rows])[:, 0]
        panels = top.subplots(1, 1 + two, squeeze=False)[0]
        _quantiles(panels[0], z, far)
        if two:
            _scatter(top, panels[1], z, far, y, y_name, labels)
        _histograms(bottom, z, shown, rows, columns)
        words = [f"{len(z):,} held-out rows", f"{z.shape[1]} columns" if z.shape[1] > 1 else ""]
        if len(shown) < z.shape[1]:
            words.append(f"histograms: the {len(shown)} farthest from normal")
        outside = float(np.mean((np.abs(z) > _FRAME).any(1)))
        words.append(f"{100 * outside:.2g} % of the rows beyond {_FRAME:g}" if outside else "")
        words.append(f"{lost:,} rows have no finite z" if lost else "")
        wide = int(13 * fig.get_figwidth())
        fig.suptitle(
            "\n".join(shorten(line, wide) for line in (title, ", ".join(filter(None, words))) if line), fontsize=9
        )
    return fig


def _distance(column: np.ndarray) -> float:
    """Kolmogorov's distance from N(0, 1): the largest gap between the two distribution functions. Shape: (n,)."""
    p = norm.cdf(np.sort(column))
    k = np.arange(len(p) + 1) / len(p)
    return float(max(np.max(k[1:] - p), np.max(p - k[:-1])))


def _quantiles(axes: Axes, z: np.ndarray, far: list[float]) -> None:
    n = len(z)
    k = np.unique(
        np.concatenate(
            [np.arange(1, min(n, 30) + 1), np.linspace(1, n, 200).astype(int), np.arange(max(1, n - 29), n + 1)]
        )
    )
    normal = norm.ppf((k - 0.5) / n)
    low, high = norm.ppf(beta.ppf(0.025, k, n + 1 - k)), norm.ppf(beta.ppf(0.975, k, n + 1 - k))
    axes.fill_between(normal, low, high, color=GREY, alpha=0.25, linewidth=0, label="95 % of normals")
    axes.plot([-_FRAME, _FRAME], [-_FRAME, _FRAME], color=GREY, linewidth=0.8)
    worst = int(np.argmax(far))
    for i in range(z.shape[1]):
        if i != worst:
            axes.plot(normal, np.sort(z[:, i])[k - 1], color=BLUE, linewidth=0.9, alpha=0.6)
    label = f"z{worst + 1}" + (", the farthest" if z.shape[1] > 1 else "")
    axes.plot(normal, np.sort(z[:, worst])[k - 1], "--", color=ORANGE, linewidth=1.8, label=label)
    if z.shape[1] > 1:
        axes.plot([], [], color=BLUE, linewidth=0.9, label="the others")
    axes.set_xlim(-_FRAME, _FRAME)
    axes.set_ylim(-_FRAME, _FRAME)
    axes.set_aspect("equal")
    axes.grid(True)
    axes.set_xlabel("quantile of N(0, 1)")
    axes.set_ylabel("quantile of z")
    axes.legend(loc="upper left")


def _scatter(
    fig: FigureBase,
    axes: Axes,
    z: np.ndarray,
    far: list[float],
    y: np.ndarray | None,
    y_name: str,
    labels: tuple[str, ...] | None,
) -> None:
    """Draws the two columns of z farthest from normal, with circles that hold 50 and 95 % of a normal; or y and z."""
    order = np.random.default_rng(0).permutation(len(z))  # so that no value of y is drawn over the others
    if z.shape[1] > 1:
        a, b = sorted(np.argsort(far, kind="stable")[::-1][:2].tolist())
        points, names = z[order][:, [a, b]], (f"z{a + 1}", f"z{b + 1}")
        for share in (0.5, 0.95):
            axes.add_patch(
                Circle(
                    (0, 0),
                    np.sqrt(-2 * np.log(1 - share)),
                    fill=False,
                    color=INK,
                    linewidth=0.9,
                    linestyle="--" if share < 0.9 else "-",
                )
            )
        axes.set_xlim(-_FRAME, _FRAME)
        axes.set_aspect("equal")
    else:
        assert y is not None  # a single column is drawn against y, or not at all
        points, names = np.column_stack([y, z[:, 0]])[order], (shorten(y_name, 30), "z1")
        for bound in norm.ppf([0.025, 0.975]):
            axes.axhline(bound, color=INK, linewidth=0.9)
    axes.set_ylim(-_FRAME, _FRAME)
    size = float(np.clip(6_000 / len(z), 1.5, 9))
    how: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.75, "rasterized": True}
    across, up = points.T
    if y is None:
        axes.scatter(across, up, color=BLUE, **how)
    else:
        low, high = np.quantile(y, [0.02, 0.98]) if labels is None else (0, len(labels) - 1)
        dots: PathCollection = axes.scatter(across, up, c=y[order], cmap=_CENTRES, norm=Normalize(low, high), **how)
        if z.shape[1] > 1:
            bar = fig.colorbar(dots, ax=axes, pad=0.02, shrink=0.9, extend="both" if labels is None else "neither")
            bar.set_label(shorten(y_name, 30))
            if bar.solids is not None:
                bar.solids.set_alpha(1)
            bar.outline.set_visible(False)
            if labels is not None and len(labels) <= 12:
                bar.set_ticks(range(len(labels)), labels=[shorten(label, 12) for label in labels])
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    if z.shape[1] > 1:
        circles: tuple[tuple[int, LineStyleType], ...] = ((50, "--"), (95, "-"))
        handles = [
            Line2D([], [], color=INK, linewidth=0.9, linestyle=dash, label=f"{share} % of a normal")
            for share, dash in circles
        ]
        axes.legend(handles=handles, loc="upper left", handlelength=1.6)


def _histograms(fig: FigureBase, z: np.ndarray, shown: list[int], rows: int, columns: int) -> None:
    panels = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    edges = np.linspace(-_FRAME, _FRAME, int(np.clip(2 * len(z) ** (1 / 3), 12, 50)) + 1)
    curve = np.linspace(-_FRAME, _FRAME, 200)
    for axes, i in zip(panels, shown, strict=False):  # the last row may have empty places
        axes.hist(z[:, i], edges, density=True, color=BLUE, alpha=0.4, linewidth=0)
        axes.plot(curve, norm.pdf(curve), color=INK, linewidth=1.1)
        mean, sd = z[:, i].mean(), z[:, i].std()
        axes.set_title(f"z{i + 1}: mean {mean:.2f}, sd {sd:.2f}".replace("-", "\N{MINUS SIGN}"), loc="left", fontsize=8)
        axes.set_xlim(-_FRAME, _FRAME)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(shown) - columns) : len(shown)]:
        axes.tick_params(labelbottom=True)
    panels[0].set_ylim(0, max(0.5, *(axes.get_ylim()[1] for axes in panels[: len(shown)])))
    fig.legend(
        handles=[
            Patch(facecolor=BLUE, alpha=0.4, label="z of held-out rows"),
            Line2D([], [], color=INK, linewidth=1.1, label="N(0, 1)"),
        ],
        loc="outside lower center",
        ncols=2,
    )
