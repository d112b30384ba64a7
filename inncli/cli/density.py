"""`inn density`: log densities at points or on a grid."""

from __future__ import annotations

from typing import Annotated

import typer

from inncli import data, inference, numerics, plots
from inncli.cli import console
from inncli.cli.options import ConfigDirOption, DeviceOption, JsonOption, OutOption, RunOption, checked_out, in_run
from inncli.errors import RequestError
from inncli.runs.registry import find_run

SHOWN = 20  # points printed


def density(
    points: Annotated[
        str | None, typer.Option("--points", metavar="FILE", help="A table of x (CSV, Parquet, NPZ), one point a row.")
    ] = None,
    grid: Annotated[
        int | None,
        typer.Option("--grid", min=2, metavar="N", help="N points along each unknown, over where the density lies."),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option("--y", metavar="VALUES", help="The observation, where the model is conditional: 0.3 or name=3."),
    ] = None,
    run: RunOption = None,
    out: OutOption = None,
    device: DeviceOption = None,
    config_dir: ConfigDirOption = None,
    json: JsonOption = False,
) -> None:
    """Compute log p(x), or log p(x | y), in the units of your own data.

    A grid over two unknowns is also drawn. The suffix of --out is the format: .npz, .csv, .parquet.

    \b
    Examples:
      inn density --grid 200
      inn density --grid 200 --y 0.3 --out ring.npz
      inn density --points candidates.csv --y strength=40 --json
    \b
    Next: inn sample, inn plot density
    """
    if (points is None) == (grid is None):
        raise RequestError(
            "expected one of --points and --grid, got "
            + ("neither" if grid is None else "both")
            + "; e.g. inn density --grid 200"
        )
    path = checked_out(out, inference.sample_set.SUFFIXES)
    found = find_run(run)
    path = path or in_run(found.path / "densities" / found.next_posterior_path().name)
    trained = inference.opening.open_run(found, device, config_dir)
    given = None
    if trained.y is not None and y is None:
        raise RequestError(
            f"run {found.id} models x given y ({', '.join(trained.y.names)}); pass the observation with --y"
        )
    if y is not None:
        given = data.observations.parse_y(y, trained.y, found.id)
    if grid is None:
        axes, x = None, data.observations.read_points(points or "", trained.x, found.id, letter="x")
    else:
        known, draws = trained.x, trained.sample(given, 10_000)[0]
        axes = numerics.grid.axes_around(draws, grid, known.cells, known.circles, known.steps)
        x = numerics.grid.points(axes)
    log_prob = trained.log_prob(x, given)
    rows = None if given is None else given.repeat(len(x), axis=0)
    names, labels = ((), ()) if trained.y is None else (trained.y.names, trained.y.labels)
    kept = inference.sample_set.DensitySet(x, log_prob, trained.x.names, rows, names, labels)
    path = kept.save(path)
    picture = None
    if axes and len(axes) == 2:
        values = log_prob.reshape(len(axes[0]), len(axes[1])).T
        first, second = trained.x.names
        figure = plots.density.density2d(axes[0], axes[1], values, names=(first, second))
        picture = plots.style.save(figure, checked_out(str(path.with_suffix(".png")), (".png",)) or path)
    mass = numerics.grid.integral(axes, log_prob) if axes else None
    if json:
        console.as_json(
            {
                "run": found.id,
                "out": str(path),
                "picture": str(picture) if picture else None,
                "points": len(x),
                "integral": mass,
                "log_prob": log_prob.tolist() if axes is None else None,
            }
        )
        return
    console.line(f"log density at {len(x):,} points from run {found.id}")
    if axes is None:
        columns = [console.numbers(column[:SHOWN], float(numerics.statistics.sd(column))) for column in x.T]
        console.table(
            [*trained.x.names, "log_prob"],
            [[*row, float(value)] for *row, value in zip(*columns, log_prob, strict=False)],
        )
        if len(x) > SHOWN:
            console.line(f"and {len(x) - SHOWN:,} more in the file")
    else:
        console.line(f"integral over the grid {mass:.4f}")
    console.line(f"kept in {path}" + (f", drawn in {picture}" if picture else ""))
