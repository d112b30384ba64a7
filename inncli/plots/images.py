"""Draws of x as images, beside real ones of the same observation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from inncli.errors import DataError, ShapeError
from inncli.plots.style import INK, new_figure, shorten, styled

COLUMNS = 8


def images(rows: Sequence[tuple[str, np.ndarray, np.ndarray | None]], title: str = "") -> Figure:
    """Draws a row of images for each observation: the model's draws to the left, real ones to the right.

    Both sides share the grey scale of the real images, where there are any, so that a draw that is too bright shows.

    Args:
        rows: label, draws and real images of each row; 8 of each side are shown.
        title: one line.

    Shape: each (n, height, width).

    Raises:
        DataError: there is nothing to draw. ShapeError: no images.
    """
    if not rows:
        raise DataError("expected at least one row of images, got none; pass a y")
    for _, drawn, real in rows:
        for side in (drawn, real):
            if side is not None and (side.ndim != 3 or not len(side)):
                raise ShapeError(f"images: expected (n, height, width) with n at least 1, got {side.shape}")
    sides: list[tuple[str, list[np.ndarray | None]]] = [("drawn", [draws for _, draws, _ in rows])]
    if any(real is not None for *_, real in rows):
        sides.append(("real", [real for *_, real in rows]))
    measure = np.concatenate([group.ravel() for group in sides[-1][1] if group is not None])
    low, high = np.nanquantile(measure, [0.001, 0.999])
    height, width = rows[0][1].shape[1:]
    labelled = any(label for label, *_ in rows)
    with styled():
        wide = 3.6 * len(sides) + (0.6 if labelled else 0.1)
        high = 0.55 + (0.3 if title else 0) + 3.6 / COLUMNS * len(rows) * height / width
        fig = new_figure(wide, high, wspace=0.06)
        panels = fig.subplots(1, len(sides), squeeze=False)[0]
        for axes, (name, groups) in zip(panels, sides, strict=True):
            axes.imshow(
                _mosaic(groups, height, width),
                cmap="gray_r",
                vmin=low,
                vmax=high,
                interpolation="nearest",
                aspect="equal",
            )
            axes.set_title(name, loc="left")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
        if labelled:
            at = [(height + 1) * row + (height - 1) / 2 for row in range(len(rows))]
            panels[0].set_yticks(at, [shorten(label, 16) for label, *_ in rows])
            panels[0].tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
        if title:
            fig.suptitle(shorten(title, int(10 * wide)), x=0.01, ha="left", fontsize=10)
    return fig


def _mosaic(groups: Sequence[np.ndarray | None], height: int, width: int) -> np.ndarray:
    """One array of all images with a pixel between them; NaN, which is drawn as nothing, where there is no image."""
    out = np.full((len(groups) * (height + 1) - 1, COLUMNS * (width + 1) - 1), np.nan)
    for row, group in enumerate(groups):
        for col, image in enumerate(() if group is None else group[:COLUMNS]):
            top, left = row * (height + 1), col * (width + 1)
            out[top : top + height, left : left + width] = image
    return out
