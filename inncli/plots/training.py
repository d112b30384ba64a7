"""The training curve: losses by epoch, the epoch that was kept, and the learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from inncli.errors import DataError
from inncli.plots.style import BLUE, GREY, INK, ORANGE, finite, new_figure, shorten, styled

_LOSSES = {
    "train_loss": ("training", ORANGE, "--"),
    "loss": ("training", ORANGE, "--"),
    "val_loss": ("validation", BLUE, "-"),
}


def training_curve(metrics: list[dict[str, Any]], title: str = "") -> Figure:
    """Draws `train_loss` (or `loss`) and `val_loss` over `epoch`, and `lr` below where it was written.

    A loss that was not finite leaves a gap. Where the first epochs lie far above the rest, the axis is cut
    below them and a note says so, since the end of a training matters most.

    Args:
        metrics: the lines of metrics.jsonl.
        title: one line.

    Raises:
        DataError: no epoch has a loss.
    """
    columns = {key: np.array(finite([line.get(key) for line in metrics])) for key in ("epoch", *_LOSSES, "lr")}
    epoch = columns["epoch"]
    losses = {key: columns[key] for key in _LOSSES if np.isfinite(columns[key]).any()}
    if not losses:
        raise DataError("expected at least one trained epoch with a loss, got none; train longer")
    with styled():
        with_lr = np.isfinite(columns["lr"]).any()
        fig = new_figure(6.2, 4.2 if with_lr else 3.5)
        top, *below = fig.subplots(1 + with_lr, 1, sharex=True, squeeze=False, height_ratios=[4, 1][: 1 + with_lr])[
            :, 0
        ]
        for key, values in losses.items():
            label, colour, dash = _LOSSES[key]
            top.plot(epoch, values, dash, color=colour, label=label, marker="." if len(epoch) < 30 else None)
        if "val_loss" in losses:
            best = int(np.nanargmin(losses["val_loss"]))
            at, value = epoch[best], losses["val_loss"][best]
            top.plot(
                [at],
                [value],
                "o",
                color=BLUE,
                mfc="white",
                mew=1.6,
                ms=7,
                zorder=5,
                label=f"best: {value:.4g} at epoch {at:.0f}",
            )
        _cut_top(top, np.concatenate(list(losses.values())))
        top.set_ylabel("loss")
        top.grid(True)
        top.legend(loc="best")
        if title:
            top.set_title(shorten(title, 70), loc="left", color=INK)
        for axes in below:
            axes.plot(epoch, columns["lr"], color=GREY)
            axes.set_ylabel("learning\nrate")
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_locator(MaxNLocator(2))
            axes.grid(True)
        bottom = below[0] if below else top
        bottom.set_xlabel("epoch")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
        fig.align_ylabels()
    return fig


def _cut_top(axes: Axes, values: np.ndarray) -> None:
    values = values[np.isfinite(values)]
    # "lower": among few epochs, one that exploded must not move the quantile.
    low, most, high = values.min(), np.quantile(values, 0.75, method="lower"), values.max()
    if high - low > 5 * (most - low) > 0:
        top = low + 3 * (most - low)
        axes.set_ylim(low - 0.08 * (top - low), top)
        axes.plot([], [], "^", color=GREY, ms=5, label=f"beyond the axis: up to {high:.5g}")
