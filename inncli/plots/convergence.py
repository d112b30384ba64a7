"""How a solver converges: residuals by evaluation, a panel for each block, against the rate that is certified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from inncli.errors import DataError
from inncli.plots.style import BLUE, GREY, INK, ORANGE, new_figure, shorten, styled


@dataclass(frozen=True)
class Convergence:
    """One block: its certified Lipschitz constant, and for each method the largest residual of all rows.

    Attributes:
        lipschitz: L, certified.
        histories: method -> (evaluations before the first residual, residuals evaluation by evaluation).
    """

    lipschitz: float
    histories: dict[str, tuple[int, list[float]]]


def convergence(blocks: Sequence[Convergence], title: str = "") -> Figure:
    """Draws each block's residuals over the evaluations of g, and the line r_0 L^k that Banach's can't exceed.

    Raises:
        DataError: there is no block.
    """
    if not blocks:
        raise DataError("expected at least one residual block, got none; train with model=iresnet")
    columns = min(4, math.ceil(math.sqrt(len(blocks))))
    rows = math.ceil(len(blocks) / columns)
    with styled():
        fig = new_figure(0.6 + 1.9 * columns, 0.9 + 1.5 * rows)
        panels = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for k, (axes, block) in enumerate(zip(panels, blocks, strict=False)):  # the last row may have empty places
            longest = max(before + len(values) for before, values in block.histories.values())
            start = max(values[0] for _, values in block.histories.values())
            axes.plot(
                [1, longest],
                [start, start * block.lipschitz ** (longest - 1)],
                ":",
                color=GREY,
                label="certified rate" if k == 0 else None,
            )
            # As many lines as there are methods.
            looks = zip(block.histories.items(), ((ORANGE, "--"), (BLUE, "-")), strict=False)
            for (method, (before, values)), (colour, dash) in looks:
                # A start at the solution has residual 0, which a logarithm can't show.
                shown = [(before + i, value) for i, value in enumerate(values, 1) if value > 0]
                axes.plot(
                    *zip(*shown, strict=True) if shown else ([], []),
                    dash,
                    color=colour,
                    marker="." if before else None,
                    ms=4,
                    label=method if k == 0 else None,
                )
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # no formulas in this style
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.grid(True)
            axes.set_title(f"block {k}, L = {block.lipschitz:.3f}", loc="left", fontsize=8, color=INK)
        for axes in panels[len(blocks) :]:
            axes.set_visible(False)
        fig.supxlabel("evaluations of g", fontsize=9)
        fig.supylabel("largest residual |x + g(x) \N{MINUS SIGN} z|", fontsize=9)
        fig.legend(loc="outside upper right", ncols=3)
        if title:
            fig.suptitle(shorten(title, 60), x=0.01, ha="left", fontsize=10)
    return fig
