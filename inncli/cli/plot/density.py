"""`inn plot density`: the density over two unknowns."""

from __future__ import annotations

from typing import Annotated

import typer

from inncli import data, inference, reporting
from inncli.cli.options import ConfigDirOption, DeviceOption, OutOption, RunOption, SeedOption, checked_out
from inncli.cli.plot.kept import SUFFIXES, keep
from inncli.cli.plot.options import YOption
from inncli.runs.registry import find_run


def density(
    run: RunOption = None,
    y: YOption = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", "-n", min=1, metavar="N", show_default="none", help="Number of draws shown over it."),
    ] = None,
    grid: Annotated[int, typer.Option("--grid", min=2, max=2000, metavar="N", help="Points a side.")] = 200,
    out: OutOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
) -> None:
    """Draw p(x), or p(x | y), over two unknowns.

    \b
    Examples:
      inn plot density
      inn plot density --y 0.3 -n 1000         p(x|y), and draws
      inn plot density --grid 500 --out p.svg
    """
    path = checked_out(out, SUFFIXES)
    found = find_run(run)
    trained = inference.opening.open_run(found, device, config_dir)
    row = None if y is None else data.observations.parse_y(y, trained.y, found.id)
    figure = reporting.figures.density(trained, found, row, grid, seed, samples)
    keep(figure, path or found.plots / "density.png")
