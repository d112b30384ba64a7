"""A density over two unknowns, with the regions that hold half and nine tenths of it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from inncli.errors import DataError, ShapeError
from inncli.plots.style import BLUES, INK, ORANGE, new_figure, shorten, styled

_REGIONS: tuple[tuple[float, LineStyleType], ...] = ((0.9, "--"), (0.5, "-"))  # share of the mass, and its line


def density2d(
    grid_x: np.ndarray,
    grid_y: np.ndarray,
    log_prob: np.ndarray,
    samples: np.ndarray | None = None,
    names: tuple[str, str] = ("x1", "x2"),
    title: str = "",
    samples_label: str = "draws",
) -> Figure:
    """Draws p = exp(log_prob) on a grid.

    Args:
        grid_x: the grid's even steps along the first unknown.
        grid_y: those along the second.
        log_prob: the log density at each point, in nats.
        samples: rows to lay over it.
        names: the unknowns.
        title: one line.
        samples_label: what the rows are.

    Shape: grid_x (nx,); grid_y (ny,); log_prob (ny, nx); samples (n, 2).

    Raises:
        ShapeError: the parts don't fit. DataError: no point has a finite log density.
    """
    grid_x, grid_y, log_prob = (np.asarray(v, dtype=np.float64) for v in (grid_x, grid_y, log_prob))
    if log_prob.shape != (len(grid_y), len(grid_x)) or min(log_prob.shape) < 2:
        raise ShapeError(
            f"log_prob: expected ({len(grid_y)}, {len(grid_x)}) and at least 2 a side, "
            f"got {log_prob.shape}; rows follow grid_y"
        )
    if not np.isfinite(log_prob).any():
        raise DataError("expected a finite log density somewhere on the grid, got none; move the grid")
    density = np.exp(np.where(np.isnan(log_prob), -np.inf, log_prob))
    with styled():
        wide = (grid_x[-1] - grid_x[0]) / (grid_y[-1] - grid_y[0])
        fig = new_figure(5.4, 4.7)
        axes = fig.subplots()
        # A spike at a bound must not leave the rest of the picture white.
        top = min(density.max(), 4 * _level(density, 0.1))
        picture = axes.pcolormesh(
            grid_x, grid_y, density, cmap=BLUES, vmin=0, vmax=top, shading="nearest", rasterized=True
        )
        handles = []
        levels = [_level(density, share) for share, _ in _REGIONS]
        if levels[0] < levels[1] < density.max():
            axes.contour(grid_x, grid_y, density, levels, colors=INK, linewidths=0.9, linestyles=["dashed", "solid"])
            handles = [
                Line2D([], [], color=INK, linewidth=0.9, linestyle=dash, label=f"{100 * share:.0f} % of the mass")
                for share, dash in _REGIONS
            ]
        if samples is not None:
            axes.scatter(
                samples[:, 0],
                samples[:, 1],
                s=float(np.clip(4_000 / len(samples), 1.5, 8)),
                color=ORANGE,
                alpha=0.8,
                linewidths=0,
                rasterized=True,
            )
            handles.append(
                Line2D([], [], color=ORANGE, marker="o", ms=4, linewidth=0, label=f"{len(samples):,} {samples_label}")
            )
        axes.set_xlim(grid_x[0], grid_x[-1])
        axes.set_ylim(grid_y[0], grid_y[-1])
        if 0.5 < wide < 2:  # the unknowns are alike: a circle is drawn as a circle
            axes.set_aspect("equal")
        axes.set_xlabel(shorten(names[0], 50))
        axes.set_ylabel(shorten(names[1], 40))
        if title:
            axes.set_title(shorten(title, 60), loc="left", color=INK)
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        bar = fig.colorbar(picture, ax=axes, pad=0.02, extend="max" if top < density.max() else "neither")
        bar.set_label("density (per unit of both unknowns)")
        bar.outline.set_visible(False)
        if handles:
            fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def _level(density: np.ndarray, share: float) -> float:
    """The density above which this share of the grid's mass lies."""
    falling = np.sort(density.ravel())[::-1]
    mass = np.cumsum(falling)
    return float(falling[min(np.searchsorted(mass, share * mass[-1]), len(falling) - 1)])
