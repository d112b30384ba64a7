"""Compares runs: metrics against a setting, with a line for each config, or configs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from matplotlib.typing import LineStyleType

from inncli.errors import DataError
from inncli.metrics import registry
from inncli.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, new_figure, shorten, styled

_LINES: list[tuple[str, LineStyleType, str]] = [
    (BLUE, "-", "o"),
    (ORANGE, "--", "s"),
    (GREEN, "-.", "^"),
    (RED, ":", "D"),
    ("#CC79A7", (0, (5, 1)), "v"),
    ("#56B4E9", (0, (3, 1, 1, 1)), "P"),
    (INK, (0, (1, 1)), "X"),
    (GREY, (0, (8, 2)), "*"),
]
Series = Mapping[str, Sequence[tuple[float | str, Mapping[str, Sequence[float]]]]]


def compare_plot(series: Series, metrics: Sequence[str], x_name: str | None, title: str = "") -> Figure:
    """Draws a panel for each metric: the mean over seeds, their sd as bars, each seed as a dot.

    Args:
        series: label -> points (place, {metric: one value for each seed}).
        metrics: names of those to draw.
        x_name: the setting on the horizontal axis; None sets the series side by side.
        title: one line.

    Raises: DataError without a finite value.
    """
    if not any(
        np.isfinite(v) for points in series.values() for _, values in points for name in metrics for v in values[name]
    ):
        raise DataError("expected a finite number to draw, got none; choose others with `metrics`", "metrics")
    with styled():
        side = x_name is None
        fig = new_figure(1 + 2.8 * len(metrics), 1.2 + 0.32 * len(series) if side else 3.2)
        panels = fig.subplots(1, len(metrics), squeeze=False, sharey=side)[0]
        for axes, name in zip(panels, metrics, strict=True):
            if x_name is None:
                _side_by_side(axes, series, name)
            else:
                _against(axes, series, name, x_name)
        if title:
            panels[0].set_title(shorten(title, 50), loc="left", color=INK)
        if not side and len(series) > 1:
            handles, labels = panels[0].get_legend_handles_labels()
            fig.legend(
                handles, [shorten(label, 60) for label in labels], loc="outside lower center", ncols=min(len(labels), 3)
            )
    return fig


def _against(axes: Axes, series: Series, name: str, x_name: str) -> None:
    places = np.array([at for points in series.values() for at, _ in points], dtype=float)
    logarithmic = places.min() > 0 and places.max() >= 10 * places.min()
    offset = 1.0
    for number, (label, points) in enumerate(series.items()):
        colour, dash, marker = _LINES[number % len(_LINES)]
        measured = [(place, values[name]) for place, values in points if len(values[name])]
        seeds = [np.array(values, dtype=float) for _, values in measured]
        at = np.array([float(place) for place, _ in measured])
        # Lines step aside a little, so that bars at one place don't hide each other.
        at = at * offset if logarithmic else at
        offset *= 1.04
        mean = np.array([values.mean() for values in seeds])
        sd = np.array([values.std(ddof=1) if len(values) > 1 else 0.0 for values in seeds])
        axes.errorbar(
            at,
            mean,
            sd,
            color=colour,
            ls=dash,
            marker=marker,
            ms=5,
            mfc="white",
            mew=1.4,
            capsize=2.5,
            elinewidth=1,
            label=label,
        )
        for place, values in zip(at, seeds, strict=True):
            if len(values) > 1:
                axes.plot(np.full(len(values), place), values, ".", color=colour, ms=3, alpha=0.6)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(x_name)
    axes.set_ylabel(name)
    _scale(axes, series, name, "y")
    axes.grid(True)


def _side_by_side(axes: Axes, series: Series, name: str) -> None:
    for number, points in enumerate(series.values()):
        values = np.array(points[0][1][name], dtype=float)
        if not len(values):
            continue
        sd = values.std(ddof=1) if len(values) > 1 else 0.0
        axes.errorbar([values.mean()], [number], xerr=[sd], color=BLUE, marker="o", mfc="white", mew=1.4, capsize=2.5)
        axes.plot(values, np.full(len(values), number), ".", color=BLUE, ms=3, alpha=0.6)
    axes.set_yticks(range(len(series)), [shorten(label, 40) for label in series])
    axes.set_ylim(len(series) - 0.5, -0.5)
    axes.set_xlabel(name)
    _scale(axes, series, name, "x")
    axes.grid(True)


def _scale(axes: Axes, series: Series, name: str, letter: str) -> None:
    """Sets a log axis where values span a factor of 20, and marks the value that perfect draws reach."""
    values = np.array([v for points in series.values() for _, found in points for v in found[name]])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        getattr(axes, f"set_{letter}scale")("log")
        getattr(axes, f"{letter}axis").set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        getattr(axes, f"{letter}axis").set_minor_formatter(NullFormatter())
    mark = registry.find(name).mark
    if mark is not None:
        line = axes.axhline if letter == "y" else axes.axvline
        line(mark, color=GREY, ls=":", lw=1)
