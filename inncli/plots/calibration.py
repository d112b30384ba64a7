"""Calibration: where the truth falls among the draws, and how often an interval of the draws holds it.

Both are counts of independent observations, so that an exact posterior stays in a binomial band.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType
from scipy.stats import binom

from inncli.errors import DataError
from inncli.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, new_figure, shorten, styled

MOST = 12  # rank histograms; of more names the farthest from uniform are shown
_SHARE = 0.95
_OTHERS: dict[str, tuple[str, str, LineStyleType]] = {
    "tarp": ("TARP", ORANGE, "--"),
    "log_prob": ("log density", GREEN, "-."),
}


def calibration(found: dict[str, Any], title: str = "") -> Figure:
    r"""Draws rank histograms and coverage curves, each with the band that holds 95 % of exact posteriors.

    .. math:: \text{count of a bin} \sim \mathrm{Bin}(n, 1/B), \qquad n \cdot \text{coverage}(\alpha) \sim
        \mathrm{Bin}(n, \alpha)

    The band is that of one bin, or one level: one in 20 lies outside by chance.

    Args:
        found: what an evaluation keeps of its calibration: `n` observations, `names`, `ranks` (counts in equal bins by
            name), `levels`, `coverage` (shares by name) and `tarp` (its own levels and coverage).
        title: one line.

    Raises:
        DataError: there is nothing to draw.
    """
    ranks, coverage = found.get("ranks") or {}, found.get("coverage") or {}
    if not ranks or not found.get("n"):
        raise DataError("expected the ranks of at least one unknown, got none; evaluate the run with this inn")
    shown = _shown(found)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    side = 3.6
    with styled():
        fig = new_figure(1.55 * columns + 0.5 + side, max(side + 1.1, 1.25 * rows + 0.9))
        left, right = fig.subfigures(1, 2, squeeze=False, width_ratios=[1.55 * columns + 0.5, side])[0]
        _ranks(left, found, shown, rows, columns)
        _coverage(right, found, coverage)
        if title:
            fig.suptitle(shorten(title, int(11 * fig.get_figwidth())), x=0.01, ha="left", fontsize=10)
    return fig


def _shown(found: dict[str, Any]) -> list[str]:
    """All names, or the 12 whose ranks are the farthest from uniform, in their order."""
    names = [name for name in found["names"] if name in found["ranks"]]
    far = sorted(names, key=lambda name: -np.var(found["ranks"][name]))[:MOST]
    return [name for name in names if name in far]


def _ranks(fig: FigureBase, found: dict[str, Any], names: list[str], rows: int, columns: int) -> None:
    n, bins = found["n"], len(found["ranks"][names[0]])
    low, high = binom.ppf([(1 - _SHARE) / 2, (1 + _SHARE) / 2], n, 1 / bins)
    edges = np.linspace(0, 1, bins + 1)
    top = max(1.15 * high, 1.05 * max(max(found["ranks"][name]) for name in names))
    panels = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):  # the last row may have empty places
        axes.axhspan(low, high, color=GREY, alpha=0.25, linewidth=0)
        axes.axhline(n / bins, color=GREY, linewidth=0.8)
        axes.stairs(found["ranks"][name], edges, color=BLUE, fill=True, alpha=0.35)
        axes.stairs(found["ranks"][name], edges, color=BLUE, linewidth=1.2)
        axes.set_title(shorten(_OTHERS.get(name, (name,))[0], 20), loc="left", fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, top)
        axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    # The lowest of each column, also above an empty place.
    for axes in panels[max(0, len(names) - columns) : len(names)]:
        axes.tick_params(labelbottom=True)
    fig.supxlabel("rank of the truth among the draws", fontsize=9)
    fig.supylabel("observations", fontsize=9)
    known = sum(name in found["ranks"] for name in found["names"])
    words = f"{n:,} observations, {found['draws']:,} draws each" if "draws" in found else f"{n:,} observations"
    if len(names) < known:
        words += f"; the {len(names)} of {known} farthest from flat"
    fig.suptitle(words, fontsize=9)


def _coverage(fig: FigureBase, found: dict[str, Any], coverage: dict[str, Any]) -> None:
    axes = fig.subplots()
    level = np.linspace(0, 1, 101)
    low, high = (binom.ppf(q, found["n"], level) / found["n"] for q in ((1 - _SHARE) / 2, (1 + _SHARE) / 2))
    axes.fill_between(level, low, high, color=GREY, alpha=0.25, linewidth=0)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    unknowns = [name for name in coverage if name not in _OTHERS]
    few = len(unknowns) <= 4
    colours = (BLUE, RED, INK, "#56B4E9")
    dashes: list[LineStyleType] = ["-", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1))]
    handles: list[Artist] = [Patch(facecolor=GREY, alpha=0.25, label="95 % of exact posteriors")]
    for k, name in enumerate(unknowns):
        colour, dash = (colours[k], dashes[k]) if few else (BLUE, "-")
        (line,) = axes.plot(
            found["levels"],
            coverage[name],
            color=colour,
            linestyle=dash,
            linewidth=1.6 if few else 0.8,
            alpha=1.0 if few else 0.6,
            label=shorten(name, 24),
        )
        handles += [line] if few else []
    if unknowns and not few:
        handles.append(Line2D([], [], color=BLUE, linewidth=0.8, label=f"{len(unknowns)} unknowns"))
    for name, (label, colour, dash) in _OTHERS.items():
        curve = found.get("tarp") if name == "tarp" else {"levels": found["levels"], "coverage": coverage.get(name)}
        if curve and curve.get("coverage"):
            handles += axes.plot(curve["levels"], curve["coverage"], color=colour, linestyle=dash, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.grid(True)
    axes.set_xlabel("nominal level of the interval")
    axes.set_ylabel("share that holds the truth")
    axes.text(0.04, 0.93, "too wide", color=GREY, fontsize=8)
    axes.text(0.96, 0.05, "too narrow", color=GREY, fontsize=8, ha="right")
    fig.suptitle("Coverage", fontsize=9)
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
